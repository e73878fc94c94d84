/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* In which order `forksrv top` shows the workers. */
#include <stdlib.h>
#include <string.h>

#include "top.h"

const char *const top_order_names[TOP_ORDERS + 1] = {"cpu", "memory", "age", "id", "name", NULL};

/* qsort has no place for it; the command has one thread. */
static enum top_order by;
static bool backwards;

static int larger_first(double one, double other) {
    return (one < other) - (one > other);
}

static const char *name_of(const struct top_row *row) {
    return row->info->name[0] != '\0' ? row->info->name : row->info->program;
}

/* Negative: not known. Names and ids always are. */
static double figure(const struct top_row *row) {
    switch (by) {
    case TOP_BY_CPU:
        return row->cpu_percent;
    case TOP_BY_MEMORY:
        return (double)row->pss;
    case TOP_BY_AGE:
        return (double)row->info->end.wall;
    case TOP_BY_ID:
    case TOP_BY_NAME:
    case TOP_ORDERS:
    default:
        return 0;
    }
}

static int compare(const void *a, const void *b) {
    const struct top_row *one = *(struct top_row *const *)a, *other = *(struct top_row *const *)b;
    double x = figure(one), y = figure(other);
    if ((x < 0) != (y < 0))
        return x < 0 ? 1 : -1;
    int r = by == TOP_BY_NAME ? strcmp(name_of(one), name_of(other)) : larger_first(x, y);
    if (r == 0)
        r = (one->info->id > other->info->id) - (one->info->id < other->info->id);
    return backwards ? -r : r;
}

void top_sort(struct top_sample *sample, enum top_order order, bool reverse) {
    by = order;
    backwards = reverse;
    qsort(sample->order, sample->n_rows, sizeof *sample->order, compare);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What `forksrv top` knows at one moment: what the instance tells, and what /proc tells of its processes. A pid is believed only
 * as long as the process that has it started before the instance named it, and is the one that had it in the sample before. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cleanup.h"
#include "command.h"
#include "memory.h"
#include "top-process.h"
#include "top.h"

void top_sample_free(struct top_sample *sample) {
    if (sample == NULL)
        return;
    forksrv_status_free(sample->status);
    forksrv_list_free(sample->list);
    forksrv_zygotes_free(sample->zygotes);
    free(sample->rows);
    free(sample->order);
    free(sample);
}

/* ---- what the instance tells ---- */

static void read_status(struct top_sample *s) {
    const struct {
        const char *name;
        uint64_t *value;
        const char **text;
    } wanted[] = {
        {"sessions.open", &s->sessions, NULL},  {"workers.live", &s->live, NULL},     {"limit.workers", &s->live_max, NULL},
        {"workers.started", &s->started, NULL}, {"workers.failed", &s->failed, NULL}, {"uptime-usec", &s->uptime, NULL},
        {"version", NULL, &s->version},         {"flavour", NULL, &s->flavour},       {"state", NULL, &s->state},
    };
    s->version = s->flavour = s->state = "?";
    for (size_t i = 0; i < forksrv_status_count(s->status); i++) {
        const char *name, *text;
        uint64_t value;
        if (forksrv_status_get(s->status, i, &name, &value, &text) < 0)
            continue;
        for (size_t k = 0; k < sizeof wanted / sizeof wanted[0]; k++) {
            if (strcmp(wanted[k].name, name) != 0)
                continue;
            if (text != NULL && wanted[k].text != NULL)
                *wanted[k].text = text;
            else if (text == NULL && wanted[k].value != NULL)
                *wanted[k].value = value;
        }
    }
}

static int by_id(const void *a, const void *b) {
    const struct top_row *one = a, *other = b;
    return (one->info->id > other->info->id) - (one->info->id < other->info->id);
}

static int make_rows(struct top_sample *s) {
    size_t n = forksrv_list_count(s->list);
    s->rows = calloc(n + 1, sizeof *s->rows);
    s->order = calloc(n + 1, sizeof *s->order);
    if (s->rows == NULL || s->order == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        const struct forksrv_info *info = forksrv_list_get(s->list, i);
        if (info->state == FORKSRV_STATE_RUNNING)
            s->rows[s->n_rows++] = (struct top_row){.info = info, .cpu = -1, .cpu_percent = -1, .pss = -1};
    }
    qsort(s->rows, s->n_rows, sizeof *s->rows, by_id);
    for (size_t i = 0; i < s->n_rows; i++)
        s->order[i] = &s->rows[i];
    return 0;
}

/* ---- what /proc tells ---- */

/* A worker that is listed as running has not been reaped: its pid was its own then. One that started later is not it. */
static bool started_before(const struct top_process *p, uint64_t listed_at) {
    return p->start <= listed_at;
}

static void look_at(struct top_row *row, const struct top_row *before, uint64_t listed_at) {
    struct top_process p;
    if (before != NULL && before->start != 0) {
        row->start = before->start;
        row->pss = before->pss;
        row->pss_at = before->pss_at;
    }
    row->seen_at = top_process_clock();
    if (!top_process_of(row->info->pid, &p) || !started_before(&p, listed_at) || (row->start != 0 && row->start != p.start)) {
        row->pss = -1;
        return;
    }
    row->start = p.start;
    row->state = p.state;
    row->cpu = (int64_t)p.cpu;
    uint64_t since = before != NULL && before->cpu >= 0 ? before->seen_at : p.start;
    int64_t used = row->cpu - (before != NULL && before->cpu >= 0 ? before->cpu : 0);
    if (row->seen_at > since && used >= 0)
        row->cpu_percent = 100 * (double)used / (double)(row->seen_at - since);
}

static void look_at_all(struct top_sample *s, const struct top_sample *before) {
    for (size_t i = 0; i < s->n_rows; i++) {
        const struct top_row *row = before == NULL || before->n_rows == 0
                                        ? NULL
                                        : bsearch(&s->rows[i], before->rows, before->n_rows, sizeof *before->rows, by_id);
        look_at(&s->rows[i], row, s->at);
    }
}

static int by_memory_age(const void *a, const void *b) {
    const struct top_row *one = *(struct top_row *const *)a, *other = *(struct top_row *const *)b;
    return (one->pss_at > other->pss_at) - (one->pss_at < other->pss_at);
}

/* The kernel walks through all pages of a process for this. */
static void weigh(struct top_sample *s, uint64_t patience) {
    uint64_t begin = top_process_clock();
    struct memory m;
    qsort(s->order, s->n_rows, sizeof *s->order, by_memory_age);
    for (size_t i = 0; i < s->n_rows && top_process_clock() - begin <= patience; i++) {
        struct top_row *row = s->order[i];
        if (row->state == 0)
            continue;
        row->pss = memory_of(row->info->pid, &m) ? (int64_t)m.pss : -1;
        row->pss_at = top_process_clock();
    }
}

int64_t top_zygote_pss(const struct top_sample *sample, const struct forksrv_zygote_info *zygote) {
    struct top_process p;
    struct memory m;
    if (zygote->pid <= 0 || !top_process_of(zygote->pid, &p) || !started_before(&p, sample->at) || !memory_of(zygote->pid, &m))
        return -1;
    return (int64_t)m.pss;
}

/* ---- all of it ---- */

static void compare(struct top_sample *s, const struct top_sample *before) {
    s->per_second = -1;
    s->busy_at = before != NULL ? before->busy_at : 0;
    if (before != NULL && s->at > before->at && s->started >= before->started)
        s->per_second = 1000000.0 * (double)(s->started - before->started) / (double)(s->at - before->at);
    /* The first sample, and one in which something runs or has run since. */
    if (before == NULL || s->live > 0 || s->started != before->started)
        s->busy_at = s->at;
}

int64_t top_idle(const struct top_sample *sample) {
    if (sample->live > 0)
        return -1;
    return sample->started == 0 ? (int64_t)sample->uptime : (int64_t)(sample->at - sample->busy_at);
}

int top_sample_new(struct forksrv *session, const struct top_sample *before, uint64_t patience, struct top_sample **ret_sample) {
    struct top_sample *s = calloc(1, sizeof *s);
    if (s == NULL)
        return -ENOMEM;
    int r = forksrv_get_status(session, REPLY_TIMEOUT, &s->status);
    if (r >= 0)
        r = forksrv_list_zygotes(session, NULL, REPLY_TIMEOUT, &s->zygotes);
    if (r >= 0)
        r = forksrv_list_workers(session, REPLY_TIMEOUT, &s->list);
    s->at = top_process_clock();
    if (r >= 0)
        r = make_rows(s);
    if (r < 0) {
        top_sample_free(s);
        return r;
    }
    read_status(s);
    look_at_all(s, before);
    weigh(s, patience);
    compare(s, before);
    *ret_sample = s;
    return 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "forksrv.h"

/* What `forksrv top` is made of: samples, the order of their rows, and two ways to show them. */

/* ---- top-sample.c: what is there at one moment ---- */

/* One running worker. Negative: not known. */
struct top_row {
    const struct forksrv_info *info; /* borrowed from the sample's list */
    uint64_t seen_at;                /* when it was looked at, as top_process_clock() */
    uint64_t start;                  /* of its process, which the pid may be another's from then on; 0: not seen yet */
    int64_t cpu;                     /* usec */
    double cpu_percent;              /* since the sample before, or since its start */
    int64_t pss;                     /* KiB */
    uint64_t pss_at;                 /* when that was looked up; 0: never */
    char state;                      /* of the process; 0: not known */
};

struct top_sample {
    struct forksrv_status *status; /* these three owned */
    struct forksrv_list *list;
    struct forksrv_zygotes *zygotes;
    struct top_row *rows;   /* owned; by id */
    struct top_row **order; /* owned; the same, as they are to be shown */
    size_t n_rows;
    uint64_t at;       /* as top_process_clock() */
    uint64_t busy_at;  /* when a worker was seen last; 0: never */
    double per_second; /* workers started; negative: not known */
    uint64_t sessions, live, live_max, started, failed, uptime;
    const char *version, *flavour, *state; /* borrowed from the status */
};

/* Reads all of it, and makes differences to `before` (NULL: there is none). `patience`: so long, in usec, memory of
 * workers may be looked up; the oldest figures first, and what is not reached keeps its last one. 0, or a negative errno of the
 * session. */
int top_sample_new(struct forksrv *session, const struct top_sample *before, uint64_t patience, struct top_sample **ret_sample);
void top_sample_free(struct top_sample *sample);
/* Memory of a zygote in KiB, or -1. */
int64_t top_zygote_pss(const struct top_sample *sample, const struct forksrv_zygote_info *zygote);
/* For how long nothing has run, in usec, as far as samples saw it; -1: something runs. */
int64_t top_idle(const struct top_sample *sample);

/* ---- top-order.c ---- */

enum top_order { TOP_BY_CPU, TOP_BY_MEMORY, TOP_BY_AGE, TOP_BY_ID, TOP_BY_NAME, TOP_ORDERS };
extern const char *const top_order_names[TOP_ORDERS + 1]; /* the last is NULL */
/* Largest first, except ids and names. Unknown ones are last either way. */
void top_sort(struct top_sample *sample, enum top_order order, bool reverse);

/* ---- top-print.c: as lines ---- */

struct top_canvas {
    FILE *out;
    int columns; /* negative: no limit */
    int rows;    /* negative: no limit */
    int row;     /* the next one */
    bool screen; /* with escape sequences, for terminal.h */
};

enum top_style { TOP_PLAIN, TOP_TITLE, TOP_SELECTED, TOP_BOLD };

/* One line, cut to the canvas; nothing if it is full. */
void top_line(struct top_canvas *canvas, enum top_style style, const char *text);
/* The lines above the workers. */
void top_print_head(struct top_canvas *canvas, const struct top_sample *sample, const char *address);
void top_print_title(struct top_canvas *canvas, enum top_order order, bool reverse);
void top_print_row(struct top_canvas *canvas, const struct top_row *row, bool selected);
/* What a worker is called: "backup (sh)". */
const char *top_name(const struct forksrv_info *info, char *ret_buffer, size_t size);

/* ---- top-json.c ---- */

json_t *top_json(const struct top_sample *sample, const char *address);

/* ---- top-view.c: on a terminal, with keys ---- */

/* Until the user leaves: 0; or a negative errno, where `ret_terminal` is whether the terminal is what failed. */
int top_view(struct forksrv *session, uint64_t delay, enum top_order order, bool reverse, bool *ret_terminal);

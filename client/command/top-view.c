/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `forksrv top` on a terminal: draws, and does what the keys say. What it shows is decided by top-sample.c and top-print.c. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "columns.h"
#include "command.h"
#include "format.h"
#include "parse.h"
#include "screen.h"
#include "top-process.h"
#include "top.h"

struct view {
    struct forksrv *session; /* borrowed */
    struct top_sample *sample;
    enum top_order order;
    bool reverse;
    uint64_t selected; /* the id of a worker; 0: none yet */
    size_t index;      /* and where it was, for when it is gone */
    size_t first;      /* row that is shown */
    size_t page;       /* how many are */
    bool asking;       /* for the signal that the selected worker is to get */
    char answer[16];
    char message[200]; /* until the next key */
};

static const char keys[] = "q leave  c cpu  m memory  a age  i id  n name  r reverse  k kill  arrows select";

/* ---- the selection ---- */

static void sort(struct view *v) {
    top_sort(v->sample, v->order, v->reverse);
    for (size_t i = 0; i < v->sample->n_rows; i++)
        if (v->sample->order[i]->info->id == v->selected) {
            v->index = i;
            return;
        }
    /* It is gone, and with it what was asked about it. */
    if (v->asking)
        snprintf(v->message, sizeof v->message, "worker %" PRIu64 " has ended", v->selected);
    v->asking = false;
    if (v->index >= v->sample->n_rows)
        v->index = v->sample->n_rows > 0 ? v->sample->n_rows - 1 : 0;
    v->selected = 0;
}

static const struct forksrv_info *selected(const struct view *v) {
    return v->index < v->sample->n_rows ? v->sample->order[v->index]->info : NULL;
}

static void move(struct view *v, size_t down, size_t up) {
    size_t last = v->sample->n_rows > 0 ? v->sample->n_rows - 1 : 0;
    v->index = up > v->index ? 0 : v->index - up;
    v->index = down > last - v->index ? last : v->index + down;
    v->selected = v->sample->n_rows > 0 ? selected(v)->id : 0;
}

static void sort_by(struct view *v, enum top_order order, bool reverse) {
    v->order = order;
    v->reverse = reverse;
    sort(v);
}

/* ---- drawing ---- */

static void draw_rows(struct view *v, struct top_canvas *canvas) {
    v->page = canvas->rows > canvas->row ? (size_t)(canvas->rows - canvas->row) : 0;
    if (v->index < v->first)
        v->first = v->index;
    if (v->page > 0 && v->index >= v->first + v->page)
        v->first = v->index - v->page + 1;
    if (v->first + v->page > v->sample->n_rows)
        v->first = v->sample->n_rows > v->page ? v->sample->n_rows - v->page : 0;
    for (size_t i = v->first; i < v->sample->n_rows && i < v->first + v->page; i++)
        top_print_row(canvas, v->sample->order[i], i == v->index);
}

static void draw_bottom(const struct view *v, struct top_canvas *canvas) {
    char line[1024], name[512];
    if (v->asking)
        snprintf(line, sizeof line, "Signal for worker %" PRIu64 ", %s (Enter: %s, Escape: none): %s", v->selected,
                 top_name(selected(v), name, sizeof name), v->answer[0] != '\0' ? "this one" : "TERM", v->answer);
    else
        snprintf(line, sizeof line, "%s", v->message[0] != '\0' ? v->message : keys);
    canvas->row = canvas->rows++;
    top_line(canvas, v->asking ? TOP_BOLD : TOP_PLAIN, line);
}

static int draw(struct view *v) {
    owned_memory char *bytes = NULL;
    size_t size = 0;
    int rows, columns;
    screen_size(&rows, &columns);
    FILE *out = open_memstream(&bytes, &size);
    if (out == NULL)
        return -errno;
    struct top_canvas canvas = {.out = out, .columns = columns, .rows = rows - 1, .screen = true};
    top_print_head(&canvas, v->sample, forksrv_address(v->session));
    top_print_title(&canvas, v->order, v->reverse);
    draw_rows(v, &canvas);
    fputs(canvas.row < canvas.rows ? "\r\n\033[J" : "", out);
    draw_bottom(v, &canvas);
    if (fclose(out) != 0)
        return -ENOMEM;
    return screen_write(bytes, size);
}

/* ---- keys ---- */

static void send_signal(struct view *v) {
    char name[32];
    int signo;
    v->asking = false;
    if (parse_signal(v->answer[0] != '\0' ? v->answer : "TERM", &signo) < 0) {
        snprintf(v->message, sizeof v->message, "there is no signal %s: nothing was sent", v->answer);
        return;
    }
    /* By its id, through the server: it is the worker that was asked about, or none. */
    if (forksrv_signal(v->session, v->selected, signo, 0, REPLY_TIMEOUT) < 0)
        snprintf(v->message, sizeof v->message, "%s", forksrv_error(v->session));
    else
        snprintf(v->message, sizeof v->message, "worker %" PRIu64 " got %s", v->selected,
                 format_signal(signo, name, sizeof name));
}

static void answer_key(struct view *v, int key) {
    size_t n = strlen(v->answer);
    if (key == SCREEN_ESCAPE)
        v->asking = false;
    else if (key == '\r' || key == '\n')
        send_signal(v);
    else if ((key == 0x7f || key == '\b') && n > 0)
        v->answer[n - 1] = '\0';
    else if (key > ' ' && key < 0x7f && n + 1 < sizeof v->answer)
        v->answer[n] = (char)key; /* the rest is zeros */
}

static void ask(struct view *v) {
    if (selected(v) == NULL)
        return;
    v->selected = selected(v)->id;
    v->asking = true;
    memset(v->answer, 0, sizeof v->answer);
}

static void view_key(struct view *v, int key) {
    static const char letters[] = "cmain";
    const char *letter = key > 0 && key < 0x7f ? strchr(letters, key) : NULL;
    v->message[0] = '\0';
    if (letter != NULL)
        sort_by(v, (enum top_order)(letter - letters), false);
    else if (key == 'r')
        sort_by(v, v->order, !v->reverse);
    else if (key == 'k')
        ask(v);
    else if (key == SCREEN_UP)
        move(v, 0, 1);
    else if (key == SCREEN_DOWN)
        move(v, 1, 0);
    else if (key == SCREEN_PAGE_UP)
        move(v, 0, v->page);
    else if (key == SCREEN_PAGE_DOWN)
        move(v, v->page, 0);
    else if (key == SCREEN_HOME)
        move(v, 0, SIZE_MAX);
    else if (key == SCREEN_END)
        move(v, SIZE_MAX, 0);
}

/* ---- all of it ---- */

static int refresh(struct view *v, uint64_t delay) {
    struct top_sample *sample;
    int r = top_sample_new(v->session, v->sample, delay / 10, &sample);
    if (r < 0)
        return r;
    top_sample_free(v->sample);
    v->sample = sample;
    sort(v);
    return 0;
}

static int run(struct view *v, uint64_t delay, bool *ret_terminal) {
    uint64_t next = 0;
    int r = 0;
    for (;;) {
        uint64_t now = top_process_clock();
        if (now >= next) {
            r = refresh(v, delay);
            if (r < 0)
                return r;
            now = top_process_clock();
            next = now + delay;
        }
        r = draw(v);
        *ret_terminal = r < 0;
        if (r < 0)
            return r;
        int key = screen_key(next - now);
        if (key == SCREEN_GONE || (key == 'q' && !v->asking))
            return 0;
        if (v->asking && key != SCREEN_NOTHING)
            answer_key(v, key);
        else if (key != SCREEN_NOTHING)
            view_key(v, key);
    }
}

int top_view(struct forksrv *session, uint64_t delay, enum top_order order, bool reverse, bool *ret_terminal) {
    struct view v = {.session = session, .order = order, .reverse = reverse};
    int r = screen_enter();
    *ret_terminal = r < 0;
    if (r >= 0)
        r = run(&v, delay, ret_terminal);
    screen_leave();
    top_sample_free(v.sample);
    return r;
}

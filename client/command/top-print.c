/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What `forksrv top` shows, as lines: of 80 columns with 15 for a name at the end, which has what a wider terminal has more.
 * Everything that comes from elsewhere goes through columns.h. */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "columns.h"
#include "memory.h"
#include "top-process.h"
#include "top.h"

enum { LINE = 4096, ZYGOTE_NAME = 16 };

void top_line(struct top_canvas *canvas, enum top_style style, const char *text) {
    static const char *const sequences[] = {"", "\033[7m", "\033[7m\033[1m", "\033[1m"};
    char line[LINE];
    if (canvas->rows >= 0 && canvas->row >= canvas->rows)
        return;
    canvas->row++;
    if (canvas->screen && (style == TOP_TITLE || style == TOP_SELECTED))
        columns_fill(text, canvas->columns, line, sizeof line);
    else
        columns_clip(text, canvas->columns, line, sizeof line);
    if (!canvas->screen)
        fprintf(canvas->out, "%s\n", line);
    else
        fprintf(canvas->out, "\033[%d;1H%s%s\033[0m\033[K", canvas->row, sequences[style], line);
}

static const char *kib(int64_t figure, char *buffer, size_t size) {
    if (figure < 0)
        return "-";
    return memory_format((uint64_t)figure, buffer, size);
}

/* In 7 columns, which format_span needs more of. */
static const char *age(uint64_t usec, char *buffer, size_t size) {
    unsigned long long s = usec / 1000000;
    if (s < 60)
        snprintf(buffer, size, "%llus", s);
    else if (s < 3600)
        snprintf(buffer, size, "%llum%02llus", s / 60, s % 60);
    else if (s < 86400)
        snprintf(buffer, size, "%lluh%02llum", s / 3600, s % 3600 / 60);
    else
        snprintf(buffer, size, "%llud%02lluh", s / 86400, s % 86400 / 3600);
    return buffer;
}

/* "0:01.23", "59:59.99", "12h34m". */
static const char *cpu_time(int64_t usec, char *buffer, size_t size) {
    unsigned long long s = (unsigned long long)usec / 1000000;
    if (usec < 0)
        snprintf(buffer, size, "-");
    else if (s < 3600)
        snprintf(buffer, size, "%llu:%02llu.%02llu", s / 60, s % 60, (unsigned long long)usec % 1000000 / 10000);
    else
        age((uint64_t)usec, buffer, size);
    return buffer;
}

static const char *percent(double figure, char *buffer, size_t size) {
    if (figure < 0)
        snprintf(buffer, size, "-");
    else
        snprintf(buffer, size, figure < 999.95 ? "%.1f" : "%.0f", figure);
    return buffer;
}

const char *top_name(const struct forksrv_info *info, char *ret_buffer, size_t size) {
    if (*info->name == '\0')
        snprintf(ret_buffer, size, "%s", info->program);
    else
        snprintf(ret_buffer, size, "%s (%s)", info->name, info->program);
    return ret_buffer;
}

static void print_instance(struct top_canvas *canvas, const struct top_sample *s, const char *address) {
    char line[LINE], clock[16], uptime[32], rate[32] = "-", idle[32] = "-";
    time_t now = time(NULL);
    struct tm tm;
    strftime(clock, sizeof clock, "%H:%M:%S", localtime_r(&now, &tm));
    snprintf(line, sizeof line, "%s  forksrv %s, %s, %s for %s  %s", clock, s->version, s->flavour, s->state,
             age(s->uptime, uptime, sizeof uptime), address);
    top_line(canvas, TOP_BOLD, line);
    if (s->per_second >= 0)
        snprintf(rate, sizeof rate, "%.1f/s", s->per_second);
    if (top_idle(s) >= 0)
        age((uint64_t)top_idle(s), idle, sizeof idle);
    snprintf(line, sizeof line,
             "sessions %" PRIu64 "  workers %" PRIu64 " of %" PRIu64 "  started %" PRIu64 ", %s  failed %" PRIu64 "  idle %s",
             s->sessions, s->live, s->live_max, s->started, rate, s->failed, idle);
    top_line(canvas, TOP_PLAIN, line);
    top_line(canvas, TOP_PLAIN, "");
}

static void print_zygote(struct top_canvas *canvas, const struct top_sample *s, const struct forksrv_zygote_info *z) {
    char line[LINE], name[128], state[64], pss[32], pid[16] = "-";
    if (z->pid > 0)
        snprintf(pid, sizeof pid, "%d", (int)z->pid);
    snprintf(line, sizeof line, "%s %s %7s %7s %6" PRIu64 " %7" PRIu64 " %7" PRIu64 " %7" PRIu64,
             columns_fill(z->name, ZYGOTE_NAME, name, sizeof name), columns_fill(z->state, 9, state, sizeof state), pid,
             kib(top_zygote_pss(s, z), pss, sizeof pss), z->spares, z->workers, z->waiting, z->forks);
    top_line(canvas, TOP_PLAIN, line);
}

void top_print_head(struct top_canvas *canvas, const struct top_sample *sample, const char *address) {
    char line[LINE];
    size_t count = forksrv_zygotes_count(sample->zygotes), shown = count;
    /* Workers have the larger part of a screen. */
    size_t most = canvas->rows < 0 ? count : (size_t)canvas->rows / 4;
    print_instance(canvas, sample, address);
    if (count == 0 || most == 0)
        return;
    if (count > most)
        shown = most - 1;
    snprintf(line, sizeof line, "%-*s %-9s %7s %7s %6s %7s %7s %7s", ZYGOTE_NAME, "ZYGOTE", "STATE", "PID", "PSS", "SPARES",
             "WORKERS", "WAITING", "FORKS");
    top_line(canvas, TOP_TITLE, line);
    for (size_t i = 0; i < shown; i++)
        print_zygote(canvas, sample, forksrv_zygotes_get(sample->zygotes, i));
    if (shown < count) {
        snprintf(line, sizeof line, "and %zu more: see forksrv zygote list", count - shown);
        top_line(canvas, TOP_PLAIN, line);
    }
    top_line(canvas, TOP_PLAIN, "");
}

/* The column that they are sorted by has a mark behind its title, which points where it gets less. */
void top_print_title(struct top_canvas *canvas, enum top_order order, bool reverse) {
    static const char *const plain[] = {"CPU%", "PSS", "AGE", "ID", "NAME"};
    char titles[TOP_ORDERS][16], line[LINE];
    for (int i = 0; i < TOP_ORDERS; i++)
        snprintf(titles[i], sizeof titles[i], "%s%s", plain[i], (int)order != i ? "" : reverse ? "^" : "v");
    snprintf(line, sizeof line, "%6s  %7s %-10s %7s %6s %8s %7s %-5s %s", titles[TOP_BY_ID], "PID", "ZYGOTE", titles[TOP_BY_AGE],
             titles[TOP_BY_CPU], "CPU TIME", titles[TOP_BY_MEMORY], "STATE", titles[TOP_BY_NAME]);
    top_line(canvas, TOP_TITLE, line);
}

void top_print_row(struct top_canvas *canvas, const struct top_row *row, bool selected) {
    char line[LINE], zygote[64], span[32], cpu[32], used[32], pss[32], name[1024];
    const struct forksrv_info *info = row->info;
    snprintf(line, sizeof line, "%6" PRIu64 "%c %7d %s %7s %6s %8s %7s %-5s %s", info->id,
             info->flags & FORKSRV_DETACHED ? '+' : ' ', (int)info->pid,
             columns_fill(info->zygote[0] != '\0' ? info->zygote : "-", 10, zygote, sizeof zygote),
             age(info->end.wall, span, sizeof span), percent(row->cpu_percent, cpu, sizeof cpu),
             cpu_time(row->cpu, used, sizeof used), kib(row->pss, pss, sizeof pss),
             row->state != 0 ? top_process_state_name(row->state) : "-", top_name(info, name, sizeof name));
    top_line(canvas, selected ? TOP_SELECTED : TOP_PLAIN, line);
}

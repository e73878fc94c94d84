/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The worker table as an earlier daemon has left it, with damage. The input is pairs of a place and of what is changed there, in
 * a table with a record of each state, or, after an odd first byte, the bytes themselves from the beginning on. Whatever is
 * there, it is refused, or each record that counts is one that was written. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "daemon/table.h"
#include "tests/fuzz/fuzz.h"

enum { HEADER = 4096, RECORDS = 4, SIZE = HEADER + RECORDS * sizeof(struct record), EDIT = 3 };

static uint8_t whole[SIZE];
static struct record written[RECORDS];
static int fd = -1;

static void fill(struct record *r, unsigned i) {
    r->start = (struct record_start){.id = i + 1, .started = 1000 * i, .flags = i, .own_cgroup = i == 2};
    memset(r->start.job, (int)i + 1, sizeof r->start.job);
    memcpy(r->start.name, "name", 5);
    memcpy(r->start.program, "/usr/bin/true", 14);
    r->end = (struct record_end){.kind = 1, .value = i, .forget_at = 77};
}

/* One record of each state; the table itself goes, its memory stays. */
static void make(void) {
    struct table *t;
    struct record *r[RECORDS];
    HOLDS(table_new(&t) == 0);
    for (unsigned i = 0; i < RECORDS; i++) {
        r[i] = table_take(t);
        fill(r[i], i);
        record_begins(r[i]);
        r[i]->pid = (int32_t)(100 + i);
    }
    record_lives(r[1]);
    record_lives(r[2]);
    record_ends(r[2]);
    table_give_back(t, r[3]);
    table_set_ids(t, RECORDS, 1);
    for (unsigned i = 0; i < RECORDS; i++)
        written[i] = *r[i];
    fd = dup(table_fd(t));
    table_free(t);
    HOLDS(fd >= 0 && pread(fd, whole, SIZE, 0) == SIZE);
}

static void damage(uint8_t *p, const uint8_t *data, size_t size) {
    if (size > 0 && data[0] & 1) {
        memcpy(p, data + 1, size - 1 < SIZE ? size - 1 : SIZE);
        return;
    }
    for (size_t i = 1; i + EDIT <= size; i += EDIT)
        p[((size_t)data[i] << 8 | data[i + 1]) % SIZE] ^= data[i + 2];
}

static bool was_written(const struct record *r) {
    for (unsigned i = 0; i < RECORDS; i++)
        if (memcmp(&r->start, &written[i].start, sizeof r->start) == 0)
            return r->state != RECORD_ENDED || memcmp(&r->end, &written[i].end, sizeof r->end) == 0;
    return false;
}

static void walk(struct table *t) {
    const struct record *r;
    uint32_t at = 0;
    unsigned n = 0;
    while ((r = table_next(t, &at)) != NULL) {
        HOLDS(r->state > RECORD_FREE && r->state <= RECORD_ENDED && was_written(r));
        n++;
    }
    HOLDS(n <= RECORDS);
    struct record *more = table_take(t);
    HOLDS(more == NULL || more->state == RECORD_FREE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t now[SIZE];
    struct table *t = NULL;
    const char *what = NULL;
    if (fd < 0)
        make();
    memcpy(now, whole, SIZE);
    damage(now, data, size);
    HOLDS(pwrite(fd, now, SIZE, 0) == SIZE);
    int given = dup(fd), r = table_open(given, &t, &what);
    HOLDS(given >= 0 && (r == 0 || r == -EBADMSG || r == -ESTALE));
    HOLDS(r == 0 ? t != NULL : t == NULL && what != NULL && what[0] != 0);
    if (r == 0)
        walk(t);
    else
        close_fd(given);
    table_free(t);
    return 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The memory of the worker table. It knows when a record counts, and whether a table that was kept can be believed; what a record
 * means is others' business. */
#include "daemon/table.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "daemon/limits.h"

/* Counted up with every change of what is below, or of a record. */
enum { LAYOUT = 1 };

enum { BOOT_ID = 36, SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL };

static const char magic[8] = "forksrv";

struct header {
    char magic[8];
    uint32_t layout, record_size, records, zero;
    uint64_t since;
    char boot[BOOT_ID + 4];
    uint64_t check; /* of all above */
    uint64_t used;  /* records from there on were never taken; and above it a check of it, in one store */
    uint64_t last_worker, last_incarnation;
};

/* The header has a page of its own. */
enum { HEADER = 4096 };
#define TABLE_SIZE (HEADER + (size_t)TABLE_RECORDS * sizeof(struct record))

struct table {
    int fd; /* owned */
    struct header *header;
    struct record *records;
    uint32_t *free; /* owned: a stack of those that were used once, so that few pages are touched */
    uint32_t n_free, size_free;
};

/* ---- checks: against damage, not against an enemy ---- */

static uint64_t mix(uint64_t sum, const void *data, size_t size) {
    const char *p = data;
    uint64_t word;
    for (; size >= sizeof word; size -= sizeof word, p += sizeof word) {
        memcpy(&word, p, sizeof word);
        sum = (sum ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        sum ^= sum >> 29;
    }
    return sum;
}

static uint64_t check_header(const struct header *h) {
    return mix(UINT64_C(1), h, offsetof(struct header, check));
}

static uint32_t used(const struct header *h) {
    return (uint32_t)h->used;
}

static uint64_t with_check(uint32_t n) {
    uint64_t word = n;
    return word | mix(UINT64_C(3), &word, sizeof word) << 32;
}

static void set_used(struct header *h, uint32_t n) {
    __atomic_store_n(&h->used, with_check(n), __ATOMIC_RELEASE);
}

static bool used_is_fine(const struct header *h) {
    return used(h) <= TABLE_RECORDS && h->used == with_check(used(h));
}

static uint64_t check_start(const struct record *r) {
    return mix(UINT64_C(2), &r->start, sizeof r->start);
}

static uint64_t check_end(const struct record *r) {
    return mix(r->start.id, &r->end, sizeof r->end);
}

/* ---- the memory ---- */

static int read_boot_id(char ret[BOOT_ID]) {
    auto_fd fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    return read(fd, ret, BOOT_ID) == BOOT_ID ? 0 : -EIO;
}

static uint64_t monotonic(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* Whose fd it is the caller says, after a success. */
static int map(int fd, struct table **ret_table) {
    auto_free struct table *t = calloc(1, sizeof *t);
    if (t == NULL)
        return -ENOMEM;
    char *p = mmap(NULL, TABLE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        return -errno;
    t->header = (struct header *)(void *)p;
    t->records = (struct record *)(void *)(p + HEADER);
    t->fd = -1;
    *ret_table = steal_ptr(t);
    return 0;
}

int table_new(struct table **ret_table) {
    char boot[BOOT_ID];
    int r = read_boot_id(boot);
    if (r < 0)
        return r;
    auto_fd fd = memfd_create("forksrv-workers", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    /* Sparse: only what was used once takes memory. */
    if (fd < 0 || ftruncate(fd, TABLE_SIZE) < 0 || fcntl(fd, F_ADD_SEALS, SEALS) < 0)
        return -errno;
    struct table *t;
    r = map(fd, &t);
    if (r < 0)
        return r;
    t->fd = steal_fd(&fd);
    struct header *h = t->header;
    *h = (struct header){.layout = LAYOUT, .record_size = sizeof(struct record), .records = TABLE_RECORDS, .since = monotonic()};
    memcpy(h->magic, magic, sizeof magic);
    memcpy(h->boot, boot, BOOT_ID);
    h->check = check_header(h);
    set_used(h, 0);
    *ret_table = t;
    return 0;
}

static int refuse(int r, const char *what, const char **ret_what) {
    *ret_what = what;
    return r;
}

static int check_file(int fd, const char **ret_what) {
    struct stat st;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (fcntl(fd, F_GET_SEALS) & SEALS) != SEALS)
        return refuse(-EBADMSG, "it is not a sealed memfd", ret_what);
    if ((size_t)st.st_size != TABLE_SIZE)
        return refuse(-ESTALE, "it is of another version of forksrvd", ret_what);
    return 0;
}

static int check_table(struct table *t, const char **ret_what) {
    const struct header *h = t->header;
    char boot[BOOT_ID];
    if (memcmp(h->magic, magic, sizeof magic) != 0 || h->check != check_header(h) || !used_is_fine(h))
        return refuse(-EBADMSG, "it is damaged", ret_what);
    if (h->layout != LAYOUT || h->record_size != sizeof(struct record) || h->records != TABLE_RECORDS)
        return refuse(-ESTALE, "it is of another version of forksrvd", ret_what);
    if (read_boot_id(boot) < 0 || memcmp(boot, h->boot, BOOT_ID) != 0)
        return refuse(-ESTALE, "it is of another boot", ret_what);
    for (uint32_t i = 0; i < used(h); i++) {
        const struct record *r = &t->records[i];
        if (r->state > RECORD_ENDED || (r->state != RECORD_FREE && r->start_check != check_start(r)) ||
            (r->state == RECORD_ENDED && r->end_check != check_end(r)))
            return refuse(-EBADMSG, "it is damaged", ret_what);
    }
    return 0;
}

static int add_free(struct table *t, uint32_t i) {
    if (t->n_free == t->size_free) {
        uint32_t size = t->size_free != 0 ? t->size_free * 2 : 64;
        uint32_t *more = reallocarray(t->free, size, sizeof *more);
        if (more == NULL)
            return -ENOMEM;
        t->free = more;
        t->size_free = size;
    }
    t->free[t->n_free++] = i;
    return 0;
}

int table_open(int fd, struct table **ret_table, const char **ret_what) {
    struct table *t;
    *ret_what = "there is no memory for it";
    int r = check_file(fd, ret_what);
    if (r >= 0)
        r = map(fd, &t);
    if (r < 0)
        return r;
    r = check_table(t, ret_what);
    for (uint32_t i = used(t->header); r >= 0 && i > 0; i--)
        if (t->records[i - 1].state == RECORD_FREE)
            r = add_free(t, i - 1);
    if (r < 0) {
        table_free(t);
        return r;
    }
    t->fd = fd;
    *ret_table = t;
    return 0;
}

void table_free(struct table *t) {
    if (t == NULL)
        return;
    munmap(t->header, TABLE_SIZE);
    close_fd(t->fd);
    free(t->free);
    free(t);
}

int table_fd(const struct table *t) {
    return t->fd;
}

void table_set_ids(struct table *t, uint64_t worker, uint64_t incarnation) {
    t->header->last_worker = worker;
    t->header->last_incarnation = incarnation;
}

void table_get_ids(const struct table *t, uint64_t *ret_worker, uint64_t *ret_incarnation) {
    *ret_worker = t->header->last_worker;
    *ret_incarnation = t->header->last_incarnation;
}

uint64_t table_since(const struct table *t) {
    return t->header->since;
}

/* ---- records ---- */

struct record *table_take(struct table *t) {
    if (t->n_free > 0)
        return &t->records[t->free[--t->n_free]];
    uint32_t n = used(t->header);
    if (n == TABLE_RECORDS)
        return NULL;
    set_used(t->header, n + 1);
    return &t->records[n];
}

void table_give_back(struct table *t, struct record *r) {
    __atomic_store_n(&r->state, RECORD_FREE, __ATOMIC_RELEASE);
    /* Without memory to remember it as free it is lost until the next start, which finds it. */
    (void)add_free(t, (uint32_t)(r - t->records));
}

void record_begins(struct record *r) {
    r->pid = 0;
    r->failure = r->reason = 0;
    r->incarnation = 0;
    r->start_check = check_start(r);
    __atomic_store_n(&r->state, RECORD_STARTING, __ATOMIC_RELEASE);
}

void record_lives(struct record *r) {
    __atomic_store_n(&r->state, RECORD_LIVE, __ATOMIC_RELEASE);
}

void record_ends(struct record *r) {
    r->end_check = check_end(r);
    __atomic_store_n(&r->state, RECORD_ENDED, __ATOMIC_RELEASE);
}

struct record *table_next(struct table *t, uint32_t *at) {
    while (*at < used(t->header)) {
        struct record *r = &t->records[(*at)++];
        if (r->state != RECORD_FREE)
            return r;
    }
    return NULL;
}

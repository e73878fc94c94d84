/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The two answers that are lists: the workers of the instance, and its counters. They are copied out of the messages and outlive
 * the session. */
#include "client/session.h"

#include <errno.h>
#include <string.h>

struct forksrv_list {
    size_t count;
    size_t allocated;
    struct forksrv_info *infos; /* owned */
    char **strings;             /* of each info; owned */
};

struct status_entry {
    char *name; /* owned */
    char *text; /* owned, or NULL */
    uint64_t value;
};
struct forksrv_status {
    size_t count;
    size_t allocated;
    struct status_entry *entries; /* owned */
};

static size_t more(size_t allocated) {
    return allocated == 0 ? 16 : allocated * 2;
}

/* ---- workers ---- */

static int grow_list(struct forksrv_list *l) {
    size_t n = more(l->allocated);
    struct forksrv_info *infos = reallocarray(l->infos, n, sizeof *infos);
    if (infos == NULL)
        return -ENOMEM;
    l->infos = infos;
    char **strings = reallocarray(l->strings, n, sizeof *strings);
    if (strings == NULL)
        return -ENOMEM;
    l->strings = strings;
    l->allocated = n;
    return 0;
}

static int take_workers(struct call *call, const struct message *m) {
    struct forksrv_list *l = call->data;
    struct attribute at = {0};
    struct message record;
    int r;
    while ((r = message_next_record(m, &at, &record)) > 0) {
        if (l->count == l->allocated && grow_list(l) < 0)
            return -ENOMEM;
        r = record_info(&record, &l->infos[l->count], &l->strings[l->count]);
        if (r < 0)
            return r;
        l->count++;
    }
    return r;
}

/* Sends a request without attributes and collects its answer. */
static int ask(struct forksrv *s, enum message_type type, struct call *call, uint64_t timeout) {
    struct message_writer w;
    uint32_t serial;
    int r = request_begin(s, SLOT_CALL, type, &w, &serial);
    if (r < 0)
        return r;
    return request_finish(s, &w, serial, call, timeout);
}

int forksrv_list_workers(struct forksrv *s, uint64_t timeout, struct forksrv_list **ret_list) {
    struct forksrv_list *l = calloc(1, sizeof *l);
    if (l == NULL)
        return session_fail(s, -ENOMEM, "out of memory");
    struct call call = {.answer = MSG_LISTED, .take = take_workers, .data = l};
    int r = ask(s, MSG_LIST, &call, timeout);
    if (r < 0) {
        forksrv_list_free(l);
        return r;
    }
    *ret_list = l;
    return 0;
}

size_t forksrv_list_count(const struct forksrv_list *l) {
    return l->count;
}

const struct forksrv_info *forksrv_list_get(const struct forksrv_list *l, size_t index) {
    return index < l->count ? &l->infos[index] : NULL;
}

void forksrv_list_free(struct forksrv_list *l) {
    if (l == NULL)
        return;
    for (size_t i = 0; i < l->count; i++)
        free(l->strings[i]);
    free(l->infos);
    free(l->strings);
    free(l);
}

/* ---- counters ---- */

static int take_entry(struct forksrv_status *st, const struct message *record) {
    const char *name = message_str(record, ATTR_KEY), *text = message_str(record, ATTR_TEXT);
    if (name == NULL)
        return -EBADMSG;
    if (st->count == st->allocated) {
        struct status_entry *entries = reallocarray(st->entries, more(st->allocated), sizeof *entries);
        if (entries == NULL)
            return -ENOMEM;
        st->entries = entries;
        st->allocated = more(st->allocated);
    }
    struct status_entry e = {.name = strdup(name), .value = message_u64(record, ATTR_VALUE, 0)};
    if (text != NULL)
        e.text = strdup(text);
    if (e.name == NULL || (text != NULL && e.text == NULL)) {
        free(e.name);
        free(e.text);
        return -ENOMEM;
    }
    st->entries[st->count++] = e;
    return 0;
}

static int take_status(struct call *call, const struct message *m) {
    struct attribute at = {0};
    struct message record;
    int r;
    while ((r = message_next_record(m, &at, &record)) > 0) {
        r = take_entry(call->data, &record);
        if (r < 0)
            return r;
    }
    return r;
}

int forksrv_get_status(struct forksrv *s, uint64_t timeout, struct forksrv_status **ret_status) {
    struct forksrv_status *st = calloc(1, sizeof *st);
    if (st == NULL)
        return session_fail(s, -ENOMEM, "out of memory");
    struct call call = {.answer = MSG_STATUS_REPLY, .take = take_status, .data = st};
    int r = ask(s, MSG_STATUS, &call, timeout);
    if (r < 0) {
        forksrv_status_free(st);
        return r;
    }
    *ret_status = st;
    return 0;
}

size_t forksrv_status_count(const struct forksrv_status *st) {
    return st->count;
}

int forksrv_status_get(const struct forksrv_status *st, size_t index, const char **ret_name, uint64_t *ret_value,
                       const char **ret_text) {
    if (index >= st->count)
        return -ERANGE;
    *ret_name = st->entries[index].name;
    *ret_value = st->entries[index].value;
    *ret_text = st->entries[index].text;
    return 0;
}

void forksrv_status_free(struct forksrv_status *st) {
    if (st == NULL)
        return;
    for (size_t i = 0; i < st->count; i++) {
        free(st->entries[i].name);
        free(st->entries[i].text);
    }
    free(st->entries);
    free(st);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Zygotes: what the server tells of them, and what it is told to do with them. Entries that this version has never heard of are
 * left out. */
#include "client/session.h"

#include <errno.h>
#include <string.h>

enum { ZYGOTE_STRINGS = 6 };

struct entry {
    struct forksrv_zygote_info info;
    char *strings[ZYGOTE_STRINGS]; /* owned */
};

struct forksrv_zygotes {
    size_t count, allocated;
    struct entry *entries; /* owned */
};

static const struct {
    const char *key;
    size_t offset;
} texts[] =
    {
        {"state", offsetof(struct forksrv_zygote_info, state)},       {"runtime", offsetof(struct forksrv_zygote_info, runtime)},
        {"software", offsetof(struct forksrv_zygote_info, software)}, {"program", offsetof(struct forksrv_zygote_info, program)},
        {"trouble", offsetof(struct forksrv_zygote_info, trouble)},
},
  numbers[] = {
      {"preload-usec", offsetof(struct forksrv_zygote_info, preload)},
      {"warm-usec", offsetof(struct forksrv_zygote_info, warm)},
      {"spares", offsetof(struct forksrv_zygote_info, spares)},
      {"setting.spares", offsetof(struct forksrv_zygote_info, spares_wanted)},
      {"workers", offsetof(struct forksrv_zygote_info, workers)},
      {"waiting", offsetof(struct forksrv_zygote_info, waiting)},
      {"limit.workers", offsetof(struct forksrv_zygote_info, workers_max)},
      {"forks", offsetof(struct forksrv_zygote_info, forks)},
      {"starts", offsetof(struct forksrv_zygote_info, starts)},
};

static int keep_string(struct entry *e, const char **where, const char *text) {
    char *copy = strdup(text);
    unsigned i = 0;
    if (copy == NULL)
        return -ENOMEM;
    while (i < ZYGOTE_STRINGS && e->strings[i] != NULL)
        i++;
    if (i == ZYGOTE_STRINGS) {
        free(copy);
        return -EBADMSG; /* the same key twice */
    }
    *where = e->strings[i] = copy;
    return 0;
}

static int new_entry(struct forksrv_zygotes *l, const char *name, struct entry **ret_entry) {
    if (l->count == l->allocated) {
        size_t n = l->allocated != 0 ? 2 * l->allocated : 8;
        struct entry *entries = reallocarray(l->entries, n, sizeof *entries);
        if (entries == NULL)
            return -ENOMEM;
        l->entries = entries;
        l->allocated = n;
    }
    struct entry *e = &l->entries[l->count++];
    *e = (struct entry){.info = {.state = "", .runtime = "", .program = "", .trouble = "", .name = "", .software = ""}};
    *ret_entry = e;
    return keep_string(e, &e->info.name, name);
}

static int take_text(struct entry *e, const char *key, const char *text) {
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (strcmp(texts[i].key, key) == 0)
            return keep_string(e, (const char **)(void *)((char *)&e->info + texts[i].offset), text);
    return 0;
}

static void take_number(struct entry *e, const char *key, uint64_t v) {
    if (strcmp(key, "pid") == 0)
        e->info.pid = (pid_t)v;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (strcmp(numbers[i].key, key) == 0)
            memcpy((char *)&e->info + numbers[i].offset, &v, sizeof v);
}

/* Records of one zygote follow each other. */
static int take_record(struct forksrv_zygotes *l, const struct message *record) {
    const char *name = message_str(record, ATTR_ZYGOTE), *key = message_str(record, ATTR_KEY),
               *text = message_str(record, ATTR_TEXT);
    struct entry *e = l->count > 0 ? &l->entries[l->count - 1] : NULL;
    if (name == NULL || key == NULL)
        return -EBADMSG;
    if (e == NULL || strcmp(e->info.name, name) != 0) {
        int r = new_entry(l, name, &e);
        if (r < 0)
            return r;
    }
    if (text != NULL)
        return take_text(e, key, text);
    take_number(e, key, message_u64(record, ATTR_VALUE, 0));
    return 0;
}

static int take_zygotes(struct call *call, const struct message *m) {
    struct attribute at = {0};
    struct message record;
    int r;
    while ((r = message_next_record(m, &at, &record)) > 0) {
        r = take_record(call->data, &record);
        if (r < 0)
            return r;
    }
    return r;
}

static int ask(struct forksrv *s, const char *name, enum zygote_action action, struct call *call, uint64_t timeout) {
    struct message_writer w;
    uint32_t serial;
    if (name != NULL && (name[0] == 0 || strlen(name) > LIMIT_ZYGOTE))
        return session_fail(s, -EINVAL, "the name of a zygote has 1 to %d bytes", LIMIT_ZYGOTE);
    int r = request_begin(s, SLOT_CALL, MSG_ZYGOTE, &w, &serial);
    if (r < 0)
        return r;
    if (name != NULL)
        message_put_str(&w, ATTR_ZYGOTE, name);
    message_put_u32(&w, ATTR_ACTION, action);
    return request_finish(s, &w, serial, call, timeout);
}

int forksrv_list_zygotes(struct forksrv *s, const char *name, uint64_t timeout, struct forksrv_zygotes **ret_zygotes) {
    struct forksrv_zygotes *l = calloc(1, sizeof *l);
    if (l == NULL)
        return session_fail(s, -ENOMEM, "out of memory");
    struct call call = {.answer = MSG_ZYGOTES, .take = take_zygotes, .data = l};
    int r = ask(s, name, ZYGOTE_LIST, &call, timeout);
    if (r < 0) {
        forksrv_zygotes_free(l);
        return r;
    }
    *ret_zygotes = l;
    return 0;
}

size_t forksrv_zygotes_count(const struct forksrv_zygotes *l) {
    return l->count;
}

const struct forksrv_zygote_info *forksrv_zygotes_get(const struct forksrv_zygotes *l, size_t index) {
    return index < l->count ? &l->entries[index].info : NULL;
}

void forksrv_zygotes_free(struct forksrv_zygotes *l) {
    if (l == NULL)
        return;
    for (size_t i = 0; i < l->count; i++)
        for (unsigned k = 0; k < ZYGOTE_STRINGS; k++)
            free(l->entries[i].strings[k]);
    free(l->entries);
    free(l);
}

static int tell(struct forksrv *s, const char *name, enum zygote_action action, uint64_t timeout) {
    struct call call = {.answer = MSG_DONE};
    if (name == NULL)
        return session_fail(s, -EINVAL, "which zygote?");
    return ask(s, name, action, &call, timeout);
}

int forksrv_warm_zygote(struct forksrv *s, const char *name, uint64_t timeout) {
    return tell(s, name, ZYGOTE_WARM, timeout);
}

int forksrv_stop_zygote(struct forksrv *s, const char *name, uint64_t timeout) {
    return tell(s, name, ZYGOTE_STOP, timeout);
}

int forksrv_reload_zygote(struct forksrv *s, const char *name, uint64_t timeout) {
    return tell(s, name, ZYGOTE_RELOAD, timeout);
}

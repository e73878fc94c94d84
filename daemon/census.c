/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The zygotes in numbers: what `forksrv zygote list` shows. How much memory they have the command looks up itself: that takes the
 * kernel too long for a loop that others wait for. */
#include <errno.h>

#include "daemon/limits.h"
#include "daemon/report.h"
#include "daemon/runtime.h"
#include "daemon/zygote.h"

struct answer {
    struct message_writer m;
    const struct zygote *z;
};

static void begin(struct answer *a, const char *key) {
    message_open_record(&a->m);
    message_put_str(&a->m, ATTR_ZYGOTE, a->z->name);
    message_put_str(&a->m, ATTR_KEY, key);
}

static void number(struct answer *a, const char *key, uint64_t v) {
    begin(a, key);
    message_put_u64(&a->m, ATTR_VALUE, v);
    message_close_record(&a->m);
}

static void text(struct answer *a, const char *key, const char *v) {
    begin(a, key);
    message_put_str_cut(&a->m, ATTR_TEXT, v, LIMIT_TEXT - 1);
    message_close_record(&a->m);
}

static const char *state_of(const struct zygote *z) {
    if (z->current == NULL)
        return z->not_before > daemon_now(z->d) ? "failed" : "stopped";
    return z->current->state == INCARNATION_READY ? "warm" : "starting";
}

static void put_process(struct answer *a) {
    const struct zygote *z = a->z;
    const struct incarnation *i = z->current;
    uint64_t now = daemon_now(z->d);
    number(a, "pid", i != NULL ? (uint64_t)i->pid : 0);
    if (i != NULL && i->software[0] != 0)
        text(a, "software", i->software);
    number(a, "spares", i != NULL ? conversation_spares(i) : 0);
    number(a, "warm-usec", i != NULL && i->state == INCARNATION_READY ? now - z->warm_since : 0);
    number(a, "preload-usec", z->preload);
}

static void put_zygote(struct answer *a) {
    static const char *const runtimes[] = {"python", "dso", "exec"};
    const struct zygote *z = a->z;
    text(a, "state", state_of(z));
    text(a, "runtime", runtimes[z->declaration.runtime]);
    text(a, "program", runtime_program(&z->declaration));
    put_process(a);
    number(a, "workers", z->n_workers - z->n_waiting);
    number(a, "waiting", z->n_waiting);
    number(a, "forking", z->current != NULL ? z->current->n_sent : 0);
    number(a, "forks", z->forks);
    number(a, "starts", z->starts);
    number(a, "limit.workers", z->declaration.max_workers);
    number(a, "setting.spares", z->declaration.spares);
    if (z->trouble != NULL)
        text(a, "trouble", z->trouble);
}

static void end(struct session *s, struct message_writer *m) {
    if (message_end(m) < 0)
        session_lose(s, -ENOMEM);
    session_dirty(s);
}

void census_report(struct session *s, uint32_t serial, struct zygote *one) {
    struct answer a;
    TAILQ_FOREACH(a.z, &s->d->zygotes, link) {
        if ((one != NULL && a.z != one) || (!a.z->declared && a.z->current == NULL))
            continue;
        message_begin(&a.m, &s->out, MSG_ZYGOTES, MESSAGE_MORE, serial);
        put_zygote(&a);
        end(s, &a.m);
    }
    message_begin(&a.m, &s->out, MSG_ZYGOTES, 0, serial);
    end(s, &a.m);
}

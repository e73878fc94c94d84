/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct daemon;
struct message;
struct session;
struct worker;

/* What the daemon after this one will know: each worker in the table, and pidfds where systemd keeps them. */

/* What systemd has kept of an earlier daemon, as it was passed. All owned; -1 where it is not there. */
struct kept {
    int table, depot_in, depot_out;
    struct kept_pidfd {
        uint64_t worker;
        int fd;
    } * pidfds;
    unsigned n_pidfds, size_pidfds;
};

void kept_init(struct kept *k);
void kept_done(struct kept *k);
/* Whether the fd is one of these by its name; it is taken over then. */
bool kept_take(struct kept *k, int fd, const char *name);

/* The table and the depot, as they were kept or new, in systemd's store from now on. Without them the instance serves as well.
 * ret_again: there is something to adopt. */
void keep_init(struct daemon *d, struct kept *k, bool *ret_again);
void keep_done(struct daemon *d);
/* The unit is restarted: detached workers live on, and the next daemon finds them. */
void keep_for_next(struct daemon *d);
/* Workers of an earlier daemon are in our table: what was kept of them is kept on. */
void keep_adopted(struct daemon *d);

/* Before there may be a process. */
void keep_starting(struct worker *w, const struct message *m);
/* Its process is there. in_depot: it has put its pidfd there itself. */
void keep_started(struct worker *w, bool in_depot);
/* Before it is told to end. */
void keep_reason(const struct worker *w);
/* Its end, before anybody is told. */
void keep_end(struct worker *w, uint64_t forget_at);
/* Nobody will ask for it again. */
void keep_forget(struct worker *w);
/* Nobody will, once its session has sent what it has to send. */
void keep_until_told(struct worker *w, struct session *s);
/* It has. */
void keep_told(struct session *s);

/* Whether the job is known: NULL if not. */
struct worker *keep_find_job(const struct daemon *d, const uint8_t *job);

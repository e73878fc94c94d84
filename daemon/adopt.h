/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct daemon;
struct kept;
struct message;
struct session;
struct worker;

/* Workers of the daemon before this one, from the table that outlived it: those that live are watched again, those that ended
 * meanwhile have their ends told. Clients come back to them by the names they gave to their jobs. */

void adopt(struct daemon *d, struct kept *k);

/* A SPAWN that was sent once before. 0: it is answered; 1: it was never started, so it can be now; -ESTALE: nobody knows. */
int adopt_again(struct session *s, const struct message *m);
/* Whether the table would know a job that was sent first at AGAIN: of those without that it knows all. */
bool adopt_knows(const struct daemon *d, const struct message *m);
/* The session has come back to a worker: it is its own again. Answers STARTED, and EXITED if it has ended. */
void adopt_return(struct session *s, uint32_t serial, struct worker *w);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

struct daemon;
struct rusage;
struct worker;

/* Watches workers for their exec and their end. One epoll of its own holds them all: one wake-up of the loop takes every end that
 * has come up since, and sd-event has one source, however many workers there are. */

int reaper_init(struct daemon *d);
void reaper_done(struct daemon *d);

/* Watches w->pidfd, and w->report if there is one. */
int reaper_watch(struct worker *w);
/* For a worker that could not be watched, for lack of memory: its end is asked for now and then instead. */
void reaper_ask(struct worker *w);
/* Asks once. 1: it ended, and how; 0: not yet; -ECHILD: it is not our child. */
int reaper_wait(int pidfd, int *ret_kind, int *ret_value, struct rusage *ret_usage);
/* Reaps processes that nobody here knows. */
void reaper_sweep(struct daemon *d);
/* The same, once more in a moment, whatever happens until then. */
void reaper_sweep_soon(struct daemon *d);
/* Before one of its fds is closed or given away. Closing alone would not do: the client has the same pidfd, and a child that has
 * not exec'd yet has all of our fds, so that epoll would go on telling of a worker that is long gone. */
void reaper_unwatch(const struct daemon *d, int fd);

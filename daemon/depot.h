/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

struct daemon;
struct worker;

/* Where pidfds of young workers lie while the daemon may be killed: under way in a socket of which systemd's file descriptor
 * store keeps both ends. A child puts its own there before its program begins, so there is no moment in which a worker runs whose
 * end could not be known, and systemd has nothing to do for it. Those that live on are moved to the store itself: see keep.h. */

struct depot;

/* The ends: -1 for a new one, or both as they were kept, taken over. */
int depot_new(int in, int out, struct depot **ret_depot);
void depot_free(struct depot *d);
int depot_in(const struct depot *d);
int depot_out(const struct depot *d);

/* For a child that did not do it itself. It may find no room: then the worker is less safe, and nothing else. */
void depot_put(const struct depot *depot, uint64_t worker, int pidfd);

/* One more may lie there. Now and then those that have ended are thrown out. */
void depot_started(struct daemon *d);

/* Throws them out now. */
void depot_renew(struct daemon *d);

/* All that lie there: take() owns the pidfd. They are put back by depot_started, or by whoever takes them. */
void depot_empty(struct depot *d, void (*take)(void *data, uint64_t worker, int pidfd), void *data);

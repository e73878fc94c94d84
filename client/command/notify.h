/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a service tells its manager: sd_notify(3). */

struct notify {
    void *library;
    int (*send)(int pid, int unset_environment, const char *state, const int *fds, unsigned n_fds);
    int (*barrier)(int unset_environment, unsigned long long timeout);
};

/* Negative errno after it said what is wrong: this is no service, or libsystemd is not there. */
int notify_init(struct notify *n);
void notify_done(struct notify *n);

/* Sends it, with a file descriptor (-1: none), and returns once the manager has taken notice. */
int notify_tell(const struct notify *n, const char *state, int fd);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

/* A forksrvd of the benchmark's own, which gets its socket and its key as systemd would pass them. */
struct instance {
    pid_t pid;
    unsigned char key[32];
    char folder[64];
    char address[96];
};

/* 0, or a negative errno after it said what is wrong. */
int instance_start(struct instance *instance, const char *daemon);
/* For programs that look for the key in a file. */
int instance_write_key(const struct instance *instance, const char *path);
void instance_stop(struct instance *instance);

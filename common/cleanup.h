/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Ownership by scope: a local declared with one of these frees what it holds. Giving away is steal_fd, steal_ptr. */

/* Closed once, never retried: on Linux the fd is gone whatever close() says. Keeps errno. */
void close_fd(int fd);

static inline void cleanup_fd(int *fd) {
    close_fd(*fd);
}
static inline void cleanup_free(void *p) {
    void **pp = p;
    free(*pp);
}
static inline void cleanup_file(FILE **f) {
    if (*f != NULL)
        fclose(*f);
}
static inline void cleanup_dir(DIR **d) {
    if (*d != NULL)
        closedir(*d);
}

#define auto_fd __attribute__((cleanup(cleanup_fd))) int
#define auto_free __attribute__((cleanup(cleanup_free)))
#define auto_file __attribute__((cleanup(cleanup_file))) FILE *
#define auto_dir __attribute__((cleanup(cleanup_dir))) DIR *

static inline int steal_fd(int *fd) {
    int taken = *fd;
    *fd = -1;
    return taken;
}

#define steal_ptr(p)                                                                                                             \
    __extension__({                                                                                                              \
        __typeof__(p) steal_ptr_taken = (p);                                                                                     \
        (p) = NULL;                                                                                                              \
        steal_ptr_taken;                                                                                                         \
    })

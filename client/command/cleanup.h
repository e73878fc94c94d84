/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "forksrv.h"

/* Ownership by scope, for the types that the command handles. The command is built on the public header alone, so
 * it has its own set. */

static inline void drop_fd(int *fd) {
    if (*fd >= 0)
        close(*fd);
}
static inline void drop_memory(void *p) {
    void **pp = p;
    free(*pp);
}
static inline void drop_file(FILE **f) {
    if (*f != NULL)
        fclose(*f);
}
static inline void drop_session(struct forksrv **s) {
    forksrv_free(*s);
}
static inline void drop_spec(struct forksrv_spec **s) {
    forksrv_spec_free(*s);
}
static inline void drop_list(struct forksrv_list **l) {
    forksrv_list_free(*l);
}
static inline void drop_zygotes(struct forksrv_zygotes **z) {
    forksrv_zygotes_free(*z);
}
static inline void drop_status(struct forksrv_status **s) {
    forksrv_status_free(*s);
}

#define owned_fd __attribute__((cleanup(drop_fd))) int
#define owned_memory __attribute__((cleanup(drop_memory)))
#define owned_file __attribute__((cleanup(drop_file))) FILE *
#define owned_session __attribute__((cleanup(drop_session))) struct forksrv *
#define owned_spec __attribute__((cleanup(drop_spec))) struct forksrv_spec *
#define owned_list __attribute__((cleanup(drop_list))) struct forksrv_list *
#define owned_zygotes __attribute__((cleanup(drop_zygotes))) struct forksrv_zygotes *
#define owned_status __attribute__((cleanup(drop_status))) struct forksrv_status *

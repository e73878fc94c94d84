/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include "forksrv.h"
#include "options.h"

/* Which instance a subcommand talks to: the options that all of them have. */

enum { KEY_ADDRESS = OPTION_TARGET, KEY_AUTHKEY_FILE, KEY_USER, KEY_PRIVATE };

struct target {
    const char *address; /* all three borrowed from argv; NULL: as the library finds it */
    const char *authkey_file;
    const char *user;
    bool use_private;
};

extern const struct option_spec target_options[];
#define TARGET_GROUP                                                                                                             \
    { "Which instance", target_options }

/* 0, or -ENOENT: the key is none of these. */
int target_set(struct target *target, int key, const char *argument);

/* After a failed open: whether it is because there is no such user at all, which it then says. */
bool target_blames_user(const struct target *target, int error);

/* A session set up as the options say, not open yet. 0, or a negative errno after it said what is wrong. */
int target_new(const struct target *target, struct forksrv **ret_session);
/* The same and open. */
int target_open(const struct target *target, struct forksrv **ret_session);

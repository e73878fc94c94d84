/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <limits.h>
#include <stdbool.h>

/* The credential stores of systemd in which a key can be, and the one in which a new one is made. */

enum { KEYSTORE_FOLDERS = 6 };

struct keystore {
    char name[300]; /* of the file: forksrv.authkey, or forksrv.authkey.USER */
    char folders[KEYSTORE_FOLDERS][PATH_MAX];
    unsigned n_folders; /* in the order in which systemd searches them */
    unsigned own;       /* folders[own]: where a new key is made */
    bool system;
};

/* 0, or a negative errno after it said what is wrong. */
int keystore_of_user(struct keystore *store, const char *user);
int keystore_of_session(struct keystore *store);

/* The index of the first folder that has the key, or -ENOENT, or another negative errno after it said what is wrong. */
int keystore_find(const struct keystore *store);
/* Whether what is in that folder is encrypted by systemd-creds. */
bool keystore_is_encrypted(const struct keystore *store, int folder);
/* Whether a key there can be replaced: /usr/lib is not the administrator's. */
bool keystore_is_ours(const struct keystore *store, int folder);
/* Makes folders[own] with mode 0700 if it is missing, and refuses one in which others could put a key. */
int keystore_make_folder(const struct keystore *store);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

enum { KEY_SIZE = 32 };

/* A new key of random bytes in `directory`/`name`, mode 0600, of that owner ((uid_t)-1: the caller's). The file is there whole or
 * not at all. -EEXIST: there is one, and `replace` is not set. A negative errno otherwise. */
int keyfile_make(const char *directory, const char *name, uid_t uid, gid_t gid, bool replace);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

/* Files and folders that somebody else has written: bounded, never waited for, and below another root if there is one. */

/* open(2) without waiting, close-on-exec. root: a folder that stands for "/", for symbolic links, too; -1: "/" itself. An fd or
 * -errno. */
int regular_open(int root, const char *path, int flags);

/* The whole of a regular file, with a NUL behind it. -ENOENT: there is none; -ENODEV: it is /dev/null; -EINVAL: it is no regular
 * file; -EFBIG: it has more than `most` bytes. */
int regular_read(int root, const char *path, size_t most, char **ret_text, size_t *ret_size);

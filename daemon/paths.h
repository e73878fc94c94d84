/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

/* Where files are. PATH_SYSCONF is set by the build: /etc/forksrv. */

typedef unsigned paths_take(void *data, const char *path);

/* Calls take for each file of the folder that matches, in the order of their names; returns the sum of what it returned. */
unsigned paths_each(const char *dir, const char *pattern, paths_take *take, void *data);

/* $XDG_CONFIG_HOME/forksrv/NAME or ~/.config/forksrv/NAME. -ENOENT: no home. */
int paths_user_config(char *ret_path, size_t size, const char *name);

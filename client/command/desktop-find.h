/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

/* Where desktop entries are: $XDG_DATA_HOME/applications and the same in $XDG_DATA_DIRS. */

struct desktop_file {
    char *path; /* absolute */
    char *id;   /* "kde-foo.desktop" */
    char *text; /* not terminated */
    size_t size;
};

/* An ID, or a path, which has a '/'. -ENOENT: there is none; other errnos as the system has them; -EBADMSG: no regular file, or
 * larger than an entry may be. Each after it said what is wrong. */
int desktop_file_find(const char *name, struct desktop_file *ret_file);
void desktop_file_done(struct desktop_file *f);

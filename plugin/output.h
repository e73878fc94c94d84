/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/words.h"

/* Where units go: into systemd's folder for this run, or onto standard output. */
struct output {
    int dir;           /* owned; -1: print */
    struct words made; /* what there is already, below that folder */
};

/* folder NULL: print. 0 or -errno. */
int output_init(struct output *o, const char *folder);
void output_done(struct output *o);

/* A file, or a symbolic link, in the folder itself (below NULL) or one below it. Nothing is ever replaced, and no link followed:
 * -EEXIST. Names are those of files, not paths: -EINVAL. */
int output_file(struct output *o, const char *below, const char *name, const char *text, size_t size);
int output_link(struct output *o, const char *below, const char *name, const char *target);
/* Was one of this name made by us, in the folder itself? */
bool output_has(const struct output *o, const char *name);

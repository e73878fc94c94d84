/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include "daemon/declaration.h"

/* For tests of declarations: a working directory of their own, and what the daemon would log. */

/* A checked fixture: the working directory is a new one, $XDG_CONFIG_HOME names it, and what is logged can be asked for. */
void files_set_up(void);
void files_tear_down(void);

/* Makes its folders, too. */
void write_file(const char *path, const char *text);

/* Between these, stderr is heard; otherwise it is the test driver's. */
int begin_listening(void);
void end_listening(int before);
/* What was heard since the last call. */
const char *said(void);

/* declaration_read_file of z.conf with this text; declaration_read. */
unsigned read_text(struct declaration *d, const char *text);
bool read_named(const char *name, bool own_files, struct declaration *ret, unsigned *ret_wrong);

/* "a|b|": the words of a list. */
const char *flat(const struct words *w);

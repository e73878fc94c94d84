/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Names that become parts of paths and of units, judged by their syntax alone: nobody is asked whether there is such a thing. */

enum { NAME_UNIT = 256 /* with its NUL */ };

/* A user's: letters, digits, '_', '.' and '-', with a letter or '_' in front; up to 64. */
bool name_is_user(const char *name);
/* That of a zygote, as forksrvd has it. */
bool name_is_zygote(const char *name);
/* That of a unit. type: with its dot, or NULL for any. */
bool name_is_unit(const char *name, const char *type);

/* PREFIX, the name, escaped as systemd-escape does (but for '-', which is kept), and the type. False: too long, or no text. */
bool name_escape(const char *prefix, const char *name, const char *type, char ret_unit[NAME_UNIT]);

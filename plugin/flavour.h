/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "plugin/sources.h"

enum flavour { FLAVOUR_SYSTEM, FLAVOUR_USER };

/* For which manager a program of this name was called. */
enum flavour flavour_of(const char *argv0);
/* Where its declarations stand, the strongest folder first. */
void flavour_folders(enum flavour flavour, struct sources *s);

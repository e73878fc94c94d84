/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

/* The one of `names` (they end with NULL) that `typed` was probably meant to be, or NULL if none is near. */
const char *suggest(const char *typed, const char *const *names);

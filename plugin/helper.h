/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "plugin/output.h"
#include "plugin/sources.h"

/* forksrv.helper(5): forksrv-helper-NAME.service of a user manager, wired to forksrv.socket and the key. Mistakes are told, and
 * then nothing is made of it. */
void helper_make(struct declared *d, struct output *o);

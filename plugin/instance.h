/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "plugin/output.h"
#include "plugin/sources.h"

/* forksrv.instance(5): forksrv@USER.socket of the system, enabled, and drop-ins for it and its service. Mistakes are told, and
 * then nothing is made of it. */
void instance_make(struct declared *d, struct output *o);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/daemon.h"

/* The instance's own life: signals, what systemd is told, idle exit, stop. */

int life_init(struct daemon *d, int lifeline);
void life_done(struct daemon *d);

/* A session or a worker came or went. Cheap. */
void life_changed(struct daemon *d);

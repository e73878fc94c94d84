/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

/* Names of units: https://systemd.io/DESKTOP_ENVIRONMENTS. */

enum { UNIT_NAME_MAX = 255 };

/* app-forksrv-ID-RANDOM.scope, the ID as systemd-escape(1) writes it. One that makes the name too long is cut. */
void unit_name_of_app(const char *id, const char *random, char ret_name[UNIT_NAME_MAX + 1]);
/* Whether systemd takes it for the name of a unit with that suffix, ".scope" or ".slice": both have no instances. */
bool unit_name_is(const char *name, const char *suffix);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

/* What is wrong with a command as the end of an ExecStart= line, or NULL. It is not changed: quotes, variables and specifiers are
 * systemd's. forked: its first word is a zygote's, and may be an option. */
const char *command_mistake(const char *command, bool forked);

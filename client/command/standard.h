/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

/* Standard input, output and error of the caller. */

/* Puts /dev/null where one of them is closed, so that no fd of ours can become 0, 1 or 2. Before anything else is opened. */
void standard_files_init(void);
/* Whether the caller had it open. */
bool standard_file_given(int fd);

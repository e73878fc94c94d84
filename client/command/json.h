/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

#include "forksrv.h"

/* What --json prints. forksrv(1) describes the objects. */

/* Bytes that are not UTF-8 become '?'. */
json_t *json_text(const char *text);
/* A number; UINT64_MAX, which JSON's readers could not hold, is "infinity". */
json_t *json_count(uint64_t value);
json_t *json_end(const struct forksrv_end *end);
json_t *json_info(const struct forksrv_info *info);

/* Writes it and frees it: lines with indentation, or one line. 0 or a negative errno. */
int json_print(FILE *out, json_t *value);
int json_print_line(FILE *out, json_t *value);

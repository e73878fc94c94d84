/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/settings.h"
#include "protocol/limits.h"

/* What a file of forksrv.zygote(5) declares. All times in microseconds. */

enum zygote_runtime { RUNTIME_PYTHON, RUNTIME_DSO, RUNTIME_EXEC };
enum zygote_on_error { ON_ERROR_FAIL, ON_ERROR_WARN };

struct declaration {
    /* [Zygote] */
    unsigned runtime; /* enum zygote_runtime */
    struct words interpreter;
    struct words preload;
    char *module; /* owned, as all strings here */
    struct words environment;
    char *working_directory;
    uint64_t spares;
    uint64_t spare_refill;
    uint64_t idle_stop; /* 0: never */
    uint64_t start_timeout;
    bool warm;
    unsigned on_preload_error; /* enum zygote_on_error */
    uint64_t max_workers;
    /* [Worker]: for each worker that does not bring its own; 0: none */
    uint64_t memory_max, tasks_max, cpu_weight;
    uint64_t time_limit;
};

void declaration_init(struct declaration *d);
void declaration_done(struct declaration *d);

/* What can stand in a zygote's name. */
bool declaration_name_is_fine(const char *name);

/* The file NAME.conf that counts, and the drop-ins of all folders over it. own_files: those of the user count, too. False: no
 * folder has such a file. Wrong lines are logged, counted, and otherwise have no effect. */
bool declaration_read(const char *name, bool own_files, struct declaration *ret_declaration, unsigned *ret_wrong);

/* One file over what is there: for the fuzzer, too. Returns the number of wrong lines. */
unsigned declaration_read_file(struct declaration *d, const char *path, bool *ret_found);

/* Calls take for the name of each declared zygote, in any order, maybe more than once. Returns how many files have no name for
 * one. */
unsigned declaration_each(bool own_files, void (*take)(void *data, const char *name), void *data);

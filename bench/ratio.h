/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include "bench/instance.h"
#include "load.h"

/* The programs that are measured. */
struct bench {
    const char *daemon;
    const char *daemon_no_auth;
    const char *peer;
    const char *peer_no_auth;
    const char *flooder;
    const char *command;
};

/* A load on an instance of the benchmark's own. */
struct stand {
    struct instance instance;
    struct target target;
    struct load_place place;
};
int stand_start(struct stand *stand, const char *daemon);
void stand_stop(struct stand *stand);

/* Seconds of one run, or a negative errno as a double. */
double timed(const struct load *load, struct load_place *place, unsigned total, unsigned active);

/* One line of the table. `goal` 0: there is none. */
void result(const char *what, double figure, const char *unit, double goal, bool at_least);
/* How many goals were missed. */
unsigned results_missed(void);

/* Each prints its lines. 0, or a negative errno after it said what is wrong. */
int measure_throughput(const struct bench *bench);
int measure_latency(const struct bench *bench);
int measure_live(const struct bench *bench);
int measure_memory(const struct bench *bench);
int measure_connections(const struct bench *bench);
int measure_flood(const struct bench *bench);
int measure_command(const struct bench *bench);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What authentication costs: a connection and a handshake for each process, against the same client and daemon built without.
 * They take turns. Every pair serves some rounds and is then replaced by a new one: where the scheduler puts a client and its
 * daemon stays the same for long, and makes more of a difference than what is measured. */
#include <errno.h>
#include <stdio.h>

#include "bench/pipes.h"
#include "bench/ratio.h"
#include "say.h"
#include "statistics.h"

enum { PAIRS = 8, ROUNDS = 16, PROCESSES = 64 };

struct side {
    struct instance instance;
    struct pipes peer;
};

static int side_start(struct side *side, const char *daemon, const char *peer) {
    *side = (struct side){.instance = {.pid = -1}};
    int r = instance_start(&side->instance, daemon);
    const char *const argv[] = {peer, side->instance.address, NULL};
    if (r == 0)
        r = pipes_start(&side->peer, argv);
    if (r == 0 && fwrite(side->instance.key, 1, sizeof side->instance.key, side->peer.to) != sizeof side->instance.key)
        r = -EPIPE;
    return r;
}

static void side_stop(struct side *side) {
    pipes_stop(&side->peer);
    instance_stop(&side->instance);
}

static int side_run(struct side *side, unsigned active, double *ret_seconds) {
    fprintf(side->peer.to, "%u %u\n", (unsigned)PROCESSES, active);
    fflush(side->peer.to);
    if (fscanf(side->peer.from, "%lf", ret_seconds) == 1)
        return 0;
    say("a peer of the comparison ended");
    return -EPIPE;
}

struct figures {
    double speed[2][PAIRS * ROUNDS];
    double ratio[PAIRS * ROUNDS];
};

static int round_of(struct side sides[2], unsigned active, unsigned i, struct figures *f) {
    double seconds[2];
    for (unsigned k = 0; k < 2; k++) {
        /* Who is first changes: the second one finds a warmer machine. */
        unsigned which = k ^ (i & 1);
        int r = side_run(&sides[which], active, &seconds[which]);
        if (r < 0)
            return r;
        f->speed[which][i] = PROCESSES / seconds[which];
    }
    f->ratio[i] = seconds[1] / seconds[0];
    return 0;
}

static int pair_of(const struct bench *bench, unsigned active, unsigned first, struct figures *f) {
    struct side sides[2];
    double warmed;
    int r = side_start(&sides[0], bench->daemon, bench->peer);
    int r2 = side_start(&sides[1], bench->daemon_no_auth, bench->peer_no_auth);
    r = r < 0 ? r : r2;
    for (int k = 0; k < 2 && r == 0; k++)
        r = side_run(&sides[k], active, &warmed);
    for (unsigned i = 0; i < ROUNDS && r == 0; i++)
        r = round_of(sides, active, first + i, f);
    side_stop(&sides[0]);
    side_stop(&sides[1]);
    return r;
}

static int compare(const struct bench *bench, unsigned active, double goal) {
    static struct figures f;
    char what[96];
    for (unsigned pair = 0; pair < PAIRS; pair++) {
        int r = pair_of(bench, active, pair * ROUNDS, &f);
        if (r < 0)
            return r;
    }
    snprintf(what, sizeof what, "a connection and handshake for each process, %u in flight", active);
    result(what, statistics_median(f.speed[0], PAIRS * ROUNDS), "/s", 0, true);
    result("the same without authentication", statistics_median(f.speed[1], PAIRS * ROUNDS), "/s", 0, true);
    result("  ratio", statistics_median(f.ratio, PAIRS * ROUNDS), "", goal, true);
    return 0;
}

int measure_connections(const struct bench *bench) {
    int r = compare(bench, 1, 0.90);
    return r < 0 ? r : compare(bench, 8, 0.93);
}

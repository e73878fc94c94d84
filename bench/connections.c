/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What authentication costs: a connection and a handshake for each process, against the same client and daemon built without.
 * Both stay up all the time and take turns. */
#include <errno.h>
#include <stdio.h>

#include "bench/pipes.h"
#include "bench/ratio.h"
#include "say.h"
#include "statistics.h"

enum { ROUNDS = 101, PROCESSES = 64 };

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

static int compare(struct side sides[2], unsigned active, double goal) {
    double speed[2][ROUNDS], ratio[ROUNDS], seconds[2];
    char what[96];
    for (int i = -1; i < ROUNDS; i++) {
        for (int k = 0; k < 2; k++) {
            /* Who is first changes: the second one finds a warmer machine. */
            int which = k ^ (i & 1);
            int r = side_run(&sides[which], active, &seconds[which]);
            if (r < 0)
                return r;
        }
        for (int k = 0; k < 2 && i >= 0; k++)
            speed[k][i] = PROCESSES / seconds[k];
        if (i >= 0)
            ratio[i] = seconds[1] / seconds[0];
    }
    snprintf(what, sizeof what, "a connection and handshake for each process, %u in flight", active);
    result(what, statistics_median(speed[0], ROUNDS), "/s", 0, true);
    result("the same without authentication", statistics_median(speed[1], ROUNDS), "/s", 0, true);
    result("  ratio", statistics_median(ratio, ROUNDS), "", goal, true);
    return 0;
}

int measure_connections(const struct bench *bench) {
    struct side sides[2];
    int r = side_start(&sides[0], bench->daemon, bench->peer);
    int r2 = side_start(&sides[1], bench->daemon_no_auth, bench->peer_no_auth);
    r = r < 0 ? r : r2;
    if (r == 0)
        r = compare(sides, 1, 0.90);
    if (r == 0)
        r = compare(sides, 8, 0.93);
    side_stop(&sides[0]);
    side_stop(&sides[1]);
    return r;
}

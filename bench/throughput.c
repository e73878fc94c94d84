/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Starts for each second against local posix_spawn, and the time of one start from the request to its end. The peers take turns,
 * round by round, and the ratio is taken within each round: what else the machine does hits both. */
#include <stdio.h>

#include "bench/ratio.h"
#include "statistics.h"

enum { ROUNDS = 31, PROCESSES = 256, ACTIVE = 8, SINGLES = 1500 };

struct figures {
    double speed[3][ROUNDS];
    double ratio[3][ROUNDS];
};

static int round_of(struct stand *stand, const struct load *const peers[3], struct figures *f, int i) {
    double seconds[3];
    for (int k = 0; k < 3; k++) {
        seconds[k] = timed(peers[k], &stand->place, PROCESSES, ACTIVE);
        if (seconds[k] < 0)
            return (int)seconds[k];
    }
    for (int k = 0; k < 3 && i >= 0; k++) {
        f->speed[k][i] = PROCESSES / seconds[k];
        f->ratio[k][i] = seconds[0] / seconds[k];
    }
    return 0;
}

int measure_throughput(const struct bench *bench) {
    const struct load *peers[3] = {load_find("posix-spawn"), load_find("session-started"), load_find("session")};
    static struct figures f;
    struct stand stand;
    int r = stand_start(&stand, bench->daemon);
    /* Round -1 warms up. */
    for (int i = -1; i < ROUNDS && r >= 0; i++)
        r = round_of(&stand, peers, &f, i);
    stand_stop(&stand);
    if (r < 0)
        return r;
    result("posix_spawn of /bin/true, 8 in flight", statistics_median(f.speed[0], ROUNDS), "/s", 0, true);
    result("forksrv, STARTED and pidfd, 8 in flight", statistics_median(f.speed[1], ROUNDS), "/s", 0, true);
    result("forksrv, end only, 8 in flight", statistics_median(f.speed[2], ROUNDS), "/s", 0, true);
    result("  ratio to posix_spawn, STARTED and pidfd", statistics_median(f.ratio[1], ROUNDS), "", 0.80, true);
    result("  ratio to posix_spawn, end only", statistics_median(f.ratio[2], ROUNDS), "", 0.88, true);
    return 0;
}

int measure_latency(const struct bench *bench) {
    static double times[2][SINGLES];
    const struct load *peers[2] = {load_find("posix-spawn"), load_find("session")};
    struct stand stand;
    int r = stand_start(&stand, bench->daemon);
    for (int i = 0; i < SINGLES && r >= 0; i++)
        for (int k = 0; k < 2 && r >= 0; k++) {
            times[k][i] = timed(peers[k], &stand.place, 1, 1);
            r = times[k][i] < 0 ? (int)times[k][i] : 0;
        }
    stand_stop(&stand);
    if (r < 0)
        return r;
    double local = statistics_median(times[0], SINGLES), forksrv = statistics_median(times[1], SINGLES);
    result("posix_spawn to waitpid", local * 1e3, "ms", 0, true);
    result("forksrv, request to end", forksrv * 1e3, "ms", 0, true);
    result("  ratio of the medians", forksrv / local, "", 1.25, false);
    return 0;
}

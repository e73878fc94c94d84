/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Two instances at the same time, one with 10 live workers and one with 2,000: does a start take longer beside many? And what an
 * idle instance costs in memory. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bench/ratio.h"
#include "cleanup.h"
#include "say.h"
#include "statistics.h"

enum { FEW = 10, MANY = 2000, SINGLES = 800 };

/* They end with the session. */
static int start_sleepers(struct stand *stand, unsigned n) {
    static const char *const argv[] = {"/bin/sleep", "infinity", NULL};
    struct forksrv_worker *worker;
    int r = 0;
    owned_spec spec = NULL;
    if (forksrv_spec_new(&spec) < 0 || forksrv_spec_set_argv(spec, argv) < 0)
        return -ENOMEM;
    for (unsigned i = 0; i < n && r >= 0; i++) {
        r = forksrv_spawn(stand->place.session, spec, FORKSRV_FOREVER, &worker);
        if (r >= 0)
            forksrv_worker_free(worker);
    }
    if (r < 0)
        say("%s", forksrv_error(stand->place.session));
    return r;
}

static int compare(struct stand stands[2]) {
    static double times[2][SINGLES];
    const struct load *load = load_find("session");
    for (int i = -1; i < SINGLES; i++)
        for (int k = 0; k < 2; k++) {
            double t = timed(load, &stands[k].place, 1, 1);
            if (t < 0)
                return (int)t;
            if (i >= 0)
                times[k][i] = t;
        }
    double few = statistics_median(times[0], SINGLES), many = statistics_median(times[1], SINGLES);
    result("request to end beside 10 live workers", few * 1e3, "ms", 0, true);
    result("request to end beside 2,000 live workers", many * 1e3, "ms", 0, true);
    result("  ratio of the medians", many / few, "", 1.2, false);
    return 0;
}

int measure_live(const struct bench *bench) {
    struct stand stands[2];
    int r = stand_start(&stands[0], bench->daemon);
    if (r < 0)
        return r;
    r = stand_start(&stands[1], bench->daemon);
    if (r >= 0) {
        r = start_sleepers(&stands[0], FEW);
        if (r >= 0)
            r = start_sleepers(&stands[1], MANY);
        if (r >= 0)
            r = compare(stands);
        stand_stop(&stands[1]);
    }
    stand_stop(&stands[0]);
    return r;
}

static long private_dirty(pid_t pid) {
    char path[64], line[256];
    long kib = -1;
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    owned_file f = fopen(path, "re");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (sscanf(line, "Private_Dirty: %ld", &kib) == 1)
            break;
    return kib;
}

int measure_memory(const struct bench *bench) {
    struct stand stand;
    int r = stand_start(&stand, bench->daemon);
    if (r < 0)
        return r;
    /* It has worked, and its only client has gone. */
    double t = timed(load_find("session"), &stand.place, 1000, 8);
    load_place_done(&stand.place);
    long kib = private_dirty(stand.instance.pid);
    stand_stop(&stand);
    if (t < 0)
        return (int)t;
    if (kib < 0)
        puts("private dirty memory of an idle daemon: only root may read it, it is undumpable");
    else
        result("private dirty memory of an idle daemon, after 1,000 workers", (double)kib / 1024, "MiB", 1.5, false);
    return 0;
}

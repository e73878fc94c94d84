/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An authorised session beside a thousand silent connections and a flood of reconnects, round by round with and without them. */
#include <errno.h>
#include <stdio.h>

#include "bench/pipes.h"
#include "bench/ratio.h"
#include "command.h"
#include "say.h"
#include "statistics.h"

enum { ROUNDS = 15, PROCESSES = 512, ACTIVE = 8 };

static int ask(struct pipes *flooder, char what, unsigned long *ret_answer) {
    fprintf(flooder->to, "%c\n", what);
    fflush(flooder->to);
    if (fscanf(flooder->from, "%lu", ret_answer) == 1)
        return 0;
    say("the flooder ended");
    return -EPIPE;
}

static int disturbed(struct stand *stand, struct pipes *flooder, double *ret_seconds, double *ret_rate) {
    unsigned long n;
    int r = ask(flooder, '+', &n);
    if (r < 0)
        return r;
    *ret_seconds = timed(load_find("session"), &stand->place, PROCESSES, ACTIVE);
    r = ask(flooder, '-', &n);
    *ret_rate = (double)n / *ret_seconds;
    /* Until the server has seen all of them go. */
    if (r == 0)
        r = forksrv_ping(stand->place.session, REPLY_TIMEOUT);
    return *ret_seconds < 0 ? (int)*ret_seconds : r;
}

static int compare(struct stand *stand, struct pipes *flooder) {
    double alone[ROUNDS], beside[ROUNDS], ratio[ROUNDS], rate[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        double quiet = timed(load_find("session"), &stand->place, PROCESSES, ACTIVE), loud = 0;
        int r = quiet < 0 ? (int)quiet : disturbed(stand, flooder, &loud, &rate[i]);
        if (r < 0)
            return r;
        alone[i] = PROCESSES / quiet;
        beside[i] = PROCESSES / loud;
        ratio[i] = quiet / loud;
    }
    result("authorised spawns, undisturbed", statistics_median(alone, ROUNDS), "/s", 0, true);
    result("beside 1,000 silent connections and a flood of reconnects", statistics_median(beside, ROUNDS), "/s", 0, true);
    result("  reconnects that the flood got through", statistics_median(rate, ROUNDS), "/s", 0, true);
    result("  ratio", statistics_median(ratio, ROUNDS), "", 0.8, true);
    return 0;
}

int measure_flood(const struct bench *bench) {
    struct pipes flooder = {0};
    struct stand stand;
    int r = stand_start(&stand, bench->daemon);
    if (r < 0)
        return r;
    const char *const argv[] = {bench->flooder, stand.instance.address, NULL};
    r = pipes_start(&flooder, argv);
    if (r == 0)
        r = compare(&stand, &flooder);
    pipes_stop(&flooder);
    stand_stop(&stand);
    return r;
}

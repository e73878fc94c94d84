/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What every measurement needs: an instance with a session on it, a watch, and a line of the table. */
#include <stdio.h>

#include "bench/ratio.h"
#include "clock.h"

static unsigned missed;

int stand_start(struct stand *stand, const char *daemon) {
    static const char *const true_argv[] = {"/bin/true", NULL};
    *stand = (struct stand){.place = {.argv = true_argv}};
    int r = instance_start(&stand->instance, daemon);
    stand->target.address = stand->instance.address;
    stand->place.target = &stand->target;
    stand->place.key = stand->instance.key;
    if (r == 0)
        r = load_place_open(&stand->place);
    if (r < 0)
        stand_stop(stand);
    return r;
}

void stand_stop(struct stand *stand) {
    load_place_done(&stand->place);
    instance_stop(&stand->instance);
}

double timed(const struct load *load, struct load_place *place, unsigned total, unsigned active) {
    uint64_t before = clock_nsec();
    int r = load->run(place, total, active);
    return r < 0 ? r : (double)(clock_nsec() - before) / 1e9;
}

void result(const char *what, double figure, const char *unit, double goal, bool at_least) {
    bool reached = at_least ? figure >= goal : figure <= goal;
    printf("%-66s %8.2f %-5s", what, figure, unit);
    if (goal > 0)
        printf(" %s %.2f  %s", at_least ? ">=" : "<=", goal, reached ? "yes" : "NO");
    putchar('\n');
    fflush(stdout);
    missed += goal > 0 && !reached;
}

unsigned results_missed(void) {
    return missed;
}

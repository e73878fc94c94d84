/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One side of the comparison with and without authentication: the same program, linked once with the library as it is and once
 * with one that leaves authentication out. Reads lines "TOTAL ACTIVE" and answers each with the seconds that so many processes
 * took, with a connection for each. The key comes on standard input first, as 32 bytes. */
#include <stdio.h>

#include "clock.h"
#include "load.h"
#include "say.h"

static int serve(struct load_place *place) {
    unsigned total, active;
    while (scanf("%u %u", &total, &active) == 2) {
        uint64_t before = clock_nsec();
        if (active > LOAD_ACTIVE_MAX || load_connection(place, total, active) < 0)
            return 1;
        printf("%.9f\n", (double)(clock_nsec() - before) / 1e9);
        fflush(stdout);
    }
    return 0;
}

int main(int argc, char **argv) {
    static const char *const true_argv[] = {"/bin/true", NULL};
    unsigned char key[32];
    struct target target = {.address = argc > 1 ? argv[1] : NULL};
    struct load_place place = {.argv = true_argv, .target = &target, .key = key};
    say_as("bench peer");
    if (target.address == NULL || fread(key, 1, sizeof key, stdin) != sizeof key) {
        say("usage: peer ADDRESS, with the key on standard input");
        return 2;
    }
    int code = load_place_open(&place) < 0 ? 1 : serve(&place);
    load_place_done(&place);
    return code;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Inside a booted systemd: a worker on a kept session against a transient service on a kept bus, both until the process has
 * ended; and the commands that start one, as whole programs. Run as root; the operand is the user whose instance is used. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-bus.h>

#include "bench/ratio.h"
#include "clock.h"
#include "say.h"
#include "statistics.h"

enum { ROUNDS = 10, BLOCK = 15 };

struct bus {
    sd_bus *bus;
    char gone[128]; /* the last job that ended */
};

/* The signal of a job can come before the reply that names the job. */
static int on_job_removed(sd_bus_message *m, void *data, sd_bus_error *error) {
    struct bus *b = data;
    const char *path;
    uint32_t id;
    (void)error;
    if (sd_bus_message_read(m, "uo", &id, &path) >= 0)
        snprintf(b->gone, sizeof b->gone, "%s", path);
    return 0;
}

static int bus_open(struct bus *b) {
    int r = sd_bus_open_system(&b->bus);
    if (r >= 0)
        r = sd_bus_match_signal(b->bus, NULL, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
                                "org.freedesktop.systemd1.Manager", "JobRemoved", on_job_removed, b);
    if (r >= 0)
        r = sd_bus_call_method(b->bus, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
                               "org.freedesktop.systemd1.Manager", "Subscribe", NULL, NULL, "");
    if (r < 0)
        say("no bus to systemd: %s", strerror(-r));
    return r;
}

/* Of type oneshot: its job ends with its process. */
static int ask_for_unit(struct bus *b, unsigned n, sd_bus_message **ret_reply) {
    char name[64];
    snprintf(name, sizeof name, "forksrv-bench-%u.service", n);
    return sd_bus_call_method(b->bus, "org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager",
                              "StartTransientUnit", NULL, ret_reply, "ssa(sv)a(sa(sv))", name, "fail", 3, "Type", "s", "oneshot",
                              "CollectMode", "s", "inactive-or-failed", "ExecStart", "a(sasb)", 1, "/bin/true", 1, "/bin/true", 0,
                              0);
}

static int bus_start(struct bus *b, unsigned n) {
    sd_bus_message *reply = NULL;
    const char *job;
    int r = ask_for_unit(b, n, &reply);
    if (r >= 0)
        r = sd_bus_message_read(reply, "o", &job);
    while (r >= 0 && strcmp(b->gone, job) != 0) {
        r = sd_bus_process(b->bus, NULL);
        if (r == 0)
            r = sd_bus_wait(b->bus, UINT64_MAX);
    }
    sd_bus_message_unref(reply);
    if (r < 0)
        say("StartTransientUnit: %s", strerror(-r));
    return r;
}

/* The four that are compared, each for a number of times in a row: systemd still tidies up for a while after each of its own. */
static int start_one(struct bus *b, struct load_place *place, int which, unsigned n) {
    const char *const systemd_run[] = {"/usr/bin/systemd-run", "--quiet", "--wait", "--pipe", "--collect", "/bin/true", NULL};
    const char *const forksrv_run[] = {FORKSRV_COMMAND,     "run", "--no-private", "--user",
                                       place->target->user, "--",  "/bin/true",    NULL};
    struct load_place program = {.argv = which == 2 ? systemd_run : forksrv_run};
    if (which == 0)
        return bus_start(b, n);
    if (which == 1)
        return load_session_end(place, 1, 1);
    return load_posix_spawn(&program, 1, 1);
}

static int measure(struct bus *b, struct load_place *place, double times[4][ROUNDS * BLOCK]) {
    for (unsigned i = 0; i < ROUNDS * 4; i++)
        for (unsigned j = 0; j < BLOCK; j++) {
            unsigned n = i / 4 * BLOCK + j;
            uint64_t before = clock_nsec();
            int r = start_one(b, place, (int)(i % 4), n);
            if (r < 0)
                return r;
            times[i % 4][n] = (double)(clock_nsec() - before) / 1e9;
        }
    return 0;
}

static void print(double times[4][ROUNDS * BLOCK]) {
    double median[4];
    for (int k = 0; k < 4; k++)
        median[k] = statistics_median(times[k], ROUNDS * BLOCK) * 1e3;
    result("StartTransientUnit on a kept bus, until the process has ended", median[0], "ms", 0, true);
    result("forksrv on a kept session, the same", median[1], "ms", 0, true);
    result("  times faster", median[0] / median[1], "", 5, true);
    result("systemd-run --wait --pipe /bin/true", median[2], "ms", 0, true);
    result("forksrv run -- /bin/true", median[3], "ms", 0, true);
    result("  times faster", median[2] / median[3], "", 5, true);
}

int main(int argc, char **argv) {
    static const char *const true_argv[] = {"/bin/true", NULL};
    static double times[4][ROUNDS * BLOCK];
    struct target target = {.user = argc > 1 ? argv[1] : "root"};
    struct load_place place = {.argv = true_argv, .target = &target};
    struct bus bus = {0};
    say_as("bench");
    int r = bus_open(&bus);
    if (r >= 0)
        r = load_place_open(&place);
    if (r >= 0)
        r = measure(&bus, &place, times);
    if (r >= 0)
        print(times);
    load_place_done(&place);
    sd_bus_flush_close_unref(bus.bus);
    return r < 0;
}

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

enum { ROUNDS = 100 };

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

static int time_program(const char *const *argv, double *ret_seconds) {
    struct load_place place = {.argv = argv};
    *ret_seconds = timed(load_find("posix-spawn"), &place, 1, 1);
    return *ret_seconds < 0 ? (int)*ret_seconds : 0;
}

static int round_of(struct bus *b, struct load_place *place, const char *user, double times[4][ROUNDS], unsigned i) {
    const char *const systemd_run[] = {"/usr/bin/systemd-run", "--quiet", "--wait", "--pipe", "--collect", "/bin/true", NULL};
    const char *const forksrv_run[] = {FORKSRV_COMMAND, "run", "--no-private", "--user", user, "--", "/bin/true", NULL};
    uint64_t before = clock_nsec();
    int r = bus_start(b, i);
    times[0][i] = (double)(clock_nsec() - before) / 1e9;
    if (r >= 0) {
        times[1][i] = timed(load_find("session"), place, 1, 1);
        r = times[1][i] < 0 ? (int)times[1][i] : 0;
    }
    if (r >= 0)
        r = time_program(systemd_run, &times[2][i]);
    return r < 0 ? r : time_program(forksrv_run, &times[3][i]);
}

static void print(double times[4][ROUNDS]) {
    double median[4];
    for (int k = 0; k < 4; k++)
        median[k] = statistics_median(times[k], ROUNDS) * 1e3;
    result("StartTransientUnit on a kept bus, until the process has ended", median[0], "ms", 0, true);
    result("forksrv on a kept session, the same", median[1], "ms", 0, true);
    result("  times faster", median[0] / median[1], "", 5, true);
    result("systemd-run --wait --pipe /bin/true", median[2], "ms", 0, true);
    result("forksrv run -- /bin/true", median[3], "ms", 0, true);
    result("  times faster", median[2] / median[3], "", 5, true);
}

int main(int argc, char **argv) {
    static const char *const true_argv[] = {"/bin/true", NULL};
    static double times[4][ROUNDS];
    struct target target = {.user = argc > 1 ? argv[1] : "root"};
    struct load_place place = {.argv = true_argv, .target = &target};
    struct bus bus = {0};
    say_as("bench");
    int r = bus_open(&bus);
    if (r >= 0)
        r = load_place_open(&place);
    for (unsigned i = 0; i < ROUNDS && r >= 0; i++)
        r = round_of(&bus, &place, target.user, times, i);
    if (r >= 0)
        print(times);
    load_place_done(&place);
    sd_bus_flush_close_unref(bus.bus);
    return r < 0;
}

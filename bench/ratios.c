/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* make bench: the ratios that forksrv promises, each measured against its peer in the same run. Absolute figures differ from
 * machine to machine and are printed beside them; only the ratios have goals. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/ratio.h"
#include "clock.h"
#include "say.h"
#include "statistics.h"

enum { SINGLES = 300 };

/* Two whole programs, from posix_spawn to waitpid. */
static int time_program(const char *const *argv, double *ret_seconds) {
    struct load_place place = {.argv = argv};
    *ret_seconds = timed(load_find("posix-spawn"), &place, 1, 1);
    return *ret_seconds < 0 ? (int)*ret_seconds : 0;
}

static int compare_command(const struct bench *bench, const char *address, const char *key_file) {
    static double times[2][SINGLES];
    const char *const local[] = {"/bin/true", NULL};
    const char *const remote[] = {bench->command, "run", "--", "/bin/true", NULL};
    setenv("FORKSRV_ADDRESS", address, 1);
    setenv("FORKSRV_AUTHKEY_FILE", key_file, 1);
    for (int i = 0; i < SINGLES; i++)
        for (int k = 0; k < 2; k++) {
            int r = time_program(k == 0 ? local : remote, &times[k][i]);
            if (r < 0)
                return r;
        }
    result("/bin/true as a program", statistics_median(times[0], SINGLES) * 1e3, "ms", 0, true);
    result("forksrv run -- /bin/true as a program", statistics_median(times[1], SINGLES) * 1e3, "ms", 3.4, false);
    return 0;
}

int measure_command(const struct bench *bench) {
    char key_file[128];
    struct stand stand;
    int r = stand_start(&stand, bench->daemon);
    if (r < 0)
        return r;
    snprintf(key_file, sizeof key_file, "%s/key", stand.instance.folder);
    r = instance_write_key(&stand.instance, key_file);
    if (r == 0)
        r = compare_command(bench, stand.instance.address, key_file);
    unlink(key_file);
    stand_stop(&stand);
    return r;
}

static const struct {
    const char *name;
    int (*measure)(const struct bench *bench);
} measurements[] = {
    {"throughput", measure_throughput}, {"latency", measure_latency}, {"connections", measure_connections},
    {"command", measure_command},       {"live", measure_live},       {"memory", measure_memory},
    {"flood", measure_flood},
};

/* One of the operands, or any if there are none. */
static bool is_wanted(const char *name, char **operands) {
    if (*operands == NULL)
        return true;
    for (; *operands != NULL; operands++)
        if (strcmp(name, *operands) == 0)
            return true;
    return false;
}

static const char *needed(const char *variable) {
    const char *value = getenv(variable);
    if (value != NULL)
        return value;
    say("$%s is not set; 'make bench' sets what is needed", variable);
    exit(2);
}

int main(int argc, char **argv) {
    (void)argc;
    say_as("bench");
    struct bench bench = {needed("BENCH_DAEMON"),       needed("BENCH_DAEMON_NO_AUTH"), needed("BENCH_PEER"),
                          needed("BENCH_PEER_NO_AUTH"), needed("BENCH_FLOODER"),        needed("BENCH_COMMAND")};
    uint64_t before = clock_nsec();
    for (size_t i = 0; i < sizeof measurements / sizeof measurements[0]; i++) {
        if (!is_wanted(measurements[i].name, argv + 1))
            continue;
        if (measurements[i].measure(&bench) < 0)
            return 1;
        putchar('\n');
    }
    printf("%u goals missed, in %.0f s\n", results_missed(), (double)(clock_nsec() - before) / 1e9);
    return 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Stop and restart told apart, and what is left to do when the daemon could not do it itself. It asks systemd on its bus, and
 * knows no worker: after a stop nothing in the unit's cgroup may live, whoever it is. */
#include "daemon/job.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syslog.h>
#include <systemd/sd-bus.h>
#include <time.h>
#include <unistd.h>

#include "daemon/cgroup.h"
#include "daemon/log.h"

enum { PATIENCE_USEC = 2 * 1000 * 1000 };

#define SYSTEMD "org.freedesktop.systemd1"

bool unit_is_ours(void) {
    const char *pid = getenv("SYSTEMD_EXEC_PID");
    return pid != NULL && (pid_t)strtol(pid, NULL, 10) == getpid();
}

static enum unit_job ask(sd_bus *bus) {
    const char *path;
    char *type = NULL;
    uint32_t id = 0;
    sd_bus_message *m = NULL;
    enum unit_job job = UNIT_JOB_UNKNOWN;
    sd_bus_set_method_call_timeout(bus, PATIENCE_USEC);
    int r = sd_bus_get_property(bus, SYSTEMD, "/org/freedesktop/systemd1/unit/self", SYSTEMD ".Unit", "Job", NULL, &m, "(uo)");
    if (r >= 0)
        r = sd_bus_message_read(m, "(uo)", &id, &path);
    if (r >= 0 && id == 0)
        job = UNIT_JOB_NONE;
    else if (r >= 0 && sd_bus_get_property_string(bus, SYSTEMD, path, SYSTEMD ".Job", "JobType", NULL, &type) >= 0)
        job = strcmp(type, "stop") == 0 ? UNIT_JOB_STOP : strstr(type, "restart") != NULL ? UNIT_JOB_RESTART : UNIT_JOB_NONE;
    free(type);
    sd_bus_message_unref(m);
    return job;
}

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* At a shutdown the bus's socket may be there, and nobody behind it: the first call would wait for that for as long as it takes.
 */
static bool becomes_ready(sd_bus *bus) {
    uint64_t until = now() + PATIENCE_USEC, t;
    while (sd_bus_is_ready(bus) == 0 && (t = now()) < until) {
        int r = sd_bus_process(bus, NULL);
        if (r < 0 || (r == 0 && sd_bus_wait(bus, until - t) < 0))
            return false;
    }
    return sd_bus_is_ready(bus) > 0;
}

enum unit_job unit_job(void) {
    sd_bus *bus = NULL;
    /* Of a user's manager, that variable tells. */
    int r = getenv("MANAGERPID") != NULL ? sd_bus_open_user(&bus) : sd_bus_open_system(&bus);
    enum unit_job job = r >= 0 && becomes_ready(bus) ? ask(bus) : UNIT_JOB_UNKNOWN;
    /* Nothing waits to be sent; to flush could take as long. */
    sd_bus_close_unref(bus);
    return job;
}

/* After a crash systemd starts the daemon again, and it comes back to its workers; but not where it cannot start at all. */
static bool comes_back(void) {
    const char *result = getenv("SERVICE_RESULT"), *status = getenv("EXIT_STATUS");
    enum unit_job job = unit_job();
    if (job == UNIT_JOB_RESTART)
        return true;
    if (job == UNIT_JOB_STOP || result == NULL || strcmp(result, "success") == 0)
        return false;
    return status == NULL || strcmp(status, "78") != 0;
}

int after_stop(void) {
    struct cgroup c;
    log_init(false);
    if (!unit_is_ours()) {
        fputs("forksrvd: --after-stop is for ExecStopPost= of forksrvd's own unit\n", stderr);
        return EXIT_FAILURE;
    }
    if (comes_back() || cgroup_init(&c, (uid_t)-1, (gid_t)-1) < 0 || c.dir < 0)
        return EXIT_SUCCESS;
    unsigned n = cgroup_clear(&c);
    if (n > 0)
        log_line(LOG_INFO, LOG_KIND_STOP, NULL, "%u processes that were left of this instance have been ended", n);
    cgroup_done(&c);
    return EXIT_SUCCESS;
}

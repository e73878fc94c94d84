/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Units of the user's service manager, over sd-bus. As for notify.c libsystemd is loaded when it is needed, so that no other
 * subcommand pays for it. It starts nothing: it puts a process that is there already into a unit. */
#include "userbus.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-journal.h>

#include "clock.h"
#include "say.h"

enum { PATIENCE_USEC = 25 * 1000 * 1000 };

#define MANAGER "org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager"

/* What is used of libsystemd. */
#define FUNCTIONS(F)                                                                                                             \
    F(sd_bus_open_user)                                                                                                          \
    F(sd_bus_flush_close_unref)                                                                                                  \
    F(sd_bus_match_signal_async)                                                                                                 \
    F(sd_bus_message_new_method_call)                                                                                            \
    F(sd_bus_message_unref)                                                                                                      \
    F(sd_bus_message_append)                                                                                                     \
    F(sd_bus_message_read)                                                                                                       \
    F(sd_bus_call)                                                                                                               \
    F(sd_bus_process)                                                                                                            \
    F(sd_bus_wait)                                                                                                               \
    F(sd_bus_error_free)                                                                                                         \
    F(sd_bus_error_has_name)                                                                                                     \
    F(sd_journal_stream_fd)

#define MEMBER(name) __typeof__(&name) name;
#define ENTRY(name) {#name, offsetof(struct userbus, name)},

struct userbus {
    void *library;
    sd_bus *bus;
    const char *waits_for; /* the job's path; NULL: for none */
    char result[32];       /* of that job, once it is done */
    bool no_pidfds;        /* the manager does not know PIDFDs= */
    FUNCTIONS(MEMBER)
};

static const struct {
    const char *name;
    size_t offset;
} functions[] = {FUNCTIONS(ENTRY)};

static int load(struct userbus *b) {
    b->library = dlopen("libsystemd.so.0", RTLD_NOW | RTLD_LOCAL);
    if (b->library == NULL) {
        say("libsystemd is needed: %s", dlerror());
        return -ENOENT;
    }
    for (unsigned i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        void *function = dlsym(b->library, functions[i].name);
        if (function == NULL) {
            say("this libsystemd has no %s", functions[i].name);
            return -ENOSYS;
        }
        memcpy((char *)b + functions[i].offset, &function, sizeof function);
    }
    /* That is of 254. Older managers have no PIDFDs=, and asking in vain costs a round trip; the manager is of the library's
     * version, but for an upgrade just now. */
    b->no_pidfds = dlsym(b->library, "sd_pid_notify_barrier") == NULL;
    return 0;
}

static int on_job_removed(sd_bus_message *m, void *data, sd_bus_error *error) {
    struct userbus *b = data;
    const char *path, *result;
    (void)error;
    if (b->waits_for != NULL && b->sd_bus_message_read(m, "uoss", NULL, &path, NULL, &result) >= 0 &&
        strcmp(path, b->waits_for) == 0)
        strncpy(b->result, result, sizeof b->result - 1);
    return 0;
}

int userbus_new(struct userbus **ret_bus) {
    struct userbus *b = calloc(1, sizeof *b);
    if (b == NULL) {
        say("out of memory");
        return -ENOMEM;
    }
    int r = load(b);
    if (r >= 0) {
        r = b->sd_bus_open_user(&b->bus);
        if (r >= 0)
            r = b->sd_bus_match_signal_async(b->bus, NULL, MANAGER, "JobRemoved", on_job_removed, NULL, b);
        if (r < 0)
            say("no session bus: %s; a unit for the program needs systemd --user, and $XDG_RUNTIME_DIR or "
                "$DBUS_SESSION_BUS_ADDRESS to find its bus",
                strerror(-r));
    }
    if (r < 0) {
        userbus_free(b);
        return r;
    }
    *ret_bus = b;
    return 0;
}

void userbus_free(struct userbus *b) {
    if (b == NULL)
        return;
    if (b->bus != NULL)
        b->sd_bus_flush_close_unref(b->bus);
    if (b->library != NULL)
        dlclose(b->library);
    free(b);
}

/* ---- a scope ---- */

static int append_properties(struct userbus *b, sd_bus_message *m, const struct scope *s, bool by_pidfd) {
    int r = b->sd_bus_message_append(m, "ss", s->unit, "fail");
    /* The array is written as a whole, so its length must be known first. */
    if (r >= 0 && s->source != NULL)
        r = b->sd_bus_message_append(m, "a(sv)", 5, "Description", "s", s->description, "Slice", "s", s->slice, "CollectMode",
                                     "s", "inactive-or-failed", "SourcePath", "s", s->source, by_pidfd ? "PIDFDs" : "PIDs",
                                     by_pidfd ? "ah" : "au", 1, by_pidfd ? s->pidfd : (int)s->pid);
    else if (r >= 0)
        r = b->sd_bus_message_append(m, "a(sv)", 4, "Description", "s", s->description, "Slice", "s", s->slice, "CollectMode",
                                     "s", "inactive-or-failed", by_pidfd ? "PIDFDs" : "PIDs", by_pidfd ? "ah" : "au", 1,
                                     by_pidfd ? s->pidfd : (int)s->pid);
    return r < 0 ? r : b->sd_bus_message_append(m, "a(sa(sv))", 0);
}

static int ask(struct userbus *b, const struct scope *s, bool by_pidfd, sd_bus_error *error, sd_bus_message **ret_reply) {
    sd_bus_message *m = NULL;
    int r = b->sd_bus_message_new_method_call(b->bus, &m, MANAGER, "StartTransientUnit");
    if (r >= 0)
        r = append_properties(b, m, s, by_pidfd);
    if (r >= 0)
        r = b->sd_bus_call(b->bus, m, PATIENCE_USEC, error, ret_reply);
    b->sd_bus_message_unref(m);
    return r;
}

/* Until the job is done: only then the process is in the unit's cgroup. */
static int wait_for_job(struct userbus *b, const char *job) {
    uint64_t deadline = clock_nsec() / 1000 + PATIENCE_USEC;
    b->waits_for = job;
    b->result[0] = '\0';
    int r = 0;
    while (r >= 0 && b->result[0] == '\0') {
        r = b->sd_bus_process(b->bus, NULL);
        uint64_t now = clock_nsec() / 1000;
        if (r == 0 && b->result[0] == '\0')
            r = now < deadline ? b->sd_bus_wait(b->bus, deadline - now) : -ETIMEDOUT;
    }
    b->waits_for = NULL;
    return r;
}

int userbus_start_scope(struct userbus *b, const struct scope *s) {
    sd_bus_error error = SD_BUS_ERROR_NULL;
    sd_bus_message *reply = NULL;
    const char *job;
    bool by_pidfd = s->pidfd >= 0 && !b->no_pidfds;
    int r = ask(b, s, by_pidfd, &error, &reply);
    if (r < 0 && by_pidfd && b->sd_bus_error_has_name(&error, SD_BUS_ERROR_PROPERTY_READ_ONLY)) {
        /* The number is as good while the process waits at its gate. */
        b->no_pidfds = true;
        b->sd_bus_error_free(&error);
        r = ask(b, s, false, &error, &reply);
    }
    if (r >= 0)
        r = b->sd_bus_message_read(reply, "o", &job);
    if (r >= 0)
        r = wait_for_job(b, job);
    if (r < 0) {
        say("cannot make the unit %s: %s", s->unit, error.message != NULL ? error.message : strerror(-r));
    } else if (strcmp(b->result, "done") != 0) {
        say("cannot make the unit %s: its job ended as '%s'; see 'journalctl --user -u %s'", s->unit, b->result, s->unit);
        r = -ECANCELED;
    }
    b->sd_bus_message_unref(reply);
    b->sd_bus_error_free(&error);
    return r < 0 ? r : 0;
}

int userbus_journal(const struct userbus *b, const char *identifier) {
    int fd = b->sd_journal_stream_fd(identifier, LOG_INFO, 1);
    return fd < 0 ? -1 : fd;
}

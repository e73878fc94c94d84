/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* forksrvd: start-up in order, the loop, the end. Only what fails here ends the daemon. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "daemon/adopt.h"
#include "daemon/authenticate.h"
#include "daemon/daemon.h"
#include "daemon/handover.h"
#include "daemon/job.h"
#include "daemon/keep.h"
#include "daemon/launch.h"
#include "daemon/life.h"
#include "daemon/limits.h"
#include "daemon/listener.h"
#include "daemon/log.h"
#include "daemon/privileges.h"
#include "daemon/raw.h"
#include "daemon/reaper.h"
#include "daemon/session.h"
#include "daemon/sweep.h"
#include "daemon/worker.h"
#include "daemon/zygote.h"

/* RestartPreventExitStatus= of the units names it: starting again would not help. */
enum { EXIT_CONFIGURATION = 78 };

struct options {
    const char *user;
    bool private_instance, after_stop;
};

struct passed {
    int listeners[LISTENERS_MAX]; /* owned */
    unsigned n_listeners;
    int key, lifeline; /* owned, or -1 */
    struct kept kept;
};

uint64_t daemon_now(const struct daemon *d) {
    uint64_t now;
    if (sd_event_now(d->event, CLOCK_MONOTONIC, &now) >= 0)
        return now;
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

int daemon_timer(struct daemon *d, sd_event_source **source, uint64_t usec, sd_event_time_handler_t handler, void *data) {
    uint64_t when;
    /* The end of time is never. */
    if (__builtin_add_overflow(daemon_now(d), usec, &when))
        when = UINT64_MAX;
    if (*source == NULL)
        return sd_event_add_time(d->event, source, CLOCK_MONOTONIC, when, 1000, handler, data);
    int r = sd_event_source_set_time(*source, when);
    return r < 0 ? r : sd_event_source_set_enabled(*source, SD_EVENT_ONESHOT);
}

int daemon_timer_new(struct daemon *d, sd_event_source **source, sd_event_time_handler_t handler, void *data) {
    int r = sd_event_add_time(d->event, source, CLOCK_MONOTONIC, UINT64_MAX, 1000, handler, data);
    return r < 0 ? r : sd_event_source_set_enabled(*source, SD_EVENT_OFF);
}

static void usage(void) {
    puts("forksrvd [OPTIONS]\n\n"
         "The daemon of forksrv. It is started by systemd, or by libforksrv as a private instance, which pass it\n"
         "its listening socket and its key; see forksrvd(8).\n\n"
         "  --user=NAME   started as root: read the key, then become NAME for good\n"
         "  --private     a private instance: ends with its client, reads no configuration\n"
         "  --after-stop  for ExecStopPost=: end what the daemon has left, unless it comes back\n"
         "  --version     print the version\n"
         "  --help        print this");
}

/* Returns -1 to go on, else the exit status. */
static int parse(int argc, char **argv, struct options *o) {
    static const struct option known[] = {
        {"user", required_argument, NULL, 'u'}, {"private", no_argument, NULL, 'p'}, {"after-stop", no_argument, NULL, 'a'},
        {"version", no_argument, NULL, 'v'},    {"help", no_argument, NULL, 'h'},    {0},
    };
    int c;
    while ((c = getopt_long(argc, argv, "", known, NULL)) >= 0) {
        if (c == 'u')
            o->user = optarg;
        else if (c == 'p')
            o->private_instance = true;
        else if (c == 'a')
            o->after_stop = true;
        else if (c == 'v' || c == 'h') {
            c == 'v' ? (void)puts("forksrvd " PACKAGE_VERSION) : usage();
            return 0;
        } else
            return EXIT_CONFIGURATION;
    }
    if (optind == argc)
        return -1;
    fprintf(stderr, "forksrvd: unexpected argument \"%s\"; see forksrvd --help\n", argv[optind]);
    return EXIT_CONFIGURATION;
}

/* All signals are blocked from here on: ours come by signalfd, children unblock theirs. All but the one that systemd sends when
 * the watchdog was missed: it has to end us at once. Nothing is ignored, nothing handled, whatever we inherited; libc would leave
 * out the two that it keeps for itself, and a shell may have ignored those, too. */
static void set_signals(void) {
    const uint64_t blocked = ~(UINT64_C(1) << (SIGABRT - 1));
    const struct kernel_sigaction otherwise = {.handler = SIG_DFL};
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &blocked, NULL, KERNEL_SIGSET);
    for (int n = 1; n <= KERNEL_SIGNALS; n++)
        syscall(SYS_rt_sigaction, n, &otherwise, NULL, KERNEL_SIGSET);
}

/* ---- what was passed ---- */

static int take_fd(struct passed *p, int fd, const char *name) {
    if (strcmp(name, "forksrv.authkey") == 0) {
        p->key = fd;
        return 0;
    }
    if (strcmp(name, "forksrv.alive") == 0) {
        p->lifeline = fd;
        return 0;
    }
    if (kept_take(&p->kept, fd, name))
        return 0;
    if (sd_is_socket_unix(fd, SOCK_STREAM, 1, NULL, 0) <= 0 || p->n_listeners == LISTENERS_MAX) {
        log_line(LOG_ERR, LOG_KIND_START_UP, NULL,
                 "the passed file descriptor \"%s\" is not a listening AF_UNIX stream socket, or one too many", name);
        return -EINVAL;
    }
    p->listeners[p->n_listeners++] = fd;
    return 0;
}

static int take_passed(struct passed *p) {
    char **names = NULL;
    int n = sd_listen_fds_with_names(true, &names), r = 0;
    *p = (struct passed){.key = -1, .lifeline = -1};
    kept_init(&p->kept);
    for (int i = 0; i < n; i++) {
        if (r >= 0)
            r = take_fd(p, SD_LISTEN_FDS_START + i, names[i]);
        free(names[i]);
    }
    free(names);
    if (r < 0)
        return r;
    if (n > 0 && p->n_listeners > 0)
        return 0;
    log_line(LOG_ERR, LOG_KIND_START_UP, NULL,
             "no socket was passed. forksrvd is started by its socket unit (systemctl start forksrv@USER.socket), or by forksrv "
             "run --private");
    return -ENOTCONN;
}

/* ---- the order of things ---- */

static int set_up_user(struct daemon *d, const struct options *o, int *key_fd) {
    struct passwd pw = {.pw_uid = (uid_t)-1, .pw_gid = (gid_t)-1};
    char buf[16384];
    int r = 0;
    if (o->user != NULL) {
        log_set_user(o->user);
        r = privileges_find(o->user, &pw, buf, sizeof buf);
    } else if (!o->private_instance) {
        struct passwd own, *found;
        if (getpwuid_r(getuid(), &own, buf, sizeof buf, &found) == 0 && found != NULL)
            log_set_user(own.pw_name);
    }
    if (r >= 0)
        r = key_load(&d->key, steal_fd(key_fd));
    if (r < 0)
        return r;
    if (!o->private_instance)
        r = cgroup_init(&d->cgroup, pw.pw_uid, pw.pw_gid);
    if (r < 0)
        log_line(LOG_WARNING, LOG_KIND_START_UP, NULL, "workers have no cgroups of their own: %s", strerror(-r));
    if (o->user != NULL) {
        r = privileges_drop(&pw);
        if (r < 0)
            return r;
    }
    d->uid = getuid();
    d->session_flavour = o->user == NULL && !o->private_instance;
    d->private_instance = o->private_instance;
    if (!o->private_instance)
        handover_init(d);
    r = privileges_harden();
    if (r < 0)
        log_line(LOG_ERR, LOG_KIND_START_UP, NULL, "cannot become undumpable: %s", strerror(-r));
    return r;
}

static int set_up_loop(struct daemon *d, struct passed *p) {
    int r = sd_event_new(&d->event);
    if (r >= 0)
        r = worker_table_init(d);
    if (r >= 0)
        r = session_sources(d);
    if (r >= 0)
        r = reaper_init(d);
    if (r >= 0)
        r = launch_init(d);
    zygotes_init(d);
    for (unsigned i = 0; i < p->n_listeners && r >= 0; i++)
        r = listener_add(d, steal_fd(&p->listeners[i]));
    if (r >= 0)
        r = life_init(d, steal_fd(&p->lifeline));
    if (r >= 0)
        r = sd_event_set_watchdog(d->event, true);
    d->started_at = r >= 0 ? daemon_now(d) : 0;
    if (r < 0)
        log_line(LOG_ERR, LOG_KIND_START_UP, NULL, "cannot start: %s", strerror(-r));
    return r;
}

/* Those who wait at the socket hear #FAILURE#. It would have us started again at once, and again, as long as somebody waits
 * there. */
static void refuse_waiting(struct passed *p) {
    for (unsigned i = 0; i < p->n_listeners; i++) {
        int fd;
        if (fcntl(p->listeners[i], F_SETFL, O_RDWR | O_NONBLOCK) < 0)
            continue;
        while ((fd = accept4(p->listeners[i], NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
            authenticate_refuse(fd);
            close_fd(fd);
        }
    }
}

static void tear_down(struct daemon *d) {
    struct session *s;
    if (d->event == NULL) {
        key_done(&d->key);
        return;
    }
    listener_stop(d);
    while ((s = TAILQ_FIRST(&d->peers)) != NULL || (s = TAILQ_FIRST(&d->sessions)) != NULL)
        session_free(s);
    d->stopping = true;
    worker_table_done(d);
    zygotes_done(d);
    sweep_done(d);
    keep_done(d);
    launch_done(d);
    reaper_done(d);
    life_done(d);
    d->turn = sd_event_source_disable_unref(d->turn);
    d->flush = sd_event_source_disable_unref(d->flush);
    d->deadline = sd_event_source_disable_unref(d->deadline);
    d->forget = sd_event_source_disable_unref(d->forget);
    sd_event_unref(d->event);
    cgroup_done(&d->cgroup);
    key_done(&d->key);
}

/* What the loop itself finds no memory or fds for, or what the kernel refuses once, costs nobody a session: it goes on after a
 * moment. */
static int loop(struct daemon *d) {
    int r;
    for (unsigned tries = 0; (r = sd_event_loop(d->event)) < 0 && tries < LOOP_TRIES; tries++) {
        log_line(LOG_ERR, LOG_KIND_RESOURCE, NULL, "the event loop failed and goes on: %s", strerror(-r));
        poll(NULL, 0, LOOP_PAUSE_MSEC);
    }
    if (r < 0)
        log_line(LOG_ERR, LOG_KIND_STOP, NULL, "stopping: the event loop fails again and again: %s", strerror(-r));
    return r;
}

static int run(const struct options *o) {
    struct daemon d = {.cgroup = {.dir = -1}, .ends = -1};
    struct passed p;
    int r = take_passed(&p);
    if (r >= 0)
        r = set_up_user(&d, o, &p.key);
    if (r < 0) {
        refuse_waiting(&p);
        return EXIT_CONFIGURATION;
    }
    config_defaults(&d.config);
    if (!o->private_instance)
        config_read(&d.config, d.session_flavour);
    r = set_up_loop(&d, &p);
    if (r >= 0) {
        bool again;
        zygotes_read(&d);
        keep_init(&d, &p.kept, &again);
        if (again)
            adopt(&d, &p.kept);
        zygotes_warm(&d);
        sd_notify(false, "READY=1\nSTATUS=Ready.");
        log_line(LOG_INFO, LOG_KIND_READY, NULL, "ready as uid %u, version %s", (unsigned)d.uid, PACKAGE_VERSION);
        r = loop(&d);
    }
    kept_done(&p.kept);
    tear_down(&d);
    return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv) {
    struct options o = {0};
    int r = parse(argc, argv, &o);
    if (r >= 0)
        return r;
    if (o.after_stop)
        return after_stop();
    set_signals();
    log_init(o.private_instance);
    /* No folder of the client's stays busy because of us. */
    if (chdir("/") < 0) {
        log_line(LOG_ERR, LOG_KIND_START_UP, NULL, "cannot go to /: %s", strerror(errno));
        return EXIT_FAILURE;
    }
    return run(&o);
}

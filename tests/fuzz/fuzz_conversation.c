/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a zygote says to the daemon: datagrams of any content, with fds of some kinds, to the real conversation.c on a loop of its
 * own. Three requests are under way, with serials 1 to 3. Nobody but processes made for it can be hurt. The first byte of the
 * input is the zygote's state; then each datagram has a byte for its fds, one for its length, and its bytes. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "daemon/log.h"
#include "daemon/output.h"
#include "daemon/zygote.h"
#include "tests/fuzz/fds.h"

enum { REQUESTS = 3, WARM = 1, DERIVED = 2, FDS_HERE = 64, NO_PID = 0x7ffffffe };

/* main.c's: time stands still, and no timer ever comes. */
uint64_t daemon_now(const struct daemon *d) {
    (void)d;
    return UINT64_C(1000000000000);
}

int daemon_timer(struct daemon *d, sd_event_source **source, uint64_t usec, sd_event_time_handler_t handler, void *data) {
    (void)d, (void)source, (void)usec, (void)handler, (void)data;
    return 0;
}

int daemon_timer_new(struct daemon *d, sd_event_source **source, sd_event_time_handler_t handler, void *data) {
    return daemon_timer(d, source, 0, handler, data);
}

/* ---- processes that may be killed: each leads a group of its own, and stays a zombie until it is replaced ---- */

static pid_t victims[REQUESTS];

/* It shares our memory, since to copy it for each of them takes longer than all the rest; so it does nothing but wait. */
static int be_victim(void *data) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (getppid() == *(const pid_t *)data)
        pause();
    return 0;
}

static void need_victim(unsigned k) {
    static _Alignas(16) uint8_t stacks[REQUESTS][16 * 1024];
    static pid_t parent;
    siginfo_t info;
    info.si_pid = 0;
    if (victims[k] > 0 && waitid(P_PID, (id_t)victims[k], &info, WEXITED | WNOHANG) == 0 && info.si_pid == 0)
        return;
    parent = getpid();
    victims[k] = clone(be_victim, stacks[k] + sizeof stacks[k], CLONE_VM | SIGCHLD, &parent);
    HOLDS(victims[k] > 0);
    setpgid(victims[k], victims[k]);
}

static bool is_victim(pid_t pid) {
    return pid == victims[0] || pid == victims[1] || pid == victims[2];
}

/* ---- the stage ---- */

static struct daemon daemon_;

static void add_request(struct incarnation *i) {
    struct worker *w;
    struct fork_request *r = calloc(1, sizeof *r);
    HOLDS(r != NULL && worker_new(i->d, NULL, &w) == 0);
    w->zygote = i->zygote;
    w->request = r;
    i->zygote->n_workers++;
    r->worker = w;
    r->channel = -1;
    r->sent_to = i;
    r->due = daemon_now(i->d);
    TAILQ_INSERT_TAIL(&i->sent, r, link);
    i->n_sent++;
}

static struct incarnation *set_up(uint8_t state, int sock) {
    struct daemon *d = &daemon_;
    struct zygote *z = calloc(1, sizeof *z);
    struct incarnation *i = calloc(1, sizeof *i);
    memset(d, 0, sizeof *d);
    HOLDS(z != NULL && i != NULL && sd_event_new(&d->event) >= 0 && worker_table_init(d) == 0);
    d->private_instance = true;
    d->ends = -1;
    TAILQ_INIT(&d->sessions);
    TAILQ_INIT(&d->peers);
    zygotes_init(d);
    z->d = i->d = d;
    i->zygote = z;
    memcpy(z->name, "fuzzed", 7);
    declaration_init(&z->declaration);
    TAILQ_INIT(&z->waiting);
    TAILQ_INIT(&z->askers);
    TAILQ_INSERT_TAIL(&d->zygotes, z, link);
    i->pidfd = i->sock = -1;
    i->pid = NO_PID;
    i->state = state & (WARM | DERIVED) ? INCARNATION_READY : INCARNATION_STARTING;
    TAILQ_INIT(&i->sent);
    TAILQ_INIT(&i->children);
    TAILQ_INSERT_TAIL(&d->incarnations, i, link);
    for (unsigned k = 0; k < REQUESTS; k++)
        add_request(i);
    if (state & DERIVED) {
        HOLDS(worker_new(d, NULL, &i->derived) == 0);
        i->derived->zygote = z;
        z->n_workers++;
    } else {
        auto_fd print = -1;
        z->current = i;
        HOLDS(output_new(d, z->name, &i->output, &print) >= 0);
    }
    HOLDS(conversation_start(i, sock) >= 0);
    return i;
}

static void tear_down(struct incarnation *i) {
    /* It is none any more that could be told to end: its worker goes first, as one that ends does. */
    i->derived = NULL;
    worker_table_done(&daemon_);
    zygotes_done(&daemon_);
    sd_event_unref(daemon_.event);
}

static void check(const struct incarnation *i) {
    const struct fork_request *r;
    const struct worker *w;
    unsigned sent = 0, children = 0;
    TAILQ_FOREACH(r, &i->sent, link)
    sent++;
    TAILQ_FOREACH(w, &i->children, child_link) {
        HOLDS(w->parent == i && is_victim(w->pid) && w->pidfd >= 0 && w->request == NULL);
        children++;
    }
    HOLDS(i->n_sent == sent && i->n_children == children && sent + children <= REQUESTS);
    HOLDS(i->zygote->n_workers == daemon_.n_workers);
    HOLDS(i->sock >= 0 || i->state == INCARNATION_LEAVING || i->mute || i->derived != NULL);
}

/* ---- what is said ---- */

/* A count, and of which kind each of them is: the pidfd of one that is nobody's yet, or of the first one; or no pidfd of a child.
 */
static unsigned make_fds(const struct incarnation *incarnation, uint8_t what, int fds[4]) {
    unsigned n = what & 3;
    for (unsigned i = 0; i < n; i++) {
        unsigned kind = what >> (2 + 2 * i) & 3;
        int ends[2];
        if (kind == 0) {
            fds[i] = (int)syscall(SYS_pidfd_open, victims[incarnation->n_children % REQUESTS], 0);
        } else if (kind == 1) {
            fds[i] = (int)syscall(SYS_pidfd_open, getpid(), 0);
        } else if (kind == 2) {
            fds[i] = (int)syscall(SYS_pidfd_open, victims[0], 0);
        } else {
            HOLDS(pipe2(ends, O_CLOEXEC) == 0);
            close(ends[0]);
            fds[i] = ends[1];
        }
        HOLDS(fds[i] >= 0);
    }
    return n;
}

/* Where the first attribute has 0xff00 to 0xff02 it gets the pid of one of them: that cannot be known beforehand. */
static ssize_t send_one(int sock, const uint8_t *p, size_t n, const int *fds, unsigned n_fds) {
    uint8_t copy[256];
    memcpy(copy, p, n);
    if (n >= 20 && wire_get_u32(copy + 16) >> 8 == 0xff && copy[19] < REQUESTS)
        wire_put_u32(copy + 16, (uint32_t)victims[copy[19]]);
    return fds_send(sock, copy, n, fds, n_fds);
}

static void say_all(const struct incarnation *i, int sock, const uint8_t *p, size_t n) {
    while (n >= 2) {
        int fds[4];
        size_t size = p[1] < n - 2 ? p[1] : n - 2;
        unsigned count = make_fds(i, p[0], fds);
        ssize_t sent = send_one(sock, p + 2, size, fds, count);
        for (unsigned k = 0; k < count; k++)
            close(fds[k]);
        if (sent < 0)
            return;
        HOLDS(sd_event_run(daemon_.event, 0) >= 0);
        check(i);
        p += 2 + size;
        n -= 2 + size;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    int ends[2];
    if (size == 0)
        return 0;
    log_init(true);
    for (unsigned k = 0; k < REQUESTS; k++)
        need_victim(k);
    unsigned before = open_fds(FDS_HERE);
    HOLDS(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
    struct incarnation *i = set_up(data[0], ends[1]);
    say_all(i, ends[0], data + 1, size - 1);
    close(ends[0]);
    HOLDS(sd_event_run(daemon_.event, 0) >= 0);
    check(i);
    HOLDS(i->sock < 0);
    tear_down(i);
    HOLDS(open_fds(FDS_HERE) == before);
    return 0;
}

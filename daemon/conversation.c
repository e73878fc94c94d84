/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a zygote and its children say, and what they are sent. They run code of the user's choice: every message is read as a
 * stranger's, and one that is wrong ends the zygote. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "daemon/crowd.h"
#include "daemon/exitpipe.h"
#include "daemon/handover.h"
#include "daemon/keep.h"
#include "daemon/life.h"
#include "daemon/limits.h"
#include "daemon/log.h"
#include "daemon/oom.h"
#include "daemon/output.h"
#include "daemon/pidfd.h"
#include "daemon/reaper.h"
#include "daemon/report.h"
#include "daemon/zygote.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

enum { RECEIVE = LIMIT_TEXT + 1024, BATCH = 64, FDS = 2 };

/* ---- out ---- */

static void poll_for(struct incarnation *i, uint32_t events) {
    sd_event_source_set_io_events(i->io, events);
}

int conversation_send(struct incarnation *i, struct fork_request *r) {
    ssize_t n = fds_send(i->sock, r->message, r->size, r->fds, r->n_fds);
    if (n == -EAGAIN)
        poll_for(i, EPOLLIN | EPOLLOUT);
    return n < 0 ? (int)n : 0;
}

/* ---- in: the zygote itself ---- */

static void on_ready(struct incarnation *i, const struct message *m) {
    /* A derived one has nothing to get ready for us. */
    const char *software = message_str(m, ATTR_SOFTWARE);
    uint32_t version = message_u32(m, ATTR_VERSION, PROTOCOL_OF_ZYGOTES);
    char text[128];
    if (i->state != INCARNATION_STARTING)
        return;
    if (version != PROTOCOL_OF_ZYGOTES) {
        snprintf(text, sizeof text, "it speaks version %u of forksrv-zygote(7), and this server version %d", version,
                 PROTOCOL_OF_ZYGOTES);
        incarnation_kill(i, text);
        return;
    }
    snprintf(i->software, sizeof i->software, "%s", software != NULL ? software : "");
    i->state = INCARNATION_READY;
    sd_event_source_set_enabled(i->deadline, SD_EVENT_OFF);
    /* What it printed until now comes before the line that it is warm. */
    output_tail(i->output);
    zygote_is_ready(i->zygote, i, message_str(m, ATTR_TEXT));
}

static void on_unready(struct incarnation *i, const struct message *m) {
    const char *text = message_str(m, ATTR_TEXT);
    if (i->state == INCARNATION_STARTING)
        incarnation_say(i, text != NULL ? text : strerror((int)message_u32(m, ATTR_ERRNO, EIO)));
}

/* ---- in: children ---- */

static struct fork_request *find_sent(struct incarnation *i, uint32_t serial) {
    struct fork_request *r;
    TAILQ_FOREACH(r, &i->sent, link)
    if ((uint32_t)r->worker->id == serial)
        return r;
    return NULL;
}

static struct worker *find_child(const struct incarnation *i, pid_t pid) {
    struct worker *w;
    TAILQ_FOREACH(w, &i->children, child_link)
    if (w->pid == pid)
        return w;
    return NULL;
}

static struct fork_request *take_sent(struct incarnation *i, const struct message *m) {
    struct fork_request *r = find_sent(i, m->serial);
    if (r == NULL)
        return NULL;
    TAILQ_REMOVE(&i->sent, r, link);
    i->n_sent--;
    r->sent_to = NULL;
    return r;
}

static void become_child(struct incarnation *i, struct worker *w, pid_t pid, int *pidfd) {
    w->pid = pid;
    w->pidfd = steal_fd(pidfd);
    w->parent = i;
    TAILQ_INSERT_HEAD(&i->children, w, child_link);
    i->n_children++;
    i->forks++;
    i->zygote->forks++;
    w->d->counters.forks++;
    w->d->counters.started++;
    if (w->record == NULL)
        keep_starting(w, NULL);
    keep_started(w, false);
    crowd_move_up(w);
    incarnation_audit(w->d);
}

/* From here on its parent tells its end. If it was told to end meanwhile, that is made up for. */
static void begin_life(struct worker *w, bool unwanted, int channel) {
    int r = channel >= 0 ? incarnation_derive(w, channel) : 0;
    if (r < 0) {
        log_line(LOG_ERR, LOG_KIND_RESOURCE, NULL, "worker %llu cannot be a zygote of its own and is ended: %s",
                 (unsigned long long)w->id, strerror(-r));
        unwanted = true;
    }
    if (w->has_oom_score_adj)
        oom_set(w);
    if (w->flags & SPAWN_HAND_OVER) {
        unwanted ? handover_unwanted(w) : handover_forked(w);
        return;
    }
    report_started(w);
    if (unwanted) {
        enum end_reason reason = w->reason != 0 ? w->reason : REASON_SESSION_ENDED;
        w->reason = 0;
        worker_terminate(w, reason);
    }
}

/* A process that we know is no new one: our own children, zygotes and workers, and those of other zygotes. Only what is not
 * plainly its child is looked for among all of them. */
static bool is_known(const struct incarnation *i, int pidfd, pid_t pid, pid_t parent) {
    siginfo_t info;
    bool ours = waitid((idtype_t)P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
    return (ours || (parent != 0 && parent != i->pid)) && zygotes_know(i->d, pid);
}

/* ret_pid: what the message says, until the kernel knows better. One that has ended and been reaped already still is what its own
 * message said. -EBADMSG: it is no pidfd, or not that of a process that can be new. Another error: the kernel cannot be asked. */
static int check_pid(const struct incarnation *i, int pidfd, pid_t *ret_pid) {
    pid_t pid = 0, parent = 0;
    int r = pidfd >= 0 ? pidfd_pid(pidfd, &pid, &parent) : -EBADMSG;
    if (r == -ESRCH)
        pid = *ret_pid;
    else if (r < 0 && r != -EINVAL)
        return r;
    else if (r < 0 || is_known(i, pidfd, pid, parent))
        return -EBADMSG;
    if (pid <= 1 || pid == getpid())
        return -EBADMSG;
    *ret_pid = pid;
    return 0;
}

static int on_forked(struct incarnation *i, const struct message *m, int *pidfd) {
    pid_t pid = (pid_t)message_u32(m, ATTR_PID, 0);
    int r = check_pid(i, *pidfd, &pid);
    if (r == -EBADMSG)
        return r;
    i->taken += message_u32(m, ATTR_SPARES, 0) != 0;
    struct fork_request *request = take_sent(i, m);
    if (r < 0 || request == NULL) {
        /* Nobody waits for it: it was given up. Or nobody can look after it, and as it runs no other may have its request. */
        syscall(SYS_pidfd_send_signal, *pidfd, SIGKILL, NULL, 0);
        if (request != NULL)
            fork_fail(request, -r, "the kernel cannot be asked which process it is: it is ended");
        return 0;
    }
    struct worker *w = request->worker;
    bool unwanted = request->unwanted;
    int channel = steal_fd(&request->channel);
    become_child(i, w, pid, pidfd);
    fork_request_free(request);
    begin_life(w, unwanted, channel);
    return 0;
}

static void on_unforked(struct incarnation *i, const struct message *m) {
    const char *text = message_str(m, ATTR_TEXT);
    uint32_t error = message_u32(m, ATTR_ERRNO, EIO), stage = message_u32(m, ATTR_STAGE, STAGE_ZYGOTE);
    char made[LIMIT_TEXT];
    struct fork_request *r = take_sent(i, m);
    if (r == NULL)
        return;
    if (error == 0 || error > 4095)
        error = EIO;
    if (text == NULL) {
        snprintf(made, sizeof made, "%s: %s", stage_name((enum stage)stage), strerror((int)error));
        text = made;
    }
    fork_fail_at(r, stage < STAGE_COUNT ? (enum stage)stage : STAGE_ZYGOTE, (int)error, text);
}

static void usage_of(const struct message *m, struct rusage *ret) {
    const struct attribute *a = &m->attributes[ATTR_RUSAGE];
    uint64_t v[RUSAGE_FIELDS] = {0};
    for (unsigned k = 0; k < RUSAGE_FIELDS && k < a->size / 8; k++)
        v[k] = wire_get_u64(a->data + 8 * k);
    *ret = (struct rusage){
        .ru_utime = {(time_t)(v[RUSAGE_USER] / 1000000), (suseconds_t)(v[RUSAGE_USER] % 1000000)},
        .ru_stime = {(time_t)(v[RUSAGE_SYSTEM] / 1000000), (suseconds_t)(v[RUSAGE_SYSTEM] % 1000000)},
        .ru_maxrss = (long)v[RUSAGE_MAXRSS],
        .ru_minflt = (long)v[RUSAGE_MINFLT],
        .ru_majflt = (long)v[RUSAGE_MAJFLT],
        .ru_inblock = (long)v[RUSAGE_INBLOCK],
        .ru_oublock = (long)v[RUSAGE_OUBLOCK],
        .ru_nvcsw = (long)v[RUSAGE_NVCSW],
        .ru_nivcsw = (long)v[RUSAGE_NIVCSW],
    };
}

static void finish(struct worker *w) {
    if (w->reason != 0)
        worker_kill_group(w, SIGKILL);
    worker_ended_as(w, w->end_kind, w->end_value);
}

/* Said before the child is reaped, so that it is not lost if its parent dies now. With what it used it is all there is to say;
 * otherwise that comes in REAPED. A process that is no worker (a spare, a child that could not be one) is nobody here; but one
 * that was killed may have had a request in its hands. */
static int on_ended(struct incarnation *i, const struct message *m) {
    struct worker *w = find_child(i, (pid_t)message_u32(m, ATTR_PID, 0));
    const struct attribute *a = &m->attributes[ATTR_END];
    uint32_t kind = a->size > 0 ? wire_get_u32(a->data) : 0, value = a->size > 0 ? wire_get_u32(a->data + 4) : 0;
    if (kind < END_EXITED || kind > END_DUMPED || value > (kind == END_EXITED ? 255U : 64U))
        return -EBADMSG;
    if (w == NULL && kind != END_EXITED && !handover_ended(i->d, (pid_t)message_u32(m, ATTR_PID, 0)))
        incarnation_doubt(i);
    if (w == NULL || w->end_known)
        return 0;
    w->end_known = true;
    w->end_kind = (int)kind;
    w->end_value = (int)value;
    if (!message_has(m, ATTR_RUSAGE))
        return 0;
    usage_of(m, &w->usage);
    finish(w);
    return 0;
}

static void on_reaped(struct incarnation *i, const struct message *m) {
    struct worker *w = find_child(i, (pid_t)message_u32(m, ATTR_PID, 0));
    if (w == NULL || !w->end_known)
        return;
    usage_of(m, &w->usage);
    finish(w);
}

/* A derived zygote has forked a worker for its client, who did not ask us for it. */
static int on_born(struct incarnation *i, const struct message *m, int fds[FDS]) {
    pid_t pid = (pid_t)message_u32(m, ATTR_PID, 0);
    int r = check_pid(i, fds[0], &pid);
    if (r == -EBADMSG || i->derived == NULL || (fds[1] >= 0 && !exit_pipe_is_one(fds[1])))
        return -EBADMSG;
    if (r < 0)
        log_line(LOG_ERR, LOG_KIND_RESOURCE, NULL, "zygote %s: which process was born cannot be known, it is ended: %s",
                 i->zygote->name, strerror(-r));
    struct worker *w = r < 0 ? NULL : fork_born(i, m);
    if (w == NULL) {
        syscall(SYS_pidfd_send_signal, fds[0], SIGKILL, NULL, 0);
        return 0;
    }
    w->exit_pipe = steal_fd(&fds[1]);
    become_child(i, w, pid, &fds[0]);
    begin_life(w, false, -1);
    return 0;
}

static void on_spares(struct incarnation *i, const struct message *m) {
    i->spares_said = message_u32(m, ATTR_SPARES, 0);
    i->taken_said = message_u64(m, ATTR_VALUE, 0);
}

/* A spare says FORKED when it likes, so it may come before its zygote has seen it taken, or after. */
unsigned conversation_spares(const struct incarnation *i) {
    uint64_t since = i->taken > i->taken_said ? i->taken - i->taken_said : 0;
    return since < i->spares_said ? i->spares_said - (unsigned)since : 0;
}

/* ---- in ---- */

static int handle(struct incarnation *i, const struct message *m, int fds[FDS]) {
    if (m->type == MSG_READY)
        on_ready(i, m);
    else if (m->type == MSG_UNREADY)
        on_unready(i, m);
    else if (m->type == MSG_FORKED)
        return on_forked(i, m, &fds[0]);
    else if (m->type == MSG_UNFORKED)
        on_unforked(i, m);
    else if (m->type == MSG_ENDED)
        return on_ended(i, m);
    else if (m->type == MSG_REAPED)
        on_reaped(i, m);
    else if (m->type == MSG_BORN)
        return on_born(i, m, fds);
    else if (m->type == MSG_SPARES)
        on_spares(i, m);
    return 0;
}

/* One message. 1: there may be more; 0: none now; or an error that ends it. */
static int receive(struct incarnation *i) {
    uint8_t buf[RECEIVE];
    struct fd_queue queue;
    struct message m;
    int fds[FDS] = {-1, -1};
    fd_queue_init(&queue);
    ssize_t n = fds_receive(i->sock, buf, sizeof buf, &queue);
    /* All of them are gone, and requests of ours were left unread: the kernel tells that first, and once. What they have said
     * before is still there. */
    if (n == -ECONNRESET)
        n = fds_receive(i->sock, buf, sizeof buf, &queue);
    if (n == -EAGAIN)
        return 0;
    if (n <= 0) {
        /* An empty datagram looks like the end, but can bring some. */
        fd_queue_done(&queue);
        return n == 0 ? -EPIPE : (int)n;
    }
    int r = message_read(buf, (size_t)n, FROM_ZYGOTE, STATE_READY, &m);
    if (r >= 0 && (queue.count > (m.type == MSG_BORN ? FDS : 1) || message_fds(&m) != queue.count))
        r = -EBADMSG;
    if (r >= 0 && queue.count > 0)
        fd_queue_take(&queue, (unsigned)queue.count, fds);
    fd_queue_done(&queue);
    if (r >= 0)
        r = handle(i, &m, fds);
    close_fd(fds[0]);
    close_fd(fds[1]);
    return r < 0 ? r : 1;
}

static int receive_all(struct incarnation *i, unsigned most) {
    int r = 1;
    for (unsigned k = 0; k < most && r > 0 && i->sock >= 0; k++)
        r = receive(i);
    return r;
}

void conversation_drain(struct incarnation *i) {
    bool busy = i->busy;
    i->busy = true;
    /* A child that speaks after this is told that nobody listens, and does not begin. One that has spoken before it is heard:
     * between the last read and the close its word would be lost, and its request be given to another one. */
    if (i->sock >= 0)
        shutdown(i->sock, SHUT_RD);
    /* As much as a socket holds. */
    int r = receive_all(i, 4096);
    if (r < 0)
        conversation_end(i);
    i->busy = busy;
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *data) {
    (void)source, (void)fd;
    struct incarnation *i = data;
    struct zygote *z = i->zygote;
    struct daemon *d = i->d;
    i->busy = true;
    int r = revents & (EPOLLIN | EPOLLHUP | EPOLLERR) ? receive_all(i, BATCH) : 1;
    i->busy = false;
    if (r == -EPIPE || r == -ECONNRESET) {
        /* Nobody is left who could say anything. The process itself may still be on its way out. */
        conversation_end(i);
        incarnation_mute(i);
    } else if (r < 0) {
        conversation_end(i);
        incarnation_kill(i, "it broke the protocol of zygotes: a message is malformed, or its file descriptors do not match");
    } else if (revents & EPOLLOUT) {
        poll_for(i, EPOLLIN);
    }
    zygote_pump(z);
    reaper_sweep(d);
    life_changed(d);
    return 0;
}

int conversation_start(struct incarnation *i, int sock) {
    int r = sd_event_add_io(i->d->event, &i->io, sock, EPOLLIN, on_io, i);
    if (r < 0) {
        close_fd(sock);
        return r;
    }
    sd_event_source_set_io_fd_own(i->io, true);
    i->sock = sock;
    return 0;
}

void conversation_end(struct incarnation *i) {
    i->io = sd_event_source_disable_unref(i->io);
    i->sock = -1;
}

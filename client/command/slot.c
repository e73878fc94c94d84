/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Waiting for a slot. The server keeps a request until it has room for a worker, and nobody asks it meanwhile. Only where it
 * cannot keep one, because it has no room for the session or for what waits, it is asked again, less and less often. */
#include "slot.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "ending.h"

static const uint64_t msec = 1000000;

enum { FIRST_PAUSE_MSEC = 50, LONGEST_PAUSE_MSEC = 2000 };

void slot_init(struct slot *slot, uint64_t usec) {
    uint64_t now = clock_nsec();
    *slot = (struct slot){usec, FIRST_PAUSE_MSEC * msec};
    if (usec != 0)
        slot->until = usec < (UINT64_MAX - now) / 1000 ? now + usec * 1000 : UINT64_MAX;
}

bool slot_waits(const struct slot *slot) {
    return slot->until != 0;
}

static uint64_t left(const struct slot *slot) {
    uint64_t now = clock_nsec();
    return slot->until > now ? slot->until - now : 0;
}

void slot_set(const struct slot *slot, struct forksrv_spec *spec) {
    if (slot->until == UINT64_MAX)
        forksrv_spec_set_slot_wait(spec, FORKSRV_FOREVER);
    else if (slot->until != 0)
        forksrv_spec_set_slot_wait(spec, left(slot) / 1000);
}

bool slot_refused(enum forksrv_stage stage, int error) {
    return stage == FORKSRV_STAGE_LIMIT && error == -EAGAIN;
}

/* Whether they are blocked here or not. */
static int signal_within(uint64_t nsec) {
    static const int ending[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};
    const struct timespec t = {(time_t)(nsec / 1000000000), (long)(nsec % 1000000000)};
    sigset_t set, before;
    sigemptyset(&set);
    for (unsigned i = 0; i < sizeof ending / sizeof ending[0]; i++) {
        struct sigaction action;
        /* What the caller has us ignore stays ignored. */
        if (sigaction(ending[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
            sigaddset(&set, ending[i]);
    }
    sigprocmask(SIG_BLOCK, &set, &before);
    int signo = sigtimedwait(&set, NULL, &t);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return signo > 0 ? signo : 0;
}

bool slot_again(struct slot *slot) {
    uint64_t patience = left(slot);
    /* The server counts in whole microseconds. */
    if (patience < msec)
        return false;
    /* Many that were refused together do not come back together. */
    uint64_t pause = slot->pause / 2 + (clock_nsec() / 1000 * 2654435761u + (uint64_t)getpid() * 40503) % (slot->pause / 2);
    slot->pause = slot->pause * 2 < LONGEST_PAUSE_MSEC * msec ? slot->pause * 2 : LONGEST_PAUSE_MSEC * msec;
    int signo = signal_within(pause < patience ? pause : patience);
    if (signo != 0)
        exit(end_by_signal(signo));
    return true;
}

int slot_spawn(struct slot *slot, struct forksrv *session, struct forksrv_spec *spec, struct forksrv_worker **ret_worker) {
    int r;
    do {
        if (slot != NULL)
            slot_set(slot, spec);
        r = forksrv_spawn(session, spec, FORKSRV_FOREVER, ret_worker);
    } while (slot != NULL && r < 0 && slot_refused(forksrv_last_stage(session), r) && slot_again(slot));
    return r;
}

bool slot_session_refused(struct forksrv *session) {
    struct forksrv_event event;
    while (forksrv_next_event(session, &event) > 0)
        if (event.kind == FORKSRV_EVENT_CLOSED)
            return event.error == -EAGAIN;
    return false;
}

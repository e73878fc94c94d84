/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* forksrv in a loop of plain poll(2): starts `sleep 1` three times, and tells how each one ends. */
#include <forksrv.h>
#include <poll.h>
#include <stdio.h>

static int start(struct forksrv *session) {
    static const char *const argv[] = {"sleep", "1", NULL};
    struct forksrv_spec *spec;
    struct forksrv_worker *worker;
    int i, r;

    r = forksrv_spec_new(&spec);
    if (r < 0)
        return r;
    r = forksrv_spec_set_argv(spec, argv);
    for (i = 0; i < 3 && r >= 0; i++)
        r = forksrv_submit(session, spec, &worker);
    forksrv_spec_free(spec);
    return r;
}

/* Returns how many workers are through. */
static int tell(const struct forksrv_event *event) {
    long pid = event->worker != NULL ? (long)forksrv_worker_pid(event->worker) : 0;
    struct forksrv_end end;

    if (event->kind == FORKSRV_EVENT_STARTED)
        printf("process %ld runs\n", pid);
    if (event->kind == FORKSRV_EVENT_FAILED)
        printf("not started: %s\n", event->text);
    if (event->kind == FORKSRV_EVENT_ENDED && forksrv_worker_end(event->worker, &end) == 0)
        printf("process %ld ended: %s, code %d, signal %d\n", pid, forksrv_reason_name(end.reason), end.code, end.signo);
    if (event->kind != FORKSRV_EVENT_FAILED && event->kind != FORKSRV_EVENT_ENDED)
        return 0;
    forksrv_worker_free(event->worker);
    return 1;
}

static int loop(struct forksrv *session) {
    struct forksrv_event event;
    struct pollfd p;
    int r, through = 0;

    while (through < 3) {
        p.fd = forksrv_fd(session);
        p.events = (short)forksrv_events(session);
        if (poll(&p, 1, -1) < 0)
            continue;
        r = forksrv_process(session);
        while (forksrv_next_event(session, &event) == 1)
            through += tell(&event);
        if (r < 0)
            return r;
    }
    return 0;
}

int main(void) {
    struct forksrv *session;
    int r = forksrv_new(&session);

    if (r < 0)
        return 1;
    r = forksrv_open(session);
    if (r >= 0)
        r = start(session);
    if (r >= 0)
        r = loop(session);
    if (r < 0)
        fprintf(stderr, "%s\n", forksrv_error(session));
    forksrv_free(session);
    return r < 0;
}

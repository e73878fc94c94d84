/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* forksrv in an sd-event loop: starts `sleep 1`, and ends with it. */
#include <forksrv.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <systemd/sd-event.h>

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *data) {
    struct forksrv *session = data;
    struct forksrv_event event;
    struct forksrv_end end;
    int r = forksrv_process(session);

    (void)fd, (void)revents;
    while (forksrv_next_event(session, &event) == 1) {
        if (event.kind == FORKSRV_EVENT_ENDED && forksrv_worker_end(event.worker, &end) == 0)
            return sd_event_exit(sd_event_source_get_event(source), end.signo != 0 ? 128 + end.signo : end.code);
        if (event.kind == FORKSRV_EVENT_FAILED || event.kind == FORKSRV_EVENT_CLOSED) {
            fprintf(stderr, "%s\n", event.text);
            return sd_event_exit(sd_event_source_get_event(source), 125);
        }
    }
    return r;
}

/* What the session waits for changes with every call on it: asked for anew before each poll. */
static int on_prepare(sd_event_source *source, void *data) {
    return sd_event_source_set_io_events(source, (uint32_t)forksrv_events(data));
}

static int start(struct forksrv *session) {
    static const char *const argv[] = {"sleep", "1", NULL};
    struct forksrv_spec *spec;
    struct forksrv_worker *worker;
    int r = forksrv_spec_new(&spec);

    if (r < 0)
        return r;
    r = forksrv_spec_set_argv(spec, argv);
    if (r >= 0)
        r = forksrv_submit(session, spec, &worker);
    forksrv_spec_free(spec);
    return r;
}

static int loop(struct forksrv *session) {
    sd_event *loop = NULL;
    sd_event_source *source = NULL;
    int r = sd_event_new(&loop);

    /* The events of <poll.h> and <sys/epoll.h> have the same values. */
    if (r >= 0)
        r = sd_event_add_io(loop, &source, forksrv_fd(session), EPOLLIN, on_io, session);
    if (r >= 0)
        r = sd_event_source_set_prepare(source, on_prepare);
    if (r >= 0)
        r = sd_event_loop(loop);
    sd_event_source_unref(source);
    sd_event_unref(loop);
    return r;
}

int main(void) {
    struct forksrv *session;
    int r = forksrv_new(&session);

    if (r < 0)
        return 125;
    r = forksrv_open(session);
    if (r >= 0)
        r = start(session);
    if (r < 0)
        fprintf(stderr, "%s\n", forksrv_error(session));
    else
        r = loop(session);
    forksrv_free(session);
    return r < 0 ? 125 : r;
}

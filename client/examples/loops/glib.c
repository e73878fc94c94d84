/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* forksrv in a main loop of GLib, and so of GTK: starts `sleep 1`, and ends with it.
 * cc glib.c $(pkg-config --cflags --libs libforksrv glib-2.0) */
#include <forksrv.h>
#include <glib-unix.h>
#include <glib.h>

/* A session as a source. */
struct source {
    GSource source;
    gpointer fd;
    struct forksrv *session;
    GMainLoop *loop;
    int code;
};

/* What the session waits for changes with every call on it: asked for anew before each poll. G_IO_IN and POLLIN are the same. */
static gboolean prepare(GSource *source, gint *timeout) {
    struct source *s = (struct source *)source;

    *timeout = -1;
    g_source_modify_unix_fd(source, s->fd, (GIOCondition)forksrv_events(s->session));
    return FALSE;
}

static gboolean check(GSource *source) {
    struct source *s = (struct source *)source;

    return g_source_query_unix_fd(source, s->fd) != 0;
}

static void leave(struct source *s, int code) {
    s->code = code;
    g_main_loop_quit(s->loop);
}

static gboolean dispatch(GSource *source, GSourceFunc callback, gpointer data) {
    struct source *s = (struct source *)source;
    struct forksrv_event event;
    struct forksrv_end end;

    (void)callback, (void)data;
    if (forksrv_process(s->session) < 0)
        leave(s, 125);
    while (forksrv_next_event(s->session, &event) == 1) {
        if (event.kind == FORKSRV_EVENT_ENDED && forksrv_worker_end(event.worker, &end) == 0) {
            leave(s, end.signo != 0 ? 128 + end.signo : end.code);
        } else if (event.kind == FORKSRV_EVENT_FAILED || event.kind == FORKSRV_EVENT_CLOSED) {
            g_printerr("%s\n", event.text);
            leave(s, 125);
        }
    }
    return G_SOURCE_CONTINUE;
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

static int run(struct forksrv *session) {
    static GSourceFuncs functions = {prepare, check, dispatch, NULL, NULL, NULL};
    struct source *s = (struct source *)g_source_new(&functions, sizeof *s);
    int code;

    s->session = session;
    s->loop = g_main_loop_new(NULL, FALSE);
    s->fd = g_source_add_unix_fd(&s->source, forksrv_fd(session), G_IO_IN);
    g_source_attach(&s->source, NULL);
    g_main_loop_run(s->loop);
    code = s->code;
    g_main_loop_unref(s->loop);
    g_source_destroy(&s->source);
    g_source_unref(&s->source);
    return code;
}

int main(void) {
    struct forksrv *session;
    int code = 125;

    if (forksrv_new(&session) < 0)
        return code;
    if (forksrv_open(session) < 0 || start(session) < 0)
        g_printerr("%s\n", forksrv_error(session));
    else
        code = run(session);
    forksrv_free(session);
    return code;
}

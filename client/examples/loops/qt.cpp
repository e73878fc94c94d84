/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* forksrv in an event loop of Qt 5 or 6: starts `sleep 1`, and ends with it.
 * c++ -fPIC qt.cpp $(pkg-config --cflags --libs libforksrv Qt6Core) */
#include <QCoreApplication>
#include <QSocketNotifier>
#include <cstdio>
#include <forksrv.h>
#include <poll.h>

/* A session, and what it waits for. */
class Session {
public:
    explicit Session(forksrv *session)
        : session(session), in(forksrv_fd(session), QSocketNotifier::Read), out(forksrv_fd(session), QSocketNotifier::Write) {
        QObject::connect(&in, &QSocketNotifier::activated, [this] { turn(); });
        QObject::connect(&out, &QSocketNotifier::activated, [this] { turn(); });
        ask();
    }

    /* To be called after every call on the session. */
    void ask() {
        out.setEnabled(forksrv_events(session) & POLLOUT);
    }

private:
    void turn() {
        forksrv_event event;
        forksrv_end end;
        int r = forksrv_process(session);
        while (forksrv_next_event(session, &event) == 1) {
            if (event.kind == FORKSRV_EVENT_ENDED && forksrv_worker_end(event.worker, &end) == 0) {
                QCoreApplication::exit(end.signo != 0 ? 128 + end.signo : end.code);
            } else if (event.kind == FORKSRV_EVENT_FAILED || event.kind == FORKSRV_EVENT_CLOSED) {
                std::fprintf(stderr, "%s\n", event.text);
                QCoreApplication::exit(125);
            }
        }
        if (r < 0)
            QCoreApplication::exit(125);
        ask();
    }

    forksrv *session;
    QSocketNotifier in, out;
};

static int start(forksrv *session) {
    static const char *const argv[] = {"sleep", "1", nullptr};
    forksrv_spec *spec;
    forksrv_worker *worker;
    int r = forksrv_spec_new(&spec);
    if (r < 0)
        return r;
    r = forksrv_spec_set_argv(spec, argv);
    if (r >= 0)
        r = forksrv_submit(session, spec, &worker);
    forksrv_spec_free(spec);
    return r;
}

int main(int argc, char **argv) {
    QCoreApplication application(argc, argv);
    forksrv *session;
    int code = 125;
    if (forksrv_new(&session) < 0)
        return code;
    if (forksrv_open(session) < 0 || start(session) < 0) {
        std::fprintf(stderr, "%s\n", forksrv_error(session));
    } else {
        Session watched(session);
        code = application.exec();
    }
    forksrv_free(session);
    return code;
}

# SPDX-License-Identifier: LGPL-2.1-or-later
"""Everything that a SPAWN can ask for, seen from inside the worker, whatever starts it: the exec engine or a zygote."""
import os
import resource
import select
import signal
import tempfile

import live
import wire
import worker

CAP_SYS_NICE, CAP_SYS_RESOURCE = 23, 24


class Engine:
    """How a worker that looks at itself is asked for, and what the engine itself adds to what was asked."""

    def __init__(self, name, argv=lambda argv: argv, ignored=(), environ=(), **fields):
        self.name, self.argv, self.ignored, self.environ, self.fields = name, argv, set(ignored), list(environ), fields

    def look(self, session, argv=("inspect",), **fields):
        return worker.look(session, argv=self.argv(list(argv)), **self.fields, **fields)

    def run(self, session, script, **fields):
        """A shell script, by exec or from inside of the zygote's worker."""
        return session.run(*self.argv(["sh", "-c", script]), **self.fields, **fields)


def may(capability):
    with open("/proc/self/status") as f:
        return any(line.startswith("CapEff:") and int(line.split()[1], 16) >> capability & 1 for line in f)


def environment_and_place(tap, session, engine):
    with tempfile.TemporaryDirectory() as folder:
        environ = ["A=1", "EMPTY=", "B=with = and blanks", "NOTIFY_SOCKET=of the client", "X\u00fc=\u00e4"]
        view, _ = engine.look(session, argv=["a name", "", "two words", "\u00e4"], environ=environ, cwd=folder, umask=0o27)
        tap.same(view.args, ["a name", "", "two words", "\u00e4"], "argv")
        tap.same(view.env, environ + engine.environ, "the environment, all of it and in order")
        tap.same(view.cwd, os.path.realpath(folder), "cwd")
        tap.same(view.umask, "27", "umask")


def signals(tap, session, engine):
    blocked, ignored = {signal.SIGUSR1, 34, 64}, {signal.SIGHUP, signal.SIGPIPE, 63}
    view, _ = engine.look(session, blocked=sum(1 << (n - 1) for n in blocked), ignored=sum(1 << (n - 1) for n in ignored))
    tap.same(view.signals("SigBlk"), set(map(int, blocked)), "blocked signals")
    tap.same(view.signals("SigIgn"), set(map(int, ignored)) | engine.ignored, "ignored signals")
    view, _ = engine.look(session)
    tap.same((view.signals("SigBlk"), view.signals("SigIgn")), (set(), engine.ignored), "none blocked or ignored unless asked for")


def groups(tap, session, engine):
    view, _ = engine.look(session)
    tap.same((view.ids["sid"], view.ids["pgid"]), (view.ids["pid"],) * 2, "a session of its own")
    view, _ = engine.look(session, flags=wire.PROCESS_GROUP)
    tap.same(view.ids["pgid"], view.ids["pid"], "PROCESS_GROUP: it leads a group")
    tap.same(view.ids["sid"], os.getsid(view.ids["ppid"]), "PROCESS_GROUP: in its parent's session")
    view, _ = engine.look(session, flags=wire.NO_NEW_PRIVS)
    tap.same(view.status["NoNewPrivs"], "1", "NO_NEW_PRIVS")


def terminal(tap, session, engine):
    """The file at 0 as the controlling terminal, and what is refused."""
    master, slave = os.openpty()
    view, _ = engine.look(session, fds=[slave], fdmap=[(0, 0)], flags=wire.CONTROLLING_TERMINAL)
    tap.same((view.ids["sid"], view.ids["tty"]), (view.ids["pid"], os.fstat(slave).st_rdev), "CONTROLLING_TERMINAL: 0 is that of its session")
    tap.same(view.ids["foreground"], view.ids["pid"], "CONTROLLING_TERMINAL: the worker is in its foreground")
    view, _ = engine.look(session, fds=[slave], fdmap=[(0, 0)])
    tap.same(view.ids["tty"], 0, "a terminal at 0 is none without the flag")
    for what, stage, error, fields in (("/dev/null as a controlling terminal", "session", 25, {}),
                                       ("one without a session", "request", 22, {"flags": wire.PROCESS_GROUP | wire.CONTROLLING_TERMINAL})):
        reply = session.ask(wire.SPAWN, argv=engine.argv(["true"]), **{"flags": wire.CONTROLLING_TERMINAL, **engine.fields, **fields})
        tap.ok(reply.type == wire.FAILED and reply.errno == error and reply.text.startswith(stage), what + " is refused", reply)
    os.close(slave)
    os.close(master)


def limits(tap, session, engine):
    wanted = {resource.RLIMIT_CPU: (100, 200), resource.RLIMIT_NOFILE: (50, 60), resource.RLIMIT_CORE: (0, 0),
              resource.RLIMIT_STACK: (1 << 20, 1 << 21), resource.RLIMIT_FSIZE: (1 << 30, 1 << 31)}
    view, _ = engine.look(session, rlimits=[(n, soft, hard) for n, (soft, hard) in wanted.items()])
    for n, pair in wanted.items():
        tap.same(view.rlimits[n], pair, "rlimit %d" % n)
    base = os.getpriority(os.PRIO_PROCESS, 0)
    view, _ = engine.look(session, nice=base + 5)
    tap.same(view.nice, str(base + 5), "nice")
    scored(tap, session, engine, 900)
    if may(CAP_SYS_NICE):
        tap.same(engine.look(session, nice=-3)[0].nice, "-3", "a negative nice")
    else:
        refused(tap, session, engine, "a negative nice", "nice", nice=base - 3)
    if may(CAP_SYS_RESOURCE):
        scored(tap, session, engine, -100)
    else:
        refused(tap, session, engine, "a negative oom_score_adj", "oom-score-adj", oom_score_adj=-1000)


def scored(tap, session, engine, adj):
    """It is set just after the start, so the worker looks until it is."""
    reply = engine.run(session, "until grep -qx -- %d /proc/self/oom_score_adj; do :; done" % adj, oom_score_adj=adj,
                       environ=["PATH=/usr/bin:/bin"], time_limit=live.DEADLINE * 1000000)
    tap.same(reply.end, (1, 0, 1), "oom_score_adj %d" % adj)


def refused(tap, session, engine, what, stage, **fields):
    """What the kernel does not permit is a FAILED that names stage and error."""
    reply = engine.run(session, "true", **fields)
    tap.ok(reply.type == wire.FAILED and reply.text.startswith(stage + ": Permission denied"), what + " is refused by the kernel", reply)


def failures(tap, session, engine, cases):
    for what, stage, error, fields in cases:
        for flags in (0, wire.REPORT_EXECED):
            reply = session.ask(wire.SPAWN, flags=flags, **{**engine.fields, **fields})
            tap.ok(reply.type == wire.FAILED and reply.errno == error and reply.text.startswith(stage), what, reply)
    tap.ok(live.succeeds(session), "the session goes on after all that")


def started(tap, session, engine):
    for flag in (wire.REPORT_STARTED, wire.REPORT_EXECED):
        view, before = engine.look(session, flags=flag | wire.PIDFD)
        tap.same([m.type for m in before], [wire.STARTED], "one STARTED")
        tap.same(before[0].pid, view.ids["pid"], "with the pid that the worker has")
        tap.same(len(before[0].fds), 1, "with one fd")
        with open("/proc/self/fdinfo/%d" % before[0].fds[0]) as f:
            tap.ok("Pid:" in f.read(), "which is a pidfd")
        os.close(before[0].fds[0])
        view, before = engine.look(session, flags=flag)
        tap.same(before[0].fds, [], "no fd unless it is asked for")


def gate(tap, session, engine):
    """The worker is there, and begins when it is told to."""
    def ask(script, **fields):
        out, gates = os.pipe(), os.pipe()
        serial = session.request(wire.SPAWN, [out[1], gates[0]], argv=engine.argv(["sh", "-c", script]), fdmap=[(0, 1)], gate=1,
                                 flags=wire.REPORT_STARTED, **engine.fields, **fields)
        os.close(out[1])
        os.close(gates[0])
        reply = session.read()
        tap.ok(reply.type == wire.STARTED and reply.serial == serial, "a worker with a gate is told as started", reply)
        return reply, out[0], gates[1]

    _, out, opener = ask("echo begun")
    tap.same(select.select([out], [], [], 0.1)[0], [], "... and does not begin")
    os.write(opener, b"x")
    tap.ok(os.read(out, 100) != b"" and session.read().end == (1, 0, 1), "... until its gate opens")
    os.close(out)
    os.close(opener)
    _, out, opener = ask("echo begun")
    os.close(opener)
    reply = session.read()
    never = (reply.type, reply.errno) == (wire.FAILED, 125) if not engine.fields else reply.end == (1, 125, 1)
    tap.ok(never and os.read(out, 100) == b"", "one whose gate is gone never does", reply)
    os.close(out)
    reply, out, opener = ask("echo begun")
    session.ask(wire.SIGNAL, worker=reply.worker, signo=signal.SIGTERM)
    reply = session.read()
    tap.same((reply.end, os.read(out, 100)), ((2, 15, 2), b""), "at its gate a signal ends it")
    os.close(out)
    os.close(opener)
    gates = os.pipe()
    os.write(gates[1], b"x")
    view, _ = engine.look(session, fds=[gates[0]], gate=1)
    tap.same(sorted(view.fds), [0, 1, 2], "the worker does not have it")
    os.close(gates[0])
    os.close(gates[1])
    reply = engine.run(session, "true", gate=5)
    tap.ok(reply.type == wire.FAILED and reply.stage == 1, "a gate that was not sent", reply)


def all_of_it(tap, session, engine):
    tap.note(engine.name)
    for part in (environment_and_place, signals, groups, terminal, limits, started, gate):
        part(tap, session, engine)

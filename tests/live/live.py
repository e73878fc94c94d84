# SPDX-License-Identifier: LGPL-2.1-or-later
"""A real forksrvd behind a real socket, passed as systemd passes it, and TAP for what is seen of it. No root is needed; what only root
can see (the daemon's fds: it is undumpable) is then seen another way."""
import fcntl
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

import wire

BUILD = os.environ.get("top_builddir", ".")
SOURCE = os.path.abspath(os.environ.get("top_srcdir", "."))
DAEMON = os.environ.get("FORKSRV_DAEMON") or os.path.join(BUILD, "forksrvd")
COMMAND = os.path.join(BUILD, "forksrv")
DEADLINE = 30
# A daemon that leaks one fd for each misbehaviour reaches this limit before the misbehaving stops.
FEW_FDS = 96
MANY_TIMES = 100


# A shell that starts the tests in the background, or nohup, has these ignored, and what is ignored is inherited by all that is started here.
for inherited in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
    if signal.getsignal(inherited) == signal.SIG_IGN:
        signal.signal(inherited, signal.default_int_handler if inherited == signal.SIGINT else signal.SIG_DFL)


class Daemon:
    def __init__(self, config="", nofile=None, before=None, args=(), zygotes=None, python_dir=None, environment=None, passed=()):
        """before() runs in the daemon's process ahead of it; args are the daemon's; zygotes: {name: declaration}; python_dir:
        where the package forksrv is; environment: more variables for the daemon; passed: (name, fd) of more that it is passed."""
        self.passed = passed
        self.environment = environment or {}
        self.python_dir = python_dir or os.path.join(SOURCE, "python")
        self.folder = tempfile.mkdtemp(prefix="forksrv-live.")
        self.address = os.path.join(self.folder, "control")
        self.key = os.urandom(32)
        self.key_file = os.path.join(self.folder, "authkey")
        with open(os.open(self.key_file, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as f:
            f.write(self.key)
        os.mkdir(os.path.join(self.folder, "forksrv"))
        with open(os.path.join(self.folder, "forksrv", "forksrvd.conf"), "w") as f:
            f.write(config)
        os.mkdir(os.path.join(self.folder, "forksrv", "zygotes"))
        for name, text in (zygotes or {}).items():
            self.declare(name, text)
        self.log_path = os.path.join(self.folder, "log")
        self.start(nofile, before, args)

    def start(self, nofile, before, args):
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(self.address)
        listener.listen(4096)
        key = os.open(self.key_file, os.O_RDONLY)
        names = ":".join(["control", "forksrv.authkey", *(name for name, _ in self.passed)])
        sources = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 20) for fd in (listener.fileno(), key, *(fd for _, fd in self.passed))]
        listener.close()
        os.close(key)
        # XDG_CONFIG_HOME is where the configuration is; nothing else of this test's environment reaches the daemon.
        env = {name: value for name, value in os.environ.items()
               if name in ("PATH", "LANG") or name.startswith(("ASAN_", "UBSAN_", "LSAN_", "GCOV_", "LLVM_"))}
        env.update(FORKSRV_PYTHON_DIR=self.python_dir,
                   FORKSRV_ZYGOTE_DSO=os.path.join(BUILD, "forksrv-zygote-dso"))
        env.update(XDG_CONFIG_HOME=self.folder, HOME=self.folder, LISTEN_FDS=str(len(sources)), LISTEN_FDNAMES=names)
        env.update(self.environment)

        def place():
            if before is not None:
                before()
            for i, fd in enumerate(sources):
                os.dup2(fd, 3 + i, inheritable=True)
            if nofile is not None:
                resource.setrlimit(resource.RLIMIT_NOFILE, nofile if isinstance(nofile, tuple) else (nofile, nofile))

        with open(self.log_path, "wb") as log:
            # The shell's pid stays that of the daemon: LISTEN_PID has to name it.
            self.process = subprocess.Popen(["/bin/sh", "-c", 'LISTEN_PID=$$ exec "$0" "$@"', DAEMON, *args], env=env, preexec_fn=place,
                                            pass_fds=range(3, 3 + len(sources)), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        for fd in sources:
            os.close(fd)

    def declare(self, name, text):
        """A zygote's file. The daemon finds a new one by itself, and reads one again when it is told to reload."""
        with open(os.path.join(self.folder, "forksrv", "zygotes", name + ".conf"), "w") as f:
            f.write(text)

    def connect(self, **options):
        return wire.connect(self.address, self.key, **options)

    def peer(self, **options):
        """A connection that has said nothing yet."""
        return wire.Peer(self.address, **options)

    def command(self, *args, **options):
        env = dict(os.environ, FORKSRV_ADDRESS=self.address, FORKSRV_AUTHKEY_FILE=self.key_file)
        return subprocess.run([COMMAND, *args], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=DEADLINE, **options)

    def alive(self):
        return self.process.poll() is None

    def n_fds(self):
        """How many fds the daemon has; None where only root may know."""
        try:
            return len(os.listdir("/proc/%d/fd" % self.process.pid))
        except PermissionError:
            return None

    def private_dirty(self):
        """KiB of memory of the daemon's own; None where only root may know."""
        try:
            with open("/proc/%d/smaps_rollup" % self.process.pid) as f:
                return next(int(line.split()[1]) for line in f if line.startswith("Private_Dirty:"))
        except PermissionError:
            return None

    def log(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def stop(self):
        if self.alive():
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return "did not end in %d s" % DEADLINE
        finally:
            shutil.rmtree(self.folder)


def built_with(what):
    """SANITIZERS, COVERAGE: as configure was told."""
    with open(os.path.join(BUILD, "config.h")) as f:
        return "#define FORKSRV_%s 1" % what in f.read()


def until(condition, what):
    """Asks until it holds. The condition is a round trip to the daemon, so this waits for it and not for a clock."""
    end = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("not within %d s: %s" % (DEADLINE, what))


class Tap:
    def __init__(self):
        self.n = 0
        self.failed = False

    def ok(self, holds, what, *details):
        self.n += 1
        print("%s %d - %s" % ("ok" if holds else "not ok", self.n, what), flush=True)
        if not holds:
            self.failed = True
            for detail in details:
                self.note(detail)
        return holds

    def same(self, is_, should_be, what):
        return self.ok(is_ == should_be, what, "is:        %r" % (is_,), "should be: %r" % (should_be,))

    def skip(self, what, why):
        self.n += 1
        print("ok %d - %s # SKIP %s" % (self.n, what, why), flush=True)

    def note(self, text):
        for line in str(text).splitlines():
            print("# " + line, flush=True)


def memory_count(pid, needle):
    """How often these bytes stand in memory that the process can write to. Root may look, others not into the daemon."""
    found = 0
    with open("/proc/%d/maps" % pid) as maps, open("/proc/%d/mem" % pid, "rb", buffering=0) as memory:
        for line in maps:
            start, end = (int(x, 16) for x in line.split()[0].split("-"))
            # The shadow of a sanitizer has terabytes, and nothing of ours.
            if line.split()[1].startswith("rw") and end - start < 1 << 30:
                try:
                    memory.seek(start)
                    found += memory.read(end - start).count(needle)
                except OSError:
                    pass
    return found


def memory_has(pid, needle):
    return memory_count(pid, needle) > 0


def skip_all(why):
    print("1..0 # SKIP " + why)
    sys.exit(0)


def test(body, stops=False, kind=Daemon, **options):
    """Runs body(tap, daemon) and looks after the daemon's end. stops: body ends it. kind: of the daemon's keeper."""
    if not os.access(DAEMON, os.X_OK):
        skip_all("forksrvd is not built")
    tap, daemon = Tap(), kind(**options)
    pid = daemon.process.pid
    try:
        body(tap, daemon)
        if not stops:
            tap.ok(daemon.alive() and daemon.process.pid == pid, "the daemon is the one that was started")
    except BaseException:
        tap.ok(False, "the test came to its end", traceback.format_exc())
    log = daemon.log()
    ended = daemon.stop()
    tap.same(ended, 0, "the daemon ends in order")
    if tap.failed:
        tap.note("the daemon's log:")
        tap.note(log)
    print("1..%d" % tap.n)
    sys.exit(tap.failed)


def succeeds(session):
    """An authorised client does its work."""
    reply = session.run("true")
    return reply.type == wire.EXITED and reply.end == (1, 0, 1)


def costs_itself_only(tap, daemon, what, misbehave, times=MANY_TIMES):
    """misbehave(daemon) does its worst and returns the peers that it leaves open. While they are open, a session that was there before
    and a new one do their work. After them, the daemon is as it was."""
    with daemon.connect() as beside:
        ok = succeeds(beside)
        # Its own worker's end first, so that the count starts at rest.
        fds = daemon.n_fds()
        dirty = daemon.private_dirty()
        for _ in range(times):
            left = misbehave(daemon) or []
            ok = ok and succeeds(beside)
            with daemon.connect() as fresh:
                ok = ok and succeeds(fresh)
            for peer in left:
                peer.close()
        tap.ok(ok, "%s (%d times): others are served meanwhile, old sessions and new ones" % (what, times))

        def at_rest():
            s = beside.status()
            return s["connections.unauthenticated"] == 0 and s["sessions.open"] == 1 and s["workers.live"] == 0

        until(at_rest, "only the session beside is left: %r" % beside.status())
        tap.ok(True, what + ": nothing of it stays")
        if fds is None:
            tap.skip(what + ": fds of the daemon", "only root may count them; its limit is %d" % FEW_FDS)
        else:
            tap.same(daemon.n_fds(), fds, what + ": the daemon has the fds that it had")
            tap.note("private dirty memory: %d KiB before, %d KiB after" % (dirty, daemon.private_dirty()))

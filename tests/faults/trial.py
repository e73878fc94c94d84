# SPDX-License-Identifier: LGPL-2.1-or-later
"""A daemon on trial: a fault, the steps that come by its site, and whether all is then as it was."""
import collections
import contextlib
import os
import signal
import subprocess
import time
import traceback

import cgroup
import live
import sites
import wire
import work

EMFILE, EIO, ENOMEM, EAGAIN, EINTR, ENOSPC, EACCES, ENOBUFS, ESRCH, EINVAL, ENFILE, ENOTTY = 24, 5, 12, 11, 4, 28, 13, 105, 3, 22, 23, 25

# The errno of the first failure, and the one of those that go on.
ERRORS = {
    "accept4": (EMFILE, ENFILE), "access": (EACCES, EIO), "chdir": (EACCES, EIO), "clock_gettime": (EINVAL, EINVAL), "clone": (EAGAIN, ENOMEM),
    "close": (EIO, EINTR), "closedir": (EIO, EIO), "epoll_create1": (EMFILE, ENOMEM), "epoll_ctl": (ENOMEM, ENOSPC), "epoll_wait": (EINTR, EINVAL),
    "eventfd": (EMFILE, ENOMEM), "eventfd_read": (EINTR, EAGAIN), "faccessat": (EACCES, EIO), "fchownat": (EACCES, EIO), "fclose": (EIO, EIO),
    "fcntl": (EMFILE, EMFILE), "fgets": (EIO, EIO), "fgetxattr": (EIO, EACCES), "fopen": (EMFILE, EACCES), "fstatfs": (EIO, ENOMEM),
    "getpwnam": (EIO, EMFILE), "getpwnam_r": (EIO, EMFILE), "getpwuid_r": (EIO, EMFILE), "getrandom": (EINTR, EAGAIN), "getrlimit": (EINVAL, EINVAL),
    "getsockopt": (ENOBUFS, EINVAL), "initgroups": (EACCES, EACCES), "ioctl": (EIO, EINVAL), "kill": (ESRCH, EACCES), "lseek": (ESRCH, EINVAL),
    "madvise": (EAGAIN, EINVAL), "memfd_create": (EMFILE, ENOMEM), "mkdirat": (ENOSPC, EACCES), "mlock": (ENOMEM, EAGAIN), "open": (EMFILE, EACCES),
    "openat": (EMFILE, EACCES), "pipe2": (EMFILE, ENFILE), "poll": (EINTR, ENOMEM), "prctl": (EINVAL, EACCES), "read": (EINTR, EIO),
    "readdir": (EIO, EIO), "recvmsg": (EINTR, ENOMEM), "scandir": (EMFILE, ENOMEM), "sd_is_socket_unix": (EMFILE, EINVAL), "send": (ENOBUFS, EAGAIN),
    "sendmsg": (ENOBUFS, EAGAIN), "setresgid": (EAGAIN, EACCES), "setresuid": (EAGAIN, EACCES), "setrlimit": (EACCES, EINVAL),
    "shutdown": (ENOMEM, EINVAL), "socket": (EMFILE, ENOBUFS), "socketpair": (EMFILE, ENFILE), "statx": (EIO, EACCES), "syscall": (ENOMEM, EINVAL),
    "sysconf": (EINVAL, EINVAL), "unlinkat": (EIO, EACCES), "waitid": (EINVAL, EINVAL), "write": (EIO, ENOSPC)}
# Half of it is written.
ERRORS_OF = {"fork.c:make_large/write#1": (0, ENOSPC)}
OTHERWISE = (ENOMEM, ENOMEM)
# An endless EINTR is a loop without end, and none that a kernel makes.
OFTEN = 100
# If these never work, there is somebody whom nobody can end.
# One SIGKILL is all that is tried.
NEVER = {("worker_kill_group/kill#1", "gate_left"), ("worker_kill_group/kill#2", "gate_left")}
ONCE_ONLY = ("worker_kill_group/kill#1", "worker_kill_group/kill#2", "worker.c:kill_forked_group/syscall#1", "worker.c:kill_forked_group/syscall#2")


def often(site):
    return 1 if site in ONCE_ONLY else OFTEN


def errors(site):
    return ERRORS_OF.get(site) or ERRORS.get(site.split("/")[1].split("#")[0], OTHERWISE)


class Broken(Exception):
    """What the daemon must not do."""


def cgroups(folder, whose="worker-"):
    return sorted(name for name in os.listdir(folder) if name.startswith(whose)) if folder else []


def sweep(folder, whose=("worker-", "zygote-")):
    """Cgroups that a daemon could not remove, or of one that is gone."""
    for name in cgroups(folder, whose):
        path = os.path.join(folder, name)
        with contextlib.suppress(FileNotFoundError):
            with open(os.path.join(path, "cgroup.kill"), "w") as f:
                f.write("1")
            live.until(lambda: "populated 0" in open(os.path.join(path, "cgroup.events")).read(), "an empty cgroup")
            for below, _, _ in os.walk(path, topdown=False):
                os.rmdir(below)


class Trial:
    """One daemon after the other: a broken one is replaced."""

    def __init__(self, control, folder=None, **options):
        self.control, self.folder, self.options = control, folder, options
        self.daemon = None

    def start(self):
        before = (lambda: cgroup.enter(self.folder)) if self.folder else None
        self.daemon = live.Daemon(config=work.CONFIG, zygotes=work.ZYGOTES, before=before,
                                  environment={**self.control.environment, "MANAGERPID": str(os.getpid())}, **self.options)
        self.work = work.Work(self.daemon, self.folder)
        self.beside = self.daemon.connect(timeout=work.SILENCE)
        self.before, self.told = None, 0

    def stop(self):
        """Returns how it has ended."""
        self.control.set()
        self.beside.close()
        self.work.tokens.close()
        return self.daemon.stop()

    def replace(self):
        self.stop()
        self.sweep()
        self.start()

    def sweep(self):
        if self.folder:
            sweep(self.folder, ("worker-", "zygote-") if not self.daemon.alive() else "worker-")

    # ---- what it is like

    def children(self):
        with open("/proc/%d/task/%d/children" % (2 * (self.daemon.process.pid,))) as f:
            return len(f.read().split())

    def settle(self):
        """The zygotes as they are to be, and nothing else left."""
        for _ in range(2):
            for name in ("dso", "full"):
                self.beside.ask(wire.ZYGOTE, zygote=name, action=wire.ZYGOTE_STOP)
            reply = self.beside.ask(wire.ZYGOTE, zygote="fake", action=wire.ZYGOTE_WARM)
        if reply.type != wire.DONE:
            raise Broken("no zygote any more: %r" % reply)

        def at_rest():
            s = self.beside.status()
            if "cannot remove the cgroup" in self.daemon.log()[self.told:]:
                self.sweep()
            return (s["connections.unauthenticated"], s["sessions.open"], s["workers.live"], s["zygotes.running"]) == (0, 1, 0, 1) and not cgroups(self.folder)

        live.until(at_rest, "at rest: %r, cgroups %r" % (self.beside.status(), cgroups(self.folder)))
        left = lambda: (self.children(), self.daemon.n_fds())  # noqa: E731
        if self.before is None:
            self.before = left()
        with contextlib.suppress(AssertionError):
            live.until(lambda: self.beside.status() and left() == self.before, "")
        if left() != self.before:
            raise Broken("children and fds were %r and are %r" % (self.before, left()))

    def check(self):
        """It does the work of others, has nothing left, and started nothing twice."""
        if not self.daemon.alive():
            raise Broken("it has ended: %r" % self.daemon.process.wait())
        try:
            self.work.steps["exec"]()
            self.settle()
        except Broken:
            raise
        except Exception as e:
            raise Broken("the next request: %r" % e) from None
        if self.work.twice():
            raise Broken("workers that were started twice: %r" % self.work.twice())

    # ---- one fault

    def run(self, step):
        """ok, told or lost; a loss must be in the log."""
        before = len(self.daemon.log())
        try:
            self.work.steps[step]()
            return "ok"
        except work.Told:
            return "told"
        except work.Lost as e:
            # It comes a moment after the end of a connection.
            for _ in range(100):
                if len(self.daemon.log()) > before:
                    return "lost"
                time.sleep(0.01)
            if len(self.daemon.log()) == before:
                raise Broken("%s: a loss without a word in the log: %s" % (step, e)) from None
            return "lost"
        except Exception as e:
            place = traceback.extract_tb(e.__traceback__)
            raise Broken("%s: %r at %s" % (step, e, [f.lineno for f in place if f.filename.endswith("work.py")])) from None

    def fault(self, site, error, step, skip=0, times=1, also=None):
        """What came of it; None: the step did not come by. also: a second site that fails, too."""
        self.told = len(self.daemon.log())
        try:
            self.control.fail(site, error, skip, times, also)
            try:
                outcome = self.run(step)
            finally:
                hits = self.control.disarm()
            self.check()
            return outcome if hits > (also is not None) else None
        except Broken as e:
            what = "%s, %s %s in %s: %s" % (site, os.strerror(error), "once (after %d)" % skip if times == 1 else "again and again", step, e)
            log = self.daemon.log()[-600:]
            self.replace()
            self.warm()
            raise Broken(what + "\n" + log) from None

    def warm(self):
        """All steps without faults, so that what is made at first use is there. Returns {site: {step: how often}}, of the last time; and of
        the first, where a site was come by then alone."""
        reached, first = collections.defaultdict(dict), {}
        for _ in range(2):
            first, reached = reached, collections.defaultdict(dict)
            for step in self.work.steps:
                before = self.control.seen()
                try:
                    self.work.steps[step]()
                except (work.Told, work.Lost) as e:
                    raise AssertionError("%s without a fault: %r\n%s" % (step, e, self.daemon.log()[-600:])) from None
                self.settle()
                for site, n in self.control.seen().items():
                    if n > before[site]:
                        reached[site][step] = n - before[site]
        self.before = None
        self.settle()
        self.control.disarm()
        return {**first, **reached}

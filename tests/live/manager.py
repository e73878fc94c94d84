# SPDX-License-Identifier: LGPL-2.1-or-later
"""What systemd does for an instance, as far as a crash needs it: the listening socket, the key, the store of file descriptors, and a parent
for processes that have lost theirs. So the daemon can be killed and started again within milliseconds, and what it has stored be looked at."""
import array
import ctypes
import fcntl
import os
import signal
import socket
import subprocess
import threading
import time

import live

PR_SET_CHILD_SUBREAPER = 36


# Of processes that were started here. A pid is in it before anybody can see that it has ended.
OWN = set()


class Popen(subprocess.Popen):
    def __init__(self, *args, **options):
        with LOCK:
            super().__init__(*args, **options)
            OWN.add(self.pid)


LOCK = threading.Lock()


def children():
    with LOCK:
        with open("/proc/self/task/%d/children" % os.getpid()) as f:
            return [pid for pid in map(int, f.read().split()) if pid not in OWN]


class Manager(live.Daemon):
    """A daemon that can be killed. Its orphans come to this process, which reaps them, as systemd does."""

    def __init__(self, *args, **options):
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self.store = []  # (name, fd), in the order in which they came
        self.notices = 0
        self.gone = False
        self.starts = 0
        super().__init__(*args, **options)

    def start(self, nofile, before, args):
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.address)
        self.listener.listen(4096)
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(os.path.join(self.folder, "notify"))
        self.args = args
        self.ready = threading.Event()
        threading.Thread(target=self.hear, daemon=True).start()
        threading.Thread(target=self.reap, daemon=True).start()
        self.run()

    def run(self):
        """Starts the daemon, with all that is in the store, and waits until it is ready."""
        key = os.open(self.key_file, os.O_RDONLY)
        given = [("control", self.listener.fileno()), ("forksrv.authkey", key)] + self.store
        sources = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10 + len(given)) for _, fd in given]
        os.close(key)
        env = {name: value for name, value in os.environ.items()
               if name in ("PATH", "LANG") or name.startswith(("ASAN_", "UBSAN_", "LSAN_", "GCOV_", "LLVM_"))}
        env.update(FORKSRV_PYTHON_DIR=self.python_dir, FORKSRV_ZYGOTE_DSO=os.path.join(live.BUILD, "forksrv-zygote-dso"),
                   XDG_CONFIG_HOME=self.folder, HOME=self.folder, NOTIFY_SOCKET=os.path.join(self.folder, "notify"),
                   LISTEN_FDS=str(len(given)), LISTEN_FDNAMES=":".join(name for name, _ in given))
        env.update(self.environment)

        def place():
            for i, fd in enumerate(sources):
                os.dup2(fd, 3 + i, inheritable=True)

        self.ready.clear()
        with open(self.log_path, "ab") as log:
            self.process = Popen(["/bin/sh", "-c", 'LISTEN_PID=$$ exec "$0" "$@"', live.DAEMON, *self.args], env=env,
                                            preexec_fn=place, pass_fds=[3 + i for i in range(len(sources))], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)
        for fd in sources:
            os.close(fd)
        self.starts += 1
        if not self.ready.wait(live.DEADLINE):
            raise AssertionError("the daemon is not ready: " + self.log())

    def hear(self):
        while not self.gone:
            data, control, _, _ = self.notify.recvmsg(4096, socket.CMSG_SPACE(253 * 4))
            fds = array.array("i")
            for level, kind, value in control:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    fds.frombytes(value[:len(value) - len(value) % 4])
            self.take(dict(line.split("=", 1) for line in data.decode().split("\n") if "=" in line), list(fds))

    def take(self, fields, fds):
        self.notices += 1
        name = fields.get("FDNAME", "stored")
        if "FDSTORE" in fields:
            assert fields.get("FDPOLL") == "0"
            self.store += [(name, fd) for fd in fds]
        if "FDSTOREREMOVE" in fields:
            for _, fd in [entry for entry in self.store if entry[0] == name]:
                os.close(fd)
            self.store = [entry for entry in self.store if entry[0] != name]
        if "READY" in fields:
            self.ready.set()

    def reap(self):
        """Orphans only: what this process has started itself it waits for itself."""
        while not self.gone:
            for pid in children():
                try:
                    os.waitpid(pid, os.WNOHANG)
                except ChildProcessError:
                    pass
            time.sleep(0.002)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def crash(self):
        self.kill()
        self.run()

    def stop(self):
        try:
            return super().stop()
        finally:
            self.gone = True


def exits_are_known():
    """Whether this kernel tells the end of a process that somebody else has reaped (PIDFD_GET_INFO, 6.15)."""
    pid = os.fork()
    if pid == 0:
        os._exit(7)
    pidfd = os.pidfd_open(pid)
    os.waitpid(pid, 0)
    info = array.array("B", (1 << 3).to_bytes(8, "little") + bytes(56))
    try:
        fcntl.ioctl(pidfd, 0xC040FF0B, info, True)
    except OSError:
        return False
    finally:
        os.close(pidfd)
    return bool(int.from_bytes(info[:8], "little") & 1 << 3)

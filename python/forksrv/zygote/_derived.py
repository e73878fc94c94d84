# SPDX-License-Identifier: LGPL-2.1-or-later
"""A zygote of one client: a worker of a warm zygote that imports the client's __main__ on top of what is there, and then forks processes for
the client's multiprocessing, on a channel of their own. The spares all wait on that one channel and the kernel wakes one of them: nobody else
is on the way of a request. forksrvd hears afterwards who was born and how it ended."""
import _signal
import array
import atexit
import fcntl
import gc
import json
import os
import resource
import select
import signal
import socket
import struct
import sys

from importlib.machinery import BuiltinImporter

from . import _os, _program
from . import _speech as speech

_signed = struct.Struct("q")
_pid = struct.Struct("i")
_WNOWAIT = os.WEXITED | os.WNOHANG | os.WNOWAIT
_DONTWAIT = 0x40


class Refused(Exception):
    """It cannot serve this client; the text is for the client's user."""


def check(argv):
    """Before it becomes one."""
    own = "%d.%d" % sys.version_info[:2]
    if len(argv) != 5 or argv[0] != "multiprocessing":
        raise Refused("the zygote of Python %s derives zygotes for multiprocessing only" % own)
    if argv[1] != own:
        raise Refused("this zygote runs Python %s and its client Python %s; a zygote serves one minor version. Declare one with "
                      "Interpreter=python%s" % (own, argv[1], argv[1]))


def _read_all(fd):
    with open(fd, "rb") as f:
        f.seek(0)
        return json.loads(f.read())


def _prepare(settings):
    """What multiprocessing.forkserver.main() does before its loop, and what an interpreter started by the client would have."""
    global forkserver, util
    from multiprocessing import forkserver, process, spawn, util
    from .. import _multiprocessing
    from . import _stdio
    import warnings
    _multiprocessing.take_over(None)  # its processes have the client's channel
    _stdio.renew(False)
    _program.new_main().__loader__ = BuiltinImporter
    sys.dont_write_bytecode = settings["dont_write_bytecode"]
    if settings["warnoptions"]:
        sys.warnoptions[:] = settings["warnoptions"]
        warnings._processoptions(settings["warnoptions"])
    process.ORIGINAL_DIR = os.getcwd()
    preload = settings["preload"]
    if preload:
        if settings["sys_argv"] is not None:
            sys.argv[:] = settings["sys_argv"]
        if settings["sys_path"] is not None:
            sys.path[:] = settings["sys_path"]
        if "__main__" in preload and settings["main_path"] is not None:
            _import_main(process, spawn, settings)
        for name in preload:
            _import(name, settings["on_error"])
        util._flush_std_streams()
    util._close_stdin()
    _keep_stdin()


def _keep_stdin():
    """Each process closes standard input and opens /dev/null in its place, which is there already, and untouched."""
    stdin, close_stdin = sys.stdin, util._close_stdin
    util._close_stdin = lambda: None if sys.stdin is stdin and not stdin.closed else close_stdin()


def _import_main(process, spawn, settings):
    process.current_process()._inheriting = True
    try:
        spawn.import_main_path(settings["main_path"])
    except Exception as e:
        _import_failed("__main__ from %r" % settings["main_path"], e, settings["on_error"])
    finally:
        del process.current_process()._inheriting


def _import(name, on_error):
    try:
        __import__(name)
    except ImportError as e:
        _import_failed("module %r" % name, e, on_error)


def _import_failed(what, e, on_error):
    """As set_forkserver_preload(on_error=) of Python 3.15 has it; before, it is "ignore"."""
    if on_error == "fail":
        raise e
    if on_error == "warn":
        import warnings
        warnings.warn("Failed to preload %s: %s" % (what, e), ImportWarning, stacklevel=4)


# Whatever a child executes and touches between its fork and its work costs it a copy of the pages in which that is: so it does little, by
# functions of C, which are looked up here once.
_fork, _exit, _write, _close, _getpid, _setpgid, _pidfd_open = os.fork, os._exit, os.write, os.close, os.getpid, os.setpgid, os.pidfd_open
_closerange, _set_wakeup_fd, _set_signal = os.closerange, _signal.set_wakeup_fd, _signal.signal
_CHLD, _DFL, _RIGHTS = int(signal.SIGCHLD), int(signal.SIG_DFL), (socket.SOL_SOCKET, socket.SCM_RIGHTS)
_ROOM = socket.CMSG_SPACE(253 * 4)
_CLOEXEC = int(socket.MSG_CMSG_CLOEXEC)
_BORN = speech.born(0, "multiprocessing")
_BORN_PID = struct.Struct(">I")
_BORN_AT = _BORN.index(struct.pack(">HHI", speech.A_PID, 0, 4)) + 8


def _open_fds():
    """Those that __main__ has opened are the processes', too."""
    for fd in range(min(resource.getrlimit(resource.RLIMIT_NOFILE)[0] & 0xFFFF or 0xFFFF, 4096)):
        try:
            os.fstat(fd)
        except OSError:
            continue
        yield fd


class Derived:
    """fds from `low` on are the zygote's own, in one piece, so that a child closes them at once."""

    def __init__(self, sock, channel, signals, settings):
        self.sock = sock  # to forksrvd
        self.channel = channel  # to the client and its processes
        self.wanted = settings["spares"]
        self.orphaned = False  # forksrvd is gone
        self.spares = set()
        self.exit_pipes = {}  # pid: where the client reads how it ended
        ours, self.taken_by = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        wakeup = os.pipe()
        self.low = max(_open_fds()) + 1
        self.signals = self.raise_fd(signals)  # from its terminal
        self.taken = socket.socket(fileno=self.raise_fd(ours.detach()))
        self.wakeup = tuple(self.raise_fd(fd) for fd in wakeup)
        for fd in self.wakeup:
            os.set_blocking(fd, False)

    def raise_fd(self, fd):
        high = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, self.low)
        _close(fd)
        return high

    # ---- children

    def spare(self):
        """Waits for a request beside the others. It is in the zygote's process group, which forksrvd ends with the zygote; a process has one
        of its own. From the request on it is forksrvd's, too, and both have the other end of what the client reads: whoever is left at
        the end writes there. The client learns the pid last, and from then on may end it."""
        _set_wakeup_fd(-1)
        _closerange(self.low, 1 << 30)
        try:
            data, control, _, _ = self.channel.recvmsg(16, _ROOM, _CLOEXEC)
        except OSError:
            data = b""
        if not data:
            _exit(0)
        fds = array.array("i")
        for _, _, sent in control:
            fds.frombytes(sent)
        if len(fds) < 4:
            _exit(0)
        pid = _getpid()
        _setpgid(0, 0)
        pidfd = _pidfd_open(pid)
        try:
            self.sock.sendmsg([_BORN[:_BORN_AT], _BORN_PID.pack(pid), _BORN[_BORN_AT + 4:]], [(*_RIGHTS, array.array("i", (pidfd, fds[1])))])
        except OSError:
            _exit(0)  # nobody would know of us
        self.taken_by.sendmsg([_pid.pack(pid)], [(*_RIGHTS, fds[1:2])])
        try:
            _write(fds[1], _signed.pack(pid))
        except OSError:
            pass  # the client is gone, or does not want it any more
        for fd in (pidfd, fds[1], self.taken_by.detach(), self.channel.detach(), self.sock.detach()):
            _close(fd)
        _serve(fds[0], fds[2:].tolist())

    def fork(self):
        pid = _fork()
        if pid == 0:
            try:
                self.spare()
            finally:
                _exit(1)
        self.spares.add(pid)

    def refill(self):
        while len(self.spares) < self.wanted:
            try:
                self.fork()
            except OSError:
                if not self.spares:
                    raise
                return

    # ---- what children say, and how they end

    def hear_taken(self):
        while True:
            try:
                data, control, _, _ = self.taken.recvmsg(16, _ROOM, _DONTWAIT | _CLOEXEC)
            except BlockingIOError:
                return
            pid, = _pid.unpack(data)
            self.exit_pipes[pid] = self.raise_fd(_pid.unpack(control[0][2])[0])
            self.spares.discard(pid)

    def tell_client(self, pid, code):
        fd = self.exit_pipes.pop(pid, None)
        if fd is None:
            return
        try:
            _write(fd, _signed.pack(code))
        except OSError:
            pass
        _close(fd)

    def reap(self):
        """The client first: if we end then, it knows, and before that forksrvd inherits the child as it is."""
        while True:
            try:
                found = os.waitid(os.P_ALL, 0, _WNOWAIT)
            except ChildProcessError:
                return
            if found is None:
                return
            pid, status = found.si_pid, found.si_status
            if pid in self.spares:
                self.hear_taken()
            self.tell_client(pid, status if found.si_code == os.CLD_EXITED else -status)
            if pid in self.spares:
                self.spares.discard(pid)
                os.waitpid(pid, 0)
                continue
            rusage = os.wait4(pid, 0)[2]
            if not self.orphaned:
                self.sock.send(speech.ended(pid, _KINDS[found.si_code], status, rusage))

    # ---- the loop

    def hear_signals(self):
        """What the terminal sends to the program's group, for the processes and what they have started."""
        names = os.read(self.signals, 4096).split()
        if not names:
            self.poll.unregister(self.signals)
        for name in names:
            for pid in self.exit_pipes:
                try:
                    os.killpg(pid, int(name))
                except ProcessLookupError:
                    pass

    def hear_wakeup(self):
        os.read(self.wakeup[0], 4096)

    def hear_end(self):
        _exit(0)

    def hear_server_end(self):
        """forksrvd was killed; otherwise it would have ended us. What runs goes on, and its ends are told. A client that wants another process
        finds the channel closed, and is to look for another server."""
        self.orphaned = True
        self.wanted = 0
        for sock in (self.sock, self.channel):
            self.poll.unregister(sock)
            sock.close()
        self.hear_taken()
        for pid in self.spares:
            os.kill(pid, signal.SIGKILL)

    def run(self):
        signal.signal(signal.SIGCHLD, _nothing)
        signal.set_wakeup_fd(self.wakeup[1], warn_on_full_buffer=False)
        self.poll = select.poll()
        hear = {self.taken.fileno(): self.hear_taken, self.wakeup[0]: self.hear_wakeup, self.signals: self.hear_signals,
                self.sock.fileno(): self.hear_server_end, self.channel.fileno(): self.hear_end}
        for fd in hear:
            self.poll.register(fd, 0 if fd == self.channel.fileno() else select.POLLIN)
        while True:
            self.refill()
            for fd, _ in self.poll.poll():
                hear[fd]()
            try:
                self.reap()
            except (BrokenPipeError, ConnectionResetError):
                continue  # and the loop hears of it
            if self.orphaned and not self.exit_pipes:
                _exit(0)


def _nothing(signum, frame):
    pass


_KINDS = {os.CLD_EXITED: speech.EXITED, os.CLD_KILLED: speech.KILLED, os.CLD_DUMPED: speech.DUMPED}
_NEW_ATEXIT = sys.version_info >= (3, 13)


def _serve(child_r, fds):
    """A request, in the child that has it; as multiprocessing.forkserver does it, with the same pieces."""
    code = 1
    try:
        _set_signal(_CHLD, _DFL)
        gc.enable()
        if _NEW_ATEXIT:
            atexit._clear()
            atexit.register(util._exit_function)
        code = forkserver._serve_one(child_r, fds, [], {})
    except Exception:
        sys.excepthook(*sys.exc_info())
        sys.stderr.flush()
    finally:
        if _NEW_ATEXIT:
            atexit._run_exitfuncs()
        _exit(code & 0xFF if isinstance(code, int) else 1)


def work_stock(child_r, child_w, fds):
    """A process whose client is CPython's own. forksrvd has the other end of the pipe, too, and tells how it ends."""
    global forkserver, util
    from multiprocessing import forkserver, util
    try:
        os.write(child_w, _signed.pack(os.getpid()))
    except OSError:
        pass  # the client is gone
    os.close(child_w)
    _serve(child_r, fds)


def work(argv, sock):
    """With nothing below it on the stack. Does not return."""
    channel = socket.socket(fileno=int(argv[2]))
    os.set_inheritable(channel.fileno(), False)
    settings = _read_all(int(argv[3]))
    try:
        _prepare(settings)
    except Exception:
        sys.excepthook(*sys.exc_info())
        sys.stderr.flush()
        os._exit(1)
    gc.collect()
    gc.disable()
    gc.freeze()
    _os.share_page_tables()
    try:
        Derived(sock, channel, int(argv[4]), settings).run()
    except (BrokenPipeError, ConnectionResetError):
        os._exit(0)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    os._exit(1)

# SPDX-License-Identifier: LGPL-2.1-or-later
"""multiprocessing on forksrv. An object of this module takes the place of multiprocessing's own fork server: a zygote of this program alone,
derived from a warm one, imports __main__ once, and each process is then one message on an open channel to it. Everything else of
multiprocessing is as it was."""
import array
import json
import multiprocessing.context
import multiprocessing.popen_forkserver
import os
import select
import socket
import sys
import threading
from multiprocessing import connection, forkserver, resource_tracker, spawn, util

from . import _door
from ._relay import Relay

FDS = 253  # the kernel takes no more in one message
SPARES = 4
CHANNEL, SETTINGS, SIGNALS = 4, 5, 6  # numbers in the derived zygote
UNKNOWN = 255  # what multiprocessing calls an end that nobody knows

_stock = forkserver.ForkServer


class Options:
    """Where this program's processes come from."""

    def __init__(self, zygote, way, spares, fallback):
        self.zygote, self.way, self.spares, self.fallback = zygote, way, spares, fallback


class _Link:
    """The derived zygote, as the program that started it has it."""

    def __init__(self, session, worker, relay):
        self.session, self.worker, self.relay, self.pid = session, worker, relay, os.getpid()
        self.proven = False  # it has had a process

    def lost(self):
        """Whether the server is gone; it may be that nothing was heard from it since."""
        try:
            self.session.process()
        except OSError:
            pass
        return self.session.closed

    def close(self, wait):
        if self.pid != os.getpid():
            return
        if wait and not self.session.closed:
            self.worker.wait()
        self.relay.close()
        self.session.close()


def _settings(server, options):
    """What multiprocessing tells its own fork server on its command line."""
    settings = {"preload": list(server._preload_modules or ()), "spares": options.spares, "warnoptions": sys.warnoptions,
                "dont_write_bytecode": sys.dont_write_bytecode,
                "on_error": getattr(server, "_preload_on_error", "ignore"), "main_path": None, "sys_path": None, "sys_argv": None}
    if settings["preload"]:
        data = spawn.get_preparation_data("ignore")
        settings.update(main_path=data.get("init_main_from_path"), sys_path=data.get("sys_path"), sys_argv=data.get("sys_argv"))
    return settings


def _memfd(data):
    fd = os.memfd_create("forksrv-settings")
    os.write(fd, data)
    return fd


def _name():
    """For `forksrv list`."""
    script = os.path.basename(sys.argv[0]) if sys.argv and sys.argv[0] else "python"
    return "".join(c if c.isprintable() else "?" for c in script)[:50] or "python"


class Server(_stock):
    """In the program itself it starts the derived zygote and its channel; in a process of it, it has the same channel already, as what a stock
    server would call its alive fd."""
    _forkserver_address = _door.attribute("_forkserver_address", "address")
    _forkserver_authkey = _door.attribute("_forkserver_authkey", "key")

    def connect_to_new_process(self, fds):
        self.ensure_running()
        if self._forksrv_stock:
            return _stock.connect_to_new_process(self, fds)
        _door.check(self)
        again = False
        while True:
            link = self.__dict__.get("_forksrv_link")
            ends = self._connect(fds)
            if ends is not None and self._arrives(link, *ends):
                return ends
            if link is not None and not link.proven and (ends is not None or again):
                raise self._ended_early()
            # Nothing of the process has begun; a stock server that ended is started again, too.
            self._restart(link)
            if self._forksrv_stock:
                return _stock.connect_to_new_process(self, fds)
            again = True

    def _connect(self, fds):
        """Our ends of the two pipes, or None: there is nobody."""
        if len(fds) + 4 > FDS:
            raise ValueError("too many fds")
        ours = []
        theirs = []
        try:
            for mine, other in ((0, 1), (1, 0)):
                pipe = os.pipe()
                ours.append(pipe[mine])
                theirs.append(pipe[other])
            self._send(theirs[1], theirs[0], fds)
            ends, ours = tuple(ours), []
            return ends
        except (BrokenPipeError, ConnectionResetError, ConnectionRefusedError):
            return None
        finally:
            for fd in ours + theirs:
                os.close(fd)

    def _arrives(self, link, parent_r, parent_w):
        """Whether somebody has taken the request; otherwise the pipes are closed."""
        arrived = False
        try:
            poll = select.poll()
            poll.register(parent_r, select.POLLIN)
            arrived = bool(poll.poll()[0][1] & select.POLLIN)
            if arrived and link is not None:
                link.proven = True
            return arrived
        finally:
            if not arrived:
                os.close(parent_r)
                os.close(parent_w)

    def _ended_early(self):
        error = EOFError("the fork server ended before it had forked a process; standard error says why")
        if self._preload_modules and getattr(self, "_preload_on_error", "ignore") == "fail":
            error.add_note("Forkserver process may have crashed during module preloading. Check stderr.")
        return error

    def _send(self, child_r, child_w, fds):
        channel = self._forkserver_alive_fd
        every = array.array("i", [child_r, child_w, channel, resource_tracker.getfd(), *fds])
        sock = self._forksrv_socket(channel)
        sock.sendmsg([b"F"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, every)])

    def _forksrv_socket(self, fd):
        """The channel as an object that does not own it."""
        known = self.__dict__.get("_forksrv_known")
        if known is None or known.fileno() != fd or self._forksrv_pid != os.getpid():
            if known is not None:
                known.detach()
            known = self._forksrv_known = socket.socket(fileno=fd)
            self._forksrv_pid = os.getpid()
        return known

    # ---- running

    def ensure_running(self):
        with self._lock:
            if self._forksrv_stock:
                pass
            elif self._forkserver_alive_fd is not None:
                resource_tracker.ensure_running()
                return
            elif self._forksrv_options is None:
                raise RuntimeError("this process has no channel to the fork server of its program")
            elif self._start():
                return
        _stock.ensure_running(self)

    def _start(self):
        """False: the stock server is to be used, as was asked for where this one cannot be had."""
        options = self._forksrv_options
        resource_tracker.ensure_running()
        try:
            self._forksrv_link, self._forkserver_alive_fd = _derive(self, options, self.__dict__.get("_forksrv_link"))
        except OSError as e:
            if not options.fallback:
                raise
            import warnings
            warnings.warn("forksrv: using multiprocessing's own fork server: %s" % e, RuntimeWarning, stacklevel=6)
            self._forksrv_stock = True
            return False
        self._forkserver_pid = self._forksrv_link.worker.pid
        return True

    def _forget_channel(self):
        fd, self._forkserver_alive_fd = self._forkserver_alive_fd, None
        known = self.__dict__.pop("_forksrv_known", None)
        if known is not None:
            known.detach()
        if fd is not None:
            os.close(fd)
        self._forkserver_pid = None
        self._forkserver_address = None

    def _forget(self, wait):
        self._forget_channel()
        link, self._forksrv_link = self.__dict__.get("_forksrv_link"), None
        if link is not None:
            link.close(wait)
            self._forksrv_options.way.close()

    def _restart(self, link):
        """The session stays: there are the processes of the one before. Another thread may have done it already."""
        with self._lock:
            if link is None or link.pid != os.getpid():
                raise RuntimeError("the fork server of this program has ended, and only the program itself can start another one")
            if self._forksrv_link is not link:
                return
            self._forget_channel()
            link.relay.close()
            if link.lost():
                self._forksrv_link = None
            self._start()

    def _stop_unlocked(self):
        if self._forksrv_stock:
            _stock._stop_unlocked(self)
            self._forksrv_stock = False
        elif self.__dict__.get("_forksrv_link") is not None:
            self._forget(True)


def _derive(server, options, before):
    """A session, a worker on it that has become a zygote, and our end of the channel to it. before: the link that it takes the place of."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    settings = _memfd(json.dumps(_settings(server, options)).encode())
    relay = Relay()
    session = None
    try:
        session = options.way.connect() if before is None else before.session
        argv = ["multiprocessing", "%d.%d" % sys.version_info[:2], str(CHANNEL), str(SETTINGS), str(SIGNALS)]
        worker = session.spawn(argv, zygote=options.zygote, derived=True, fds={CHANNEL: theirs, SETTINGS: settings, SIGNALS: relay.read},
                               name="mp " + _name())
        relay.start()
        return _Link(session, worker, relay), ours.detach()
    except BaseException:
        relay.close()
        if session is not None and before is None:
            session.close()
        raise
    finally:
        ours.close()
        theirs.close()
        os.close(settings)
        relay.close_read()


_polling = (os.getpid(), threading.Lock())


def _lock():
    """Another thread may have had it when this process was forked off."""
    global _polling
    if _polling[0] != os.getpid():
        _polling = (os.getpid(), threading.Lock())
    return _polling[1]


def _poll(self, flag=os.WNOHANG):
    """multiprocessing.popen_forkserver.Popen.poll(), which calls the end of a process unknown if another thread was reading it."""
    if self.returncode is None:
        if not connection.wait([self.sentinel], 0 if flag == os.WNOHANG else None):
            return None
        with _lock():
            if self.returncode is None:
                try:
                    self.returncode = forkserver.read_signed(self.sentinel)
                except (OSError, EOFError):
                    self.returncode = UNKNOWN
    return self.returncode


def take_over(options):
    """From here on this process's fork server is ours. options None: it has got a channel from its parent, or will."""
    server = forkserver._forkserver
    server.__class__ = Server
    server._forksrv_options = options
    server._forksrv_stock = False
    # Names of the module that are bound to the class that was.
    forkserver.ensure_running = server.ensure_running
    forkserver.get_inherited_fds = server.get_inherited_fds
    forkserver.connect_to_new_process = server.connect_to_new_process
    forkserver.set_forkserver_preload = server.set_forkserver_preload
    multiprocessing.popen_forkserver.Popen.poll = _poll
    return server


def installed():
    return isinstance(forkserver._forkserver, Server)


def install(options):
    if forkserver._forkserver._forkserver_pid is not None and not installed():
        raise RuntimeError("forksrv.install() comes too late: this program has started multiprocessing's own fork server already")
    if forkserver._forkserver._forkserver_alive_fd is not None:
        # Started already, or a process of a program that has it: it goes on with that.
        return
    server = take_over(options)
    # For programs that name no start method; those that do keep theirs.
    context = multiprocessing.context
    context._default_context._default_context = context._concrete_contexts["forkserver"]
    # After its children have been waited for.
    util.Finalize(None, _close, (server,), exitpriority=-1000)


def _close(server):
    """The server ends what is left with the session; nobody has to wait for it."""
    link = server.__dict__.get("_forksrv_link")
    if link is not None and link.pid == os.getpid():
        server._forget(False)

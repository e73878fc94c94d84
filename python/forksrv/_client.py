# SPDX-License-Identifier: LGPL-2.1-or-later
"""connect() and Session, for programs that wait. Any number of threads may use one Session at once. It has no thread of its own, handles no
signals and keeps no global state."""
from __future__ import annotations

import os

from . import _core, _errors, _records, _wire
from ._communicate import text_of
from ._deadline import deadline_after, left
from ._handle import by_over
from ._run import CompletedWorker, prepare
from ._spec import U64_MAX, Spec, attach_body, number, patience
from ._stdio import Standard
from ._worker import Worker
from ._zygote import Zygote, states, zygote_body

TYPE_CHECKING = False
if TYPE_CHECKING:
    from socket import socket
    from typing import Any, Callable, Iterable, Iterator, Mapping, Sequence
    from ._output import Frame
    from ._private import Private
    from ._pump import Pump
    from ._spec import Limit, Word
    from ._stdio import File


def connect(address: str | os.PathLike[str] | None = None, *, user: str | None = None, authkey: bytes | bytearray | memoryview | None = None,
            authkey_file: str | os.PathLike[str] | None = None, private: bool = False, timeout: float | None = 10.0,
            daemon: str | os.PathLike[str] | None = None, lazy: bool = False) -> Session:
    """Opens a session: connects, makes sure that root or this program's user made the listener, has the server prove that it knows the key,
    and proves the same to it.

    address       path of the control socket. Otherwise $FORKSRV_ADDRESS, then the session instance's $XDG_RUNTIME_DIR/forksrv/control, then
                  the system instance's /run/forksrv/USER/control of the calling user.
    user          take the system instance of that user. For root, the key is then looked for as forksrv.authkey.USER in the system's
                  credential stores.
    authkey       the key itself: exactly 32 bytes.
    authkey_file  a file of exactly 32 bytes that neither group nor others may read. Otherwise $FORKSRV_AUTHKEY_FILE,
                  $CREDENTIALS_DIRECTORY/forksrv.authkey, an fd passed by systemd's OpenFile= under the name forksrv.authkey,
                  $XDG_RUNTIME_DIR/credstore/forksrv.authkey; for root the system's credential stores.
    private       start a forksrvd of this program's own, with a socket and a key that nobody else ever sees. It ends with the session, or
                  with this program and its forks, whatever ends them, and is no child of this program.
    timeout       seconds for all of it; None: no limit.
    daemon        the forksrvd that private=True starts. Otherwise $FORKSRV_DAEMON, then the installed one.
    lazy          keep back the handshake's last word to send it together with the first request, which must follow within a second.

    Raises NoInstanceError, NoKeyError, KeyFileError, AuthenticationError, UntrustedListenerError, RefusedError, ProtocolError, TimeoutExpired;
    ValueError for an argument that cannot be meant.
    """
    from . import _connect, _private
    target = _connect.Target(address, user, authkey, authkey_file, private)
    deadline = deadline_after(timeout)
    if private:
        return greet_private(_private.Private(os.fspath(daemon) if daemon is not None else None), deadline, lazy)
    return _greet(*_connect.reach(target, deadline), -1, deadline, lazy)


def greet_private(parts: Private, deadline: float | None, lazy: bool = False) -> Session:
    assert parts.sock is not None
    return _greet(parts.sock, "private", parts.key, parts.lifeline, deadline, lazy)


def _greet(sock: socket, peer: str, key: bytearray, lifeline: int, deadline: float | None, lazy: bool) -> Session:
    from . import _connect, _find, _handshake
    from ._pump import Pump
    try:
        _connect.greet(sock, key, peer, deadline)
        core = _core.Core(peer)
        core.output.add(_handshake.Handshake.welcome())
        pump = Pump(sock, core)
        if not lazy:
            with pump.lock:
                pump.transfer.flush()
        return Session(pump, lifeline)
    except BaseException:
        sock.close()
        if lifeline >= 0:
            os.close(lifeline)
        raise
    finally:
        _find.erase(key)


class Session:
    """One authenticated connection to an instance; connect() makes it. Requests of many threads, and many workers, may be under way at once.

    When it is closed, or this program ends, the server ends its workers but the detached ones. It is a context manager that closes itself.
    A process that was forked off cannot use the session of its parent (ForkedError).

    `timeout` arguments are seconds; None waits for as long as it takes, 0 does not wait. A call that raises TimeoutExpired can be made again.
    """

    def __init__(self, pump: Pump, lifeline: int) -> None:
        self._pump = pump
        self._lifeline = lifeline

    # ---- the session itself

    @property
    def address(self) -> str:
        """What it is connected to: the path of the socket, or "private"."""
        return self._pump.core.peer

    @property
    def closed(self) -> bool:
        """Whether the session is over: closed, or lost."""
        return bool(self._pump.core.lost)

    def fileno(self) -> int:
        """For an event loop of the program's own: when it is readable, call process(). -1 once the session is closed."""
        return self._pump.transfer.sock.fileno()

    def process(self) -> None:
        """Sends and receives what is possible without waiting. What came of it, the workers know: their `state`, `returncode`, `end`.

        Raises SessionLostError."""
        self._pump.check_process()
        self._pump.process()
        if self._pump.core.lost:
            raise self._pump.core.lost_error()

    def close(self) -> None:
        """Ends the session. Its workers are ended by the server, detached ones go on. A private instance ends, with all of its workers, soon
        afterwards. May be called again."""
        self._pump.close("it was closed by this program")
        lifeline, self._lifeline = self._lifeline, -1
        if lifeline >= 0:
            os.close(lifeline)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, type_: object, value: object, traceback: object) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_lifeline", -1) < 0 and (not hasattr(self, "_pump") or self._pump.transfer.sock.fileno() < 0):
            return
        if os.getpid() == self._pump._pid and not self.closed:
            import warnings
            warnings.warn("unclosed %r" % self, ResourceWarning, source=self, stacklevel=2)
        self.close()

    def __repr__(self) -> str:
        return "<forksrv.Session %s%s>" % (self.address, ", over" if self.closed else "")

    # ---- asking

    def _wait(self, until: Callable[[], object], slot: _core.Slot | Frame | None, deadline: float | None) -> bool:
        return self._pump.wait(until, slot, deadline)

    def _ask(self, make: Callable[[], _core.Request], timeout: float | None) -> _core.Request:
        """A request and its answer."""
        pump = self._pump
        pump.check_process()
        with pump.lock:
            pump.check()
            request = make()
            pump.transfer.flush_new(request)
        if not pump.wait(lambda: request.done, request, deadline_after(timeout)):
            raise _errors.timed_out("%s did not answer in time" % self.address)
        if request.error is not None:
            raise request.error
        return request

    def _request(self, type_: int, answer: int, body: bytes, timeout: float | None) -> _core.Request:
        return self._ask(lambda: self._pump.core.request(type_, answer, body), timeout)

    # ---- workers

    def spawn(self, argv: Sequence[Word], *, program: Word | None = None, env: Mapping[str, str] | Mapping[bytes, bytes] | None = None,
              cwd: Word | None = None, stdin: File = None, stdout: File = None, stderr: File = None, fds: Mapping[int, File] | None = None,
              umask: int | None = None, rlimits: Mapping[int, Limit] | Mapping[str, Limit] | None = None, nice: int | None = None,
              oom_score_adj: int | None = None, blocked_signals: Iterable[int] = (), ignored_signals: Iterable[int] = (),
              time_limit: float | None = None, grace: float | None = None, name: str | None = None, memory_max: int | None = None,
              tasks_max: int | None = None, cpu_weight: int | None = None, detached: bool = False, process_group: bool = False,
              no_new_privs: bool = False, own_cgroup: bool = False, report: str | None = "exec", pidfd: bool = True, zygote: str | None = None,
              derived: bool = False, controlling_terminal: bool = False, cgroup: int | None = None, gate: int | None = None,
              hand_over: bool = False, slot_wait: float | None = None, text: bool = False, encoding: str | None = None,
              errors: str | None = None, timeout: float | None = None) -> Worker:
        """Starts a worker and returns its handle.

        argv            the arguments; the first is the program, unless `program` says otherwise.
        program         what to execute. With a slash in it: that file. Without: it is searched for in the PATH of the worker's environment.
        env             the whole environment; default: this program's.
        cwd             the working directory; default: this program's.
        stdin, stdout, stderr   None: this program's own fd 0, 1 or 2 (/dev/null if it has none); DEVNULL; PIPE: a pipe, whose other end is
                        an attribute of the Worker; a file or the number of an fd. stderr may be STDOUT. No other fd is open in the worker
        fds             but these: {number in the worker: a file, an fd or DEVNULL}.
        umask           default: this program's.
        rlimits         {resource.RLIMIT_... or its name, "nofile": limit, or (soft, hard)}; None or -1 is no limit.
        nice, oom_score_adj     absolute values.
        blocked_signals, ignored_signals   numbers of signals; default: none. All others have their default action.
        time_limit      seconds; then SIGTERM, and after `grace` seconds (default: the server's) SIGKILL.
        name            for people, and for attach(); 1 to 64 bytes.
        memory_max, tasks_max, cpu_weight   limits of a cgroup of its own: bytes, number, 1 to 10000.
        detached        it outlives this session.
        process_group   a process group of its own in the server's session, instead of a session of its own.
        no_new_privs    set-user-ID programs have no effect in it.
        own_cgroup      a cgroup of its own even without limits: its descendants, too, end when it is ended.
        report          "exec": return once the program runs, so that a failed exec raises here. "start": once the process exists.
                        None: do not wait for an answer at all; a failure is told by wait(). This is cheapest.
        pidfd           whether to have a pidfd with the report.
        zygote          have the zygote of that name fork the worker, instead of executing a program. For one that runs Python, argv is what
                        python3 would get: ["script.py", "a"], ["-m", "pkg"], ["-c", "code"]; see forksrv.zygote(5).
        controlling_terminal    its stdin, a terminal that is no other session's, becomes that of its own session.
        derived         the worker becomes a zygote of this session's own, on top of that one; see forksrv-zygote(7).
        cgroup          the fd of a directory of the cgroup tree: the worker begins there.
        gate            an fd: the worker begins when it can read a byte from it, as from a pipe; with report="start" it is known before.
        hand_over       the worker becomes a child of the service manager that has started the server, in `cgroup`, and is none of the server's
                        any more: wait() raises EndUnknownError.
        slot_wait       seconds (math.inf: for ever) for which the server keeps the request where a limit of it is reached, instead of
                        refusing it at once with a LimitError. Until then it is gone with the session, also if it is detached.
        text, encoding, errors  pipes for str instead of bytes, as in subprocess.
        timeout         seconds to wait for the report. Should the worker still be started later, it is killed at once.

        Raises SpawnError, as the subclass that fits: a program that is not there is a FileNotFoundError, too. LimitError, SessionLostError,
        TimeoutExpired; ValueError and TypeError for arguments that cannot be meant.
        """
        standard = Standard(stdin, stdout, stderr, fds)
        try:
            spec = Spec(argv, standard.fds, program=program, env=env, cwd=cwd, umask=umask, rlimits=rlimits, nice=nice,
                        oom_score_adj=oom_score_adj, blocked_signals=blocked_signals, ignored_signals=ignored_signals, time_limit=time_limit,
                        grace=grace, name=name, memory_max=memory_max, tasks_max=tasks_max, cpu_weight=cpu_weight, detached=detached,
                        process_group=process_group, no_new_privs=no_new_privs, own_cgroup=own_cgroup, report=report, pidfd=pidfd,
                        zygote=zygote, derived=derived, cgroup=cgroup, gate=gate, hand_over=hand_over,
                        controlling_terminal=controlling_terminal, slot_wait=patience(slot_wait, timeout))
            pump = self._pump
            state = self._start(lambda: pump.core.spawn(spec.body, spec.fds, spec.program, spec.cwd), report is not None, timeout)
            return Worker(self, state, argv, standard, text_of(text, encoding, errors))
        finally:
            standard.close()

    def _start(self, make: Callable[[], _core.WorkerState], report: bool, timeout: float | None, unwanted: bool = True) -> _core.WorkerState:
        """A request that makes a worker's handle, up to its first answer."""
        pump, state = self._pump, None
        pump.check_process()
        try:
            with pump.lock:
                pump.check()
                state = make()
                pump.transfer.flush_new(state)
            if not pump.wait(*state.answered(report), deadline_after(timeout)):
                raise _errors.timed_out("%s did not answer in time" % self.address)
        except BaseException:
            self._keep_fds()
            if unwanted and state is not None:
                self._give_up(state)
            raise
        if report and state.error is not None:
            raise state.error
        if report and state.state is _core.LOST:
            raise pump.core.lost_error()
        return state

    def _keep_fds(self) -> None:
        """An exception out of a signal handler can come when the request is queued and we do not know it yet: its fds are closed now, and
        must not be others by the time that it is sent."""
        with self._pump.lock:
            try:
                self._pump.core.output.keep()
            except OSError:
                self._pump.core.interrupted()

    def _give_up(self, state: _core.WorkerState) -> None:
        with self._pump.lock:
            self._pump.core.give_up(state)
            try:
                self._pump.transfer.flush()
            except OSError:
                pass  # whoever comes next is told

    def attach(self, worker: int | str, *, timeout: float | None = None) -> Worker:
        """A handle for a worker that another session started: by its id, or by its name. Also for one that ended, while its end is kept.

        Raises NoWorkerError; AmbiguousNameError: several have that name."""
        body = attach_body(worker)
        state = self._start(lambda: self._pump.core.attach(body), True, timeout, unwanted=False)
        return Worker(self, state, [], None, None)

    def run(self, argv: Sequence[Word], *, input: bytes | str | None = None, capture_output: bool = False, timeout: float | None = None,
            check: bool = False, **options: Any) -> CompletedWorker:
        """Starts a worker, waits for its end, and returns a CompletedWorker: args, returncode, stdout, stderr, end.

        input           what it reads from its standard input.
        capture_output  stdout=PIPE and stderr=PIPE.
        timeout         seconds; then its process group is killed, and TimeoutExpired raised, which has what it wrote.
        check           raise WorkerError if the return code is not 0.
        options         those of spawn().
        """
        prepare(input, capture_output, options)
        deadline = deadline_after(timeout)
        with self.spawn(argv, timeout=timeout, **options) as worker:
            try:
                stdout, stderr = worker.communicate(input, left(deadline))
            except _errors.TimeoutExpired as expired:
                worker.kill(group=True)
                expired.stdout, expired.stderr = worker.communicate()
                raise
            except BaseException:
                if not self.closed:
                    worker.kill(group=True)
                raise
            assert worker.end is not None and worker.returncode is not None
        completed = CompletedWorker(argv, worker.returncode, stdout, stderr, worker.end)
        if check:
            completed.check_returncode()
        return completed

    def as_completed(self, workers: Iterable[Worker], timeout: float | None = None) -> Iterator[Worker]:
        """Yields these workers of this session as they end, fail or are lost. TimeoutExpired: not all within `timeout` seconds."""
        deadline = deadline_after(timeout)
        waiting = list(workers)
        while waiting:
            over, waiting = by_over(waiting)
            yield from over
            if not over and not self._wait(lambda: any(worker._state.over for worker in waiting), None, deadline):
                raise _errors.timed_out("%d of the workers did not end in time" % len(waiting))

    # ---- other requests

    def signal(self, worker: int | Worker, signal: int, *, group: bool = False, everything: bool = False, timeout: float | None = None) -> None:
        """Sends a signal to a worker, by its id or handle. group: to its whole process group. everything: to all in the worker's own cgroup,
        SIGKILL only. NoWorkerError: there is no such worker, or it ended already."""
        id_ = worker._known_id() if isinstance(worker, Worker) else number(worker, 0, U64_MAX, "a worker's id")
        flags = (_wire.SIGNAL_GROUP if group else 0) | (_wire.SIGNAL_ALL if everything else 0)
        self._ask(lambda: self._pump.core.signal(id_, int(signal), flags), timeout)

    def list(self, *, timeout: float | None = None) -> list[_records.WorkerInfo]:
        """All workers of the instance, and the ends that it keeps."""
        request = self._request(_wire.LIST, _wire.LISTED, b"", timeout)
        return [_records.info(record) for record in request.records()]

    def status(self, *, timeout: float | None = None) -> dict[str, int | str]:
        """Counters and limits of the instance ("workers.live", "limit.workers", ...) and texts ("version"); forksrv(1) lists them."""
        return _records.counters(self._request(_wire.STATUS, _wire.STATUS_REPLY, b"", timeout).records())

    def ping(self, *, timeout: float | None = None) -> _records.Hello:
        """One round trip: who answers."""
        return _records.hello(self._request(_wire.HELLO, _wire.HELLO_REPLY, _core.hello_body(), timeout).parts[0])

    def watch(self, *, timeout: float | None = None) -> Watch:
        """From now on, events of ALL workers of the instance: an iterator of Event, and a context manager that ends it.

        timeout: seconds for the server's confirmation; events are waited for without limit, or by Watch.next()."""
        return Watch(self, timeout)

    # ---- zygotes

    def _zygote(self, action: int, name: str | None, timeout: float | None) -> _core.Request:
        return self._request(_wire.ZYGOTE, _wire.ZYGOTES if action == _wire.ZYGOTE_LIST else _wire.DONE, zygote_body(action, name), timeout)

    def zygotes(self, name: str | None = None, *, timeout: float | None = None) -> dict[str, dict[str, int | str]]:
        """The zygotes of the instance, or the one of that name: their counters and texts by the zygote's name."""
        return states(self._zygote(_wire.ZYGOTE_LIST, name, timeout).records())

    def zygote(self, name: str) -> Zygote:
        """A handle for warm(), stop() and reload(). Asks the server nothing."""
        return Zygote(self, name)


class Watch:
    """An iterator of Event; Session.watch() makes it. Events are kept while nobody asks for them, up to 4096; then they are counted, and told
    as an Event "lost"."""

    def __init__(self, session: Session, timeout: float | None) -> None:
        self._session = session
        self._watching = _core.Watching()
        self._over = False
        try:
            session._ask(lambda: session._pump.core.watch(self._watching), timeout)
        except BaseException:
            self._stop()
            raise

    def __iter__(self) -> Watch:
        return self

    def __next__(self) -> _records.Event:
        return self.next()

    def next(self, timeout: float | None = None) -> _records.Event:
        """The next event. TimeoutExpired: none within `timeout` seconds. StopIteration: the watch was closed. SessionLostError."""
        pump = self._session._pump
        if not pump.wait(lambda: self._watching or self._over, self._watching, deadline_after(timeout)):
            raise _errors.timed_out("no event in time")
        with pump.lock:
            if self._over:
                raise StopIteration
            if not self._watching:
                raise pump.core.lost_error()
            return self._watching.take()

    def _stop(self) -> None:
        pump = self._session._pump
        with pump.lock:
            self._over = True
            pump.core.unwatch(self._watching)
            pump.wake([self._watching])
            if not pump.core.lost:
                pump.transfer.flush()

    def close(self) -> None:
        """No events any more. A thread that waits for one is told so."""
        if not self._over and os.getpid() == self._session._pump._pid:
            self._stop()

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, type_: object, value: object, traceback: object) -> None:
        self.close()

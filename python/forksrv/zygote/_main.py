# SPDX-License-Identifier: LGPL-2.1-or-later
"""From forksrvd's socket and variables to a zygote that is ready: what is to be preloaded is, or it is said what failed."""
import faulthandler
import gc
import os
import socket
import stat
import sys

from . import _check
from . import _loop
from . import _os
from . import _speech as speech

SOCKET = 3
PREFIX = "FORKSRV_ZYGOTE_"
PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


class Settings:
    def __init__(self, environ):
        take = lambda name, otherwise="": environ.pop(PREFIX + name, otherwise)
        self.name = take("NAME")
        self.preload = take("PRELOAD").split("\n") if environ.get(PREFIX + "PRELOAD") else []
        self.module = take("MODULE")
        self.spares = int(take("SPARES", "0"))
        self.refill = int(take("SPARE_REFILL_USEC", "0")) / 1e6
        self.tolerant = take("ON_PRELOAD_ERROR", "fail") == "warn"
        self.start_timeout = int(take("START_TIMEOUT_USEC", "0")) / 1e6
        environ.pop(PREFIX + "PRELOAD", None)


class Trouble(Exception):
    """Text for people; the zygote does not get ready because of it."""


def _socket():
    try:
        if stat.S_ISSOCK(os.fstat(SOCKET).st_mode):
            sock = socket.socket(fileno=SOCKET)
            if sock.type == socket.SOCK_SEQPACKET:
                os.set_inheritable(SOCKET, False)
                return sock
    except OSError:
        pass
    raise SystemExit("forksrv.zygote: forksrvd starts this program, as forksrv.zygote(5) declares it")


def _traceback(e):
    """As the interpreter prints it, without our own frames and those of the import system."""
    import traceback  # it brings much along, that every fork would have
    tb = e.__traceback__
    while tb is not None and tb.tb_frame.f_code.co_filename.startswith(PACKAGE):
        tb = tb.tb_next
    lines = traceback.format_exception(type(e), e, tb)
    return "".join(line for line in lines if "<frozen importlib" not in line).rstrip()


class Preload:
    """Imports one after the other, and keeps what went wrong."""

    def __init__(self, settings):
        self.settings = settings
        self.troubles = []
        self.pid = os.getpid()
        self.ours = os.fstat(SOCKET).st_ino

    def trouble(self, text, needed=False):
        if needed or not self.settings.tolerant:
            raise Trouble(text)
        print("forksrv.zygote: " + text, file=sys.stderr, flush=True)
        self.troubles.append(text)

    def check_process(self, what):
        if os.getpid() != self.pid:
            os._exit(1)  # what was imported has forked, and this is the child: there is one zygote only
        try:
            same = os.fstat(SOCKET).st_ino == self.ours
        except OSError:
            same = False
        if not same:
            print("forksrv.zygote: %s closed file descriptor 3, the socket to forksrvd" % what, file=sys.stderr, flush=True)
            os._exit(1)

    def run(self, what, needed, function, *args):
        try:
            result = function(*args)
        except BaseException as e:  # SystemExit as well: importing it would end every program
            self.check_process(what)
            self.trouble("%s\n%s" % (what, _traceback(e)), needed)
            return None
        self.check_process(what)
        return result

    def all(self):
        for name in self.settings.preload:
            self.run("Preload=%s:" % name, False, __import__, name)
        function = None
        if self.settings.module:
            function = self.run("Module=%s:" % self.settings.module, True, _entry, self.settings.module)
        for problem in _check.fork_safety():
            self.trouble("preloading has made it unsafe to fork: " + problem)
        return function


def _entry(name):
    """MODULE or MODULE:FUNCTION; "main" if none is named."""
    module, _, function = name.partition(":")
    __import__(module)
    found = sys.modules[module]
    for part in (function or "main").split("."):
        found = getattr(found, part)
    return found


def _guard(settings):
    """One that hangs says where before it is killed."""
    if settings.start_timeout:
        faulthandler.dump_traceback_later(max(settings.start_timeout * 0.9, 0.05))


def main():
    """Returns in a worker, with what it is to do; the zygote itself ends here."""
    sock = _socket()
    settings = Settings(os.environ)
    preload = Preload(settings)
    _guard(settings)
    try:
        function = preload.all()
    except Trouble as e:
        speech.send(sock, speech.unready(str(e)))
        os._exit(1)
    faulthandler.cancel_dump_traceback_later()
    _check.flush_buffers()
    gc.collect()
    gc.disable()
    gc.freeze()
    _os.share_page_tables()
    loop = _loop.Loop(sock, settings, function)
    speech.send(sock, speech.ready("Python %d.%d.%d" % sys.version_info[:3], "\n".join(preload.troubles)))
    return loop.run()

# SPDX-License-Identifier: LGPL-2.1-or-later
"""The few calls of the C library that Python's os does not have. They need ctypes and the like, which a zygote loads only for them: every fork would
have it."""
import os
import sys

_PR_SET_NO_NEW_PRIVS = 38


def _libc():
    import ctypes
    return ctypes, ctypes.CDLL(None, use_errno=True)


def no_new_privs():
    try:
        ctypes, libc = _libc()
    except ImportError:
        raise OSError(38, "this interpreter has no ctypes") from None
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, *[ctypes.c_ulong(n) for n in (1, 0, 0, 0)]) != 0:
        errno = ctypes.get_errno()
        raise OSError(errno, os.strerror(errno))


def controlling_terminal(fd):
    try:
        import fcntl
        import termios
    except ImportError:
        raise OSError(38, "this interpreter has no termios") from None
    fcntl.ioctl(fd, termios.TIOCSCTTY, 0)


def _is_interpreter(path):
    name = os.path.basename(path)
    return name.startswith(("libpython", "libc.so", "libc-")) or path == os.path.realpath(sys.executable)


def share_page_tables():
    """A fork leaves out the page tables of mapped files that nobody has written to, so that each child finds every page of the interpreter's code
    anew, by a page fault: a quarter of all that a short child has. A byte that is written as it was makes it take them over. For the
    interpreter and the C library only, as each page costs the fork something, too. What cannot be written stays as it is."""
    try:
        with open("/proc/self/maps", "rb") as f:
            lines = f.read().split(b"\n")
        memory = os.open("/proc/self/mem", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return
    for line in lines:
        words = line.split(None, 5)
        if len(words) < 6 or words[1][1:2] == b"w" or words[1][3:4] != b"p" or not _is_interpreter(os.fsdecode(words[5])):
            continue
        start = int(words[0].partition(b"-")[0], 16)
        try:
            os.pwrite(memory, os.pread(memory, 1, start), start)
        except OSError:
            pass
    os.close(memory)


def _may_use_stdio():
    """Whether there is code that could have printed by C's stdio: by ctypes, or modules that are not the interpreter's own."""
    if "ctypes" in sys.modules:
        return True
    own = os.path.dirname(os.__file__) + os.sep
    for module in list(sys.modules.values()):
        path = getattr(module, "__dict__", {}).get("__file__")
        if isinstance(path, str) and path.endswith(".so") and (not path.startswith(own) or "-packages" in path):
            return True
    return False


def stdio():
    """A function that flushes C's stdio; it works when modules are gone already."""
    try:
        if _may_use_stdio():
            flush = _libc()[1].fflush
            return lambda: flush(None)
    except (ImportError, OSError, AttributeError):
        pass
    return lambda: None

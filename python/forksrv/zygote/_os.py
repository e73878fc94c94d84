# SPDX-License-Identifier: LGPL-2.1-or-later
"""The few calls of the C library that Python's os does not have. They need ctypes, which a zygote loads only for them: every fork would have it."""
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

# SPDX-License-Identifier: LGPL-2.1-or-later
"""sys.stdin, sys.stdout and sys.stderr for the files that a worker has, as the interpreter makes them when it starts: buffering by what they
are, encoding by the worker's own environment."""
import _locale
import io
import os
import sys


# By -u, or by its declaration's Environment=.
_unbuffered = bool(getattr(sys.__stdout__, "write_through", False))


def variable(name):
    """One that is for interpreters; those that were started with -E or -I have none."""
    return "" if sys.flags.ignore_environment else os.environ.get(name, "")


def _locale_encoding():
    """Encoding and error handler for stdin and stdout, as PEP 538 and PEP 540 have them."""
    environ = os.environ
    if _is_c() and not environ.get("LC_ALL") and variable("PYTHONCOERCECLOCALE") != "0":
        # The interpreter takes a better locale then, and tells its children of it.
        environ["LC_CTYPE"] = "C.UTF-8"
    if variable("PYTHONUTF8") == "1" or sys.flags.utf8_mode:
        return "utf-8", "surrogateescape"
    try:
        name = _locale.setlocale(_locale.LC_CTYPE, "")
    except _locale.Error:
        name = "C"
    if name in ("C", "POSIX", "C.UTF-8", "C.utf8", "UTF-8"):
        return "utf-8", "surrogateescape"
    return _codec(_locale.nl_langinfo(_locale.CODESET)), "strict"


def _is_c():
    environ = os.environ
    name = environ.get("LC_ALL") or environ.get("LC_CTYPE") or environ.get("LANG") or "C"
    return name in ("C", "POSIX")


def _codec(codeset):
    import codecs
    try:
        return codecs.lookup(codeset).name
    except LookupError:
        return "utf-8"


def _open(fd, name, mode, encoding, errors, unbuffered):
    writes = mode == "w"
    raw = io.FileIO(fd, mode, closefd=False)
    raw.name = name
    if writes and unbuffered:
        buffer = raw
    else:
        buffer = io.BufferedWriter(raw) if writes else io.BufferedReader(raw)
    lines = not (writes and unbuffered) and (fd == 2 or raw.isatty())
    text = io.TextIOWrapper(buffer, encoding, errors, "\n" if writes else None, lines, unbuffered)
    text.mode = mode
    return text


def renew(unbuffered):
    encoding, errors = _locale_encoding()
    given = variable("PYTHONIOENCODING").partition(":")
    encoding, errors = _codec(given[0]) if given[0] else encoding, given[2] or ("strict" if given[0] else errors)
    unbuffered = unbuffered or _unbuffered or bool(variable("PYTHONUNBUFFERED"))
    sys.stdin = sys.__stdin__ = _open(0, "<stdin>", "r", encoding, errors, unbuffered)
    sys.stdout = sys.__stdout__ = _open(1, "<stdout>", "w", encoding, errors, unbuffered)
    sys.stderr = sys.__stderr__ = _open(2, "<stderr>", "w", encoding, "backslashreplace", unbuffered)

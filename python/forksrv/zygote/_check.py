# SPDX-License-Identifier: LGPL-2.1-or-later
"""What makes a fork unsafe: threads that would not be there, locks that they hold, children and event loops that would be shared. Each is
named, so that one can find who made it. It repairs nothing but buffers, which are written out."""
import gc
import io
import os
import sys


def _openmp_libraries():
    """GNU's, which wheels bring along under other names."""
    with open("/proc/self/maps") as f:
        return sorted({line.split(None, 5)[5].rstrip("\n") for line in f if "/libgomp" in line})


def _end_openmp_threads():
    """GNU OpenMP does not look after a fork: a child that comes to a parallel region waits for threads that it does not have. It can be told
    to end them, and makes new ones when it needs some. OpenBLAS and LLVM's OpenMP do that by themselves."""
    try:
        libraries = _openmp_libraries()
        if libraries:
            import ctypes
        for path in libraries:
            ctypes.CDLL(path, os.RTLD_NOLOAD | os.RTLD_NOW).omp_pause_resource_all(1)
    except (OSError, ImportError, AttributeError, IndexError):
        pass  # then the check below may still see them


def _python_threads():
    threading = sys.modules.get("threading")
    if threading is None:
        return
    for thread in threading.enumerate():
        if thread is not threading.main_thread():
            yield "the thread %r is alive%s" % (thread.name, " (a daemon thread)" if thread.daemon else "")


def _native_threads():
    """Those without a name of their own are most often OpenBLAS's, which stops and starts them around a fork."""
    threading = sys.modules.get("threading")
    known = {thread.native_id for thread in threading.enumerate()} if threading is not None else {os.getpid()}
    with open("/proc/self/comm") as f:
        own = f.read()
    for tid in os.listdir("/proc/self/task"):
        if int(tid) in known or int(tid) == os.getpid():
            continue
        try:
            with open("/proc/self/task/%s/comm" % tid) as f:
                name = f.read()
        except OSError:
            continue
        if name != own:
            yield "the native thread %r is alive" % name.strip()


def _children():
    try:
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return
    yield "a child process was left behind%s" % ("" if found is None else " (pid %d)" % found.si_pid)


def _event_loops():
    for fd in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink("/proc/self/fd/" + fd)
        except OSError:
            continue
        if target == "anon_inode:[eventpoll]":
            yield "an event loop is open (epoll, file descriptor %s)" % fd


def fork_safety():
    """In words, one for each problem."""
    _end_openmp_threads()
    found = []
    for look in (_python_threads, _native_threads, _children, _event_loops):
        try:
            found.extend(look())
        except OSError:
            pass  # no /proc here
    return found


def flush_buffers():
    """What is in them would be written by every child."""
    for file in (sys.stdout, sys.stderr):
        try:
            file.flush()
        except (AttributeError, ValueError, OSError):
            pass
    for thing in gc.get_objects():
        if isinstance(thing, (io.BufferedWriter, io.BufferedRandom, io.TextIOWrapper)):
            try:
                thing.flush()
            except (ValueError, OSError):
                pass

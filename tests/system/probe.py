#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What secrets.tap does inside the machine.

probe.py intrude PID          as an ordinary user: every way that we know to get at another process of the same user,
                              and at the key; one line for each, "refused WHAT" or "OPEN WHAT"
probe.py search KEY FILE...   the forms in which the bytes of the file KEY stand in the files: raw, hex, base64, or none
probe.py pages PID            the mappings that forksrvd keeps its key in
"""
import base64
import ctypes
import os
import re
import sys

libc = ctypes.CDLL(None, use_errno=True)
PTRACE_ATTACH, PTRACE_DETACH, PTRACE_SEIZE = 16, 17, 0x4206
SYS_PIDFD_OPEN, SYS_PIDFD_GETFD = 434, 438


def checked(result):
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


def read(path):
    with open(path, "rb") as file:
        if not file.read(1):
            raise OSError(0, "empty")


def read_memory(pid):
    # The start of the program itself is mapped in every process; its place is no secret to whoever may read maps.
    with open(f"/proc/{pid}/maps") as maps:
        start = int(maps.readline().split("-")[0], 16)
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        memory.seek(start)
        memory.read(16)


def vm_read(pid):
    class Vec(ctypes.Structure):
        _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]

    buffer = ctypes.create_string_buffer(16)
    local, remote = Vec(ctypes.addressof(buffer), 16), Vec(ctypes.addressof(buffer), 16)
    # A wrong address is EFAULT for who may look, EPERM for who may not.
    try:
        checked(libc.process_vm_readv(pid, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0))
    except OSError as error:
        if error.errno != 14:
            raise


def trace(request, pid):
    checked(libc.ptrace(request, pid, None, None))
    if request == PTRACE_ATTACH:
        os.waitpid(pid, 0x40000000)
        libc.ptrace(PTRACE_DETACH, pid, None, None)


def steal_fd(pid):
    pidfd = checked(libc.syscall(SYS_PIDFD_OPEN, pid, 0))
    checked(libc.syscall(SYS_PIDFD_GETFD, pidfd, 0, 0))


def unit_of(pid):
    with open(f"/proc/{pid}/cgroup") as file:
        return re.search(r"([^/\n]+\.service)", file.read()).group(1)


def intrude(pid):
    proc = f"/proc/{pid}"
    probes = {
        "the key in the credential store": lambda: read("/run/credstore/forksrv.authkey.alice"),
        "a look into the credential store": lambda: os.listdir("/run/credstore"),
        "the credential of the service": lambda: read(f"/run/credentials/{unit_of(pid)}/forksrv.authkey"),
        "its environ": lambda: read(f"{proc}/environ"),
        "its maps": lambda: read(f"{proc}/maps"),
        "its auxv": lambda: read(f"{proc}/auxv"),
        "its map_files": lambda: os.listdir(f"{proc}/map_files"),
        "its mem": lambda: os.close(os.open(f"{proc}/mem", os.O_RDONLY)),
        "its memory, read": lambda: read_memory(pid),
        "its memory, by process_vm_readv": lambda: vm_read(pid),
        "its list of fds": lambda: os.listdir(f"{proc}/fd"),
        "one of its fds, opened": lambda: os.close(os.open(f"{proc}/fd/0", os.O_RDONLY)),
        "one of its fds, by pidfd_getfd": lambda: steal_fd(pid),
        "its root folder": lambda: os.listdir(f"{proc}/root/"),
        "its working folder": lambda: os.readlink(f"{proc}/cwd"),
        "PTRACE_ATTACH": lambda: trace(PTRACE_ATTACH, pid),
        "PTRACE_SEIZE": lambda: trace(PTRACE_SEIZE, pid),
    }
    for what, probe in probes.items():
        try:
            probe()
            print("OPEN", what)
        except PermissionError:
            print("refused", what)
        except (OSError, AttributeError) as error:
            print("UNCLEAR", what, "-", error)


def forms(key):
    """A half of the key is as bad as the whole, and base64 looks different at each of three places in a text."""
    for half in (key[:16], key[16:]):
        yield "raw", half
        yield "hex", half.hex().encode()
        for shift in range(3):
            # Only the characters that none of the neighbours has a part in.
            text = base64.b64encode(b"\0" * shift + half)
            yield "base64", text[(shift * 8 + 5) // 6 : (shift + 16) * 8 // 6]


def search(key_file, *files):
    with open(key_file, "rb") as file:
        key = file.read()
    found = set()
    for name in files:
        with open(name, "rb") as file:
            content = file.read()
        for form, needle in forms(key):
            if needle in content or (form == "hex" and needle in content.lower()):
                found.add(form)
            if form == "base64" and needle.translate(bytes.maketrans(b"+/", b"-_")) in content:
                found.add(form)
    print(" ".join(sorted(found)) or "none")


def pages(pid):
    count, size = 0, 0
    with open(f"/proc/{pid}/smaps") as smaps:
        for line in smaps:
            if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
                start, end = (int(n, 16) for n in line.split()[0].split("-"))
                size = end - start
            flags = line.split()[1:] if line.startswith("VmFlags:") else []
            if {"dd", "lo", "wf"} <= set(flags):
                count += size // os.sysconf("SC_PAGESIZE")
    print(f"{count} locked, left out of cores and of children")


verb, arguments = sys.argv[1], sys.argv[2:]
if verb == "intrude":
    intrude(int(arguments[0]))
elif verb == "search":
    search(*arguments)
elif verb == "pages":
    pages(int(arguments[0]))
else:
    sys.exit(__doc__)

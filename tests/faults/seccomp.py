# SPDX-License-Identifier: LGPL-2.1-or-later
"""System calls that do not pass through libc, those of the daemon's clone and of the child before its exec: the kernel asks us about each of
them (SECCOMP_RET_USER_NOTIF), and we say which one fails."""
import array
import ctypes
import errno
import fcntl
import os
import platform
import select
import socket
import struct
import threading

# x86_64. A table of another architecture would be as good.
NUMBERS = {"rt_sigaction": 13, "rt_sigprocmask": 14, "ioctl": 16, "execve": 59, "fcntl": 72, "chdir": 80, "setpgid": 109, "setsid": 112,
           "setpriority": 141, "prctl": 157, "ppoll": 271, "dup3": 292, "prlimit64": 302, "clone3": 435, "close_range": 436}
SECCOMP, PR_SET_NO_NEW_PRIVS = 317, 38
SET_MODE_FILTER, NEW_LISTENER = 1, 1 << 3
RECV, SEND, CONTINUE = 0xC0502100, 0xC0182101, 1
LIBC = ctypes.CDLL(None, use_errno=True)


def possible():
    """Why it is not, or None."""
    if platform.machine() != "x86_64":
        return "the numbers of system calls are those of x86_64"
    pid = os.fork()
    if pid == 0:
        try:
            os.close(listener())
            os._exit(0)
        except OSError:
            os._exit(1)
    return None if os.waitpid(pid, 0)[1] == 0 else "this kernel does not let us answer for system calls"


def listener():
    """From now on these calls of this process, and of what it starts, are asked about at the returned fd."""
    program = [struct.pack("HBBI", 0x20, 0, 0, 0)]  # the number
    numbers = sorted(NUMBERS.values())
    for i, n in enumerate(numbers):
        program.append(struct.pack("HBBI", 0x15, len(numbers) - i, 0, n))
    program.append(struct.pack("HBBI", 0x06, 0, 0, 0x7FFF0000))  # ALLOW
    program.append(struct.pack("HBBI", 0x06, 0, 0, 0x7FC00000))  # USER_NOTIF
    code = ctypes.create_string_buffer(b"".join(program))
    filter_ = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(program), ctypes.addressof(code)))
    LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    fd = LIBC.syscall(SECCOMP, SET_MODE_FILTER, NEW_LISTENER, filter_)
    if fd < 0:
        raise OSError(ctypes.get_errno(), "seccomp")
    return fd


class Judge(threading.Thread):
    """Answers for a daemon: before() is to run in its process."""

    def __init__(self):
        super().__init__(daemon=True)
        self.ours, self.theirs = socket.socketpair()
        self.rule, self.hits = None, 0
        self.start()

    def before(self):
        fd = listener()
        self.theirs.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])
        os.close(fd)

    def fail(self, call, error, times, daemon, child):
        """The next calls of the daemon itself, or of others."""
        self.hits = 0
        self.rule = [NUMBERS[call], error, times, daemon, child]

    def error_for(self, pid, number):
        if self.rule is None:
            return 0
        call, error, times, daemon, child = self.rule
        if number != call or times == 0 or (pid != daemon) != child:
            return 0
        self.rule[2] -= 1
        self.hits += 1
        return error

    def run(self):
        _, control, _, _ = self.ours.recvmsg(1, 64)
        fds = array.array("i")
        fds.frombytes(control[0][2])
        poll = select.poll()
        poll.register(fds[0], select.POLLIN)
        while True:
            if poll.poll()[0][1] & select.POLLHUP:
                return
            asked = bytearray(80)
            try:
                fcntl.ioctl(fds[0], RECV, asked)
                ident, pid, _, number = struct.unpack_from("QIIi", asked)
                error = self.error_for(pid, number)
                fcntl.ioctl(fds[0], SEND, struct.pack("QqiI", ident, 0, -error, 0 if error else CONTINUE))
            except OSError as e:
                # Its caller has been killed meanwhile.
                if e.errno not in (errno.ENOENT, errno.EINTR):
                    raise

# SPDX-License-Identifier: LGPL-2.1-or-later
"""A cgroup that is delegated to the daemon under test, as systemd would. Needs root and a writable cgroup2 hierarchy."""
import os
import tempfile


def delegated():
    """A new cgroup below our own, marked as systemd marks what it delegates; None where we cannot."""
    for root in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified"):
        with open("/proc/self/cgroup") as f:
            own = next((line[4:].strip() for line in f if line.startswith("0::/")), "")
        try:
            folder = tempfile.mkdtemp(prefix="forksrv-test.", dir=os.path.join(root, own))
        except OSError:
            continue
        try:
            os.setxattr(folder, "user.delegate", b"1")
            os.mkdir(os.path.join(folder, "supervisor"))
            if os.path.exists(os.path.join(folder, "cgroup.kill")):
                return folder
        except OSError:
            pass
        remove(folder)
    return None


def remove(folder):
    for path, _, _ in os.walk(folder, topdown=False):
        os.rmdir(path)


def enter(folder):
    with open(os.path.join(folder, "supervisor", "cgroup.procs"), "w") as f:
        f.write("0")

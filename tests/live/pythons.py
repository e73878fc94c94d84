# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every Python of 3.11 to 3.15 that this machine has: in PATH, of pyenv, and as root those of another Debian in $FORKSRV_PYTHON_ROOT
(tests/tools/python-root makes one), by chroot. Whatever such a one is to find must be made below ROOT, so this module moves temporary files there."""
import glob
import os
import shutil
import subprocess
import sys
import tempfile

VERSIONS = [(3, minor) for minor in range(11, 16)]
WHERE = "not installed (searched for in PATH, pyenv and $FORKSRV_PYTHON_ROOT)"

ROOT = os.environ.get("FORKSRV_PYTHON_ROOT", "").rstrip("/") if os.geteuid() == 0 else ""
CHROOT = shutil.which("chroot") or "/usr/sbin/chroot"
if ROOT:
    tempfile.tempdir = os.path.join(ROOT, "tmp")


def pythons():
    """{(3, minor): how to run it}"""
    root = os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv")
    candidates = [sys.executable] + [shutil.which("python3.%d" % minor) for _, minor in VERSIONS]
    candidates += sorted(glob.glob(os.path.join(root, "versions", "3.*", "bin", "python3")))
    programs = [[program] for program in candidates if program]
    if ROOT:
        programs += [[CHROOT, ROOT, path[len(ROOT):]] for path in sorted(glob.glob(ROOT + "/usr/bin/python3.[0-9]*[0-9]"))]
    found = {}
    for program in programs:
        r = subprocess.run([*program, "-c", "import sys; print(*sys.version_info[:2])"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        if r.returncode == 0:
            found.setdefault(tuple(map(int, r.stdout.split())), program)
    return found


def is_chroot(program):
    return program[0] == CHROOT


def seen_by(program, path):
    """A path as that interpreter finds it."""
    return path[len(ROOT):] if is_chroot(program) else path


def on_both_sides(program, folder):
    """A folder outside of ROOT is then at the same path for that interpreter, too."""
    if is_chroot(program) and not os.path.exists(ROOT + folder):
        shutil.copytree(folder, ROOT + folder, symlinks=True)

# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every place in the daemon that calls something which can fail, from its machine code, and the file by which the shim is told which of them
fails, when and how. A site is called FILE:FUNCTION/CALLEE#N: the N-th call of that in this function."""
import collections
import mmap
import os
import re
import struct
import subprocess
import tempfile

import live

DAEMON = os.path.abspath(os.path.join(live.BUILD, "tests", "faults", "forksrvd"))
SITES, TEXT = 8, 1 << 24
# struct shim, up to `seen`.
HEAD = struct.Struct("=%dQiIIIIIqq" % SITES)

# What the daemon uses and the shim need not know: it cannot fail, or only by a mistake of our own, which an assertion tells.
HARMLESS = re.compile(r"""_ITM_.*|__gmon_start__|__cxa_finalize|__libc_start_main|__stack_chk_fail|__assert_fail|__errno_location|__cmsg_nxthdr
    |(explicit_b|mem|str).*|f?n?v?s?n?printf|(__isoc99_|__isoc23_)?[fs]?scanf|usleep|puts|atoi|qsort|getopt_long|fnmatch|alphasort|sigabbrev_np
    |free|feof|ferror|getc|getenv|getp?pid|gete?uid|gnutls_memcmp
    |sd_event_source_disable_unref|sd_event_source_unref|sd_event_unref|sd_bus_message_unref|sd_bus_close_unref|sd_bus_is_ready|sd_bus_set_method_call_timeout|gnu_dev_makedev
    |sd_event_(now|exit|source_get_enabled|source_set_priority|source_set_io_fd_own)|sysconf
    |__(asan|ubsan|sanitizer|lsan|interceptor|sancov|gcov|llvm).*|gcov.*|fileno|fwrite|fputs""".replace("\n", "").replace(" ", ""))
# What only the shim itself calls.
SHIMS = {"fputc"}
# Those of a runtime that is linked in.
FOREIGN = re.compile(r"_ZN|(.*:)?_*(asan|ubsan|lsan|sanitizer|interceptor|sancov|gcov|llvm)")


def _files():
    """{address: file} of the static functions: readelf lists them below the name of their file."""
    found, file = {}, ""
    for line in subprocess.run(["readelf", "-sW", DAEMON], stdout=subprocess.PIPE, check=True, text=True).stdout.splitlines():
        words = line.split()
        if words[3:4] == ["FILE"]:
            # Those of the linker's own are the functions that were global.
            file = words[7] if words[7:] not in ([], ["crtstuff.c"]) else ""
        elif len(words) == 8 and words[3] == "FUNC" and words[4] == "LOCAL" and file:
            found[int(words[1], 16)] = file
    return found


def _base():
    out = subprocess.run(["readelf", "-sW", DAEMON], stdout=subprocess.PIPE, check=True, text=True).stdout
    return next(int(line.split()[1], 16) for line in out.splitlines() if line.endswith(" __executable_start"))


def find():
    """{name: place}, a place being where the call returns to."""
    files, base, sites, count = _files(), _base(), {}, collections.Counter()
    text = subprocess.run(["objdump", "-d", "--no-show-raw-insn", DAEMON], stdout=subprocess.PIPE, check=True, text=True).stdout
    function = pending = None
    for line in text.splitlines():
        head = re.match(r"([0-9a-f]+) <([^>]+)>:$", line)
        if head:
            at = int(head.group(1), 16)
            name = head.group(2).split(".")[0]
            function = "%s:%s" % (files[at], name) if at in files else name
            continue
        here = re.match(r" *([0-9a-f]+):\s", line)
        if here and pending:
            sites[pending] = int(here.group(1), 16) - base
            pending = None
        call = re.search(r"\b(?:call|bl)\b.*<__wrap_(\w+)>$", line)
        if call and not function.startswith(("__wrap_", "shim.c:")) and not FOREIGN.match(function):
            key = "%s/%s" % (function, call.group(1))
            count[key] += 1
            pending = "%s#%d" % (key, count[key])
    return sites


def unknown():
    """Functions of libraries that the daemon calls, and that are neither wrapped nor harmless."""
    out = subprocess.run(["nm", "-u", DAEMON], stdout=subprocess.PIPE, check=True, text=True).stdout
    used = {line.split()[-1].split("@")[0] for line in out.splitlines()}
    wrapped = {line.split("__wrap_")[1] for line in subprocess.run(["nm", DAEMON], stdout=subprocess.PIPE, check=True, text=True).stdout.splitlines()
               if "__wrap_" in line}
    return sorted(name for name in used - wrapped - SHIMS if not HARMLESS.fullmatch(name))


class Control:
    def __init__(self, sites):
        self.sites = sites
        self.file = tempfile.NamedTemporaryFile(prefix="forksrv-faults.")
        self.file.truncate((HEAD.size + 4 * TEXT + 4095) // 4096 * 4096)
        self.map = mmap.mmap(self.file.fileno(), 0)
        self.seen_at = memoryview(self.map)[HEAD.size:HEAD.size + 4 * TEXT].cast("I")
        self.jump = self.age = 0
        self.environment = {"FORKSRV_FAULTS": self.file.name}

    def set(self, places=(), error=0, skip=0, times=0, storm=0):
        places = list(places) + [0] * (SITES - len(places))
        self.map[:HEAD.size] = HEAD.pack(*places, error, skip, times, 0, storm, 0, self.jump, self.age)

    def fail(self, site, error, skip=0, times=1, also=None):
        self.set([self.sites[name] for name in (site, also) if name], error, skip, times)

    def disarm(self):
        """Returns how many calls have failed. The log has its lines of the next seconds anew."""
        hits = HEAD.unpack_from(self.map)[SITES + 3]
        self.age += 100
        self.set()
        return hits

    def interrupted(self):
        return HEAD.unpack_from(self.map)[SITES + 5]

    def seen(self):
        """{site: how often it was come by}"""
        return {name: self.seen_at[place] for name, place in self.sites.items()}

    def close(self):
        self.seen_at.release()
        self.map.close()
        self.file.close()

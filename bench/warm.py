# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a zygote is compared with: a process that has imported numpy and forks, without a server. Lines on stdin: `hello PATH` runs a script in
a fork; `fork` prints the nanoseconds from before fork() to the first instruction in the child."""
import os
import runpy
import sys
import time

import numpy  # noqa: F401


def hello(path):
    if os.fork() == 0:
        sys.argv = [path]
        runpy.run_path(path, run_name="__main__")
        sys.stdout.flush()
        os._exit(0)
    os.wait()


def fork():
    before = time.monotonic_ns()
    if os.fork() == 0:
        after = time.monotonic_ns()
        os.write(1, b"%d\n" % (after - before))
        os._exit(0)
    os.wait()


def main():
    import gc
    gc.collect()
    gc.freeze()
    os.write(1, b"ready\n")
    while True:
        words = sys.stdin.readline().split()
        if not words:
            return
        hello(words[1]) if words[0] == "hello" else fork()


main()

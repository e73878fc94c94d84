# SPDX-License-Identifier: LGPL-2.1-or-later
"""One measurement, in an interpreter of its own: processes.py METHOD TOTAL ACTIVE. Prints processes per second. The same as in PR 99309 of
CPython: TOTAL processes with nothing to do, ACTIVE of them at a time, each waited for. The server is running before the clock does."""
import multiprocessing
import multiprocessing.connection
import sys
import time


def nothing():
    pass


def run(context, total, active):
    live, started = {}, 0
    while started < total or live:
        while started < total and len(live) < active:
            process = context.Process(target=nothing)
            process.start()
            live[process.sentinel] = process
            started += 1
        for sentinel in multiprocessing.connection.wait(list(live)):
            process = live.pop(sentinel)
            process.join()
            if process.exitcode != 0:
                raise SystemExit("a process ended with %s" % process.exitcode)
            process.close()


def main(method, total, active):
    if method == "forksrv":
        import forksrv
        forksrv.install()
    context = multiprocessing.get_context("forkserver" if method == "forksrv" else method)
    run(context, 2 * active, active)
    before = time.perf_counter()
    run(context, total, active)
    print("%.1f" % (total / (time.perf_counter() - before)))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))

# SPDX-License-Identifier: LGPL-2.1-or-later
"""helper-times.py UNIT...: from `systemctl --user start` to the first line of each of these, in turns."""
import os
import statistics
import subprocess
import sys
import time

ROUNDS = 15
FIRST = os.environ["XDG_RUNTIME_DIR"] + "/first"
SHOWN = {"plain": "systemd itself", "exec": "forksrv run --as-main", "warm": "forksrv run --as-main -z gtk"}


def once(unit):
    """Milliseconds."""
    if os.path.exists(FIRST):
        os.unlink(FIRST)
    before = time.monotonic_ns()
    subprocess.run(["systemctl", "--user", "start", unit], check=True)
    while not os.path.exists(FIRST):
        time.sleep(0.0005)
    with open(FIRST) as f:
        took = (int(f.read()) - before) / 1e6
    subprocess.run(["systemctl", "--user", "stop", unit], check=True)
    return took


def main(units):
    for unit in units:  # the server, the zygote
        once(unit)
    times = {unit: [] for unit in units}
    for _ in range(ROUNDS):
        for unit in units:
            times[unit].append(once(unit))
    base = statistics.median(times[units[0]])
    for unit in units:
        t = times[unit]
        print("first line of a GTK helper, started by %-28s %6.1f ms (%.1f to %.1f)  %.2f" % (
            SHOWN[unit], statistics.median(t), min(t), max(t), base / statistics.median(t)))


main(sys.argv[1:])

#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""ledger.py FOLDER CLIENTS: a load that keeps a ledger, for crash.tap and soak. Each client starts workers one after the other until the
file FOLDER/stop is there: of 0 to 2 s, every second one detached and waited for by its name, each with an exit code or a signal of its own.
A worker writes its name down as it begins. At the end one line of JSON: how many were started, how many ends were right, wrong, or unknown,
how many workers ran twice, or never."""
import json
import os
import random
import subprocess
import sys
import threading
import time

FOLDER = sys.argv[1]
CLIENTS = int(sys.argv[2])
BEGUN = os.path.join(FOLDER, "begun")
lock = threading.Lock()
found = {"started": 0, "right": 0, "wrong": [], "unknown": 0}
names = []


def command(*args):
    done = subprocess.run(["forksrv", *args], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    return done.returncode, done.stderr.decode(errors="replace").strip()


def script(name, seconds, end):
    last = "kill -%d $$" % -end if end < 0 else "exit %d" % end
    return "echo %s >>%s; sleep %.2f; %s" % (name, BEGUN, seconds, last)


def one(number, rng):
    name = "w-%s" % number
    seconds, end = rng.choice((0, 0, 0.01, 0.1, 0.3, 2 * rng.random())), rng.choice((0, 1, 7, 42, 124, -9, -15, -10))
    work = ("--", "sh", "-c", script(name, seconds, end))
    if rng.random() < 0.5:
        code, said = command("run", "--no-private", *work)
    else:
        code, said = command("run", "--no-private", "--detach", "--name=" + name, *work)
        if code == 0:
            code, said = command("wait", name)
        else:
            said = "detach: " + said
    with lock:
        found["started"] += 1
        names.append(name)
        if code == end:
            found["right"] += 1
        elif "unknown" in said or "nobody knows" in said:
            found["unknown"] += 1
            print(name, end, code, said, file=sys.stderr)
        else:
            found["wrong"].append([name, end, code, said])


def client(n):
    rng = random.Random(n)
    count = 0
    while not os.path.exists(os.path.join(FOLDER, "stop")):
        count += 1
        one("%d-%d" % (n, count), rng)


def main():
    began = time.monotonic()
    threads = [threading.Thread(target=client, args=(n,)) for n in range(CLIENTS)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    with open(BEGUN) as f:
        begun = f.read().split()
    found["twice"] = sorted(set(n for n in begun if begun.count(n) > 1))
    found["never"] = sorted(set(names) - set(begun))
    found["unasked"] = sorted(set(begun) - set(names))
    found["seconds"] = round(time.monotonic() - began)
    found["wrong"] = found["wrong"][:20]
    print(json.dumps(found))


main()

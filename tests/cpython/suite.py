# SPDX-License-Identifier: LGPL-2.1-or-later
"""CPython's tests of its fork server, by this interpreter: each module of them once on that server and once on forksrv, each in a process of its
own and by CPython's own runner. It compares what the runner wrote down. See run --help."""
import argparse
import importlib.util
import os
import pkgutil
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree

PACKAGE = "test.test_multiprocessing_forkserver"
VERSION = "%d.%d" % sys.version_info[:2]
STATES = ("passed", "failed", "skipped")


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--daemon", required=True)
    parser.add_argument("--package", required=True)
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--match", action="append", default=[])
    parser.add_argument("--time", type=int, default=900)
    parser.add_argument("--keep")
    return parser.parse_args()


def modules():
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None:
        sys.exit("%s: this interpreter has no %s (Debian: libpython%s-testsuite)" % (sys.executable, PACKAGE, VERSION))
    found = sorted(module.name for module in pkgutil.iter_modules(spec.submodule_search_locations) if module.name.startswith("test_"))
    return [name for name in found if not options.only or name in options.only]


class Instance:
    """A forksrvd as systemd would start it, and what is in the environment of programs that are to find it."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="forksrv-cpython.")
        self.environ = {"PYTHONPATH": options.package, "FORKSRV_ZYGOTE": "python"}
        config = os.path.join(self.folder, "config")
        os.makedirs(os.path.join(config, "forksrv", "zygotes"))
        with open(os.path.join(config, "forksrv", "zygotes", "python.conf"), "w") as f:
            f.write("[Zygote]\nInterpreter=%s\n" % sys.executable)
        self.address, self.key = os.path.join(self.folder, "control"), os.path.join(self.folder, "authkey")
        with open(os.open(self.key, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as f:
            f.write(os.urandom(32))
        self.environ["FORKSRV_ADDRESS"], self.environ["FORKSRV_AUTHKEY_FILE"] = self.address, self.key
        self.start({"PATH": os.environ["PATH"], "HOME": self.folder, "XDG_CONFIG_HOME": config, "FORKSRV_PYTHON_DIR": options.package})

    def start(self, environ):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self.address)
        listener.listen(4096)
        with listener, open(self.key, "rb") as key, open(os.path.join(self.folder, "log"), "wb") as log:
            script = 'LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=control:forksrv.authkey; export LISTEN_PID LISTEN_FDS LISTEN_FDNAMES; ' \
                     'exec 3<&%d 4<&%d; exec "$0"' % (listener.fileno(), key.fileno())
            self.process = subprocess.Popen(["/bin/sh", "-c", script, options.daemon], env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            pass_fds=(listener.fileno(), key.fileno()), start_new_session=True)

    def forked(self):
        sys.path.insert(0, options.package)
        import forksrv
        try:
            with forksrv.connect(self.address, authkey_file=self.key) as session:
                return session.status()["zygotes.forks"]
        except forksrv.Error as e:
            with open(os.path.join(self.folder, "log"), errors="replace") as log:
                raise SystemExit("forksrvd does not answer: %s\n%s" % (e, log.read()[-3000:])) from None

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if options.keep:
            shutil.copy(os.path.join(self.folder, "log"), os.path.join(options.keep, "%s.forksrvd.log" % VERSION))
        shutil.rmtree(self.folder)


def run(server, words, environ, name):
    """One module. Its tests by name with what became of each, the seconds, and what it printed if it did not come to its end."""
    folder = tempfile.mkdtemp(prefix="forksrv-cpython.")
    results, output = os.path.join(folder, "results"), os.path.join(folder, "output")
    if options.keep:
        output = os.path.join(options.keep, "%s.%s.%s.log" % (VERSION, name, server))
    words = [sys.executable, *words, "-m", "test", "-v", "-u", "all", "--timeout", str(options.time), "--junit-xml", results,
             *("-m" + pattern for pattern in options.match), PACKAGE + "." + name]
    start = time.monotonic()
    with open(output, "wb") as log:
        process = subprocess.Popen(words, env={**os.environ, **environ}, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                   start_new_session=True)
        try:
            process.wait(options.time + 30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    seconds = time.monotonic() - start
    found = parse(results) if os.path.exists(results) else None
    with open(output, "rb") as log:
        tail = "" if found is not None else "exit code %d\n%s" % (process.returncode, log.read()[-3000:].decode(errors="replace"))
    shutil.rmtree(folder, ignore_errors=True)
    return found, seconds, tail


def parse(results):
    found = {}
    for case in xml.etree.ElementTree.parse(results).iter("testcase"):
        kinds = {child.tag for child in case}
        state = "failed" if kinds & {"failure", "error"} or case.get("result") not in ("completed", None) and "skipped" not in kinds else \
            "skipped" if "skipped" in kinds else "passed"
        text = "\n".join((child.text or "") for child in case if child.tag in ("failure", "error"))
        found[case.get("name")] = (state, text)
    return found


class Total:
    def __init__(self):
        self.tests, self.seconds, self.cut = {}, 0.0, []

    def add(self, name, result):
        found, seconds, tail = result
        self.seconds += seconds
        if found is None:
            self.cut.append((name, tail))
        self.tests.update(found or {})

    def count(self, state):
        return sum(is_ == state for is_, _ in self.tests.values())

    def row(self, server):
        return "%-24s %6d %8d %8d %8d %8.0f s" % (server, len(self.tests), *(self.count(state) for state in STATES), self.seconds)


def indent(text):
    return "".join("    %s\n" % line[:200] for line in text.rstrip().splitlines()[-40:])


def main():
    instance = Instance()
    stock, ours = Total(), Total()
    try:
        instance.forked()
        for name in modules():
            for total, server, words, environ in ((stock, "stock", [], {}), (ours, "forksrv", ["-m", "forksrv"], instance.environ)):
                print("# Python %s: %s on %s …" % (VERSION, name, server), flush=True)
                total.add(name, run(server, words, environ, name))
        forked = instance.forked()
    finally:
        instance.stop()
    lost = sorted(name for name, (state, _) in stock.tests.items() if state == "passed" and ours.tests.get(name, ("",))[0] != "passed")
    print("\n%-24s %6s %8s %8s %8s %10s" % ("Python %d.%d.%d" % sys.version_info[:3], "tests", *STATES, "time"))
    print(stock.row("its own fork server"))
    print(ours.row("forksrv"))
    for what, total in (("its own fork server", stock), ("forksrv", ours)):
        for name, tail in total.cut:
            print("%s did not come to its end on %s:\n%s" % (name, what, indent(tail)), end="")
        for name, (state, text) in total.tests.items():
            if state == "failed":
                print("failed on %s: %s\n%s" % (what, name, indent(text)), end="")
    print("pass on its own fork server and not on forksrv: %d" % len(lost))
    for name in lost:
        print("    %s (%s)" % (name, ours.tests.get(name, ("did not run",))[0]))
    print("processes that forksrv forked: %d\n" % forked, flush=True)
    return bool(lost or ours.cut or stock.cut or not forked or not stock.count("passed"))


if __name__ == "__main__":
    options = arguments()
    sys.exit(main())

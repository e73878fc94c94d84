# SPDX-License-Identifier: LGPL-2.1-or-later
"""Programs that use multiprocessing, as files: what each prints is to be the same whoever forks its processes. What is not the same twice
(pids, addresses, times, the order of what runs at the same time) they do not print."""

_HEAD = """
import multiprocessing as mp, os, signal, sys, time
"""
_START = """
if __name__ == "__main__":
    mp.set_start_method("forkserver", force=True)
"""


def _program(functions, main, head=_HEAD):
    return head + functions + _START + "\n".join("    " + line if line else "" for line in main.strip("\n").splitlines()) + "\n"


FILES = {
    "process.py": _program("""
def work(*args, **kwargs):
    p = mp.current_process()
    print(p.name, p.daemon, args, kwargs, mp.parent_process().name, p.is_alive(), flush=True)
class Sub(mp.Process):
    def run(self):
        print("sub", self.name, self._args, flush=True)
        sys.exit(9)
""", """
p = mp.Process(target=work, args=(1, "x"), kwargs={"k": [2]}, name="mine")
print(p, p.exitcode, p.pid)
p.start()
print(p.is_alive() in (True, False), type(p.pid), p.ident == p.pid, os.getpid() == p.pid)
p.join()
print(p.exitcode, p.is_alive(), mp.active_children())
s = Sub(args=(5,))
s.start()
s.join()
print(s.exitcode, s.name)
try:
    s.start()
except AssertionError as e:
    print("again:", e)
p.close()
try:
    p.is_alive()
except ValueError as e:
    print(e)
c = mp.get_context("forkserver").Process(target=work)
c.start()
c.join(30)
print(c.name, c.exitcode)
from multiprocessing.connection import wait
ps = [mp.Process(target=time.sleep, args=(t,)) for t in (0.05, 0.4)]
for p in ps:
    p.start()
print([ps.index(p) for p in ps if p.sentinel in wait([p.sentinel for p in ps])])
print(ps[1].join(0.01), ps[1].exitcode)
ps[1].join()
print([p.exitcode for p in ps])
"""),
    "codes.py": _program("""
def code(c):
    sys.exit(c)
def raises():
    raise KeyError("deep")
def inner():
    try:
        raises()
    except KeyError as e:
        raise ValueError("outer") from e
def dies(signum):
    signal.signal(signum, signal.SIG_DFL) if signum != 9 else None
    os.kill(os.getpid(), signum)
def quits(c):
    os._exit(c)
""", """
for c in (0, 1, 7, 255, 256, -1, None, "a text", 3.5, True):
    p = mp.Process(target=code, args=(c,))
    p.start()
    p.join()
    print(repr(c), p.exitcode, flush=True)
for target, args in ((raises, ()), (inner, ()), (dies, (15,)), (dies, (9,)), (dies, (11,)), (dies, (6,)), (dies, (10,)), (quits, (77,))):
    p = mp.Process(target=target, args=args, name="p-" + target.__name__)
    p.start()
    p.join()
    print(target.__name__, args, p.exitcode, p, flush=True)
for end in ("terminate", "kill"):
    p = mp.Process(target=time.sleep, args=(100,))
    p.start()
    getattr(p, end)()
    p.join()
    print(end, p.exitcode, flush=True)
"""),
    "pool.py": _program("""
def square(x):
    return x * x
def add(x, y):
    return x + y
def fails(x):
    raise ValueError("bad %d" % x)
def setup(value):
    global kept
    kept = value
def look(_):
    return kept
def pid(_):
    time.sleep(0.01)
    return os.getpid()
class Odd:
    def __reduce__(self):
        raise TypeError("not to be pickled")
def odd(_):
    return Odd()
""", """
with mp.Pool(3) as pool:
    print(pool.map(square, range(20)), list(pool.imap(square, range(5), chunksize=2)), sorted(pool.imap_unordered(square, range(5))))
    print(pool.starmap(add, [(1, 2), (3, 4)]), pool.apply(add, (5, 6)), pool.apply_async(add, (7, 8)).get())
    try:
        pool.map(fails, [3])
    except ValueError as e:
        import traceback
        traceback.print_exception(e)
    errors = []
    pool.apply_async(fails, (4,), error_callback=errors.append).wait()
    time.sleep(0.05)
    print(errors)
    try:
        pool.apply(odd, (1,))
    except Exception as e:
        print(type(e).__name__, e)
with mp.Pool(2, setup, ("set up",)) as pool:
    print(pool.map(look, range(3)))
with mp.Pool(2, maxtasksperchild=1) as pool:
    print(len(set(pool.map(pid, range(6), chunksize=1))))
    pool.close()
    pool.join()
with mp.Pool(2) as pool:
    result = pool.apply_async(time.sleep, (100,))
    try:
        result.get(0.1)
    except mp.TimeoutError:
        print("in time it is not")
print("end")
"""),
    "manager.py": _program("""
from multiprocessing.managers import BaseManager
def work(d, l, n, lock, q):
    with lock:
        d["count"] = d.get("count", 0) + 1
        l.append(d["count"])
    n.value = "set"
    q.put(sorted(d.items()))
class Thing:
    def __init__(self, x):
        self.x = x
    def get(self):
        return self.x
    def fail(self):
        raise RuntimeError("in the server")
class Mine(BaseManager):
    pass
Mine.register("Thing", Thing)
""", """
with mp.Manager() as m:
    d, l, n, lock, q = m.dict(), m.list(), m.Namespace(), m.Lock(), m.Queue()
    ps = [mp.Process(target=work, args=(d, l, n, lock, q)) for _ in range(4)]
    for p in ps:
        p.start()
    for p in ps:
        p.join()
    print(dict(d), sorted(l), n.value, q.qsize(), [p.exitcode for p in ps])
    print(m.Value("i", 3).value, m.Array("i", [1, 2]), m.Event().is_set())
with Mine() as m:
    thing = m.Thing(5)
    print(thing.get())
    try:
        thing.fail()
    except RuntimeError as e:
        print(e)
"""),
    "queues.py": _program("""
def put(q, n):
    for i in range(n):
        q.put((i, "x" * i))
def big(q):
    q.put(b"y" * 5_000_000)
def echo(c):
    while True:
        try:
            c.send(c.recv() * 2)
        except EOFError:
            c.close()
            return
def sync(lock, sem, event, cond, barrier, value, array):
    event.wait()
    with lock:
        value.value += 1
        array[0] += 2
    with sem:
        pass
    with cond:
        cond.notify_all()
    barrier.wait()
def joinable(q):
    while (x := q.get()) is not None:
        q.task_done()
    q.task_done()
""", """
q = mp.Queue()
p = mp.Process(target=put, args=(q, 50))
p.start()
print([q.get()[0] for _ in range(50)], q.empty())
p.join()
p = mp.Process(target=big, args=(q,))
p.start()
print(len(q.get()))
p.join()
s = mp.SimpleQueue()
p = mp.Process(target=put, args=(s, 3))
p.start()
print([s.get() for _ in range(3)])
p.join()
a, b = mp.Pipe()
p = mp.Process(target=echo, args=(b,))
p.start()
b.close()
a.send("ab")
print(a.recv())
a.send([1])
print(a.recv())
a.close()
p.join()
print(p.exitcode)
lock, sem, event, cond, barrier = mp.Lock(), mp.Semaphore(2), mp.Event(), mp.Condition(), mp.Barrier(4)
value, array = mp.Value("i", 0), mp.Array("d", [0.5, 1.5])
ps = [mp.Process(target=sync, args=(lock, sem, event, cond, barrier, value, array)) for _ in range(3)]
for p in ps:
    p.start()
event.set()
barrier.wait()
for p in ps:
    p.join()
print(value.value, list(array), [p.exitcode for p in ps])
j = mp.JoinableQueue()
p = mp.Process(target=joinable, args=(j,))
p.start()
for x in (1, 2, None):
    j.put(x)
j.join()
p.join()
print("joined", p.exitcode)
"""),
    "shared.py": _program("""
from multiprocessing import shared_memory, managers
def fill(name):
    m = shared_memory.SharedMemory(name=name)
    m.buf[:4] = b"done"
    m.close()
def change(l):
    l[0] = 7
    l.shm.close()
""", """
m = shared_memory.SharedMemory(create=True, size=100)
p = mp.Process(target=fill, args=(m.name,))
p.start()
p.join()
print(bytes(m.buf[:4]), p.exitcode)
m.close()
m.unlink()
l = shared_memory.ShareableList([1, "two", 3.0])
p = mp.Process(target=change, args=(l,))
p.start()
p.join()
print(list(l))
l.shm.close()
l.shm.unlink()
with managers.SharedMemoryManager() as s:
    x = s.ShareableList(range(3))
    p = mp.Process(target=change, args=(x,))
    p.start()
    p.join()
    print(list(x))
"""),
    "futures.py": _program("""
from concurrent.futures import ProcessPoolExecutor, as_completed, wait
from concurrent.futures.process import BrokenProcessPool
def square(x):
    return x * x
def fails(x):
    return 1 / x
def dies():
    os._exit(3)
def setup(v):
    global kept
    kept = v
def look():
    return kept
""", """
ctx = mp.get_context("forkserver")
with ProcessPoolExecutor(3, mp_context=ctx) as e:
    print(list(e.map(square, range(10))), sorted(f.result() for f in as_completed([e.submit(square, i) for i in range(5)])))
    try:
        failure = e.submit(fails, 0)
        wait([failure])
        failure.result()
    except ZeroDivisionError as error:
        import traceback
        traceback.print_exception(error)
with ProcessPoolExecutor(1, mp_context=ctx, initializer=setup, initargs=("kept",)) as e:
    print(e.submit(look).result())
with ProcessPoolExecutor(2, mp_context=ctx, max_tasks_per_child=1) as e:
    print(list(e.map(square, range(6))))
with ProcessPoolExecutor(2, mp_context=ctx) as e:
    try:
        e.submit(dies).result()
    except BrokenProcessPool as error:
        print(type(error).__name__)
with ProcessPoolExecutor(2) as e:
    print(list(e.map(square, range(3))))
"""),
    "nested.py": _program("""
def leaf(x):
    return x + 1
def branch(n):
    with mp.Pool(2) as pool:
        return pool.map(leaf, range(n))
def parent(q, depth):
    if depth:
        p = mp.Process(target=parent, args=(q, depth - 1))
        p.start()
        p.join()
        print("depth", depth, p.exitcode, p.name, mp.parent_process().name, flush=True)
        sys.exit(p.exitcode + 1)
    q.put(branch(4))
    sys.exit(40)
def daemonic():
    try:
        mp.Process(target=leaf, args=(1,)).start()
    except AssertionError as e:
        print(e, flush=True)
""", """
q = mp.Queue()
p = mp.Process(target=parent, args=(q, 3))
p.start()
print(q.get())
p.join()
print(p.exitcode)
p = mp.Process(target=daemonic, daemon=True)
p.start()
p.join()
print(p.exitcode)
"""),
    "daemons.py": _program("""
def stays(path):
    signal.signal(signal.SIGTERM, lambda *_: (open(path, "w").write("told"), os._exit(0)))
    open(path, "w").write("ready")
    time.sleep(100)
def exits():
    import atexit
    atexit.register(print, "at the end of a process", flush=True)
    from multiprocessing.util import Finalize
    Finalize(None, print, ("finalized",), {"flush": True}, exitpriority=1)
""", """
path = sys.argv[1]
p = mp.Process(target=stays, args=(path,), daemon=True)
p.start()
while not os.path.exists(path) or open(path).read() != "ready":
    time.sleep(0.01)
e = mp.Process(target=exits)
e.start()
e.join()
import atexit
atexit.register(lambda: print("at the end of the program", flush=True))
print("leaving", flush=True)
"""),
    "interrupt.py": _program("""
def work(q, i):
    q.put(i)
    try:
        time.sleep(100)
    except KeyboardInterrupt:
        q.put("interrupted")
        sys.exit(30)
def shows(q, i):
    q.put(i)
    time.sleep(100)
""", """
q = mp.Queue()
ps = [mp.Process(target=work, args=(q, i)) for i in range(2)] + [mp.Process(target=shows, args=(q, 2), name="third")]
for p in ps:
    p.start()
print(sorted(q.get() for _ in ps), flush=True)
print("now", flush=True)
try:
    time.sleep(100)
except KeyboardInterrupt:
    pass
for p in ps:
    p.join()
print([q.get() for _ in range(2)], [p.exitcode for p in ps], flush=True)
p = mp.Process(target=sys.exit, args=(4,))
p.start()
p.join()
print("afterwards", p.exitcode, flush=True)
"""),
    "output.py": _program("""
def speak(i):
    print("process", i)
    sys.stderr.write("error %d\\n" % i)
def raw(i):
    os.write(1, b"raw %d\\n" % i)
""", """
print("before")
sys.stdout.flush()
for i in range(3):
    print("parent", i)
    sys.stdout.flush()
    p = mp.Process(target=(speak, raw)[i % 2], args=(i,))
    p.start()
    p.join()
print("not flushed before the next", end="")
p = mp.Process(target=speak, args=(9,))
p.start()
p.join()
print()
print("after")
"""),
    "environment.py": _program("""
def n_fds():
    import fcntl
    n = 0
    for fd in range(256):
        try:
            fcntl.fcntl(fd, fcntl.F_GETFD)
            n += 1
        except OSError:
            pass
    return n
def look():
    print(os.getcwd(), sys.argv, sys.path[0], os.environ.get("MINE"), oct(os.umask(0o22)), __name__, flush=True)
    print(sys.stdin.read() if sys.stdin else sys.stdin, os.isatty(0), sorted(k for k in os.environ if k.startswith("FORKSRV")), flush=True)
    print(signal.pthread_sigmask(signal.SIG_BLOCK, ()), [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGPIPE)], flush=True)
    print(sys.stdout.encoding, sys.stdout.errors, sys.flags, sys.warnoptions, flush=True)
    main = sys.modules["__main__"]
    print(main.__name__, main.__spec__ and main.__spec__.name, main.__file__, sys.modules.get("__mp_main__") is main, flush=True)
    import random
    print(mp.current_process().authkey == open("key", "rb").read(), n_fds() < 20, flush=True)
""", """
os.mkdir("elsewhere") if not os.path.isdir("elsewhere") else None
open("key", "wb").write(mp.current_process().authkey)
os.environ["MINE"] = "from the program"
os.umask(0o27)
p = mp.Process(target=look)
p.start()
p.join()
open("elsewhere/key", "wb").write(mp.current_process().authkey)
os.chdir("elsewhere")
sys.argv.append("more")
p = mp.Process(target=look)
p.start()
p.join()
print(p.exitcode)
"""),
    "preload.py": _program("""
import preloaded
def look():
    print("loaded by", preloaded.pid != os.getpid(), "parent", preloaded.pid == os.getppid(), flush=True)
""", """
mp.set_forkserver_preload(["__main__", "preloaded", "no_such_module"])
for _ in range(2):
    p = mp.Process(target=look)
    p.start()
    p.join()
print(p.exitcode)
"""),
    # From Python 3.15 on.
    "on-error.py": _program("""
from multiprocessing import forkserver
""", """
for on_error in ("ignore", "warn", "fail", "ignore"):
    forkserver._forkserver._stop()
    mp.set_forkserver_preload(["no_such_module"], on_error=on_error)
    p = mp.Process(target=sys.exit, args=(3,))
    try:
        p.start()
        p.join()
        print(on_error, p.exitcode)
    except (EOFError, ConnectionError) as e:
        print(on_error, e.__notes__)
"""),
    # Python before 3.14 does not preload __main__, though it is meant to; see IMPORTED.
    "imports.py": _program("""
print("imported as", __name__, flush=True)
def work(i):
    print("process", i, flush=True)
""", """
for i in range(3):
    p = mp.Process(target=work, args=(i,))
    p.start()
    p.join()
"""),
    # With multiprocessing's own server some of these are 255: two threads read the same end.
    "exact.py": _program("""
import threading
def work(i):
    sys.exit(i)
def thread(i, codes):
    for k in range(4):
        p = mp.Process(target=work, args=(i * 4 + k,))
        p.start()
        p.join()
        codes.append(p.exitcode)
""", """
codes = []
ts = [threading.Thread(target=thread, args=(i, codes)) for i in range(5)]
for t in ts:
    t.start()
for t in ts:
    t.join()
print(sorted(codes))
"""),
    "preloaded.py": "import os\npid = os.getpid()\n",
    "passing.py": _program("""
import socket
from multiprocessing import connection, reduction
def use(c):
    c.sendall(b"through a socket")
    c.close()
def serve(q):
    with connection.Listener(authkey=b"x") as l:
        q.put(l.address)
        with l.accept() as c:
            c.send(c.recv()[::-1])
def large(data):
    print(len(data), data[:3], flush=True)
def fds(*connections):
    for c in connections:
        c.send(os.getpid() != 0)
""", """
a, b = socket.socketpair()
p = mp.Process(target=use, args=(b,))
p.start()
b.close()
print(a.recv(100))
p.join()
q = mp.Queue()
p = mp.Process(target=serve, args=(q,))
p.start()
with connection.Client(q.get(), authkey=b"x") as c:
    c.send("reversed")
    print(c.recv())
p.join()
p = mp.Process(target=large, args=(b"z" * 10_000_000,))
p.start()
p.join()
print(p.exitcode)
pipes = [mp.Pipe() for _ in range(60)]
p = mp.Process(target=fds, args=[w for _, w in pipes])
p.start()
print(all(r.recv() for r, _ in pipes))
p.join()
class Bad:
    def __reduce__(self):
        raise TypeError("not this one")
try:
    mp.Process(target=print, args=(Bad(),)).start()
except TypeError as e:
    print(e)
p = mp.Process(target=print, args=("still works",))
p.start()
p.join()
"""),
    "threads.py": _program("""
import threading
def work(i):
    sys.exit(i)
def thread(i, codes):
    for k in range(4):
        p = mp.Process(target=work, args=(i * 4 + k,))
        p.start()
        p.join()
        codes.append(p.exitcode)
def forked(q):
    p = mp.Process(target=work, args=(5,))
    p.start()
    p.join()
    os.write(q, b"%d\\n" % p.exitcode)
""", """
codes = []
ts = [threading.Thread(target=thread, args=(i, codes)) for i in range(5)]
for t in ts:
    t.start()
for t in ts:
    t.join()
print(len(codes))
sys.stdout.flush()
p = mp.get_context("fork").Process(target=forked, args=(1,))
p.start()
p.join()
print(p.exitcode)
r = mp.get_context("spawn").Process(target=work, args=(6,))
r.start()
r.join()
print(r.exitcode)
"""),
    "late.py": _program("""
def work():
    print("a process that nobody waits for", flush=True)
    sys.exit(1)
""", """
p = mp.Process(target=work)
p.start()
"""),
    "pkg/__init__.py": "",
    "pkg/tool.py": _program("""
from . import helper
def work():
    print(__name__, __package__, helper.__name__, sys.argv, flush=True)
""", """
p = mp.Process(target=work)
p.start()
p.join()
print(p.exitcode)
"""),
    "pkg/helper.py": "",
    "folder/__main__.py": _program("""
def work():
    print(__name__, sys.argv, flush=True)
""", """
p = mp.Process(target=work)
p.start()
p.join()
print(p.exitcode)
"""),
    "unguarded.py": """
import multiprocessing as mp
mp.set_start_method("forkserver", force=True)
p = mp.Process(target=print, args=("never",))
p.start()
p.join()
print(p.exitcode)
""",
    "default.py": """
import multiprocessing as mp
if __name__ == "__main__":
    p = mp.Process(target=print, args=("by the default method",))
    p.start()
    p.join()
    print(p.exitcode)
""",
}

CODE = """
import multiprocessing as mp
mp.set_start_method("forkserver", force=True)
p = mp.Process(target=print, args=("from -c",))
p.start()
p.join()
print(p.exitcode)
"""

# What the two that are no comparison print with forksrv.
IMPORTED = "imported as __main__\nimported as __mp_main__\n" + "".join("process %d\n" % i for i in range(3))
EXACT = "%s\n" % list(range(20))

# What is run.
RUNS = [
    ["process.py"], ["codes.py"], ["pool.py"], ["manager.py"], ["queues.py"], ["shared.py"], ["futures.py"], ["nested.py"],
    ["daemons.py", "told"], ["interrupt.py"], ["output.py"], ["environment.py", "argument"], ["preload.py"], ["passing.py"], ["threads.py"], ["late.py"],
    ["-m", "pkg.tool", "x"], ["folder"], ["unguarded.py"], ["-c", CODE], ["-"],
]

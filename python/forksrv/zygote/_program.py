# SPDX-License-Identifier: LGPL-2.1-or-later
"""A worker's program: a script, a module, code of -c, or the function of Module=, run as __main__ as the interpreter itself would run it. The
process ends here, too, without taking down all that the zygote has loaded: what the program made is finalized, the rest is left to
the kernel."""
import gc
import io
import os
import signal
import struct
import sys
import types

from importlib.machinery import BuiltinImporter

from . import _apply, _os, _stdio

_here = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep

USAGE = 2
# What stands before a program on the command line, with the options of the declaration.
_interpreter = sys.orig_argv[:-1] if sys.orig_argv[-1:] == [os.path.join(_here, "_start.py")] else [sys.executable]


class Misuse(Exception):
    """Arguments that the interpreter would take and a zygote cannot; or, with True behind the text, that neither takes."""


# ---- which program


def _parse(argv):
    """(the interpreter's own options that make sense in a process that runs already, how, what, arguments)."""
    argv, options = list(argv), set()
    while argv and argv[0][:1] == "-" and argv[0] not in ("-", "--"):
        word = argv.pop(0)
        for i, letter in enumerate(word[1:], 2):
            if letter in "uB":
                options.add(letter)
            elif letter in "cm":
                if word[i:]:
                    return options, "-" + letter, word[i:], argv
                if argv:
                    return options, "-" + letter, argv[0], argv[1:]
                raise Misuse("Argument expected for the -%s option" % letter, True)
            else:
                raise Misuse("the option %s is for the start of an interpreter, and this one runs already; a zygote takes -c CODE, "
                             "-m MODULE, a script or '-', and before it -u and -B" % word)
    if argv[:1] == ["--"]:
        argv = argv[1:]
    if not argv:
        return options, "-", "", []
    return options, "-" if argv[0] == "-" else "script", argv[0], argv[1:]


# ---- what is ready before it runs


def new_main():
    main = types.ModuleType("__main__")
    if sys.version_info < (3, 14):
        main.__annotations__ = {}
    main.__builtins__ = sys.modules["builtins"]
    sys.modules["__main__"] = main
    return main


def _set_path(first):
    """first: what the interpreter puts in front; None: nothing."""
    more = [p for p in _stdio.variable("PYTHONPATH").split(os.pathsep) if p]
    front = [] if first is None or _stdio.variable("PYTHONSAFEPATH") or getattr(sys.flags, "safe_path", False) else [first]
    sys.path[:0] = front + more


_seeded = False


def seed():
    """What needs no request, so that a spare does it while it waits. random itself is seeded anew after every fork."""
    global _seeded
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None and not _seeded:
        numpy_random.seed(struct.unpack("8I", os.urandom(32)))
    _seeded = True


def rehearse():
    """In a spare, before its request comes: what the request will touch is then this process's own already, and need not be copied while somebody
    waits. All of it is done again later."""
    seed()
    _stdio.renew(False)
    _apply.set_environ_to(dict(os.environb))
    _is_plain(__file__)
    compile("def f(x):\n    return x", "<string>", "exec")


def _renew_modules():
    """State that modules took from the zygote's process when they were imported, and which is to be this process's own."""
    process = sys.modules.get("multiprocessing.process")
    if process is not None:
        process.ORIGINAL_DIR = os.getcwd()
        config = process.current_process()._config
        config["authkey"] = process.AuthenticationString(os.urandom(32))
    seed()


def _prepare(argv, options):
    _stdio.renew("u" in options)
    _renew_modules()
    if "B" in options or _stdio.variable("PYTHONDONTWRITEBYTECODE"):
        sys.dont_write_bytecode = True
    if _stdio.variable("PYTHONWARNINGS"):
        import warnings
        warnings._processoptions(os.environ["PYTHONWARNINGS"].split(","))
    sys.orig_argv = [*_interpreter, *argv]
    sys.excepthook = sys.__excepthook__ if _is_ours(sys.excepthook) else sys.excepthook


def _is_ours(hook):
    return getattr(hook, "__module__", "").startswith("forksrv.")


# ---- running it


def _run_code(code, main):
    exec(code, main.__dict__)


def _run_c(source, rest):
    main = new_main()
    sys.argv = ["-c", *rest]
    _set_path("")
    if sys.version_info >= (3, 14):  # from there on it may be indented
        import textwrap
        source = textwrap.dedent(source)
    if sys.version_info >= (3, 13):
        import linecache
        linecache.cache["<string>"] = (len(source), None, source.splitlines(True), "<string>")
    main.__loader__ = BuiltinImporter
    _run_code(compile(source, "<string>", "exec", dont_inherit=True), main)


def _run_m(name, rest):
    import runpy
    new_main()
    sys.argv = ["-m", *rest]
    _set_path("" if sys.version_info < (3, 11) else os.getcwd())
    runpy._run_module_as_main(name)


def _cannot_open(path, e):
    sys.stderr.write("%s: can't open file %r: [Errno %d] %s\n" % (sys.executable, path, e.errno, e.strerror))
    raise SystemExit(USAGE)


def _read(path, name):
    try:
        with io.open_code(path) as f:
            return f.read()
    except IsADirectoryError:
        raise
    except OSError as e:
        _cannot_open(name, e)


def _is_plain(path):
    """A file without the mark of an archive in its end; it is told so without what importers do for it, which takes longer than to compile it."""
    try:
        with open(path, "rb", 0) as f:
            size = f.seek(0, 2)
            f.seek(max(0, size - 65557))
            return b"PK\5\6" not in f.read()
    except OSError:
        return False


def _is_importable(path):
    """A folder, or an archive."""
    if len(sys.path_hooks) == 2 and _is_plain(path):
        return False
    for hook in sys.path_hooks:
        try:
            hook(path)
        except ImportError:
            continue
        return True
    return False


def _run_folder(name, path, rest):
    import runpy
    new_main()
    sys.argv = [name, *rest]
    _set_path(path)
    runpy._run_module_as_main("__main__", False)


def _code_of(path, name):
    from importlib import machinery
    if path.endswith(".pyc"):
        loader = machinery.SourcelessFileLoader("__main__", path)
        return loader, loader.get_code("__main__")
    return machinery.SourceFileLoader("__main__", path), compile(_read(path, name), path, "exec", dont_inherit=True)


def _run_script(name, rest):
    path = os.path.join(os.getcwd(), name)
    if _is_importable(path):
        _run_folder(name, os.path.normpath(path), rest)
        return
    main = new_main()
    sys.argv = [name, *rest]
    _set_path(os.path.dirname(os.path.realpath(path)))
    main.__file__ = path
    if sys.version_info < (3, 15):
        main.__cached__ = None
    main.__loader__, code = _code_of(path, path)
    _run_code(code, main)


def _run_stdin(name, rest):
    main = new_main()
    sys.argv = [name, *rest]
    _set_path("")
    main.__loader__ = BuiltinImporter
    main.__file__ = "<stdin>"
    if sys.version_info < (3, 15):
        main.__cached__ = None
    _run_code(compile(sys.stdin.read(), "<stdin>", "exec", dont_inherit=True), main)


_runners = {"-c": _run_c, "-m": _run_m, "-": _run_stdin, "script": _run_script}


# ---- how it ends


def _stripped(traceback):
    """Without the zygote's own frames at its start."""
    while traceback is not None and traceback.tb_frame.f_code.co_filename.startswith(_here):
        traceback = traceback.tb_next
    return traceback


def _print(e):
    traceback = _stripped(e.__traceback__)
    e.__traceback__ = traceback
    try:
        sys.excepthook(type(e), e, traceback)
    except BaseException:  # a hook of the program's; the interpreter falls back, too
        sys.__excepthook__(type(e), e, traceback)


def _exit_code(e):
    code = e.code
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    try:
        sys.stderr.write("%s\n" % (code,))
    except Exception:
        pass
    return 1


def _call(function, *args):
    """Runs it; what it raises becomes an exit code, or None for an interrupt."""
    try:
        function(*args)
    except SystemExit as e:
        return _exit_code(e)
    except KeyboardInterrupt as e:
        _print(e)
        return None
    except BaseException as e:
        _print(e)
        return 1
    return 0


def _flush_standard(code):
    """120 is what the interpreter says when its output got lost."""
    for file in (sys.stdout, sys.stderr):
        try:
            if file is not None and not file.closed:
                file.flush()
        except Exception as e:
            if file is sys.stdout:
                try:
                    sys.stderr.write("Exception ignored in: %r\n%s: %s\n" % (file, type(e).__name__, e))
                except Exception:
                    pass
                code = 120
    return code


def _clear(module):
    """As the interpreter does it: first the names with one underscore, then the others."""
    names = module.__dict__
    for private in (True, False):
        for name in list(names):
            if (name[:1] == "_" and name[:2] != "__") is private and name != "__builtins__":
                names[name] = None


def finalize(preloaded):
    """What the program itself has made goes, its __del__ and all; then files that are still open lose nothing."""
    made = [module for name, module in list(sys.modules.items()) if name not in preloaded and isinstance(module, types.ModuleType)]
    main = sys.modules.get("__main__")
    if main is not None:
        _clear(main)
    sys.last_exc = sys.last_value = sys.last_traceback = None
    for module in made:
        if module is not main:
            _clear(module)
    del made, main
    gc.collect()
    for thing in gc.get_objects():
        if isinstance(thing, (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom)):
            try:
                thing.flush()
            except Exception:
                pass


def end(code, preloaded):
    """The process ends as the interpreter would have it end."""
    import atexit
    threading = sys.modules.get("threading")
    if threading is not None:
        interrupted = _call(threading._shutdown)
        code = code if interrupted == 0 else interrupted
    atexit._run_exitfuncs()
    code = 0 if code == 0 else code
    if code is not None:
        code = _flush_standard(code)
    else:
        _flush_standard(0)
    flush_stdio = _os.stdio()
    finalize(preloaded)
    _flush_standard(0)
    flush_stdio()
    if code is None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    os._exit(130 if code is None else code)


def _run_main(argv, function):
    if function is not None:
        sys.argv = argv
        new_main()
        result = function()
        if result is not None:
            raise SystemExit(result)
        return
    _, how, what, rest = _parse(argv)
    _runners[how](what, rest)


def _run(argv, function):
    try:
        _run_main(argv, function)
    except Misuse as e:
        if len(e.args) > 1:
            sys.stderr.write("%s\nusage: %s [option] ... [-c cmd | -m mod | file | -] [arg] ...\nTry `python -h' for more information.\n"
                             % (e.args[0], sys.executable))
        else:
            sys.stderr.write("%s: %s\n" % (sys.executable, e))
        raise SystemExit(USAGE) from None


def _options(argv):
    try:
        return _parse(argv)[0]
    except Misuse:
        return ()  # which is told when it is run


def run_here(argv):
    """In an interpreter that was started for it, and that ends by itself."""
    sys.orig_argv = [sys.executable, *argv]
    try:
        _run(argv, None)
    except SystemExit:
        raise
    except BaseException as e:
        # Printed here, without our frames; the interpreter then does the rest, and is to print nothing.
        _print(e)
        sys.excepthook = lambda *_: None
        raise


def work(argv, function, preloaded):
    """To be called with nothing below it on the stack."""
    argv = [os.fsdecode(word) for word in argv]
    _prepare(argv, _options(argv) if function is None else ())
    gc.enable()
    end(_call(_run, argv, function), preloaded)

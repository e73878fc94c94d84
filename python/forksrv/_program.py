# SPDX-License-Identifier: LGPL-2.1-or-later
"""What `python -m forksrv` does: options, then forksrv.install(), then the program as __main__, as the interpreter itself would run it."""
import os
import sys

_USAGE = """\
Usage: %s [OPTIONS] SCRIPT [ARG...] | -m MODULE [ARG...] | -c CODE [ARG...]

Runs a Python program whose multiprocessing gets its processes from forksrv.

Options:
  -z, --zygote=NAME   the zygote (otherwise $FORKSRV_ZYGOTE, then "python")
      --private       an instance of this program's own ($FORKSRV_PRIVATE)
      --fallback      use multiprocessing's own fork server where no zygote can be
                      had ($FORKSRV_FALLBACK)
      --spares=N      processes that are kept forked ahead (otherwise 4)
      --user=NAME     the system instance of that user
      --address=PATH  the instance's control socket
      --authkey-file=FILE
                      its key
  -h, --help          print this help

Otherwise $FORKSRV_ADDRESS and $FORKSRV_AUTHKEY_FILE, then the instance that
systemd keeps for you. `forksrv python` runs python3, or $FORKSRV_PYTHON.
The manual: man 7 forksrv-python
"""


_name = "forksrv python"


def _misuse(text):
    sys.stderr.write("%s: %s; see --help\n" % (_name, text))
    raise SystemExit(2)


_SWITCHES = {"--private": "private", "--fallback": "fallback"}
_VALUES = {"-z": "zygote", "--zygote": "zygote", "--spares": "spares", "--user": "user", "--address": "address", "--authkey-file": "authkey_file"}


def _value(argv, word):
    name, equals, value = word.partition("=")
    if name.startswith("-z") and not name.startswith("--") and len(name) > 2:
        return "zygote", word[2:]
    if name not in _VALUES:
        _misuse("there is no option %s" % word)
    if not equals:
        if not argv:
            _misuse("%s needs a value" % word)
        value = argv.pop(0)
    return _VALUES[name], value


def _parse(argv):
    """(options, what is left)."""
    options = {}
    argv = list(argv)
    while argv and argv[0].startswith("-") and argv[0] not in ("-", "--") and argv[0][:2] not in ("-m", "-c"):
        word = argv.pop(0)
        if word in ("-h", "--help"):
            sys.stdout.write(_USAGE % _name)
            raise SystemExit(0)
        if word in _SWITCHES:
            options[_SWITCHES[word]] = True
            continue
        name, value = _value(argv, word)
        options[name] = value
    if argv[:1] == ["--"]:
        argv.pop(0)
    if not argv:
        _misuse("no program is given")
    if "spares" in options:
        if not options["spares"].isdigit():
            _misuse("--spares: '%s' is no number" % options["spares"])
        options["spares"] = int(options["spares"])
    return options, argv


def main(name, argv):
    global _name
    _name = name
    options, argv = _parse(argv)
    from forksrv import install
    from forksrv.zygote._program import run_here
    try:
        install(**options)
    except ValueError as e:
        _misuse(str(e))
    # A process that the program starts by itself is to find the same.
    if "zygote" in options:
        os.environ["FORKSRV_ZYGOTE"] = options["zygote"]
    run_here(argv)

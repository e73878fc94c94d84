# SPDX-License-Identifier: LGPL-2.1-or-later
"""python -m forksrv: runs a program whose multiprocessing is forksrv's, without a change to it. `forksrv python` runs this by path, for any
interpreter, whether it has the package or not."""
import sys

if __name__ == "__main__":
    if sys.version_info < (3, 11):
        sys.exit("forksrv needs Python 3.11 or later, and this is %d.%d" % sys.version_info[:2])
    _by_path = not __package__
    if not getattr(sys.flags, "safe_path", False):
        del sys.path[0]
    if _by_path:
        _where = __file__.rpartition("/")[0].rpartition("/")[0]
        sys.path.insert(0, _where)
        import forksrv  # noqa: F401
        del sys.path[0], _where
    from forksrv._program import main
    main("forksrv python" if _by_path else "python -m forksrv", sys.argv[1:])

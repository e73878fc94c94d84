# SPDX-License-Identifier: LGPL-2.1-or-later
"""What forksrvd runs for a zygote of Runtime=python, by path: any interpreter then uses the package that belongs to the daemon, whatever it
has installed itself. A worker's program runs from here, so that nothing of the zygote stands below it on the stack."""
import sys

if sys.version_info < (3, 11):
    sys.exit("forksrv needs Python 3.11 or later, and this is %d.%d" % sys.version_info[:2])
if not getattr(sys.flags, "safe_path", False):
    del sys.path[0]
_where = __file__.rpartition("/")[0].rpartition("/")[0]
# In front, so that it is this one, and for as long as it takes to find the package, so that nothing else is found there.
sys.path.insert(0, _where)
import forksrv  # noqa: E402, F401

del sys.path[0], _where
from forksrv.zygote import main  # noqa: E402

_work = main()
_work()

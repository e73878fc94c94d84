# SPDX-License-Identifier: LGPL-2.1-or-later
"""python -m forksrv.zygote: the same as _start.py, for an interpreter that has the package."""
import sys

if not getattr(sys.flags, "safe_path", False):
    del sys.path[0]
from forksrv.zygote import main  # noqa: E402

_work = main()
_work()

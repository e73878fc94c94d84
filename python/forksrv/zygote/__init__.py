# SPDX-License-Identifier: LGPL-2.1-or-later
"""The Python zygote: an interpreter with its imports done, which forks workers for forksrvd.

forksrvd starts it, as a declaration with Runtime=python says (forksrv.zygote(5)); what is said on its socket is described in
forksrv-zygote(7). This package uses the standard library only, and needs Python 3.11 or later.
"""
from ._main import main

__all__ = ["main"]

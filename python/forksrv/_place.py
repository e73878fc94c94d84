# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where forksrvd was installed: `make install` writes its path here. In a source tree and in a wheel nobody knows it."""
from __future__ import annotations

DAEMON: str | None = None

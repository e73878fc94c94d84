# SPDX-License-Identifier: LGPL-2.1-or-later
"""A helper of the session. Its first line is the time."""
import os
import time

import gi.repository.Gtk  # noqa: F401

with open(os.environ["XDG_RUNTIME_DIR"] + "/first.new", "w") as f:
    f.write("%d" % time.monotonic_ns())
os.rename(f.name, os.environ["XDG_RUNTIME_DIR"] + "/first")
time.sleep(1000)

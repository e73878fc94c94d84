# SPDX-License-Identifier: LGPL-2.1-or-later
"""The version of this package: the only place where it stands. tests/house/python.tap compares it with configure.ac."""
__version__ = "0.1.0"

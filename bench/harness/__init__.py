# SPDX-License-Identifier: GPL-2.0-or-later
"""Measures vnic and its peers side by side; bench/README.md says how to run, read and extend it."""

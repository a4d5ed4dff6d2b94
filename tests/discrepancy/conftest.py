"""Hypothesis without deadlines: the first call of a property loads numpy's and torch's kernels."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("discrepancy", deadline=None)
settings.load_profile("discrepancy")

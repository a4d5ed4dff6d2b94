"""How this program starts its own modules in other processes."""

from __future__ import annotations

import sys

# How far checks of uploads and steps stand back: whoever answers requests on the same machine goes first.
NICE = 5


def module_command(module: str, *arguments: str) -> list[str]:
    """The command line that runs one of our modules with this interpreter.

    Python puts the current folder first on the path of `python -m`. It is the user's: a `models.py` or a `jobs/` in it
    must not be taken for ours, so the path is the safe one (-P).
    """
    return [sys.executable, "-P", "-m", module, *arguments]

"""How this program starts its own modules in other processes."""

from __future__ import annotations

import contextlib
import resource
import sys

# How far checks of uploads and steps stand back: whoever answers requests on the same machine goes first.
NICE = 5

# Connections that a service may hold: systems begin with 1,024 and admit far more.
_MOST_FILES = 65_536


def open_many_files() -> None:
    """Let this process open as many files as the system lets it, up to `_MOST_FILES`: a connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def module_command(module: str, *arguments: str) -> list[str]:
    """The command line that runs one of our modules with this interpreter.

    Python puts the current folder first on the path of `python -m`. It is the user's: a `models.py` or a `jobs/` in it
    must not be taken for ours, so the path is the safe one (-P).
    """
    return [sys.executable, "-P", "-m", module, *arguments]

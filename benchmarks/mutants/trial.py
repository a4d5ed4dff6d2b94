"""The tests of a module in a fork of this process, with the library of a copy of the tree."""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import sys
import types
from collections.abc import Generator
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Seconds to import; nothing of the library is among them.
PRELOADED = ("numpy", "scipy.optimize", "scipy.stats", "sklearn.mixture", "sklearn.linear_model", "torch")
# A mutant may ask for arrays without end.
MOST_MEMORY = 4 << 30
# pytest's own exit codes end at 5.
WRONG_LIBRARY = 70


class Callers:
    """A plugin for pytest that notes which tests enter a function of which modules, and writes them into a file."""

    def __init__(self, tree: Path, into: Path) -> None:
        self._tree, self._into = tree, into
        self._entered: set[str] = set()
        self._tests: dict[str, list[str]] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Around set-up, call and tear-down of a test."""
        self._entered = set()
        sys.settrace(self._enter)
        result = yield
        sys.settrace(None)
        for file in self._entered:
            if file.startswith(str(self._tree)):
                self._tests.setdefault(str(Path(file).relative_to(self._tree)), []).append(item.nodeid)
        return result

    def pytest_sessionfinish(self) -> None:
        """Write what was found: by module, the ids of tests."""
        self._into.write_text(json.dumps(self._tests))

    def _enter(self, frame: types.FrameType, event: str, argument: object) -> None:
        # Without a result no line of the function is traced.
        self._entered.add(frame.f_code.co_filename)


def _run(tree: Path, arguments: list[str], callers: Path | None) -> None:
    os.setsid()
    os.chdir(tree)
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_MEMORY, MOST_MEMORY))
    sys.path[:] = [str(tree), *(path for path in sys.path if Path(path or ".").resolve() != ROOT)]
    for name in [name for name in sys.modules if name.partition(".")[0] == "benchmarks"]:
        del sys.modules[name]
    # The run without a mutation leaves bytecode, which spares the others seconds. A mutant must not: one of the same
    # length within the same second would be taken for it.
    sys.dont_write_bytecode = callers is None
    output = os.open(tree.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    plugins = [Callers(tree, callers)] if callers else []
    options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:unraisableexception", f"--basetemp={tree}.tmp"]
    code = int(pytest.main([*options, *arguments], plugins))
    library = sys.modules.get("frontrunner")
    inside = library is None or str(library.__file__).startswith(str(tree))
    os._exit(code if inside else WRONG_LIBRARY)


def start_tests(tree: Path, arguments: list[str], callers: Path | None = None) -> BaseProcess:
    """Begins pytest with these arguments; its exit code is the process's, and its output stands in `tree`.log.

    Args:
        tree: the copy whose library is tested.
        arguments: files and tests.
        callers: where to write which tests enter a function of which modules.
    """
    process = multiprocessing.get_context("fork").Process(target=_run, args=(tree, arguments, callers))
    process.start()
    return process

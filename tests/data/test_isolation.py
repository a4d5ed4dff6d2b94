"""The process in which uploads are checked: its answer always arrives, and it outlives nobody."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from benchmarks.service.checks import check_many
from benchmarks.service.servers import wait_until
from frontrunner.data import DatasetOptions
from frontrunner.data.isolation import check_isolated
from frontrunner.errors import DatasetTooLarge
from tests.conftest import class_images, write_zip

LIMITS = {"digest": "0" * 64, "timeout_s": 60.0, "memory_bytes": 4 << 30}


def test_valid_tables_are_never_refused_by_chance(tmp_path):
    """About one in a hundred was; `python -m benchmarks.service.checks 2000` checks as many as it takes to be sure."""
    assert check_many(tmp_path, 16, at_once=2) == 0


def test_a_check_ends_with_the_process_that_asked_for_it(tmp_path):
    path = write_zip(tmp_path / "many.zip", class_images(2, 3000, side=8))
    code = (
        "import pathlib, sys; from frontrunner.data import DatasetOptions; "
        "from frontrunner.data.isolation import check_isolated; check_isolated(pathlib.Path(sys.argv[1]), "
        "DatasetOptions(), digest='0' * 64, name='many', timeout_s=60.0, memory_bytes=4 << 30)"
    )
    asking = subprocess.Popen([sys.executable, "-c", code, str(path)])
    process = psutil.Process(asking.pid)
    wait_until(lambda: bool(process.children()), 30, "the check's start")
    (child,) = process.children()
    os.kill(asking.pid, signal.SIGKILL)
    asking.wait()
    wait_until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, 60, "the check's end")


def test_a_check_that_takes_too_long_is_ended(tmp_path):
    path = write_zip(tmp_path / "many.zip", class_images(2, 500, side=8))
    before = set(psutil.Process().children())
    with pytest.raises(DatasetTooLarge, match="longer than"):
        check_isolated(path, DatasetOptions(), name="many", **(LIMITS | {"timeout_s": 0.05}))
    assert set(psutil.Process().children()) <= before


def test_checks_at_once_hear_their_own_answers(tmp_path):
    paths = [write_zip(tmp_path / f"{n}.zip", class_images(2, 3 + n, side=8)) for n in range(4)]

    def examples(path):
        return check_isolated(path, DatasetOptions(), name=path.name, **LIMITS).train_examples

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(examples, paths)) == [6, 8, 10, 12]

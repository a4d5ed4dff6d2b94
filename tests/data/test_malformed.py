"""Some two hundred malformed datasets: each gets its documented code, within a stated memory, and leaves nothing.

They are checked one after the other in one process that is confined as that of every upload is: what its system calls
could not do to it, they can do to none. Memory is the peak of each case, which Linux lets a process reset.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from frontrunner.data import DatasetOptions
from tests.data import malformed, malformed_tables

# What a check of any of them may take beside what the process takes anyway: a bomb of 64 MB unpacked, an image decoded.
MEMORY_BYTES = 256 << 20
ADDRESS_SPACE_BYTES = 2 << 30
SECONDS = 20.0
_CHECKS = """
import gc, json, os, sys, threading, time
from pathlib import Path
from frontrunner.confinement import confine, limit_resources
from frontrunner.data.isolation import answer_to

reset = os.open("/proc/self/clear_refs", os.O_WRONLY)
memory_bytes, folder = int(sys.argv[1]), Path(sys.argv[2])
confine([folder])
limit_resources(memory_bytes=memory_bytes, cpu_s=600, open_files=64)

def resident(kind):
    return next(int(line.split()[1]) << 10 for line in open("/proc/self/status") if line.startswith(kind))

for line in sys.stdin:
    os.write(reset, b"5")
    before, began, files = resident("VmRSS"), time.monotonic(), os.listdir("/proc/self/fd")
    said = answer_to(json.loads(line))
    gc.collect()  # what an exception holds
    print(json.dumps({
        "answer": json.loads(said), "bytes": resident("VmHWM") - before, "seconds": time.monotonic() - began,
        "left_open": len(os.listdir("/proc/self/fd")) - len(files), "threads": threading.active_count(),
    }), flush=True)
"""


class Checks:
    """The process, and where its datasets lie; started again where one took it down."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process: subprocess.Popen[str] | None = None

    def of(self, case: malformed.Malformed) -> dict[str, object] | None:
        """What came of one; None where the process ended on it."""
        path = self.folder / "upload"
        path.write_bytes(case.data)
        options = DatasetOptions().model_dump()
        work = {"path": str(path), "options": options, "digest": "0" * 64, "name": case.name}
        process = self._process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(work) + "\n")
        process.stdin.flush()
        alarm = threading.Timer(3 * SECONDS, process.kill)
        alarm.start()
        said = process.stdout.readline()
        alarm.cancel()
        assert [found.name for found in self.folder.iterdir()] == ["upload"], f"{case.name} leaves a file"
        if not said:
            self.close()
            return None
        return json.loads(said)

    def _start(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", _CHECKS, str(ADDRESS_SPACE_BYTES), str(self.folder)]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
        self._process = None


@pytest.fixture(scope="module")
def checks(tmp_path_factory) -> Iterator[Checks]:
    found = Checks(tmp_path_factory.mktemp("uploads"))
    # Libraries are loaded with the first datasets that need them.
    for kind in KINDS:
        for case in list(kind())[-2:]:
            found.of(case)
    yield found
    found.close()


KINDS = (malformed.archives, malformed.images, *malformed_tables.KINDS)


@pytest.mark.parametrize("case", [case for kind in KINDS for case in kind()], ids=lambda case: case.name)
def test_a_malformed_dataset_gets_its_code_and_no_more_than_the_stated_memory(checks, case):
    found = checks.of(case)
    assert found is not None, "it took the process down, or too long"
    answer = found["answer"]
    if case.unreadable is None:
        assert answer.get("code") in case.codes, answer
        assert answer["reason"]
    else:
        assert "code" not in answer, answer
        assert answer["unreadable_count"] == case.unreadable
    assert found["bytes"] <= MEMORY_BYTES, f"{found['bytes'] >> 20} MiB"
    assert found["seconds"] < SECONDS
    assert found["left_open"] <= 0
    assert found["threads"] == 1

"""Checking a dataset in a process of its own: decoders meet hostile bytes where nothing can be harmed."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import structlog

from frontrunner.confinement import confine, limit_resources
from frontrunner.data.dataset import DatasetOptions
from frontrunner.data.failures import explained
from frontrunner.data.opening import open_dataset
from frontrunner.data.previews import MAX_PREVIEWS
from frontrunner.data.report import DatasetReport, check_dataset
from frontrunner.errors import DatasetTooLarge, FrontrunnerError, InternalError, UnreadableDataset, error_of
from frontrunner.processes import NICE, module_command

# Characters of a child's trace that the log keeps.
_LONGEST_TRACE = 20_000
# That a check may have open at a time.
_MAX_FILES = 256
_log = structlog.wrap_logger(logging.getLogger("frontrunner.data"))


def check_isolated(
    path: Path, options: DatasetOptions, *, digest: str, name: str, timeout_s: float, memory_bytes: int
) -> DatasetReport:
    """`check_dataset` in a child process with limits on time and memory, without network, that reads this file alone.

    Raises:
        InvalidDataset: nothing can be ranked on it; a subclass says why.
        DatasetTooLarge: the check took longer or more memory than allowed.
        UnreadableDataset: a decoder crashed on it and took its process down.
        InternalError: an error that nobody foresaw; the trace is in the log.
    """
    work = {
        "path": str(path),
        "options": options.model_dump(),
        "digest": digest,
        "name": name,
        "memory_bytes": memory_bytes,
        "cpu_s": math.ceil(timeout_s),
    }
    environment = {key: os.environ[key] for key in ("PATH", "LANG", "PYTHONPATH", "VIRTUAL_ENV") if key in os.environ}
    status, said, trace = _in_child(json.dumps(work), environment, timeout_s)
    if status is None or status == -signal.SIGXCPU:
        raise DatasetTooLarge(f"checking {name} took longer than {timeout_s:g} s")
    try:
        answer = json.loads(said)
    except ValueError:
        _log.error("dataset_check_crashed", dataset=name, status=status, trace=trace[-_LONGEST_TRACE:])
        if status >= 0:
            raise InternalError(
                f"the check of {name} ended without an answer (status {status}): this is a defect of "
                "Frontrunner and not of your data; its log has the trace, please report it"
            ) from None
        raise UnreadableDataset(
            f"a decoder crashed while checking {name} (signal {-status}); the data is likely damaged"
        ) from None
    if answer.get("code") == InternalError.code:
        _log.error("dataset_check_failed", dataset=name, trace=trace[-_LONGEST_TRACE:])
    if "code" in answer:
        raise error_of(answer["code"], answer["reason"])
    return DatasetReport.model_validate(answer)


def _in_child(work: str, environment: dict[str, str], timeout_s: float) -> tuple[int | None, str, str]:
    """Run a check; its status (None where it took too long and was killed), what it said, and its stderr.

    The child's stdin stays open until it is over: its end tells the child that we are gone.
    """
    read_end, write_end = os.pipe()
    with os.fdopen(write_end, "wb", buffering=0) as instruction:
        with subprocess.Popen(
            module_command(__name__),
            stdin=read_end,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env=environment | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        ) as child:
            os.close(read_end)
            try:
                with contextlib.suppress(BrokenPipeError):  # it says why on its stderr
                    instruction.write(f"{work}\n".encode())
                said, trace = child.communicate(timeout=timeout_s)
            except subprocess.TimeoutExpired:
                child.kill()
                return None, "", ""
            except BaseException:
                child.kill()
                raise
        return child.returncode, said, trace


def _main() -> None:
    work = json.loads(sys.stdin.readline())
    os.nice(NICE)
    confine([Path(work["path"])])
    limit_resources(memory_bytes=work["memory_bytes"], cpu_s=work["cpu_s"], open_files=_MAX_FILES)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sys.stdout.write(answer_to(work))
    sys.stdout.flush()
    # Libraries' threads abort now and then while the interpreter is taken down; the answer is out.
    os._exit(0)


def answer_to(work: dict[str, Any]) -> str:
    """The report as JSON, or a code and a reason."""
    try:
        with explained(work["name"]):
            dataset = open_dataset(
                Path(work["path"]), DatasetOptions(**work["options"]), digest=work["digest"], name=work["name"]
            )
            return check_dataset(dataset, previews=MAX_PREVIEWS).model_dump_json()
    except FrontrunnerError as error:
        return json.dumps({"code": error.code, "reason": error.reason})
    except MemoryError:
        return json.dumps({"code": DatasetTooLarge.code, "reason": "the check needs more memory than it may use"})


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    _main()

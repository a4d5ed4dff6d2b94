"""Checking a dataset in a process of its own: decoders meet hostile bytes where nothing can be harmed."""

from __future__ import annotations

import json
import logging
import os
import resource
import subprocess
import sys
from pathlib import Path

import structlog

from frontrunner.data.dataset import DatasetOptions
from frontrunner.data.failures import explained
from frontrunner.data.opening import open_dataset
from frontrunner.data.report import DatasetReport, check_dataset
from frontrunner.errors import DatasetTooLarge, FrontrunnerError, InternalError, UnreadableDataset, error_of
from frontrunner.processes import module_command

# Characters of a child's trace that the log keeps.
_LONGEST_TRACE = 20_000
_log = structlog.wrap_logger(logging.getLogger("frontrunner.data"))


def check_isolated(
    path: Path, options: DatasetOptions, *, digest: str, name: str, timeout_s: float, memory_bytes: int
) -> DatasetReport:
    """`check_dataset` in a child process with limits on time and memory.

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
    }
    environment = {key: os.environ[key] for key in ("PATH", "LANG", "PYTHONPATH", "VIRTUAL_ENV") if key in os.environ}
    try:
        done = subprocess.run(
            module_command(__name__),
            input=json.dumps(work),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            env=environment | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise DatasetTooLarge(f"checking {name} took longer than {timeout_s:g} s") from None
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        _log.error("dataset_check_crashed", dataset=name, status=done.returncode, trace=done.stderr[-_LONGEST_TRACE:])
        if done.returncode >= 0:
            raise InternalError(
                f"the check of {name} ended without an answer (status {done.returncode}): this is a defect of "
                "Frontrunner and not of your data; its log has the trace, please report it"
            ) from None
        raise UnreadableDataset(
            f"a decoder crashed while checking {name} (signal {-done.returncode}); the data is likely damaged"
        ) from None
    if answer.get("code") == InternalError.code:
        _log.error("dataset_check_failed", dataset=name, trace=done.stderr[-_LONGEST_TRACE:])
    if "code" in answer:
        raise error_of(answer["code"], answer["reason"])
    return DatasetReport.model_validate(answer)


def _main() -> None:
    work = json.load(sys.stdin)
    resource.setrlimit(resource.RLIMIT_AS, (work["memory_bytes"], work["memory_bytes"]))
    try:
        with explained(work["name"]):
            dataset = open_dataset(
                Path(work["path"]), DatasetOptions(**work["options"]), digest=work["digest"], name=work["name"]
            )
            answer = check_dataset(dataset).model_dump_json()
    except FrontrunnerError as error:
        answer = json.dumps({"code": error.code, "reason": error.reason})
    except MemoryError:
        answer = json.dumps({"code": DatasetTooLarge.code, "reason": "the check needs more memory than it may use"})
    sys.stdout.write(answer)


if __name__ == "__main__":
    _main()

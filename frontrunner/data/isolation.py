"""Checking a dataset in a process of its own: decoders meet hostile bytes where nothing can be harmed."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

from frontrunner.data.dataset import DatasetOptions
from frontrunner.data.opening import open_dataset
from frontrunner.data.report import DatasetReport, check_dataset
from frontrunner.errors import DatasetTooLarge, FrontrunnerError, UnreadableDataset, error_of
from frontrunner.processes import module_command


def check_isolated(
    path: Path, options: DatasetOptions, *, digest: str, name: str, timeout_s: float, memory_bytes: int
) -> DatasetReport:
    """`check_dataset` in a child process with limits on time and memory.

    Raises:
        InvalidDataset: nothing can be ranked on it; a subclass says why.
        DatasetTooLarge: the check took longer or more memory than allowed.
        UnreadableDataset: a decoder crashed on it.
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
        raise UnreadableDataset(
            f"a decoder crashed while checking {name} (status {done.returncode}); the data is likely damaged"
        ) from None
    if "code" in answer:
        raise error_of(answer["code"], answer["reason"])
    return DatasetReport.model_validate(answer)


def _main() -> None:
    work = json.load(sys.stdin)
    resource.setrlimit(resource.RLIMIT_AS, (work["memory_bytes"], work["memory_bytes"]))
    try:
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

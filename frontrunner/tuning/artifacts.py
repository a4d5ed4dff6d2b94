"""What a tuning leaves in the store: its files as blobs, and the answer that names them. Loads no torch.

The state of a training stays on the machine that trains, since it changes with every step; what is made of it goes to
the store, where any machine finds it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from frontrunner.errors import StoredFileDamaged, StoredFileMissing
from frontrunner.store import Blobs, Store, read_json, write_json
from frontrunner.tuning.request import TuningPayload
from frontrunner.tuning.result import TunedFile, TuningOutput

ARTIFACTS = "artifacts"
# What the training needs for itself is nobody's download, and the answer is kept with the files' digests instead.
_OWN_SUFFIXES = (".pt", ".npy", ".npz")
_ANSWER = "output.json"


class Artifacts:
    """The artifacts of one tuning.

    Args:
        store: where they lie.
        name: of the tuning, `TuningPayload.name`.
    """

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self._prefix = artifacts_prefix(name)
        self._blobs = Blobs(store, self._prefix)

    def answer(self) -> TuningOutput | None:
        """What was kept; None where nothing was, or not all of it is there and as it was."""
        stored = read_json(self._store, f"{self._prefix}/{_ANSWER}")
        if stored is None:
            return None
        output = TuningOutput.model_validate(stored)
        try:
            for file in output.files:
                self.path(file)
        except (StoredFileMissing, StoredFileDamaged):
            return None
        return output

    def keep(self, output: TuningOutput) -> TuningOutput:
        """Keep every file below the output's folder, and then the answer, which names them instead of the folder."""
        folder = Path(output.folder)
        files = [
            TunedFile(
                name=path.relative_to(folder).as_posix(), bytes=path.stat().st_size, sha256=self._blobs.put_file(path)
            )
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.suffix not in _OWN_SUFFIXES and path != folder / _ANSWER
        ]
        kept = output.model_copy(update={"folder": "", "files": files})
        write_json(self._store, f"{self._prefix}/{_ANSWER}", kept.model_dump(mode="json"))
        return kept

    def path(self, file: TunedFile) -> Path:
        """A local file with the bytes.

        Raises:
            StoredFileMissing, StoredFileDamaged: the store does not hold what was put there.
        """
        return self._blobs.path(file.sha256)

    def link(self, file: TunedFile, valid_s: int) -> str | None:
        """An address of the bytes in the store, valid for so long; None where it gives none.

        Raises:
            StoredFileMissing: the store does not hold what was put there.
        """
        return self._blobs.link(file.sha256, valid_s)


def artifacts_prefix(name: str) -> str:
    """What the names of a tuning's artifacts in the store begin with."""
    return f"{ARTIFACTS}/{name}"


def tuned_once(payload: TuningPayload, tune: Callable[[TuningPayload], TuningOutput], store: Store) -> TuningOutput:
    """The answer of a tuning whose files are in the store; it is done where they are not.

    Args:
        payload: the work, with the folder that an interrupted attempt goes on from. It is gone afterwards.
        tune: does it.
        store: where the files go.
    """
    artifacts = Artifacts(store, payload.name)
    kept = artifacts.answer() or artifacts.keep(tune(payload))
    shutil.rmtree(payload.work_dir, ignore_errors=True)
    return kept

"""What a confined process has done by the other half of its runner: see `frontrunner.outside`."""

from __future__ import annotations

import base64
import contextlib
import os
import queue
import shutil
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

from pydantic import BaseModel, JsonValue

from frontrunner.errors import error_of
from frontrunner.hub import CheckpointDescription
from frontrunner.progress import Progress
from frontrunner.store import Store, StoredObject
from workers.places import Places
from workers.reporting import StopWork
from workers.runner_protocol import ABSENT, STOPPED, Answered, Asked, Grant


class Asking:
    """The `frontrunner.outside.Outside` of a confined process; safe among threads.

    Args:
        say: hands a message to the other half.
        places: where files lie that pass between the two.

    Attributes:
        answers: where the other half's answers are put, in their order.
        grant: of the step in hand.
        store: the store, through the other half.
    """

    def __init__(self, say: Callable[[BaseModel], None], places: Places) -> None:
        self._say = say
        self._lock = threading.Lock()
        self.answers: queue.Queue[Answered] = queue.Queue()
        self.grant = Grant()
        self.store: Store = AskedStore(self, places)

    def ask(self, asked: Asked) -> JsonValue:
        """What the other half answers.

        Raises:
            FileNotFoundError: the store holds no such object.
            FrontrunnerError: as the other half met it.
        """
        with self._lock:
            self._say(asked)
            answer = self.answers.get()
        if answer.code == ABSENT:
            raise FileNotFoundError(asked.name)
        if answer.code == STOPPED:
            raise StopWork
        if answer.code:
            raise error_of(answer.code, answer.reason)
        return answer.value

    def fetch(self, description: CheckpointDescription, progress: Progress) -> Path | None:
        """The folder of a checkpoint that the step names; the other half tells how far it is."""
        if description.id not in self.grant.checkpoints:
            return None
        return Path(str(self.ask(Asked(what="fetch", name=description.id))))

    def pixel_room(self, dataset: str, wanted: int) -> int:
        """Bytes that may be added to a dataset's decoded images."""
        return int(cast("int", self.ask(Asked(what="room", name=dataset, bytes=wanted))))


class AskedStore:
    """A `Store` that another process reaches.

    Args:
        outside: that process.
        places: where files lie that pass between the two.
    """

    def __init__(self, outside: Asking, places: Places) -> None:
        self._outside = outside
        self._places = places

    def open(self, name: str) -> BinaryIO:
        """The file that was handed over; its second name goes at once."""
        path = self.path(name)
        file = path.open("rb")
        if path.parent == self._places.handed:
            path.unlink(missing_ok=True)
        return file

    def path(self, name: str) -> Path:
        """Where it lies, or a second name for it."""
        return Path(str(self._outside.ask(Asked(what="path", name=name))))

    def holds(self, name: str) -> bool:
        """Whether the other half can hand it over."""
        with contextlib.suppress(FileNotFoundError), self.open(name):
            return True
        return False

    def link(self, name: str, valid_s: int) -> str | None:
        """None: steps give nobody an address."""
        return None

    def read(self, name: str) -> bytes:
        """The bytes, handed over as they are."""
        return base64.b64decode(str(self._outside.ask(Asked(what="read", name=name))))

    @contextlib.contextmanager
    def writing(self, name: str) -> Iterator[BinaryIO]:
        """A file that is copied when the block ends well."""
        partial = self.partial("")
        try:
            with partial.open("wb") as file:
                yield file
            self._outside.ask(Asked(what="write", name=name, file=partial.name))
        finally:
            partial.unlink(missing_ok=True)

    def put_file(self, path: Path, name: str) -> None:
        """Hand over a second name for the file, or a copy of it."""
        partial = self.partial("")
        try:
            try:
                os.link(path, partial)
            except OSError:
                shutil.copyfile(path, partial)
            self._outside.ask(Asked(what="put", name=name, file=partial.name))
        finally:
            partial.unlink(missing_ok=True)

    def partial(self, prefix: str) -> Path:
        """A path in the folder that both halves see."""
        return self._places.scratch / f"{uuid.uuid4().hex}.partial"

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """What the other half lists."""
        found = self._outside.ask(Asked(what="list", name=prefix))
        for name, size, modified_at in cast("list[tuple[str, int, float]]", found):
            yield StoredObject(name, size, modified_at)

    def remove(self, name: str) -> None:
        """Steps remove nothing.

        Raises:
            PermissionError: always.
        """
        raise PermissionError(f"a step removes nothing from the store, and not {name}")

    def remove_abandoned(self, prefix: str, before: float) -> int:
        """None, for the same reason."""
        return 0

    def discard_copy(self, name: str) -> bool:
        """Have this machine's copy dropped."""
        return bool(self._outside.ask(Asked(what="discard", name=name)))

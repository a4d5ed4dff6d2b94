"""How work says how far it is, and where it may be stopped: one protocol, from the command line to a runner.

Whoever does long work takes a `Progress` and calls it; whoever shows or supervises the work implements one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Protocol

from pydantic import BaseModel, ConfigDict, Field


class Stage(StrEnum):
    """What work is doing; it decides what is counted."""

    CHECK = "check"  # inputs of a dataset that were looked at; 0 of 1 while a service does
    FETCH = "fetch"  # bytes of a checkpoint that came from a hub
    RANK = "rank"  # checkpoints of a ranking that were ranked or skipped
    READ = "read"  # examples that a checkpoint has read
    DECODE = "decode"  # images that were decoded for a training
    TRAIN = "train"  # examples that were trained on, over sweep and epochs
    EXPORT = "export"  # files of a tuned model that were written
    SEND = "send"  # bytes of a dataset that went to a service


class Event(BaseModel):
    """Something that those who watch the work should hear of. Subclasses name their `type`, stable and lower case."""

    model_config = ConfigDict(frozen=True)

    type: ClassVar[str]


class Planned(Event):
    """What a ranking is going to read."""

    type: ClassVar[str] = "planned"

    work: dict[str, float] = Field(
        description="Of each checkpoint: what an example takes beside the others, in no unit; from its size alone."
    )


class Spent(Event):
    """How much of a ranking's budget is spent, as it goes."""

    type: ClassVar[str] = "spent"

    share: float = Field(description="Of the budget, 0 to 1 or a little more; the ranking may end before it is 1.")
    seconds_left: float | None = Field(description="Until all of it is spent, at most; None before that is known.")


class Progress(Protocol):
    """Hears how work goes. Calls are cheap, and may come after every batch."""

    def advance(self, stage: Stage, done: int, total: int, *, of: str = "") -> None:
        """So much of one stage is done.

        Args:
            stage: what is counted, and in which unit.
            done: how many so far, from 0.
            total: how many there will be, as far as is known.
            of: the checkpoint or dataset that it is about, where there are several.
        """
        ...

    def safe_point(self) -> None:
        """Say that what is done so far is kept, or cheap to do again: here the work may be stopped.

        An implementation that wants it stopped raises; the work lets that through, and saves on the way up what it
        would otherwise lose.
        """
        ...

    def event(self, event: Event) -> None:
        """Pass something on to those who watch."""
        ...


class Silent:
    """A `Progress` that nobody listens to and that never stops the work."""

    def advance(self, stage: Stage, done: int, total: int, *, of: str = "") -> None:
        """Do nothing."""

    def safe_point(self) -> None:
        """Go on."""

    def event(self, event: Event) -> None:
        """Do nothing."""


SILENT: Progress = Silent()


@dataclass(frozen=True)
class Part:
    """A `Progress` for one part of a longer count: its `stage` begins at `before` and ends before `total`.

    Other stages, safe points and events pass through.

    Example:
        >>> class Printed(Silent):
        ...     def advance(self, stage, done, total, *, of=""):
        ...         print(stage, done, total)
        >>> Part(Printed(), Stage.READ, before=100, total=300).advance(Stage.READ, 20, 200)
        read 120 300
    """

    whole: Progress
    stage: Stage
    before: int
    total: int

    def advance(self, stage: Stage, done: int, total: int, *, of: str = "") -> None:
        """Count on from `before` in `stage`."""
        if stage == self.stage:
            done, total = self.before + done, self.total
        self.whole.advance(stage, done, total, of=of)

    def safe_point(self) -> None:
        """Pass on."""
        self.whole.safe_point()

    def event(self, event: Event) -> None:
        """Pass on."""
        self.whole.event(event)


@dataclass(frozen=True)
class Window:
    """A `Progress` for one part of a longer count: its `stage` is told as far as it lies from `first` to `last`.

    Other stages, safe points and events pass through.

    Example:
        >>> class Printed(Silent):
        ...     def advance(self, stage, done, total, *, of=""):
        ...         print(stage, done, total)
        >>> Window(Printed(), Stage.READ, first=100, last=300).advance(Stage.READ, 120, 500)
        read 20 200
    """

    whole: Progress
    stage: Stage
    first: int
    last: int

    def advance(self, stage: Stage, done: int, total: int, *, of: str = "") -> None:
        """Count from `first` in `stage`."""
        if stage == self.stage:
            total = self.last - self.first
            done = min(max(done - self.first, 0), total)
        self.whole.advance(stage, done, total, of=of)

    def safe_point(self) -> None:
        """Pass on."""
        self.whole.safe_point()

    def event(self, event: Event) -> None:
        """Pass on."""
        self.whole.event(event)


class Guarded:
    """A `Progress` that remembers what its listener raised, so that this is not taken for a failure of the work.

    Attributes:
        raised: what the listener raised, if it did.
    """

    def __init__(self, whole: Progress) -> None:
        self._whole = whole
        self.raised: BaseException | None = None

    def advance(self, stage: Stage, done: int, total: int, *, of: str = "") -> None:
        """Pass on."""
        with self._remembering():
            self._whole.advance(stage, done, total, of=of)

    def safe_point(self) -> None:
        """Pass on."""
        with self._remembering():
            self._whole.safe_point()

    def event(self, event: Event) -> None:
        """Pass on."""
        with self._remembering():
            self._whole.event(event)

    @contextmanager
    def _remembering(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            self.raised = error
            raise

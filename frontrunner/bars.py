"""Progress where somebody watches: a line for the whole run, with the time left, and one for what is being done.

On a terminal rich draws the lines over each other. In a notebook they are the text of one output of the cell, which is
replaced as the run goes on: rich itself would need widgets there, and warn at every step where they are not installed.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import rich.progress
from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, Task, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

from frontrunner.display import stage_sentence
from frontrunner.progress import SILENT, Event, Planned, Progress, Silent, Spent, Stage
from frontrunner.ranking.stages import StageReport
from frontrunner.tables import cut
from frontrunner.terminal import Terminal

_DOING = {
    Stage.CHECK: "checking",
    Stage.FETCH: "fetching",
    Stage.RANK: "ranking",
    Stage.READ: "reading",
    Stage.DECODE: "decoding",
    Stage.TRAIN: "training",
    Stage.EXPORT: "writing",
    Stage.SEND: "sending",
}
_BAR_WIDTH = 16
# Counted in bytes.
_BYTES = frozenset({Stage.FETCH, Stage.SEND})
# How often a notebook's output is replaced, and its columns.
_NOTEBOOK_S = 0.3
_NOTEBOOK_WIDTH = 110
# A checkpoint that is over sooner was cached: it says nothing of how long others take.
_CACHED_S = 0.5
# Of a checkpoint's share in a run: decoding and scores, which cost the same whatever its size.
_SAME_FOR_ALL = 0.2


class _Left(ProgressColumn):
    """Time that went by, and the time left at the pace so far; of a budget, until all of it is spent."""

    max_refresh = 0.5

    def get_table_column(self) -> Column:
        """One line, whatever else has to give way."""
        return Column(no_wrap=True, min_width=18)

    def render(self, task: Task) -> Text:
        """As `1:20, about 3 min left`; without an estimate until something is done."""
        elapsed = task.elapsed or 0.0
        minutes, seconds = divmod(int(elapsed), 60)
        said = f"{minutes}:{seconds:02}"
        gained, total = task.completed - task.fields["start_at"], task.total or 0.0
        if (until := task.fields.get("until")) is not None:
            said += f", at most {span(max(until - time.monotonic(), 0.0))} left"
        elif task.fields["timed"] and gained > 0 and task.completed < total:
            said += f", {span(elapsed * (total - task.completed) / gained)} left"
        return Text(said if task.fields["timed"] else "", style="cyan")


def span(seconds: float) -> str:
    """A time as people say it.

    Example:
        >>> span(12), span(200), span(8000)
        ('12 s', '3 min', '2 h 13 min')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


class Bars(Silent):
    """A `Progress` that draws the whole run and, below it, what is under way.

    Args:
        bars: where they are drawn.
    """

    def __init__(self, bars: rich.progress.Progress) -> None:
        self._bars = bars
        self._whole: TaskID | None = None
        self._part: tuple[tuple[Stage, str], TaskID] | None = None
        self._shares: dict[str, float] = {}
        self._over: dict[str, float] = {}
        self._spent: float | None = None
        self._begun = time.monotonic()
        self._images: dict[str, int] = {}
        self._count = ""

    def advance(self, stage: Stage, done: int, total: int, *, of: str = "") -> None:
        """Draw how far it is."""
        if stage == Stage.RANK:
            self._ranked(done, total, of)
            return
        if self._whole is None or stage != Stage.READ:
            self._draw(stage, done, total, of)
            return
        self._images[of] = done
        self._draw(stage, done, total, of)
        if self._spent is not None:  # a step of a race reads a part of what its checkpoint may read
            self._bars.update(self._whole, detail=self._said())
            return
        share = self._shares.get(of, 0.0) * done / max(total, 1)
        self._bars.update(self._whole, completed=sum(self._over.values()) + share, detail=self._said())

    def event(self, event: Event) -> None:
        """Print a stage that is over above the bars; hear what a run will cost."""
        if isinstance(event, Planned):
            self._shares = shares_of(event.work)
        if isinstance(event, Spent):
            self._charged(event)
        if isinstance(event, StageReport):
            self._say(stage_sentence(event))

    def _say(self, sentence: str) -> None:
        self._bars.console.print(sentence, highlight=False, markup=False)

    def _charged(self, event: Spent) -> None:
        self._spent = min(event.share, 1.0)
        if self._whole is not None:
            until = None if event.seconds_left is None else time.monotonic() + event.seconds_left
            self._bars.update(self._whole, completed=self._spent, until=until, detail=self._said())

    def _ranked(self, done: int, total: int, of: str) -> None:
        self._clear()
        self._count = f"{done}/{total} checkpoints"
        if self._whole is None:
            self._whole = self._bars.add_task(_DOING[Stage.RANK], total=1.0, timed=True, start_at=0.0, detail="")
        elif of:
            now, share = time.monotonic(), self._shares.get(of, 0.0)
            if now - self._begun < _CACHED_S:
                task = next(task for task in self._bars.tasks if task.id == self._whole)
                task.fields["start_at"] += share
            self._over[of] = share
        self._begun = time.monotonic()
        if self._spent is not None:
            self._bars.update(self._whole, completed=self._spent, detail=self._said())
            return
        planned = len(self._shares) == total
        completed = sum(self._over.values()) if planned else done / max(total, 1)
        self._bars.update(self._whole, completed=1.0 if done == total else completed, detail=self._said())

    def _said(self) -> str:
        images = sum(self._images.values())
        spent = "" if self._spent is None else f", {self._spent:.0%} of the budget"
        return self._count + spent + (f", {images:,} examples" if images and not spent else "")

    def _draw(self, stage: Stage, done: int, total: int, of: str) -> None:
        if self._part is None or self._part[0] != (stage, of):
            self._clear()
            task = self._bars.add_task(_DOING[stage], total=total, timed=self._whole is None, start_at=done, detail="")
            self._part = ((stage, of), task)
        unit, size = (1e6, " MB") if stage in _BYTES else (1, "")
        name = f"  {cut(of.rpartition(':')[2], 24)}" if of else ""
        detail = f"{done / unit:,.0f}/{total / unit:,.0f}{size}{name}"
        self._bars.update(self._part[1], completed=done, total=total, detail=detail)

    def _clear(self) -> None:
        if self._part is not None:
            self._bars.remove_task(self._part[1])
            self._part = None


class _NotebookBars(Bars):
    """`Bars` as the text of one output of a notebook's cell."""

    def __init__(self, bars: rich.progress.Progress) -> None:
        from IPython.display import display

        super().__init__(bars)
        self._shown = display(_Text(""), display_id=True)
        self._shown_at = 0.0

    def advance(self, stage: Stage, done: int, total: int, *, of: str = "") -> None:
        """Draw how far it is, a few times a second at most."""
        super().advance(stage, done, total, of=of)
        now = time.monotonic()
        if now - self._shown_at > _NOTEBOOK_S:
            self._shown_at = now
            text = io.StringIO()
            Terminal(file=text, width=_NOTEBOOK_WIDTH, force_jupyter=False, force_terminal=False).print(
                self._bars.get_renderable()
            )
            self._shown.update(_Text(text.getvalue()))

    def _say(self, sentence: str) -> None:
        print(sentence)

    def close(self) -> None:
        """Show nothing any more."""
        self._shown.update(_Text(""))


class _Text:
    """What a notebook shows of a text."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def shares_of(work: Mapping[str, float]) -> dict[str, float]:
    """Each checkpoint's share of a run, by what a forward pass of it takes beside the others; they add up to 1.

    Example:
        >>> {name: round(share, 2) for name, share in shares_of({"small": 1.0, "large": 9.0}).items()}
        {'small': 0.18, 'large': 0.82}
    """
    whole = sum(work.values()) or 1.0
    return {name: _SAME_FOR_ALL / len(work) + (1 - _SAME_FOR_ALL) * each / whole for name, each in work.items()}


@contextmanager
def progress_bars(console: Console, *, quiet: bool) -> Iterator[Progress]:
    """A `Progress` that draws on a terminal or in a notebook; a silent one where `quiet` or where nobody looks."""
    if quiet or not (console.is_terminal or console.is_jupyter):
        yield SILENT
        return
    columns: tuple[str | ProgressColumn, ...] = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=_BAR_WIDTH),
        TextColumn("{task.fields[detail]}", markup=False),
        _Left(),
    )
    if console.is_jupyter:
        drawn = _NotebookBars(rich.progress.Progress(*columns, disable=True))
        try:
            yield drawn
        finally:
            drawn.close()
        return
    with rich.progress.Progress(*columns, console=console, transient=True) as bars:
        yield Bars(bars)

"""What people see in a terminal: tables on stdout, progress on stderr."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from frontrunner import scores
from frontrunner.data import DatasetReport
from frontrunner.hub import CheckpointDescription, SkippedCheckpoint
from frontrunner.ranking import Listener, Ranking, StepOutput


def show_ranking(ranking: Ranking, console: Console) -> None:
    """The ranking as a table, then what was skipped, then the answer in a sentence."""
    data = ranking.dataset
    left_out = f", {data.unreadable} unreadable left out" if data.unreadable else ""
    table = Table(
        title=f"{data.name}: {data.task}, {data.classes} classes, {data.train_examples:,} training examples{left_out}",
        title_justify="left",
    )
    table.add_column("rank", justify="right")
    table.add_column("checkpoint", overflow="fold")
    names = list(ranking.provenance.score_versions)
    for name in names:
        table.add_column(scores.describe(name).title, justify="right")
    table.add_column("parameters", justify="right")
    table.add_column("seconds", justify="right")
    for line in ranking.ranking:
        values = (f"{line.scores[name].value:.4f}" if name in line.scores else "-" for name in names)
        cached = "" if line.forward_examples else " (cached)"
        table.add_row(str(line.rank), line.checkpoint, *values, _count(line.parameters), f"{line.seconds:.1f}{cached}")
    console.print(table)
    for entry in ranking.skipped:
        console.print(f"skipped {entry.checkpoint}: {entry.reason} \\[{entry.code}]", soft_wrap=True, highlight=False)
    console.print(ranking.summary, style="bold", soft_wrap=True, highlight=False)


def show_checkpoints(
    found: Sequence[CheckpointDescription], skipped: Sequence[SkippedCheckpoint], console: Console
) -> None:
    """The checkpoints of a hub as a table."""
    table = Table()
    for title, justify in (("checkpoint", "left"), ("architecture", "left"), ("reads", "left")):
        table.add_column(title, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for title in ("parameters", "input"):
        table.add_column(title, justify="right")
    table.add_column("licence", overflow="fold")
    for entry in found:
        size = f"{entry.input_size} px" if entry.input_size else "-"
        table.add_row(
            entry.id, entry.architecture, entry.modality, _count(entry.parameters), size, entry.license or "-"
        )
    console.print(table)
    for broken in skipped:
        console.print(f"unusable {broken.checkpoint}: {broken.reason} \\[{broken.code}]", soft_wrap=True)


def show_report(report: DatasetReport, console: Console) -> None:
    """A dataset's check."""
    console.print(f"[bold]{report.name}[/bold]: {report.format}, {report.modality}, {report.task}")
    console.print(f"{report.train_examples:,} training and {report.test_examples:,} test examples")
    if report.widths and report.heights:
        console.print(f"images of {report.widths.median:g} x {report.heights.median:g} pixels (median)")
    if report.classes:
        table = Table("class", "train", "test")
        for entry in report.classes:
            table.add_row(entry.name, str(entry.train), str(entry.test))
        console.print(table)
    for warning in report.warnings:
        console.print(f"warning: {warning}", style="yellow")
    for file in report.unreadable[:10]:
        console.print(f"left out {file.key}: {file.reason}", soft_wrap=True)


@contextmanager
def progress_listener(console: Console) -> Iterator[Listener]:
    """A listener that draws one bar for the whole ranking and one for the checkpoint being read."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        bars: dict[str, TaskID] = {}

        def bar(name: str, total: int) -> TaskID:
            if name not in bars:
                bars[name] = progress.add_task(name, total=total)
            return bars[name]

        def on_check(done: int, total: int) -> None:
            progress.update(bar("checking the dataset", total), completed=done)

        def on_plan(_report: DatasetReport, steps: Sequence[CheckpointDescription]) -> None:
            bar("checkpoints", len(steps))

        def on_progress(checkpoint: str, done: int, total: int) -> None:
            progress.update(bar(checkpoint, total), completed=done)

        def on_outcome(checkpoint: str, _outcome: StepOutput | SkippedCheckpoint) -> None:
            progress.advance(bars["checkpoints"])
            if (finished := bars.pop(checkpoint, None)) is not None:
                progress.remove_task(finished)

        yield Listener(on_check, on_plan, on_progress, on_outcome)


def _count(parameters: int) -> str:
    return f"{parameters / 1e6:.2f} M" if parameters else "-"

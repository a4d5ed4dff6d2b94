"""What people see in a terminal: tables on stdout, progress on stderr."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import rich.progress
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from frontrunner.data import DatasetReport
from frontrunner.errors import ModalityMismatch
from frontrunner.hub import CheckpointDescription, SkippedCheckpoint
from frontrunner.hub.describing.listing import CatalogueMatches
from frontrunner.progress import SILENT, Event, Progress, Silent, Stage
from frontrunner.ranking import (
    DISCREPANCY,
    Ranking,
    ScoreList,
    TaskDistanceMatrix,
    describe,
)
from frontrunner.ranking.budget import Budget
from frontrunner.ranking.prediction import PREDICTED_ACCURACY
from frontrunner.ranking.result import Outlook, RankedCheckpoint
from frontrunner.ranking.stages import BudgetReport, StageReport
from frontrunner.scores import ScoreValue
from frontrunner.scores.score import EVERY_TASK
from frontrunner.tuning.result import TuningOutput

if TYPE_CHECKING:
    from frontrunner.evidence.own_hub import HubEvaluation
    from frontrunner.evidence.quality import Figure

_TITLES = {
    Stage.CHECK: "checking {}",
    Stage.FETCH: "fetching {}, MB",
    Stage.RANK: "checkpoints",
    Stage.READ: "reading with {}",
    Stage.DECODE: "decoding {}",
    Stage.TRAIN: "training",
    Stage.EXPORT: "writing files",
}
# Of those who left a stage of a budget; the JSON names all.
_LEFT_SHOWN = 6
# Classes in a check's table: what fits on a screen.
_CLASSES_SHOWN = 15
# Names shorter than this are never folded, whatever else has to give way.
_NAME_WIDTH = 20

_COLUMNS = (
    TextColumn("{task.description}"),
    BarColumn(),
    MofNCompleteColumn(),
    TimeElapsedColumn(),
    TimeRemainingColumn(),
)


def titled_table(title: str) -> Table:
    """A table under its title, as narrow as its columns let it be."""
    return Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))


def show_ranking(ranking: Ranking, console: Console) -> None:
    """The ranking as a table, then what was skipped, then the answer in a sentence."""
    data = ranking.dataset
    left_out = f", {data.unreadable} unreadable left out" if data.unreadable else ""
    table = titled_table(
        f"{data.name}: {data.task}, {data.classes} classes, {data.train_examples:,} training examples{left_out}"
    )
    table.add_column("rank", justify="right")
    longest = max((len(line.checkpoint) for line in ranking.ranking), default=0)
    table.add_column("checkpoint", overflow="fold", min_width=min(longest, _NAME_WIDTH))
    asked = ranking.provenance.scores
    # The discrepancy and the dimensions are for who asks for them, or reads the JSON.
    beside = [name for name in ranking.provenance.score_versions if name not in (*asked, DISCREPANCY)]
    for name in (*asked, *beside):
        table.add_column(describe(name).title, justify="right")
    if likely := any(line.probability_best is not None for line in ranking.ranking):
        table.add_column("best with", justify="right")
    table.add_column("parameters", justify="right")
    table.add_column("seconds", justify="right")
    for line in ranking.ranking:
        values = [_asked(line, name) for name in asked]
        values += [f"{line.scores[name].value:.3f}" if name in line.scores else "-" for name in beside]
        tie = " =" if line.tied_with_best else ""
        table.add_row(
            f"{line.rank}{tie}",
            line.checkpoint,
            *values,
            *([_probability(line.probability_best)] if likely else []),
            _count(line.parameters),
            f"{line.seconds:.1f}" if line.forward_examples else "cached",
        )
    if data.read_as:
        console.print(f"read as: {data.read_as}", soft_wrap=True, highlight=False, markup=False)
    for warning in data.warnings:
        console.print(f"warning: {warning}", style="yellow", soft_wrap=True, highlight=False, markup=False)
    console.print(table)
    if any(line.tied_with_best for line in ranking.ranking):
        console.print("= the examples cannot tell it apart from the first one")
    if any(line.prediction is not None and line.prediction.unlike_evidence for line in ranking.ranking):
        console.print(
            "predicted accuracy: some of this is unlike anything that the predictions were learned from, and their "
            "intervals are wider for it",
            soft_wrap=True,
        )
    if any(line.scores[name].unreliable for line in ranking.ranking for name in asked if name in line.scores):
        console.print(
            "! too high by more than its interval, as there are few examples for so many source classes; "
            "leep_cross_fitted and nce_cross_fitted are not",
            soft_wrap=True,
        )
    for reason in dict.fromkeys(
        f"{name} is missing where it says -: {refusal.reason}"
        for line in ranking.ranking
        for name, refusal in line.not_applicable.items()
    ):
        console.print(reason, soft_wrap=True, highlight=False)
    others = [entry.checkpoint for entry in ranking.skipped if entry.code == ModalityMismatch.code]
    if others:
        console.print(f"left out, as they read something else: {', '.join(others)}", soft_wrap=True, highlight=False)
    for entry in ranking.skipped:
        if entry.code == ModalityMismatch.code:
            continue
        console.print(f"skipped {entry.checkpoint}: {entry.reason} [{entry.code}]", soft_wrap=True, highlight=False)
    if ranking.budget is not None:
        _show_budget(ranking.budget, console)
    console.print(ranking.summary, style="bold", soft_wrap=True, highlight=False)
    if ranking.outlook is not None:
        _show_outlook(ranking.outlook, console)


def stage_sentence(stage: StageReport) -> str:
    """A stage that is over, on one line: who is still in, and who left."""
    stayed = stage.entered - len(stage.left)
    what = "shortlist" if stage.stage == "shortlist" else f"{stage.examples:,} examples each, {stage.seconds:.0f} s"
    said = f"{what}: {stayed} of {stage.entered} stay"
    shown = [f"{each.checkpoint} ({each.cause})" for each in stage.left[:_LEFT_SHOWN]]
    more = f" and {len(stage.left) - _LEFT_SHOWN} more" if len(stage.left) > _LEFT_SHOWN else ""
    return f"{said}; left: {', '.join(shown)}{more}" if shown else said


def _show_budget(spent: BudgetReport, console: Console) -> None:
    """The stages, and what was spent."""
    for stage in spent.stages:
        console.print(stage_sentence(stage), soft_wrap=True, highlight=False, markup=False)
    budget = Budget.parse(spent.budget)
    of_all = "" if spent.full_cost is None else f"; without a budget: {budget.said(spent.full_cost)}"
    used = f"budget {budget.said(spent.limit)}, spent {budget.said(spent.spent)}"
    console.print(used + of_all, soft_wrap=True, highlight=False)
    if spent.more is not None:
        console.print(f"more budget: {spent.more}", soft_wrap=True, highlight=False)


def show_evaluation(found: HubEvaluation, console: Console) -> None:
    """Scores by how well they order the checkpoints, what is no truth, and which to trust."""
    runs = f"{found.seeds} seeds" if found.seeds > 1 else "one seed"
    table = titled_table(
        f"{', '.join(found.datasets)}: {found.checkpoints} checkpoints, {found.adaptation} adaptation, {runs}"
    )
    table.add_column("score", overflow="fold")
    for title in ("tau_w", "Kendall", "points lost", "of first 3"):
        table.add_column(title, justify="right", no_wrap=True)
    for line in found.scores:
        table.add_row(
            line.score,
            _figure(line.weighted_tau, 2),
            _figure(line.kendall, 2),
            _figure(line.regret, 1),
            _figure(line.regret_of_three, 1),
        )
    console.print(table)
    if found.noise_ceiling is not None:
        console.print(f"two seeds of the truth agree with tau_w {found.noise_ceiling:.2f}", highlight=False)
    for reason in dict.fromkeys(f"{left.checkpoint} left out: {left.reason} [{left.code}]" for left in found.left_out):
        console.print(reason, soft_wrap=True, highlight=False)
    console.print(found.summary, style="bold", soft_wrap=True, highlight=False)


def _figure(figure: Figure, digits: int) -> str:
    spread = "" if figure.error is None else f" ± {figure.error:.{digits}f}"
    return f"{figure.mean:.{digits}f}{spread}"


def _show_outlook(found: Outlook, console: Console) -> None:
    table = titled_table("with past results")
    longest = max(len(place.checkpoint) for place in found.places)
    table.add_column("checkpoint", overflow="fold", min_width=min(longest, _NAME_WIDTH))
    for title in ("expected", "best with", "tried on"):
        table.add_column(title, justify="right", no_wrap=True)
    for place in found.places:
        table.add_row(
            place.checkpoint,
            f"{place.expected:+.2f} ± {place.deviation:.2f}",
            f"{place.probability_best:.2f}",
            f"{place.past_results}",
        )
    console.print(table)
    console.print(found.summary, style="bold", soft_wrap=True, highlight=False)


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
        console.print(f"unusable {broken.checkpoint}: {broken.reason} [{broken.code}]", soft_wrap=True)


def show_listed(found: CatalogueMatches, console: Console) -> None:
    """What a search of the catalogue found, as a table."""
    table = Table()
    for title in ("checkpoint", "family", "reads"):
        table.add_column(title, overflow="fold")
    for title in ("parameters", "GFLOPs", "downloads"):
        table.add_column(title, justify="right")
    table.add_column("licence", overflow="fold")
    for entry in found.checkpoints:
        table.add_row(
            entry.id,
            entry.family or "-",
            entry.modality,
            _count(entry.parameters or 0),
            f"{entry.flops / 1e9:.2f}" if entry.flops else "-",
            f"{entry.popularity:,}" if entry.popularity is not None else "-",
            entry.license or "-",
        )
    console.print(table)
    if found.more:
        console.print(f"the first {len(found.checkpoints)}; narrow the search, or raise --limit")
    if not found.checkpoints:
        console.print("nothing was found; `frontrunner checkpoints sync` fills the catalogue")


def show_report(report: DatasetReport, console: Console) -> None:
    """A dataset's check in one screen: what will be ranked on, and what looks wrong."""

    def say(line: str, style: str = "") -> None:
        console.print(line, style=style, soft_wrap=True, highlight=False, markup=False)

    say(f"{report.name}: {report.format}, {report.modality}, {report.task}", "bold")
    say(f"read as: {report.read_as}")
    say(f"{report.train_examples:,} training and {report.test_examples:,} test examples")
    if report.widths and report.heights:
        say(f"images of {report.widths.median:g} x {report.heights.median:g} pixels (median)")
    if report.lengths:
        say(f"texts of {report.lengths.median:g} characters (median), {report.lengths.largest:g} at most")
    for entry in report.feature_sets:
        say(f"feature set {entry.name}: {entry.dimension} features")
    for name, span in report.targets.items():
        say(f"{name}: {span.smallest:g} to {span.largest:g}, median {span.median:g}")
    if report.classes:
        table = Table("class", "train", "test", box=SIMPLE_HEAD)
        shown = sorted(report.classes, key=lambda c: -c.train)[:_CLASSES_SHOWN]
        for counted in shown if len(report.classes) > _CLASSES_SHOWN else report.classes:
            table.add_row(Text(counted.name), str(counted.train), str(counted.test))
        console.print(table)
        if len(report.classes) > _CLASSES_SHOWN:
            say(f"and {report.class_count - _CLASSES_SHOWN} classes with fewer examples; --json lists all")
    for warning in report.warnings:
        say(f"warning: {warning}", "yellow")
    for file in report.unreadable[:5]:
        say(f"unreadable {file.key}: {file.reason}")


class _Bars(Silent):
    """A bar for each stage and what it is about; those of a checkpoint go when its ranking is over."""

    def __init__(self, bars: rich.progress.Progress) -> None:
        self._bars = bars
        self._tasks: dict[tuple[Stage, str], TaskID] = {}

    def advance(self, stage: Stage, done: int, total: int, *, of: str = "") -> None:
        """Draw the bar as it stands."""
        if stage == Stage.RANK:
            of = ""
            for key in [key for key in self._tasks if key[0] != Stage.RANK]:
                self._bars.remove_task(self._tasks.pop(key))
        unit = 10**6 if stage == Stage.FETCH else 1
        if (stage, of) not in self._tasks:
            self._tasks[stage, of] = self._bars.add_task(_TITLES[stage].format(of).strip(), total=total // unit)
        self._bars.update(self._tasks[stage, of], completed=done // unit, total=total // unit)

    def event(self, event: Event) -> None:
        """Print a stage that is over above the bars."""
        if isinstance(event, StageReport):
            self._bars.console.print(stage_sentence(event), highlight=False, markup=False)


@contextmanager
def progress_bars(console: Console, *, quiet: bool) -> Iterator[Progress]:
    """A `Progress` that draws a bar for each stage on a terminal or in a notebook; silent where `quiet` or unseen."""
    if quiet or not (console.is_terminal or console.is_jupyter):
        yield SILENT
        return
    with rich.progress.Progress(*_COLUMNS, console=console, transient=True) as bars:
        yield _Bars(bars)


def show_scores(found: ScoreList, console: Console) -> None:
    """The scores as a table."""
    table = Table("score", "what it says", "needs", show_lines=True)
    table.columns[0].no_wrap = table.columns[2].no_wrap = True
    for entry in found.items:
        tasks = "" if len(entry.tasks) == len(EVERY_TASK) else f"; for {', '.join(entry.tasks)}"
        table.add_row(
            entry.name, Text.assemble(f"{entry.explanation}\n", (f"{entry.citation}{tasks}", "dim")), entry.needs
        )
    console.print(table)


def show_task_distances(found: TaskDistanceMatrix, console: Console) -> None:
    """The matrix, a row for each task that is known, a column for each that comes next."""
    table = Table(title=f"Distances as {found.checkpoint} sees them, from row to column", title_justify="left")
    table.add_column("task", overflow="fold")
    for title in ("examples", "classes", "complexity", *(task.name for task in found.tasks)):
        table.add_column(title, justify="right", overflow="fold")
    for task, row in zip(found.tasks, found.distance, strict=True):
        distances = (f"{value:.2f}" for value in row)
        table.add_row(task.name, f"{task.examples:,}", str(task.classes), f"{task.complexity:.2f}", *distances)
    console.print(table)


def show_tuning(output: TuningOutput, console: Console) -> None:
    """What a tuning made, and how good it is."""
    metrics = output.metrics
    accuracy = metrics.accuracy
    table = Table(show_header=False, box=None)
    for name, value in (
        ("method", output.method),
        (f"{metrics.split} accuracy", f"{accuracy.value:.3f}  [{accuracy.low:.3f}, {accuracy.high:.3f}]"),
        ("calibration error", f"{metrics.calibration_error:.3f}"),
        ("examples", f"{output.train_examples:,} to train, {metrics.examples:,} to report on"),
        ("epochs", f"{output.epochs}, the weights of epoch {output.best_epoch} kept; {output.ended_because}"),
        ("learning rate", f"{output.learning_rate:g}"),
        ("seconds", f"{output.seconds:.1f}"),
        ("files", output.folder),
    ):
        table.add_row(name, value)
    console.print(table)
    for model in output.models:
        console.print(f"{model.folder}: {model.architecture}, {_count(model.parameters)} parameters", highlight=False)
        if model.onnx is not None and model.int8 is not None:
            int8 = model.int8
            console.print(
                f"  int8: {int8.bytes / model.onnx.bytes:.0%} of the size, {int8.latency_ms:.1f} ms "
                f"(before {model.onnx.latency_ms:.1f} ms), accuracy {int8.accuracy:.3f} (before "
                f"{int8.accuracy_before:.3f})",
                highlight=False,
            )
        if model.note:
            console.print(f"  {model.note}", highlight=False)


def _asked(line: RankedCheckpoint, name: str) -> str:
    if name not in line.scores:
        return "-"
    found = line.prediction
    if name != PREDICTED_ACCURACY or found is None:
        return _with_reach(line.scores[name])
    return f"{100 * found.accuracy:.0f} ({100 * found.low:.0f} to {100 * found.high:.0f})"


def _probability(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _with_reach(score: ScoreValue) -> str:
    mark = " !" if score.unreliable else ""
    if score.low is None or score.high is None:
        return f"{score.value:.4f}{mark}"
    return f"{score.value:.4f} ±{(score.high - score.low) / 2:.4f}{mark}"


def _count(parameters: int) -> str:
    return f"{parameters / 1e6:.2f} M" if parameters else "-"

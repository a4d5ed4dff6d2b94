"""What people see in a terminal: tables on stdout."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from frontrunner.data import DatasetReport
from frontrunner.errors import ModalityMismatch
from frontrunner.hub import Catalogue, CheckpointDescription, SkippedCheckpoint
from frontrunner.hub.describing.listing import CatalogueMatches
from frontrunner.ranking import Ranking, ScoreList, TaskDistanceMatrix
from frontrunner.ranking.answer import is_share, may_equal_first
from frontrunner.ranking.budget import Budget
from frontrunner.ranking.local import reasons
from frontrunner.ranking.result import Outlook
from frontrunner.ranking.stages import BudgetReport, StageReport, VerificationReport
from frontrunner.ranking_table import count, show_table
from frontrunner.scores.score import EVERY_TASK
from frontrunner.tables import Column, common_beginning, cut, print_table
from frontrunner.tuning.result import Interval, TuningOutput

if TYPE_CHECKING:
    from frontrunner.evidence.own_hub import HubEvaluation
    from frontrunner.evidence.quality import Figure

# Of those who left a stage of a budget; the JSON names all.
_LEFT_SHOWN = 6
# Classes in a check's table: what fits on a screen.
_CLASSES_SHOWN = 15
# Names shorter than this are never folded, whatever else has to give way.
_NAME_WIDTH = 20


def titled_table(title: str) -> Table:
    """A table under its title, as narrow as its columns let it be."""
    return Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))


def show_ranking(ranking: Ranking, console: Console, columns: Sequence[str] = ()) -> None:
    """The ranking as a table, then what was skipped, then the answer.

    Args:
        ranking: to be shown.
        console: where.
        columns: names of columns that are shown whatever the width, instead of those that fit.
    """

    def say(line: str, style: str = "") -> None:
        console.print(line, style=style, soft_wrap=not console.is_terminal, highlight=False, markup=False)

    say(_on_what(ranking), "bold")
    if ranking.dataset.read_as:
        say(f"read as: {ranking.dataset.read_as}", "dim")
    for warning in ranking.dataset.warnings:
        say(f"warning: {warning}", "yellow")
    if ranking.ranking:
        show_table(ranking, console, columns)
        for note in _notes(ranking):
            say(note, "dim")
    others = [entry for entry in ranking.skipped if entry.code == ModalityMismatch.code]
    if others:
        named = "" if len(others) > _LEFT_SHOWN else f": {', '.join(entry.checkpoint for entry in others)}"
        say(f"{len(others)} left out, as they read something else{named}", "dim")
    for reason in reasons([entry for entry in ranking.skipped if entry.code != ModalityMismatch.code]):
        say(f"skipped {reason}", "yellow")
    if ranking.budget is not None:
        _show_budget(ranking.budget, console)
    if ranking.verification is not None:
        _show_verification(ranking, ranking.verification, console)
    say(ranking.summary, "bold")
    if ranking.outlook is not None:
        _show_outlook(ranking.outlook, console)


def _on_what(ranking: Ranking) -> str:
    """The dataset in a line: its kind, and how much of it was read."""
    data = ranking.dataset
    kinds = {"classification": "class", "multi-label": "label", "regression": "target"}
    kind = "label" if data.train_sentences and data.task == "classification" else kinds[data.task]
    kind += "" if data.classes == 1 else "es" if kind.endswith("s") else "s"
    read = max((line.examples for line in ranking.ranking), default=0)
    examples = f"{data.train_examples:,} training {'words' if data.train_sentences else 'examples'}"
    if 0 < read < data.train_examples:
        examples = f"{read:,} of {examples} read"
    examples += f" in {data.train_sentences:,} sentences" if data.train_sentences else ""
    left_out = f", {data.unreadable} unreadable left out" if data.unreadable else ""
    return f"{data.name}: {data.task}, {data.classes} {kind}, {examples}{left_out}"


def _notes(ranking: Ranking) -> Iterator[str]:
    """What the signs in the table mean, and why a cell is empty."""
    lines, asked = ranking.ranking, ranking.provenance.scores
    predicted = any(line.prediction is not None for line in lines)
    shares = any(is_share(name, ranking.dataset.task) for line in lines for name in line.scores)
    if predicted or shares:
        yield "accuracies in points of 100; " * shares + "intervals hold 95%" + ", those of predictions 90%" * predicted
    if any(line.rank > 1 and may_equal_first(line) for line in lines):
        yield "= may be as good as the first, or better"
    if any(line.prediction is not None and line.prediction.unlike_evidence for line in lines):
        yield "predicted accuracy: some of this is unlike what predictions were learned from; intervals are wider"
    if any(line.scores[name].unreliable for line in lines for name in asked if name in line.scores):
        yield (
            "! too high by more than its interval, as there are few examples for so many source classes; "
            "leep_cross_fitted and nce_cross_fitted are not"
        )
    yield from dict.fromkeys(
        f"{name} is missing where it says -: {refusal.reason}"
        for line in lines
        for name, refusal in line.not_applicable.items()
    )


def stage_sentence(stage: StageReport) -> str:
    """A stage that is over, on one line: who is still in, and who left."""
    stayed = stage.entered - len(stage.left)
    what = {
        "shortlist": "shortlist",
        "race": f"{stage.examples:,} examples each, {stage.seconds:.0f} s",
        "verify": f"adapted {'anew ' * bool(stage.again)}for {stage.epochs} epochs on {stage.examples:,} examples, "
        f"{stage.seconds:.0f} s",
    }[stage.stage]
    said = f"{what}: {stayed} of {stage.entered} stay"
    by_cause: dict[str, list[str]] = {}
    for each in stage.left:
        by_cause.setdefault(each.cause, []).append(each.checkpoint)
    left = []
    for cause, names in by_cause.items():
        more = f" and {len(names) - _LEFT_SHOWN} more" if len(names) > _LEFT_SHOWN else ""
        left.append(f"{cause} {', '.join(names[:_LEFT_SHOWN])}{more}")
    return f"{said}; left as {'; as '.join(left)}" if left else said


def _show_budget(spent: BudgetReport, console: Console) -> None:
    """The stages, and what was spent."""
    for stage in spent.stages:
        console.print(stage_sentence(stage), soft_wrap=not console.is_terminal, highlight=False, markup=False)
    budget = Budget.parse(spent.budget)
    of_all = "" if spent.full_cost is None else f"; without a budget: {budget.said(spent.full_cost)}"
    used = f"budget {budget.said(spent.limit)}, spent {budget.said(spent.spent)}"
    console.print(used + of_all, soft_wrap=not console.is_terminal, highlight=False)
    if spent.more is not None:
        console.print(f"more budget: {spent.more}", soft_wrap=not console.is_terminal, highlight=False)


def _show_verification(ranking: Ranking, report: VerificationReport, console: Console) -> None:
    """What was adapted, and what it reached beside what was predicted."""
    for stage in report.stages:
        console.print(stage_sentence(stage), soft_wrap=not console.is_terminal, highlight=False, markup=False)
    for line in ranking.ranking:
        if (found := line.verified) is None:
            continue
        said = f"{line.checkpoint}: measured {_percents(found.measured)} of {found.held_out} held-out examples"
        if line.prediction is not None:
            said += f", predicted {line.prediction.accuracy:.0%}"
        said += f", together {found.accuracy:.0%} ({found.low:.0%} to {found.high:.0%})"
        console.print(
            f"{said}; the best with {line.probability_best or 0:.2f}",
            soft_wrap=not console.is_terminal,
            highlight=False,
        )
    if report.reason is not None:
        console.print(
            f"none was adapted: {report.reason}", soft_wrap=not console.is_terminal, highlight=False, markup=False
        )


def _percents(found: Interval) -> str:
    return f"{found.value:.0%} ({found.low:.0%} to {found.high:.0%})"


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


def show_catalogue(found: Catalogue | CatalogueMatches, console: Console) -> None:
    """What a hub holds, or what a service lists, as a table."""
    if isinstance(found, CatalogueMatches):
        show_listed(found, console)
    else:
        show_checkpoints(found.checkpoints, found.skipped, console)


def show_checkpoints(
    found: Sequence[CheckpointDescription], skipped: Sequence[SkippedCheckpoint], console: Console
) -> None:
    """The checkpoints of a hub as a table."""
    beginning = common_beginning([entry.id for entry in found])
    columns = (
        ("checkpoint", [entry.id.removeprefix(beginning) for entry in found], 0),
        ("reads", [str(entry.modality) for entry in found], 3),
        ("params", [count(entry.parameters) for entry in found], 1),
        ("MB", [f"{entry.bytes / 1e6:,.1f}" if entry.bytes else "-" for entry in found], 5),
        ("input", [f"{entry.input_size} px" if entry.input_size else "-" for entry in found], 4),
        ("licence", [cut(entry.license or "-") for entry in found], 2),
        ("architecture", [entry.architecture for entry in found], 6),
    )
    if found:
        _print_columns(columns, console, beginning)
    elif not skipped:
        console.print("nothing was found; --hub names a folder of checkpoints, --server a service that has some")
    for broken in skipped:
        console.print(f"unusable {broken.checkpoint}: {broken.reason} [{broken.code}]", soft_wrap=True, style="yellow")


def show_listed(found: CatalogueMatches, console: Console) -> None:
    """What a search of the catalogue found, as a table."""
    entries = found.checkpoints
    beginning = common_beginning([entry.id for entry in entries])
    columns = (
        ("checkpoint", [entry.id.removeprefix(beginning) for entry in entries], 0),
        ("reads", [entry.modality or "-" for entry in entries], 4),
        ("params", [count(entry.parameters or 0) for entry in entries], 1),
        ("GFLOPs", [f"{entry.flops / 1e9:.2f}" if entry.flops else "-" for entry in entries], 5),
        ("downloads", ["-" if entry.popularity is None else f"{entry.popularity:,}" for entry in entries], 3),
        ("licence", [cut(entry.license or "-") for entry in entries], 2),
        ("family", [entry.family or "-" for entry in entries], 6),
    )
    if entries:
        _print_columns(columns, console, beginning)
    if found.more:
        console.print(f"the first {len(entries)}; narrow the search, or raise --limit")
    if not entries:
        console.print("nothing was found; `frontrunner checkpoints sync` fills the catalogue")


def show_datasets(found: Sequence[Mapping[str, Any]], console: Console) -> None:
    """Datasets of a service as a table."""
    columns = (
        ("dataset", [entry["id"] for entry in found], 0),
        ("name", [entry["name"] for entry in found], 1),
        ("MB", [f"{entry['bytes'] / 1e6:,.1f}" for entry in found], 2),
        ("created", [entry["created_at"][:19].replace("T", " ") for entry in found], 3),
    )
    if found:
        _print_columns(columns, console, "", foldable=False)
    else:
        console.print("no datasets")


def show_quota(found: Mapping[str, Any], console: Console) -> None:
    """What a tenant of a service may use and uses."""
    shares = {name: share for name, share in found.items() if isinstance(share, Mapping)}
    limits = ["none" if share["limit"] is None else f"{share['limit']:,.0f}" for share in shares.values()]
    used = [f"{share['used']:,.0f}" for share in shares.values()]
    _print_columns(((found["tenant"], list(shares), 0), ("limit", limits, 1), ("used", used, 2)), console, "")


def show_jobs(found: Sequence[Mapping[str, Any]], console: Console) -> None:
    """Jobs of a service as a table; their ids are whole, so that they can be copied."""
    steps = [f"{job['progress']['steps_done']}/{job['progress']['steps_total']}" for job in found]
    columns = (
        ("job", [job["id"] for job in found], 0),
        ("kind", [job["kind"] for job in found], 2),
        ("status", [job["status"] for job in found], 1),
        ("steps", steps, 3),
        ("created", [job["created_at"][5:16].replace("T", " ") for job in found], 4),
        ("dataset", [job.get("dataset") or "-" for job in found], 5),
    )
    if found:
        _print_columns(columns, console, "", foldable=False)
    else:
        console.print("no jobs")


def _print_columns(
    columns: Sequence[tuple[str, list[str], int]], console: Console, beginning: str, *, foldable: bool = True
) -> None:
    """A table whose first column holds names, all of which begin with `beginning`."""
    numbers = ("params", "MB", "input", "GFLOPs", "downloads", "steps")
    made: list[Column] = []
    for name, cells, given_up in columns:
        title = f"{name} {beginning}" if beginning and not made else name
        made.append(Column(name, title, cells, name in numbers, given_up, foldable and not made))
    print_table(made, console)


def show_report(report: DatasetReport, console: Console) -> None:
    """A dataset's check in one screen: what will be ranked on, and what looks wrong."""

    def say(line: str, style: str = "") -> None:
        console.print(line, style=style, soft_wrap=True, highlight=False, markup=False)

    say(f"{report.name}: {report.format}, {report.modality}, {report.task}", "bold")
    say(f"read as: {report.read_as}")
    what = "words" if report.of_words else "examples"
    say(f"{report.train_examples:,} training and {report.test_examples:,} test {what}")
    if report.of_words:
        say(f"in {report.train_sentences:,} training and {report.test_sentences:,} test sentences")
    if report.widths and report.heights:
        say(f"images of {report.widths.median:g} x {report.heights.median:g} pixels (median)")
    if report.lengths:
        what = "sentences" if report.of_words else "texts"
        say(f"{what} of {report.lengths.median:g} characters (median), {report.lengths.largest:g} at most")
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


def _points(found: Interval) -> str:
    return f"{100 * found.value:.1f} ({100 * found.low:.1f} to {100 * found.high:.1f})"


def _outcome(output: TuningOutput) -> str:
    """What the tuned model reaches, and how it stands to a logistic regression on the features that it began with."""
    metrics, probe = output.metrics, output.probe
    said = f"It is right on {_points(metrics.accuracy)} of 100 {metrics.split} examples"
    if probe is None:
        return f"{said}."
    lead = round(100 * (metrics.accuracy.value - probe.value), 1)
    beside = f"{abs(lead):.1f} {'more' if lead > 0 else 'less'} than" if lead else "as many as"
    return f"{said}, {beside} a linear probe on the features before tuning."


def show_tuning(output: TuningOutput, console: Console) -> None:
    """What a tuning made, and how good it is."""
    metrics = output.metrics
    accuracy = metrics.accuracy
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in (
        ("method", output.method),
        (f"{metrics.split} accuracy", _points(accuracy)),
        *([] if output.probe is None else [("probe to beat", _points(output.probe))]),
        ("calibration error", f"{100 * metrics.calibration_error:.1f} points"),
        ("examples", f"{output.train_examples:,} to train, {metrics.examples:,} to report on"),
        ("epochs", f"{output.epochs}, the weights of epoch {output.best_epoch} kept; {output.ended_because}"),
        ("learning rate", f"{output.learning_rate:g}"),
        ("seconds", f"{output.seconds:.1f}"),
        ("files", output.folder),
    ):
        table.add_row(name, value)
    console.print(table)
    for model in output.models:
        console.print(f"{model.folder}: {model.architecture}, {count(model.parameters)} parameters", highlight=False)
        if model.onnx is not None and model.int8 is not None:
            int8 = model.int8
            console.print(
                f"  int8: {int8.bytes / model.onnx.bytes:.0%} of the size; {int8.latency_ms:.1f} ms an example, "
                f"{model.onnx.latency_ms:.1f} ms before; accuracy {100 * int8.accuracy:.1f}, "
                f"{100 * int8.accuracy_before:.1f} before",
                highlight=False,
            )
        if model.note:
            console.print(f"  {model.note}", highlight=False)
    console.print(_outcome(output), style="bold", soft_wrap=not console.is_terminal, highlight=False)

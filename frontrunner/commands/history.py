"""`frontrunner history`: past results of fine-tuning, and what they are worth for the next dataset."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from frontrunner.commands.common import JsonOption, print_json, refusals
from frontrunner.terminal import Terminal

if TYPE_CHECKING:
    from frontrunner.evidence.evaluation import Comparison, HistoryEvaluation
    from frontrunner.evidence.history_file import HistoryFile

history = typer.Typer(no_args_is_help=True, help="Past results of fine-tuning.")

FileArgument = Annotated[
    Path, typer.Argument(help="CSV with the columns model, dataset, accuracy; see docs/history.md.", show_default=False)
]


@history.callback()
def past_results() -> None:
    """Past results of fine-tuning."""


@history.command()
def evaluate(
    file: FileArgument,
    protocol: Annotated[
        str | None, typer.Option("--protocol", help="Only results of this protocol, where there are several.")
    ] = None,
    drop_collapsed: Annotated[
        bool,
        typer.Option(
            "--drop-collapsed", help="Leave out runs that look as if they learned nothing: low results that many share."
        ),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Hide each dataset in turn and see who orders its checkpoints best: history, scores, or both."""
    with refusals():
        from frontrunner.evidence import History, collapsed_results, evaluate_history, public_facts, read_history

        read = read_history(file)
        rows = [row for row in read.rows if protocol is None or row.protocol == protocol]
        if not rows:
            known = ", ".join(sorted({repr(row.protocol) for row in read.rows}))
            raise typer.BadParameter(f"{file.name} has no such protocol, but {known}", param_hint="--protocol")
        collapsed = collapsed_results(rows)
        if drop_collapsed:
            rows = [row for row, nothing in zip(rows, collapsed, strict=True) if not nothing]
        found = evaluate_history(History.of(rows, public_facts([row.model for row in rows])))
        if json:
            print_json(found)
        else:
            _show(found, read, int(collapsed.sum()), drop_collapsed, Terminal())


def _show(found: HistoryEvaluation, read: HistoryFile, collapsed: int, drop_collapsed: bool, console: Terminal) -> None:
    """Two tables and what was left out, in 80 columns."""

    def say(line: str, style: str = "") -> None:
        console.print(line, style=style, highlight=False, markup=False)

    say(
        f"{found.results:,} results of {found.checkpoints} checkpoints on {found.datasets} datasets"
        + (", given in percent" if read.percent else ""),
        "bold",
    )
    if read.diverged:
        say(f"{read.diverged:,} rows marked as diverged are left out")
    if read.without_result:
        say(f"{read.without_result:,} rows without a result are left out")
    if collapsed:
        say(
            f"{collapsed:,} results look as if nothing was learned: low, and shared by many checkpoints; "
            + ("left out" if drop_collapsed else "--drop-collapsed leaves them out"),
            "yellow",
        )
    if read.ignored:
        say(f"not numbers, and not used: {', '.join(read.ignored)}")
    if found.skipped:
        say(f"too few results to judge by: {', '.join(found.skipped)}")
    if found.left_out_scores:
        say(f"measured on too few checkpoints: {', '.join(found.left_out_scores)}")
    if found.with_scores is not None:
        _show_comparison("Checkpoints that have the scores", found.with_scores, console)
    _show_comparison("All results, no score used", found.everywhere, console)
    say(
        "tau_w: weighted Kendall correlation with the results. Regret: points lost by trying the first pick, or the "
        "first three. 90%: share of results within the 90% interval. After ±: standard error over datasets."
    )


def _show_comparison(title: str, comparison: Comparison, console: Terminal) -> None:
    from frontrunner.display import titled_table

    table = titled_table(
        f"{title}: {comparison.datasets} hidden datasets, {comparison.checkpoints:.0f} checkpoints each"
    )
    table.add_column("ordered by", overflow="fold")
    for heading in ("tau_w", "over static", "regret 1", "regret 3", "90%"):
        table.add_column(heading, justify="right", no_wrap=True)
    for verdict in comparison.verdicts:
        table.add_row(
            verdict.name,
            f"{verdict.tau_w:.3f} ±{verdict.tau_w_error:.3f}",
            f"{verdict.better_than_static:+.3f} ±{verdict.better_than_static_error:.3f}",
            f"{verdict.regret_1:.2f} ±{verdict.regret_1_error:.2f}",
            f"{verdict.regret_3:.2f} ±{verdict.regret_3_error:.2f}",
            "" if verdict.coverage is None else f"{verdict.coverage:.0%}",
        )
    console.print(table)

"""A ranking as a picture, and as HTML for notebooks."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from frontrunner.ranking.answer import interval_of, may_equal_first, title_of
from frontrunner.ranking.prediction import PREDICTED_ACCURACY
from frontrunner.ranking_table import chance, count

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from frontrunner.ranking.result import RankedCheckpoint, Ranking

# Lines that a picture or a notebook shows; `rows` are all.
_SHOWN = 30
# Pixels of a frame of charts besides the highest drawing: title, controls, key, the table's handle, margins.
_AROUND_CHARTS = 260


def plot(ranking: Ranking, ax: Axes | None = None) -> Axes:
    """The score that orders the ranking with its intervals, best on top: a matplotlib axes.

    Args:
        ranking: with a line at least; the first 30 are drawn.
        ax: where to draw; axes of a new figure by default.

    Raises:
        ModuleNotFoundError: matplotlib is not installed; `pip install 'frontrunner[plot]'`.
    """
    try:
        import matplotlib.pyplot as plt
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("plots need matplotlib: pip install 'frontrunner[plot]'") from error

    lines = ranking.ranking[:_SHOWN]
    if ax is None:
        _, ax = plt.subplots(figsize=(8, 1 + 0.3 * len(lines)), layout="constrained")
    by = ranking.provenance.ordered_by
    for place, line in enumerate(lines):
        low, value, high = interval_of(line, by)
        colour = "C0" if place == 0 or may_equal_first(line) else "0.45"
        if low is not None and high is not None:
            ax.plot([low, high], [place, place], color=colour, linewidth=2, alpha=0.5)
        ax.plot([] if value is None else [value], [] if value is None else [place], "o", color=colour)
    ax.set_yticks(range(len(lines)), [line.checkpoint for line in lines])
    ax.invert_yaxis()
    ax.set_xlabel(title_of(by, ranking.dataset.task) + _level(lines[0], by))
    ax.set_title(f"{ranking.dataset.name}: {len(ranking.ranking)} checkpoints", loc="left")
    ax.grid(axis="x", alpha=0.3)
    return ax


def notebook_html(ranking: Ranking) -> str:
    """The answer, a table, and the charts of a report, for a notebook.

    Names come from strangers' files and are escaped. The charts are a document of their own in a frame that may only
    run scripts: the notebook's style and theirs leave each other alone. Where a notebook is shown without scripts, the
    table stays.
    """
    by = ranking.provenance.ordered_by
    names = list(dict.fromkeys((by, *ranking.provenance.scores)))
    header = ["", "checkpoint", *(title_of(name, ranking.dataset.task) for name in names), "best with", "parameters"]
    rows = []
    for line in ranking.ranking[:_SHOWN]:
        cells = [f"{line.rank}{' =' if may_equal_first(line) else ''}", line.checkpoint]
        cells += [_number(line, name) for name in names]
        rows.append(_row([*cells, chance(line.probability_best), count(line.parameters)], "td"))
    more = len(ranking.ranking) - _SHOWN
    notes = [f"and {more} more"] if more > 0 else []
    notes += ["= may be as good as the first, or better"] if any(map(may_equal_first, ranking.ranking)) else []
    notes += [f"skipped {entry.checkpoint}: {entry.reason}" for entry in ranking.skipped[:5]]
    notes += [f"{len(ranking.skipped) - 5} more were skipped"] if len(ranking.skipped) > 5 else []
    return (
        f"<p><strong>{html.escape(ranking.summary)}</strong></p>"
        f"<table><thead>{_row(header, 'th')}</thead><tbody>{''.join(rows)}</tbody></table>"
        + "".join(f"<p><small>{html.escape(note)}</small></p>" for note in notes)
        + (_frame(ranking) if ranking.ranking else "")
    )


def _frame(ranking: Ranking) -> str:
    from frontrunner.report import charts_html
    from frontrunner.report.layout import chart_height

    height = chart_height("scores", len(ranking.ranking)) + _AROUND_CHARTS
    return (
        f'<iframe sandbox="allow-scripts" title="Charts" srcdoc="{html.escape(charts_html(ranking))}" '
        f'style="width: 100%; height: {height}px; border: 0" loading="lazy"></iframe>'
    )


def _level(line: RankedCheckpoint, name: str) -> str:
    low, _, _ = interval_of(line, name)
    if low is None:
        return ""
    level = line.prediction.level if name == PREDICTED_ACCURACY and line.prediction is not None else 0.95
    return f", {level:.0%} intervals"


def _number(line: RankedCheckpoint, name: str) -> str:
    low, value, high = interval_of(line, name)
    if value is None:
        return "-"
    return f"{value:.3f}" if low is None or high is None else f"{value:.3f} ({low:.3f} to {high:.3f})"


def _row(cells: list[str], tag: str) -> str:
    left = ' style="text-align: left"'
    inner = (f"<{tag}{left if place == 1 else ''}>{html.escape(cell)}</{tag}>" for place, cell in enumerate(cells))
    return f"<tr>{''.join(inner)}</tr>"

"""Reports: rankings and tunings as single HTML files that need no server and no network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from frontrunner.ranking.answer import interval_of, is_share, may_equal_first, title_of
from frontrunner.ranking.result import RankedCheckpoint, Ranking
from frontrunner.report import assets
from frontrunner.report.data import ranking_data
from frontrunner.report.inlined import module_map
from frontrunner.report.templates import shared
from frontrunner.tables import common_beginning
from frontrunner.tuning.result import TuningOutput

# Lines in a report's table; its charts show all, and `--csv` writes all.
LARGEST_TABLE = 500


def ranking_html(ranking: Ranking) -> str:
    """A ranking as one HTML document: the answer, all charts, the table, what was left out, and how it was made.

    It loads nothing: style, scripts and data are inside, and its own security policy forbids every request.
    """
    columns, data = _columns(ranking), ranking_data(ranking)
    # What all names begin with is said once, above them.
    beginning = common_beginning([line.checkpoint for line in ranking.ranking])
    return _rendered(
        "ranking_report.html",
        ranking=ranking,
        data=data,
        beginning=beginning,
        answer=ranking.summary.replace(beginning, "") if beginning else ranking.summary,
        columns=columns,
        lines=[_cells(line, columns) for line in ranking.ranking[:LARGEST_TABLE]],
        pictured=any(line.get("picture") for line in data["ranking"]),
        more=max(0, len(ranking.ranking) - LARGEST_TABLE),
    )


def charts_html(ranking: Ranking) -> str:
    """The main charts of a ranking alone, as a document for a frame in a notebook."""
    return _rendered("ranking_charts.html", ranking=ranking, data=ranking_data(ranking))


def tuning_html(output: TuningOutput, dataset: str) -> str:
    """A tuning as one HTML document: curves, confusion matrix, measurements, files.

    Args:
        output: what it answered.
        dataset: the name of what it was tuned on.
    """
    drawn = output.model_dump(mode="json", exclude={"wrong", "files", "models"})
    data = {"dataset": dataset, "output": drawn}
    return _rendered("tuning_report.html", output=output, dataset=dataset, data=data)


def _rendered(template: str, **said: Any) -> str:
    return shared().get_template(template).render(style=assets.read("style.css").text, modules=module_map(), **said)


def _columns(ranking: Ranking) -> list[dict[str, Any]]:
    made_by, task = ranking.provenance, ranking.dataset.task
    names = dict.fromkeys((made_by.ordered_by, *made_by.scores, *made_by.score_versions))
    return [
        {"name": name, "title": title_of(name, task), "share": is_share(name, task)}
        for name in names
        if any(name in line.scores for line in ranking.ranking)
    ]


def _cells(line: RankedCheckpoint, columns: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {
        "line": line,
        "state": "is-lead" if line.rank == 1 else "is-tied" if may_equal_first(line) else "",
        "scores": [_cell(line, column["name"], column["share"]) for column in columns],
    }


def _cell(line: RankedCheckpoint, name: str, share: bool) -> tuple[str, str]:
    """The value, and its interval."""
    low, value, high = interval_of(line, name)
    if value is None:
        return "-", ""

    def text(number: float) -> str:
        return f"{100 * number:.1f}" if share else f"{number:.3f}"

    reach: Sequence[float] = (low, high) if low is not None and high is not None else ()
    return text(value), " to ".join(map(text, reach))

"""A ranking as a table: its columns, in the order in which they give way on a narrow terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

import typer
from rich.console import Console

from frontrunner.ranking import Ranking
from frontrunner.ranking.answer import PROBES, is_share, may_equal_first, title_of
from frontrunner.ranking.prediction import PREDICTED_ACCURACY
from frontrunner.ranking.result import RankedCheckpoint
from frontrunner.tables import Column, common_beginning, cut, print_table

# What can be asked for beside the scores.
FACTS = (
    "parameters", "latency", "licence", "best", "behind", "seconds", "examples", "memory", "dimension", "intrinsic",
    "architecture",
)  # fmt: skip
# Fewer parameters are not counted in millions.
_TEN_THOUSAND = 10_000
# The columns by what goes last on a narrow terminal; a score that was asked for and does not order stands before kNN.
_ORDER = ("parameters", *PROBES, "latency", "licence", "best", "asked", "knn", "seconds")


def show_table(ranking: Ranking, console: Console, asked: Sequence[str] = ()) -> None:
    """Print the lines of a ranking.

    Args:
        ranking: with one line at least.
        console: where; as many columns are shown as fit.
        asked: names of columns that are shown instead, all of them.
    """
    lines = ranking.ranking
    beginning = common_beginning([line.checkpoint for line in lines])
    names = [line.checkpoint.removeprefix(beginning) for line in lines]
    ranks = [f"{line.rank} {'=' if may_equal_first(line) else ' '}" for line in lines]
    first = [
        Column("rank", "rank", ranks, right=True),
        Column("checkpoint", f"checkpoint {beginning}" if beginning else "checkpoint", names, foldable=True),
    ]
    styles = ["bold green" if line.rank == 1 else "" if may_equal_first(line) else "dim" for line in lines]
    print_table([*first, *(_asked_for(ranking, asked) if asked else _usual(ranking))], console, styles)


def column_names(ranking: Ranking) -> tuple[str, ...]:
    """What `--columns` may name: scores that were computed, and `FACTS`."""
    return (*ranking.provenance.score_versions, *FACTS)


def _asked_for(ranking: Ranking, names: Sequence[str]) -> list[Column]:
    known = column_names(ranking)
    if unknown := [name for name in names if name not in known]:
        raise typer.BadParameter(f"'{unknown[0]}' is none of {', '.join(known)}", param_hint="--columns")
    return [_column(ranking, name, 0) for name in names]


def _usual(ranking: Ranking) -> list[Column]:
    """The columns that nobody asked for by name; one in which nothing stands is left out."""
    made_by = ranking.provenance
    scores = [made_by.ordered_by, *(name for name in made_by.scores if name != made_by.ordered_by)]
    # The discrepancy and what is behind a prediction are for who asks for them, or reads the JSON.
    beside = [name for name in ("knn", *PROBES) if name in made_by.score_versions and name not in scores]
    order = {name: place for place, name in enumerate(_ORDER, start=1)}
    columns = [_column(ranking, made_by.ordered_by, 0)]
    columns += [_column(ranking, name, order.get(name, order["asked"])) for name in (*scores[1:], *beside)]
    columns += [_column(ranking, name, order[name]) for name in ("best", "parameters", "latency", "seconds", "licence")]
    return [column for column in columns if any(cell != "-" for cell in column.cells)]


def _column(ranking: Ranking, name: str, given_up: int) -> Column:
    task, modality = ranking.dataset.task, ranking.dataset.modality
    if name in FACTS:
        titles = {
            "parameters": "params",
            "best": "best with",
            "latency": f"ms/{modality}",
            "behind": "points behind",
            "memory": "MB",
            "dimension": "features",
            "intrinsic": "intrinsic dimension",
        }
        cells = [_fact(line, name) for line in ranking.ranking]
        return Column(name, titles.get(name, name), cells, name not in ("licence", "architecture"), given_up)
    title = title_of(name, task)
    if is_share(name, task) and name != PREDICTED_ACCURACY:
        title = title.removesuffix(" accuracy")
    return Column(name, title, [_score(line, name, ranking) for line in ranking.ranking], True, given_up)


def _fact(line: RankedCheckpoint, name: str) -> str:
    cost, behind = line.reading_cost, line.behind
    value = {
        "parameters": count(line.parameters),
        "latency": "-" if cost is None else f"{cost.latency_ms:.3g}",
        "memory": "-" if cost is None else f"{cost.memory_mb:,.0f}",
        "licence": cut(line.license or "-"),
        "best": "-" if line.probability_best is None else f"{line.probability_best:.2f}",
        "behind": "-"
        if behind is None
        else f"{100 * behind.accuracy:.0f} ({100 * behind.low:.0f} to {100 * behind.high:.0f})",
        "seconds": f"{line.seconds:.1f}" if line.forward_examples else "cached",
        "examples": f"{line.examples:,}",
        "dimension": f"{line.feature_dimension:,}",
        "intrinsic": "-" if line.intrinsic_dimension is None else f"{line.intrinsic_dimension:.1f}",
        "architecture": line.architecture,
    }
    return value[name]


def _score(line: RankedCheckpoint, name: str, ranking: Ranking) -> str:
    if name not in line.scores:
        return "-"
    if name == PREDICTED_ACCURACY and (found := line.prediction) is not None:
        return f"{100 * found.accuracy:.0f} ({100 * found.low:.0f}–{100 * found.high:.0f})"  # noqa: RUF001
    score = line.scores[name]
    share = is_share(name, ranking.dataset.task)
    unit, digits = (100, 1) if share else (1, 2 if name in ("knn", *PROBES) else 4)
    mark = " !" if score.unreliable else ""
    if score.low is None or score.high is None:
        return f"{unit * score.value:.{digits}f}{mark}"
    return f"{unit * score.value:.{digits}f} ±{unit * (score.high - score.low) / 2:.{digits}f}{mark}"


def chance(probability: float | None) -> str:
    """A probability in percent, as charts say it: what is possible is never none, and what is not sure never all.

    Example:
        >>> chance(0.004), chance(0.125), chance(0.998), chance(None)
        ('<1%', '13%', '>99%', '-')
    """
    if probability is None:
        return "-"
    if 0 < probability < 0.01:
        return "<1%"
    return ">99%" if 0.99 < probability < 1 else f"{math.floor(100 * probability + 0.5)}%"


def count(parameters: int) -> str:
    """Parameters in millions, fewer than ten thousand one by one; a dash where there are none.

    Example:
        >>> count(6_092_072), count(1026), count(0)
        ('6.09 M', '1,026', '-')
    """
    if parameters >= _TEN_THOUSAND:
        return f"{parameters / 1e6:.2f} M"
    return f"{parameters:,}" if parameters else "-"

"""A ranking as a flat table, a row for each checkpoint: for spreadsheets and data frames."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frontrunner.files import whole_file
from frontrunner.ranking.answer import interval_of
from frontrunner.ranking.result import RankedCheckpoint, Ranking

if TYPE_CHECKING:
    from pyarrow import Table

# Types of columns, before and after those of the scores: they hold whatever is known, and where there is no line.
_BEFORE = {"rank": "int64", "checkpoint": "string"}
_AFTER = {
    "tied_with_best": "bool",
    "probability_best": "double",
    "behind": "double",
    "behind_low": "double",
    "behind_high": "double",
    "parameters": "int64",
    "latency_ms": "double",
    "memory_mb": "double",
    "license": "string",
    "architecture": "string",
    "feature_dimension": "int64",
    "examples": "int64",
    "seconds": "double",
}
# What spreadsheets take for the beginning of a formula: a licence is what a checkpoint's maker wrote.
_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n")


def ranking_rows(ranking: Ranking) -> list[dict[str, Any]]:
    """A row for each line, best first; None where something is not known.

    Every score that was computed has three columns: `NAME`, and its interval `NAME_low` and `NAME_high`. Those of the
    predicted accuracy are the prediction's.
    """
    return [_row(line, _scores(ranking)) for line in ranking.ranking]


def ranking_csv(ranking: Ranking) -> bytes:
    """`ranking_rows` as CSV with a header. A text that a spreadsheet would run has an apostrophe before it."""
    from pyarrow.csv import write_csv as write

    file = io.BytesIO()
    write(_table(ranking, _no_formula), file)
    return file.getvalue()


def write_csv(ranking: Ranking, file: Path) -> None:
    """`ranking_csv` as a file, which is whole or as it was before."""
    with whole_file(file) as opened:
        opened.write(ranking_csv(ranking))


def ranking_parquet(ranking: Ranking) -> bytes:
    """`ranking_rows` as Parquet."""
    from pyarrow.parquet import write_table

    file = io.BytesIO()
    write_table(_table(ranking, lambda value: value), file)
    return file.getvalue()


def write_parquet(ranking: Ranking, file: Path) -> None:
    """`ranking_parquet` as a file, which is whole or as it was before."""
    with whole_file(file) as opened:
        opened.write(ranking_parquet(ranking))


def _table(ranking: Ranking, shown: Callable[[Any], Any]) -> Table:
    from pyarrow import Table, schema

    of_scores = {f"{name}{end}": "double" for name in _scores(ranking) for end in ("", "_low", "_high")}
    rows = [{name: shown(value) for name, value in row.items()} for row in ranking_rows(ranking)]
    return Table.from_pylist(rows, schema=schema(list((_BEFORE | of_scores | _AFTER).items())))


def _scores(ranking: Ranking) -> tuple[str, ...]:
    return tuple(ranking.provenance.score_versions)


def _no_formula(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULAS) else value


def _row(line: RankedCheckpoint, names: tuple[str, ...]) -> dict[str, Any]:
    row: dict[str, Any] = {"rank": line.rank, "checkpoint": line.checkpoint}
    for name in names:
        low, value, high = interval_of(line, name)
        row |= {name: value, f"{name}_low": low, f"{name}_high": high}
    cost, behind = line.reading_cost, line.behind
    return row | {
        "tied_with_best": line.tied_with_best,
        "probability_best": line.probability_best,
        "behind": None if behind is None else behind.accuracy,
        "behind_low": None if behind is None else behind.low,
        "behind_high": None if behind is None else behind.high,
        "parameters": line.parameters,
        "latency_ms": None if cost is None else cost.latency_ms,
        "memory_mb": None if cost is None else cost.memory_mb,
        "license": line.license,
        "architecture": line.architecture,
        "feature_dimension": line.feature_dimension,
        "examples": line.examples,
        "seconds": line.seconds,
    }

"""A ranking as a flat table, a row for each checkpoint: for spreadsheets and data frames."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from frontrunner.files import whole_file
from frontrunner.ranking.answer import interval_of
from frontrunner.ranking.result import RankedCheckpoint, Ranking

if TYPE_CHECKING:
    from pyarrow import Table

_Columns: TypeAlias = "dict[str, tuple[str, Callable[[RankedCheckpoint], Any]]]"

# Columns before and after those of the scores: types, which hold whatever is known, and what they say of a line.
_BEFORE: _Columns = {
    "rank": ("int64", lambda line: line.rank),
    "checkpoint": ("string", lambda line: line.checkpoint),
}
_AFTER: _Columns = {
    "tied_with_best": ("bool", lambda line: line.tied_with_best),
    "probability_best": ("double", lambda line: line.probability_best),
    "behind": ("double", lambda line: line.behind and line.behind.accuracy),
    "behind_low": ("double", lambda line: line.behind and line.behind.low),
    "behind_high": ("double", lambda line: line.behind and line.behind.high),
    "parameters": ("int64", lambda line: line.parameters),
    "latency_ms": ("double", lambda line: line.reading_cost and line.reading_cost.latency_ms),
    "memory_mb": ("double", lambda line: line.reading_cost and line.reading_cost.memory_mb),
    "license": ("string", lambda line: line.license),
    "architecture": ("string", lambda line: line.architecture),
    "feature_dimension": ("int64", lambda line: line.feature_dimension),
    "examples": ("int64", lambda line: line.examples),
    "seconds": ("double", lambda line: line.seconds),
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

    before, after = ([(name, kind) for name, (kind, _) in each.items()] for each in (_BEFORE, _AFTER))
    of_scores = [(f"{name}{end}", "double") for name in _scores(ranking) for end in ("", "_low", "_high")]
    rows = [{name: shown(value) for name, value in row.items()} for row in ranking_rows(ranking)]
    return Table.from_pylist(rows, schema=schema([*before, *of_scores, *after]))


def _scores(ranking: Ranking) -> tuple[str, ...]:
    return tuple(ranking.provenance.score_versions)


def _no_formula(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULAS) else value


def _row(line: RankedCheckpoint, names: tuple[str, ...]) -> dict[str, Any]:
    row = {name: of(line) for name, (_, of) in _BEFORE.items()}
    for name in names:
        low, value, high = interval_of(line, name)
        row |= {name: value, f"{name}_low": low, f"{name}_high": high}
    return row | {name: of(line) for name, (_, of) in _AFTER.items()}

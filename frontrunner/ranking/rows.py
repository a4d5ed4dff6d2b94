"""A ranking as a flat table, a row for each checkpoint: for spreadsheets and data frames."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from frontrunner.files import whole_file
from frontrunner.ranking.answer import interval_of
from frontrunner.ranking.result import RankedCheckpoint, Ranking


def ranking_rows(ranking: Ranking) -> list[dict[str, Any]]:
    """A row for each line, best first; None where something is not known.

    Every score that was computed has three columns: `NAME`, and its interval `NAME_low` and `NAME_high`. Those of the
    predicted accuracy are the prediction's.
    """
    return [_row(line, tuple(ranking.provenance.score_versions)) for line in ranking.ranking]


def write_csv(ranking: Ranking, file: Path) -> None:
    """`ranking_rows` as CSV with a header; the file is whole or as it was before."""
    from pyarrow import Table
    from pyarrow.csv import write_csv as write

    with whole_file(file) as opened:
        write(Table.from_pylist(ranking_rows(ranking)), opened)


def write_parquet(ranking: Ranking, file: Path) -> None:
    """`ranking_rows` as Parquet; the file is whole or as it was before."""
    from pyarrow import Table
    from pyarrow.parquet import write_table

    with whole_file(file) as opened:
        write_table(Table.from_pylist(ranking_rows(ranking)), opened)


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

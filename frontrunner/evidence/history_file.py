"""Reading a history from a CSV file; every refusal names the line and the column."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from frontrunner.evidence.errors import InvalidHistory
from frontrunner.evidence.history import PastResult

# Far above any table of results that people have; a file beyond it is another file.
MAX_BYTES = 256 * 2**20
_MODEL = ("model", "checkpoint")
_ACCURACY = ("accuracy", "test_accuracy", "best_test_accuracy")
_NUMBERS = ("parameters", "input_size", "source_accuracy", "dataset_size", "dataset_classes")
_TEXTS = ("protocol", "family", "source_dataset")
_MARKS = ("diverged",)
# How a result was made: neither a score nor a fact. Where there is no `protocol`, the first of them become one.
_MADE = ("method", "adaptation", "epochs", "image_size", "examples", "learning_rate")
_REST = ("seed", "runs", "seconds", "architecture", "source")
_NOT_SCORES = frozenset((*_MODEL, "dataset", *_ACCURACY, *_NUMBERS, *_TEXTS, *_MARKS, *_MADE, *_REST))
_EMPTY = frozenset(("", "na", "nan", "none", "null"))
_TRUE = frozenset(("1", "true", "yes"))
_FALSE = frozenset(("0", "false", "no", *_EMPTY))
_EXPECTED = "expected the columns model, dataset, accuracy, and whatever is known beside them (docs/history.md)"


@dataclass(frozen=True)
class HistoryFile:
    """What a file holds.

    Attributes:
        rows: its results.
        percent: whether its accuracies were percentages; the rows hold shares.
        diverged: rows left out as they are marked as diverged.
        without_result: rows left out as their accuracy is empty.
        ignored: columns that are neither known nor numbers.
    """

    rows: tuple[PastResult, ...]
    percent: bool
    diverged: int
    without_result: int
    ignored: tuple[str, ...]


def read_history(path: str | Path) -> HistoryFile:
    """The results in a CSV file with a heading.

    Needed are `model`, `dataset` and `accuracy`. Known beside them: `protocol`, `family`, `parameters`, `input_size`,
    `source_dataset`, `source_accuracy`, `dataset_size`, `dataset_classes`, and `diverged`: rows marked so are left
    out. Any other column of numbers is a score. Accuracies are shares or percentages, all of them alike.

    Raises:
        InvalidHistory: no such file, not a table, a column is missing, or a value is out of place.
    """
    path = Path(path)
    return parse_history(_text(path), path.name)


def parse_history(text: str, name: str = "the table") -> HistoryFile:
    """The results in the text of a CSV file; see `read_history`.

    Example:
        >>> found = parse_history("model,dataset,accuracy,logme\\nvit,pets,91.5,0.7\\nbeit,pets,89,\\n")
        >>> found.percent, found.rows[0].accuracy, found.rows[0].scores, found.rows[1].scores
        (True, 0.915, {'logme': 0.7}, {})
    """
    table = _Table.of(text, name)
    kept: list[int] = []
    diverged = without_result = 0
    for line in range(len(table.lines)):
        if table.mark(line, "diverged"):
            diverged += 1
        elif table.number(line, table.accuracy) is None:
            without_result += 1
        else:
            kept.append(line)
    if not kept:
        raise InvalidHistory(f"{name} holds no result: {diverged} diverged, {without_result} empty")
    accuracy = [table.number(line, table.accuracy) or 0.0 for line in kept]
    percent = _is_percent(accuracy, [table.cell(line, "dataset") for line in kept], name)
    scores, ignored = table.score_columns(kept)
    rows = [
        table.row(line, value / 100 if percent else value, scores) for line, value in zip(kept, accuracy, strict=True)
    ]
    return HistoryFile(tuple(rows), percent, diverged, without_result, ignored)


@dataclass(frozen=True)
class _Table:
    """Cells by line and column; lines are counted from 0 after the heading."""

    name: str
    columns: dict[str, int]
    lines: list[list[str]]
    model: str
    accuracy: str

    @classmethod
    def of(cls, text: str, name: str) -> _Table:
        try:
            lines = [line for line in csv.reader(io.StringIO(text), strict=True) if line]
        except csv.Error as error:
            raise InvalidHistory(f"{name} is no CSV file: {error}; {_EXPECTED}") from error
        heading = [column.strip().lower() for column in lines[0]] if lines else []
        if twice := sorted({column for column in heading if heading.count(column) > 1}):
            raise InvalidHistory(f"{name} has the column {twice[0]!r} twice")
        model = next((column for column in _MODEL if column in heading), "model")
        accuracy = next((column for column in _ACCURACY if column in heading), "accuracy")
        if missing := [column for column in (model, "dataset", accuracy) if column not in heading]:
            raise InvalidHistory(f"{name} lacks the column {', '.join(missing)}; {_EXPECTED}")
        for number, line in enumerate(lines[1:], start=2):
            if len(line) != len(heading):
                raise InvalidHistory(f"{name}, line {number}: {len(line)} cells, the heading has {len(heading)}")
        return cls(name, {column: i for i, column in enumerate(heading)}, lines[1:], model, accuracy)

    def cell(self, line: int, column: str) -> str:
        """Its text; empty where the column is missing or the cell says that there is nothing."""
        if column not in self.columns:
            return ""
        text = self.lines[line][self.columns[column]].strip()
        return "" if text.lower() in _EMPTY else text

    def number(self, line: int, column: str) -> float | None:
        """Its number; None where it is empty."""
        text = self.cell(line, column)
        if not text:
            return None
        value = _number(text)
        if value is None:
            raise InvalidHistory(f"{self.name}, line {line + 2}: {column} must be a finite number, got {text[:40]!r}")
        return value

    def mark(self, line: int, column: str) -> bool:
        """Whether it says yes."""
        text = self.cell(line, column).lower()
        if text in _TRUE:
            return True
        if text in _FALSE:
            return False
        raise InvalidHistory(f"{self.name}, line {line + 2}: {column} must be true or false, got {text[:40]!r}")

    def score_columns(self, lines: Sequence[int]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Columns of numbers that are not known as anything else, and those that are not numbers."""
        scores, ignored = [], []
        for column in self.columns:
            if column in _NOT_SCORES or not column:
                continue
            cells = [text for line in lines if (text := self.cell(line, column))]
            if cells and all(_number(text) is not None for text in cells):
                scores.append(column)
            elif cells:
                ignored.append(column)
        return tuple(scores), tuple(ignored)

    def row(self, line: int, accuracy: float, scores: Sequence[str]) -> PastResult:
        """The result of a line."""
        facts = {column: self.number(line, column) for column in _NUMBERS}
        measured = {column: value for column in scores if (value := self.number(line, column)) is not None}
        texts = {column: self.cell(line, column) or None for column in _TEXTS if column != "protocol"}
        try:
            return PastResult(
                model=self.cell(line, self.model),
                dataset=self.cell(line, "dataset"),
                accuracy=accuracy,
                protocol=self.cell(line, "protocol") or self._made(line),
                scores=measured,
                **texts,
                **facts,
            )
        except ValidationError as error:
            first = error.errors()[0]
            column = ".".join(str(part) for part in first["loc"])
            raise InvalidHistory(f"{self.name}, line {line + 2}: {column}: {first['msg']}") from error

    def _made(self, line: int) -> str:
        """The protocol in words, from the columns that say how a result was made; rates are chosen for each pair."""
        named = {column: self.cell(line, column) for column in _MADE if column != "learning_rate"}
        return ", ".join(f"{column} {value}" for column, value in named.items() if value)


def _is_percent(accuracy: Sequence[float], datasets: Sequence[str], name: str) -> bool:
    """Whether accuracies are percentages. A dataset whose best result is 1% is taken for a mistake, and refused."""
    values = np.array(accuracy)
    if values.min() < 0 or values.max() > 100:
        raise InvalidHistory(
            f"{name}: accuracies must lie within 0 and 1, or within 0 and 100, got {values.min():g} to {values.max():g}"
        )
    best: dict[str, float] = {}
    for dataset, value in zip(datasets, accuracy, strict=True):
        best[dataset] = max(best.get(dataset, 0.0), value)
    shares = [dataset for dataset, value in best.items() if value <= 1]
    if shares and len(shares) < len(best):
        raise InvalidHistory(
            f"{name}: accuracies of {shares[0]} lie within 0 and 1, those of others above; use one unit for all"
        )
    return not shares


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InvalidHistory(f"{path.name} holds {path.stat().st_size:,} bytes; at most {MAX_BYTES:,} are read")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InvalidHistory(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidHistory(f"{path.name} is not text in UTF-8; {_EXPECTED}") from error

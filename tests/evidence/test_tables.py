"""Tables of evidence outlive kills and several writers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from frontrunner.evidence.runs import MeasuredScore
from frontrunner.evidence.tables import Table


def row(checkpoint: str, value: float = 0.5, low: float | None = None) -> MeasuredScore:
    return MeasuredScore(
        dataset='a, "b"',
        checkpoint=checkpoint,
        score="logme",
        value=value,
        low=low,
        examples=400,
        version=3,
        dataset_digest="d",
        checkpoint_digest="c",
    )


def test_rows_come_back_as_they_went_in_whatever_they_hold(tmp_path: Path) -> None:
    table = Table(tmp_path / "folder" / "scores.csv", MeasuredScore)
    assert list(table) == []
    rows = [row("local:é\nb", value=0.1 + 0.2, low=-1e-300), row("", low=None)]
    table.add(rows[0])
    table.add(rows[1])
    assert list(table) == [rows[0]]  # a checkpoint without a name is no row
    assert table.path.read_text().count("dataset,checkpoint,score") == 1


def test_a_row_that_was_cut_off_is_passed_over_and_the_next_one_stands_on_its_own_line(tmp_path: Path) -> None:
    table = Table(tmp_path / "scores.csv", MeasuredScore)
    table.add(row("first"), row("second"))
    text = table.path.read_text()
    table.path.write_text(text[:-25])
    assert [found.checkpoint for found in table] == ["first"]
    table.add(row("third"))
    assert [found.checkpoint for found in table] == ["first", "third"]


def test_a_cut_within_quotes_takes_no_other_row_with_it_and_a_header_is_written_anew(tmp_path: Path) -> None:
    table = Table(tmp_path / "scores.csv", MeasuredScore)
    table.add(row("first"), row("a, b"))
    text = table.path.read_text()
    table.path.write_text(text[: text.index("a, b") + 2])
    table.add(row("third"))
    assert [found.checkpoint for found in table] == ["first", "third"]
    table.path.write_text(text[:12])
    table.add(row("fourth"))
    assert [found.checkpoint for found in table] == ["fourth"]


def test_several_writers_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda name: Table(path, MeasuredScore).add(row(f"{name}")), range(200)))
    assert sorted(int(found.checkpoint) for found in Table(path, MeasuredScore)) == list(range(200))

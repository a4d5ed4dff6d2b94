"""Tables at every width: nothing broken inside a word, columns whole or not at all."""

from __future__ import annotations

import io
import itertools
import os
import re
import subprocess
import sys

import pytest
from rich.console import Console
from rich.progress import Progress as RichProgress

from frontrunner.bars import Bars, _Left
from frontrunner.display import show_jobs, show_ranking
from frontrunner.progress import Planned, Spent, Stage
from frontrunner.ranking.result import Ranking
from frontrunner.tables import Column, columns_that_fit, common_beginning, cut, folded, print_table
from tests.ranking.test_answer import ranked

NAMES = ("local:mobilenetv1_100_224.slim_in1k_q8_backbone", "local:resnet18.a1_in1k", "local:vit-small-patch16")


def printed(width: int, columns: list[Column]) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    print_table(columns, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


@pytest.fixture
def ranking() -> Ranking:
    lines = ranked(*((name, 0.8 - 0.01 * place, 4_000_000) for place, name in enumerate(NAMES)))
    return Ranking.model_validate(
        {
            "id": "r", "status": "succeeded", "ranking": [line.model_dump() for line in lines], "skipped": [],
            "summary": "Use it.",
            "dataset": {
                "id": "d", "name": "photos.zip", "digest": "d", "modality": "image", "task": "classification",
                "classes": 5, "train_examples": 1797, "unreadable": 0,
            },
            "provenance": {
                "frontrunner": "0", "extractor": 1, "scores": ("logme",), "ordered_by": "logme", "split": "train",
                "score_versions": {"logme": 1, "linear_probe": 1}, "sampling": "stratified", "seed": 0,
                "max_examples": 9, "libraries": {},
            },
        }
    )  # fmt: skip


def shown(ranking: Ranking, width: int, *columns: str) -> str:
    console = Console(file=io.StringIO(), width=width)
    show_ranking(ranking, console, columns)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("width", range(40, 170, 10))
def test_a_ranking_fits_and_breaks_no_word(ranking, width):
    table = [line for line in shown(ranking, width).splitlines() if re.match(r" *\d+ =? |^ {6}\S", line)]
    assert all(len(line) <= width for line in table)
    words = {word for name in NAMES for word in re.split(r"[._:-]", name)}
    for line in table:
        for word in re.split(r"[._\-\s]+", line):
            if re.match(r"[a-z]", word):
                assert word in words or "".join(word) in "M"


def test_more_columns_come_with_more_room_and_the_common_beginning_is_said_once(ranking):
    narrow, wide = shown(ranking, 80), shown(ranking, 160)
    assert narrow.count("local:") == wide.count("local:") == 1
    assert "best" not in narrow
    assert "best" in wide
    assert "9 of 1,797 training examples read" in wide


def test_columns_that_were_asked_for_are_all_shown_whatever_the_width(ranking):
    text = shown(ranking, 40, "linear_probe", "parameters", "seconds", "architecture", "behind")
    for title in ("probe", "params", "seconds", "architecture", "behind"):
        assert title in text
    with pytest.raises(Exception, match="'nope' is none of logme, linear_probe, parameters"):
        shown(ranking, 80, "nope")


def test_columns_give_way_in_the_stated_order():
    columns = [Column(name, name, ["x" * 10], given_up=place) for name, place in (("a", 0), ("b", 2), ("c", 1))]
    names = [[column.name for column in columns_that_fit(columns, width)] for width in (5, 22, 34)]
    assert names == [["a"], ["a", "c"], ["a", "b", "c"]]


def test_a_job_id_is_whole_on_the_narrowest_terminal():
    job = {
        "id": "ranking_0123456789abcdef01234567", "kind": "ranking", "status": "running",
        "progress": {"steps_done": 1, "steps_total": 2}, "created_at": "2026-11-28T08:00:00.123Z",
    }  # fmt: skip
    console = Console(file=io.StringIO(), width=20)
    show_jobs([job], console)
    assert job["id"] in console.file.getvalue().split()


@pytest.mark.parametrize("width", [1, 5, 12, 30, 100])
def test_a_folded_name_is_the_same_name_in_pieces_that_end_at_separators(width):
    for name in NAMES:
        lines = folded(name, width).split("\n")
        assert "".join(lines) == name
        assert all(line[-1] in "._-" or line == lines[-1] for line in lines)
        assert all(len(line) <= width or not re.search(r"[._-].", line) for line in lines)


def test_numbers_stand_on_the_right():
    lines = printed(60, [Column("n", "n", ["1", "100"], right=True), Column("m", "m", ["a", "b"])])
    assert [line.rstrip() for line in lines[-2:]] == ["  1  a", "100  b"]


def test_a_beginning_ends_with_a_colon_or_a_slash():
    assert common_beginning(NAMES) == "local:"
    assert common_beginning(["hf:org/a", "hf:org/b"]) == "hf:org/"
    assert common_beginning(["hf:org/a"]) == common_beginning([]) == ""
    assert len(cut("x" * 50)) == 18


class Recorded:
    """What `Bars` does to rich's progress."""

    def __init__(self) -> None:
        from rich.progress import Progress

        self.made = Progress(console=Console(file=io.StringIO(), force_terminal=True), auto_refresh=False)


def test_the_whole_run_only_ever_gets_further_and_ends_whole():
    recorded = Recorded().made
    bars = Bars(recorded)
    bars.event(Planned(work={"a": 1.0, "b": 3.0}))
    bars.advance(Stage.CHECK, 5, 10, of="data.zip")
    bars.advance(Stage.RANK, 0, 2)
    whole = recorded.tasks[0]
    reached = []
    for done, name in ((1, "a"), (2, "b")):
        bars.advance(Stage.FETCH, 10**6, 2 * 10**6, of=name)
        for images in (50, 100):
            bars.advance(Stage.READ, images, 100, of=name)
            reached.append(whole.completed)
        bars.advance(Stage.RANK, done, 2, of=name)
        reached.append(whole.completed)
    assert all(early <= late for early, late in itertools.pairwise(reached))
    assert reached[0] == pytest.approx(0.5 * (0.1 + 0.8 * 0.25))
    assert reached[-1] == 1.0
    assert whole.fields["detail"] == "2/2 checkpoints, 200 examples"
    assert len(recorded.tasks) == 1


def test_version_short_help_and_completion():
    def run(*arguments, **environment):
        command = [sys.executable, "-m", "frontrunner.cli", *arguments]
        return subprocess.run(command, capture_output=True, text=True, env=os.environ | environment, check=False)

    assert run("--version").stdout == "frontrunner 0.1.0\n"
    assert "Rank checkpoints for DATASET" in run("rank", "-h").stdout
    assert "--install-completion" in run("--help").stdout


def test_the_bar_of_a_race_shows_what_is_spent_and_the_time_until_all_of_it_is(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("frontrunner.bars.time.monotonic", lambda: now[0])
    recorded = RichProgress(get_time=lambda: now[0], auto_refresh=False, console=Console(file=io.StringIO()))
    bars = Bars(recorded)
    bars.event(Planned(work={"a": 1.0, "b": 3.0}))
    bars.advance(Stage.RANK, 0, 2)
    bars.event(Spent(share=0.0, seconds_left=None))
    now[0] = 10.0
    bars.advance(Stage.RANK, 1, 2, of="a")
    bars.event(Spent(share=0.2, seconds_left=48.0))
    bars.advance(Stage.READ, 64, 128, of="b")
    whole = recorded.tasks[0]
    assert whole.completed == 0.2
    assert "1/2 checkpoints, 20% of the budget" in whole.fields["detail"]
    now[0] = 13.0
    assert str(_Left().render(whole)) == "0:13, at most 45 s left"
    # A round that is over is not the end of the run.
    bars.advance(Stage.RANK, 2, 2, of="b")
    assert whole.completed == 0.2

"""The examples run as they stand."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import numpy as np

from frontrunner.hub import describe_directory
from tests.conftest import ROOT


def choose(dataset, home, *arguments):
    return subprocess.run(
        [sys.executable, ROOT / "examples" / "choose_checkpoint.py", dataset, *arguments],
        env=os.environ | {"FRONTRUNNER_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_example_is_listed():
    listed = (ROOT / "examples" / "README.md").read_text()
    assert [path.name for path in (ROOT / "examples").rglob("*.py") if path.name not in listed] == []


def test_the_gate_takes_the_smallest_that_gives_up_no_more_than_was_allowed(colours, hub, tmp_path):
    """Of any ranking's lines: none that is smaller lies within the points."""
    answers = [json.loads(choose(colours, tmp_path / "home", "--hub", hub, "--points", p).stdout) for p in ("0", "100")]
    assert answers[0]["points_behind_the_first"] <= 0
    assert answers[1]["parameters"] <= answers[0]["parameters"]
    sizes = [describe_directory(folder).parameters for folder in hub.iterdir()]
    assert answers[1]["parameters"] == min(sizes)


def test_the_gate_names_what_it_took_and_why(colours, hub, tmp_path):
    done = choose(colours, tmp_path / "home", "--hub", hub)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["beats_guessing"]
    assert "Use local:" in answer["why"]


def test_the_gate_closes_on_data_that_nothing_can_learn(tmp_path):
    generator = np.random.default_rng(0)
    path = tmp_path / "noise.npz"
    np.savez(path, noise=generator.normal(size=(120, 8)), labels=generator.integers(3, size=120))
    done = choose(path, tmp_path / "home")
    assert done.returncode == 1, done.stderr
    assert not json.loads(done.stdout)["beats_guessing"]


def example(name, *arguments, home):
    return subprocess.run(
        [sys.executable, ROOT / "examples" / "pipelines" / name, *arguments],
        env=os.environ | {"FRONTRUNNER_HOME": str(home), "FRONTRUNNER_PACKAGES": "false"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_winner_opens_in_timm_with_a_head_for_the_datasets_classes(colours, hub, tmp_path):
    done = example("use_timm.py", colours, "--hub", hub, home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"local:(resnet|vit): test_\1 answers \(2, 4\)\n", done.stdout), done.stdout


def test_the_winner_opens_in_sentence_transformers(text_hub, tmp_path):
    rows = [(f"{word} card {index % 3}", word) for index in range(20) for word in ("lost", "late")]
    table = tmp_path / "texts.csv"
    table.write_text("text,label\n" + "".join(f"my {text} please,{label}\n" for text, label in rows))
    done = example("use_sentence_transformers.py", table, "--hub", text_hub, home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.match(r"local:(encoder|decoder): 32 dimensions, 1.000 right", done.stdout), done.stdout

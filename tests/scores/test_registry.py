"""The registry is what the API, the command line and the documentation list from."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from frontrunner import scores

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "scores.md").read_text()
NAMES = ["logme", "leep", "leep_cross_fitted", "nce", "nce_cross_fitted", "n_leep", "h_score", "regularized_h_score"]
NAMES += ["transrate", "parc", "gbc", "sfda", "energy", "lda", "knn", "linear_probe", "ridge_probe"]


def test_the_names_are_the_published_ones_and_the_default_comes_first() -> None:
    assert scores.names() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_each_score_lives_in_a_file_of_its_name_and_describes_itself(name: str) -> None:
    score = scores.describe(name)
    assert importlib.import_module(f"frontrunner.scores.{name}").SCORE is score
    for text in (score.title, score.citation, score.range, score.cost, score.explanation):
        assert text
    assert "\n" not in score.explanation
    assert score.explanation.endswith(".")
    assert score.version >= 1
    assert score.lowest < score.highest


@pytest.mark.parametrize("name", NAMES)
def test_the_documentation_says_what_the_registry_says(name: str) -> None:
    score = scores.describe(name)
    tasks = "all" if len(score.tasks) == 3 else "classification"
    assert f"| `{name}` | {score.title} | `{score.needs}` | {tasks} | {score.range} | {score.citation} |" in PAGE
    if score.largest_sample is not None:
        assert f"`{name}` {score.largest_sample:,}" in " ".join(PAGE.split())
    assert f"(`{name}`)" in PAGE or f"`{name}`" in PAGE.split("**Baselines**")[1]


def test_the_documentation_lists_no_score_that_does_not_exist() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == NAMES

"""The answer in a few sentences: what it names is what the lines say."""

from __future__ import annotations

import csv

import numpy as np
import pyarrow.parquet
import pytest
from scipy.special import expit
from scipy.stats import norm

from frontrunner.ranking.answer import may_equal_first, smaller_choice, summary, title_of
from frontrunner.ranking.prediction import AccuracyModel
from frontrunner.ranking.request import RankingRequest
from frontrunner.ranking.result import Provenance, RankedCheckpoint, RankedDataset, Ranking
from frontrunner.ranking.rows import ranking_rows, write_csv, write_parquet
from frontrunner.ranking.standings import standings, with_predictions
from frontrunner.status import Status
from tests.ranking.test_standings import described, output, scored

WITHIN, BETWEEN = 0.04, 0.09


def model(within: float = WITHIN) -> AccuracyModel:
    """Logit of the accuracy is the probe's logit: nothing else is uncertain but the two variances."""
    return AccuracyModel(
        modality="image", adaptation="full", columns=("logit linear_probe",), centre=(0.0,), scale=(1.0,),
        lowest=(-9.0,), highest=(9.0,), mean=(0.0, 1.0), covariance=((0.0, 0.0), (0.0, 0.0)), between=BETWEEN,
        within=within, datasets=12, observations=100,
    )  # fmt: skip


def ranked(*found: tuple[str, float, int], within: float | None = WITHIN, probe: str = "linear_probe"):
    """Lines of checkpoints by name, value of the probe and parameters, predicted from it unless `within` is None."""
    finished = [
        (described(name, size), output(**{probe: scored(value), "logme": scored(value)})) for name, value, size in found
    ]
    lines = standings(finished, RankingRequest())
    return lines if within is None else with_predictions(lines, model(within), 1000)


def said(lines: list[RankedCheckpoint], task="classification") -> str:
    return summary(lines, "logme", task, planned=len(lines), failed=0)


def test_the_probability_of_staying_behind_is_that_of_two_independent_errors() -> None:
    """What is peculiar to the dataset is shared: the difference's variance is twice that within a dataset."""
    first, second = ranked(("a", 0.8, 30), ("b", 0.75, 30))
    lead = np.log(0.8 / 0.2) - np.log(0.75 / 0.25)
    assert first.behind is None
    assert second.behind is not None
    assert second.behind.probability == pytest.approx(norm.cdf(lead / (2 * WITHIN) ** 0.5), abs=0.02)
    assert second.behind.accuracy == pytest.approx(0.05, abs=0.01)
    assert second.behind.low < second.behind.accuracy < second.behind.high


def test_an_interval_of_the_difference_holds_nine_of_ten_true_differences() -> None:
    generator = np.random.default_rng(1)
    shares = np.array([0.8, 0.7])
    own = generator.normal(scale=BETWEEN**0.5, size=(4000, 1))
    true = expit(np.log(shares / (1 - shares)) + own + generator.normal(scale=WITHIN**0.5, size=(4000, 2)))
    behind = ranked(("a", 0.8, 30), ("b", 0.7, 30))[1].behind
    inside = (behind.low < true[:, 0] - true[:, 1]) & (true[:, 0] - true[:, 1] < behind.high)
    assert inside.mean() == pytest.approx(0.9, abs=0.02)


def test_the_smaller_one_is_named_with_what_it_gives_up() -> None:
    lines = ranked(("large", 0.9, 60), ("medium", 0.89, 50), ("small", 0.87, 20), ("tiny", 0.5, 5), within=1e-6)
    assert smaller_choice(lines).checkpoint == "small"
    assert "Use large (first by LogME; about 90 points after tuning, " in said(lines)
    assert "small is 3x smaller for 3 points less." in said(lines)
    assert "The other 3 are worse." in said(lines)


def test_those_that_may_be_better_are_named_with_their_chance_and_the_rest_is_worse() -> None:
    lines = ranked(("a", 0.80, 30), ("b", 0.79, 30), ("c", 0.78, 30), ("d", 0.77, 30), ("e", 0.2, 30))
    assert [may_equal_first(line) for line in lines[1:]] == [True, True, True, False]
    assert "b (with probability 0." in said(lines)
    assert "and 1 more; the other one is worse." in said(lines)


def test_without_a_prediction_the_probe_is_named_as_such_and_ties_are_those_of_the_examples() -> None:
    lines = ranked(("a", 0.8, 30), ("b", 0.4, 10), within=None)
    assert "first by LogME; linear probe accuracy 80.0, 70.0 to 90.0; what tuning would reach is not" in said(lines)
    assert "b is 3x smaller for 40 points less of the probe." in said(lines)
    assert "The other one is worse." in said(lines)


def test_of_a_regression_nothing_is_called_accuracy_or_points() -> None:
    lines = ranked(("a", 0.8, 30), ("b", 0.4, 10), within=None, probe="ridge_probe")
    text = said(lines, "regression")
    assert "ridge probe R² 0.800, 0.700 to 0.900" in text
    assert "its probe's R² is 0.40 lower" in text
    assert not {"accuracy", "points"} & set(text.split())
    assert title_of("knn", "regression") == "kNN R²"
    assert title_of("knn", "classification") == "kNN accuracy"


def test_a_ranking_under_way_says_how_many_are_to_come() -> None:
    lines = ranked(("a", 0.8, 30))
    assert summary(lines, "logme", "classification", planned=3, failed=0).endswith("2 of 3 are still to come.")
    assert summary(lines, "logme", "classification", planned=3, failed=0).startswith("So far a (")
    assert summary([], "logme", "classification", planned=3, failed=1) == "No checkpoint is ranked yet; 2 of 3 to go."


def ranking_of(lines) -> Ranking:
    return Ranking(
        id="r", status=Status.SUCCEEDED, ranking=lines, skipped=[], summary="",
        dataset=RankedDataset(
            id="d", name="d", digest="d", modality="image", task="classification", classes=2, train_examples=9,
            unreadable=0,
        ),
        provenance=Provenance(
            frontrunner="0", extractor=1, scores=("logme",), score_versions={"logme": 1, "linear_probe": 1},
            ordered_by="logme", split="train", sampling="stratified", seed=0, max_examples=9, libraries={},
        ),
    )  # fmt: skip


@pytest.mark.parametrize("written", ["=HYPERLINK(A1)", "+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_text_of_a_checkpoints_maker_is_no_formula_to_a_spreadsheet(tmp_path, written) -> None:
    (line,) = ranked(("a", 0.8, 30))
    ranking = ranking_of([line.model_copy(update={"license": written, "architecture": "=-x"})])
    write_csv(ranking, tmp_path / "r.csv")
    write_parquet(ranking, tmp_path / "r.parquet")
    with (tmp_path / "r.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["license"], row["architecture"]) == (f"'{written}", "'=-x")
    assert float(row["logme"]) == 0.8
    assert pyarrow.parquet.read_table(tmp_path / "r.parquet").column("license").to_pylist() == [written]


def test_a_ranking_as_csv_and_as_parquet_has_a_row_a_checkpoint(tmp_path) -> None:
    ranking = ranking_of(ranked(("a", 0.8, 30), ("b", 0.7, 10)))
    write_csv(ranking, tmp_path / "r.csv")
    write_parquet(ranking, tmp_path / "r.parquet")
    with (tmp_path / "r.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["rank"], row["checkpoint"], float(row["logme"]), row["parameters"]) for row in rows] == [
        ("1", "a", 0.8, "30"),
        ("2", "b", 0.7, "10"),
    ]
    assert float(rows[1]["linear_probe_low"]) == pytest.approx(0.6)
    assert rows[0]["behind"] == ""
    assert pyarrow.parquet.read_table(tmp_path / "r.parquet").column("checkpoint").to_pylist() == ["a", "b"]


def test_columns_are_the_same_whatever_is_known_and_without_any_line(tmp_path) -> None:
    ranking = ranking_of(ranked(("a", 0.8, 30)))
    (row,) = ranking_rows(ranking)
    for each in (ranking, ranking_of([])):
        write_csv(each, tmp_path / "r.csv")
        write_parquet(each, tmp_path / "r.parquet")
        found = pyarrow.parquet.read_table(tmp_path / "r.parquet").schema
        assert (tmp_path / "r.csv").read_text().splitlines()[0] == ",".join(f'"{name}"' for name in row)
        assert found.names == list(row)
        assert (str(found.field("latency_ms").type), str(found.field("license").type)) == ("double", "string")

"""Leave-one-dataset-out evaluation: hidden results reach no prediction, and published figures come out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import weightedtau

from frontrunner.evidence import (
    History,
    HistoryTooSmall,
    PastResult,
    evaluate_history,
    evaluation,
    read_history,
    static_mean_rank,
    weighted_tau,
)
from tests.evidence.results import made_results


def verdicts(comparison):
    return {verdict.name: verdict for verdict in comparison.verdicts}


@pytest.fixture(scope="module")
def rows():
    return made_results(16, 5, seed=7)


@pytest.fixture(scope="module")
def found(rows):
    return evaluate_history(History.of(rows))


def test_every_way_to_order_is_judged_on_the_same_datasets(found):
    assert list(verdicts(found.with_scores)) == ["static mean rank", "prior", "logme", "prior + scores"]
    assert list(verdicts(found.everywhere)) == ["static mean rank", "prior"]
    assert (found.with_scores.datasets, found.with_scores.checkpoints) == (5, 16)
    for verdict in found.with_scores.verdicts:
        taus = [judged.tau_w for judged in verdict.datasets]
        assert verdict.tau_w == pytest.approx(np.mean(taus))
        assert verdict.tau_w_error == pytest.approx(np.std(taus, ddof=1) / 5**0.5)


def test_a_score_is_judged_by_its_own_column_and_in_points(rows, found):
    history = History.of(rows)
    for column, judged in enumerate(verdicts(found.with_scores)["logme"].datasets):
        p, y = history.scores["logme"][:, column], history.accuracy[:, column]
        assert judged.tau_w == pytest.approx(weightedtau(p, y).statistic)
        assert judged.regret_1 == pytest.approx(100 * (y.max() - y[p.argmax()]))
        assert judged.regret_3 == pytest.approx(100 * (y.max() - y[np.argsort(-p)[:3]].max()))


def test_the_static_rank_is_the_mean_of_ranks_elsewhere(rows, found):
    history = History.of(rows)
    hidden = history.without("d2")
    static = [np.mean([(column <= value).mean() for column, value in zip(hidden.accuracy.T, line, strict=True)])
              for line in hidden.accuracy]  # fmt: skip
    np.testing.assert_allclose(static_mean_rank(hidden), static)
    judged = verdicts(found.everywhere)["static mean rank"].datasets[2]
    assert judged.tau_w == pytest.approx(weighted_tau(static, history.accuracy[:, 2]))


def test_results_of_the_hidden_dataset_do_not_reach_its_predictions(rows, monkeypatch):
    """With other results on d3, all predictions for d3 are as they were, bit for bit."""
    generator = np.random.default_rng(0)
    other = [row.model_copy(update={"accuracy": generator.uniform()}) if row.dataset == "d3" else row for row in rows]

    def predictions(of):
        made = []

        def recorded(predicted, measured):
            made.append((np.array(predicted), np.array(measured)))
            return weighted_tau(predicted, measured)

        monkeypatch.setattr(evaluation, "weighted_tau", recorded)
        history = History.of(of)
        evaluate_history(history)
        return [predicted for predicted, measured in made if np.array_equal(measured, history.accuracy[:, 3])]

    before, after = predictions(rows), predictions(other)
    assert len(before) == 6, "static and prior twice, the score, prior + scores"
    for one, two in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, two)


def test_datasets_that_judge_nothing_are_named(rows):
    flat = [PastResult(model=f"m{i:02d}", dataset="flat", accuracy=0.5) for i in range(16)]
    few = [PastResult(model="m00", dataset="few", accuracy=0.5)]
    found = evaluate_history(History.of([*rows, *flat, *few]))
    assert found.skipped == ["few", "flat"]
    assert found.everywhere.datasets == 5
    with pytest.raises(HistoryTooSmall, match="3 datasets"):
        evaluate_history(History.of([row for row in rows if row.dataset < "d3"]))


def test_a_score_that_few_checkpoints_have_judges_nobody(rows):
    rare = [
        row.model_copy(update={"scores": row.scores | ({"rare": 1.0} if row.model < "m03" else {})}) for row in rows
    ]
    found = evaluate_history(History.of(rare))
    assert found.left_out_scores == ["rare"]
    assert "rare" not in verdicts(found.with_scores)
    bare = evaluate_history(History.of([row.model_copy(update={"scores": {}}) for row in rows]))
    assert bare.with_scores is None


@pytest.mark.pack
@pytest.mark.parametrize(
    ("table", "static", "logme"), [("images", 0.592, 0.321), ("texts", 0.556, 0.476), ("texts_lora", 0.609, 0.667)]
)
def test_published_tables_give_their_published_figures(pack, table, static, logme):
    history = History.of(read_history(pack / "records" / f"transfergraph_{table}.csv").rows)
    of_static, of_logme = [], []
    for column, dataset in enumerate(history.datasets):
        y, p = history.accuracy[:, column], history.scores["logme"][:, column]
        ranks = static_mean_rank(history.without(dataset))
        of_static.append(weighted_tau(ranks[np.isfinite(y)], y[np.isfinite(y)]))
        if (both := np.isfinite(y) & np.isfinite(p)).any():
            of_logme.append(weighted_tau(p[both], y[both]))
    assert np.mean(of_static) == pytest.approx(static, abs=6e-4)
    assert np.mean(of_logme) == pytest.approx(logme, abs=6e-4)


@pytest.mark.pack
@pytest.mark.parametrize(("table", "least"), [("images", 0.54), ("texts", 0.60), ("texts_lora", 0.73)])
def test_prior_and_scores_order_published_tables_better_than_either(pack, table, least):
    found = evaluate_history(History.of(read_history(pack / "records" / f"transfergraph_{table}.csv").rows))
    judged = {verdict.name: verdict.tau_w for verdict in found.with_scores.verdicts}
    assert judged["prior + scores"] >= least
    assert judged["prior + scores"] == max(judged.values())

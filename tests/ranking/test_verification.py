"""The last stage: who is adapted, for how long, what it costs, and what is believed afterwards."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit

from frontrunner.hub import SkippedCheckpoint
from frontrunner.ranking import Budget, RankingRequest
from frontrunner.ranking.stages import Leader, Trial, VerificationTerms, verify
from frontrunner.ranking.stages.belief import OWN_SHARE, RUN_ERROR, Belief, believed, measured_logit, measurements
from frontrunner.ranking.stages.prices import Prices
from frontrunner.ranking.verification import terms_of
from frontrunner.tuning.options import FinetuneOptions
from frontrunner.tuning.result import Interval
from frontrunner.tuning.verification import VerificationOutput
from tests.jobs.rows import REPORT
from tests.ranking.test_race import described

NAMES = ("a", "b", "c", "d")
# Of 5,000 examples 320 are trained on and 320 held out: an epoch is 3 x 320 + 320 passes, and two epochs are tried at
# each of three rates.
EPOCH = 3 * 320 + 320
ALL = (3 * 2 + 6) * EPOCH


def terms(most: int = 3, within: float | None = 0.2, **changes) -> VerificationTerms:
    settled = {"method": FinetuneOptions(), "modality": "image", "examples": 5000, "tunable": frozenset(NAMES)}
    return VerificationTerms(most=most, within=within, **(settled | changes))


def leaders(*probabilities: float, expected: float | None = 1.0) -> list[Leader]:
    return [Leader(name, p, expected) for name, p in zip(NAMES, probabilities, strict=False)]


def output(accuracy: float, epochs: int = 6, held_out: int = 320) -> VerificationOutput:
    return VerificationOutput(
        accuracy=Interval(value=accuracy, low=0.0, high=1.0), log_loss=1.0, held_out=held_out, train_examples=320,
        classes=2, epochs=epochs, learning_rate=0.001, ended="completed" if epochs == 6 else None, seconds=2.0,
    )  # fmt: skip


def run(of: VerificationTerms, who: list[Leader], reached: dict[str, float], prices: Prices | None = None):
    results: dict[Trial, VerificationOutput | SkippedCheckpoint] = {}
    while (standing := verify(of, who, results, None if prices is None else fresh(prices))).next:
        for trial in standing.next:
            results[trial] = (
                output(reached[trial.checkpoint], trial.epochs)
                if trial.checkpoint in reached
                else SkippedCheckpoint(checkpoint=trial.checkpoint, code="tuning_diverged", reason="it diverged")
            )
    return standing, results


def fresh(prices: Prices) -> Prices:
    return Prices(prices.budget, [described(name) for name in NAMES], 1000)


def test_three_are_adapted_two_of_them_to_the_end_and_the_best_one_is_picked():
    standing, results = run(terms(), leaders(0.4, 0.3, 0.2, 0.1), {"a": 0.6, "b": 0.9, "c": 0.8})
    assert set(results) == {Trial("a", 2), Trial("b", 2), Trial("c", 2), Trial("b", 6), Trial("c", 6)}
    assert standing.report.pick == "b"
    assert list(standing.measured) == ["b", "c"]
    first, last = standing.report.stages
    assert [(each.checkpoint, each.cause) for each in first.left] == [("a", "improbable")]
    assert (first.entered, first.epochs, last.entered, last.epochs) == (3, 2, 2, 6)
    assert standing.report.probability_best == standing.probability_best["b"] > 0.5
    assert standing.probability_best["a"] < 0.1  # it was the worst of the three after as many epochs
    assert sum(standing.probability_best.values()) == pytest.approx(1)  # the unmeasured one has its share


@pytest.mark.parametrize("seed", range(3))
def test_what_is_believed_is_the_normal_posterior_of_predictions_and_measurements(seed):
    """Against plain algebra with information matrices, and a common level of which next to nothing is known."""
    random = np.random.default_rng(seed)
    expected, within = random.normal(size=4), 0.2
    seen = {0: 1.1, 2: 1.7}
    noise = np.array([[0.05, 0.02], [0.02, 0.07]])
    found = Belief.of(expected, within, seen, noise)
    precision = np.linalg.inv(within * np.eye(4) + 25.0)
    picked = np.eye(4)[list(seen)]
    weight = picked.T @ np.linalg.inv(noise)
    covariance = np.linalg.inv(precision + weight @ picked)
    mean = covariance @ (precision @ expected + weight @ np.array([1.1, 1.7]))
    np.testing.assert_allclose(found.mean, mean, atol=1e-8)
    np.testing.assert_allclose(found.deviation, np.sqrt(np.diag(covariance)), atol=1e-8)


def test_few_held_out_examples_hardly_move_what_was_predicted_and_many_do():
    predicted = [Leader("a", 0.6, float(logit(0.8))), Leader("b", 0.4, float(logit(0.7)))]

    def after(n):
        found = {name: output(share, held_out=n) for name, share in (("a", 0.6), ("b", 0.7))}
        return believed(0.2, predicted, measurements(found, found, [], 200_000))

    few, many = after(10), after(100_000)
    assert few["a"][0] > few["b"][0]
    assert many["a"][0] < many["b"][0]
    # A run's own error keeps even those from being believed outright.
    assert 0.6 < expit(many["a"][0]) < expit(many["b"][0]) < 0.7


def test_both_measurements_of_a_run_count_as_if_everybody_had_gained_as_much():
    """By hand: a and b gained 0.3 in the mean between the epochs; c left after the first ones."""
    first = {name: output(share, 2) for name, share in (("a", 0.6), ("b", 0.7), ("c", 0.5))}
    last = {name: output(share) for name, share in (("a", 0.7), ("b", 0.72))}
    logits = {name: measured_logit(each)[0] for name, each in first.items()}
    ends = {name: measured_logit(each)[0] for name, each in last.items()}
    gained = np.mean([ends["a"] - logits["a"], ends["b"] - logits["b"]])
    found = measurements(first, last, [], 5000).logits
    assert found["a"] == pytest.approx((logits["a"] + gained + ends["a"]) / 2)
    assert found["b"] == pytest.approx((logits["b"] + gained + ends["b"]) / 2)
    assert found["c"] == pytest.approx(logits["c"] + gained)
    # Of another seed the difference counts: its examples are others.
    again = measurements(first, last, [{"a": output(0.9, 2), "b": output(0.9, 2)}], 5000).logits
    level = (found["a"] + found["b"]) / 2
    assert again["a"] == pytest.approx((found["a"] + level) / 2)
    assert again["c"] == found["c"]


@pytest.mark.parametrize(("seeds", "examples"), [(1, 640), (3, 5000), (3, 640)])
def test_errors_of_several_runs_are_those_that_drawing_them_shows(seeds, examples):
    """Each run has errors of its own, and of the examples; of these two runs have 320 in `examples` in common."""
    random = np.random.default_rng(seeds)
    first = {name: output(0.8, 2) for name in "abc"}
    variance, draws, both = measured_logit(first["a"])[1], 200_000, 320 / examples
    same = np.sqrt(both) * random.normal(size=(draws, 1, 3))
    own = same + np.sqrt(1 - both) * random.normal(size=(draws, seeds, 3))
    errors = np.sqrt(OWN_SHARE * variance) * own + RUN_ERROR * random.normal(size=(draws, seeds, 3))
    # The pair a, b: the level of the first run, and the mean of the differences. Of c there is one run.
    pair = errors[:, :, :2]
    said = pair[:, 0].mean(axis=1, keepdims=True) + (pair - pair.mean(axis=2, keepdims=True)).mean(axis=1)
    said = np.concatenate([said, errors[:, 0, 2:]], axis=1)
    said += np.sqrt((1 - OWN_SHARE) * variance) * random.normal(size=(draws, 1))
    repeated = [{name: output(0.8, 2) for name in "ab"}] * (seeds - 1)
    np.testing.assert_allclose(measurements(first, first, repeated, examples).noise, np.cov(said.T), atol=4e-4)


def test_what_examples_do_to_all_alike_tells_nobody_apart():
    leaders_alike = [Leader("a", 0.5, 1.0), Leader("b", 0.5, 1.0)]
    reached = {"a": output(0.75), "b": output(0.80)}
    found = measurements(reached, reached, [], 5000)
    apart = found.logits["b"] - found.logits["a"]
    variance = 2 * (OWN_SHARE * np.mean([measured_logit(each)[1] for each in reached.values()]) + RUN_ERROR**2)
    belief = believed(0.2, leaders_alike, found)
    assert belief["b"][0] - belief["a"][0] == pytest.approx(apart * 0.4 / (0.4 + variance), rel=1e-3)


def test_one_whose_training_diverged_leaves_and_is_not_trained_on():
    gone = output(0.5, 2).model_copy(update={"ended": "diverged"})
    results = {Trial("a", 2): gone, Trial("b", 2): output(0.7, 2), Trial("c", 2): output(0.6, 2)}
    standing = verify(terms(), leaders(0.4, 0.3, 0.2, 0.1), results)
    assert standing.next == (Trial("b", 6), Trial("c", 6))
    (left,) = standing.report.stages[0].left
    assert (left.checkpoint, left.cause, left.reason) == ("a", "failed", "its training diverged after 2 epochs")


def test_one_that_diverges_with_a_further_seed_leaves_too():
    plenty = Prices(Budget.parse(f"{100 * ALL} images"), [described(name) for name in NAMES], 1000)
    results = {Trial(name, epochs): output(0.71 if name == "a" else 0.7, epochs) for name in "ab" for epochs in (2, 6)}
    results |= {
        Trial("a", 2, 1): output(0.5, 2).model_copy(update={"ended": "diverged"}),
        Trial("b", 2, 1): output(0.7, 2),
    }
    standing = verify(terms(2), leaders(0.5, 0.4), results, plenty)
    assert (standing.next, standing.report.pick, list(standing.measured)) == ((), "b", ["b"])
    assert [each.checkpoint for each in standing.report.stages[-1].left] == ["a"]


def test_where_money_is_left_those_that_are_alike_run_with_further_seeds():
    def prices(images: int) -> Prices:
        return Prices(Budget.parse(f"{images} images"), [described(name) for name in NAMES], 1000)

    alike = {"a": 0.7, "b": 0.7, "c": 0.3}
    spent = 3 * 8 * EPOCH + 2 * 4 * EPOCH
    standing, results = run(terms(), leaders(0.4, 0.3, 0.2, 0.1), alike, prices(spent + 2 * 8 * EPOCH + 100))
    assert {trial for trial in results if trial.again} == {Trial("a", 2, 1), Trial("b", 2, 1)}
    assert sum(stage.spent for stage in standing.report.stages) == spent + 2 * 8 * EPOCH
    assert [stage.again for stage in standing.report.stages] == [0, 0, 1]
    _, rich = run(terms(), leaders(0.4, 0.3, 0.2, 0.1), alike, prices(100 * spent))
    assert {trial.again for trial in rich} == {0, 1, 2}
    _, clear = run(terms(), leaders(0.4, 0.3, 0.2, 0.1), alike | {"a": 0.99}, prices(100 * spent))
    assert {trial.again for trial in clear} == {0}
    _, unbounded = run(terms(), leaders(0.4, 0.3, 0.2, 0.1), alike)
    assert {trial.again for trial in unbounded} == {0}  # without a budget nothing is left of one


def test_without_predictions_what_was_measured_decides_and_the_unmeasured_keep_their_share():
    standing, _ = run(terms(2, None), leaders(0.5, 0.3, 0.2, expected=None), {"a": 0.7, "b": 0.9})
    assert standing.report.pick == "b"
    assert sum(standing.probability_best.values()) == pytest.approx(0.8)


def test_one_alone_is_not_adapted():
    standing, results = run(terms(1), leaders(0.4, 0.3), {})
    assert not results
    assert standing.report.reason == "one alone is compared with nobody: two are the fewest"


def test_a_sure_winner_is_not_adapted():
    standing, results = run(terms(), leaders(0.97, 0.02, 0.01), {})
    assert not results
    assert standing.report.pick is None
    assert standing.report.reason == "a is the best with probability 0.97 without it"


def test_one_that_cannot_be_adapted_leaves_and_if_none_can_that_is_said():
    standing, _ = run(terms(), leaders(0.4, 0.3, 0.3), {"a": 0.6, "c": 0.5})
    assert standing.report.pick == "a"
    assert [(each.checkpoint, each.cause) for each in standing.report.stages[0].left] == [("b", "failed")]
    standing, _ = run(terms(), leaders(0.4, 0.3, 0.3), {})
    assert standing.report.pick is None
    assert standing.report.reason == "none of them could be adapted"


def test_as_many_are_adapted_as_the_budget_reaches_for_and_that_is_charged():
    rich = Prices(Budget.parse(f"{3 * ALL} images"), [described(name) for name in NAMES], 1000)
    poor = Prices(Budget.parse(f"{2 * ALL} images"), [described(name) for name in NAMES], 1000)
    none = Prices(Budget.parse(f"{2 * ALL - 1} images"), [described(name) for name in NAMES], 1000)
    reached = {"a": 0.6, "b": 0.9, "c": 0.8}
    standing, _ = run(terms(), leaders(0.4, 0.3, 0.2, 0.1), reached, rich)
    # Three were swept and trained for two epochs, two of them for four more.
    assert sum(stage.spent for stage in standing.report.stages) == 3 * 8 * EPOCH + 2 * 4 * EPOCH
    standing, results = run(terms(), leaders(0.4, 0.3, 0.2, 0.1), reached, poor)
    assert set(results) == {Trial(name, epochs) for name in "ab" for epochs in (2, 6)}
    assert sum(stage.spent for stage in standing.report.stages) == 2 * ALL
    standing, results = run(terms(), leaders(0.4, 0.3, 0.2, 0.1), reached, none)
    assert not results
    assert standing.report.reason is not None
    assert standing.report.reason.startswith("adapting a and b takes 30,720 examples")


def test_a_verification_is_asked_for_by_number_or_comes_with_a_budget():
    candidates = [described("a"), described("b")]
    asked = {
        (None, None): None, (None, 2): 2, ("30%", None): 3, ("30%", 0): None, ("30%", 1): 1,
    }  # fmt: skip
    for (budget, verified), most in asked.items():
        found = terms_of(RankingRequest(budget=budget, verify=verified), REPORT, candidates)
        assert (None if found is None else found.most) == most


def test_data_that_cannot_be_tuned_on_say_so():
    report = REPORT.model_copy(update={"task": "regression"})
    found = terms_of(RankingRequest(verify=2), report, [described("a")])
    assert found is not None
    assert verify(found, leaders(0.5, 0.5), {}).report.reason == (
        "data.zip is a regression dataset; tuning is for classification: one class per example"
    )


@pytest.mark.parametrize(("classes", "examples", "fits"), [(320, 5000, True), (321, 5000, False), (46, 90, False)])
def test_of_too_many_classes_none_is_adapted(classes, examples, fits):
    report = REPORT.model_copy(update={"class_count": classes, "train_examples": examples})
    found = terms_of(RankingRequest(verify=2), report, [described("a")])
    assert found is not None
    sample = min(640, examples)
    said = f"it learns from {sample} examples, too few to hold some of each of {classes} classes out"
    assert found.unsuited == (None if fits else said)

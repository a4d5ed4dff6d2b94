"""Races for a budget, from made-up measurements: who reads next, who leaves and why, and what is charged."""

from __future__ import annotations

import numpy as np
import pytest

from frontrunner import errors
from frontrunner.hub import CheckpointDescription, ReadingCost, SkippedCheckpoint
from frontrunner.ranking import Budget, Expectation, Expectations, Race, Reading, ScoreReading, StepOutput
from frontrunner.ranking.stages.chances import Chances
from frontrunner.ranking.stages.prices import Prices
from frontrunner.scores import ScoreValue
from tests.ranking.test_standings import described as a_checkpoint

WHOLE = 1024
GROUPS = 32


def described(name: str, parameters: int = 3_000_000) -> CheckpointDescription:
    return a_checkpoint(name, parameters).model_copy(update={"input_size": 224})


class Field:
    """Checkpoints whose examples' scores are drawn around known means; a sample's score is the mean of its first n."""

    def __init__(self, means: dict[str, float], noise: float = 0.5, seed: int = 0, seconds: float = 0.0) -> None:
        generator = np.random.default_rng(seed)
        self.rows = {name: mean + noise * generator.normal(size=WHOLE) for name, mean in means.items()}
        self.groups = generator.permutation(np.arange(WHOLE) % GROUPS)
        self.seconds = seconds

    def read(self, reading: Reading) -> StepOutput:
        rows, groups = self.rows[reading.checkpoint][: reading.examples], self.groups[: reading.examples]
        without = tuple(float(rows[groups != group].mean()) for group in range(GROUPS))
        return StepOutput(
            scores={"logme": ScoreValue(value=float(rows.mean()), replicates=without)},
            examples=reading.examples,
            forward_examples=reading.examples,
            feature_dimension=3,
            feature_key="k",
            feature_bytes=1,
            seconds=self.seconds * reading.examples,
            scoring_seconds=0.0,
        )

    @property
    def first(self) -> str:
        return max(self.rows, key=lambda name: self.rows[name].mean())


def race(names, budget="30%", expectations=None, **sizes) -> Race:
    candidates = tuple(described(name, **({"parameters": sizes[name]} if name in sizes else {})) for name in names)
    return Race(Budget.parse(budget), candidates, Expectations(checkpoints=expectations or {}), WHOLE, 2, "logme")


def run(of: Race, field: Field, one_at_a_time: bool = False):
    """The end of a race, and the readings that it took."""
    results = {}
    while (standing := of.standing(results)).next:
        for reading in standing.next[:1] if one_at_a_time else standing.next:
            results[reading] = field.read(reading)
    return standing, results


MEANS = {"a": 0.0, "b": 0.1, "c": 0.2, "d": 0.9, "e": 1.0, "f": -0.5}


def test_a_budget_is_read_as_people_write_it():
    written = ("10m", "1.5 h", "30%", "20000 images", "500 texts")
    parsed = [Budget.parse(text) for text in written]
    assert [(found.unit, found.amount) for found in parsed] == [
        ("seconds", 600), ("seconds", 5400), ("share", pytest.approx(0.3)), ("examples", 20000), ("examples", 500),
    ]  # fmt: skip
    for found in parsed:
        assert Budget.parse(str(found)) == found


@pytest.mark.parametrize("text", ["", "10", "-5m", "0%", "130%", "ten minutes", "5 apples", "1e3s", "nan%"])
def test_a_budget_of_another_form_is_refused(text):
    with pytest.raises(errors.InvalidBudget, match="budget"):
        Budget.parse(text)


def test_the_clear_winner_is_kept_and_the_rest_do_not_read_everything():
    field = Field(MEANS, noise=0.8)
    standing, results = run(race(MEANS), field)
    assert standing.report.pick == field.first == "e"
    assert standing.report.spent <= 0.3
    most = {name: max(reading.examples for reading in results if reading.checkpoint == name) for name in MEANS}
    assert most["f"] < most["e"]
    gone = {each.checkpoint: each for stage in standing.report.stages for each in stage.left}
    assert set(gone) | set(standing.report.inside) == set(MEANS)
    assert all(each.reason for each in gone.values())


@pytest.mark.parametrize("budget", ["5%", "20%", "45%", "100%", "900 images", "3000 images"])
def test_no_budget_is_overdrawn(budget):
    close = {name: mean / 20 for name, mean in MEANS.items()}
    standing, results = run(race(MEANS, budget), Field(close))
    report = standing.report
    assert report.spent <= report.limit * (1 + 1e-9)
    read = {name: max((r.examples for r in results if r.checkpoint == name), default=0) for name in MEANS}
    charged = sum(read.values()) if report.unit == "examples" else sum(read.values()) / (WHOLE * len(MEANS))
    assert report.spent == pytest.approx(charged)  # checkpoints of one size: a share of the examples
    assert sum(stage.spent for stage in report.stages) == pytest.approx(report.spent)


def test_the_same_results_give_the_same_answer_however_often_and_in_whatever_order_it_is_asked():
    field, of = Field(MEANS), race(MEANS)
    together, results = run(of, field)
    singly, same = run(of, field, one_at_a_time=True)
    assert together.report == singly.report
    assert results == same
    assert of.standing(dict(reversed(results.items()))).report == together.report


def test_with_money_for_all_only_those_leave_that_would_hardly_be_first():
    standing, _ = run(race(MEANS, "100%"), Field(MEANS))
    causes = {each.cause for stage in standing.report.stages for each in stage.left}
    assert causes <= {"improbable"}
    assert standing.report.more is None


def test_two_that_are_alike_are_both_read_to_the_end_where_the_budget_allows_it():
    field = Field({"a": 0.0, "b": 1.0, "c": 1.0})
    field.rows["c"] = field.rows["b"] + np.where(field.groups % 2, 0.3, -0.2999)
    standing, results = run(race(field.rows, "100%"), field)
    assert {Reading("b", WHOLE), Reading("c", WHOLE)} <= set(results)
    assert Reading("a", WHOLE) not in results
    assert standing.report.probability_best == pytest.approx(1.0, abs=0.05)


def test_what_more_would_buy_is_said_where_the_budget_ends_the_race():
    alike = {"a": 1.0, "b": 1.0, "c": 1.001}
    standing, _ = run(race(alike, "20%"), Field(alike))
    assert standing.report.more is not None
    assert standing.report.probability_best < 0.9


def test_beliefs_decide_who_is_read_where_not_all_can_be():
    names = [f"m{i:02d}" for i in range(40)]
    believed = {name: Expectation(mean=i / 10, deviation=1.0) for i, name in enumerate(names)}
    of = race(names, "600 images", believed)
    started = {reading.checkpoint for reading in of.standing({}).next}
    assert "m39" in started
    assert "m00" not in started
    shortlist = of.standing({}).report.stages[0]
    assert shortlist.stage == "shortlist"
    assert len(started) + len(shortlist.left) == 40
    assert {each.cause for each in shortlist.left} == {"improbable", "unaffordable"}


def test_without_beliefs_the_cheap_ones_are_read_first_where_not_all_can_be():
    names = [f"m{i:02d}" for i in range(40)]
    sizes = {name: 1_000_000 * (i + 1) for i, name in enumerate(names)}
    standing = race(names, "1%", **sizes).standing({})
    assert "m00" in {reading.checkpoint for reading in standing.next}
    assert "m39" not in {reading.checkpoint for reading in standing.next}


def test_a_checkpoint_that_fails_leaves_with_its_reason_and_the_race_goes_on():
    field, of = Field(MEANS, noise=0.3), race(MEANS, "60%")
    broken = SkippedCheckpoint(checkpoint="e", code="checkpoint_unreadable", reason="cut off")
    results = {}
    while (standing := of.standing(results)).next:
        results |= {reading: broken if reading.checkpoint == "e" else field.read(reading) for reading in standing.next}
    assert standing.report.pick == "d"
    assert standing.outcomes["e"] == broken
    assert [each.cause for stage in standing.report.stages for each in stage.left if each.checkpoint == "e"] == [
        "failed"
    ]


def test_where_every_checkpoint_fails_there_is_no_pick():
    of = race(["a", "b"])
    results = {
        reading: SkippedCheckpoint(checkpoint=reading.checkpoint, code="checkpoint_unreadable", reason="cut off")
        for reading in of.standing({}).next
    }
    standing = of.standing(results)
    assert (standing.next, standing.report.pick, standing.report.inside) == ((), None, [])


def test_a_dataset_smaller_than_the_first_sample_is_read_in_one_round():
    of = Race(Budget.parse("100%"), (described("a"), described("b")), Expectations(), 12, 2, "logme")
    assert of.standing({}).next == (Reading("a", 12), Reading("b", 12))


def test_seconds_are_charged_as_measured_and_bought_in_small_steps_until_something_is_measured():
    field, of = Field(MEANS, seconds=0.01), race(MEANS, "20s")
    first = of.standing({})
    assert len(first.next) < len(MEANS)
    assert first.report.full_cost is None
    standing, results = run(of, field)
    assert standing.report.spent == pytest.approx(sum(0.01 * reading.examples for reading in results))
    # Steps that read from the start again are dearer than expected; by no more than the last round does it overdraw.
    assert standing.report.spent < 2 * standing.report.limit


def test_once_two_steps_are_measured_their_speed_is_expected_of_the_others():
    prices = Prices(Budget.parse("100s"), [described("a"), described("b"), described("c", 9_000_000)], WHOLE)
    for name, examples in (("a", 100), ("b", 300)):
        output = Field({name: 0.0}, seconds=0.02).read(Reading(name, examples))
        cost = ReadingCost(device="cpu", latency_ms=10.0, memory_mb=1.0)
        # Half a second to open, and 20 ms an example, of which the forward pass is half.
        measured = output.model_copy(update={"seconds": output.seconds + 0.5, "reading_cost": cost})
        prices.charge(name, 0, examples, measured)
    assert prices.spent == pytest.approx(2.5 + 6.5)
    assert prices.expected("a", 0, 200) == pytest.approx(0.5 + 4.0)
    assert 0.5 + 8.0 < prices.expected("c", 0, 200) < 0.5 + 12.0  # three times the weights


def test_chances_are_those_of_many_draws_of_the_rest():
    """Against simulation: a sample of 128 of 1,024 that are drawn from the same distributions."""
    generator = np.random.default_rng(1)
    hits, stated = [], []
    for seed in range(150):
        means = dict(zip("abcd", generator.normal(scale=0.08, size=4), strict=True))
        field = Field(means, noise=0.5, seed=seed)
        found = [field.read(Reading(name, 128)).scores["logme"] for name in means]
        chances = Chances.of(found, examples=128, whole=WHOLE, inflation=1.1)
        best = int(chances.first.argmax())
        stated.append(chances.first[best])
        hits.append(list(means)[best] == field.first)
        assert chances.first.sum() == pytest.approx(1.0)
    # Inflated errors make what is stated too modest, never too bold.
    assert np.mean(stated) < np.mean(hits) + 2 * np.std(hits) / np.sqrt(len(hits))
    assert np.mean(stated) > np.mean(hits) - 0.25


def test_what_all_examples_say_is_certain():
    found = [ScoreValue(value=v, replicates=(v - 0.1, v, v + 0.1)) for v in (0.3, 0.5, 0.4)]
    assert Chances.of(found, examples=WHOLE, whole=WHOLE).first.tolist() == [0.0, 1.0, 0.0]


def test_scores_without_replicates_count_as_exact():
    chances = Chances.of([ScoreValue(value=1.0), ScoreValue(value=2.0)], examples=10, whole=100)
    assert chances.first.tolist() == [0.0, 1.0]


def test_what_all_examples_say_moves_a_belief_by_what_scores_are_worth():
    """By hand: of y ~ N(mu, d^2), read by s = rho y + e, the mean is mu + (s - rho mu) rho d^2 / Var s."""
    found = [ScoreValue(value=v) for v in (2.0, -1.0, -1.0)]
    believed = [Expectation(mean=m, deviation=0.5) for m in (-1.0, 0.5, 0.5)]
    reading = ScoreReading(rho=0.6, kappa=0.0, noise=0.64)
    chances = Chances.of(found, examples=WHOLE, whole=WHOLE, believed=believed, reading=reading, scale=2.0)
    gain = 0.6 * 0.25 / (0.36 * 0.25 + 0.64)
    by_hand = [mean + gain * (score / 2.0 - 0.6 * mean) for mean, score in ((-1.0, 2.0), (0.5, -1.0), (0.5, -1.0))]
    np.testing.assert_allclose(chances.expected, by_hand)
    assert chances.first.tolist() == [0.0, 0.5, 0.5]


def test_many_more_checkpoints_than_groups_are_not_told_apart_by_noise():
    """Of a thousand alike, read by 32 groups of examples: a covariance of rank 31 would know most of them exactly."""
    generator = np.random.default_rng(3)
    rows = generator.normal(size=(1000, 128)) * 3.0
    groups = np.arange(128) % GROUPS
    without = np.stack([rows[:, groups != group].mean(axis=1) for group in range(GROUPS)], axis=1)
    values = rows.mean(axis=1).tolist()
    found = [ScoreValue(value=v, replicates=tuple(r)) for v, r in zip(values, without.tolist(), strict=True)]
    chances = Chances.of(found, examples=128, whole=10 * WHOLE)
    assert chances.first.max() < 0.1


def test_one_that_much_is_believed_of_is_not_lost_for_a_little_noise():
    """d is believed to be the best; by the first examples e leads narrowly. Without the belief e is picked."""
    field = Field({"a": 0.0, "b": 0.1, "d": 0.60, "e": 0.62}, noise=0.5, seed=1)
    means = {"a": -0.5, "b": -0.5, "d": 1.2, "e": -0.2}
    believed = {name: Expectation(mean=mean, deviation=0.6) for name, mean in means.items()}
    without, _ = run(race(field.rows, "15%"), field)
    informed, _ = run(race(field.rows, "15%", believed), field)
    assert (without.report.pick, informed.report.pick) == ("e", "d")
    assert "d" in informed.report.inside


def test_steps_of_a_round_begin_with_those_of_the_best_chances():
    believed = {name: Expectation(mean=mean, deviation=0.8) for name, mean in (("a", 0.0), ("b", 1.0), ("c", 0.5))}
    first = race(believed, "100%", believed).standing({})
    assert [reading.checkpoint for reading in first.next] == ["b", "c", "a"]


def test_scores_are_expected_to_take_what_they_took_of_all_examples_and_the_start_is_charged():
    prices = Prices(Budget.parse("100s"), [described("a"), described("b")], WHOLE, gone=1.5)
    assert prices.spent == 1.5
    for before, after in ((0, 100), (100, 300)):
        output = Field({"a": 0.0}, seconds=0.01).read(Reading("a", after - before))
        scoring = 0.02 * after
        measured = output.model_copy(
            update={
                "seconds": 0.5 + output.seconds + scoring,
                "scoring_seconds": scoring,
                "reading_cost": ReadingCost(device="cpu", latency_ms=10.0, memory_mb=1.0),
            }
        )
        prices.charge("a", before, after, measured)
    assert prices.expected("a", 300, 400) == pytest.approx(0.5 + 0.01 * 100 + 0.02 * 400)
    assert prices.expected("b", 0, 300) == pytest.approx(0.5 + 0.01 * 300 + 0.02 * 300)


class Slow(Field):
    """What is measured on a machine: opening takes half a second, and scores are computed anew of all examples."""

    def step(self, reading: Reading, before: int) -> StepOutput:
        read = self.read(reading)
        passes = reading.examples - before
        scoring = 0.1 + 0.004 * reading.examples
        return read.model_copy(
            update={
                "seconds": 0.5 + 0.012 * passes + scoring,
                "scoring_seconds": scoring,
                "forward_examples": passes,
                "reading_cost": ReadingCost(device="cpu", latency_ms=10.0, memory_mb=1.0),
            }
        )


@pytest.mark.parametrize("limit", [20, 35, 50, 80])
@pytest.mark.parametrize("close", [1, 20])
def test_a_budget_in_seconds_holds_within_a_tenth(limit, close):
    field = Slow({name: mean / close for name, mean in MEANS.items()})
    of = race(MEANS, f"{limit}s")
    results: dict[Reading, StepOutput] = {}
    while (standing := of.standing(results)).next:
        reading = standing.next[0]
        before = max((done.examples for done in results if done.checkpoint == reading.checkpoint), default=0)
        results[reading] = field.step(reading, before)
    took = sum(output.seconds for output in results.values())
    assert took == pytest.approx(standing.report.spent)
    assert took <= 1.1 * limit
    if standing.report.more is not None:  # otherwise the race was over before the money was
        assert took >= 0.8 * limit

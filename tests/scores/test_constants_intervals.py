"""Constants and terms of influences, replicates, intervals, comparisons, samples and folds, against loops."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kurtosis
from scipy.stats import t as student
from sklearn.metrics import accuracy_score, r2_score

from frontrunner import scores
from frontrunner.scores import ScoreValue, intervals, probability_first_beats_second, tied_with_best
from frontrunner.scores.baseline import losses_of, prediction_quality
from frontrunner.scores.influence import Influence, replicates
from frontrunner.scores.intervals import degrees_of_freedom, interval, standard_error
from frontrunner.scores.sampling import random_groups, stratified_folds, stratified_sample
from frontrunner.scores.scoring_input import Rows, ScoringInput


def rows_of(classes: np.ndarray | None = None, outputs: np.ndarray | None = None) -> Rows:
    """Rows of which only the targets are read, and their places in a larger dataset."""
    if classes is not None:
        outputs = np.eye(classes.max() + 1)[classes]
    assert outputs is not None
    index = 3 * np.arange(len(outputs)) + 1
    return Rows(index, np.zeros((len(outputs), 1)), classes, outputs)


def test_the_accuracy_of_predictions_and_what_it_is_without_a_row() -> None:
    generator = np.random.default_rng(0)
    codes, predicted, moved = generator.integers(3, size=9), generator.random((9, 3)), generator.normal(size=(9, 1))
    rows = rows_of(codes)
    wrong = (predicted.argmax(axis=1) != codes).astype(float)
    for trained in (None, lambda: moved):
        found = prediction_quality(losses_of(predicted, rows), rows, trained, leverage=0.3)
        assert found.value == found.raw == pytest.approx(accuracy_score(codes, predicted.argmax(axis=1)))
        without = np.array(
            [1 - (np.delete(wrong, i).sum() + (0 if trained is None else moved[i, 0])) / 8 for i in range(9)]
        )
        assert found.influence is not None
        influence = found.influence()
        np.testing.assert_allclose(influence.changes, (without.mean() - without) * 8 / 9 * np.sqrt(1.3), rtol=1e-12)
        assert influence.index is rows.index
    plain = prediction_quality(losses_of(predicted, rows), rows).influence
    assert plain is not None
    np.testing.assert_allclose(plain().changes, (wrong.mean() - wrong) / 9, atol=1e-12)


@pytest.mark.parametrize("trains", [True, False])
@pytest.mark.parametrize("m", [2, 3, 8])
def test_the_explained_variance_of_predictions_and_what_it_is_without_a_row(m: int, trains: bool) -> None:
    generator = np.random.default_rng(m)
    # Even numbers: of two their mean is exact.
    targets = 2.0 * np.c_[np.arange(m), generator.permutation(m) * 5 + 1]
    predicted, moved = targets + generator.normal(size=(m, 2)), generator.normal(size=(m, 2))
    rows = rows_of(outputs=targets)
    squares = (targets - predicted) ** 2
    moved = moved if trains else np.zeros((m, 2))
    found = prediction_quality(losses_of(predicted, rows), rows, (lambda: moved) if trains else None)
    assert found.value == found.raw == pytest.approx(r2_score(targets, predicted))
    without = []
    for i in range(m):
        # Of a single row there is no variance: the rounding of that of all stands for it.
        left = np.delete(targets, i, axis=0).var(axis=0) * (m - 1)
        left = np.maximum(left, np.finfo(float).eps * targets.var(axis=0) * m)
        without.append((1 - (np.delete(squares, i, axis=0).sum(axis=0) + moved[i]) / left).mean())
    expected = (np.mean(without) - np.array(without)) * (1 - 1 / m)
    assert found.influence is not None
    np.testing.assert_allclose(found.influence().changes, expected, rtol=1e-9)


def test_targets_that_are_equal_and_are_met_are_wholly_explained() -> None:
    rows = rows_of(outputs=np.ones((4, 1)))
    assert prediction_quality(losses_of(np.ones((4, 1)), rows), rows).value == 1.0


@pytest.mark.parametrize("draw", ["examples", "within_classes"])
@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("sampled", [False, True])
@pytest.mark.parametrize("classes", [True, False])
def test_a_replicate_lacks_what_the_rows_of_its_group_add(
    draw: scores.Draw, whole: bool, sampled: bool, classes: bool
) -> None:
    generator = np.random.default_rng(3)
    n = 40
    labels = np.r_[np.zeros(21, dtype=int), np.ones(15, dtype=int), 2, 2, 3, 4]
    targets = labels if classes else generator.normal(size=n)
    shard = scores.shard_of(np.ones((n, 1)), targets)
    data = ScoringInput(shard.statistics(), [shard], draw)
    # The sample has one row of a class of two, both of one class of one, none of the other.
    index = np.r_[np.arange(0, 36, 2), 36, 39] if sampled else np.arange(n)
    changes = generator.normal(size=index.size)
    with np.errstate(all="raise"):
        found = replicates(0.7, Influence(changes, index if sampled else None, whole), data)
    m, expected = index.size, []
    for group in range(32):
        size, moved = 0, 0.0
        for row, change in zip(index, changes - changes.mean(), strict=True):
            if data.groups[row] != group:
                continue
            size += 1
            alike = (changes - changes.mean())[labels[index] == labels[row]]
            if not classes:
                moved += change
            elif draw == "within_classes":
                # The variance of a class of k rows, from k - 1 differences.
                k = alike.size
                moved += (change - alike.mean()) * np.sqrt(k / (k - 1)) if k > 1 else 0.0
            elif whole:
                moved += change
            else:
                moved += change - alike.mean() + np.sqrt(m / n) * alike.mean()
        expected.append(0.7 - moved * m / (m - size) * (np.sqrt(n / m) if whole else 1.0))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_with_a_single_row_there_is_a_single_replicate_and_nothing_moves() -> None:
    shard = scores.shard_of(np.ones((1, 2)), np.array([4.0]))
    data = ScoringInput(shard.statistics(), [shard])
    with np.errstate(all="raise"):
        assert replicates(0.3, Influence(np.zeros(1), starts=(0.5,)), data).tolist() == [0.3]


def test_an_influence_is_of_the_rows_that_are_scored_unless_it_is_said_to_be_of_a_sample() -> None:
    for found in (Influence(np.zeros(2)), Influence.on_mean(np.ones(2)), Influence.of_leaving_out(np.ones(2))):
        assert not found.whole
        assert found.index is None
        assert found.starts == ()


def test_with_two_rows_a_replicate_is_the_other_row() -> None:
    shard = scores.shard_of(np.ones((2, 1)), np.array([0, 1]))
    data = ScoringInput(shard.statistics(), [shard])
    terms = np.array([1.0, 5.0])
    assert sorted(replicates(3.0, Influence.on_mean(terms), data)) == [1.0, 5.0]


@pytest.mark.parametrize(("groups", "starts"), [(2, [0.5]), (6, [0.5, 0.1]), (8, [0.5]), (32, [0.2, 0.6, 0.1])])
def test_random_starts_have_the_jackknife_error_of_their_standard_deviation(groups: int, starts: list[float]) -> None:
    shard = scores.shard_of(np.ones((groups, 1)), np.arange(groups) % 2)
    data = ScoringInput(shard.statistics(), [shard])
    found = replicates(0.3, Influence(np.zeros(groups), starts=tuple(starts)), data)
    assert standard_error(found) == pytest.approx(np.std([0.3, *starts], ddof=1), rel=1e-12)
    # The score's own start counts for the first group, the others in turn.
    shifts = found - 0.3
    assert np.corrcoef(shifts, np.resize([0.3, *starts], groups))[0, 1] == pytest.approx(1.0)
    assert groups % (len(starts) + 1) or found.mean() == pytest.approx(0.3, rel=1e-12)
    alone = replicates(0.3, Influence(np.zeros(groups)), data)
    assert alone.tolist() == [0.3] * groups


def freedom_of(x: np.ndarray) -> float:
    """Satterthwaite's degrees of freedom by scipy's kurtosis."""
    return float(min(x.size - 1, 2 * x.size / (kurtosis(x, fisher=False) - 1)))


@pytest.mark.parametrize("scale", [1.0, 30.0, 1e-90])
def test_degrees_of_freedom_come_from_the_kurtosis_at_any_scale(scale: float) -> None:
    generator = np.random.default_rng(0)
    found = []
    for _ in range(20):
        x = generator.standard_t(3, size=32)
        found.append(freedom_of(x))
        assert degrees_of_freedom(scale * x) == pytest.approx(found[-1], rel=1e-6)
    assert 5 < np.mean(np.array(found) < 31) * 20 < 20
    # Of variance 1 exactly, and without any.
    assert degrees_of_freedom(scale * np.array([-2.0, 0, 0, 0, 0, 0, 0, 2.0])) == pytest.approx(16 / 3)
    assert degrees_of_freedom(np.full(5, scale)) == 4.0
    assert degrees_of_freedom(scale * np.array([1.0, 2.0])) == 1.0


def test_an_interval_of_two_replicates_has_one_degree_of_freedom_and_the_scores_limits() -> None:
    x = np.array([0.1, 0.5])
    reach = 0.2 * student.ppf(0.975, 1)  # the standard error is half of their distance
    assert interval(0.3, x) == pytest.approx((0.3 - reach, 0.3 + reach), rel=1e-9)
    assert interval(0.3, x, lowest=-1.0) == pytest.approx((-1.0, 0.3 + reach), rel=1e-9)
    assert interval(0.3, x, highest=1.0) == pytest.approx((0.3 - reach, 1.0), rel=1e-9)
    assert interval(0.3, x[:1]) is None
    with np.errstate(all="ignore"):
        assert interval(0.0, np.array([1e200, 3e200])) is None  # its square overflows


def test_values_that_differ_by_rounding_only_have_a_probability_of_half_a_half_or_one() -> None:
    def ahead(first: float, second: float) -> float | None:
        return probability_first_beats_second(
            ScoreValue(value=first, replicates=(first, first)), ScoreValue(value=second, replicates=(second, second))
        )

    assert ahead(0.0, 0.0) == 0.5
    assert ahead(0.3, 0.3) == 0.5
    assert ahead(0.3 + 1e-16, 0.3) == 0.5
    assert ahead(0.4, 0.3) == 1.0
    assert ahead(0.3, 0.4) == 0.0
    # Small values have small errors, which are not rounding.
    a, b = 1e-9 * np.array([1.0, 4.0, 2.0]), 1e-9 * np.array([1.0, 1.0, 1.0])
    found = probability_first_beats_second(
        ScoreValue(value=2e-9, replicates=tuple(a)), ScoreValue(value=1e-9, replicates=tuple(b))
    )
    error = np.sqrt(2 / 3 * np.sum((a - a.mean()) ** 2))
    assert found == pytest.approx(student.cdf(1e-9 / error, freedom_of(a)), rel=1e-9)


@pytest.mark.parametrize("sizes", [(2, 2), (2, 5), (5, 2), (9, 6)])
def test_the_probability_of_beating_holds_from_two_replicates_on(sizes: tuple[int, int]) -> None:
    generator = np.random.default_rng(7)
    for _ in range(5):
        a, b = (generator.standard_t(3, size=size) for size in sizes)
        if sizes[0] == sizes[1]:
            error, freedom = np.sqrt(np.sum((a - b - (a - b).mean()) ** 2) / 2), 1.0
        else:
            error = np.sqrt(sum((x.size - 1) * x.var() for x in (a, b)))
            freedom = min(freedom_of(a) if a.size > 2 else 1.0, freedom_of(b) if b.size > 2 else 1.0)
        found = probability_first_beats_second(
            ScoreValue(value=0.6, replicates=tuple(a)), ScoreValue(value=-0.1, replicates=tuple(b))
        )
        assert found == pytest.approx(student.cdf(0.7 / error, freedom), rel=1e-9)
    one = ScoreValue(value=0.0, replicates=(0.0,))
    assert probability_first_beats_second(one, ScoreValue(value=0.6, replicates=tuple(a))) is None
    assert probability_first_beats_second(ScoreValue(value=0.6, replicates=tuple(a)), one) is None


# Of m checkpoints: by how much the p-values of the others lie below 5% over the pairs left, and who is tied. Two have
# one pair, three have three, four have six. At the threshold itself a difference is significant.
@pytest.mark.parametrize(
    ("p_values", "tied"),
    [
        ([0.049], [False]),
        ([0.051], [True]),
        ([0.05 / 3, 0.05 / 2], [False, False]),
        ([0.0171, 0.0172], [True, True]),  # the second would pass, but the first did not
        ([0.0166, 0.0249], [False, False]),
        ([0.0166, 0.0251], [False, True]),
        ([0.0249, 0.0166], [False, False]),
        ([0.0083, 0.0099, 0.0124], [False, False, False]),
        ([0.0083, 0.0099, 0.0126], [False, False, True]),
        ([0.0083, 0.0101, 0.0099], [False, False, False]),
        ([0.0083, 0.0102, 0.0101], [False, True, True]),
        ([0.0084, 0.5, 0.0084], [True, True, True]),
    ],
)
def test_the_steps_of_holm_end_at_the_first_pair_that_is_not_significant(
    monkeypatch: pytest.MonkeyPatch, p_values: list[float], tied: list[bool]
) -> None:
    level = 1 - 0.95  # not 0.05 to the last digit
    exact = [level / 3 if p == 0.05 / 3 else level / 2 if p == 0.05 / 2 else p for p in p_values]
    others = [ScoreValue(value=0.1 * place, raw=p) for place, p in enumerate(exact)]
    best = ScoreValue(value=0.9)
    monkeypatch.setattr(intervals, "_two_sided", lambda first, second: second.raw if first == best else None)
    assert tied_with_best([best, *others]) == [True, *tied]
    assert tied_with_best([*others, best]) == [*tied, True]


def test_two_checkpoints_are_tied_by_the_two_sided_test() -> None:
    x = np.array([-1.0, 0.2, 0.8, 0.3, -0.5, 0.2])
    error = np.sqrt(5 / 6 * np.sum((x - x.mean()) ** 2))
    reach = error * student.ppf(0.975, freedom_of(x))
    for lead, tied in ((0.999 * reach, True), (1.001 * reach, False)):
        others = ScoreValue(value=0.0, replicates=(0.0,) * 6)
        assert tied_with_best([others, ScoreValue(value=lead, replicates=tuple(x))]) == [tied, True]
    for lead in (0.0, 0.4, 2.0):
        found = intervals._two_sided(ScoreValue(value=lead, replicates=tuple(x)), others)
        assert found == pytest.approx(2 * student.sf(lead / error, freedom_of(x)), rel=1e-9)
    alone = ScoreValue(value=0.4)
    assert intervals._two_sided(alone, alone) == 1.0
    assert intervals._two_sided(alone, others) == 0.0


def test_groups_folds_and_samples_of_few_rows() -> None:
    assert random_groups(0).tolist() == []
    assert random_groups(5, groups=1).tolist() == [0] * 5
    assert sorted(random_groups(2)) == [0, 1]
    assert stratified_folds(np.array([], dtype=int), 5).tolist() == []
    assert stratified_folds(np.array([1, 0, 1]), 1).tolist() == [0, 0, 0]
    assert stratified_folds(np.array([1, 0, 1]), 9).tolist() == [1, 0, 2]
    # As many rows as classes: one each, however unequal they are.
    codes = np.repeat([0, 1, 2], [50, 3, 1])
    assert np.bincount(codes[stratified_sample(codes, 54, 3)]).tolist() == [1, 1, 1]
    # All but one row, of classes of one.
    codes = np.arange(4)
    assert stratified_sample(codes, 4, 3).tolist() == [0, 1, 2]
    codes = np.array([0, 1, 1])
    assert np.bincount(codes[stratified_sample(codes, 3, 2)]).tolist() == [1, 1]


def test_every_row_of_a_class_is_drawn_as_often_as_its_share() -> None:
    codes = np.array([1, 0, 1, 2, 1, 0, 1, 0, 1, 1])
    drawn = np.zeros(10)
    for seed in range(400):
        drawn[stratified_sample(codes, 10, 5, seed)] += 1 / 400
    # One each of 3, 6 and 1 rows; of the two others, 2/7 * 2 to the first and 2/7 * 5 to the second: the remainders of
    # 0.571 and 1.429 give one more to each.
    np.testing.assert_allclose(drawn, np.array([2 / 3, 2 / 6, 1.0])[[1, 0, 1, 2, 1, 0, 1, 0, 1, 1]], atol=0.08)

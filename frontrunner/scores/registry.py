"""The registry of transferability scores, from which the API, the command line and the documentation list them."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import entry_points
from typing import Literal, overload

import numpy as np
from numpy.typing import ArrayLike

from frontrunner.errors import FrontrunnerError, InvalidFeatures, InvalidScore, ScoreNotApplicable, UnknownScore
from frontrunner.scores import (
    energy,
    gbc,
    h_score,
    knn,
    lda,
    leep,
    leep_cross_fitted,
    linear_probe,
    logme,
    n_leep,
    nce,
    nce_cross_fitted,
    parc,
    regularized_h_score,
    ridge_probe,
    sfda,
    transrate,
)
from frontrunner.scores.influence import replicates
from frontrunner.scores.intervals import interval as ends_of
from frontrunner.scores.own import ScoreFunction, score_of
from frontrunner.scores.sampling import Draw
from frontrunner.scores.score import Estimate, Score, ScoreValue
from frontrunner.scores.scoring_input import ScoringInput
from frontrunner.shard import Shard
from frontrunner.statistics import FeatureStatistics

# The names of other packages' scores, as an installation declares them: a `Score`, or a function for `register`.
ENTRY_POINTS = "frontrunner.scores"

_SCORES: dict[str, Score] = {
    module.SCORE.name: module.SCORE
    for module in (
        logme,
        leep,
        leep_cross_fitted,
        nce,
        nce_cross_fitted,
        n_leep,
        h_score,
        regularized_h_score,
        transrate,
        parc,
        gbc,
        sfda,
        energy,
        lda,
        knn,
        linear_probe,
        ridge_probe,
    )
}

_BUILT_IN = frozenset(_SCORES)
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")

# Where there is no interval to compare it with. LEEP and NCE of good checkpoints differ by some hundredths.
_LARGEST_OPTIMISM = 0.05


class Evaluation(dict[str, ScoreValue]):
    """The scores that could be computed, by name, and why the others could not.

    Invariant: every name that was asked for is either a key or in `not_applicable`, never both.

    Attributes:
        not_applicable: why a score is not defined on this input, by name.
    """

    def __init__(self) -> None:
        super().__init__()
        self.not_applicable: dict[str, FrontrunnerError] = {}


def registered() -> tuple[Score, ...]:
    """Every registered score, the default one first."""
    return tuple(_SCORES.values())


def names() -> list[str]:
    """The registered names, the default score first."""
    return list(_SCORES)


def register(score: Score | ScoreFunction, name: str | None = None) -> Score:
    """Add a score of one's own, for this process: it can be asked for by its name, in rankings too.

    Packages add theirs to every process by an entry point of the group `frontrunner.scores`.

    Args:
        score: a `Score`, or a function of features (n, D) float64 and labels, higher is better: class codes (n,) from
            0, or real targets (n, K). Of a function, numbers have no interval and are never kept.
        name: what to call it; the score's or the function's own name by default. Lower case, digits and `_`.

    Raises:
        InvalidScore: the name has another form, or is that of another score that comes with Frontrunner.

    Example:
        >>> def centroid_gap(features, labels):
        ...     centres = [features[labels == code].mean(axis=0) for code in np.unique(labels)]
        ...     return np.linalg.norm(centres[0] - centres[1])
        >>> register(centroid_gap).name
        'centroid_gap'
        >>> score("centroid_gap", [[0.0], [0.0], [3.0], [3.0]], ["a", "a", "b", "b"])
        3.0
    """
    added = score if isinstance(score, Score) else score_of(score, name or score.__name__)
    if name is not None and added.name != name:
        added = replace(added, name=name)
    if not _NAME.fullmatch(added.name):
        raise InvalidScore(
            f"'{added.name}' cannot name a score; expected lower-case letters, digits and _: pass `name`"
        )
    if added.name in _BUILT_IN:
        raise InvalidScore(f"there is a score '{added.name}' already: pass another `name`")
    _SCORES[added.name] = added
    return added


def describe(name: str) -> Score:
    """The score registered under `name`.

    Raises:
        UnknownScore: there is none.

    Example:
        >>> describe("leep").needs
        'source_probabilities'
    """
    try:
        return _SCORES[name]
    except KeyError:
        raise UnknownScore(f"there is no score '{name}'; choose from: {', '.join(_SCORES)}") from None


def evaluate(
    names: Sequence[str], statistics: FeatureStatistics, shards: Sequence[Shard], draw: Draw = "examples"
) -> Evaluation:
    """Every named score of one checkpoint, with its interval.

    Args:
        names: registered names.
        statistics: sums over all examples of `shards`.
        shards: the same examples; may be iterated several times. Without any, scores of sums have no intervals and
            the others are not applicable.
        draw: what intervals are over: `examples` drawn anew, class counts with them, or `within_classes`, counts held.

    Returns:
        A dict by name. A score that is not defined on this input (no source probabilities, another task) is left out,
        and the reason kept in `not_applicable`.

    Raises:
        UnknownScore: a name is not registered.
        ScoreNotApplicable: none of the scores could be computed.
        NothingToSeparate, InvalidFeatures: nothing can be scored on this input.

    Example:
        >>> labels = np.arange(64) % 2
        >>> features = np.random.default_rng(0).normal(size=(64, 4)) + labels[:, None]
        >>> shards = [Shard(features[:32], labels[:32]), Shard(features[32:], labels[32:])]
        >>> found = evaluate(["logme", "leep"], shards[0].statistics() + shards[1].statistics(), shards)
        >>> found["logme"].low < found["logme"].value < found["logme"].high
        True
        >>> found.not_applicable["leep"].code
        'score_not_applicable'
    """
    return evaluate_input([describe(name) for name in names], ScoringInput(statistics, shards, draw))


def evaluate_input(scores: Sequence[Score], data: ScoringInput) -> Evaluation:
    """`evaluate` for scores and a `ScoringInput` at hand, which keeps what earlier scores computed.

    Raises:
        ScoreNotApplicable: none of the scores could be computed.
        InvalidFeatures: nothing can be scored on this input.
    """
    found = Evaluation()
    for score in scores:
        try:
            found[score.name] = _with_interval(score, _estimate(score, data), data)
        except ScoreNotApplicable as refusal:
            found.not_applicable[score.name] = refusal
    if found.not_applicable and not found:
        raise next(iter(found.not_applicable.values()))
    return found


@overload
def score(
    name: str,
    features: ArrayLike,
    labels: ArrayLike,
    *,
    source_probabilities: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    interval: Literal[False] = False,
) -> float: ...
@overload
def score(
    name: str,
    features: ArrayLike,
    labels: ArrayLike,
    *,
    source_probabilities: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    interval: Literal[True],
) -> ScoreValue: ...
def score(
    name: str,
    features: ArrayLike,
    labels: ArrayLike,
    *,
    source_probabilities: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    interval: bool = False,
) -> float | ScoreValue:
    """One score of features (n, D) against labels; higher is better.

    Args:
        name: a registered name.
        features: (n, D) real numbers.
        labels: integers or strings (n,) are classes, floats (n,) or (n, K) real targets.
        source_probabilities: (n, C_source) the checkpoint's own predictions, for LEEP, NCE and these cross-fitted.
        clusters: (n,) integers: rows of one cluster were drawn together, as the words of a sentence are. They are held
            out together, and the interval is over draws of clusters.
        interval: whether to answer with a `ScoreValue`, which has the 95% interval over draws of the examples.

    Raises:
        UnknownScore: no such score.
        InvalidFeatures: shapes or types do not fit, or NaN and infinity among them.
        NothingToSeparate: fewer than two classes.
        ScoreNotApplicable: the score is not defined for this task, or needs source probabilities.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> labels = np.repeat([0, 1], 50)
        >>> informative = rng.normal(size=(100, 4)) + labels[:, None]
        >>> score("logme", informative, labels) > score("logme", rng.normal(size=(100, 4)), labels)
        True
    """
    wanted = describe(name)
    shard = shard_of(features, labels, source_probabilities, clusters)
    data = ScoringInput(shard.statistics(), [shard])
    estimate = _estimate(wanted, data)
    return _with_interval(wanted, estimate, data) if interval else estimate.value


def shard_of(
    features: ArrayLike,
    labels: ArrayLike,
    source_probabilities: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
) -> Shard:
    """Features (n, D) and labels as a single shard; the type of `labels` tells classes from real targets.

    Args:
        features: (n, D) real numbers.
        labels: integers or strings (n,) are classes, floats (n,) or (n, K) real targets.
        source_probabilities: (n, C_source) the checkpoint's own predictions.
        clusters: (n,) integers: rows of one cluster were drawn together.

    Raises:
        InvalidFeatures: the clusters are not one whole number a row.
    """
    matrix, targets = np.asarray(features), np.asarray(labels)
    probabilities = None if source_probabilities is None else np.asarray(source_probabilities)
    drawn = None if clusters is None else np.asarray(clusters)
    if drawn is not None and (drawn.shape != matrix.shape[:1] or drawn.dtype.kind not in "iu"):
        raise InvalidFeatures(f"clusters are {drawn.shape} of {drawn.dtype}; expected an integer for each of the rows")
    if targets.dtype.kind == "f":
        return Shard(matrix, targets=targets, source_probabilities=probabilities, clusters=drawn)
    return Shard(matrix, labels=targets, source_probabilities=probabilities, clusters=drawn)


def statistics_of(features: ArrayLike, labels: ArrayLike) -> FeatureStatistics:
    """Sums of features (n, D) and labels; the type of `labels` tells classes from real targets.

    Raises:
        InvalidFeatures: shapes or types do not fit together.
        FeaturesNotFinite: NaN or infinity.
    """
    return shard_of(features, labels).statistics()


def _estimate(score: Score, data: ScoringInput) -> Estimate:
    if score.tasks == frozenset({"classification"}) and not data.is_classification:
        raise ScoreNotApplicable(f"{score.title} is defined for classes, and the targets are real")
    try:
        estimate = score.estimate(data)
    except np.linalg.LinAlgError as error:
        raise InvalidFeatures(
            f"{score.title} cannot be computed: the features' moments are singular ({error})"
        ) from error
    if not np.isfinite(estimate.value):
        raise InvalidFeatures(f"{score.title} of these features is {estimate.value}; they span too many magnitudes")
    return estimate


def _with_interval(score: Score, estimate: Estimate, data: ScoringInput) -> ScoreValue:
    if estimate.influence is None:
        unreliable = estimate.optimism > _LARGEST_OPTIMISM
        return ScoreValue(value=estimate.value, raw=estimate.raw, unreliable=unreliable)
    found = replicates(estimate.value, estimate.influence(), data)
    ends = ends_of(estimate.value, found, score.lowest, score.highest)
    low, high = ends if ends is not None else (None, None)
    # The upper end may be cut at the score's limit.
    reach = _LARGEST_OPTIMISM if low is None else estimate.value - low
    return ScoreValue(
        value=estimate.value,
        low=low,
        high=high,
        raw=estimate.raw,
        unreliable=estimate.optimism > reach,
        replicates=tuple(found.tolist()),
    )


def _register_installed() -> None:
    """Other packages' scores. One that cannot be loaded is reported and left out: the others still work."""
    for entry in entry_points(group=ENTRY_POINTS):
        try:
            register(entry.load(), entry.name)
        except Exception as error:  # whatever another package's code may raise
            logging.getLogger(__name__).warning("score '%s' of another package is left out: %s", entry.name, error)


_register_installed()

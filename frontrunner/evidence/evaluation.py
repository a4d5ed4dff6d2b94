"""Whether a history, scores, or both order checkpoints as fine-tuning does.

Each dataset in turn is taken for new: its results are hidden, its checkpoints are ordered, and the order is judged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field
from scipy.stats import rankdata

from frontrunner.evidence.agreement import regret, weighted_tau
from frontrunner.evidence.combination import learn_reading
from frontrunner.evidence.errors import HistoryTooSmall
from frontrunner.evidence.history import History, normal_scores
from frontrunner.evidence.prior import Belief, Prior, fit_prior

Floats = NDArray[np.float64]
STATIC, PRIOR, WITH_SCORES = "static mean rank", "prior", "prior + scores"
# Two others are left to learn from once a dataset is hidden and, inside, another one.
_FEWEST_DATASETS = 4
_FEWEST_CHECKPOINTS = 5
# Normal quantile of 95%: intervals that should hold nine results of ten.
_Z90 = 1.6448536269514722
# A score that fewer of a dataset's checkpoints have would decide on which of them all others are judged.
_SHARE_WITH_SCORE = 0.5


class Judged(BaseModel):
    """One way to order checkpoints on one hidden dataset."""

    dataset: str
    checkpoints: int
    tau_w: float = Field(description="Weighted Kendall correlation with the results, -1 to 1.")
    regret_1: float = Field(description="Points lost by trying the first pick only.")
    regret_3: float = Field(description="Points lost by trying the first three.")
    coverage: float | None = Field(description="Share of results within the 90% intervals; None without intervals.")


class Verdict(BaseModel):
    """One way to order checkpoints, over all hidden datasets; standard errors are over datasets."""

    name: str
    tau_w: float
    tau_w_error: float
    better_than_static: float = Field(description="Mean difference of tau_w to the static mean rank's.")
    better_than_static_error: float
    regret_1: float
    regret_1_error: float
    regret_3: float
    regret_3_error: float
    coverage: float | None
    datasets: list[Judged]


class Comparison(BaseModel):
    """Ways to order that were judged on the same checkpoints of the same datasets."""

    datasets: int
    checkpoints: float = Field(description="Mean over datasets.")
    verdicts: list[Verdict]


class HistoryEvaluation(BaseModel):
    """Leave-one-dataset-out evaluation of a history."""

    results: int
    checkpoints: int
    datasets: int
    skipped: list[str] = Field(description="Datasets that judge nothing: too few checkpoints, or all alike.")
    left_out_scores: list[str] = Field(description="Scores that too few checkpoints have.")
    everywhere: Comparison = Field(description="Without scores, all results.")
    with_scores: Comparison | None = Field(description="Checkpoints that have the scores; None where none has.")


def evaluate_history(
    history: History, progress: Callable[[int, int], None] = lambda done, total: None
) -> HistoryEvaluation:
    """Hide the results of each dataset in turn and order its checkpoints by what the others say.

    Everything that is learned, shrinkage and weights alike, is learned from the other datasets.

    Args:
        history: results of one protocol.
        progress: told how many datasets are done, of how many.

    Raises:
        HistoryTooSmall: fewer than four datasets with five checkpoints that differ.
    """
    judges = [column for column in range(len(history.datasets)) if _judges(history.accuracy[:, column])]
    if len(judges) < _FEWEST_DATASETS:
        raise HistoryTooSmall(
            f"{len(judges)} datasets have {_FEWEST_CHECKPOINTS} checkpoints whose results differ; leaving one out and "
            f"learning from the others needs {_FEWEST_DATASETS}"
        )
    fit = _keeping(fit_prior)
    everywhere: dict[str, list[Judged]] = {}
    with_scores: dict[str, list[Judged]] = {}
    used: set[str] = set()
    for done, column in enumerate(judges):
        hidden = _Hidden(history, column, fit)
        for name, judged in hidden.judge_without_scores().items():
            everywhere.setdefault(name, []).append(judged)
        used.update(hidden.scores)
        for name, judged in hidden.judge_with_scores().items():
            with_scores.setdefault(name, []).append(judged)
        progress(done + 1, len(judges))
    return HistoryEvaluation(
        results=int(np.isfinite(history.accuracy).sum()),
        checkpoints=len(history.models),
        datasets=len(history.datasets),
        skipped=[name for column, name in enumerate(history.datasets) if column not in judges],
        left_out_scores=[name for name in history.scores if name not in used],
        everywhere=_comparison(everywhere),
        with_scores=_comparison(with_scores) if _common(with_scores) else None,
    )


def static_mean_rank(history: History) -> Floats:
    """(M,) Each checkpoint's mean rank over datasets, worst 0 to best 1; one that has no result is in the middle.

    Example:
        >>> from frontrunner.evidence.history import PastResult
        >>> results = {("a", "x"): 0.9, ("b", "x"): 0.8, ("a", "y"): 0.7, ("b", "y"): 0.5, ("c", "y"): 0.6}
        >>> rows = [PastResult(model=m, dataset=d, accuracy=value) for (m, d), value in results.items()]
        >>> static_mean_rank(History.of(rows)).round(3).tolist()
        [1.0, 0.417, 0.667]
    """
    ranks = np.full(history.accuracy.shape, np.nan)
    for column, results in enumerate(history.accuracy.T):
        known = np.isfinite(results)
        ranks[known, column] = rankdata(results[known]) / max(known.sum(), 1)
    count = np.isfinite(ranks).sum(axis=1)
    return np.where(count > 0, np.nansum(ranks, axis=1) / np.maximum(count, 1), 0.5)


class _Hidden:
    """A dataset whose results are hidden, and what the others say."""

    def __init__(self, history: History, column: int, fit: Callable[[History], Prior]) -> None:
        self.dataset = history.datasets[column]
        self.others = history.without(self.dataset)
        self.fit = fit
        self.accuracy = history.accuracy[:, column]
        self.rows = np.isfinite(self.accuracy)
        self.measured = {name: values[:, column] for name, values in history.scores.items()}
        needed = _SHARE_WITH_SCORE * self.rows.sum()
        self.scores = [name for name, p in self.measured.items() if np.isfinite(p[self.rows]).sum() >= needed]
        self.belief = fit(self.others).predict(history.models, history.checkpoints, history.sets[column])
        self.static = static_mean_rank(self.others)

    def judge_without_scores(self) -> dict[str, Judged]:
        """The static rank and the prior, on all results."""
        return self._both(self.rows)

    def judge_with_scores(self) -> dict[str, Judged]:
        """All ways, on checkpoints that have the scores; none where there is no score to learn about."""
        rows = self.rows & np.all([np.isfinite(self.measured[name]) for name in self.scores], axis=0)
        if not self.scores or not _judges(np.where(rows, self.accuracy, np.nan)):
            return {}
        try:
            reading = learn_reading(self.others, self.scores, self.fit)
        except HistoryTooSmall:
            return {}
        believed = Belief(self.belief.mean[rows], self.belief.deviation[rows])
        after = reading.update(believed, {name: self.measured[name][rows] for name in self.scores})
        single = {_title(name): self._judge(rows, self.measured[name][rows]) for name in self.scores}
        return self._both(rows) | single | {WITH_SCORES: self._judge(rows, after.mean, after.deviation)}

    def _both(self, rows: NDArray[np.bool_]) -> dict[str, Judged]:
        return {
            STATIC: self._judge(rows, self.static[rows]),
            PRIOR: self._judge(rows, self.belief.mean[rows], self.belief.deviation[rows]),
        }

    def _judge(self, rows: NDArray[np.bool_], predicted: Floats, deviation: Floats | None = None) -> Judged:
        results = self.accuracy[rows]
        coverage = None
        if deviation is not None:
            # Ranks are among these checkpoints, so the belief is centred on them.
            missed = np.abs(normal_scores(results) - (predicted - predicted.mean()))
            coverage = float((missed <= _Z90 * deviation).mean())
        return Judged(
            dataset=self.dataset,
            checkpoints=int(rows.sum()),
            tau_w=weighted_tau(predicted, results),
            regret_1=100 * regret(predicted, results),
            regret_3=100 * regret(predicted, results, top=3),
            coverage=coverage,
        )


def _title(score: str) -> str:
    """How a score's line is called, also where its column is called as one of our own ways is."""
    return f"{score} (column)" if score in (STATIC, PRIOR, WITH_SCORES) else score


def _judges(results: Floats) -> bool:
    """Whether results can tell a good order from a bad one."""
    known = results[np.isfinite(results)]
    return known.size >= _FEWEST_CHECKPOINTS and np.unique(known).size > 1


def _keeping(fit: Callable[[History], Prior]) -> Callable[[History], Prior]:
    """The fit, done once for each choice of datasets: hiding a, then b inside, is hiding b, then a."""
    kept: dict[tuple[str, ...], Prior] = {}

    def fitted(history: History) -> Prior:
        if history.datasets not in kept:
            kept[history.datasets] = fit(history)
        return kept[history.datasets]

    return fitted


def _common(judged: dict[str, list[Judged]]) -> set[str]:
    """Datasets on which every way was judged."""
    judged_on = [{entry.dataset for entry in entries} for entries in judged.values()]
    return set.intersection(*judged_on) if judged_on else set()


def _comparison(judged: dict[str, list[Judged]]) -> Comparison:
    """Means over the datasets on which every way was judged, so that they are comparable."""
    common = _common(judged)
    kept = {name: [entry for entry in entries if entry.dataset in common] for name, entries in judged.items()}
    static = [entry.tau_w for entry in kept[STATIC]]
    verdicts = [_verdict(name, entries, static) for name, entries in kept.items()]
    # Scores stand between the prior and the combination, in the order of the file.
    verdicts.sort(key=lambda verdict: verdict.name == WITH_SCORES)
    return Comparison(
        datasets=len(common),
        checkpoints=float(np.mean([entry.checkpoints for entry in kept[STATIC]])),
        verdicts=verdicts,
    )


def _verdict(name: str, entries: Sequence[Judged], static: Sequence[float]) -> Verdict:
    taus = [entry.tau_w for entry in entries]
    tau_w, tau_w_error = _mean(taus)
    better, better_error = _mean(np.subtract(taus, static).tolist())
    regret_1, regret_1_error = _mean([entry.regret_1 for entry in entries])
    regret_3, regret_3_error = _mean([entry.regret_3 for entry in entries])
    coverages = [entry.coverage for entry in entries if entry.coverage is not None]
    return Verdict(
        name=name,
        tau_w=tau_w,
        tau_w_error=tau_w_error,
        better_than_static=better,
        better_than_static_error=better_error,
        regret_1=regret_1,
        regret_1_error=regret_1_error,
        regret_3=regret_3,
        regret_3_error=regret_3_error,
        coverage=float(np.mean(coverages)) if coverages else None,
        datasets=list(entries),
    )


def _mean(values: Sequence[float]) -> tuple[float, float]:
    """Mean and its standard error; 0 where there is one value."""
    spread = float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0
    return float(np.mean(values)), spread

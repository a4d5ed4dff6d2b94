"""Regressions of all folds at once have the minima, and the predictions, of regressions one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from frontrunner.scores import logistic_folds
from frontrunner.scores.linear_probe import STRENGTHS
from frontrunner.scores.logistic_folds import TOLERANCE, _Regressions, _Vector, held_out_predictions
from frontrunner.scores.sampling import stratified_folds

# More rows than twice the features, fewer, and fewer than features.
SHAPES = [(240, 12, 4), (150, 90, 3), (60, 100, 2), (90, 100, 7)]


def made(n: int, dimension: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Standardised features in which classes overlap, classes and folds."""
    generator = np.random.default_rng(seed)
    codes = np.arange(n) % classes
    mixing = generator.normal(size=(dimension, dimension)) * np.geomspace(0.05, 2.0, dimension)
    features = generator.normal(size=(n, dimension)) @ mixing
    features += 0.5 * generator.normal(size=(classes, dimension))[codes]
    return StandardScaler().fit_transform(features).astype(np.float32), codes, stratified_folds(codes, 5)


def minima(
    features: np.ndarray, codes: np.ndarray, folds: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> list[tuple[_Vector, np.ndarray]]:
    """What is found at each penalty (F,) of the mean loss."""
    found: list[tuple[_Vector, np.ndarray]] = []
    search = _Regressions.minimum

    def watched(self: _Regressions, start: _Vector, penalty: np.ndarray) -> _Vector:
        found.append((search(self, start, penalty), penalty))
        return found[-1][0]

    monkeypatch.setattr(_Regressions, "minimum", watched)
    held_out_predictions(features, codes, folds, STRENGTHS)
    return found


@pytest.mark.parametrize("shape", SHAPES)
def test_the_gradient_at_every_minimum_is_within_the_tolerance(
    shape: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    features, codes, folds = made(*shape)
    wide = features.astype(np.float64)
    largest = 0.0
    for (at, penalties), strength in zip(minima(*made(*shape), monkeypatch), STRENGTHS, strict=True):
        for fold, penalty in enumerate(penalties):
            seen = folds != fold
            assert penalty == pytest.approx((2 if shape[2] == 2 else 1) / (strength * seen.sum()))
            weights = wide.T @ at.dual[fold].T.astype(np.float64)
            logits = wide @ weights
            np.testing.assert_allclose(at.logits[fold].T, logits, atol=1e-4 * np.abs(logits).max())
            error = softmax(logits[seen] + at.intercept[fold], axis=1) - np.eye(shape[2])[codes[seen]]
            by_weights = wide[seen].T @ error / seen.sum() + penalty * weights
            size = np.sqrt((by_weights**2).sum() + (error.mean(axis=0) ** 2).sum())
            assert size < 1.01 * TOLERANCE
            largest = max(largest, size)
    # And no steps are wasted.
    assert largest > 0.2 * TOLERANCE


@pytest.mark.parametrize("shape", SHAPES)
def test_predictions_are_those_of_scikit_learn_but_for_a_few_rows_near_a_border(shape: tuple[int, int, int]) -> None:
    features, codes, folds = made(*shape, seed=1)
    wide = features.astype(np.float64)
    for strength, found in zip(STRENGTHS, held_out_predictions(features, codes, folds, STRENGTHS), strict=True):
        expected = np.empty_like(codes)
        for fold in range(5):
            model = LogisticRegression(C=strength, tol=1e-7, max_iter=3000)
            expected[folds == fold] = model.fit(wide[folds != fold], codes[folds != fold]).predict(wide[folds == fold])
        assert (found != expected).mean() <= 0.02
        assert len(np.unique(expected)) > 1


def test_a_finer_tolerance_gives_the_minimum_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logistic_folds, "TOLERANCE", 3e-6)
    features, codes, folds = made(120, 30, 3)
    wide = features.astype(np.float64)
    for (at, _), strength in zip(minima(features, codes, folds, monkeypatch), STRENGTHS, strict=True):
        for fold in range(5):
            seen = folds != fold
            model = LogisticRegression(C=strength, tol=1e-9, max_iter=5000).fit(wide[seen], codes[seen])
            found = at.logits[fold].T + at.intercept[fold]
            np.testing.assert_allclose(log_softmax(found, axis=1), model.predict_log_proba(wide), atol=2e-3)


def test_a_class_without_a_row_in_training_is_never_predicted_and_two_that_are_left_have_the_penalty_of_two() -> None:
    features, codes, _ = made(40, 6, 2)
    codes = np.r_[codes, 2]
    features = np.r_[features, features[:1] + 0.5]
    folds = stratified_folds(codes, 5)
    alone = folds[-1]
    for strength, found in zip(STRENGTHS, held_out_predictions(features, codes, folds, STRENGTHS), strict=True):
        assert (found[folds == alone] != 2).all()
        seen = folds != alone
        model: Any = LogisticRegression(C=strength, tol=1e-9).fit(features[seen], codes[seen])
        assert (found[folds == alone] == model.predict(features[folds == alone])).all()


def test_a_fold_that_sees_one_class_predicts_it() -> None:
    features = np.array([[1.0], [-1.0]], dtype=np.float32)
    codes = np.array([0, 1])
    with np.errstate(all="raise", under="ignore"):
        found = held_out_predictions(features, codes, codes, STRENGTHS)
    assert found.tolist() == [[1, 0]] * len(STRENGTHS)


def test_features_that_do_not_vary_leave_the_shares_of_the_classes() -> None:
    codes = np.repeat([0, 1, 2], [5, 25, 10])
    with np.errstate(all="raise", under="ignore"):
        found = held_out_predictions(np.zeros((40, 3), np.float32), codes, stratified_folds(codes, 5), STRENGTHS)
    assert (found == 1).all()


def test_folds_one_by_one_have_the_predictions_of_folds_together(monkeypatch: pytest.MonkeyPatch) -> None:
    features, codes, folds = made(90, 40, 3)
    together = held_out_predictions(features, codes, folds, STRENGTHS)
    for elements in (1, 2 * 90 * 3):
        monkeypatch.setattr(logistic_folds, "_ELEMENTS", elements)
        found = held_out_predictions(features, codes, folds, STRENGTHS)
        assert (found != together).mean() < 0.01

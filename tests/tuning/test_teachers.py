"""Facts about B-Tuning, distillation and ensembles: what a student learns from teachers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from sklearn.model_selection import StratifiedKFold

from frontrunner.errors import TooFewExamples
from frontrunner.hub import describe_directory
from frontrunner.hub.opening.open import open_checkpoint
from frontrunner.progress import Stage
from frontrunner.scores.posterior import posterior
from frontrunner.statistics import FeatureStatistics
from frontrunner.tuning.methods import build
from frontrunner.tuning.methods.b_tuning import teachers_prediction
from frontrunner.tuning.methods.distill import probe_answers
from frontrunner.tuning.methods.ensemble import log_mean_probability
from frontrunner.tuning.networks.reading import read_plain
from frontrunner.tuning.options import BTuningOptions, DistillOptions, EnsembleOptions, FinetuneOptions
from frontrunner.tuning.training.loop import TrainingData, train
from frontrunner.tuning.training.method import Batch
from frontrunner.tuning.training.state import StateFile
from tests.tuning.builders import Recorded, coloured_images, context, schedule

N = 30


@pytest.fixture
def images():
    return coloured_images(N)


def whole(images):
    rows = torch.arange(N)
    return Batch(rows, images.plain(rows), images.labels, None, 0.0)


def model(features, images):
    return posterior(FeatureStatistics().update(features, labels=images.labels.numpy()))


def dense_posterior_mean(features, labels, found):
    """m_c = beta_c (alpha_c I + beta_c F'F)^-1 F'y_c, a column at a time."""
    features = features.astype(np.float64)
    columns = []
    for column, (alpha, beta) in enumerate(zip(found.evidence.alpha, found.evidence.beta, strict=True)):
        system = alpha * np.eye(features.shape[1]) + beta * features.T @ features
        columns.append(beta * np.linalg.solve(system, features.T @ (labels == column).astype(float)))
    return np.column_stack(columns)


def test_the_target_of_b_tuning_is_the_hand_computed_one():
    predictions = [np.array([[1.0, 0.0]]), np.array([[0.0, 2.0]])]
    found = teachers_prediction([0.3, 0.1], predictions, temperature=0.1)
    first = np.exp(3) / (np.exp(3) + np.exp(1))
    assert found == pytest.approx(np.array([[first, 2 * (1 - first)]]))


def test_the_loss_of_b_tuning_is_its_definition_from_dense_algebra(tmp_path, zoo, images):
    """pi = softmax(LogME / T), phi_k m_k by normal equations, the student's own m_t on its pretrained features."""
    method = build(context(BTuningOptions(strength=7.0), tmp_path, images, zoo[0], zoo))
    method.module.eval()
    labels = images.labels.numpy()
    predictions, scores = [], []
    for teacher in zoo:
        features = read_plain(open_checkpoint(teacher), images).features
        found = model(features, images)
        predictions.append(features @ dense_posterior_mean(features, labels, found))
        scores.append(found.evidence.score)
    shares = np.exp(np.array(scores) / 0.1)
    target = np.tensordot(shares / shares.sum(), np.stack(predictions), axes=1)
    own = read_plain(open_checkpoint(zoo[0]), images).features
    predicted = own @ dense_posterior_mean(own, labels, model(own, images))
    expected = 7.0 * np.mean((predicted - target) ** 2)
    assert float(method.loss(whole(images)).parts["bayes"].detach()) == pytest.approx(expected, rel=1e-3)


def test_by_default_b_tuning_weighs_each_class_alike_as_many_times_as_there_are_classes(tmp_path, zoo, images):
    """The strength is the number of classes, three here: as 100 is in the source, where there are about a hundred."""
    parts = []
    for options in (BTuningOptions(), BTuningOptions(strength=1.0)):
        method = build(context(options, tmp_path, images, zoo[0], zoo))
        method.module.eval()
        parts.append(float(method.loss(whole(images)).parts["bayes"].detach()))
    assert parts[1] > 0
    assert parts[0] == pytest.approx(3 * parts[1], rel=1e-5)


def test_the_default_temperature_of_b_tuning_is_a_tenth(tmp_path, zoo, images):
    """Two teachers apart by d in LogME share their prediction by 1 / (1 + exp(-10 d))."""
    given = context(BTuningOptions(strength=1.0), tmp_path, images, zoo[0], zoo[1:])
    method = build(given)
    method.module.eval()
    models = [model(given.extract(teacher).features, images) for teacher in zoo[1:]]
    apart = models[0].evidence.score - models[1].evidence.score
    assert abs(apart) > 1e-3  # else any temperature would do
    share = 1 / (1 + np.exp(-10 * apart))
    first, second = (m.predict_mean(given.extract(t).features) for m, t in zip(models, zoo[1:], strict=True))
    own = given.extract(zoo[0]).features
    distance = own @ model(own, images).mean - share * first - (1 - share) * second
    found = float(method.loss(whole(images)).parts["bayes"].detach())
    assert found == pytest.approx(np.mean(distance**2), rel=1e-3)


def test_a_student_who_is_its_own_only_teacher_starts_without_a_difference(tmp_path, zoo, images):
    method = build(context(BTuningOptions(), tmp_path, images, zoo[0], (zoo[0],)))
    method.module.eval()
    assert float(method.loss(whole(images)).parts["bayes"].detach()) == pytest.approx(0, abs=1e-6)


def test_teachers_are_read_once_and_may_be_of_any_library(tmp_path, zoo, hub, images):
    other = describe_directory(hub / "mobilenet")
    heard = Recorded()
    given = context(BTuningOptions(), tmp_path, images, zoo[0], (zoo[1], other), progress=heard)
    first = given.extract(other)
    assert first.features.shape[0] == N
    assert heard.advances == [(Stage.READ, N, N, other.id)]
    assert np.array_equal(given.extract(other).features, first.features)
    assert len(heard.advances) == 1
    assert np.isfinite(float(build(given).loss(whole(images)).parts["bayes"].detach()))


def test_distilled_features_are_predicted_through_learned_maps(tmp_path, zoo, images):
    method = build(context(DistillOptions(feature_strength=3.0), tmp_path, images, zoo[0], zoo[1:]))
    method.module.eval()
    student = method.module.student.features(images.plain(torch.arange(N)))
    distances = []
    for projection, teacher in zip(method.module.projections, zoo[1:], strict=True):
        features = read_plain(open_checkpoint(teacher), images).features.astype(np.float64)
        wanted = (features - features.mean(0)) / np.maximum(features.std(0), 1e-6)
        distances.append(float(((projection(student).detach() - torch.from_numpy(wanted)) ** 2).mean()))
    found = method.loss(whole(images)).parts
    assert float(found["features"].detach()) == pytest.approx(3 * np.mean(distances), rel=1e-4)
    assert float(found["answers"].detach()) > 0
    trained = {id(weight) for weight in method.parameters()}
    assert all(id(projection.weight) in trained for projection in method.module.projections)


def test_distilled_answers_are_the_mean_of_the_teachers_probes_softened_and_half_of_their_divergence(
    tmp_path, zoo, images
):
    """p^(1/T) / sum of p^(1/T) is the softened answer; T^2 KL from the student's softened one, T 2, weighed by 1/2."""
    given = context(DistillOptions(), tmp_path, images, zoo[0], zoo[1:])
    method = build(given)
    method.module.eval()
    labels, answers = images.labels.numpy(), []
    for teacher in zoo[1:]:
        features = given.extract(teacher).features.astype(np.float64)
        answers.append(probe_answers((features - features.mean(0)) / features.std(0).clip(1e-6), labels, 3, seed=0))
    roots = np.sqrt((answers[0] + answers[1]) / 2)
    wanted = roots / roots.sum(axis=1, keepdims=True)
    with torch.no_grad():
        outcome = method.loss(whole(images))
    softened = (outcome.logits.double() / 2).softmax(dim=1).numpy()
    divergence = (wanted * np.log(wanted / softened)).sum(axis=1).mean()
    assert float(outcome.parts["answers"]) == pytest.approx(0.5 * 4 * divergence, rel=1e-4)


def test_by_default_the_distance_of_distilled_features_counts_once_and_its_maps_learn_as_the_head(
    tmp_path, zoo, images
):
    found = []
    for options in (DistillOptions(), DistillOptions(feature_strength=1.0)):
        method = build(context(options, tmp_path, images, zoo[0], zoo[1:]))
        method.module.eval()
        found.append(float(method.loss(whole(images)).parts["features"].detach()))
    assert found[0] == found[1]
    maps = {id(weight) for weight in method.module.projections.parameters()}
    assert {group.rate for group in method.groups for weight in group.weights if id(weight) in maps} == {10.0}


def test_a_probe_is_a_logistic_regression_with_a_penalty_fitted_on_four_fifths():
    """The minimum of |w|^2 / 2 + C sum of losses, C = 0.1 and the intercept free, found by a general solver."""
    generator = np.random.default_rng(0)
    labels = np.arange(40) % 2
    features = generator.normal(size=(40, 2)) + labels[:, None]
    found = probe_answers(features, labels, 2, seed=3)
    for seen, asked in StratifiedKFold(5, shuffle=True, random_state=3).split(features, labels):
        x, sign = features[seen], 2 * labels[seen] - 1

        def loss(w, x=x, sign=sign):
            return w[:2] @ w[:2] / 2 + 0.1 * np.logaddexp(0, -sign * (x @ w[:2] + w[2])).sum()

        w = minimize(loss, np.zeros(3), tol=1e-10).x
        assert found[asked, 1] == pytest.approx(1 / (1 + np.exp(-features[asked] @ w[:2] - w[2])), abs=1e-3)


def test_with_fewer_images_of_a_class_than_folds_there_are_as_many_folds_as_images():
    labels = np.array([0, 0, 0, 1, 1, 1])
    answers = probe_answers(np.linspace(-3, 3, 6)[:, None], labels, 2, seed=0)
    assert answers.sum(axis=1) == pytest.approx(np.ones(6))


def test_a_probe_speaks_of_images_it_has_not_seen():
    """Features that only tell which image it is give a probe nothing for an image left out."""
    labels = np.arange(40) % 2
    remembered = probe_answers(np.eye(40) * 10, labels, 2, seed=0)
    told = probe_answers(labels[:, None] * 4.0 + np.random.default_rng(0).normal(size=(40, 1)) * 0.1, labels, 2, seed=0)
    assert np.abs(remembered[:, 1] - 0.5).max() < 0.1
    assert (told.argmax(axis=1) == labels).all()
    assert told.sum(axis=1) == pytest.approx(np.ones(40))


def test_distillation_needs_two_images_of_each_class():
    with pytest.raises(TooFewExamples, match="two training images"):
        probe_answers(np.eye(3), np.array([0, 0, 1]), 2, seed=0)


def test_members_of_an_ensemble_learn_what_they_would_learn_alone(tmp_path, zoo, images):
    """The first member's head is drawn at the place of a single student's, so both runs are the same training."""
    together = build(context(EnsembleOptions(), tmp_path, images, teachers=zoo[:2]))
    train(together, TrainingData(images), schedule(learning_rate=0.001), StateFile(tmp_path / "a.pt", "a"))
    alone = build(context(FinetuneOptions(), tmp_path, images, zoo[0]))
    train(alone, TrainingData(images), schedule(learning_rate=0.001), StateFile(tmp_path / "b.pt", "b"))
    member = together.models()["member-0"]
    for name, value in alone.module.state_dict().items():
        torch.testing.assert_close(member.state_dict()[name], value, rtol=0, atol=1e-6)


def test_an_ensemble_answers_with_the_mean_of_probabilities():
    first, second = torch.tensor([[2.0, 0.0, -1.0]]), torch.tensor([[0.0, 1.0, 5.0]])
    mean = (first.softmax(dim=1) + second.softmax(dim=1)) / 2
    torch.testing.assert_close(log_mean_probability([first, second]).softmax(dim=1), mean)
    torch.testing.assert_close(log_mean_probability([first, second]).exp().sum(), torch.tensor(1.0))

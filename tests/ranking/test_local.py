"""Rankings in this process."""

from __future__ import annotations

import contextlib
import shutil

import numpy as np
import pytest

from frontrunner import errors, logme
from frontrunner.data import open_dataset
from frontrunner.progress import Silent
from frontrunner.ranking import RankingRequest, rank
from frontrunner.ranking.extension import extension_of
from frontrunner.settings import Settings
from tests.conftest import class_images, write_zip


@pytest.fixture
def settings(tmp_path):
    return Settings(home=tmp_path / "home", packages=False)


def test_the_ranking_is_ordered_by_the_score_and_says_where_it_comes_from(colours, hub, settings):
    ranking = rank(colours, hub=hub, settings=settings, request=RankingRequest(scores=("logme",)))
    values = [line.scores["logme"].value for line in ranking.ranking]
    assert values == sorted(values, reverse=True)
    assert [line.rank for line in ranking.ranking] == [1, 2, 3]
    assert {line.checkpoint for line in ranking.ranking} == {"local:resnet", "local:vit", "local:mobilenet"}
    assert ranking.dataset.train_examples == 80
    assert ranking.provenance.seed == 0
    assert ranking.provenance.max_examples == 5000
    assert ranking.ranking[0].checkpoint in ranking.summary


def test_a_second_ranking_of_the_same_data_runs_no_forward_pass(colours, hub, settings):
    first = rank(colours, hub=hub, settings=settings)
    second = rank(colours, hub=hub, settings=settings)
    assert [line.forward_examples for line in first.ranking] == [80, 80, 80]
    assert [line.forward_examples for line in second.ranking] == [0, 0, 0]
    assert [line.scores for line in second.ranking] == [line.scores for line in first.ranking]


def test_another_score_of_cached_features_runs_no_forward_pass(colours, hub, settings):
    rank(colours, hub=hub, settings=settings)
    again = rank(colours, hub=hub, settings=settings, request=RankingRequest(scores=("h_score", "logme")))
    assert [line.forward_examples for line in again.ranking] == [0, 0, 0]
    assert again.provenance.ordered_by == "h_score"


def test_precomputed_features_rank_by_the_librarys_own_numbers(tmp_path, settings):
    generator = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 40)
    sets = {"noise": generator.normal(size=(120, 6)), "good": generator.normal(size=(120, 9)) + labels[:, None]}
    path = tmp_path / "f.npz"
    np.savez(path, labels=labels, **sets)
    ranking = rank(path, settings=settings)
    assert [line.checkpoint for line in ranking.ranking] == ["features:good", "features:noise"]
    for line in ranking.ranking:
        expected = logme(sets[line.checkpoint.removeprefix("features:")].astype(np.float32), labels)
        assert line.scores["logme"].value == pytest.approx(expected, rel=1e-9)


def test_a_sample_is_as_large_as_asked_and_the_same_each_time(colours, hub, settings, tmp_path):
    request = RankingRequest(max_examples=40, checkpoints=("local:resnet",))
    one = rank(colours, hub=hub, settings=settings, request=request)
    other = rank(colours, hub=hub, settings=Settings(home=tmp_path / "other", packages=False), request=request)
    assert one.ranking[0].examples == 40
    assert one.ranking[0].scores == other.ranking[0].scores


def test_checkpoints_that_fail_are_skipped_with_their_reason_and_the_others_ranked(colours, hub, settings, tmp_path):
    mixed = tmp_path / "mixed"
    shutil.copytree(hub, mixed)
    shutil.copytree(hub / "resnet", mixed / "misfit")
    config = (mixed / "misfit" / "config.json").read_text()
    (mixed / "misfit" / "config.json").write_text(config.replace('"test_resnet"', '"test_vit"'))
    shutil.copytree(hub / "resnet", mixed / "cut")
    weights = (mixed / "cut" / "model.safetensors").read_bytes()
    (mixed / "cut" / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    ranking = rank(colours, hub=mixed, settings=settings)
    assert len(ranking.ranking) == 3
    assert {s.checkpoint: s.code for s in ranking.skipped} == {
        "local:cut": "checkpoint_unreadable",
        "local:misfit": "checkpoint_unreadable",
    }


def test_checkpoints_of_another_modality_are_skipped(tmp_path, hub, settings):
    path = tmp_path / "texts.csv"
    path.write_text("text,label\n" + "".join(f"hello {i},{i % 2}\n" for i in range(60)))
    with pytest.raises(errors.NothingRanked, match="reads image"):
        rank(path, hub=hub, settings=settings)


def test_no_hub_at_all_says_what_to_do(colours, settings):
    with pytest.raises(errors.NoCheckpoints, match="--hub"):
        rank(colours, settings=settings)


def test_an_unknown_checkpoint_is_named(colours, hub, settings):
    with pytest.raises(errors.CheckpointNotFound, match="local:nope"):
        rank(colours, hub=hub, settings=settings, request=RankingRequest(checkpoints=("local:nope",)))


def test_unreadable_images_do_not_change_the_ranking_of_the_others(hub, settings, tmp_path):
    files = class_images(2, 30)
    clean = write_zip(tmp_path / "clean.zip", files)
    dirty = write_zip(tmp_path / "dirty.zip", files | {"train/class-0/zzz.png": b"broken"})
    one = rank(clean, hub=hub, settings=settings)
    two = rank(dirty, hub=hub, settings=settings)
    assert two.dataset.unreadable == 1
    assert [line.scores for line in one.ranking] == [line.scores for line in two.ranking]


def test_pictures_in_classes_are_ranked_by_what_their_checkpoints_are_predicted_to_reach(colours, hub, settings):
    ranking = rank(colours, hub=hub, settings=settings)
    assert ranking.provenance.scores == ("predicted_accuracy", "logme")
    predictions = [line.prediction for line in ranking.ranking]
    reached = [prediction.accuracy for prediction in predictions]
    assert reached == sorted(reached, reverse=True)
    assert reached == [pytest.approx(line.scores["predicted_accuracy"].value) for line in ranking.ranking]
    assert sum(prediction.probability_best for prediction in predictions) == pytest.approx(1.0)
    assert all(prediction.low < prediction.accuracy < prediction.high for prediction in predictions)
    # Eighty pictures and checkpoints of some thousand parameters: nothing like it is in the evidence.
    assert all(prediction.unlike_evidence for prediction in predictions)
    assert "beyond the evidence" in ranking.summary


def test_an_adaptation_without_evidence_is_ranked_by_logme_and_its_prediction_is_refused(colours, hub, settings):
    ranking = rank(colours, hub=hub, settings=settings, request=RankingRequest(adaptation="lora"))
    assert ranking.provenance.scores == ("logme",)
    assert [line.prediction for line in ranking.ranking] == [None] * 3
    asked = RankingRequest(adaptation="lora", scores=("logme", "predicted_accuracy"))
    ranking = rank(colours, hub=hub, settings=settings, request=asked)
    assert {line.not_applicable["predicted_accuracy"].code for line in ranking.ranking} == {"score_not_applicable"}


def test_the_smallest_of_equals_and_better_ones_is_pareto_optimal(colours, hub, settings):
    ranking = rank(colours, hub=hub, settings=settings, request=RankingRequest(scores=("logme",)))
    best = ranking.ranking[0]
    assert best.pareto_optimal
    for line in ranking.ranking:
        dominated = any(
            other.parameters <= line.parameters and other.scores["logme"].value > line.scores["logme"].value
            for other in ranking.ranking
        )
        assert line.pareto_optimal == (not dominated)


def test_the_sample_never_touches_the_test_split(colours, hub, settings):
    ranking = rank(colours, hub=hub, settings=settings)
    assert {line.examples for line in ranking.ranking} == {len(open_dataset(colours).train)}


@pytest.mark.pack
def test_all_thirteen_vision_checkpoints_of_the_pack_are_ranked_and_the_collapsed_one_comes_last(pack, settings):
    ranking = rank(
        pack / "datasets" / "flowers5" / "flowers5.zip",
        hub=pack / "hub",
        settings=settings,
        request=RankingRequest(max_examples=100),
    )
    assert len(ranking.ranking) == 13
    assert ranking.ranking[-1].checkpoint == "local:mobilenetv1_025_96.mlperf_vww"
    assert [(s.checkpoint, s.code) for s in ranking.skipped] == [
        ("local:paraphrase-MiniLM-L3-v2-trimvocab", "modality_mismatch")
    ]


@pytest.fixture
def many_colours(tmp_path):
    """Images of three colours, enough for several rounds of a race."""
    return write_zip(tmp_path / "many.zip", class_images(3, 100))


def test_a_budget_reads_less_and_says_who_left_when_and_why(many_colours, hub, settings):
    ranking = rank(many_colours, hub=hub, settings=settings, request=RankingRequest(budget="40%"))
    spent = ranking.budget
    assert spent is not None
    assert spent.spent <= 0.4
    assert ranking.ranking[0].checkpoint == spent.pick
    assert sum(stage.forward_examples for stage in spent.stages) < 3 * 300
    gone = {each.checkpoint for stage in spent.stages for each in stage.left}
    assert gone | set(spent.inside) == {"local:resnet", "local:vit", "local:mobilenet"}
    assert f"{spent.probability_best:.2f}" in ranking.summary
    read = [line.examples for line in ranking.ranking]
    assert read == sorted(read, reverse=True)


def test_a_race_that_was_interrupted_ends_as_if_it_had_not_been(many_colours, hub, settings, tmp_path):
    request = RankingRequest(budget="60%")

    class Interruption(Exception):
        pass

    class Impatient(Silent):
        left = 0

        def safe_point(self):
            self.left -= 1
            if self.left < 0:
                raise Interruption

    whole = rank(many_colours, hub=hub, settings=Settings(home=tmp_path / "other", packages=False), request=request)
    for patience in range(1, 9):
        listener = Impatient()
        listener.left = patience
        with contextlib.suppress(Interruption):
            rank(many_colours, hub=hub, settings=settings, request=request, progress=listener)
    again = rank(many_colours, hub=hub, settings=settings, request=request)
    assert whole.budget is not None
    assert again.budget is not None
    assert (again.budget.pick, again.budget.inside) == (whole.budget.pick, whole.budget.inside)
    assert again.budget.spent == pytest.approx(whole.budget.spent)
    for one, other in zip(again.ranking, whole.ranking, strict=True):
        assert one.scores["logme"].value == pytest.approx(other.scores["logme"].value, rel=1e-6)


def test_stages_are_told_as_they_end(many_colours, hub, settings):
    told = []

    class Listener(Silent):
        def event(self, event):
            told.append(event)

    request = RankingRequest(budget="70%")
    ranking = rank(many_colours, hub=hub, settings=settings, request=request, progress=Listener())
    assert ranking.budget is not None
    assert [event for event in told if event.type == "stage"] == ranking.budget.stages


def test_a_ranking_without_a_budget_says_nothing_of_one(colours, hub, settings):
    ranking = rank(colours, hub=hub, settings=settings)
    assert ranking.budget is None
    assert "budget" not in ranking.model_dump()


def test_a_ranking_without_baselines_is_extended_without_them(colours, hub, settings):
    """Predicted accuracy rests on kNN, which is then there without having been asked for as a baseline."""
    request = RankingRequest(checkpoints=("local:resnet",), baselines=False)
    ranking = rank(colours, hub=hub, settings=settings, request=request)
    assert "knn" in ranking.provenance.score_versions
    again = extension_of(ranking, ["local:vit"])
    assert (again.baselines, again.checkpoints) == (False, ("local:resnet", "local:vit"))
    assert extension_of(ranking.model_copy(deep=True)).scores == ranking.provenance.scores

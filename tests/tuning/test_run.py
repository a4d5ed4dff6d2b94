"""Facts about whole tunings, from a payload to files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from frontrunner.hub import describe_directory
from frontrunner.hub.describing.card import read_card
from frontrunner.hub.opening.open import open_checkpoint
from frontrunner.progress import Stage
from frontrunner.ranking import RankingRequest, rank
from frontrunner.settings import Settings
from frontrunner.tuning import METHODS, TuningOutput
from frontrunner.tuning.examples.images import decode_images
from frontrunner.tuning.options import RATES
from frontrunner.tuning.run import fit, run_tuning
from frontrunner.tuning.training.sweep import best_rate, trial
from tests.conftest import encode, write_zip
from tests.tuning.builders import (
    Recorded,
    coloured_pixels,
    coloured_zip,
    image_classifier,
    payload,
    payload_for,
    reference,
    schedule,
)

# Bytes that the little transformer keeps of one image for its backward pass: its linear maps' inputs, above all.
ACTIVATIONS = 123_150


@pytest.mark.parametrize("name", METHODS)
def test_every_method_tunes_reports_and_exports(tmp_path, zoo, vits, colour_task, name):
    work = payload_for(name, colour_task, vits if name == "lora" else zoo, tmp_path)
    heard = Recorded()
    output = run_tuning(work, heard)
    assert TuningOutput.model_validate_json(output.model_dump_json()) == output
    assert heard.counts(Stage.TRAIN)[-1] == (54, 54)
    assert heard.counts(Stage.EXPORT)[-1] == (1 + len(output.models), 1 + len(output.models))
    assert (Stage.DECODE, 27, 27, "task.zip train") in heard.advances
    assert (output.method, output.ended, output.epochs) == (name, "completed", 2)
    assert (output.train_examples, output.validation_examples, output.metrics.examples) == (27, 3, 12)
    assert sum(map(sum, output.metrics.confusion)) == 12
    assert [(point.epoch, point.split) for point in output.curve][:2] == [(1, "train"), (1, "validation")]
    assert set(load_file(work.work_dir / output.weights))
    members = {"ensemble": 3, "hub_pathway": 3, "zoo_tuning": 0}.get(name, 1)
    assert len(output.models) == members
    for model in output.models:
        opened = open_checkpoint(describe_directory(work.work_dir / model.folder))
        assert opened.module.num_classes == 3
    assert bool(output.generalisation) == (members == 1)
    weighed = name in ("b_tuning", "zoo_tuning", "lite_zoo_tuning", "hub_pathway")
    assert set(output.teacher_weights) == ({teacher.id for teacher in work.teachers} if weighed else set())
    assert "## Parents and their licences" in (work.work_dir / "README.md").read_text()


def test_a_tuned_model_learns_and_answers_from_the_hub_as_it_was_measured(tmp_path, zoo, colour_task):
    """Opened by its folder alone, it makes the reported confusion again from the test images."""
    work = payload("finetune", colour_task, zoo[0], (), tmp_path, epochs=6, learning_rate=0.01)
    output = run_tuning(work)
    assert output.metrics.accuracy.value >= 0.75
    description = describe_directory(work.work_dir / "model")
    opened = open_checkpoint(description)
    from frontrunner.data import open_dataset

    dataset = open_dataset(colour_task)
    images = decode_images(dataset.inputs, dataset.test, 32, tmp_path / "again.npy")
    with torch.inference_mode():
        answered = opened.module((images.plain(torch.arange(12)) - 0.5) / 0.5).argmax(dim=1)
    confusion = np.zeros((3, 3), dtype=int)
    np.add.at(confusion, (images.labels.numpy(), answered.numpy()), 1)
    assert confusion.tolist() == output.metrics.confusion
    config = json.loads((work.work_dir / "model" / "config.json").read_text())
    assert config["label_names"] == ["class-0", "class-1", "class-2"]
    assert config["provenance"]["parents"] == {zoo[0].id: zoo[0].digest}
    assert description.input_size == 32


def test_a_tuned_model_can_be_ranked_and_tuned_again(tmp_path, zoo, colour_task):
    work = payload("lite_zoo_tuning", colour_task, None, zoo, tmp_path)
    run_tuning(work)
    settings = Settings(home=tmp_path / "home", packages=False)
    ranking = rank(
        colour_task, hub=[work.work_dir / "model"], settings=settings, request=RankingRequest(baselines=False)
    )
    assert [line.checkpoint for line in ranking.ranking] == ["local:model"]
    again = payload("l2_sp", colour_task, describe_directory(work.work_dir / "model"), (), tmp_path, epochs=1)
    assert run_tuning(again).epochs == 1


def test_the_card_states_parents_licence_and_results(tmp_path, zoo, colour_task):
    work = payload("b_tuning", colour_task, zoo[0], zoo, tmp_path)
    licensed = tuple(found.model_copy(update={"license": "Apache-2.0"}) for found in zoo)
    work = work.model_copy(update={"student": licensed[0], "teachers": licensed})
    run_tuning(work)
    card = read_card(work.work_dir / "model" / "README.md")
    assert (card.license, card.pretraining, card.base_model) == ("apache-2.0", "task.zip", zoo[0].id)
    assert "b_tuning" in card.tags
    text = (work.work_dir / "model" / "README.md").read_text()
    assert "strength by default, temperature 0.1" in text
    assert describe_directory(work.work_dir / "model").license == "Apache-2.0"


def test_a_finished_tuning_is_not_done_again(tmp_path, zoo, colour_task):
    work = payload("linear_probe", colour_task, zoo[0], (), tmp_path)
    first = run_tuning(work)
    heard = Recorded()
    assert run_tuning(work, heard) == first
    assert (heard.advances, heard.events) == ([], [])


def test_what_is_no_plain_model_is_opened_by_its_payload(tmp_path, zoo, colour_task):
    """A trained zoo is put together again without training, and answers as it was measured."""
    work = payload("zoo_tuning", colour_task, None, zoo, tmp_path)
    output = run_tuning(work)
    assert list(work.work_dir.glob("*.npy")) == []
    heard = Recorded()
    again = fit(work, heard)
    assert heard.events == []
    assert again.metrics() == output.metrics
    stored = load_file(work.work_dir / output.weights)
    assert all(torch.equal(value, stored[name]) for name, value in again.method.module.state_dict().items())


def test_without_a_learning_rate_a_sweep_of_short_trials_picks_one(tmp_path, zoo, colour_task):
    work = payload("finetune", colour_task, zoo[0], (), tmp_path, learning_rate=None)
    heard = Recorded()
    output = run_tuning(work, heard)
    trained, points = heard.counts(Stage.TRAIN), heard.events
    assert list(output.sweep) == [f"{rate:g}" for rate in RATES["sgd"]]
    trials = json.loads((work.work_dir / "trials.json").read_bytes())
    assert output.sweep == pytest.approx({rate: np.mean(losses) for rate, losses in trials.items()})
    assert {len(losses) for losses in trials.values()} == {output.validation_examples}
    assert output.learning_rate == float(min(output.sweep, key=output.sweep.get))  # three examples tell no more
    assert {total for _, total in trained} == {27 * (3 * 2 + 2)}
    assert trained[-1] == (27 * (3 * 2 + 2), 27 * (3 * 2 + 2))
    assert sorted(trained) == trained
    swept = {(point.stage, point.learning_rate) for point in points if point.stage != "training"}
    assert swept == {(f"sweep {rate:g}", rate) for rate in RATES["sgd"]}  # not annealed: a longer training is not


def test_the_highest_rate_that_is_not_worse_beyond_chance_is_taken():
    draw = np.random.default_rng(0)
    lowest, noise = draw.uniform(0, 2, 60), draw.normal(0, 0.5, 60)
    noise -= noise.mean()
    error = noise.std(ddof=1) / 60**0.5
    for apart, rate in ((0.9, 0.003), (1.1, 0.001)):
        found = {"0.0003": lowest + 5, "0.001": lowest, "0.003": lowest + noise + apart * error, "0.01": None}
        assert best_rate(found) == rate
    assert best_rate({"0.001": [0.5], "0.003": [0.50001]}) == 0.001  # a training split's loss: nothing to pair


def test_a_trial_is_as_few_epochs_as_make_up_twenty_steps():
    for examples, batch, epochs, expected in ((340, 32, 5, 2), (10_000, 32, 5, 1), (3, 32, 5, 5), (3, 32, 50, 20)):
        assert trial(schedule(epochs=epochs, batch_size=batch), examples).epochs == expected


def test_a_sweep_does_not_move_where_training_starts(tmp_path, zoo, colour_task):
    swept = payload("finetune", colour_task, zoo[0], (), tmp_path, learning_rate=None)
    output = run_tuning(swept)
    told = payload("finetune", colour_task, zoo[0], (), tmp_path, learning_rate=output.learning_rate)
    run_tuning(told)
    first, second = (load_file(work.work_dir / "tuned.safetensors") for work in (swept, told))
    for name, value in first.items():
        torch.testing.assert_close(second[name], value, rtol=0, atol=1e-6)


def test_a_budget_decides_once_how_many_epochs_are_trained(tmp_path, zoo, colour_task):
    """Far too little is one epoch, far more than enough all of them; what was found holds when it goes on elsewhere."""
    for budget, epochs in ((0.001, 1), (1e6, 3)):
        work = payload("finetune", colour_task, zoo[0], (), tmp_path, epochs=3, budget_s=budget)
        assert run_tuning(work).epochs == epochs
    work = payload("finetune", colour_task, zoo[0], (), tmp_path, epochs=3, budget_s=2e6)
    work.work_dir.mkdir()
    (work.work_dir / "epochs.json").write_text("2")
    assert run_tuning(work).epochs == 2


def test_a_timing_that_was_cut_off_is_done_again(tmp_path, zoo, colour_task, monkeypatch):
    """Killed after its last step: the state that it left behind says that there is nothing to do."""
    work = payload("finetune", colour_task, zoo[0], (), tmp_path, budget_s=1e6)
    with monkeypatch.context() as killed:
        killed.setattr("frontrunner.tuning.training.budget.answers", lambda *_: pytest.fail("killed"))
        killed.setattr(Path, "unlink", lambda path, **_: None)
        with pytest.raises(pytest.fail.Exception):
            run_tuning(work)
    assert (work.work_dir / "timing.pt").is_file()
    assert run_tuning(work).epochs == 2


def test_the_timing_for_a_budget_leaves_no_trace_in_the_weights(tmp_path, zoo, colour_task):
    works = [payload("finetune", colour_task, zoo[0], (), tmp_path, budget_s=budget) for budget in (None, 1e6)]
    for work in works:
        run_tuning(work)
    first, second = (load_file(work.work_dir / "tuned.safetensors") for work in works)
    assert all(torch.equal(second[name], value) for name, value in first.items())


def test_one_epoch_on_three_images_works(tmp_path, zoo):
    data = coloured_zip(tmp_path / "three.zip", 3, 3)
    output = run_tuning(payload("finetune", data, zoo[0], (), tmp_path, epochs=1))
    assert (output.train_examples, output.validation_examples, output.epochs) == (3, 0, 1)


def test_without_a_test_split_the_report_is_on_validation_and_the_card_says_so(tmp_path, zoo):
    data = coloured_zip(tmp_path / "task.zip", 30, 0)
    work = payload("linear_probe", data, zoo[0], (), tmp_path)
    assert run_tuning(work).metrics.split == "validation"
    assert "flatter" in (work.work_dir / "model" / "README.md").read_text()


def test_a_memory_limit_is_kept_by_smaller_pieces(tmp_path, vit, colour_task):
    whole = payload("finetune", colour_task, vit, (), tmp_path)
    output = run_tuning(whole)
    assert output.micro_batch == 8
    limit = (4 * 4 * output.parameters + 4.5 * ACTIVATIONS) / 1e6
    limited = payload("finetune", colour_task, vit, (), tmp_path, memory_limit_mb=limit)
    output = run_tuning(limited)
    assert output.micro_batch == 4
    first, second = (load_file(work.work_dir / "tuned.safetensors") for work in (whole, limited))
    for name, value in first.items():
        torch.testing.assert_close(second[name], value, rtol=1e-3, atol=1e-5)


def test_adaptation_never_reads_the_targets_training_labels(tmp_path, zoo):
    """The weights are the same whatever those labels say: here they are turned around."""
    source = coloured_zip(tmp_path / "source.zip", 30, 3, seed=5)
    weights = []
    for shift in (0, 1):
        pixels, labels = coloured_pixels(24, 3, 7, 32)
        files = {f"images/{index:02d}.png": encode(image.transpose(1, 2, 0)) for index, image in enumerate(pixels)}
        rows = [
            f"images/{index:02d}.png,class-{(label + shift * (index < 16)) % 3},{'train' if index < 16 else 'test'}"
            for index, label in enumerate(labels)
        ]
        table = "\n".join(["image,label,split", *rows]).encode()
        target = write_zip(tmp_path / f"target{shift}.zip", files | {"table.csv": table})
        work = payload("dan", target, zoo[0], (), tmp_path / str(shift), source, epochs=1)
        assert run_tuning(work).metrics.examples == 8
        weights.append(load_file(work.work_dir / "tuned.safetensors"))
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


def test_the_identity_of_a_payload_follows_what_decides_the_weights(tmp_path, zoo, colour_task):
    first = payload("finetune", colour_task, zoo[0], (), tmp_path)
    assert first.identity == first.model_copy(update={"folder": tmp_path / "elsewhere"}).identity
    others = [
        payload("finetune", colour_task, zoo[1], (), tmp_path),
        payload("finetune", colour_task, zoo[0], (), tmp_path, seed=1),
        payload("l2_sp", colour_task, zoo[0], (), tmp_path),
        payload("finetune", coloured_zip(tmp_path / "task.zip", 33, 12), zoo[0], (), tmp_path),
    ]
    assert len({first.identity, *(other.identity for other in others)}) == 5


def test_payloads_and_results_need_no_torch():
    code = "import frontrunner.tuning, sys; sys.exit(int('torch' in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_head_is_drawn_by_the_seed(tmp_path, zoo, colour_task):
    assert reference(colour_task).name == "task.zip"
    heads = [image_classifier(zoo[0], seed=seed).head()[0] for seed in (0, 0, 1)]
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])


def test_the_probe_to_beat_is_a_regression_on_the_untuned_students_features(tmp_path, zoo, colour_task):
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from frontrunner.data import open_dataset

    output = run_tuning(payload("finetune", colour_task, zoo[0], (), tmp_path, epochs=1, learning_rate=0.01))
    dataset, opened = open_dataset(colour_task), open_checkpoint(zoo[0])
    rows = {}
    for name, split in (("train", dataset.train), ("test", dataset.test)):
        images = decode_images(dataset.inputs, split, 32, tmp_path / f"{name}.npy")
        with torch.inference_mode():
            pixels = (images.plain(torch.arange(len(images))) - 0.5) / 0.5
            rows[name] = opened.module.forward_head(opened.module.forward_features(pixels), pre_logits=True).numpy()
    by_hand = make_pipeline(StandardScaler(), LogisticRegressionCV(Cs=[1e-4, 1e-3, 1e-2, 1e-1, 1.0], max_iter=500))
    by_hand.fit(rows["train"], dataset.train.labels)
    expected = by_hand.score(rows["test"], dataset.test.labels)
    # The tuning keeps some of the training images for validation.
    assert abs(output.probe.value - expected) <= 2 / len(dataset.test)
    assert output.probe.low < output.probe.value <= output.probe.high
    assert output.metrics.examples == len(dataset.test)


@pytest.mark.parametrize("method", ["linear_probe", "zoo_tuning"])
def test_a_probe_and_what_has_no_student_have_none_to_beat(tmp_path, zoo, colour_task, method):
    teachers = zoo[:2] if method == "zoo_tuning" else ()
    student = None if teachers else zoo[0]
    work = payload(method, colour_task, student, teachers, tmp_path, epochs=1, learning_rate=0.01)
    assert run_tuning(work).probe is None

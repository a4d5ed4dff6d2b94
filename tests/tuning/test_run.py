"""Facts about whole tunings, from an order to files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file

from frontrunner import errors
from frontrunner.hub import describe_directory
from frontrunner.hub.describing.card import read_card
from frontrunner.hub.opening.open import open_checkpoint
from frontrunner.ranking import RankingRequest, rank
from frontrunner.settings import Settings
from frontrunner.tuning import MADE_OF_TEACHERS, TEACHERS_NEEDED, TuningOutput, TuningRequest
from frontrunner.tuning.examples.images import decode_images
from frontrunner.tuning.methods import METHODS
from frontrunner.tuning.networks.image_classifier import open_image_classifier
from frontrunner.tuning.options import ADAPTATION
from frontrunner.tuning.run import fit, run_tuning
from frontrunner.tuning.training.sweep import RATES, best_rate, trial
from tests.conftest import encode, write_zip
from tests.tuning.builders import coloured_pixels, coloured_zip, order, plan, reference

# Bytes that the little transformer keeps of one image for its backward pass: its linear maps' inputs, above all.
ACTIVATIONS = 123_150


def an_order(name, zoo, data, folder, **options):
    student = None if name in MADE_OF_TEACHERS else zoo[0]
    teachers = zoo if name in TEACHERS_NEEDED else ()
    return order(name, data, student, teachers, folder, data if name in ADAPTATION else None, **options)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_tunes_reports_and_exports(tmp_path, zoo, colour_task, name):
    work = an_order(name, zoo, colour_task, tmp_path)
    progress = []
    output = run_tuning(work, lambda done, total: progress.append((done, total)))
    assert TuningOutput.model_validate_json(output.model_dump_json()) == output
    assert progress[-1] == (54, 54)
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
    assert "## Parents and their licences" in (work.work_dir / "README.md").read_text()


def test_a_tuned_model_learns_and_answers_from_the_hub_as_it_was_measured(tmp_path, zoo, colour_task):
    """Opened by its folder alone, it makes the reported confusion again from the test images."""
    work = order("finetune", colour_task, zoo[0], (), tmp_path, epochs=6, learning_rate=0.01)
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
    work = order("lite_zoo_tuning", colour_task, None, zoo, tmp_path)
    run_tuning(work)
    settings = Settings(home=tmp_path / "home", packages=False)
    ranking = rank(
        colour_task, hub=[work.work_dir / "model"], settings=settings, request=RankingRequest(baselines=False)
    )
    assert [line.checkpoint for line in ranking.ranking] == ["local:model"]
    again = order("l2_sp", colour_task, describe_directory(work.work_dir / "model"), (), tmp_path, epochs=1)
    assert run_tuning(again).epochs == 1


def test_the_card_states_parents_licence_and_results(tmp_path, zoo, colour_task):
    work = order("b_tuning", colour_task, zoo[0], zoo, tmp_path)
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
    work = order("linear_probe", colour_task, zoo[0], (), tmp_path)
    first = run_tuning(work)
    again = run_tuning(work, lambda done, total: pytest.fail("worked"), on_event=lambda point: pytest.fail("trained"))
    assert again == first


def test_what_is_no_plain_model_is_opened_by_its_order(tmp_path, zoo, colour_task):
    """A trained zoo is put together again without training, and answers as it was measured."""
    work = order("zoo_tuning", colour_task, None, zoo, tmp_path)
    output = run_tuning(work)
    assert list(work.work_dir.glob("*.npy")) == []
    again = fit(work, on_event=lambda point: pytest.fail("trained"))
    assert again.metrics() == output.metrics
    stored = load_file(work.work_dir / output.weights)
    assert all(torch.equal(value, stored[name]) for name, value in again.method.module.state_dict().items())


def test_without_a_learning_rate_a_sweep_of_short_trials_picks_one(tmp_path, zoo, colour_task):
    work = order("finetune", colour_task, zoo[0], (), tmp_path, learning_rate=None)
    progress, points = [], []
    output = run_tuning(work, lambda done, total: progress.append((done, total)), on_event=points.append)
    assert list(output.sweep) == [f"{rate:g}" for rate in RATES["sgd"]]
    trials = json.loads((work.work_dir / "trials.json").read_bytes())
    assert output.sweep == pytest.approx({rate: np.mean(losses) for rate, losses in trials.items()})
    assert {len(losses) for losses in trials.values()} == {output.validation_examples}
    assert output.learning_rate == float(min(output.sweep, key=output.sweep.get))  # three examples tell no more
    assert progress[-1] == (27 * (3 * 2 + 2), 27 * (3 * 2 + 2))
    assert sorted(done for done, _ in progress) == [done for done, _ in progress]
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
        assert trial(plan(epochs=epochs, batch_size=batch), examples).epochs == expected


def test_a_sweep_does_not_move_where_training_starts(tmp_path, zoo, colour_task):
    swept = order("finetune", colour_task, zoo[0], (), tmp_path, learning_rate=None)
    output = run_tuning(swept)
    told = order("finetune", colour_task, zoo[0], (), tmp_path, learning_rate=output.learning_rate)
    run_tuning(told)
    first, second = (load_file(work.work_dir / "tuned.safetensors") for work in (swept, told))
    for name, value in first.items():
        torch.testing.assert_close(second[name], value, rtol=0, atol=1e-6)


def test_a_budget_decides_once_how_many_epochs_are_trained(tmp_path, zoo, colour_task):
    """Far too little is one epoch, far more than enough all of them; what was found holds when it goes on elsewhere."""
    for budget, epochs in ((0.001, 1), (1e6, 3)):
        work = order("finetune", colour_task, zoo[0], (), tmp_path, epochs=3, budget_s=budget)
        assert run_tuning(work).epochs == epochs
    work = order("finetune", colour_task, zoo[0], (), tmp_path, epochs=3, budget_s=2e6)
    work.work_dir.mkdir()
    (work.work_dir / "epochs.json").write_text("2")
    assert run_tuning(work).epochs == 2


def test_a_timing_that_was_cut_off_is_done_again(tmp_path, zoo, colour_task, monkeypatch):
    """Killed after its last step: the state that it left behind says that there is nothing to do."""
    work = order("finetune", colour_task, zoo[0], (), tmp_path, budget_s=1e6)
    with monkeypatch.context() as killed:
        killed.setattr("frontrunner.tuning.training.budget.answers", lambda *_: pytest.fail("killed"))
        killed.setattr(Path, "unlink", lambda path, **_: None)
        with pytest.raises(pytest.fail.Exception):
            run_tuning(work)
    assert (work.work_dir / "timing.pt").is_file()
    assert run_tuning(work).epochs == 2


def test_the_timing_for_a_budget_leaves_no_trace_in_the_weights(tmp_path, zoo, colour_task):
    works = [order("finetune", colour_task, zoo[0], (), tmp_path, budget_s=budget) for budget in (None, 1e6)]
    for work in works:
        run_tuning(work)
    first, second = (load_file(work.work_dir / "tuned.safetensors") for work in works)
    assert all(torch.equal(second[name], value) for name, value in first.items())


def test_one_epoch_on_three_images_works(tmp_path, zoo):
    data = coloured_zip(tmp_path / "three.zip", 3, 3)
    output = run_tuning(order("finetune", data, zoo[0], (), tmp_path, epochs=1))
    assert (output.train_examples, output.validation_examples, output.epochs) == (3, 0, 1)


def test_without_a_test_split_the_report_is_on_validation_and_the_card_says_so(tmp_path, zoo):
    data = coloured_zip(tmp_path / "task.zip", 30, 0)
    work = order("linear_probe", data, zoo[0], (), tmp_path)
    assert run_tuning(work).metrics.split == "validation"
    assert "flatter" in (work.work_dir / "model" / "README.md").read_text()


def test_a_memory_limit_is_kept_by_smaller_pieces(tmp_path, vit, colour_task):
    whole = order("finetune", colour_task, vit, (), tmp_path)
    output = run_tuning(whole)
    assert output.micro_batch == 8
    limit = (4 * 4 * output.parameters + 4.5 * ACTIVATIONS) / 1e6
    limited = order("finetune", colour_task, vit, (), tmp_path, memory_limit_mb=limit)
    output = run_tuning(limited)
    assert output.micro_batch == 4
    first, second = (load_file(work.work_dir / "tuned.safetensors") for work in (whole, limited))
    for name, value in first.items():
        torch.testing.assert_close(second[name], value, rtol=1e-3, atol=1e-5)


class TestRefusedBeforeAnyTraining:
    def test_teachers_of_different_architectures(self, tmp_path, zoo, vit, colour_task):
        with pytest.raises(errors.ArchitecturesDiffer, match="test_resnet, test_vit"):
            order("zoo_tuning", colour_task, None, (zoo[0], vit), tmp_path)

    @pytest.mark.parametrize(("name", "needed"), sorted(TEACHERS_NEEDED.items()))
    def test_missing_teachers(self, tmp_path, zoo, colour_task, name, needed):
        student = None if name in MADE_OF_TEACHERS else zoo[0]
        with pytest.raises(errors.TeachersMissing, match=f"at least {needed}"):
            order(name, colour_task, student, zoo[: needed - 1], tmp_path)

    def test_teachers_that_the_method_would_not_look_at(self, tmp_path, zoo, colour_task):
        with pytest.raises(errors.TuningError, match="no teachers"):
            order("finetune", colour_task, zoo[0], zoo, tmp_path)

    def test_no_student(self, tmp_path, colour_task):
        with pytest.raises(errors.StudentUnsupported, match="needs a checkpoint"):
            order("finetune", colour_task, None, (), tmp_path)

    def test_a_student_beside_a_model_made_of_teachers(self, tmp_path, zoo, colour_task):
        with pytest.raises(errors.TuningError, match="has no student"):
            order("lite_zoo_tuning", colour_task, zoo[0], zoo, tmp_path)

    def test_a_student_in_transformers_form(self, tmp_path, hub, colour_task):
        with pytest.raises(errors.StudentUnsupported, match="transformers"):
            order("finetune", colour_task, describe_directory(hub / "mobilenet"), (), tmp_path)

    def test_a_student_of_another_modality(self, tmp_path, zoo, colour_task):
        text = zoo[1].model_copy(update={"modality": "text"})
        with pytest.raises(errors.ModalityMismatch, match="reads text"):
            order("b_tuning", colour_task, zoo[0], (text,), tmp_path)

    def test_adaptation_without_a_source_and_a_source_without_adaptation(self, tmp_path, zoo, colour_task):
        with pytest.raises(errors.SourceUnfit, match="needs a labelled source"):
            order("dann", colour_task, zoo[0], (), tmp_path)
        with pytest.raises(errors.SourceUnfit, match="uses no source"):
            order("finetune", colour_task, zoo[0], (), tmp_path, colour_task)

    def test_a_source_with_other_classes(self, tmp_path, zoo, colour_task):
        other = coloured_zip(tmp_path / "other.zip", 12, 4, classes=4)
        with pytest.raises(errors.SourceUnfit, match="same classes"):
            run_tuning(order("mdd", colour_task, zoo[0], (), tmp_path, other))

    def test_a_dataset_of_texts(self, tmp_path, zoo):
        path = tmp_path / "texts.csv"
        path.write_text("text,label\n" + "".join(f"some words {i},{'ab'[i % 2]}\n" for i in range(20)))
        with pytest.raises(errors.ModalityMismatch, match="holds text examples"):
            run_tuning(order("finetune", path, zoo[0], (), tmp_path))

    def test_a_student_beyond_the_limits_and_a_teacher_of_another_licence(self, tmp_path, zoo, colour_task):
        with pytest.raises(errors.ConstraintViolated, match=f"{zoo[0].id}: it has"):
            order("finetune", colour_task, zoo[0], (), tmp_path, constraints={"max_parameters": 10})
        limits = {"max_parameters": zoo[0].parameters, "licenses": ["mit"]}
        student = zoo[0].model_copy(update={"license": "MIT"})
        with pytest.raises(errors.ConstraintViolated, match=f"{zoo[1].id}: its licence is not stated"):
            order("b_tuning", colour_task, student, zoo[1:], tmp_path, constraints=limits)

    def test_a_size_that_the_architecture_does_not_read(self, tmp_path, vit, colour_task):
        with pytest.raises(errors.StudentUnsupported, match="45 pixels"):
            run_tuning(order("finetune", colour_task, vit, (), tmp_path, image_size=45))

    def test_unknown_methods_and_numbers_out_of_range(self):
        for wrong in (
            {"method": "magic"},
            {"method": {"name": "bss", "eta": 1}},
            {"epochs": 0},
            {"validation_share": 1},
        ):
            with pytest.raises(ValidationError):
                TuningRequest.model_validate(wrong)


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
        work = order("dan", target, zoo[0], (), tmp_path / str(shift), source, epochs=1)
        assert run_tuning(work).metrics.examples == 8
        weights.append(load_file(work.work_dir / "tuned.safetensors"))
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


def test_the_identity_of_an_order_follows_what_decides_the_weights(tmp_path, zoo, colour_task):
    first = order("finetune", colour_task, zoo[0], (), tmp_path)
    assert first.identity == first.model_copy(update={"folder": tmp_path / "elsewhere"}).identity
    others = [
        order("finetune", colour_task, zoo[1], (), tmp_path),
        order("finetune", colour_task, zoo[0], (), tmp_path, seed=1),
        order("l2_sp", colour_task, zoo[0], (), tmp_path),
        order("finetune", coloured_zip(tmp_path / "task.zip", 33, 12), zoo[0], (), tmp_path),
    ]
    assert len({first.identity, *(other.identity for other in others)}) == 5


def test_orders_and_results_need_no_torch():
    code = "import frontrunner.tuning, sys; sys.exit(int('torch' in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_head_is_drawn_by_the_orders_seed(tmp_path, zoo, colour_task):
    assert reference(colour_task).name == "task.zip"
    heads = [open_image_classifier(zoo[0], 3, 32, seed=seed).head()[0] for seed in (0, 0, 1)]
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])

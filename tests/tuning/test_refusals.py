"""What cannot be tuned is refused before any training: datasets in one place, combinations in another."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from frontrunner import errors
from frontrunner.data import DatasetOptions, DatasetReference, check_dataset, open_dataset
from frontrunner.settings import Settings
from frontrunner.tuning import METHODS, TuningRequest, require_tunable
from frontrunner.tuning.local import tune
from frontrunner.tuning.options import DeltaOptions, FinetuneOptions
from frontrunner.tuning.run import run_tuning
from tests.tuning.builders import coloured_zip, payload


@pytest.fixture
def regression(tmp_path):
    path = tmp_path / "prices.csv"
    path.write_text("text,label\n" + "".join(f"some words {i},{i / 7:.3f}\n" for i in range(40)))
    return path


@pytest.fixture
def features(tmp_path):
    draw = np.random.default_rng(0)
    path = tmp_path / "features.npz"
    np.savez(path, features=draw.normal(size=(20, 4)), labels=np.arange(20) % 2)
    return path


@pytest.fixture
def texts(tmp_path):
    path = tmp_path / "texts.csv"
    path.write_text("text,label\n" + "".join(f"some words {i},{'ab'[i % 2]}\n" for i in range(20)))
    return path


def refusal(path, method):
    """Of the dataset and of the report of its check, which must be the same."""
    opened = open_dataset(path)
    with pytest.raises(errors.FrontrunnerError) as first:
        require_tunable(opened, method)
    with pytest.raises(type(first.value)) as second:
        require_tunable(check_dataset(opened), method)
    assert first.value.reason == second.value.reason
    return first.value


def test_another_task_than_classification(regression):
    error = refusal(regression, FinetuneOptions())
    assert (type(error), error.code) == (errors.InvalidDataset, "dataset_invalid")
    assert error.reason == "prices.csv is a regression dataset; tuning is for classification: one class per example"


def test_precomputed_features(features):
    error = refusal(features, FinetuneOptions())
    assert (error.code, error.reason) == (
        "modality_mismatch",
        "features.npz holds features; tuning is for images and texts",
    )


def test_a_method_that_does_not_tune_on_what_the_dataset_holds(texts):
    error = refusal(texts, DeltaOptions())
    assert error.code == "method_unsuited"
    assert error.reason.startswith("delta is for images; for texts there are b_tuning, bss,")
    for method in METHODS.values():
        if "text" in method.modalities:
            require_tunable(open_dataset(texts), method())


def test_a_local_tuning_refuses_its_target_and_its_source_before_anything_is_looked_for(
    tmp_path, regression, features, colour_task
):
    settings = Settings(home=tmp_path / "home")
    for target, source, code in (
        (regression, None, "dataset_invalid"),
        (features, None, "modality_mismatch"),
        (colour_task, regression, "dataset_invalid"),
    ):
        with pytest.raises(errors.FrontrunnerError) as caught:
            tune(target, TuningRequest(method="dann"), hub=tmp_path / "nowhere", source=source, settings=settings)
        assert caught.value.code == code


def test_a_payload_whose_dataset_cannot_be_tuned_on(tmp_path, zoo, colour_task, regression):
    """As may be written by hand: the process that does the work refuses it too."""
    work = payload("finetune", colour_task, zoo[0], (), tmp_path)
    report = check_dataset(open_dataset(regression))
    work = work.model_copy(update={"dataset": DatasetReference.of(regression, report, DatasetOptions())})
    with pytest.raises(errors.InvalidDataset, match="tuning is for classification"):
        run_tuning(work)


class TestRefusedBeforeAnyTraining:
    def test_teachers_of_different_architectures(self, tmp_path, zoo, vit, colour_task):
        with pytest.raises(errors.ArchitecturesDiffer, match="test_resnet, test_vit"):
            payload("zoo_tuning", colour_task, None, (zoo[0], vit), tmp_path)

    @pytest.mark.parametrize("name", [name for name, method in METHODS.items() if method.teachers_needed])
    def test_missing_teachers(self, tmp_path, zoo, colour_task, name):
        needed = METHODS[name].teachers_needed
        student = None if METHODS[name].made_of_teachers else zoo[0]
        with pytest.raises(errors.TeachersMissing, match=f"at least {needed}"):
            payload(name, colour_task, student, zoo[: needed - 1], tmp_path)

    def test_teachers_that_the_method_would_not_look_at(self, tmp_path, zoo, colour_task):
        with pytest.raises(errors.TuningError, match="no teachers"):
            payload("finetune", colour_task, zoo[0], zoo, tmp_path)

    def test_no_student(self, tmp_path, colour_task):
        with pytest.raises(errors.StudentUnsupported, match="needs a checkpoint"):
            payload("finetune", colour_task, None, (), tmp_path)

    def test_a_student_beside_a_model_made_of_teachers(self, tmp_path, zoo, colour_task):
        with pytest.raises(errors.TuningError, match="name no student"):
            payload("lite_zoo_tuning", colour_task, zoo[0], zoo, tmp_path)

    def test_a_student_in_a_form_that_nothing_is_written_in(self, tmp_path, zoo, colour_task):
        foreign = zoo[0].model_copy(update={"library": "features"})
        with pytest.raises(errors.StudentUnsupported, match="tuned in that of timm and transformers only"):
            payload("finetune", colour_task, foreign, (), tmp_path)

    def test_a_student_of_another_modality(self, tmp_path, zoo, colour_task):
        text = zoo[1].model_copy(update={"modality": "text"})
        with pytest.raises(errors.ModalityMismatch, match="reads text"):
            payload("b_tuning", colour_task, zoo[0], (text,), tmp_path)

    def test_adaptation_without_a_source_and_a_source_without_adaptation(self, tmp_path, zoo, colour_task):
        with pytest.raises(errors.SourceUnfit, match="needs a labelled source"):
            payload("dann", colour_task, zoo[0], (), tmp_path)
        with pytest.raises(errors.SourceUnfit, match="uses no source"):
            payload("finetune", colour_task, zoo[0], (), tmp_path, colour_task)

    def test_a_source_with_other_classes(self, tmp_path, zoo, colour_task):
        other = coloured_zip(tmp_path / "other.zip", 12, 4, classes=4)
        with pytest.raises(errors.SourceUnfit, match="same classes"):
            run_tuning(payload("mdd", colour_task, zoo[0], (), tmp_path, other))

    def test_a_dataset_of_texts(self, tmp_path, zoo, texts):
        with pytest.raises(errors.ModalityMismatch, match="holds text examples"):
            run_tuning(payload("finetune", texts, zoo[0], (), tmp_path))

    def test_a_student_beyond_the_limits_and_a_teacher_of_another_licence(self, tmp_path, zoo, colour_task):
        with pytest.raises(errors.ConstraintViolated, match=f"{zoo[0].id}: it has"):
            payload("finetune", colour_task, zoo[0], (), tmp_path, constraints={"max_parameters": 10})
        limits = {"max_parameters": zoo[0].parameters, "licenses": ["mit"]}
        student = zoo[0].model_copy(update={"license": "MIT"})
        with pytest.raises(errors.ConstraintViolated, match=f"{zoo[1].id}: its licence is not stated"):
            payload("b_tuning", colour_task, student, zoo[1:], tmp_path, constraints=limits)

    def test_a_size_that_the_architecture_does_not_read(self, tmp_path, vit, colour_task):
        with pytest.raises(errors.StudentUnsupported, match="45 pixels"):
            run_tuning(payload("finetune", colour_task, vit, (), tmp_path, image_size=45))

    def test_unknown_methods_and_numbers_out_of_range(self):
        for wrong in (
            {"method": "magic"},
            {"method": {"name": "bss", "eta": 1}},
            {"epochs": 0},
            {"validation_share": 1},
        ):
            with pytest.raises(ValidationError):
                TuningRequest.model_validate(wrong)

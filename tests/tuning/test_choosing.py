"""Which of ranked checkpoints a method takes."""

from __future__ import annotations

import pytest

from frontrunner.errors import TeachersMissing
from frontrunner.hub import CheckpointDescription
from frontrunner.tuning import TuningRequest, take_best


def described(
    name: str, architecture: str = "resnet", library: str = "timm", parameters: int = 1, licence: str = "mit"
) -> CheckpointDescription:
    return CheckpointDescription(
        id=name,
        library=library,
        modality="image",
        architecture=architecture,
        digest=name,
        preprocessing_digest="",
        parameters=parameters,
        bytes=1,
        path="",
        license=licence,
    )


RANKED = [described("a", "vit"), described("b"), described("t", library="features"), described("c"), described("d")]


def taken(method: str, top: int = 2, **more: object) -> tuple[str | None, tuple[str, ...]]:
    request = take_best(TuningRequest(method=method, **more), RANKED, top)
    return request.student, request.teachers


def test_a_method_without_teachers_tunes_the_best_one():
    assert taken("finetune") == ("a", ())


def test_a_method_with_teachers_learns_from_the_best_and_tunes_the_first_of_them():
    assert taken("b_tuning", top=3) == ("a", ("a", "b", "c"))
    assert taken("b_tuning", student="mine") == ("mine", ("a", "b"))


def test_layers_are_mixed_from_the_best_architecture_that_has_enough_checkpoints():
    assert taken("zoo_tuning") == (None, ("b", "c"))
    assert taken("zoo_tuning", top=5) == (None, ("b", "c", "d"))


def test_too_few_that_suit_are_refused_with_the_count():
    with pytest.raises(TeachersMissing, match="of one architecture, got 0"):
        take_best(TuningRequest(method="zoo_tuning"), RANKED[:2], 2)


def test_the_student_keeps_within_the_limits_and_a_teacher_may_be_larger():
    ranked = [described("large", parameters=100), described("small", parameters=2), described("foreign", licence="x")]
    limits = {"max_parameters": 10, "licenses": ["mit"]}
    request = take_best(TuningRequest(method="b_tuning", constraints=limits), ranked, 3)
    assert (request.student, request.teachers) == ("small", ("large", "small"))
    assert take_best(TuningRequest(method="finetune", constraints=limits), ranked, 1).student == "small"
    with pytest.raises(TeachersMissing, match=r"at least 2 .* got 1"):
        take_best(TuningRequest(method="hub_pathway", constraints=limits), ranked, 3)
    with pytest.raises(TeachersMissing, match="got 0"):
        take_best(TuningRequest(method="finetune", constraints={"max_parameters": 1}), ranked[:2], 1)


def test_a_method_that_asks_timm_about_layers_passes_over_checkpoints_of_transformers():
    ranked = [described("best", library="transformers"), *RANKED]
    assert take_best(TuningRequest(method="finetune"), ranked, 1).student == "best"
    assert take_best(TuningRequest(method="delta"), ranked, 1).student == "a"

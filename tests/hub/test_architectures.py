"""A sample of the sweep over architectures: the product reads what the library's own forward pass computes."""

from __future__ import annotations

import pytest
import torch

from benchmarks.architectures import timm_models, vision
from benchmarks.architectures.sweep import Outcome, keep, kept_outcomes, sweep

TIMM = ("test_vit4", "test_efficientnet", "swin_tiny_patch4_window7_224", "test_convnext2")
VISION = (
    "clip/CLIPModel",
    "deit/DeiTForImageClassificationWithTeacher",
    "siglip2/Siglip2Model",
    "vit_mae/ViTMAEModel",
    "imagegpt/ImageGPTModel",
    "timm_wrapper/TimmWrapperForImageClassification",
    "resnet/ResNetForImageClassification",
)


@pytest.mark.parametrize(
    ("part", "name"),
    [*((timm_models.PART, name) for name in TIMM), *((vision.PART, name) for name in VISION)],
    ids=[*TIMM, *VISION],
)
def test_features_are_those_of_the_architectures_own_library(part, name):
    state = torch.get_rng_state()
    (found,) = sweep(part, [name], seed=0, max_parameters=60_000_000)
    torch.set_rng_state(state)
    assert (found.outcome, found.reason) == ("agrees", found.reason), found


def test_the_sweep_lists_every_architecture_of_timm():
    import timm

    assert list(timm_models.PART.architectures()) == timm.list_models()


def test_an_interrupted_sweep_goes_on_from_its_file(tmp_path):
    first = Outcome("timm", "a", "refused", "why")
    keep(tmp_path / "kept.jsonl", first)
    keep(tmp_path / "kept.jsonl", Outcome("timm", "b", "agrees", difference=1e-7))
    keep(tmp_path / "kept.jsonl", again := Outcome("timm", "a", "agrees"))
    assert kept_outcomes(tmp_path / "kept.jsonl") == [again, Outcome("timm", "b", "agrees", difference=1e-7)]

"""Folding normalisation changes the speed of reading and not what is read."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import nn

from frontrunner.extraction.folding import fold_normalisation
from frontrunner.hub import describe_directory
from frontrunner.hub.opening.checkpoint import Checkpoint, ForwardOutput
from frontrunner.hub.opening.open import open_checkpoint


def wrapped(module: nn.Module) -> Checkpoint:
    forward = lambda pixels: ForwardOutput(module(pixels), None)  # noqa: E731
    return Checkpoint(None, module.eval(), None, forward, 0)  # type: ignore[arg-type]


def randomised(module: nn.Module, seed: int = 0) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(generator=generator)
            part.running_var.uniform_(0.5, 2.0, generator=generator)
            part.weight.data.uniform_(0.5, 2.0, generator=generator)
    return module


@pytest.mark.parametrize(
    "architecture", ["test_resnet", "test_efficientnet", "test_vit", "mobilenetv2_035", "resnet10t"]
)
def test_features_stay_the_same(architecture):
    torch.manual_seed(0)  # some draws of first weights blow rounding up beyond the tolerance, and are not folded
    module = randomised(timm.create_model(architecture, num_classes=0))
    side = module.pretrained_cfg["input_size"][-1]
    batch = torch.randn(3, 3, side, side, generator=torch.Generator().manual_seed(1))
    checkpoint = wrapped(module)
    before = checkpoint.read(batch).features.clone()
    folded = fold_normalisation(checkpoint, batch[:2])
    assert folded == (architecture != "test_vit")
    torch.testing.assert_close(
        checkpoint.read(batch).features, before, rtol=1e-4, atol=1e-4 * before.abs().max().item()
    )


def test_every_normalisation_after_a_convolution_is_folded(hub):
    checkpoint = open_checkpoint(describe_directory(hub / "mobilenet"))
    assert fold_normalisation(checkpoint, torch.randn(2, 3, 32, 32))
    assert not [part for part in checkpoint.module.modules() if isinstance(part, nn.BatchNorm2d)]


class UsedTwice(nn.Module):
    """The convolution's output also goes past the normalisation, so folding would change the result."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        raw = self.convolution(batch)
        return (self.norm(raw) + raw).mean(dim=(2, 3))


def test_a_module_that_folding_would_change_is_left_as_it_was():
    module = randomised(UsedTwice())
    batch = torch.randn(2, 3, 8, 8)
    checkpoint = wrapped(module)
    before = checkpoint.read(batch).features.clone()
    assert not fold_normalisation(checkpoint, batch)
    assert torch.equal(checkpoint.read(batch).features, before)

"""Facts about what is said of a tuned model's generalisation gap."""

from __future__ import annotations

import pytest
import torch

from frontrunner.discrepancy import HeadMargins, margin_risk_bound
from frontrunner.hub import describe_directory
from frontrunner.tuning.generalisation import bounds
from frontrunner.tuning.methods import build
from frontrunner.tuning.options import FinetuneOptions, LinearProbeOptions
from tests.conftest import write_timm_checkpoint
from tests.tuning.builders import coloured_images, context, schedule

N = 70  # more than are passed through at once


@pytest.mark.parametrize(("options", "kind"), [(LinearProbeOptions(), "bound"), (FinetuneOptions(), "estimate")])
def test_the_margin_bound_of_the_head_is_a_bound_where_the_features_stood_still(tmp_path, options, kind):
    """A backbone alone has no classifier to measure curvature with: that gap is missing, with its reason."""
    bare = describe_directory(write_timm_checkpoint(tmp_path / "bare", "test_resnet", seed=1, classes=0, side=32))
    images = coloured_images(N)
    given = context(options, tmp_path, images, bare)
    student = build(given).module.eval()
    found = bounds(student, given, schedule(), train_accuracy=0.75, test_accuracy=0.5)
    with torch.no_grad():
        features = student.features(images.plain(torch.arange(N))).numpy()
    head = student.linear_head()
    margins = HeadMargins.of(features, images.labels.numpy(), head.weight.detach().T, head.bias.detach())
    gaps = {gap.name: gap for gap in found.gaps}
    assert gaps["Rademacher (head)"].kind == kind
    assert gaps["Rademacher (head)"].value == pytest.approx(margin_risk_bound(margins).gap, rel=1e-5)
    assert gaps["VC"].kind == "estimate"
    assert found.measured == 0.25
    assert found.n == N
    assert "no linear classifier of its own" in found.missing["PAC-Bayes estimate (tuned, 64 directions)"]

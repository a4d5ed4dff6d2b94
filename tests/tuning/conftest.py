"""Checkpoints and data that several tests of tuning share."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from frontrunner.hub import CheckpointDescription
from tests.tuning.builders import coloured_zip, measured_checkpoint


@pytest.fixture(autouse=True)
def _one_thread():
    """Small networks gain nothing from threads, and sums come out in one order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> tuple[CheckpointDescription, ...]:
    """Three checkpoints of one convolutional architecture, the last with fewer source classes."""
    root = tmp_path_factory.mktemp("zoo")
    return tuple(
        measured_checkpoint(root / f"zoo{seed}", "test_resnet", seed, classes)
        for seed, classes in enumerate((10, 10, 4))
    )


@pytest.fixture(scope="session")
def vit(tmp_path_factory: pytest.TempPathFactory) -> CheckpointDescription:
    """A transformer, which has no batch normalisation."""
    return measured_checkpoint(tmp_path_factory.mktemp("vits") / "vit", "test_vit", 1)


@pytest.fixture(scope="session")
def vits(tmp_path_factory: pytest.TempPathFactory, vit: CheckpointDescription) -> tuple[CheckpointDescription, ...]:
    """Three transformers of one architecture, for methods that convolutions do not suit."""
    root = tmp_path_factory.mktemp("more-vits")
    return vit, *(measured_checkpoint(root / f"vit{seed}", "test_vit", seed) for seed in (2, 3))


@pytest.fixture(scope="session")
def colour_task(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A zip of 30 training and 12 test images in 3 classes."""
    return coloured_zip(tmp_path_factory.mktemp("task") / "task.zip", 30, 12)

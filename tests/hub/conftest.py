"""Writers of small checkpoints, and examples to read."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
import transformers
from PIL import Image

from tests.conftest import WORDS


@pytest.fixture
def texts():
    generator = np.random.default_rng(4)
    return [" ".join(generator.choice(WORDS, size)) for size in (50, 2, 35, 35, 9, 36)]


@pytest.fixture
def kept(text_hub, tmp_path):
    """Writes a model of random weights, none of them at the value that hides it, beside a tokenizer."""

    def keep(module, name="model", tokenizer="encoder"):
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for value in module.parameters():
                value.add_(torch.randn(value.shape, generator=generator), alpha=0.1)
        module.eval().save_pretrained(tmp_path / name)
        if tokenizer:
            for file in ("tokenizer.json", "tokenizer_config.json"):
                shutil.copy(text_hub / tokenizer / file, tmp_path / name)
        return tmp_path / name

    return keep


@pytest.fixture
def images():
    generator = np.random.default_rng(0)
    return [Image.fromarray(generator.integers(0, 255, (*size, 3), dtype=np.uint8)) for size in ((40, 50), (60, 36))]


@pytest.fixture
def saved(tmp_path):
    """Writes a model of transformers with a processor to 32 x 32 pixels."""

    def write(module, name="it", processor=None):
        torch.manual_seed(0)
        with torch.no_grad():
            for value in module.parameters():
                value.add_(torch.randn_like(value), alpha=0.1)
        module.eval().save_pretrained(tmp_path / name)
        processor = processor or transformers.ViTImageProcessor(size={"height": 32, "width": 32})
        processor.save_pretrained(tmp_path / name)
        return tmp_path / name

    return write

"""Small image models and what their own library reads of them."""

from __future__ import annotations

import numpy as np
import torch
import transformers

EYES = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "image_size": 32,
    "patch_size": 8,
}


def pixels_of(folder, images):
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    return [processor(images=image, return_tensors="pt")["pixel_values"] for image in images]


@torch.no_grad()
def each(module, pixels, read):
    return torch.cat([read(module(pixel_values=image)) for image in pixels]).numpy()


def same(a, b):
    np.testing.assert_allclose(a, b, rtol=0, atol=1e-4 * np.abs(b).max())


def vit(**how):
    return transformers.ViTModel(transformers.ViTConfig(**EYES), **how)

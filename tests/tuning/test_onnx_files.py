"""Facts about ONNX files of tuned models."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from timm.layers import Conv2dSame

from frontrunner.tuning.image_classifier import open_image_classifier
from frontrunner.tuning.onnx_files import INT8_FILE, MODEL_FILE, is_available, run_onnx, write_int8, write_onnx
from frontrunner.tuning.run import run_tuning
from tests.tuning.material import coloured_images, measured_checkpoint, order

pytestmark = pytest.mark.skipif(not is_available(), reason="the extra `export` is not installed")


@pytest.mark.parametrize("architecture", ["test_efficientnet", "test_vit"])
def test_both_files_answer_as_the_model_whatever_the_batch(tmp_path, architecture):
    """The convolutional one computes its padding from the input's size."""
    description = measured_checkpoint(tmp_path / "c", architecture, 1)
    if architecture == "test_efficientnet":
        config = json.loads((tmp_path / "c" / "config.json").read_text())
        (tmp_path / "c" / "config.json").write_text(json.dumps(config | {"model_args": {"pad_type": "same"}}))
    model = open_image_classifier(description, 3, 32, seed=0).eval()
    assert any(isinstance(part, Conv2dSame) for part in model.modules()) == (architecture == "test_efficientnet")
    folder = tmp_path / "out"
    folder.mkdir()
    images = coloured_images(24)
    written = write_onnx(model, folder, images)
    assert written.largest_difference <= 1e-3
    assert written.bytes == (folder / MODEL_FILE).stat().st_size
    for n in (1, 7):
        pixels = images.plain(torch.arange(n))
        with torch.no_grad():
            expected = model(pixels).numpy()
        assert run_onnx(folder / MODEL_FILE, pixels.numpy()) == pytest.approx(expected, rel=1e-3, abs=1e-4)
    quantised = write_int8(folder, images, images)
    assert quantised.bytes == (folder / INT8_FILE).stat().st_size
    views = images.plain(torch.arange(24)).numpy()
    before, after = run_onnx(folder / MODEL_FILE, views), run_onnx(folder / INT8_FILE, views)
    assert quantised.distortion == pytest.approx(np.linalg.norm(after - before) / np.linalg.norm(before))
    assert 0 < quantised.distortion < 0.5
    assert quantised.accuracy_before == pytest.approx((before.argmax(1) == images.labels.numpy()).mean())


def test_a_tuning_writes_and_measures_both_files(tmp_path, zoo, colour_task):
    work = order("finetune", colour_task, zoo[0], (), tmp_path, epochs=1, onnx=True)
    (model,) = run_tuning(work).models
    assert model.onnx is not None
    assert model.int8 is not None
    assert (work.work_dir / "model" / model.onnx.file).stat().st_size == model.onnx.bytes
    assert model.int8.bytes < model.onnx.bytes
    assert model.onnx.latency_ms > 0 < model.int8.latency_ms
    assert "takes pixels in [0, 1]" in (work.work_dir / "model" / "README.md").read_text()

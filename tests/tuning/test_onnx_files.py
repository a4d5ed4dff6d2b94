"""Facts about ONNX files of tuned models."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from timm.layers import Conv2dSame

from frontrunner.hub import describe_directory
from frontrunner.hub.opening.open import open_checkpoint
from frontrunner.tuning.examples.examples import LabelledTexts, Texts
from frontrunner.tuning.export.onnx_files import (
    INT8_FILE,
    MODEL_FILE,
    NotExportable,
    is_available,
    run_onnx,
    write_int8,
    write_onnx,
)
from frontrunner.tuning.networks.classifier import NewHead
from frontrunner.tuning.networks.text_classifier import TextClassifier
from frontrunner.tuning.run import run_tuning
from tests.conftest import WORDS, write_text_checkpoint
from tests.tuning.builders import coloured_images, image_classifier, measured_checkpoint, payload

pytestmark = pytest.mark.skipif(not is_available(), reason="the extra `export` is not installed")


@pytest.mark.parametrize("architecture", ["test_efficientnet", "test_vit"])
def test_both_files_answer_as_the_model_whatever_the_batch(tmp_path, architecture):
    """The convolutional one computes its padding from the input's size."""
    description = measured_checkpoint(tmp_path / "c", architecture, 1)
    if architecture == "test_efficientnet":
        config = json.loads((tmp_path / "c" / "config.json").read_text())
        (tmp_path / "c" / "config.json").write_text(json.dumps(config | {"model_args": {"pad_type": "same"}}))
        description = describe_directory(tmp_path / "c")
    model = image_classifier(description).eval()
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
        assert run_onnx(folder / MODEL_FILE, model, images.take(np.arange(n))) == pytest.approx(
            expected, rel=1e-3, abs=1e-4
        )
    quantised = write_int8(model, folder, images, images)
    assert quantised.bytes == (folder / INT8_FILE).stat().st_size
    before, after = (run_onnx(folder / name, model, images) for name in (MODEL_FILE, INT8_FILE))
    assert quantised.distortion == pytest.approx(np.linalg.norm(after - before) / np.linalg.norm(before))
    assert 0 < quantised.distortion < 0.5
    assert quantised.accuracy_before == pytest.approx((before.argmax(1) == images.labels.numpy()).mean())


def test_a_tuning_writes_and_measures_both_files(tmp_path, zoo, colour_task):
    work = payload("finetune", colour_task, zoo[0], (), tmp_path, epochs=1, onnx=True)
    (model,) = run_tuning(work).models
    assert model.onnx is not None
    assert model.int8 is not None
    assert (work.work_dir / "model" / model.onnx.file).stat().st_size == model.onnx.bytes
    assert model.int8.bytes < model.onnx.bytes
    assert model.onnx.latency_ms > 0 < model.int8.latency_ms
    assert "takes pixels in [0, 1]" in (work.work_dir / "model" / "README.md").read_text()


@pytest.mark.parametrize("kind", ["bert", "gpt2"])
def test_both_files_of_a_model_of_texts_answer_as_it_does_whatever_batch_and_length(tmp_path, kind):
    """The decoder's answer is read off its last token, wherever that is."""
    description = describe_directory(write_text_checkpoint(tmp_path / "c", kind, 1))
    model = TextClassifier.of(open_checkpoint(description), NewHead(3, seed=0)).eval()
    folder = tmp_path / "out"
    folder.mkdir()
    texts = [" ".join(WORDS[1 : 2 + length]) for length in range(12)]
    examples = LabelledTexts(Texts(tuple(texts)), torch.arange(12) % 3)
    written = write_onnx(model, folder, examples)
    assert written.largest_difference <= 1e-3
    for n in (1, 12):
        with torch.no_grad():
            expected = model(Texts(tuple(texts[:n]))).numpy()
        answered = run_onnx(folder / MODEL_FILE, model, examples.take(np.arange(n)))
        assert answered == pytest.approx(expected, rel=1e-3, abs=1e-4)
    quantised = write_int8(model, folder, examples, examples)
    assert quantised.bytes < written.bytes
    assert 0 < quantised.distortion < 0.5
    assert quantised.calibration_examples == 0


def test_a_model_too_large_for_one_file_says_so(tmp_path, zoo, monkeypatch):
    monkeypatch.setattr("frontrunner.tuning.export.onnx_files._LARGEST_BYTES", 1000)
    model = image_classifier(zoo[0])
    with pytest.raises(NotExportable, match="GB of weights"):
        write_onnx(model, tmp_path, coloured_images(2))

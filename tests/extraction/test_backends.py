"""A backend changes how long reading takes and not what is read; it is used where it is done first."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from frontrunner import scores
from frontrunner.data import open_dataset
from frontrunner.data.dataset import TextInputs
from frontrunner.extraction.backends import AGREEMENT, EagerBackend
from frontrunner.extraction.choice import choose_backend
from frontrunner.extraction.folding import lay_out_for_reading
from frontrunner.extraction.openvino_backend import NotConverted, OpenVinoBackend, is_available
from frontrunner.extraction.reading import FeatureReader
from frontrunner.extraction.speeds import KeptSpeeds, Speeds
from frontrunner.hub import describe_directory
from frontrunner.hub.opening.checkpoint import Checkpoint, ForwardOutput
from frontrunner.hub.opening.images import ImagePreparation
from frontrunner.hub.opening.open import open_checkpoint
from frontrunner.shard import Shard, fold

CPU = torch.device("cpu")
TEXTS = tuple("card bank money late fee lost"[: 4 + 3 * length] for length in range(9))
needs_openvino = pytest.mark.skipif(not is_available(), reason="OpenVINO is not installed, or this is no x86")


def first_batch(checkpoint, inputs, keys):
    return next(iter(checkpoint.preparation.batches(inputs, keys, CPU))).inputs


def converted(checkpoint, inputs):
    lay_out_for_reading(checkpoint, inputs[:2] if isinstance(inputs, torch.Tensor) else inputs)
    return OpenVinoBackend(checkpoint, inputs, EagerBackend(checkpoint, CPU))


def assert_same(found: ForwardOutput, expected: ForwardOutput) -> None:
    scale = expected.features.abs().max().item()
    torch.testing.assert_close(found.features, expected.features, rtol=0, atol=AGREEMENT * scale)
    if expected.source_logits is not None:
        torch.testing.assert_close(found.source_logits, expected.source_logits, rtol=1e-3, atol=1e-3)
    else:
        assert found.source_logits is None


@needs_openvino
@pytest.mark.parametrize("name", ["resnet", "mobilenet"])
def test_images_read_through_openvino_have_the_features_of_the_checkpoint(name, hub, colours):
    dataset = open_dataset(colours)
    pixels = first_batch(open_checkpoint(describe_directory(hub / name)), dataset.inputs, dataset.train.keys[:13])
    expected = open_checkpoint(describe_directory(hub / name)).read(pixels)
    backend = converted(open_checkpoint(describe_directory(hub / name)), pixels)
    assert_same(backend.read(pixels), expected)  # 13 are three requests of 4 and a part of one
    assert_same(backend.read(pixels[:1]), ForwardOutput(expected.features[:1], expected.source_logits[:1]))


@needs_openvino
@pytest.mark.parametrize("name", ["encoder", "decoder"])
def test_texts_of_every_length_have_the_features_of_the_checkpoint(name, text_hub):
    inputs = TextInputs(TEXTS)
    opened = open_checkpoint(describe_directory(text_hub / name))
    backend = converted(opened, first_batch(opened, inputs, range(2)))
    for batch in opened.preparation.batches(inputs, range(len(TEXTS)), CPU):
        assert_same(backend.read(batch.inputs), open_checkpoint(describe_directory(text_hub / name)).read(batch.inputs))


@needs_openvino
def test_images_of_another_size_than_the_recorded_one_are_left_to_torch(hub):
    opened = open_checkpoint(describe_directory(hub / "resnet"))
    backend = converted(opened, torch.randn(4, 3, 32, 32))
    larger = torch.randn(3, 3, 48, 40)
    assert_same(backend.read(larger), open_checkpoint(describe_directory(hub / "resnet")).read(larger))


@needs_openvino
def test_openvino_is_imported_without_the_part_that_reports_its_use(tmp_path):
    program = (
        "import sys\n"
        "from frontrunner.extraction.openvino_backend import load_openvino\n"
        "load_openvino().Core()\n"
        "import openvino.tools.ovc\n"
        "print([name for name in sys.modules if name.startswith('openvino_telemetry')])"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={"HOME": str(tmp_path), "PYTHONPATH": ":".join(sys.path), "PATH": ""},
    )
    assert run.stdout.strip() == "[]"
    assert not (tmp_path / "intel").exists()  # where it would keep the id it reports under


class Remembers(nn.Module):
    """What it makes of one batch depends on numbers that a recording takes for constants."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels.flatten(1)[:, :6] * float(pixels.sum())


def plain(module: nn.Module, description) -> Checkpoint:
    forward = lambda pixels: ForwardOutput(module(pixels), None)  # noqa: E731
    return Checkpoint(description, module.eval(), ImagePreparation(None), forward, 6)  # type: ignore[arg-type]


@needs_openvino
def test_a_checkpoint_that_says_something_else_in_openvino_is_read_in_torch(hub, tmp_path):
    checkpoint = plain(Remembers(), describe_directory(hub / "resnet"))
    pixels = torch.rand(32, 3, 8, 8)
    backend = choose_backend(checkpoint, CPU, pixels, 10**9, tmp_path)
    assert backend.about.name == "eager"
    assert "differ" in KeptSpeeds(tmp_path, checkpoint, pixels).load().refused


@needs_openvino
def test_a_module_that_cannot_be_recorded_is_not_converted(hub):
    class Fails(nn.Module):
        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("not while it is recorded")

    with pytest.raises(NotConverted, match="not while it is recorded"):
        OpenVinoBackend(plain(Fails(), describe_directory(hub / "resnet")), torch.rand(4, 3, 8, 8), None)


@pytest.mark.parametrize(
    ("examples", "expected"),
    [
        # OpenVINO saves 4 ms an example against torch's better setting and costs 8 s: 2,000 examples pay for it.
        (1_900, ("eager", 16)),
        pytest.param(2_100, ("openvino", 4), marks=needs_openvino),
    ],
)
def test_a_conversion_pays_for_itself_or_is_not_made(examples, expected, hub, tmp_path):
    checkpoint = open_checkpoint(describe_directory(hub / "resnet"))
    pixels = torch.randn(32, 3, 32, 32)
    kept = KeptSpeeds(tmp_path, checkpoint, pixels)
    kept.keep(Speeds(of=kept.of, eager={8: 0.007, 16: 0.005, 32: 0.006}, openvino=0.001, conversion=8.0))
    chosen = choose_backend(checkpoint, CPU, pixels, examples, tmp_path).about
    assert (chosen.name, chosen.rows) == expected
    assert (chosen.difference is None) == (chosen.name == "eager")


def test_a_sample_too_small_to_gain_is_not_probed(hub, tmp_path):
    checkpoint = open_checkpoint(describe_directory(hub / "resnet"))
    assert choose_backend(checkpoint, CPU, torch.randn(32, 3, 32, 32), 33, tmp_path).about.name == "eager"
    assert not list(tmp_path.iterdir())


def test_a_probe_is_kept_for_the_architecture(hub, tmp_path):
    pixels = torch.randn(32, 3, 32, 32)
    choose_backend(open_checkpoint(describe_directory(hub / "resnet")), CPU, pixels, 10**7, tmp_path)
    (kept,) = tmp_path.iterdir()
    before = kept.read_bytes()
    speeds = Speeds.model_validate_json(before)
    assert speeds.eager.keys() <= {8, 16, 32}  # those that a round has time for
    assert 0 < min(speeds.eager.values()) < 60
    assert speeds.of["architecture"] == "test_resnet"
    choose_backend(open_checkpoint(describe_directory(hub / "resnet")), CPU, pixels, 10**7, tmp_path)
    choose_backend(
        open_checkpoint(describe_directory(hub / "resnet")), CPU, torch.randn(32, 3, 48, 48), 10**7, tmp_path
    )
    assert kept.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 2  # images of another size are another question


def test_features_say_what_read_them(hub, colours):
    dataset = open_dataset(colours)
    reader = FeatureReader(open_checkpoint(describe_directory(hub / "resnet")), dataset.inputs)
    assert reader.provenance.backend is None
    reader.read(dataset.train.keys[:5])
    assert (reader.provenance.backend.name, reader.provenance.backend.version) == ("eager", torch.__version__)


def test_a_difference_of_the_tolerance_is_nothing_to_logme(hub, colours):
    # The largest allowed difference at every feature moves the score by under a hundredth of its interval.
    dataset = open_dataset(colours)
    reader = FeatureReader(open_checkpoint(describe_directory(hub / "resnet")), dataset.inputs)
    features = reader.read(dataset.train.keys).features.astype(np.float64)
    signs = np.random.default_rng(0).choice([-1.0, 1.0], size=features.shape)
    moved = features + AGREEMENT * np.abs(features).max() * signs
    read, differing = (
        scores.evaluate(("logme",), fold([shard]), [shard])["logme"]
        for shard in (Shard(rows, dataset.train.labels) for rows in (features, moved))
    )
    assert abs(differing.value - read.value) < 0.01 * (read.high - read.low)

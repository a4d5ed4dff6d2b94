"""Facts about decoded images and the views of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from frontrunner.data import open_dataset
from frontrunner.errors import TooFewExamples, UnreadableDataset
from frontrunner.progress import Stage
from frontrunner.tuning.examples.images import Images, decode_images
from frontrunner.tuning.examples.splits import split_training
from frontrunner.tuning.randomness import CROPS, epoch_order, generator_at
from tests.conftest import class_images, encode, write_zip
from tests.tuning.builders import Recorded, Stopped, StoppedAt, coloured_images


def test_images_are_decoded_once(tmp_path, colours):
    dataset = open_dataset(colours)
    heard = Recorded()
    first = decode_images(dataset.inputs, dataset.train, 28, tmp_path / "train.npy", heard, of="colours train")
    assert first.pixels.shape == (80, 3, 32, 32)
    assert heard.advances == [(Stage.DECODE, done, 80, "colours train") for done in (64, 80)]
    again = decode_images(dataset.inputs, dataset.train, 28, tmp_path / "train.npy", heard)
    assert len(heard.advances) == 2
    assert np.array_equal(first.pixels, again.pixels)
    assert torch.equal(first.labels, torch.from_numpy(dataset.train.labels))


def test_an_image_of_the_kept_size_is_kept_as_it_is(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    dataset = open_dataset(write_zip(tmp_path / "a.zip", {"a/0.png": encode(pixels), "b/0.png": encode(pixels)}))
    images = decode_images(dataset.inputs, dataset.train, 28, tmp_path / "train.npy")
    assert np.array_equal(images.pixels[0].transpose(1, 2, 0), pixels)
    plain = images.plain(torch.tensor([1]))
    assert torch.equal(plain[0], torch.from_numpy(pixels[2:30, 2:30].transpose(2, 0, 1)).float() / 255)


def test_the_middle_of_a_long_image_is_kept(tmp_path):
    wide = np.zeros((32, 96, 3), dtype=np.uint8)
    wide[:, 32:64] = 255
    dataset = open_dataset(write_zip(tmp_path / "a.zip", {"a/0.png": encode(wide), "b/0.png": encode(wide)}))
    images = decode_images(dataset.inputs, dataset.train, 28, tmp_path / "train.npy")
    assert (images.pixels == 255).all()


def test_a_damaged_image_is_named_and_leaves_no_file(tmp_path):
    files = class_images(2, 2) | {"train/class-0/9999.png": b"no image"}
    dataset = open_dataset(write_zip(tmp_path / "a.zip", files))
    with pytest.raises(UnreadableDataset, match="9999"):
        decode_images(dataset.inputs, dataset.train, 28, tmp_path / "kept" / "train.npy")
    assert list((tmp_path / "kept").iterdir()) == []


def test_decoding_that_is_stopped_leaves_no_file(tmp_path, colours):
    dataset = open_dataset(colours)
    with pytest.raises(Stopped):
        decode_images(dataset.inputs, dataset.train, 28, tmp_path / "kept" / "train.npy", StoppedAt(Stage.DECODE, 1))
    assert list((tmp_path / "kept").iterdir()) == []


def test_views_are_decided_by_the_generator_and_stay_in_range():
    images, rows = coloured_images(6), torch.arange(6)

    def view(place):
        return images.augmented(rows, generator_at(0, CROPS, place), smallest_crop=0.3, flip=True)

    assert torch.equal(view(3), view(3))
    assert not torch.equal(view(3), view(4))
    assert view(3).shape == (6, 3, 32, 32)
    assert 0 <= float(view(3).min()) <= float(view(3).max()) <= 1


def test_without_cropping_and_mirroring_a_view_is_the_whole_image_resized():
    pixels = np.random.default_rng(0).integers(0, 255, (1, 3, 32, 32), dtype=np.uint8)
    images = Images(pixels, torch.zeros(1, dtype=torch.long), 32)
    view = images.augmented(torch.arange(1), generator_at(0, CROPS, 0), smallest_crop=1.0, flip=False)
    torch.testing.assert_close(view, torch.from_numpy(pixels).float() / 255, rtol=0, atol=1e-5)


def test_half_of_the_views_are_mirrored():
    ramp = np.broadcast_to(np.linspace(0, 255, 32).astype(np.uint8), (200, 3, 32, 32))
    images = Images(np.ascontiguousarray(ramp), torch.zeros(200, dtype=torch.long), 32)
    views = images.augmented(torch.arange(200), generator_at(0, CROPS, 0), smallest_crop=1.0, flip=True)
    mirrored = (views[:, 0, 0, 0] > views[:, 0, 0, -1]).sum()
    assert 70 < mirrored < 130


def test_a_crop_covers_at_least_the_asked_share_of_the_image():
    """Across a ramp from 0 to 1 the spread of a view is the width of its crop."""
    ramp = np.broadcast_to(np.linspace(0, 255, 256).astype(np.uint8), (64, 3, 256, 256))
    both = np.stack([ramp[:, 0], ramp[:, 0].transpose(0, 2, 1), ramp[:, 0]], axis=1)
    images = Images(np.ascontiguousarray(both), torch.zeros(64, dtype=torch.long), 64)
    views = images.augmented(torch.arange(64), generator_at(0, CROPS, 0), smallest_crop=0.5, flip=True)
    spread = views.amax(dim=(2, 3)) - views.amin(dim=(2, 3))
    area = spread[:, 0] * spread[:, 1] * (64 / 63) ** 2
    assert 0.45 < float(area.min()) < 0.65
    assert float(area.max()) > 0.85


def test_an_epochs_order_holds_every_example_once_and_differs_between_epochs():
    first, second = epoch_order(50, 0, 0), epoch_order(50, 0, 1)
    assert torch.equal(first.sort().values, torch.arange(50))
    assert not torch.equal(first, second)
    assert torch.equal(first, epoch_order(50, 0, 0))


def test_a_decoded_image_is_as_pillow_resizes_it(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (80, 64, 3), dtype=np.uint8)
    dataset = open_dataset(write_zip(tmp_path / "a.zip", {"a/0.png": encode(pixels), "b/0.png": encode(pixels)}))
    images = decode_images(dataset.inputs, dataset.train, 28, tmp_path / "train.npy")
    expected = np.asarray(Image.fromarray(pixels).resize((32, 40), Image.Resampling.BILINEAR))[4:36]
    assert np.array_equal(images.pixels[0].transpose(1, 2, 0), expected)


class TestSplits:
    def split(self, labels):
        from frontrunner.data import Split

        codes = np.array(labels, dtype=np.int64)
        return Split(tuple(range(len(codes))), labels=codes)

    def test_each_class_gives_its_share_and_nothing_is_in_both(self):
        labels = np.repeat([0, 1, 2], [40, 20, 3])
        rows, held = split_training(self.split(labels), max_examples=1000, validation_share=0.25, seed=0)
        assert sorted([*rows, *held]) == list(range(63))
        assert np.bincount(labels[held], minlength=3).tolist() == [10, 5, 0]

    def test_a_sample_keeps_the_proportions(self):
        labels = np.repeat([0, 1], [80, 20])
        rows, held = split_training(self.split(labels), max_examples=50, validation_share=0.2, seed=0)
        chosen = labels[[*rows, *held]]
        assert len(chosen) == 50
        assert np.bincount(chosen).tolist() == [40, 10]

    def test_one_class_is_refused_with_a_reason(self):
        with pytest.raises(TooFewExamples, match="two classes"):
            split_training(self.split([0, 0, 0]), max_examples=10, validation_share=0.2, seed=0)

"""Decoded images are kept for the next checkpoint: decoded once, the same to the bit, within bounds."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest

from frontrunner.data import open_dataset, stratified_order
from frontrunner.extraction import FeatureShards
from frontrunner.extraction.pixels import StoredImages
from frontrunner.hub import describe_directory
from frontrunner.hub.opening.open import open_checkpoint
from frontrunner.settings import get_settings
from frontrunner.store import FolderStore
from tests.conftest import class_images

GIB = 1024**3


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home of its own."""
    monkeypatch.setenv("FRONTRUNNER_HOME", str(tmp_path / "home"))
    get_settings.cache_clear()
    yield tmp_path / "home"
    monkeypatch.undo()
    get_settings.cache_clear()


@pytest.fixture
def dataset(zip_of):
    return open_dataset(zip_of(class_images(2, 6, side=40)))


def read(dataset, hub, name, cache):
    order = stratified_order(dataset.train, 0)
    shards = FeatureShards(describe_directory(hub / name), dataset, order, 12, FolderStore(cache))
    return np.array(shards[0].features)


def test_checkpoints_of_every_library_and_size_decode_an_image_once(dataset, hub, home, tmp_path, monkeypatch):
    decoded = []
    decode = type(dataset.inputs).decode
    monkeypatch.setattr(type(dataset.inputs), "decode", lambda inputs, key: decoded.append(key) or decode(inputs, key))
    for name in ("resnet", "vit", "mobilenet"):
        read(dataset, hub, name, tmp_path / "cache")
    assert sorted(decoded) == sorted(dataset.train.keys)


@pytest.mark.parametrize("name", ["resnet", "vit", "mobilenet"])
def test_features_are_the_same_with_and_without_the_store(name, dataset, hub, home, tmp_path, monkeypatch):
    first = read(dataset, hub, name, tmp_path / "first")
    stored = read(dataset, hub, name, tmp_path / "stored")
    assert any((home / "hub" / "pixels").rglob("*.pack"))
    monkeypatch.setenv("FRONTRUNNER_PIXELS_MAX_BYTES", "0")
    get_settings.cache_clear()
    plain = read(dataset, hub, name, tmp_path / "plain")
    np.testing.assert_array_equal(first, plain)
    np.testing.assert_array_equal(stored, plain)


@pytest.fixture
def root(tmp_path):
    return tmp_path / "pixels"


def pixels_of(images, keys):
    return [np.asarray(images.decode(key)) for key in keys]


def test_the_store_keeps_to_its_bound(dataset, root):
    room = 3 * (40 * 40 * 3) + 100  # three images; headers are not counted
    images = StoredImages(dataset.inputs, "d", root, room)
    expected = pixels_of(dataset.inputs, dataset.train.keys)
    np.testing.assert_array_equal(pixels_of(images, dataset.train.keys), expected)
    (pack,) = (root / "d").iterdir()
    assert 3 * 4800 < pack.stat().st_size < 4 * 4800
    np.testing.assert_array_equal(pixels_of(images, dataset.train.keys), expected)


def test_the_dataset_read_the_longest_ago_makes_room(dataset, root):
    for age, digest in ((3, "oldest"), (2, "newer")):
        pixels_of(StoredImages(dataset.inputs, digest, root, GIB), dataset.train.keys)
        os.utime(root / digest, (time.time() - age, time.time() - age))
    StoredImages(dataset.inputs, "new", root, 12 * 6000)
    assert sorted(folder.name for folder in root.iterdir()) == ["new", "newer"]


def test_a_dataset_that_nobody_read_for_a_day_is_dropped(dataset, root):
    pixels_of(StoredImages(dataset.inputs, "old", root, GIB), dataset.train.keys)
    os.utime(root / "old", (time.time() - 90_000, time.time() - 90_000))
    StoredImages(dataset.inputs, "new", root, GIB)
    assert [folder.name for folder in root.iterdir()] == ["new"]


@pytest.mark.parametrize("bytes_left", [0, 20, 4000, 30_000])
def test_a_torn_pack_gives_the_images_that_are_whole_and_the_others_are_decoded_again(dataset, root, bytes_left):
    expected = pixels_of(dataset.inputs, dataset.train.keys)
    pixels_of(StoredImages(dataset.inputs, "d", root, GIB), dataset.train.keys)
    (pack,) = (root / "d").iterdir()
    os.truncate(pack, bytes_left)
    images = StoredImages(dataset.inputs, "d", root, GIB)
    np.testing.assert_array_equal(pixels_of(images, dataset.train.keys), expected)


def test_a_damaged_image_is_decoded_again(dataset, root):
    expected = pixels_of(dataset.inputs, dataset.train.keys)
    pixels_of(StoredImages(dataset.inputs, "d", root, GIB), dataset.train.keys)
    (pack,) = (root / "d").iterdir()
    with pack.open("rb+") as file:
        file.seek(1000)  # amid the pixels of the first one
        file.write(b"?" * 64)
    images = StoredImages(dataset.inputs, "d", root, GIB)
    np.testing.assert_array_equal(pixels_of(images, dataset.train.keys), expected)


def test_a_process_finds_what_others_keep_while_it_runs(dataset, root, monkeypatch):
    monkeypatch.setattr("frontrunner.extraction.pixel_packs._LOOK_AGAIN_S", -1.0)
    first, second = (StoredImages(dataset.inputs, "d", root, GIB) for _ in range(2))
    expected = pixels_of(dataset.inputs, dataset.train.keys)
    for images in (first, second):  # each decodes every other image, and takes the rest from the other one
        for key in dataset.train.keys[images is second :: 2]:
            images.decode(key)
    monkeypatch.setattr(type(dataset.inputs), "decode", lambda inputs, key: pytest.fail("decoded again"))
    for images in (first, second):
        np.testing.assert_array_equal(pixels_of(images, dataset.train.keys), expected)


def test_a_shape_is_named_by_all_that_decides_it(hub):
    shapes = [open_checkpoint(describe_directory(hub / name)).preparation.prepare.shape for name in ("resnet", "vit")]
    assert "32" in shapes[0].name
    assert "160" in shapes[1].name
    assert all("bilinear" in shape.name for shape in shapes)


def test_processes_that_share_the_store_keep_to_one_bound(dataset, root):
    size = 40 * 40 * 3 + 48
    several = [StoredImages(dataset.inputs, "d", root, 6 * size) for _ in range(4)]
    for key, images in zip(dataset.train.keys, 3 * several, strict=True):
        images.decode(key)
    assert sum(pack.stat().st_size for pack in (root / "d").iterdir()) == 6 * size

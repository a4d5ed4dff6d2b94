"""Inputs that a checkpoint has read are not read again, whatever their labels, names and order are by then."""

from __future__ import annotations

import numpy as np
import pytest

from frontrunner.data import open_dataset, stratified_order
from frontrunner.extraction import SHARD_SIZE, FeatureShards
from frontrunner.hub import describe_directory
from frontrunner.progress import Silent, Stage
from frontrunner.ranking import RankingRequest, rank
from frontrunner.settings import Settings
from frontrunner.store import FolderStore
from tests.conftest import class_images

N = 300


@pytest.fixture(scope="module")
def images():
    """As many images as fill a shard and a part of one, by number."""
    return list(class_images(2, N // 2, side=8).values())


def zipped(zip_of, images, label_of, name):
    """The images in folders of their labels, under names that say nothing."""
    return zip_of({f"train/{label_of(i)}/{i:04d}.png": image for i, image in enumerate(images)}, name)


def shards_of(path, hub, root, *, seed=0, name="resnet", **more):
    dataset = open_dataset(path)
    checkpoint = describe_directory(hub / name)
    order = stratified_order(dataset.train, seed)
    return dataset.train.take(order).keys, FeatureShards(checkpoint, dataset, order, 5000, FolderStore(root), **more)


def rows(keys, shards):
    """Features by the number of the image."""
    features = np.concatenate([shard.features for shard in shards])
    return {int(key[-8:-4]): row for key, row in zip(keys, features, strict=True)}


def test_other_labels_on_the_same_inputs_cost_no_forward_pass(zip_of, images, hub, tmp_path):
    first = zipped(zip_of, images, lambda i: "ab"[i % 2], "first.zip")
    second = zipped(zip_of, images, lambda i: "wxyz"[i % 7 % 4], "second.zip")
    keys, shards = shards_of(first, hub, tmp_path, with_source_probabilities=True)
    expected = rows(keys, shards)
    assert shards.forward_examples == N
    again_keys, again = shards_of(second, hub, tmp_path, with_source_probabilities=True)
    found = rows(again_keys, again)
    assert again.forward_examples == 0
    assert [int(key[-8:-4]) for key in again_keys] != [int(key[-8:-4]) for key in keys]
    for number, row in expected.items():
        np.testing.assert_array_equal(found[number], row)
    assert again[0].source_probabilities.shape == (SHARD_SIZE, 10)
    assert again.provenance == shards.provenance


def test_a_relabelled_ranking_is_the_one_that_reading_everything_again_gives(zip_of, images, hub, tmp_path):
    first = zipped(zip_of, images, lambda i: "ab"[i % 2], "first.zip")
    second = zipped(zip_of, images, lambda i: "ab"[i < N // 3], "second.zip")
    request = RankingRequest(checkpoints=("local:resnet", "local:mobilenet"), baselines=False)

    def ranked(path, home):
        return rank(path, hub=hub, request=request, settings=Settings(home=tmp_path / home, packages=False)).ranking

    ranked(first, "used")
    reused, fresh = ranked(second, "used"), ranked(second, "fresh")
    assert [line.forward_examples for line in reused] == [0, 0]
    assert [line.forward_examples for line in fresh] == [N, N]
    assert [line.checkpoint for line in reused] == [line.checkpoint for line in fresh]
    for one, other in zip(reused, fresh, strict=True):
        assert one.scores["logme"].value == pytest.approx(other.scores["logme"].value, rel=1e-4)


def test_another_seed_and_more_inputs_read_only_what_is_new(zip_of, images, hub, tmp_path):
    few = zipped(zip_of, images[:280], lambda i: "ab"[i % 2], "few.zip")
    all_of_them = zipped(zip_of, images, lambda i: "ab"[i % 2], "all.zip")
    for path, seed, expected in ((few, 0, 280), (few, 1, 0), (all_of_them, 0, 20)):
        _, shards = shards_of(path, hub, tmp_path, seed=seed)
        list(shards)
        assert shards.forward_examples == expected


def test_progress_counts_known_rows_and_ends_at_the_total(zip_of, images, hub, tmp_path):
    class Heard(Silent):
        def __init__(self):
            self.done = []

        def advance(self, stage, done, total, *, of=""):
            assert (stage, total) == (Stage.READ, N)
            self.done.append(done)

    few = zipped(zip_of, images[:280], lambda i: "ab"[i % 2], "few.zip")
    list(shards_of(few, hub, tmp_path)[1])
    heard = Heard()
    path = zipped(zip_of, images, lambda i: "ab"[i % 2], "all.zip")
    list(shards_of(path, hub, tmp_path, progress=heard)[1])
    assert heard.done == sorted(heard.done)
    assert heard.done[-1] == N


def test_inputs_that_differ_and_checkpoints_that_differ_share_nothing(zip_of, images, hub, tmp_path):
    path = zipped(zip_of, images, lambda i: "ab"[i % 2], "first.zip")
    list(shards_of(path, hub, tmp_path)[1])
    _, other_checkpoint = shards_of(path, hub, tmp_path, name="mobilenet")
    list(other_checkpoint)
    others = list(class_images(2, N // 2, side=8, seed=5).values())
    _, other_inputs = shards_of(zipped(zip_of, others, lambda i: "ab"[i % 2], "others.zip"), hub, tmp_path)
    list(other_inputs)
    assert (other_checkpoint.forward_examples, other_inputs.forward_examples) == (N, N)


def test_a_damaged_shard_of_other_labels_is_read_through_the_checkpoint(zip_of, images, hub, tmp_path):
    keys, shards = shards_of(zipped(zip_of, images, lambda i: "ab"[i % 2], "first.zip"), hub, tmp_path)
    expected = rows(keys, shards)
    shard = tmp_path / shards.cache.key.prefix / f"00000-{SHARD_SIZE}.npy"
    damaged = bytearray(shard.read_bytes())
    damaged[5000] ^= 1
    shard.write_bytes(damaged)
    again_keys, again = shards_of(zipped(zip_of, images, lambda i: "ab"[i < 99], "second.zip"), hub, tmp_path)
    found = rows(again_keys, again)
    assert again.forward_examples == SHARD_SIZE
    for number, row in expected.items():
        np.testing.assert_allclose(found[number], row, rtol=1e-4, atol=1e-5)


def test_relabelled_texts_cost_no_forward_pass_and_pairs_are_no_texts(text_hub, tmp_path):
    def table(name, columns, label):
        path = tmp_path / name
        lines = [f"lost my card {i}{columns} the balance {i},{label(i)}" for i in range(40)]
        path.write_text("\n".join([f"text{columns}{'text_b' if columns == ',' else ''},label", *lines]))
        return path

    for path, expected in (
        (table("one.csv", " ", lambda i: "ab"[i % 2]), 40),
        (table("two.csv", " ", lambda i: "abc"[i % 3]), 0),
    ):
        _, shards = shards_of(path, text_hub, tmp_path / "home", name="encoder")
        list(shards)
        assert shards.forward_examples == expected

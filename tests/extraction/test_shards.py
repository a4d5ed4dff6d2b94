"""Shards: computed once, kept whole, extended by larger samples."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from frontrunner import errors
from frontrunner.data import check_dataset, open_dataset, stratified_order
from frontrunner.extraction import SHARD_SIZE, FeatureShards, parts_of
from frontrunner.hub import FeatureSets, catalogue_of, describe_directory
from frontrunner.hub.opening.open import open_checkpoint
from frontrunner.progress import Silent, Stage
from frontrunner.scores import ScoringInput, describe, evaluate_input
from frontrunner.shard import fold
from frontrunner.statistics import FeatureStatistics
from frontrunner.store import FolderStore
from tests.conftest import class_images, write_timm_checkpoint, write_zip


class Heard(Silent):
    """Keeps what it is told, and where the work might have been stopped."""

    def __init__(self):
        self.said = []

    def advance(self, stage, done, total, *, of=""):
        self.said.append((stage, done, total, of))

    def safe_point(self):
        self.said.append("safe")


@pytest.fixture
def many(zip_of):
    """More examples than one shard holds."""
    return open_dataset(zip_of(class_images(2, 150, side=8)))


def shards_of(dataset, hub, cache, max_examples=5000, name="resnet", **more):
    order = stratified_order(dataset.train, 0)
    return FeatureShards(describe_directory(hub / name), dataset, order, max_examples, FolderStore(cache), **more)


def test_features_are_those_of_the_opened_checkpoint_in_order(many, hub, tmp_path):
    import torch

    opened = open_checkpoint(describe_directory(hub / "resnet"))
    shards = shards_of(many, hub, tmp_path, max_examples=5)
    keys = many.train.take(stratified_order(many.train, 0)[:5]).keys
    prepare = opened.preparation.prepare
    expected = opened.read(torch.stack([prepare(many.inputs.decode(key)) for key in keys])).features
    np.testing.assert_allclose(shards[0].features, expected.numpy(), rtol=1e-4, atol=1e-4)


def test_a_second_reading_runs_no_forward_pass(many, hub, tmp_path):
    first = shards_of(many, hub, tmp_path)
    kept = [np.array(shard.features) for shard in first]
    assert first.forward_examples == 300
    again = shards_of(many, hub, tmp_path)
    for before, shard in zip(kept, again, strict=True):
        np.testing.assert_array_equal(shard.features, before)
    assert again.forward_examples == 0


def test_a_larger_sample_only_reads_what_is_new(many, hub, tmp_path):
    list(shards_of(many, hub, tmp_path, max_examples=SHARD_SIZE))
    larger = shards_of(many, hub, tmp_path)
    list(larger)
    assert larger.forward_examples == 300 - SHARD_SIZE


def test_a_sample_that_ends_within_a_shard_is_not_read_again_by_a_larger_one(many, hub, tmp_path):
    kept = [np.array(shard.features) for shard in shards_of(many, hub, tmp_path, max_examples=40)]
    larger = shards_of(many, hub, tmp_path, max_examples=100)
    features = [np.array(shard.features) for shard in larger]
    assert larger.forward_examples == 60
    np.testing.assert_array_equal(features[0][:40], kept[0])
    direct = [np.array(shard.features) for shard in shards_of(many, hub, tmp_path / "other", max_examples=100)]
    np.testing.assert_allclose(features[0], direct[0], rtol=1e-4, atol=1e-5)


def test_source_probabilities_come_with_the_features_and_are_kept_beside_them(many, hub, tmp_path):
    asked = shards_of(many, hub, tmp_path, with_source_probabilities=True)
    given = [np.array(shard.source_probabilities) for shard in asked]
    assert [p.shape for p in given] == [(SHARD_SIZE, 10), (300 - SHARD_SIZE, 10)]
    for p in given:
        assert p.dtype == np.float32
        np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
    again = shards_of(many, hub, tmp_path, with_source_probabilities=True)
    for before, shard in zip(given, again, strict=True):
        np.testing.assert_array_equal(shard.source_probabilities, before)
    assert again.forward_examples == 0


def test_source_probabilities_asked_for_later_need_no_forward_pass(many, hub, tmp_path):
    first = shards_of(many, hub, tmp_path)
    assert {shard.source_probabilities for shard in first} == {None}
    later = shards_of(many, hub, tmp_path, with_source_probabilities=True)
    assert all(shard.source_probabilities.shape[1] == 10 for shard in later)
    assert (first.forward_examples, later.forward_examples) == (300, 0)


def test_a_torn_file_of_probabilities_is_read_again(many, hub, tmp_path):
    first = shards_of(many, hub, tmp_path, with_source_probabilities=True)
    expected = np.array(first[1].source_probabilities)
    (path,) = (tmp_path / first.cache.key.prefix).glob("00001-*.predictions.npy")
    path.write_bytes(path.read_bytes()[:100])
    again = shards_of(many, hub, tmp_path, with_source_probabilities=True)
    np.testing.assert_array_equal(again[1].source_probabilities, expected)
    assert again.forward_examples == 300 - SHARD_SIZE


def test_a_backbone_without_a_head_has_no_source_probabilities_and_is_not_read_twice_for_them(many, tmp_path):
    write_timm_checkpoint(tmp_path / "hub" / "bare", "test_resnet", seed=1, classes=0)
    for forward_examples in (SHARD_SIZE, 0):
        shards = shards_of(
            many, tmp_path / "hub", tmp_path, max_examples=SHARD_SIZE, name="bare", with_source_probabilities=True
        )
        assert [shard.source_probabilities for shard in shards] == [None]
        assert shards.forward_examples == forward_examples


def test_a_torn_shard_is_read_again(many, hub, tmp_path):
    first = shards_of(many, hub, tmp_path)
    expected = np.array(first[1].features)
    path = tmp_path / first.cache.key.prefix / f"00001-{300 - SHARD_SIZE}.npy"
    path.write_bytes(path.read_bytes()[:100])
    again = shards_of(many, hub, tmp_path)
    np.testing.assert_array_equal(again[1].features, expected)


def test_progress_is_told_batch_by_batch(many, hub, tmp_path):
    progress = Heard()
    list(shards_of(many, hub, tmp_path, progress=progress))
    read = [said for said in progress.said if said != "safe"]
    assert read[-1] == (Stage.READ, 300, 300, "local:resnet")
    assert read == sorted(read)
    assert (Stage.READ, SHARD_SIZE, 300, "local:resnet") in read


def test_shards_that_were_computed_are_safe_points_and_cached_ones_are_told_all_the_same(many, hub, tmp_path):
    first, second = Heard(), Heard()
    list(shards_of(many, hub, tmp_path, max_examples=SHARD_SIZE, progress=first))
    assert first.said[-2:] == [(Stage.READ, SHARD_SIZE, SHARD_SIZE, "local:resnet"), "safe"]
    list(shards_of(many, hub, tmp_path, progress=second))
    assert second.said[0] == (Stage.READ, SHARD_SIZE, 300, "local:resnet")
    assert second.said.count("safe") == 1
    assert second.said[-1] == "safe"


def test_work_that_is_stopped_after_a_shard_has_kept_it(many, hub, tmp_path):
    class Stop(BaseException):
        pass

    class Stopping(Silent):
        def safe_point(self):
            raise Stop

    stopped = shards_of(many, hub, tmp_path, progress=Stopping())
    with pytest.raises(Stop):
        list(stopped)
    assert stopped.forward_examples == SHARD_SIZE
    again = shards_of(many, hub, tmp_path)
    list(again)
    assert again.forward_examples == 300 - SHARD_SIZE


def test_weights_that_are_not_finite_fail_with_a_reason(many, hub, tmp_path):
    import shutil

    from safetensors.torch import load_file, save_file

    folder = tmp_path / "hub" / "broken"
    shutil.copytree(hub / "resnet", folder)
    weights = load_file(folder / "model.safetensors")
    weights["layer1.0.conv1.weight"].fill_(float("nan"))
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(errors.CheckpointUnreadable, match="NaN"):
        list(shards_of(many, folder.parent, tmp_path, name="broken"))


def test_regression_targets_are_standardised(tmp_path):
    path = tmp_path / "r.npz"
    targets = np.random.default_rng(0).normal(5, 3, size=(64, 2))
    np.savez(path, features=np.random.default_rng(1).normal(size=(64, 4)), targets=targets)
    dataset = open_dataset(path)
    (checkpoint,) = catalogue_of([FeatureSets(check_dataset(dataset))]).checkpoints
    (shard,) = FeatureShards(checkpoint, dataset, np.arange(64), 64, FolderStore(tmp_path))
    np.testing.assert_allclose(shard.targets.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(shard.targets.std(axis=0), 1)


def test_reading_tells_what_it_took_and_a_cached_reading_does_not(many, hub, tmp_path):
    first = shards_of(many, hub, tmp_path)
    list(first)
    assert first.cost.device.startswith(("cpu", "NVIDIA"))
    assert 0 < first.cost.latency_ms < 60_000
    # So small a checkpoint may fit into memory that this process held before.
    assert 0 <= first.cost.memory_mb < 2000
    again = shards_of(many, hub, tmp_path)
    list(again)
    assert again.cost is None


def test_a_flipped_bit_in_a_shard_is_found_and_the_shard_computed_again(many, hub, tmp_path):
    first = shards_of(many, hub, tmp_path)
    expected = [np.array(shard.features) for shard in first]
    path = tmp_path / first.cache.key.prefix / f"00000-{SHARD_SIZE}.npy"
    for position in (200, 90_000, path.stat().st_size - 30):
        damaged = bytearray(path.read_bytes())
        damaged[position] ^= 0x40
        path.write_bytes(damaged)
        again = shards_of(many, hub, tmp_path)
        np.testing.assert_array_equal(again[0].features, expected[0])
        assert again.forward_examples == SHARD_SIZE
    whole = shards_of(many, hub, tmp_path)
    list(whole)
    assert whole.forward_examples == 0


def test_a_shard_that_became_nan_does_not_blame_the_checkpoint(many, hub, tmp_path):
    first = shards_of(many, hub, tmp_path)
    expected = np.array(first[0].features)
    path = tmp_path / first.cache.key.prefix / f"00000-{SHARD_SIZE}.npy"
    stored = path.read_bytes()
    path.write_bytes(stored[:128] + np.float32("nan").tobytes() + stored[132:])
    np.testing.assert_array_equal(shards_of(many, hub, tmp_path)[0].features, expected)


def test_a_score_that_was_changed_in_the_cache_is_computed_again(colours, hub, tmp_path):
    from frontrunner.ranking import RankingRequest, rank
    from frontrunner.settings import Settings

    def logme():
        request = RankingRequest(checkpoints=("local:resnet",), baselines=False)
        (line,) = rank(colours, hub=hub, request=request, settings=Settings(home=tmp_path, packages=False)).ranking
        return line.scores["logme"].value, line.forward_examples

    value, _ = logme()
    (path,) = tmp_path.rglob("logme.*.json")
    digits = path.read_bytes()
    at = digits.index(b'"value": ') + 12
    path.write_bytes(digits[:at] + (b"7" if digits[at : at + 1] != b"7" else b"3") + digits[at + 1 :])
    assert logme() == (value, 0)


def test_shards_that_several_machines_read_are_scored_as_those_of_one(many, hub, tmp_path):
    """Whoever reads a shard, the sums are taken over the same bytes in the same order."""
    alone = fold(shards_of(many, hub, tmp_path / "alone"))
    for parts in (((0,), (1,)), ((1,), (0,))):
        root = tmp_path / f"first-{parts[0][0]}"
        for part in parts:
            machine = shards_of(many, hub, root)
            assert [machine[index].features.shape[0] for index in part]
            assert machine.forward_examples in (SHARD_SIZE, 300 - SHARD_SIZE)
        scoring = shards_of(many, hub, root)
        together = fold(scoring)
        assert scoring.forward_examples == 0
        np.testing.assert_allclose(together.mean, alone.mean, rtol=1e-9)
        np.testing.assert_allclose(together.gram, alone.gram, rtol=1e-9)


@pytest.fixture(scope="module")
def five_shards(tmp_path_factory):
    """Images of 5 shards."""
    path = write_zip(tmp_path_factory.mktemp("five") / "data.zip", class_images(3, 400, side=8))
    return open_dataset(path)


@pytest.mark.parametrize("most", [5 * SHARD_SIZE, 3 * SHARD_SIZE, SHARD_SIZE])
def test_the_sums_of_1_2_or_5_parts_are_those_of_all_shards(most, five_shards, hub, tmp_path):
    whole = fold(shards_of(five_shards, hub, tmp_path))
    parts = parts_of(1200, most)
    assert len(parts) == {1280: 1, 768: 2, 256: 5}[most]
    added = sum((shards_of(five_shards, hub, tmp_path).sums(rows) for rows in reversed(parts)), FeatureStatistics())
    assert (added.n, added.classes) == (1200, whole.classes)
    for name in ("gram", "feature_sum", "cross", "target_sum"):
        expected = getattr(whole, name)
        np.testing.assert_allclose(getattr(added, name), expected, rtol=0, atol=1e-9 * np.abs(expected).max())
    shards = list(shards_of(five_shards, hub, tmp_path))
    logme, of_parts = (
        evaluate_input([describe("logme")], ScoringInput(sums, shards))["logme"].value for sums in (whole, added)
    )
    assert of_parts == pytest.approx(logme, rel=1e-9)


def test_sums_that_are_kept_are_not_made_again_and_damaged_ones_are(five_shards, hub, tmp_path):
    first = shards_of(five_shards, hub, tmp_path).sums((0, 256))
    (kept,) = tmp_path.rglob("*.sums")
    for shard in tmp_path.rglob("*-256.npy"):
        shard.unlink()
    again = shards_of(five_shards, hub, tmp_path)
    np.testing.assert_array_equal(again.sums((0, 256)).gram, first.gram)
    assert again.forward_examples == 0
    with kept.open("rb+") as file:
        file.seek(500)
        file.write(b"?" * 100)
    np.testing.assert_allclose(again.sums((0, 256)).gram, first.gram, rtol=1e-6)
    assert again.forward_examples == 256


_FIRST_OF_A_PROCESS = """
import sys
from pathlib import Path
import subprocess
import sys

import numpy as np
from frontrunner.data import open_dataset
from frontrunner.extraction import FeatureShards
from frontrunner.hub import HubAccess, describe_directory
from frontrunner.settings import Settings
from frontrunner.store import FolderStore

folder, zipped, home = map(Path, sys.argv[1:])
dataset = open_dataset(zipped)
shards = FeatureShards(
    describe_directory(folder), dataset, np.arange(len(dataset.train)), 300, FolderStore(home),
    access=HubAccess.of(Settings(home=home)),
)
list(shards)
print(shards.cost.memory_mb)
"""


@pytest.mark.parametrize("name", ["resnet", "mobilenet"])
def test_memory_of_a_processes_first_checkpoint_is_not_its_libraries(zip_of, hub, tmp_path, name):
    """Libraries take some 300 MB, the checkpoint and a batch of small images a tenth of that."""
    zipped = zip_of(class_images(2, 150, side=8))
    asked = [sys.executable, "-c", _FIRST_OF_A_PROCESS, hub / name, zipped, tmp_path / "home"]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 150, done.stdout

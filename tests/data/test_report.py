"""What a check reports, and when it refuses."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from frontrunner import errors
from frontrunner.data import check_dataset, digest_dataset, open_dataset
from frontrunner.data.dataset import DatasetOptions
from frontrunner.data.isolation import check_isolated
from tests.conftest import class_images, encode


def test_the_report_counts_classes_sizes_and_examples(colours):
    report = check_dataset(open_dataset(colours))
    assert (report.train_examples, report.test_examples) == (80, 20)
    assert [(c.name, c.train, c.test) for c in report.classes][:2] == [("class-0", 20, 5), ("class-1", 20, 5)]
    assert report.widths.median == report.heights.largest == 32
    assert (report.unreadable, report.duplicates, report.warnings) == ([], [], [])


def test_a_corrupt_image_among_good_ones_is_reported_and_left_out(zip_of):
    files = class_images(2, 30)
    whole = files["train/class-0/0003.png"]
    files["train/class-0/0003.png"] = whole[: len(whole) // 2]
    files["train/class-1/0004.png"] = b"not an image"
    dataset = open_dataset(zip_of(files))
    report = check_dataset(dataset)
    assert sorted(file.key for file in report.unreadable) == ["train/class-0/0003.png", "train/class-1/0004.png"]
    assert report.train_examples == 58
    assert len(dataset.without({file.key for file in report.unreadable}).train) == 58


def test_a_truncated_jpeg_is_found_although_it_is_decoded_small(zip_of):
    generator = np.random.default_rng(0)
    files = {
        f"{label}/{i}.jpg": encode(generator.integers(0, 255, (256, 256, 3)), "JPEG")
        for label in "ab"
        for i in range(3)
    }
    files["a/0.jpg"] = files["a/0.jpg"][: len(files["a/0.jpg"]) * 2 // 3]
    report = check_dataset(open_dataset(zip_of(files)))
    assert [file.key for file in report.unreadable] == ["a/0.jpg"]


def test_duplicates_are_grouped_and_leaks_between_splits_are_named(zip_of):
    files = class_images(2, 30) | class_images(2, 3, seed=5, splits=("test",))
    files["train/class-0/copy.png"] = files["train/class-0/0000.png"]
    files["test/class-1/copy.png"] = files["train/class-1/0000.png"]
    report = check_dataset(open_dataset(zip_of(files)))
    assert (report.duplicate_groups, report.leaked_duplicates) == (2, 1)
    assert ["train/class-0/0000.png", "train/class-0/copy.png"] in report.duplicates


def test_classes_with_one_example_are_named(zip_of):
    files = class_images(2, 30) | {"train/lonely/0.png": encode(np.full((8, 8, 3), 7))}
    assert check_dataset(open_dataset(zip_of(files))).single_example_classes == ["lonely"]


def test_one_class_is_refused(zip_of):
    with pytest.raises(errors.OneClassDataset, match="class-0"):
        check_dataset(open_dataset(zip_of(class_images(1, 5))))


def test_a_class_whose_every_image_is_corrupt_may_leave_one_class(zip_of):
    files = class_images(2, 3)
    broken = {name: (b"" if "class-1" in name else data) for name, data in files.items()}
    with pytest.raises(errors.OneClassDataset):
        check_dataset(open_dataset(zip_of(broken)))


def test_no_readable_image_is_refused(zip_of):
    with pytest.raises(errors.EmptyDataset, match="no readable training example"):
        check_dataset(open_dataset(zip_of({"a/1.png": b"x", "b/2.png": b"y"})))


def test_a_zip_bomb_is_left_out_before_it_is_unpacked(tmp_path):
    import zipfile

    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in class_images(2, 2).items():
            archive.writestr(name, data)
        archive.writestr("train/class-0/bomb.png", b"\0" * (64 * 1024**2))
    report = check_dataset(open_dataset(path))
    assert [(file.key, "zip bomb" in file.reason) for file in report.unreadable] == [("train/class-0/bomb.png", True)]


def test_rows_of_features_that_are_not_finite_are_left_out(tmp_path):
    features = np.random.default_rng(0).normal(size=(60, 3))
    features[7, 1] = np.nan
    path = tmp_path / "f.npz"
    np.savez(path, features=features, labels=np.arange(60) % 2)
    assert [file.key for file in check_dataset(open_dataset(path)).unreadable] == [7]


def isolated(path, **limits):
    given = {"timeout_s": 60.0, "memory_bytes": 8 * 1024**3} | limits
    return check_isolated(path, DatasetOptions(), digest=digest_dataset(path), name="upload", **given)


def test_a_check_in_its_own_process_says_the_same(colours):
    assert isolated(colours) == check_dataset(open_dataset(colours, name="upload"))


def test_a_check_in_its_own_process_keeps_the_error_class(zip_of):
    with pytest.raises(errors.OneClassDataset):
        isolated(zip_of(class_images(1, 5)))


def test_a_check_that_takes_too_long_is_refused(colours):
    with pytest.raises(errors.DatasetTooLarge, match="longer than"):
        isolated(colours, timeout_s=0.01)


@pytest.mark.parametrize(
    ("ending", "kind"),
    [("sys.exit('unforeseen')", errors.InternalError), ("os.kill(os.getpid(), 9)", errors.UnreadableDataset)],
)
def test_a_check_that_ends_without_an_answer_is_our_fault_unless_it_was_killed(
    colours, monkeypatch, caplog, ending, kind
):
    command = [sys.executable, "-c", f"import os, sys; {ending}"]
    monkeypatch.setattr("frontrunner.data.isolation.module_command", lambda _: command)
    with pytest.raises(kind):
        isolated(colours)
    assert "dataset_check_crashed" in caplog.text


def test_the_report_of_a_check_in_its_own_process_says_what_was_left_out(zip_of):
    report = isolated(zip_of(class_images(2, 30) | {"notes.txt": b"x"}))
    assert report.read_as == "images in folders; 2 classes from folder names; train from train/"
    assert [(entry.count, entry.what) for entry in report.left_out] == [(1, ".txt file")]

"""What a check reports, and when it refuses."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from frontrunner import errors
from frontrunner.data import check_dataset, digest_dataset, open_dataset
from frontrunner.data.dataset import DatasetOptions
from frontrunner.data.isolation import check_isolated
from frontrunner.data.positions import positions_text, read_positions
from frontrunner.data.previews import MAX_PREVIEWS
from frontrunner.data.reference import DatasetReference
from frontrunner.data.suspicions import suspicions
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
    assert report.unreadable_count == 2
    left_out = read_positions(report.unreadable_positions, 60)
    assert len(dataset.without(left_out).train) == 58


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
    assert isolated(colours) == check_dataset(open_dataset(colours, name="upload"), previews=MAX_PREVIEWS)


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


def test_numbers_to_predict_raise_no_suspicion_of_classes():
    assert suspicions([]) == []


def test_where_nothing_is_readable_the_refusal_says_what_was_left_out(tmp_path):
    (tmp_path / "t.csv").write_text("image,label\n" + "".join(f"{i}.png,{'ab'[i % 2]}\n" for i in range(12)))
    (tmp_path / "pictures.zip").write_bytes(b"PK")
    with pytest.raises(errors.EmptyDataset, match=r"0\.png is not there; left out: 1 \.zip file"):
        check_dataset(open_dataset(tmp_path))


def test_a_report_stays_small_however_much_is_wrong_and_still_leaves_all_of_it_out(zip_of):
    """As one row with every name it was 7 MB, and part of every step."""
    good = class_images(2, 10)
    bad = {f"train/class-{n % 2}/{'long' * 40}-{n:05d}.png": b"no image" for n in range(5000)}
    path = zip_of(good | bad)
    report = check_dataset(open_dataset(path))
    assert (report.unreadable_count, len(report.unreadable), report.train_examples) == (5000, 100, 20)
    assert len(report.model_dump_json()) < 100_000
    reference = DatasetReference.of(path, report, DatasetOptions())
    assert len(reference.model_dump_json()) < 10_000
    assert sorted(reference.open().train.keys) == sorted(good)


def test_every_list_of_a_report_is_cut_and_counted(tmp_path):
    rows = [f"the same words,label {'x' * 400} {n // 2}\n" for n in range(6000)]
    (tmp_path / "t.csv").write_text("text,label\n" + "".join(rows))
    report = check_dataset(open_dataset(tmp_path / "t.csv", DatasetOptions(task="classification", label="label")))
    assert (report.class_count, len(report.classes)) == (3000, 2000)
    assert (report.duplicate_groups, [len(group) for group in report.duplicates]) == (1, [20])
    assert max(len(entry.name) for entry in report.classes) == 300
    assert len(report.model_dump_json()) < 1_000_000


@pytest.mark.parametrize("text", ["?", "AAAA", positions_text(np.ones(9, dtype=bool))])
def test_positions_of_other_datasets_are_refused(text):
    with pytest.raises(ValueError, match="positions"):
        read_positions(text, 4000)


def test_an_npz_of_a_thousand_arrays_and_more_is_refused(tmp_path):
    np.savez(tmp_path / "f.npz", labels=[0, 1], **{f"a{n}": np.zeros((2, 1)) for n in range(1001)})
    with pytest.raises(errors.DatasetTooLarge, match="arrays"):
        open_dataset(tmp_path / "f.npz")

"""Folders and zips: which files are examples, of which split and class; what is left out is counted and named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from frontrunner import errors
from frontrunner.data import DatasetOptions, check_dataset, digest_dataset, open_dataset
from tests.conftest import write_zip
from tests.data.folders import SHADES, images, left_out, opened, sizes, unpack

TRAIN = images("train/cat", "train/dog")
TEST = images("test/cat", "test/dog")


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("train", "val"),
        ("Training", "Testing"),
        ("training_set", "test_set"),
        ("seg_train/seg_train", "seg_test/seg_test"),
        ("trainset", "validation-set"),
        ("train2017", "val2017"),
        ("my data/train", "my data/dev"),
    ],
)
def test_folders_named_after_splits_are_no_classes(tmp_path, train, test):
    files = images(f"{train}/cat", f"{train}/dog") | images(f"{test}/cat", f"{test}/dog", each=1)
    dataset = opened(tmp_path, files)
    assert (dataset.classes, sizes(dataset)) == (("cat", "dog"), (4, 2))


def test_a_folder_beside_the_splits_is_left_out_and_named(tmp_path):
    dataset = opened(tmp_path, TRAIN | TEST | images("samples/cat", "seg_pred"))
    assert (dataset.classes, sizes(dataset)) == (("cat", "dog"), (4, 4))
    assert left_out(dataset) == {"images in samples/": 2, "images in seg_pred/": 2}


@pytest.mark.parametrize("folder", ["test", "test/images"])
def test_a_test_folder_without_classes_is_left_out(tmp_path, folder):
    dataset = opened(tmp_path, TRAIN | images(folder))
    assert (dataset.classes, sizes(dataset)) == (("cat", "dog"), (4, 0))
    assert sum(left_out(dataset).values()) == 2


def test_a_split_below_each_class_is_a_split(tmp_path):
    dataset = opened(tmp_path, images("cat/train", "cat/test", "dog/train", "dog/test"))
    assert (dataset.classes, sizes(dataset)) == (("cat", "dog"), (4, 4))


@pytest.mark.parametrize("classes", [("airplane", "car", "train"), ("test tube", "training shoes")])
def test_classes_may_be_called_like_splits(tmp_path, classes):
    assert opened(tmp_path, images(*classes)).classes == classes


@pytest.mark.parametrize(
    "folders",
    [
        ("fold_0/cat", "fold_0/dog", "fold_1/cat", "fold_1/dog"),
        ("photo/cat", "photo/dog", "sketch/cat", "sketch/dog"),
        ("train/cat", "train/dog", "extra/cat", "extra/dog"),
        ("fold1", "fold2", "fold3"),
        ("fold1/train/cat", "fold1/test/cat", "fold2/train/cat", "fold2/test/cat"),
        ("images_part_1", "images_part_2"),
    ],
)
def test_outer_folders_that_may_be_no_classes_are_asked_about(tmp_path, folders):
    outer = sorted({folder.split("/")[0] for folder in folders})
    with pytest.raises(errors.AmbiguousDataset, match=r"--split 'train=.*--split none"):
        opened(tmp_path, images(*folders))
    assert open_dataset(tmp_path, DatasetOptions(split="none")).classes == tuple(outer)


def test_a_chosen_split_of_folders_is_kept_to(tmp_path):
    files = images(*(f"fold_{i}/{name}" for i in range(4) for name in ("cat", "dog")))
    dataset = opened(tmp_path, files, split="train=fold_0,fold_1;test=fold_2")
    assert (dataset.classes, sizes(dataset)) == (("cat", "dog"), (8, 4))
    assert left_out(dataset) == {"images in fold_3/": 4}
    with pytest.raises(errors.UnreadableDataset, match="no folder 'fold_9'"):
        open_dataset(tmp_path, DatasetOptions(split="train=fold_9"))


def test_one_folder_inside_of_every_class_encloses(tmp_path):
    assert opened(tmp_path, images("n01/images", "n02/images")).classes == ("n01", "n02")


@pytest.mark.parametrize("files", [TRAIN, images("cat", "dog", each=4)])
def test_stray_files_are_left_out_and_counted_by_extension(tmp_path, files):
    strays = {"grid.png": SHADES[0], "README.md": "x", "LICENSE": "x", "a.jxl": b"x", "b.jxl": b"x"}
    dataset = opened(tmp_path, files | strays)
    assert dataset.classes == ("cat", "dog")
    expected = {"image": 1, ".md file": 1, "nameless file": 1, ".jxl files": 2}
    assert left_out(dataset) == expected
    assert sum("left out" in warning for warning in check_dataset(dataset).warnings) == len(expected)


def test_images_of_a_kind_that_is_not_read_are_named_with_advice(tmp_path):
    with pytest.raises(errors.EmptyDataset, match=r"4 \.jxl files.*convert"):
        opened(tmp_path, {f"{name}/{i}.jxl": b"x" for name in "ab" for i in range(2)})


def test_thumbnails_of_storage_systems_are_passed_over(tmp_path):
    droppings = {"train/cat/@eaDir/0.png/SYNOPHOTO_THUMB_M.png": SHADES[0], "@eaDir/x.png": SHADES[0]}
    dataset = opened(tmp_path / "folder", TRAIN | droppings)
    assert sizes(dataset) == (4, 0)
    assert left_out(dataset) == {"thumbnails of a storage system": 2}
    packed = open_dataset(write_zip(tmp_path / "packed.zip", TRAIN | droppings))
    assert sizes(packed) == (4, 0)


def test_links_inside_of_the_folder_are_followed_and_others_are_not(tmp_path):
    unpack(tmp_path / "elsewhere", images("dog"))
    root = unpack(tmp_path / "set", images("store", each=4))
    for name, numbers in (("cat", (0, 1)), ("dog", (2, 3))):
        (root / "train" / name).mkdir(parents=True)
        for number in numbers:
            os.symlink(root / "store" / f"{number}.png", root / "train" / name / f"{number}.png")
    os.symlink(tmp_path / "elsewhere" / "dog" / "0.png", root / "train" / "dog" / "outside.png")
    os.symlink(tmp_path / "elsewhere", root / "outside")
    os.symlink(root, root / "train" / "loop")
    dataset = open_dataset(root)
    assert [str(key) for key in dataset.train.keys] == [
        f"train/{name}" for name in ("cat/0.png", "cat/1.png", "dog/2.png", "dog/3.png")
    ]
    assert left_out(dataset)["links that lead outside of the folder or nowhere"] == 2
    assert check_dataset(dataset).unreadable == []


def test_links_to_folders_are_followed(tmp_path):
    root = unpack(tmp_path / "set", images("data/cats", "data/dogs"))
    (root / "train").mkdir()
    os.symlink("../data/cats", root / "train" / "cat")
    os.symlink("../data/dogs", root / "train" / "dog")
    with pytest.raises(errors.AmbiguousDataset):
        open_dataset(root)
    dataset = open_dataset(root, DatasetOptions(split="train=train"))
    assert (dataset.classes, sizes(dataset)) == (("cat", "dog"), (4, 0))


def test_pipes_and_names_that_are_no_utf_8_are_no_images(tmp_path):
    root = unpack(tmp_path / "set", images("cat", "dog"))
    os.mkfifo(root / "cat" / "pipe.png")
    (Path(os.fsdecode(os.fsencode(root) + b"/cat/\xff.png"))).write_bytes(SHADES[0])
    dataset = open_dataset(root)
    assert sizes(dataset) == (4, 0)
    assert left_out(dataset) == {"files and folders whose name is not UTF-8": 1}
    assert digest_dataset(root)


def test_a_zip_with_backslashes_is_a_zip_of_folders(tmp_path):
    dataset = open_dataset(write_zip(tmp_path / "w.zip", {name.replace("/", "\\"): d for name, d in TRAIN.items()}))
    assert (dataset.classes, sizes(dataset)) == (("cat", "dog"), (4, 0))
    assert check_dataset(dataset).train_examples == 4


def test_a_broken_zip_is_called_by_the_name_that_it_was_given(tmp_path):
    whole = write_zip(tmp_path / "digest", TRAIN).read_bytes()
    (tmp_path / "digest").write_bytes(whole[:200])
    with pytest.raises(errors.UnreadableDataset, match=r"^holiday\.zip is not a readable zip"):
        open_dataset(tmp_path / "digest", name="holiday.zip")


def test_a_name_in_a_zip_that_is_no_utf_8_is_a_plain_mistake(tmp_path):
    data = bytearray(
        write_zip(tmp_path / "w.zip", {"cat/é.png": SHADES[0]}).read_bytes().replace("é".encode(), b"\xff\xff")
    )
    (tmp_path / "w.zip").write_bytes(data)
    with pytest.raises(errors.UnreadableDataset, match="name of a file"):
        open_dataset(tmp_path / "w.zip")


@pytest.mark.parametrize("options", [{"label": "x"}, {"text": "x"}, {"image": "x"}, {"input": "x"}, {"split": "x"},
                                     {"task": "regression"}, {"task": "multi-label"}])  # fmt: skip
def test_options_that_class_folders_cannot_keep_to_are_refused(tmp_path, options):
    with pytest.raises(errors.UnreadableDataset):
        opened(tmp_path, TRAIN, **options)


def test_members_named_from_the_root_are_read_and_those_that_lead_out_are_counted(tmp_path):
    files = {f"/data/{name}": data for name, data in TRAIN.items()} | {"../out/a.png": SHADES[0]}
    dataset = open_dataset(write_zip(tmp_path / "w.zip", files))
    assert check_dataset(dataset).train_examples == 4
    assert left_out(dataset) == {"members whose names lead out of the zip": 1}
    with pytest.raises(errors.EmptyDataset, match="1 members whose names lead out"):
        open_dataset(write_zip(tmp_path / "v.zip", {"../a.png": SHADES[0]}))


def test_encrypted_images_are_named(tmp_path):
    data = write_zip(tmp_path / "w.zip", images("cat", "dog")).read_bytes()
    data = data.replace(b"PK\1\2\x14\3\x14\0\0", b"PK\1\2\x14\3\x14\0\1")  # the flags of the directory's entries
    (tmp_path / "w.zip").write_bytes(data)
    with pytest.raises(errors.EmptyDataset, match=r"cat/0\.png is encrypted; pack it without"):
        check_dataset(open_dataset(tmp_path / "w.zip"))


def test_pointers_and_empty_files_in_place_of_images_are_named(tmp_path):
    files = images("cat", "dog") | {"cat/lfs.png": b"version https://git-lfs x\n", "cat/none.png": b""}
    reasons = {file.key: file.reason for file in check_dataset(opened(tmp_path, files)).unreadable}
    assert "git lfs pull" in reasons["cat/lfs.png"]
    assert "empty file" in reasons["cat/none.png"]

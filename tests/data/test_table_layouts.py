"""Tables in folders: beside the images that they name, and several as splits of one dataset."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet
import pytest

from frontrunner import errors
from frontrunner.data import DatasetOptions, check_dataset, open_dataset
from tests.data.folders import SHADES, images, left_out, opened, sizes, table

TRAIN = images("train/cat", "train/dog")


@pytest.mark.parametrize(
    ("cells", "place"),
    [
        ("{}.png", "images/{}.png"),
        ("{}", "images/{}.png"),
        ("img_{}", "train/img_{}.png"),
        ("images\\{}.png", "images/{}.png"),
        ("/data/home/images/{}.png", "images/{}.png"),
        ("C:\\photos\\IMG_{}.PNG", "photos/img_{}.png"),
        ("./{}.png", "deep/er/{}.png"),
    ],
)
def test_names_in_a_table_find_their_images(tmp_path, cells, place):
    files = {place.format(i): SHADES[i] for i in range(6)}
    dataset = opened(tmp_path, files | {"labels.csv": table(*((cells.format(i), "ab"[i % 2]) for i in range(6)))})
    assert dataset.train.keys == tuple(place.format(i) for i in range(6))
    assert dataset.train.labels.tolist() == [0, 1] * 3


def test_numbers_name_images_that_are_numbered(tmp_path):
    files = {f"train/{i}.png": SHADES[i] for i in range(6)}
    rows = table(*((i, "ab"[i % 2]) for i in range(6)), head="id,label")
    assert opened(tmp_path, files | {"trainLabels.csv": rows}).train.keys[3] == "train/3.png"


@pytest.mark.parametrize("name", ["metadata.csv", "metadata.jsonl", "labels.csv"])
def test_a_table_at_the_root_takes_the_split_from_the_images_folders(tmp_path, name):
    named = [(f"{split}/{i}.png", "ab"[i % 2]) for split in ("train", "test") for i in range(4)]
    rows = table(*named, head="file_name,label")
    if name.endswith("l"):
        rows = "".join(f'{{"file_name": "{path}", "label": "{label}"}}\n' for path, label in named)
    dataset = opened(tmp_path, {path: SHADES[i] for i, (path, _) in enumerate(named)} | {name: rows})
    assert sizes(dataset) == (4, 4)


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_metadata_in_each_split_names_the_images_beside_it(tmp_path, suffix):
    files: dict[str, bytes | str] = {}
    for split, count in (("train", 6), ("validation", 2)):
        named = [(f"{i}.png", "ab"[i % 2]) for i in range(count)]
        files |= {f"{split}/{name}": SHADES[i] for i, (name, _) in enumerate(named)}
        lines = "".join(f'{{"file_name": "{name}", "label": "{label}"}}\n' for name, label in named)
        files[f"{split}/metadata.{suffix}"] = lines if suffix == "jsonl" else table(*named, head="file_name,label")
    dataset = opened(tmp_path, files)
    assert sizes(dataset) == (6, 2)
    assert dataset.test.keys == ("validation/0.png", "validation/1.png")


def test_a_table_of_a_split_means_the_images_of_that_split(tmp_path):
    files = {f"{split}_images/{i}.png": SHADES[i] for split in ("train", "test") for i in range(4)}
    tables = {f"{split}.csv": table(*((f"{i}.png", "ab"[i % 2]) for i in range(4))) for split in ("train", "test")}
    dataset = opened(tmp_path, files | tables)
    assert set(dataset.train.keys) == {f"train_images/{i}.png" for i in range(4)}
    assert set(dataset.test.keys) == {f"test_images/{i}.png" for i in range(4)}


def test_images_and_rows_without_a_label_are_counted(tmp_path):
    files = {f"train/{i}.png": SHADES[i] for i in range(6)} | {f"test/{i + 6}.png": SHADES[i + 6] for i in range(3)}
    tables = {
        "train.csv": table(*((f"{i}.png", "ab"[i % 2]) for i in range(6))),
        "test.csv": table(*((f"{i + 6}.png",) for i in range(3)), head="image"),
        "sample_submission.csv": table(("6.png", "a")),
    }
    dataset = opened(tmp_path, files | tables)
    assert sizes(dataset) == (6, 0)
    assert left_out(dataset) == {"rows of test.csv": 3, "images": 3, "sample_submission.csv": 1}


def test_a_table_that_names_no_image_leaves_the_class_folders_in_charge(tmp_path):
    dataset = opened(tmp_path, TRAIN | {"results.csv": "epoch,loss\n1,0.5\n"})
    assert dataset.classes == ("cat", "dog")
    assert left_out(dataset) == {"results.csv": 1}


def test_a_table_and_folders_that_contradict_each_other_are_asked_about(tmp_path):
    files = images("a", "b", each=6)
    rows = table(*((path, "xyz"[i % 3]) for i, path in enumerate(files)))
    with pytest.raises(errors.AmbiguousDataset, match="--label COLUMN or --label folder"):
        opened(tmp_path, files | {"labels.csv": rows})
    assert open_dataset(tmp_path, DatasetOptions(label="folder")).classes == ("a", "b")
    assert open_dataset(tmp_path, DatasetOptions(label="label")).classes == ("x", "y", "z")


def test_a_table_that_says_what_the_folders_say_is_read(tmp_path):
    files = images("train/a", "train/b", each=6)
    rows = table(*((path, path.split("/")[1].upper()) for path in files), head="filepaths,labels")
    assert opened(tmp_path, files | {"birds.csv": rows}).classes == ("A", "B")


TEXTS = [(f"some words {i}", "np"[i % 2]) for i in range(12)]


def texts(count: int = 12) -> str:
    return table(*TEXTS[:count], head="text,label")


@pytest.mark.parametrize(
    "files",
    [
        {"train.csv": texts(), "test.csv": texts(4)},
        {"train.csv": texts(), "valid.csv": texts(4), "README.md": "x", "dataset_info.json": "{}"},
        {"my set/reviews_train.csv": texts(), "my set/reviews_test.csv": texts(4)},
        {"train/part-0.csv": texts(), "test/part-0.csv": texts(4)},
    ],
)
def test_tables_named_after_splits_are_splits(tmp_path, files):
    dataset = opened(tmp_path, files)
    assert (dataset.modality, sizes(dataset)) == ("text", (12, 4))


def test_shards_of_a_split_are_read_together(tmp_path):
    (tmp_path / "data").mkdir()
    for name, count in (("train-00000-of-00002", 12), ("train-00001-of-00002", 10), ("validation-00000-of-00001", 4)):
        rows = pa.table({"text": [f"{name} words {i}" for i in range(count)], "label": [i % 2 for i in range(count)]})
        pa.parquet.write_table(rows, tmp_path / "data" / f"{name}.parquet")
    assert sizes(open_dataset(tmp_path)) == (22, 4)


def test_tables_that_may_be_anything_are_asked_about(tmp_path):
    files = {"one.csv": texts(), "two.csv": texts(4)}
    with pytest.raises(errors.AmbiguousDataset, match=r"one\.csv, two\.csv.*--split none"):
        opened(tmp_path, files)
    assert sizes(open_dataset(tmp_path, DatasetOptions(split="train=one.csv;test=two.csv"))) == (12, 4)
    assert sizes(open_dataset(tmp_path, DatasetOptions(split="none"))) == (16, 0)


@pytest.mark.parametrize(
    "files",
    [
        {"train.csv": texts(), "train.jsonl": '{"text": "a b", "label": "n"}\n'},
        {"plain/train.csv": texts(), "raw/train.csv": texts()},
        {"train.csv": table(*((i, t) for i, (t, _) in enumerate(TEXTS)), head="id,text"),
         "train_labels.csv": table(*((i, y) for i, (_, y) in enumerate(TEXTS)), head="id,label")},
    ],
)  # fmt: skip
def test_the_same_split_twice_is_asked_about(tmp_path, files):
    with pytest.raises(errors.AmbiguousDataset, match="--split 'train="):
        opened(tmp_path, files)


def test_the_only_table_is_for_training_whatever_it_is_called(tmp_path):
    assert sizes(opened(tmp_path, {"test.csv": texts()})) == (12, 0)


def split_table(cells: list[str], head: str = "split") -> dict[str, bytes | str]:
    rows = [(text, "np"[i // 3 % 2], cells[i % len(cells)]) for i, (text, _) in enumerate(TEXTS)]
    return {"t.csv": table(*rows, head=f"text,label,{head}")}


def test_a_column_says_the_split(tmp_path):
    assert sizes(opened(tmp_path / "a", split_table(["TRAIN", "Validation", "train"]))) == (8, 4)
    assert sizes(opened(tmp_path / "b", split_table(["train", "test", "train"], head="data set"))) == (8, 4)
    assert sizes(opened(tmp_path / "c", split_table(["x", "train", "test"], head="part"), split="none")) == (12, 0)


def test_folds_in_a_column_are_asked_about_and_the_answer_is_kept_to(tmp_path):
    files = split_table(["0", "1", "2"], head="fold")
    with pytest.raises(errors.UnreadableDataset, match=r"--split 'fold:train=0;test=\.\.\.' or --split none"):
        opened(tmp_path, files)
    dataset = open_dataset(tmp_path, DatasetOptions(split="fold:train=0,1;test=2"))
    assert sizes(dataset) == (8, 4)
    with pytest.raises(errors.UnreadableDataset, match="nothing is called '7'"):
        open_dataset(tmp_path, DatasetOptions(split="fold:train=0;test=7"))


@pytest.mark.parametrize("split", ["train=x;test=y", "nope", "nonsense=3"])
def test_a_split_that_is_not_there_is_never_ignored(tmp_path, split):
    with pytest.raises(errors.InvalidDataset):
        opened(tmp_path, {"t.csv": texts()}, split=split)


def test_the_check_says_on_one_line_what_was_read_as_what(tmp_path):
    rows = table(*((i, f"some words {i}", "np"[i % 2]) for i in range(12)), head="id,text,label")
    report = check_dataset(opened(tmp_path, {"train.csv": rows, "test.csv": rows}))
    assert report.read_as == (
        "texts from column 'text' (not read: id); 2 classes from column 'label'; "
        "train from train.csv, test from test.csv"
    )


@pytest.mark.parametrize(
    "files",
    [
        {f"cv{i}_{split}.csv": texts(6) for i in (1, 2) for split in ("train", "test")},
        {f"fold_{i}.csv": texts(6) for i in range(3)},
        {f"fold{i}/train.csv": texts(6) for i in range(3)},
    ],
)
def test_tables_that_are_folds_are_asked_about(tmp_path, files):
    with pytest.raises(errors.AmbiguousDataset, match=r"folds.*--split 'train=.*;test="):
        opened(tmp_path, files)
    assert sizes(open_dataset(tmp_path, DatasetOptions(split="none")))[1] == 0


@pytest.mark.parametrize("folders", [("part_1", "part_2"), ("one", "two"), ("images", "images")])
def test_a_table_that_names_the_images_and_has_no_known_label_is_asked_about(tmp_path, folders):
    files = {f"{folders[i % 2]}/{i}.png": SHADES[i] for i in range(8)}
    rows = table(*((f"{i}", "ab"[i // 2 % 2], i) for i in range(8)), head="image_id,dx,age")
    with pytest.raises(errors.UnlabelledDataset, match="--label dx"):
        opened(tmp_path, files | {"metadata.csv": rows})
    assert open_dataset(tmp_path, DatasetOptions(label="dx")).classes == ("a", "b")


def test_names_that_fit_images_in_two_folders_are_asked_about_and_mean_those_of_the_tables_split(tmp_path):
    pictures = {f"{folder}/im{i}.png": SHADES[i] for folder in ("train", "masks") for i in range(8)}
    rows = table(*((f"im{i}", "ab"[i % 2]) for i in range(8)), head="image_id,label")
    with pytest.raises(errors.AmbiguousDataset, match=r"fits several images \(masks/im0\.png, train/im0\.png\)"):
        opened(tmp_path / "unclear", pictures | {"labels.csv": rows})
    (tmp_path / "clear").mkdir()
    dataset = opened(tmp_path / "clear", pictures | {"train.csv": rows}, label="label")
    assert dataset.train.keys[0] == "train/im0.png"


def test_columns_of_splits_that_differ_by_case_are_one(tmp_path):
    files = {"train.csv": texts(), "test.csv": texts(4).replace("text,label", "Text,Label")}
    assert sizes(opened(tmp_path, files)) == (12, 4)


def test_numbers_that_mean_other_classes_in_another_file_are_refused(tmp_path):
    for split, names in (("train", ["neg", "pos"]), ("test", ["pos", "neg"])):
        features = {"info": {"features": {"label": {"_type": "ClassLabel", "names": names}}}}
        rows = pa.table({"text": [text for text, _ in TEXTS], "label": [0, 1] * 6})
        rows = rows.replace_schema_metadata({"huggingface": json.dumps(features)})
        pa.parquet.write_table(rows, tmp_path / f"{split}.parquet")
    with pytest.raises(errors.UnreadableDataset, match="other names of classes"):
        open_dataset(tmp_path)


def test_a_lock_of_an_open_workbook_is_no_table(tmp_path):
    assert sizes(opened(tmp_path, {"train.csv": texts(), "~$train.xlsx": b"x"})) == (12, 0)

"""What opens as a dataset, and what is refused with which code."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from frontrunner import errors
from frontrunner.data import DatasetOptions, check_dataset, digest_dataset, open_dataset
from tests.conftest import class_images, encode, write_zip

PIXELS = encode(np.zeros((4, 4, 3)))


def unpack(files: dict[str, bytes], root: Path) -> Path:
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def test_train_and_test_folders_become_splits(colours):
    dataset = open_dataset(colours)
    assert (dataset.modality, dataset.task, dataset.format) == ("image", "classification", "zip")
    assert (len(dataset.train), len(dataset.test)) == (80, 20)
    assert dataset.classes == ("class-0", "class-1", "class-2", "class-3")


def test_class_folders_alone_are_all_training_examples(tmp_path):
    files = {name.removeprefix("train/"): data for name, data in class_images(3, 2).items()}
    dataset = open_dataset(unpack(files, tmp_path / "images"))
    assert (len(dataset.train), len(dataset.test), dataset.format) == (6, 0, "folder")


def test_one_enclosing_folder_does_not_become_the_class(zip_of):
    dataset = open_dataset(zip_of({f"my data/{name}": data for name, data in class_images(2, 3).items()}))
    assert dataset.classes == ("class-0", "class-1")
    assert len(dataset.train) == 6


def test_system_droppings_are_not_examples(zip_of):
    files = class_images(2, 2) | {"__MACOSX/train/class-0/._0000.png": b"x", "train/.DS_Store": b"x"}
    assert len(open_dataset(zip_of(files)).train) == 4


def test_the_same_bytes_have_the_same_id_and_options_change_it(colours, tmp_path):
    copy = tmp_path / "renamed.zip"
    copy.write_bytes(colours.read_bytes())
    assert digest_dataset(copy) == digest_dataset(colours)
    assert digest_dataset(copy, DatasetOptions(label="other")) != digest_dataset(colours)


def test_a_folder_is_named_by_its_names_and_bytes(tmp_path):
    one = unpack({"a/1.png": PIXELS, "b/2.png": PIXELS}, tmp_path / "one")
    two = unpack({"a/1.png": PIXELS, "b/3.png": PIXELS}, tmp_path / "two")
    assert digest_dataset(one) != digest_dataset(two)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_table_of_texts_opens_with_its_split(tmp_path, kind):
    table = pa.table(
        {
            "text": ["good", "bad", "fine, really\nnice", "poor"],
            "label": ["p", "n", "p", "n"],
            "split": ["train"] * 3 + ["test"],
        }
    )
    path = tmp_path / f"reviews.{kind}"
    if kind == "csv":
        pa.csv.write_csv(table, path)
    else:
        pa.parquet.write_table(table, path)
    dataset = open_dataset(path)
    assert (dataset.modality, dataset.classes, len(dataset.train), len(dataset.test)) == ("text", ("n", "p"), 3, 1)
    assert dataset.inputs.read(2) == b"fine, really\nnice"


def test_a_zip_of_a_table_and_its_images_is_read_by_path(zip_of):
    table = "image,label\nimg/a.png,x\nimg/b.png,y\n"
    dataset = open_dataset(zip_of({"set/labels.csv": table.encode(), "set/img/a.png": PIXELS, "set/img/b.png": PIXELS}))
    assert (dataset.modality, dataset.train.keys) == ("image", ("set/img/a.png", "set/img/b.png"))


def test_a_column_of_fractions_is_a_regression_target(zip_of):
    table = "file,price\na.png,1.5\nb.png,2.25\n"
    dataset = open_dataset(
        zip_of({"t.csv": table.encode(), "a.png": PIXELS, "b.png": PIXELS}), DatasetOptions(label="price")
    )
    assert dataset.task == "regression"
    assert dataset.train.targets.tolist() == [[1.5], [2.25]]


def test_lists_of_labels_are_multi_label(tmp_path):
    path = tmp_path / "tags.parquet"
    pa.parquet.write_table(pa.table({"text": ["a", "b", "c"], "labels": [["x", "y"], ["y"], []]}), path)
    dataset = open_dataset(path)
    assert (dataset.task, dataset.classes) == ("multi-label", ("x", "y"))
    assert dataset.train.targets.tolist() == [[1, 1], [0, 1], [0, 0]]


def test_an_npz_offers_every_matrix_as_a_feature_set(tmp_path):
    path = tmp_path / "features.npz"
    np.savez(path, small=np.ones((6, 2)), large=np.ones((6, 5)), labels=np.array(list("aabbcc")))
    dataset = open_dataset(path)
    assert (dataset.modality, dataset.format, sorted(dataset.inputs.sets)) == ("features", "npz", ["large", "small"])


def test_a_parquet_of_vectors_is_a_feature_set(tmp_path):
    path = tmp_path / "v.parquet"
    pa.parquet.write_table(pa.table({"embedding": [[1.0, 2.0], [3.0, 4.0]], "label": [0, 1]}), path)
    dataset = open_dataset(path)
    assert dataset.inputs.sets["embedding"].tolist() == [[1.0, 2.0], [3.0, 4.0]]


def zip_bytes(files: dict[str, bytes], tmp_path: Path) -> bytes:
    return write_zip(tmp_path / "inner.zip", files).read_bytes()


def npz_bytes(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", errors.EmptyDataset),
        (b"\x89PNG\r\n\x1a\n\x00\x00", errors.UnsupportedDataset),
        (b"PK\x03\x04 not really a zip", errors.UnreadableDataset),
        (b"PAR1 cut off", errors.UnreadableDataset),
        (b"text,label\n", errors.EmptyDataset),
        (b"text,other\nhello,1\n", errors.UnlabelledDataset),
        (b"text,label,split\nhello,1,holdout\n", errors.UnreadableDataset),
        (npz_bytes(features=np.ones((3, 2))), errors.UnlabelledDataset),
        (npz_bytes(features=np.ones((3, 2)), labels=np.arange(2)), errors.UnreadableDataset),
        (npz_bytes(labels=np.arange(3)), errors.EmptyDataset),
        (npz_bytes(features=np.ones((2, 2)), labels=np.array([{}, {}])), errors.UnreadableDataset),
    ],
)
def test_files_that_are_no_dataset_are_refused_with_a_named_error(tmp_path, content, kind):
    path = tmp_path / "upload"
    path.write_bytes(content)
    with pytest.raises(kind):
        open_dataset(path)


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        ({}, errors.EmptyDataset),
        ({"readme.txt": b"hello"}, errors.EmptyDataset),
        ({"a.png": PIXELS, "b.png": PIXELS}, errors.UnlabelledDataset),
        ({"cats/a.png": PIXELS, "b.png": PIXELS}, errors.UnlabelledDataset),
    ],
)
def test_zips_without_labelled_images_are_refused(zip_of, files, kind):
    with pytest.raises(kind):
        open_dataset(zip_of(files))


def test_a_missing_path_is_refused(tmp_path):
    with pytest.raises(errors.DatasetNotFound):
        open_dataset(tmp_path / "nowhere")


def test_a_table_path_that_leaves_the_folder_reads_nothing(tmp_path):
    (tmp_path / "secret.png").write_bytes(PIXELS)
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "t.csv").write_text("image,label\n../secret.png,a\n../secret.png,b\n")
    with pytest.raises(errors.EmptyDataset, match="outside"):
        check_dataset(open_dataset(folder))


def test_the_option_names_a_column_that_must_exist(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("text,label\nhello,1\n")
    with pytest.raises(errors.UnreadableDataset, match="no column 'grade'"):
        open_dataset(path, DatasetOptions(label="grade"))


@pytest.mark.parametrize(
    ("header", "options"),
    [
        ("premise,hypothesis,label", DatasetOptions()),
        ("question,sentence,label", DatasetOptions()),
        ("left,right,label", DatasetOptions(input="left, right")),
        ("Sentence1,Sentence2,label", DatasetOptions()),
    ],
)
def test_two_columns_of_texts_are_pairs(tmp_path, header, options):
    path = tmp_path / "pairs.csv"
    path.write_text(f"{header}\na man sleeps,a man is awake,no\na dog runs,an animal moves,yes\nalone,,yes\n")
    dataset = open_dataset(path, options)
    assert dataset.modality == "text"
    assert dataset.inputs.texts[:2] == ("a man sleeps", "a dog runs")
    assert dataset.inputs.seconds[:2] == ("a man is awake", "an animal moves")
    assert dataset.inputs.read(0) == b"a man sleeps\na man is awake"


def test_a_row_that_lacks_one_text_of_its_pair_is_left_out(tmp_path):
    path = tmp_path / "pairs.parquet"
    table = {"premise": ["a", "b", None], "hypothesis": ["c", None, "d"], "label": [0, 1, 1]}
    pa.parquet.write_table(pa.table(table), path)
    assert open_dataset(path).inputs.seconds == ("c",)


def test_the_same_first_texts_with_other_second_ones_are_no_duplicates(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text("premise,hypothesis,label\n" + "".join(f"same,other {i},{i % 2}\n" for i in range(10)))
    assert check_dataset(open_dataset(path)).duplicate_groups == 0


def test_a_column_of_a_pair_that_is_not_there_is_named(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("left,label\nhello,1\n")
    with pytest.raises(errors.UnreadableDataset, match="no column 'right'"):
        open_dataset(path, DatasetOptions(input="left,right"))


def test_a_comma_in_a_columns_own_name_names_that_column(tmp_path):
    path = tmp_path / "t.parquet"
    pa.parquet.write_table(pa.table({"left,right": ["a", "b"], "left": ["c", "d"], "label": [0, 1]}), path)
    assert open_dataset(path, DatasetOptions(input="left,right")).inputs.texts == ("a", "b")

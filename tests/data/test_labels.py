"""What label columns say: the task, the classes, and which rows have no label."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from frontrunner import errors
from frontrunner.data import Dataset, DatasetOptions, check_dataset, open_dataset


def text_table(folder: Path, labels: object, **options: str) -> Dataset:
    path = folder / "t.parquet"
    pa.parquet.write_table(pa.table({"text": [f"some words {i}" for i in range(len(labels))], "label": labels}), path)
    return open_dataset(path, DatasetOptions.model_validate(options))


def text_csv(folder: Path, labels: list[str], **options: str) -> Dataset:
    path = folder / "t.csv"
    path.write_text("text,label\n" + "".join(f'some words {i},"{label}"\n' for i, label in enumerate(labels)))
    return open_dataset(path, DatasetOptions.model_validate(options))


def arrays(folder: Path, labels: np.ndarray, **options: str) -> Dataset:
    np.savez(folder / "f.npz", features=np.random.default_rng(0).normal(size=(len(labels), 3)), labels=labels)
    return open_dataset(folder / "f.npz", DatasetOptions.model_validate(options))


def named(dataset: Dataset) -> list[str]:
    return [dataset.classes[code] for code in dataset.train.labels]


@pytest.mark.parametrize(
    ("cells", "kept"),
    [
        (["a", "", "b", " "], ["a", "b"]),
        (["a", "nan", "b", "null"], ["a", "b"]),
        (["0", "NA", "1", ""], ["0", "1"]),
        (["0", "NaN", "1", "None"], ["0", "1"]),
        (["Peru", "NA", "Chad", ""], ["Peru", "NA", "Chad"]),
    ],
)
def test_missing_labels_leave_their_rows_out(tmp_path, cells, kept):
    dataset = text_csv(tmp_path, cells)
    assert named(dataset) == kept
    counted = {entry.reason: entry.count for entry in dataset.interpretation.left_out}
    assert counted == {"no label": len(cells) - len(kept)}


@pytest.mark.parametrize("cells", [["a", None, "b"], [0.0, float("nan"), 1.0], [0, None, 1], [True, None, False]])
def test_nulls_and_nan_are_no_classes(tmp_path, cells):
    dataset = text_table(tmp_path, cells)
    assert len(dataset.train) == len(dataset.classes) == 2


def test_a_word_that_may_stand_for_nothing_is_a_class_with_a_warning(tmp_path):
    assert "'NA' may mean that a label is missing" in text_csv(tmp_path, ["Peru", "NA"] * 6).interpretation.warnings[0]


def test_a_null_in_a_list_is_no_class(tmp_path):
    dataset = text_table(tmp_path, [["a"], ["a", None], [None], None, [], ["b"]])
    assert dataset.classes == ("a", "b")
    assert dataset.train.targets.tolist() == [[1, 0], [1, 0], [0, 0], [0, 1]]


def test_minus_one_in_a_hidden_test_split_is_no_class(tmp_path):
    for split, labels in (("train", [0, 1] * 6), ("dev", [0, 1]), ("test", [-1] * 4)):
        rows = "".join(f"{split} words {i}\t{label}\n" for i, label in enumerate(labels))
        (tmp_path / f"{split}.tsv").write_text(f"sentence\tlabel\n{rows}")
    dataset = open_dataset(tmp_path)
    assert (dataset.classes, len(dataset.train), len(dataset.test)) == (("0", "1"), 12, 2)


def test_minus_one_beside_counted_classes_is_no_class_and_beside_two_it_may_be(tmp_path):
    assert text_csv(tmp_path, [str(i % 5 - 1) for i in range(20)]).classes == ("0", "1", "2", "3")
    feelings = text_csv(tmp_path, [str(i % 3 - 1) for i in range(12)])
    assert feelings.classes == ("-1", "0", "1")
    assert "-1" in feelings.interpretation.warnings[0]


def test_numbers_with_leading_zeros_are_names(tmp_path):
    assert text_csv(tmp_path, ["01", "1"] * 6).classes == ("01", "1")


def test_whole_numbers_among_decimals_are_targets(tmp_path):
    dataset = text_csv(tmp_path, ["1.0", "2", "2.5", "3.0"])
    assert dataset.task == "regression"
    assert dataset.train.targets[:, 0].tolist() == [1, 2, 2.5, 3]


@pytest.mark.parametrize("make", [text_csv, text_table])
def test_many_whole_numbers_may_be_quantities_and_are_asked_about(tmp_path, make):
    prices = [1000 + 7 * i for i in range(200)]
    cells = list(map(str, prices)) if make is text_csv else prices
    with pytest.raises(errors.AmbiguousDataset, match="--task regression or --task classification"):
        make(tmp_path, cells)
    assert make(tmp_path, cells, task="regression").train.targets[:2, 0].tolist() == [1000, 1007]
    assert len(make(tmp_path, cells, task="classification").classes) == 200


def test_a_hundred_counted_classes_are_classes(tmp_path):
    assert len(text_table(tmp_path, [i % 100 for i in range(300)]).classes) == 100


@pytest.mark.parametrize(
    "labels",
    [
        np.arange(60) % 2,
        (np.arange(60) % 2).astype(float),
        (np.arange(60) % 2)[:, None],
        np.arange(60) % 2 == 1,
        np.array(["0", "1"] * 30),
        np.array([b"0", b"1"] * 30),
    ],
)
def test_arrays_say_classes_whatever_their_type_and_shape(tmp_path, labels):
    dataset = arrays(tmp_path, labels)
    assert dataset.task == "classification"
    assert dataset.train.labels.tolist() == [0, 1] * 30


def test_arrays_leave_rows_without_a_label_out(tmp_path):
    labels = np.where(np.arange(60) % 5 == 0, np.nan, np.arange(60) % 2)
    dataset = arrays(tmp_path, labels)
    assert (dataset.classes, len(dataset.train)) == (("0", "1"), 48)


@pytest.mark.parametrize("kind", ["datetime64[ns]", "datetime64[D]"])
def test_times_are_no_labels(tmp_path, kind):
    times = np.arange(12).astype(kind)
    with pytest.raises(errors.UnlabelledDataset):
        text_table(tmp_path, pa.array(times))
    with pytest.raises(errors.UnlabelledDataset):
        arrays(tmp_path, times)


def test_dates_in_a_csv_are_no_labels(tmp_path):
    with pytest.raises(errors.UnlabelledDataset, match="dates"):
        text_csv(tmp_path, [f"2020-01-{day:02d}" for day in range(1, 13)])


@pytest.mark.parametrize(
    ("cells", "separator"),
    [
        (["a", "a|b", "b|c"], "'|'"),
        (["a", "a, b", "b,c"], "','"),
        (["a", "a;b", "b;c"], "';'"),
        (["a", "a b", "b c"], "blanks"),
        (["['a']", "['a', 'b']", "['b', 'c']"], "lists written out"),
    ],
)
def test_several_labels_in_one_cell_are_told_apart_where_it_is_asked_for(tmp_path, cells, separator):
    dataset = text_csv(tmp_path, cells, task="multi-label")
    assert dataset.classes == ("a", "b", "c")
    assert dataset.train.targets.tolist() == [[1, 0, 0], [1, 1, 0], [0, 1, 1]]
    assert separator in dataset.interpretation.labels


def test_labels_that_look_like_several_are_warned_about(tmp_path):
    assert "multi-label" in text_csv(tmp_path, ["a", "a|b", "b|c"] * 4).interpretation.warnings[0]


@pytest.mark.parametrize("cells", [[[0], [0, 2], [1]], [[0, 1, 2], [1], []]])
def test_lists_of_different_length_hold_numbers_of_classes(tmp_path, cells):
    dataset = text_table(tmp_path, cells)
    assert (dataset.task, dataset.classes) == ("multi-label", ("0", "1", "2"))
    assert [np.flatnonzero(row).tolist() for row in dataset.train.targets] == cells


def test_lists_of_one_length_may_hold_numbers_of_classes_or_targets(tmp_path):
    cells = [[0, 3], [0, 2], [1, 2]]
    with pytest.raises(errors.AmbiguousDataset, match="--task multi-label or --task regression"):
        text_table(tmp_path, cells)
    assert text_table(tmp_path, cells, task="multi-label").train.targets.sum(axis=1).tolist() == [2, 2, 2]
    assert text_table(tmp_path, cells, task="regression").train.targets.tolist() == cells


def test_lists_with_a_single_one_are_classes_unless_several_labels_are_asked_for(tmp_path):
    cells = [[1, 0, 0], [0, 0, 1], [0, 1, 0]]
    assert text_table(tmp_path, cells).train.labels.tolist() == [0, 2, 1]
    assert text_table(tmp_path, cells, task="multi-label").train.targets.tolist() == cells
    assert text_table(tmp_path, [[1, 0, 1], [0, 0, 0]]).task == "multi-label"


def test_lists_of_one_label_are_classes_where_it_is_asked_for(tmp_path):
    assert named(text_table(tmp_path, [["a"], ["b"], ["a"]], task="classification")) == ["a", "b", "a"]
    with pytest.raises(errors.UnreadableDataset, match="no one class"):
        text_table(tmp_path, [["a"], ["a", "b"]], task="classification")


@pytest.mark.parametrize(
    ("labels", "task"),
    [
        ([0, 1, 2] * 4, "multi-label"),
        (["a", "b"] * 6, "multi-label"),
        (["a", "b"] * 6, "regression"),
        ([["a"], ["b"]] * 6, "regression"),
        ([[0.5, 1.5]] * 12, "multi-label"),
        ([[0.5, 1.5]] * 12, "classification"),
    ],
)
def test_a_task_that_the_labels_do_not_fit_is_refused(tmp_path, labels, task):
    with pytest.raises(errors.UnreadableDataset):
        text_table(tmp_path, labels, task=task)


def test_words_that_are_numbers_are_targets_where_it_is_asked_for(tmp_path):
    assert text_table(tmp_path, ["1", "2.5", "4"], task="regression").train.targets[:, 0].tolist() == [1, 2.5, 4]


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (["cat", "Cat", "cat ", "dog"] * 4, "'Cat' and 'cat' and 'cat ' differ only by case or blanks"),
        ([f"k{i}" for i in range(12)], "12 classes in 12 training examples"),
        (["a", "b"] * 5 + ["c"], "1 classes have one training example"),
        (["train", "test"] * 5, "called like splits"),
    ],
)
def test_suspicious_classes_are_warned_about(tmp_path, labels, said):
    assert any(said in warning for warning in check_dataset(text_csv(tmp_path, labels)).warnings)


def test_blanks_around_every_label_are_the_files(tmp_path):
    assert text_csv(tmp_path, [" a", " b"] * 6).classes == ("a", "b")


def test_long_numbers_of_classes_stay_apart(tmp_path):
    numbers = [2**60, 2**60 + 1] * 6
    assert text_csv(tmp_path, list(map(str, numbers))).classes == (str(2**60), str(2**60 + 1))
    assert text_table(tmp_path, numbers).classes == (str(2**60), str(2**60 + 1))


def test_many_counted_classes_are_warned_about_since_they_may_be_quantities(tmp_path):
    assert "--task regression" in text_csv(tmp_path, [str(i % 30) for i in range(90)]).interpretation.warnings[0]


@pytest.mark.parametrize("written", ["${}.50", "{} %", "1.{:03}", "1.{:03},50", "{} mm", "{},5"])
def test_many_numbers_with_signs_units_or_marks_are_asked_about(tmp_path, written):
    with pytest.raises(errors.AmbiguousDataset, match="plain numbers"):
        text_table(tmp_path, [written.format(i) for i in range(30)])
    assert len(text_table(tmp_path, [written.format(i) for i in range(30)], task="classification").classes) == 30


def test_few_sizes_are_classes(tmp_path):
    assert text_csv(tmp_path, ["10 mm", "20 mm"] * 6).classes == ("10 mm", "20 mm")


def test_words_are_no_numbers_to_predict(tmp_path):
    with pytest.raises(errors.UnreadableDataset, match="for instance, 'b'"):
        text_csv(tmp_path, ["1", "b"] * 6, task="regression")


@pytest.mark.parametrize("infinite", ["inf", "-Infinity", "+INF"])
def test_infinite_numbers_among_others_are_no_classes_unless_that_is_asked_for(tmp_path, infinite):
    cells = ["0.5", "1.5", infinite, "2.5"]
    with pytest.raises(errors.AmbiguousDataset, match="regression"):
        text_csv(tmp_path, cells)
    assert len(text_csv(tmp_path, cells, task="regression").train) == 3
    assert infinite in text_csv(tmp_path, cells, task="classification").classes
    assert infinite in text_csv(tmp_path, ["word", infinite, "word", infinite]).classes

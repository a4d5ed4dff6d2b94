"""Which column is what; where it cannot be told, the choices are spelled out, and a choice is kept to."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from frontrunner import errors
from frontrunner.data import Dataset, DatasetOptions, check_dataset, open_dataset
from tests.conftest import encode

WORDS = [f"some words {i}" for i in range(12)]
CODES = [i % 2 for i in range(12)]


def picture(shade: int) -> bytes:
    return encode(np.full((4, 4, 3), 20 * shade))


PICTURES = [picture(shade) for shade in range(12)]


def table(folder: Path, metadata: dict[str, object] | None = None, **columns: object) -> Path:
    path = folder / "t.parquet"
    rows = pa.table(columns)
    if metadata is not None:
        rows = rows.replace_schema_metadata({b"huggingface": json.dumps({"info": {"features": metadata}}).encode()})
    pa.parquet.write_table(rows, path)
    return path


def opened(path: Path, **options: str) -> Dataset:
    return open_dataset(path, DatasetOptions.model_validate(options))


def csv(folder: Path, head: str, rows: list[tuple[object, ...]]) -> Path:
    path = folder / "t.csv"
    path.write_text("".join(",".join(map(str, row)) + "\n" for row in (head.split(","), *rows)))
    return path


def test_numbers_of_rows_are_no_features(tmp_path):
    path = csv(tmp_path, "Id,length,width,label", [(i, i / 7, i % 5, "abc"[i % 3]) for i in range(30)])
    dataset = opened(path)
    assert dataset.inputs.sets["features"].shape == (30, 2)
    assert "not read: Id" in dataset.interpretation.inputs


@pytest.mark.parametrize("name", ["id", "PassengerId", "class id", "index", "Unnamed: 0", "counter"])
def test_a_table_of_numbers_of_rows_alone_is_refused(tmp_path, name):
    path = csv(tmp_path, f"{name},label", [(i, "ab"[i % 3 % 2]) for i in range(30)])
    with pytest.raises(errors.UnreadableDataset, match="no input column"):
        opened(path)


def test_the_number_of_a_class_is_no_feature_of_it(tmp_path):
    path = csv(tmp_path, "species_code,label", [(i % 3, ["cat", "dog", "cow"][i % 3]) for i in range(30)])
    with pytest.raises(errors.UnreadableDataset, match="no input column"):
        opened(path)


def test_two_columns_of_texts_are_asked_about_and_the_answer_is_kept_to(tmp_path):
    rows = [(i, f"a title {i}", f"it was fine {i}", "np"[i % 2]) for i in range(30)]
    path = csv(tmp_path, "id,title,review,label", rows)
    with pytest.raises(errors.AmbiguousDataset, match="--text title or --text review, or --text title,review"):
        opened(path)
    assert opened(path, text="review").inputs.texts[1] == "it was fine 1"
    assert opened(path, text="title,review").inputs.seconds[1] == "it was fine 1"


def test_identifiers_are_no_texts_unless_they_are_said_to_be(tmp_path):
    path = csv(tmp_path, "key,label", [(f"{i * 7919:08x}", "ab"[i % 2]) for i in range(30)])
    with pytest.raises(errors.AmbiguousDataset, match=r"--text key .*--image key"):
        opened(path)
    assert opened(path, text="key").modality == "text"


def test_names_of_images_that_are_not_here_are_no_texts(tmp_path):
    path = csv(tmp_path, "image,label", [(f"{i * 7919:08x}", "ab"[i % 2]) for i in range(30)])
    with pytest.raises(errors.AmbiguousDataset, match="no image is called like"):
        opened(path)


def test_addresses_of_images_are_not_fetched(tmp_path):
    path = csv(tmp_path, "image,label", [(f"https://example.org/{i}.png", "ab"[i % 2]) for i in range(12)])
    with pytest.raises(errors.UnreadableDataset, match="nothing is fetched"):
        opened(path)


@pytest.mark.parametrize("column", [[{"bytes": data, "path": None} for data in PICTURES], PICTURES])
def test_images_in_a_column_are_images(tmp_path, column):
    dataset = opened(table(tmp_path, image=column, label=CODES))
    assert dataset.modality == "image"
    assert dataset.inputs.read(dataset.train.keys[5]) == PICTURES[5]
    assert check_dataset(dataset).train_examples == 12


def test_a_row_without_its_image_is_left_out(tmp_path):
    column = [{"bytes": data, "path": f"{i}.png"} for i, data in enumerate(PICTURES)]
    column[4] = {"bytes": None, "path": "4.png"}
    report = check_dataset(opened(table(tmp_path, image=column, label=CODES)))
    assert [(file.key, file.reason) for file in report.unreadable] == [(4, "row 4 holds no image")]


def test_bytes_that_are_no_image_are_no_input(tmp_path):
    with pytest.raises(errors.UnreadableDataset, match="'image' holds binary"):
        opened(table(tmp_path, image=[b"ab%d" % i for i in range(12)], label=CODES))


def test_images_beside_texts_are_asked_about(tmp_path):
    path = table(tmp_path, image=[{"bytes": data, "path": None} for data in PICTURES], text=WORDS, label=CODES)
    with pytest.raises(errors.AmbiguousDataset, match="--image image or --text text"):
        opened(path)
    assert opened(path, image="image").modality == "image"
    assert opened(path, text="text").modality == "text"


def test_names_of_classes_come_from_the_files_metadata(tmp_path):
    feature = {"label": {"_type": "ClassLabel", "names": ["cat", "dog"]}}
    dataset = opened(table(tmp_path, feature, text=WORDS, label=[0, 1, -1] * 4))
    assert dataset.classes == ("cat", "dog")
    assert [dataset.classes[code] for code in dataset.train.labels] == ["cat", "dog"] * 4


def test_a_column_of_classes_is_the_label_whatever_it_is_called(tmp_path):
    feature = {"mood": {"_type": "ClassLabel", "names": ["good", "bad"]}}
    assert opened(table(tmp_path, feature, text=WORDS, mood=CODES)).classes == ("good", "bad")


def test_two_columns_of_classes_are_asked_about(tmp_path):
    feature = {key: {"_type": "ClassLabel", "names": ["a", "b", "c"]} for key in ("fine_label", "coarse_label")}
    path = table(tmp_path, feature, text=WORDS, fine_label=[i % 3 for i in range(12)], coarse_label=CODES)
    with pytest.raises(errors.AmbiguousDataset, match="--label fine_label or --label coarse_label"):
        opened(path)
    assert opened(path, label="coarse_label").classes == ("a", "b")


def test_lists_of_class_numbers_with_names_are_several_labels(tmp_path):
    feature = {"labels": {"_type": "Sequence", "feature": {"_type": "ClassLabel", "names": ["joy", "fear", "rage"]}}}
    dataset = opened(table(tmp_path, feature, text=WORDS, labels=[[0], [0, 1], []] * 4))
    assert dataset.classes == ("fear", "joy")
    assert dataset.train.targets[:3].tolist() == [[0, 1], [1, 1], [0, 0]]


def test_one_hot_columns_are_classes(tmp_path):
    rows = [(f"some words {i}", int(i % 3 == 0), int(i % 3 == 1), int(i % 3 == 2)) for i in range(12)]
    dataset = opened(csv(tmp_path, "text,cat,dog,cow", rows))
    assert (dataset.task, dataset.classes) == ("classification", ("cat", "dog", "cow"))
    assert dataset.train.labels.tolist() == [i % 3 for i in range(12)]


def test_columns_of_zeros_and_ones_are_several_labels_where_rows_have_several(tmp_path):
    rows = [(f"some words {i}", int(i % 3 == 0), int(i % 2), int(i % 4 == 1)) for i in range(12)]
    dataset = opened(csv(tmp_path, "text,toxic,rude,threat", rows))
    assert (dataset.task, dataset.classes) == ("multi-label", ("toxic", "rude", "threat"))


def test_two_columns_of_zeros_and_ones_may_be_anything_and_are_asked_about(tmp_path):
    path = csv(tmp_path, "text,seen,liked", [(f"some words {i}", int(i % 3 == 0), i % 2) for i in range(12)])
    with pytest.raises(errors.UnlabelledDataset, match="--label seen or --label liked or --label seen,liked"):
        opened(path)
    assert opened(path, label="seen,liked").task == "multi-label"
    assert opened(path, label="liked").classes == ("0", "1")


def test_numbers_beside_each_other_are_several_targets_where_they_are_asked_for(tmp_path):
    path = csv(tmp_path, "text,height,weight", [(f"some words {i}", i / 2, i * i) for i in range(12)])
    assert opened(path, label="height,weight").train.targets[3].tolist() == [1.5, 9.0]


def test_two_labels_that_say_different_things_are_asked_about(tmp_path):
    rows = [(f"some words {i}", "ab"[i % 2], "xyz"[i % 3]) for i in range(12)]
    path = csv(tmp_path, "text,label,category", rows)
    with pytest.raises(errors.AmbiguousDataset, match="--label label or --label category"):
        opened(path)


def test_a_column_cannot_be_input_and_label(tmp_path):
    path = csv(tmp_path, "text,label", [(text, code) for text, code in zip(WORDS, CODES, strict=True)])
    with pytest.raises(errors.UnreadableDataset, match="both the input and the label"):
        opened(path, text="label", label="label")


@pytest.mark.parametrize("options", [{"text": "image"}, {"text": "a,b,c"}, {"image": "text,label"}, {"label": "nope"}])
def test_columns_that_do_not_fit_their_option_are_refused(tmp_path, options):
    path = table(tmp_path, image=PICTURES, text=WORDS, a=WORDS, b=WORDS, c=WORDS, label=CODES)
    with pytest.raises(errors.UnreadableDataset):
        opened(path, **options)


def test_only_one_input_can_be_asked_for():
    with pytest.raises(ValueError, match="one of input, text and image"):
        DatasetOptions(text="a", image="b")


@pytest.mark.parametrize("rows", [[[]] * 4, [[1.0], [1.0, 2.0]] * 2])
def test_vectors_without_numbers_or_of_different_length_are_no_features(tmp_path, rows):
    column = pa.array(rows, pa.list_(pa.float32()))
    with pytest.raises(errors.UnreadableDataset):
        opened(table(tmp_path, embedding=column, label=[0, 1, 0, 1]))


def test_a_columns_name_is_known_in_any_spelling(tmp_path):
    path = table(tmp_path, **{"File Name": ["a.png"] * 12, "Labels": CODES})
    (tmp_path / "a.png").write_bytes(PICTURES[0])
    assert opened(path).modality == "image"


def test_a_lone_table_finds_images_beside_it_and_nothing_else(tmp_path):
    (tmp_path / "images").mkdir()
    for i, data in enumerate(PICTURES):
        (tmp_path / "images" / f"{i}.png").write_bytes(data)
    (tmp_path / "secret").write_bytes(PICTURES[0])
    rows = [(f"{i}", "ab"[i % 2]) for i in range(11)] + [("secret", "a")]
    report = check_dataset(opened(csv(tmp_path, "image,label", rows)))
    assert report.train_examples == 11
    assert [file.key for file in report.unreadable] == ["secret"]


def test_a_nul_in_a_name_is_a_plain_mistake(tmp_path):
    path = table(tmp_path, image=[f"{i}\0.png" for i in range(12)], label=CODES)
    with pytest.raises(errors.EmptyDataset, match="embedded null byte"):
        check_dataset(opened(path))


def test_arrays_without_a_column_are_no_features(tmp_path):
    np.savez(tmp_path / "f.npz", features=np.zeros((60, 0)), labels=np.arange(60) % 3)
    with pytest.raises(errors.EmptyDataset, match=r"\(60, 0\)"):
        opened(tmp_path / "f.npz")


def test_arrays_that_are_no_matrix_are_named(tmp_path):
    np.savez(tmp_path / "f.npz", features=np.ones((6, 2)), cube=np.zeros((6, 2, 2)), labels=np.arange(6) % 2)
    (left,) = opened(tmp_path / "f.npz").interpretation.left_out
    assert left.what == "array 'cube'"
    assert "(6, 2, 2)" in left.reason
    np.savez(tmp_path / "only.npz", cube=np.zeros((6, 2, 2)), labels=np.arange(6) % 2)
    with pytest.raises(errors.EmptyDataset, match=r"'cube' \(6, 2, 2\)"):
        opened(tmp_path / "only.npz")


def test_options_of_columns_are_not_ignored_for_arrays(tmp_path):
    buffer = io.BytesIO()
    np.savez(buffer, features=np.ones((6, 2)), labels=np.arange(6) % 2)
    (tmp_path / "f.npz").write_bytes(buffer.getvalue())
    for option in ("text", "image", "input", "split", "label"):
        with pytest.raises(errors.InvalidDataset):
            opened(tmp_path / "f.npz", **{option: "nope"})


def test_structs_without_bytes_name_images_beside_the_table(tmp_path):
    (tmp_path / "images").mkdir()
    for i, data in enumerate(PICTURES):
        (tmp_path / "images" / f"{i}.png").write_bytes(data)
    cells = pa.array(
        [{"bytes": None, "path": f"images/{i}.png"} for i in range(12)],
        pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
    )
    path = table(tmp_path, image=cells, label=CODES)
    for place in (path, tmp_path):
        assert opened(place).train.keys[3] == "images/3.png"
        assert check_dataset(opened(place)).unreadable == []


def test_an_array_that_numbers_the_rows_is_no_feature_set(tmp_path):
    rows = np.arange(12)
    np.savez(tmp_path / "f.npz", features=np.ones((12, 2)), rows=rows[:, None], version=np.array(3), labels=rows % 2)
    dataset = opened(tmp_path / "f.npz")
    assert list(dataset.inputs.sets) == ["features"]
    assert {entry.what for entry in dataset.interpretation.left_out} == {"array 'rows'", "array 'version'"}


def test_arrays_of_one_split_each_say_how_they_are_joined(tmp_path):
    np.savez(tmp_path / "f.npz", x_train=np.ones((6, 2)), y_train=CODES[:6], x_test=np.ones((2, 2)), y_test=CODES[:2])
    with pytest.raises(errors.UnlabelledDataset, match="in an array 'split'"):
        opened(tmp_path / "f.npz")


def test_a_table_without_a_known_label_offers_the_columns_of_classes(tmp_path):
    rows = [(i + 1, i * 0.5, "xy"[i % 2]) for i in range(12)]
    path = csv(tmp_path, "Id,Length,Species", rows)
    with pytest.raises(errors.AmbiguousDataset, match="--label Species"):
        opened(path)
    assert opened(path, label="Species").modality == "features"


def test_a_column_of_other_addresses_is_named(tmp_path):
    rows = [(f"https://pictures.org/{i}", "ab"[i % 2]) for i in range(12)]
    with pytest.raises(errors.UnreadableDataset, match="nothing is fetched"):
        opened(csv(tmp_path, "link,label", rows))

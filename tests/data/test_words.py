"""Labels of words: the formats in which they come, what is counted, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from frontrunner.data import DatasetOptions, WordInputs, check_dataset, open_dataset, stratified_order
from frontrunner.data.memory import held_dataset
from frontrunner.data.tables.conll import looks_like_conll
from frontrunner.errors import AmbiguousDataset, EmptyDataset, UnlabelledDataset, UnreadableDataset
from frontrunner.tuning import TuningRequest, require_tunable

SENTENCES = [["EU", "rejects", "German", "call"], ["Peter", "Blackburn"], ["no"]]
LABELS = [["B-ORG", "O", "B-MISC", "O"], ["B-PER", "I-PER"], ["O"]]
NAMES = sorted({label for row in LABELS for label in row})


def conll(separator: str, between: int = 0) -> str:
    """As published: a document's line, further columns between word and label, a blank line after each sentence."""
    rows = ["-DOCSTART- -X- O", ""]
    for words, labels in zip(SENTENCES, LABELS, strict=True):
        rows += [
            separator.join([word, *["NN"] * between, label]) for word, label in zip(words, labels, strict=True)
        ] + [""]
    return "\n".join(rows)


def as_read(dataset) -> list[list[tuple[str, str]]]:
    """Every sentence of the training split as (word, label) pairs."""
    split = dataset.train
    found: dict[int, list[tuple[str, str]]] = {}
    for key, code, sentence in zip(split.keys, split.labels.tolist(), split.clusters.tolist(), strict=True):
        found.setdefault(sentence, []).append((dataset.inputs.words[key], dataset.classes[code]))
    return list(found.values())


PAIRS = [list(zip(words, labels, strict=True)) for words, labels in zip(SENTENCES, LABELS, strict=True)]


@pytest.mark.parametrize("name", ["train.conll", "train.txt", "train.bio", "nameless"])
@pytest.mark.parametrize(("separator", "between"), [(" ", 0), ("\t", 0), ("  ", 2), ("\t", 1)])
def test_conll_files_are_read_by_word_and_last_column(tmp_path, name, separator, between):
    (tmp_path / name).write_text(conll(separator, between))
    assert as_read(open_dataset(tmp_path / name)) == PAIRS


def test_another_column_can_be_the_label(tmp_path):
    (tmp_path / "t.conll").write_text("Ada NNP B-PER\nsleeps VBZ O\n\nno RB O\n")
    dataset = open_dataset(tmp_path / "t.conll", DatasetOptions(label="column_2"))
    assert dataset.classes == ("NNP", "RB", "VBZ")


@pytest.mark.parametrize("ending", ["\r\n", "\n"])
def test_comments_marks_and_ends_of_lines_do_not_count(tmp_path, ending):
    text = "# id 1\nAda B-PER\nsleeps O\n\n\n# id 2\n# O\nno O\n"
    (tmp_path / "t.conll").write_bytes(b"\xef\xbb\xbf" + text.replace("\n", ending).encode())
    assert as_read(open_dataset(tmp_path / "t.conll"))[1] == [("#", "O"), ("no", "O")]


def test_comments_that_outnumber_words_do_not_say_how_many_columns_there_are(tmp_path):
    (tmp_path / "t.conll").write_text("# sentence 1\n# of two\nAda B-PER\n\n# sentence 2\n# of two\nno O\n")
    assert as_read(open_dataset(tmp_path / "t.conll")) == [[("Ada", "B-PER")], [("no", "O")]]


def test_a_text_that_begins_with_a_mark_and_a_document_is_one_of_words():
    assert looks_like_conll(b"\xef\xbb\xbf-DOCSTART- O\n\nAda NNP B-PER\nsleeps VBZ O\n")


@pytest.mark.parametrize("named", [True, False, "numbers"])
def test_parquet_lists_are_read_with_the_names_that_the_schema_has(tmp_path, named):
    tags = LABELS if named is False else [[NAMES.index(label) for label in row] for row in LABELS]
    table = pa.table({"id": ["0", "1", "2"], "tokens": SENTENCES, "ner_tags": tags})
    if named is True:
        feature = {"_type": "Sequence", "feature": {"_type": "ClassLabel", "names": NAMES}}
        table = table.replace_schema_metadata(
            {"huggingface": json.dumps({"info": {"features": {"ner_tags": feature}}})}
        )
    pq.write_table(table, tmp_path / "t.parquet")
    expected = PAIRS
    if named == "numbers":
        expected = [[(word, str(NAMES.index(label))) for word, label in row] for row in PAIRS]
    assert as_read(open_dataset(tmp_path / "t.parquet")) == expected


def test_json_lines_are_read_by_a_split_a_file(tmp_path):
    for name, rows in (("train", slice(0, 2)), ("test", slice(1, 3))):
        lines = [
            {"tokens": words, "ner_tags": labels} for words, labels in zip(SENTENCES[rows], LABELS[rows], strict=True)
        ]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, lines)))
    report = check_dataset(open_dataset(tmp_path))
    assert (report.train_examples, report.train_sentences) == (6, 2)
    assert (report.test_examples, report.test_sentences) == (3, 2)
    assert {entry.name: (entry.train, entry.test) for entry in report.classes}["O"] == (2, 1)


def test_conll_splits_are_read_from_a_folder_of_texts(tmp_path):
    for name in ("train.txt", "dev.txt"):
        (tmp_path / name).write_text(conll(" "))
    (tmp_path / "readme.txt").write_text("What this is.\n\nAnd whose.\n")
    report = check_dataset(open_dataset(tmp_path))
    assert (report.train_sentences, report.test_sentences) == (3, 3)
    assert any("readme" in entry.what or ".txt" in entry.what for entry in report.left_out)


def test_data_in_memory_is_the_same():
    with held_dataset((SENTENCES, LABELS)) as path:
        assert as_read(open_dataset(path)) == PAIRS


def test_words_without_a_label_are_no_examples_and_stay_in_their_sentence(tmp_path):
    rows = [
        {"tokens": ["a", "b", "c"], "tags": [0, -100, 1]},
        {"tokens": ["d", "e"], "tags": [None, 1]},
        {"tokens": ["f"], "tags": None},
    ]
    (tmp_path / "t.json").write_text(json.dumps(rows))
    dataset = open_dataset(tmp_path / "t.json")
    assert [dataset.inputs.words[key] for key in dataset.train.keys] == ["a", "c", "e"]
    assert dataset.inputs.read(dataset.train.keys[1]) == b"a\nb\nc\n2"
    assert [(entry.count, entry.what) for entry in dataset.interpretation.left_out] == [(3, "words")]


@pytest.mark.parametrize(
    ("name", "text", "error", "said"),
    [
        ("t.json", '[{"tokens": ["a", "b"], "ner_tags": ["O"]}, {"tokens": ["c"], "ner_tags": ["X"]}]',
         UnreadableDataset, "row 0 holds 2 words in 'tokens' and 1 labels in 'ner_tags'"),
        ("t.conll", "Ada B-PER\nsleeps\n\nno O\nrain O\n", UnreadableDataset, "1 column in line 2 and 2 in most"),
        ("t.conll", "Ada\nsleeps\n\nno\n", UnlabelledDataset, "one column"),
        ("t.conll", "-DOCSTART- O\n\n", EmptyDataset, "holds no words"),
        ("t.json", '[{"tokens": ["a"], "ner_tags": [null]}]', UnlabelledDataset, "no label"),
        ("t.json", '[{"tokens": ["a", "b"], "one": ["O", "X"], "two": [1, 2]}]', AmbiguousDataset, "--label one"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_a_clear_problem(tmp_path, name, text, error, said):
    (tmp_path / name).write_text(text)
    with pytest.raises(error, match=said):
        open_dataset(tmp_path / name)


def test_a_label_of_the_whole_row_is_not_one_of_its_words(tmp_path):
    rows = [{"text": "a b", "tokens": ["a", "b"], "label": "x"}, {"text": "c", "tokens": ["c"], "label": "y"}]
    (tmp_path / "t.json").write_text(json.dumps(rows))
    assert not open_dataset(tmp_path / "t.json").of_words


def test_equal_sentences_are_reported_once_each(tmp_path):
    (tmp_path / "t.conll").write_text(conll(" ") + "\n" + conll(" "))
    report = check_dataset(open_dataset(tmp_path / "t.conll"))
    assert report.duplicate_groups == 3
    assert report.duplicates[0] == [0, 3]


def test_words_are_sampled_by_sentences(tmp_path):
    with held_dataset(([["a", "b", "c"]] * 40, [["X", "Y", "Y"]] * 40)) as path:
        split = open_dataset(path).train
    order = stratified_order(split, seed=3)
    assert sorted(order.tolist()) == list(range(120))
    sampled = split.take(order[:30]).clusters
    assert np.unique(sampled, return_counts=True)[1].tolist() == [3] * 10
    assert np.unique(sampled).tolist() != list(range(10))


def test_words_are_not_tuned_on():
    with held_dataset((SENTENCES, LABELS)) as path:
        dataset = open_dataset(path)
    with pytest.raises(Exception, match="labels the words of sentences"):
        require_tunable(dataset, TuningRequest().method)


def test_a_word_is_found_by_its_number():
    inputs = WordInputs.of([["a"], [], ["b", "c"]])
    assert [inputs.place(key) for key in range(3)] == [(0, 0), (2, 0), (2, 1)]

"""What is read out of tables, in every format and encoding that people bring."""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from frontrunner import errors
from frontrunner.data import Dataset, DatasetOptions, check_dataset, open_dataset

ROWS = [(f"some words {i}", "np"[i % 2]) for i in range(12)]


def csv_of(rows=ROWS, head=("text", "label"), separator=",") -> str:
    return "".join(separator.join(map(str, row)) + "\n" for row in (head, *rows))


def opened(folder: Path, name: str, content: str | bytes, **options: str) -> Dataset:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return open_dataset(path, DatasetOptions.model_validate(options))


def texts_and_labels(dataset: Dataset) -> list[tuple[str, str]]:
    labels = [dataset.classes[code] for code in dataset.train.labels]
    return list(zip([dataset.inputs.texts[key] for key in dataset.train.keys], labels, strict=True))


RECORDS = [{"text": text, "label": label} for text, label in ROWS]


@pytest.mark.parametrize(
    ("name", "content", "format"),
    [
        ("t.csv", csv_of(), "csv"),
        ("t.csv", csv_of(separator=";"), "csv"),
        ("t.csv", csv_of(separator="|"), "csv"),
        ("t.tsv", csv_of(separator="\t"), "tsv"),
        ("t.csv", "sep=;\n" + csv_of(separator=";"), "csv"),
        ("t.csv", csv_of(head=(" text ", " label")), "csv"),
        ("t.csv", "\n\n" + csv_of(), "csv"),
        ("t.csv", csv_of().replace("\n", "\r\n"), "csv"),
        ("t.csv", csv_of().replace("\n", "\r"), "csv"),
        ("t.jsonl", "".join(json.dumps(record) + "\n" for record in RECORDS), "jsonl"),
        ("t.json", json.dumps(RECORDS, indent=1), "json"),
        ("t.json", json.dumps({"version": 2, "data": RECORDS}), "json"),
        ("t.json", json.dumps({key: [record[key] for record in RECORDS] for key in ("text", "label")}), "json"),
        ("t.json", json.dumps({k: {str(i): r[k] for i, r in enumerate(RECORDS)} for k in ("text", "label")}), "json"),
        ("blob-without-suffix", json.dumps(RECORDS), "json"),
        ("blob-without-suffix", csv_of(separator="\t"), "tsv"),
    ],
)  # fmt: skip
def test_the_same_rows_come_out_of_every_format(tmp_path, name, content, format):  # noqa: A002
    dataset = opened(tmp_path, name, content)
    assert texts_and_labels(dataset) == ROWS
    assert dataset.format == format


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252", "latin-1"])
def test_letters_with_accents_survive_in_every_encoding(tmp_path, encoding):
    rows = [(f"un café crème à Orléans {i}", "np"[i % 2]) for i in range(12)]
    dataset = opened(tmp_path, "t.csv", csv_of(rows).encode(encoding))
    assert texts_and_labels(dataset) == rows


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Zażółć gęślą jaźń, proszę o szybką odpowiedź", "cp1250"),
        ("текст о погоде и жизни людей в городе", "cp1251"),  # noqa: RUF001
        ("el niño de España comió piña", "latin-1"),
        ("it’s “fine” – really", "cp1252"),  # noqa: RUF001
        ("это очень хороший фильм игра актеров", "cp1251"),
        ("это очень хороший фильм игра актеров", "koi8_r"),
        ("çok güzel bir film, oyunculuk şahane, hiç beğenmedim", "cp1254"),
        ("café déjà vu the film was dull but its music saved it", "latin-1"),
        ("“quoted” – €5 the film was dull but its music saved it", "cp1252"),  # noqa: RUF001
        ("这个电影非常好看演员的表演很棒", "gbk"),
        ("これは映画の感想です。とても面白かった 退屈な映画だった、もう見たくない。", "shift_jis"),
        ("これは日本語のテキストです。とても短いです。", "shift_jis"),
    ],
)
def test_an_encoding_that_nobody_states_is_detected_and_said(tmp_path, text, encoding):
    rows = [(f"{text} {i}", "np"[i % 2]) for i in range(12)]
    dataset = opened(tmp_path, "t.csv", csv_of(rows, separator=";").encode(encoding))
    assert texts_and_labels(dataset) == rows
    assert "as detected" in dataset.interpretation.warnings[0]


def test_one_latin_1_byte_changes_no_other_text(tmp_path):
    content = csv_of([*ROWS, ("caf#", "n")]).encode().replace(b"#", b"\xe9")
    assert texts_and_labels(opened(tmp_path, "t.csv", content)) == [*ROWS, ("café", "n")]


def test_one_damaged_byte_does_not_spoil_a_utf_8_file(tmp_path):
    rows = [(f"naïve café {i}", "np"[i % 2]) for i in range(12)]
    content = csv_of(rows).encode().replace("naïve café 7".encode(), b"na\xffve caf\xc3\xa9 7")
    dataset = opened(tmp_path, "t.csv", content)
    assert dataset.inputs.texts[3] == "naïve café 3"
    assert dataset.inputs.texts[7] == "na\ufffdve café 7"
    assert "damaged" in dataset.interpretation.warnings[0]


def test_a_cell_of_several_mebibytes_is_read(tmp_path):
    long = "word " * 500_000
    assert opened(tmp_path, "t.csv", csv_of([*ROWS, (long, "n")])).inputs.texts[-1] == long


def test_quotes_in_a_tab_separated_file_are_characters(tmp_path):
    rows = [(f'"he said {i}', "np"[i % 2]) for i in range(12)]
    assert texts_and_labels(opened(tmp_path, "t.tsv", csv_of(rows, separator="\t"))) == rows


def test_quoted_cells_of_a_tab_separated_file_lose_their_quotes(tmp_path):
    rows = [(f'"he said ""{i}"" then"', "np"[i % 2]) for i in range(12)]
    assert opened(tmp_path, "t.tsv", csv_of(rows, separator="\t")).inputs.texts[4] == 'he said "4" then'


def test_quotes_escaped_by_a_backslash_are_read(tmp_path):
    rows = [(f'"he said \\"a, {i}\\" then"', "np"[i % 2]) for i in range(12)]
    assert opened(tmp_path, "t.csv", csv_of(rows)).inputs.texts[4] == 'he said "a, 4" then'


def test_digits_stay_as_they_are_written(tmp_path):
    rows = [(f"{i:04d}", ["01", "1"][i % 2]) for i in range(12)]
    dataset = opened(tmp_path, "t.csv", csv_of(rows))
    assert texts_and_labels(dataset) == rows


def test_decimal_commas_beside_semicolons_are_numbers(tmp_path):
    rows = [(f"some words {i}", f"{i},5") for i in range(12)]
    dataset = opened(tmp_path, "t.csv", csv_of(rows, separator=";"))
    assert dataset.train.targets[:, 0].tolist() == [i + 0.5 for i in range(12)]
    assert "decimal commas" in dataset.interpretation.warnings[0]


@pytest.mark.parametrize("separator", ["\t", "|"])
def test_decimal_commas_beside_other_separators_are_numbers_and_thousands_are_not(tmp_path, separator):
    rows = [(f"some words {i}", f"{i},5") for i in range(12)]
    assert opened(tmp_path, "t.txt", csv_of(rows, separator=separator)).train.targets[3, 0] == 3.5
    rows = [(f"some words {i}", f"{i + 1},500") for i in range(12)]
    with pytest.raises(errors.AmbiguousDataset, match="plain numbers"):
        opened(tmp_path, "t.txt", csv_of(rows, separator=separator))


def test_numbers_of_classes_with_commas_are_several_labels_where_it_is_asked_for(tmp_path):
    rows = [(f"some words {i}", ["1,2", "2", "3,1"][i % 3]) for i in range(12)]
    dataset = opened(tmp_path, "t.csv", csv_of(rows, separator=";"), task="multi-label")
    assert dataset.classes == ("1", "2", "3")
    assert dataset.train.targets[:3].tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 1]]


@pytest.mark.parametrize(
    ("name", "content", "kind", "said"),
    [
        ("t.csv", "text,text,label\na b,c d,1\n", errors.UnreadableDataset, "more than one column named 'text'"),
        ("t.csv", "text,label\na b,c,d\n", errors.UnreadableDataset, "separated by comma"),
        ("t.csv", "text,label\na\0b,c\n", errors.InvalidDataset, "zero bytes|none of"),
        ("t.json", '{"text": [1, 2}', errors.UnreadableDataset, "line 1"),
        ("t.json", "[" * 100_000, errors.UnreadableDataset, "nests deeper"),
        ("t.json", '{"a": 1, "b": {"c": 2}}', errors.UnreadableDataset, "no table"),
        ("t.jsonl", '{"text": "a b", "label": 1}\n[1]\n', errors.UnreadableDataset, "line 2"),
        ("t.xls", b"\xd0\xcf\x11\xe0" + b"\0" * 600, errors.UnsupportedDataset, "Excel 97"),
        ("t.csv.gz", b"\x1f\x8b" + b"\0" * 60, errors.UnsupportedDataset, "gzip"),
        ("t.csv", "\n<!DOCTYPE html><html>404</html>\n", errors.UnsupportedDataset, "web page"),
        ("t.csv", "version https://git-lfs x\noid sha256:ab\n", errors.UnsupportedDataset, "git lfs pull"),
        ("t.tsv", "ham\ta film that nobody should ever miss\n" * 4, errors.UnlabelledDataset, "names of columns above"),
        ("t.csv", "0.5,0.5,1\n" * 4, errors.UnreadableDataset, "names of columns above"),
        ("t.arrow", b"ARROW1\0\0", errors.UnsupportedDataset, "save it as Parquet"),
    ],
)
def test_what_cannot_be_read_is_refused_by_its_name(tmp_path, name, content, kind, said):
    with pytest.raises(kind, match=said):
        opened(tmp_path, name, content)


def workbook(path: Path, sheets: dict[str, list[tuple[object, ...]]]) -> Path:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def test_a_workbook_is_read_whatever_its_file_is_called(tmp_path):
    dataset = open_dataset(workbook(tmp_path / "upload", {"Sheet1": [("text", "label"), *ROWS], "Empty": []}))
    assert texts_and_labels(dataset) == ROWS


def test_sheets_named_after_splits_are_splits(tmp_path):
    sheets = {"train": [("text", "label"), *ROWS], "test": [("text", "label"), *ROWS[:4]]}
    dataset = open_dataset(workbook(tmp_path / "t.xlsx", sheets))
    assert (len(dataset.train), len(dataset.test)) == (12, 4)


def test_a_workbook_of_several_sheets_asks_which_one_is_meant(tmp_path):
    sheets = {"one": [("text", "label"), *ROWS], "two": [("text", "label"), *ROWS]}
    with pytest.raises(errors.AmbiguousDataset, match="one, two"):
        open_dataset(workbook(tmp_path / "t.xlsx", sheets))


def test_a_workbook_that_is_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    path = workbook(tmp_path / "t.xlsx", {"Sheet1": [("text", "label"), *ROWS]})
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as container:
        container.writestr("xl/bomb.xml", b"\0" * (64 * 1024**2))
    with pytest.raises(errors.UnreadableDataset, match="zip bomb"):
        open_dataset(path)


def test_without_its_library_a_workbook_says_what_to_install(tmp_path, monkeypatch):
    path = workbook(tmp_path / "t.xlsx", {"Sheet1": [("text", "label"), *ROWS]})
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(errors.UnsupportedDataset, match=r"frontrunner\[excel\]"):
        open_dataset(path)


def test_a_json_of_splits_is_read_as_splits(tmp_path):
    dataset = opened(tmp_path, "t.json", json.dumps({"train": RECORDS, "validation": RECORDS[:4]}))
    assert (len(dataset.train), len(dataset.test)) == (12, 4)


def test_dictionary_typed_texts_and_labels_of_parquet_are_read(tmp_path):
    path = tmp_path / "t.parquet"
    columns = [pa.array(values).dictionary_encode() for values in zip(*ROWS, strict=True)]
    pa.parquet.write_table(pa.table(columns, names=["text", "label"]), path)
    assert texts_and_labels(open_dataset(path)) == ROWS


def test_duplicate_columns_of_parquet_are_refused(tmp_path):
    path = tmp_path / "t.parquet"
    words = pa.array(["a b", "c d"])
    pa.parquet.write_table(
        pa.Table.from_arrays([words, words, pa.array([0, 1])], names=["text", "text", "label"]), path
    )
    with pytest.raises(errors.UnreadableDataset, match="more than one column named 'text'"):
        open_dataset(path)


def test_a_column_of_mixed_values_matters_only_if_it_is_read(tmp_path):
    records = [{"text": text, "label": label, "extra": i if i % 2 else "word"} for i, (text, label) in enumerate(ROWS)]
    content = "".join(json.dumps(record) + "\n" for record in records)
    assert texts_and_labels(opened(tmp_path, "t.jsonl", content)) == ROWS
    with pytest.raises(errors.UnreadableDataset, match="different kinds"):
        opened(tmp_path, "t.jsonl", content, label="extra")


def test_what_nobody_foresaw_is_our_fault_and_in_the_log(tmp_path, monkeypatch, caplog):
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("unforeseen")

    monkeypatch.setattr("frontrunner.data.opening.read_table", broken)
    with pytest.raises(errors.InternalError, match="a defect of Frontrunner"):
        opened(tmp_path, "t.csv", csv_of())
    assert "ZeroDivisionError" in caplog.text


def test_an_input_that_breaks_its_decoder_is_left_out_and_the_check_goes_on(tmp_path, monkeypatch):
    dataset = opened(tmp_path, "t.csv", csv_of())
    read = type(dataset.inputs).read

    def sometimes(self: object, key: int) -> bytes:
        if key == 3:
            raise ZeroDivisionError("unforeseen")
        return read(self, key)

    monkeypatch.setattr(type(dataset.inputs), "read", sometimes)
    report = check_dataset(dataset)
    assert [file.key for file in report.unreadable] == [3]
    assert "defect of Frontrunner" in report.unreadable[0].reason

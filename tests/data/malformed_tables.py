"""Tables, arrays and noise that are damaged, hostile or no datasets at all; see `tests.data.malformed`."""

from __future__ import annotations

import io
import json
import pickle
import random
import struct
import zipfile
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.data.malformed import (
    AMBIGUOUS,
    ANY_OF,
    EMPTY,
    ONE_CLASS,
    TOO_LARGE,
    UNLABELLED,
    UNREADABLE,
    UNSUPPORTED,
    Malformed,
    case,
    zip_of,
)

_ROWS = "".join(f"words of row {row},{'ab'[row % 2]}\n" for row in range(20))


def separated() -> Iterator[Malformed]:
    """CSV and TSV."""
    table = f"text,label\n{_ROWS}"
    yield case("empty.csv", b"", EMPTY)
    yield case("spaces-alone.csv", b"   \n \n", EMPTY, UNREADABLE)
    yield case("line-breaks-alone.csv", b"\n" * 1000, EMPTY, UNREADABLE)
    yield case("header-alone.csv", b"text,label\n", EMPTY)
    yield case("one-column.csv", b"text\n" + b"words\n" * 20, UNLABELLED, UNREADABLE, AMBIGUOUS)
    yield case("one-class.csv", b"text,label\n" + b"words,a\n" * 20, ONE_CLASS)
    yield case("labels-missing.csv", b"text,label\n" + b"words,\n" * 20, UNLABELLED, EMPTY)
    yield case("zero-bytes.csv", table.replace("w", "\0").encode(), UNREADABLE, UNSUPPORTED)
    yield case("zero-bytes-alone.csv", bytes(10_000), UNREADABLE)
    yield case("quote-never-closed.csv", b'text,label\n"words,a\n' + _ROWS.encode() * 50, *ANY_OF)
    yield case("rows-of-other-lengths.csv", b"text,label\n" + b"a,b,c,d\nx\n,\n" * 20, *ANY_OF)
    yield case("utf-16-cut.csv", table.encode("utf-16")[:-1] + b"\xd8", *ANY_OF)
    yield case("says-utf-8-and-is-not.csv", b"\xef\xbb\xbftext,label\n\xff\xfe\xfa,a\n\xc3\x28,b\n", *ANY_OF)
    yield case("random-bytes.csv", random.Random(1).randbytes(5_000), *ANY_OF)
    yield case("a-million-columns.csv", b"," * 1_000_000 + b"\n" + b"," * 1_000_000 + b"\n", *ANY_OF, TOO_LARGE)
    yield case("a-line-of-8-mb.csv", b"text,label\n" + b"x" * (8 << 20), *ANY_OF, ONE_CLASS)
    yield case("the-same-names.csv", b"a,a,a,a\n" + b"x,y,z,w\n" * 20, *ANY_OF)
    yield case("web-page.csv", b"<!DOCTYPE html><html><body>Sign in</body></html>", UNSUPPORTED)
    yield case("xml.csv", b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", *ANY_OF)
    yield case("program.csv", b"\x7fELF\x02\x01\x01" + bytes(100), *ANY_OF)
    yield case("pickle.csv", pickle.dumps({"text": ["a"], "label": [1]}), *ANY_OF)
    yield case("sqlite.csv", b"SQLite format 3\0" + bytes(100), *ANY_OF)
    yield case("images-that-lie-elsewhere.csv", b"image,label\n" + b"/etc/passwd.png,a\n../../x.png,b\n" * 10, *ANY_OF)
    yield case("escape-sequences.csv", b"\x1b[31mtext,\x1b[0m\n\x1b]0;x\x07,\n", *ANY_OF)
    yield case("half-a-letter.tsv", "text\tlabel\nä\tb\n".encode()[:-4], *ANY_OF)


def records() -> Iterator[Malformed]:
    """JSON and JSONL."""
    yield case("cut.json", b'[{"text": "a", "label": "b"}, {"text"', UNREADABLE)
    yield case("nested-without-end.json", b"[" * 200_000, UNREADABLE)
    yield case("nested-objects.json", b'{"a":' * 100_000, UNREADABLE)
    yield case("nested-and-closed.json", b"[" * 50_000 + b"]" * 50_000, UNREADABLE)
    yield case("a-number.json", b"17", *ANY_OF)
    yield case("a-word.json", b'"words"', *ANY_OF)
    yield case("null.json", b"null", *ANY_OF)
    yield case("an-empty-list.json", b"[]", EMPTY)
    yield case("an-empty-object.json", b"{}", *ANY_OF)
    yield case("lists-of-lists.json", b"[[1, 2], [3, 4]]", UNREADABLE)
    yield case("mixed.json", b'[1, "a", null, {"text": "b"}]', UNREADABLE)
    yield case("a-number-of-a-megabyte.json", b'[{"text": "a", "label": ' + b"9" * 1_000_000 + b"}]", *ANY_OF)
    yield case("not-a-number.json", b'[{"text": "a", "target": NaN}, {"text": "b", "target": Infinity}]', *ANY_OF)
    yield case("lone-surrogates.json", b'[{"text": "\\ud800", "label": "\\udfff"}]', *ANY_OF, ONE_CLASS)
    yield case("not-utf-8.json", b'[{"text": "\xff", "label": "a"}]', *ANY_OF, ONE_CLASS)
    yield case("one-key-twice.json", b'[{"text": "a", "text": "b"}]', *ANY_OF)
    yield case("no-object-in-a-line.jsonl", b'{"text": "a", "label": "b"}\n17\n', UNREADABLE)
    yield case("cut.jsonl", b'{"text": "a", "label": "b"}\n{"text": "a", "lab', UNREADABLE)
    yield case("nested.jsonl", b'{"text": "a"}\n' + b'{"a":' * 50_000 + b"\n", UNREADABLE)
    yield case("commas-between-lines.jsonl", b'{"text": "a"},\n{"text": "b"},\n', UNREADABLE)
    yield case("empty-objects.jsonl", b"{}\n" * 100, *ANY_OF)
    yield case("cells-that-nest.json", json.dumps([{"text": {"a": [1]}, "label": {"b": 2}}] * 9).encode(), *ANY_OF)


def parquets() -> Iterator[Malformed]:
    """Parquet."""
    good = _parquet({"text": [f"row {n}" for n in range(20)], "label": ["a", "b"] * 10})
    yield case("signature-alone.parquet", b"PAR1", *ANY_OF)
    yield case("signatures-alone.parquet", b"PAR1PAR1", UNREADABLE)
    yield case("cut.parquet", good[: len(good) // 2], UNREADABLE)
    yield case("without-its-end.parquet", good[:-4], UNREADABLE)
    yield case("footer-of-2-gib.parquet", good[:-8] + struct.pack("<I", 2**31 - 1) + b"PAR1", UNREADABLE)
    yield case("footer-of-garbage.parquet", good[:-60] + b"\xff" * 52 + good[-8:], UNREADABLE)
    yield case("pages-of-garbage.parquet", good[:4] + b"\xff" * 60 + good[64:], *ANY_OF, TOO_LARGE)
    yield case("encrypted.parquet", b"PARE" + good[4:-4] + b"PARE", *ANY_OF)
    yield case("no-column.parquet", _parquet({}), EMPTY)
    yield case(
        "no-row.parquet", _parquet({"text": pa.array([], pa.string()), "label": pa.array([], pa.int64())}), EMPTY
    )
    yield case("nothing-but-nulls.parquet", _parquet({"text": [None] * 9, "label": [None] * 9}), *ANY_OF)
    nested = pa.array([[[[1]]], [[[2]]]] * 5)
    yield case("lists-of-lists.parquet", _parquet({"text": ["a", "b"] * 5, "label": nested}), *ANY_OF)
    yield case("lists-with-nulls.parquet", _parquet({"text": ["a", "b"] * 5, "label": [[1.0, None]] * 10}), *ANY_OF)
    yield case("structures.parquet", _parquet({"text": [{"a": 1}] * 9, "label": [{"b": 2}] * 9}), *ANY_OF)
    bad = [{"bytes": b"no image", "path": f"/etc/{n}"} for n in range(10)]
    yield case("images-that-are-none.parquet", _parquet({"image": bad, "label": ["a", "b"] * 5}), *ANY_OF)
    yield case("one-class.parquet", _parquet({"text": ["a", "b"] * 5, "label": ["a"] * 10}), ONE_CLASS)
    random_bytes = random.Random(3)
    for number in range(6):
        changed = bytearray(good)
        for _ in range(30):
            changed[random_bytes.randrange(4, len(good))] = random_bytes.randrange(256)
        yield case(f"bits-flipped-{number}.parquet", bytes(changed), *ANY_OF, ONE_CLASS, TOO_LARGE)


def _parquet(columns: dict[str, object]) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file)
    return file.getvalue()


def arrays() -> Iterator[Malformed]:
    """npz and npy."""
    features, labels = _npy(np.ones((20, 3))), _npy(np.repeat([0, 1], 10))
    yield case("lone-array.npy", features, *ANY_OF)
    yield case("no-labels.npz", zip_of({"features.npy": features}), UNLABELLED)
    yield case("labels-alone.npz", zip_of({"labels.npy": labels}), EMPTY)
    yield case("lengths-differ.npz", zip_of({"features.npy": features, "labels.npy": _npy(np.arange(7))}), UNREADABLE)
    yield case("one-label.npz", zip_of({"features.npy": features, "labels.npy": _npy(np.array(1))}), UNREADABLE)
    yield case("no-row.npz", zip_of({"features.npy": _npy(np.ones((0, 3))), "labels.npy": _npy(np.ones(0))}), EMPTY)
    yield case("one-class.npz", zip_of({"features.npy": features, "labels.npy": _npy(np.zeros(20, int))}), ONE_CLASS)
    pickled = io.BytesIO()
    np.save(pickled, np.array([{"a": 1}] * 20, dtype=object), allow_pickle=True)
    yield case("pickled-labels.npz", zip_of({"features.npy": features, "labels.npy": pickled.getvalue()}), UNREADABLE)
    for name, header in (
        ("shape-of-2-to-the-60", "{'descr': '<f8', 'fortran_order': False, 'shape': (1152921504606846976, 1)}"),
        ("shape-of-a-terabyte", "{'descr': '<f8', 'fortran_order': False, 'shape': (137438953472, 1)}"),
        ("negative-shape", "{'descr': '<f8', 'fortran_order': False, 'shape': (-5, 3)}"),
        ("shape-of-words", "{'descr': '<f8', 'fortran_order': False, 'shape': ('a', 3)}"),
        ("many-dimensions", f"{{'descr': '<f8', 'fortran_order': False, 'shape': {(1,) * 100}}}"),
        ("unknown-type", "{'descr': '<q99', 'fortran_order': False, 'shape': (20, 3)}"),
        ("objects", "{'descr': '|O', 'fortran_order': False, 'shape': (20, 3)}"),
        ("type-of-4-gib", "{'descr': '|S4294967295', 'fortran_order': False, 'shape': (20, 3)}"),
        ("nested-types", f"{{'descr': {[('a', '<f8')] * 500}, 'fortran_order': False, 'shape': (20,)}}"),
        ("code", "__import__('os').system('true')"),
        ("no-keys", "{}"),
        ("nested-without-end", "[" * 3000),
    ):
        array = _npy_of(header)
        yield case(f"header-{name}.npz", zip_of({"features.npy": array, "labels.npy": labels}), UNREADABLE, TOO_LARGE)
    yield case("no-signature.npz", zip_of({"features.npy": b"nothing", "labels.npy": labels}), UNREADABLE)
    yield case("array-cut.npz", zip_of({"features.npy": features[:-50], "labels.npy": labels}), UNREADABLE)
    zeros = _npy(np.zeros((2_000, 16_384), dtype=np.float32))
    bomb = zip_of({"features.npy": zeros, "labels.npy": labels}, zipfile.ZIP_DEFLATED)
    yield case("lengths-differ-bomb.npz", bomb, UNREADABLE)
    many = zip_of({f"f{number}.npy": labels for number in range(1_500)})
    yield case("too-many-arrays.npz", many, TOO_LARGE)
    texts = _npy(np.array([["a", "b"]] * 20))
    yield case("features-of-words.npz", zip_of({"features.npy": texts, "labels.npy": labels}), *ANY_OF)
    times = _npy(np.array(["2020-01-01"] * 20, dtype="datetime64[D]").reshape(20, 1))
    yield case("features-of-times.npz", zip_of({"features.npy": times, "labels.npy": labels}), *ANY_OF)
    lost = _npy(np.full(20, np.nan))
    yield case("labels-that-are-no-number.npz", zip_of({"features.npy": features, "labels.npy": lost}), *ANY_OF)


def _npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def _npy_of(header: str) -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(480)


def workbooks() -> Iterator[Malformed]:
    """Excel, which is XML in a zip."""
    kind = b"<Types xmlns='http://schemas.openxmlformats.org/package/2006/content-types'/>"
    entities = "".join(f"<!ENTITY a{n + 1} '{f'&a{n};' * 10}'>" for n in range(9))
    laughs = f"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a0 'ha'>{entities}]><workbook>&a9;</workbook>".encode()
    outside = b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><workbook>&a;</workbook>"
    yield case("no-sheet.xlsx", zip_of({"[Content_Types].xml": kind, "xl/workbook.xml": b"<workbook/>"}), *ANY_OF)
    yield case("entities.xlsx", zip_of({"[Content_Types].xml": kind, "xl/workbook.xml": laughs}), UNREADABLE)
    yield case("entity-of-a-file.xlsx", zip_of({"[Content_Types].xml": kind, "xl/workbook.xml": outside}), UNREADABLE)
    yield case("no-xml.xlsx", zip_of({"[Content_Types].xml": b"\xff", "xl/workbook.xml": b"\xff"}), UNREADABLE)
    bomb = zip_of({"[Content_Types].xml": kind, "xl/workbook.xml": b" " * (64 << 20)}, zipfile.ZIP_DEFLATED)
    yield case("bomb.xlsx", bomb, UNREADABLE)
    yield case("old.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), UNSUPPORTED)


def noise() -> Iterator[Malformed]:
    """Random bytes behind the beginnings of formats."""
    generator = random.Random(5)
    for number, head in enumerate(
        (b"", b"PK\x03\x04", b"PAR1", b"\x93NUMPY\x01\x00", b"[{", b"\x1f\x8b", b"\xff\xfe", b"%PDF-")
    ):
        yield case(f"noise-{number}.bin", head + generator.randbytes(3_000), *ANY_OF)


KINDS = (separated, records, parquets, arrays, workbooks, noise)

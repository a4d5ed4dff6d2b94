"""CoNLL files: a word a line with its labels in columns behind it, and a blank line between two sentences."""

from __future__ import annotations

import codecs
import re
from collections import Counter

import pyarrow as pa

from frontrunner.data.tables.encoding import decode_text
from frontrunner.data.tables.table import Table
from frontrunner.errors import EmptyDataset, UnlabelledDataset, UnreadableDataset

SUFFIXES = frozenset({".conll", ".bio", ".bioes", ".iob", ".iob2"})
# The columns of the table that is made of a file; those between the two are called `column_2`, `column_3`...
WORDS, LABELS = "tokens", "tags"
# Begins a document: no word.
_DOCUMENT = "-DOCSTART-"
_BLANKS = re.compile(r"[ \t]+")
# Bytes by which a file without a telling suffix is known.
_SEEN_BYTES = 1 << 16
# Lines of a sentence, on average, from which a file is one of words.
_LINES = 2


def looks_like_conll(data: bytes) -> bool:
    """Whether a text is in blocks of lines with as many columns each, separated by blanks or tabs.

    Example:
        >>> looks_like_conll(b"Ada B-PER\\nsleeps O\\n\\nno O\\nrain O\\n"), looks_like_conll(b"text,label\\nfine,1\\n")
        (True, False)
    """
    data = data.removeprefix(codecs.BOM_UTF8)
    if data.startswith(_DOCUMENT.encode()):
        return True
    seen = data[:_SEEN_BYTES].decode("utf-8", "replace").replace("\r\n", "\n").split("\n")
    lines = [line for line in (seen if len(data) <= _SEEN_BYTES else seen[:-1]) if not line.startswith("# ")]
    blocks = _blocks(lines)
    widths = {len(_BLANKS.split(line.strip())) for line in lines if line.strip()}
    words = sum(bool(line.strip()) for line in lines)
    return len(widths) == 1 and widths.pop() > 1 and blocks > 1 and words >= _LINES * blocks


def _blocks(lines: list[str]) -> int:
    return sum(bool(line.strip()) and not before.strip() for before, line in zip(["", *lines], lines, strict=False))


def read_conll(data: bytes, name: str) -> Table:
    """A row a sentence: lists of its words and of each column of labels, the last of which is called `tags`.

    Columns are separated by tabs where every line has one, else by blanks. There are as many as most lines have that do
    not begin with `#`; lines that do, and have others, are comments.

    Raises:
        EmptyDataset: no word is in it.
        UnlabelledDataset: the words have no labels.
        UnreadableDataset: a line has more columns or fewer than the others.

    Example:
        >>> read_conll(b"-DOCSTART- O\\n\\nAda B-PER\\nsleeps O\\n\\nno O\\n", "t.conll").rows.to_pydict()
        {'tokens': [['Ada', 'sleeps'], ['no']], 'tags': [['B-PER', 'O'], ['O']]}
    """
    decoded = decode_text(data, name)
    lines = decoded.data.decode().replace("\r\n", "\n").split("\n")
    written = [line for line in lines if line.strip() and not line.startswith(_DOCUMENT)]
    if not written:
        raise EmptyDataset(f"{name} holds no words")
    separator = re.compile("\t") if all("\t" in line or line.startswith("#") for line in written) else _BLANKS
    split = [separator.split(line.strip(" \r")) if line.strip() else [] for line in lines]
    words = [cells for cells in split if cells and not cells[0].startswith("#")]
    width = Counter(map(len, words or filter(None, split))).most_common(1)[0][0]
    if width == 1:
        raise UnlabelledDataset(f"{name} has one column: expected a word a line, and its label behind it")
    sentences: list[list[list[str]]] = [[]]
    for number, (line, cells) in enumerate(zip(lines, split, strict=True), start=1):
        if not cells or line.startswith(_DOCUMENT):
            sentences.append([])
        elif len(cells) == width:
            sentences[-1].append(cells)
        elif not line.startswith("#"):
            raise UnreadableDataset(
                f"{name} has {_columns(len(cells))} in line {number} and {width} in most: expected a word and its "
                "labels in every line, and a blank line between two sentences"
            )
    columns = [list(zip(*sentence, strict=True)) for sentence in sentences if sentence]
    titles = [WORDS, *(f"column_{place}" for place in range(2, width)), LABELS]
    lists = pa.list_(pa.large_string())
    rows = {title: pa.array([list(found[place]) for found in columns], lists) for place, title in enumerate(titles)}
    return Table(pa.table(rows), "conll", typed=True, notes=(decoded.note,) if decoded.note else ())


def _columns(count: int) -> str:
    return f"{count} column{'s' if count > 1 else ''}"

"""Bytes of a text file to UTF-8, whatever encoding they are in."""

from __future__ import annotations

import codecs
import re
from typing import NamedTuple

import charset_normalizer
import numpy as np

from frontrunner.errors import UnreadableDataset

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# The detector looks at the lines that are not plain ASCII; more of them would not change its mind.
_LINES_SEEN_BYTES = 1 << 18
# Windows-1252, which holds Latin-1's letters, is by far the most common one: it loses only to a clearly better guess.
_MOST_COMMON = "cp1252"
_CLEARLY = 0.04
# What files of today are in, the more common first. The detector knows ninety more, and short texts look like them.
_LATIN = (_MOST_COMMON, "cp1250")
_OLD_LATIN = ("mac_roman",)
_OTHER = ("cp1251", "cp932", "gb18030", "big5", "cp949", "euc_jp", "cp1253", "cp1256", "cp1255", "koi8_r")
_ONLY_TURKISH = frozenset("ğışĞİŞ")
_TURKISH = _ONLY_TURKISH | frozenset("çöüÇÖÜâîûÂÎÛ")
# The share of misplaced letters up to which a reading counts; languages with many accents come near to it.
_MOST_CHAOS = 0.25
# Words of Latin letters hold some bytes above 127, those of other scripts little else.
_WORD = re.compile(rb"[A-Za-z\x80-\xff]{3,}")
_MOSTLY_HIGH = 0.6
# A file with ten whole characters beside each damaged one is UTF-8 all the same.
_MOSTLY = 10
_REPLACEMENT = "\ufffd"


class Decoded(NamedTuple):
    """A text file in UTF-8.

    Attributes:
        data: its bytes in UTF-8, without a byte order mark.
        note: which encoding was detected, where the file does not say it; else empty.
    """

    data: bytes
    note: str


def decode_text(data: bytes, name: str) -> Decoded:
    """The file in UTF-8.

    UTF-8 with or without a mark and UTF-16 or UTF-32 with one are taken at their word. Anything else is detected.

    Raises:
        UnreadableDataset: the bytes are in no encoding that can be told.

    Example:
        >>> decode_text("café".encode("latin-1"), "menu.csv").data.decode()
        'café'
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return Decoded(_decoded(data, encoding, name).lstrip("\ufeff").encode(), "")
    if b"\0" in data[:4096]:
        return Decoded(*_wide(data, name))
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        encoding = _detected(data, name)
        line = data.count(b"\n", 0, error.start) + 1
        repaired = data.decode("utf-8", "replace")
        damaged = repaired.count(_REPLACEMENT)
        if sum(not character.isascii() for character in repaired) > _MOSTLY * damaged:
            return Decoded(repaired.encode(), f"{name} is UTF-8 with {damaged} damaged characters, read as \ufffd")
        wrong = f"byte 0x{data[error.start]:02X} in line {line}"
        return Decoded(
            _decoded(data, encoding, name).encode(),
            f"{name} is not UTF-8 ({wrong}); it was read as {_title(encoding)}, as detected: "
            "save it as UTF-8 if letters look wrong",
        )
    return Decoded(data, "")


def _wide(data: bytes, name: str) -> tuple[bytes, str]:
    """UTF-16 without a mark: of mostly plain letters every other byte is zero."""
    head = data[:4096]
    even, odd = head[::2].count(0), head[1::2].count(0)
    if max(even, odd) < len(head) // 8:
        raise UnreadableDataset(f"{name} holds zero bytes and is no text")
    encoding = "utf-16-le" if odd > even else "utf-16-be"
    return _decoded(data, encoding, name).encode(), f"{name} was read as {encoding.upper()}, as detected"


def _detected(data: bytes, name: str) -> str:
    lines: list[bytes] = []
    size = 0
    for line in data.splitlines():
        if not line.isascii():
            lines.append(line[:_LINES_SEEN_BYTES])
            size += len(line)
            if size > _LINES_SEEN_BYTES:
                break
    seen = b"\n".join(lines)
    words = b"".join(word for word in _WORD.findall(seen) if not word.isascii())
    is_latin = not words or sum(byte > 127 for byte in words) <= _MOSTLY_HIGH * len(words)
    if is_latin and _is_turkish(seen):
        return "cp1254"
    for encodings in (_LATIN, _OLD_LATIN, _OTHER) if is_latin else (_OTHER, _LATIN):
        scores = {encoding: score for encoding in encodings if (score := _likeness(seen, encoding)) is not None}
        if scores:
            best = max(scores, key=lambda encoding: scores[encoding])
            clearly = scores[best] > scores.get(_MOST_COMMON, -np.inf) + _CLEARLY
            return best if clearly or _MOST_COMMON not in scores else _MOST_COMMON
    guess = charset_normalizer.from_bytes(seen).best()
    if guess is None:
        raise UnreadableDataset(f"{name} is in no encoding that can be told; save it as UTF-8")
    return guess.encoding


def _is_turkish(seen: bytes) -> bool:
    """Whether the letters are those of Turkish, some of which Windows-1252 reads as Icelandic ones."""
    letters = {letter for letter in seen.decode("cp1254", "replace") if letter.isalpha() and not letter.isascii()}
    return bool(letters & _ONLY_TURKISH) and letters <= _TURKISH


def _likeness(seen: bytes, encoding: str) -> float | None:
    """How much the bytes read in an encoding look like a language; None where they do not."""
    guess = charset_normalizer.from_bytes(seen, cp_isolation=[encoding], threshold=_MOST_CHAOS).best()
    if guess is None:
        return None
    letters = [letter for letter in str(guess) if not letter.isascii()]
    # KOI8-R and Windows-1251 swap the cases of Cyrillic. Hiragana is in every Japanese text and in hardly any misread
    # one; katakana of half the width is the other way round.
    capitals = 0 if encoding in _LATIN else sum(letter.isupper() for letter in letters)
    hiragana = sum("\u3041" <= letter <= "\u309f" for letter in letters)
    narrow = sum("\uff61" <= letter <= "\uff9f" for letter in letters)
    return float(guess.coherence - guess.chaos + (hiragana - capitals - narrow) / max(1, len(letters)))


def _decoded(data: bytes, encoding: str, name: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding == _MOST_COMMON:
            return data.decode("latin-1")  # five bytes mean nothing in Windows-1252 and are controls in Latin-1
        raise UnreadableDataset(f"{name} says that it is {_title(encoding)} and is not: {error.reason}") from error


def _title(encoding: str) -> str:
    return {"cp1252": "Windows-1252", "latin_1": "Latin-1"}.get(encoding, encoding.replace("_", "-").upper())

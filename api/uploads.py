"""Multipart uploads that stream: the file goes to the store as it arrives and never sits in memory.

Starlette's own form parser spools the whole file first and hands it over afterwards; here each piece is hashed and
written once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import python_multipart
from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import Request
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from api.problems import MalformedRequest
from frontrunner.errors import DatasetTooLarge
from frontrunner.store import Blobs, BlobWriter

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

# A form's text fields are options; anything longer is a file sent without a filename.
MAX_FIELD_BYTES = 1 << 20
MAX_FIELDS = 32
MAX_HEADER_BYTES = 8 << 10
# Written and hashed off the event loop in pieces of this size.
_PIECE = 1 << 20


@dataclass(frozen=True)
class Upload:
    """A file in the store, and the text fields that came with it.

    Attributes:
        name: of the file.
        blob: its digest.
        bytes: its size.
        fields: by their names.
        writer: has the bytes, until a dataset is made of them or refused; None of another dataset's bytes.
    """

    name: str
    blob: str
    bytes: int
    fields: dict[str, str]
    writer: BlobWriter | None = None

    def path(self, blobs: Blobs) -> Path:
        """The file on this machine.

        Raises:
            StoredFileMissing: it was another dataset's, which was forgotten.
        """
        return blobs.path(self.blob) if self.writer is None else self.writer.path

    def stay(self, blobs: Blobs) -> None:
        """See that the file is in the store, in the transaction that writes its dataset; errors as of `path`."""
        if self.writer is None:
            blobs.path(self.blob)
        else:
            self.writer.keep_still()


async def receive_upload(
    request: Request,
    writer: BlobWriter,
    max_bytes: int,
    threads: CapacityLimiter,
    count: Callable[[int], None],
) -> Upload:
    """Receive `multipart/form-data` with one part `file`, or a raw body with `?name=`.

    Args:
        request: with the upload as its body.
        writer: where it goes.
        max_bytes: of the file, which the writer counts.
        threads: bounds the threads that write.
        count: hears of the file's bytes as they come, and raises where there are too many.

    Raises:
        MalformedRequest: not such a form, or cut off.
        DatasetTooLarge: more bytes than allowed.
        EmptyDataset: no byte in the file.
        StorageFull, StoreUnavailable: it cannot be kept.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > max_bytes + MAX_FIELDS * MAX_FIELD_BYTES:
        raise DatasetTooLarge(f"the upload has {int(declared):,} bytes; at most {max_bytes:,} are accepted")
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind == b"multipart/form-data":
        form = await _receive_form(request, options.get(b"boundary", b""), writer, threads, count)
        name, fields = form.filename, form.fields
    else:
        await write_body(request, writer, threads, count)
        name = request.query_params.get("name", "")
        fields = {key: value for key, value in request.query_params.items() if key != "name"}
    await run_sync(writer.keep, limiter=threads)
    return Upload(shown_name(name), writer.digest, writer.bytes, fields, writer)


async def write_body(
    request: Request, writer: BlobWriter, threads: CapacityLimiter, count: Callable[[int], None]
) -> None:
    """Write a request's body as it comes; see `receive_upload`."""
    async for piece in _pieces(request.stream()):
        count(len(piece))
        await run_sync(writer.write, piece, limiter=threads)


def shown_name(name: str) -> str:
    """A file's name as answers, rows and terminals can hold it."""
    last = PurePosixPath(name.replace("\\", "/")).name
    return "".join(letter for letter in last if letter.isprintable())[:255] or "dataset"


@dataclass
class _Form:
    """Collects what the parser calls back: the open part's headers, text fields, and the file's bytes."""

    filename: str = ""
    fields: dict[str, str] = field(default_factory=dict)
    pending: bytearray = field(default_factory=bytearray)
    ended: bool = False
    _header: bytearray = field(default_factory=bytearray)
    _value: bytearray = field(default_factory=bytearray)
    _part: str = ""
    _parts: int = 0
    _is_file: bool = False
    _seen_file: bool = False
    _text: bytearray = field(default_factory=bytearray)

    def callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self._begin_part,
            "on_header_field": lambda data, start, end: self._extend(self._header, data[start:end]),
            "on_header_value": lambda data, start, end: self._extend(self._value, data[start:end]),
            "on_header_end": self._end_header,
            "on_part_data": self._data,
            "on_part_end": self._end_part,
            "on_end": self._end,
        }

    def _begin_part(self) -> None:
        self._parts += 1
        if self._parts > MAX_FIELDS + 1:
            raise MalformedRequest(f"the form holds more than {MAX_FIELDS} fields and a file")
        self._part, self._is_file = "", False
        self._text.clear()

    def _extend(self, collected: bytearray, data: bytes) -> None:
        collected.extend(data)
        if len(collected) > MAX_HEADER_BYTES:
            raise MalformedRequest(f"a header of a part is longer than {MAX_HEADER_BYTES:,} bytes")

    def _end_header(self) -> None:
        if bytes(self._header).lower() == b"content-disposition":
            _, options = parse_options_header(bytes(self._value))
            self._part = options.get(b"name", b"").decode("utf-8", "replace")
            if b"filename" in options or self._part == "file":
                if self._seen_file:
                    raise MalformedRequest("the form holds more than one file")
                self._is_file = self._seen_file = True
                self.filename = options.get(b"filename", b"").decode("utf-8", "replace")
        self._header.clear()
        self._value.clear()

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self.pending.extend(data[start:end])
            return
        self._text.extend(data[start:end])
        if len(self._text) > MAX_FIELD_BYTES:
            raise MalformedRequest(f"the field '{self._part}' is longer than {MAX_FIELD_BYTES:,} bytes")

    def _end_part(self) -> None:
        if not self._is_file:
            self.fields[self._part] = self._text.decode("utf-8", "replace")

    def _end(self) -> None:
        self.ended = True

    @property
    def seen_file(self) -> bool:
        """Whether a file part has begun."""
        return self._seen_file


async def _receive_form(
    request: Request, boundary: bytes, writer: BlobWriter, threads: CapacityLimiter, count: Callable[[int], None]
) -> _Form:
    form = _Form()
    try:
        parser = MultipartParser(boundary, form.callbacks())
        async for piece in _pieces(request.stream()):
            parser.write(piece)
            if form.pending:
                data, form.pending = bytes(form.pending), bytearray()
                count(len(data))
                await run_sync(writer.write, data, limiter=threads)
        parser.finalize()
    except (MultipartParseError, python_multipart.exceptions.FormParserError) as error:
        raise MalformedRequest(f"the body is not a readable multipart form: {error}") from error
    if not form.ended:
        raise MalformedRequest("the multipart form is cut off before its end")
    if not form.seen_file:
        raise MalformedRequest("the form has no part named 'file'")
    return form


async def _pieces(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    collected = bytearray()
    async for chunk in stream:
        collected.extend(chunk)
        if len(collected) >= _PIECE:
            yield bytes(collected)
            collected.clear()
    if collected:
        yield bytes(collected)

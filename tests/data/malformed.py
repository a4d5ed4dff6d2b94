"""Archives and images that are damaged, hostile or none at all, made from small code.

Each says what is to come of it: the code that docs/datasets.md names for its kind, or, where the fault is one image's
among good ones, how many images of the dataset are then told to be unreadable.
"""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

UNREADABLE, UNSUPPORTED, EMPTY = "dataset_unreadable", "dataset_format_unsupported", "dataset_empty"
UNLABELLED, ONE_CLASS = "dataset_unlabelled", "dataset_one_class"
AMBIGUOUS, TOO_LARGE = "dataset_ambiguous", "dataset_too_large"
# Of data where more than one reason is true, and which is told depends on what is looked at first.
ANY_OF = (UNREADABLE, UNSUPPORTED, EMPTY, UNLABELLED, AMBIGUOUS)


@dataclass(frozen=True)
class Malformed:
    """A file, and what it must come to: one of `codes`, or a dataset with so many images `unreadable`."""

    name: str
    data: bytes
    codes: tuple[str, ...] = ()
    unreadable: int | None = None


def case(name: str, data: bytes, *codes: str, unreadable: int | None = None) -> Malformed:
    """One of them."""
    return Malformed(name, data, codes, unreadable)


def _picture(kind: str = "PNG", seed: int = 0, mode: str = "RGB", side: int = 8, **options: object) -> bytes:
    generator = np.random.default_rng(seed)
    file = io.BytesIO()
    pixels = generator.integers(0, 255, size=(side, side, 3), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(file, kind, **options)
    return file.getvalue()


def _good_images() -> dict[str, bytes]:
    return {f"{label}/{number}.png": _picture(seed=10 * ord(label) + number) for label in "ab" for number in range(5)}


def zip_of(files: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """The bytes of a zip."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, compression)
    return file.getvalue()


def archives() -> Iterator[Malformed]:
    """Zips and what is none."""
    good = zip_of(_good_images())
    end = good.rindex(b"PK\x05\x06")
    directory = good.index(b"PK\x01\x02")
    yield case("cut-in-half.zip", good[: len(good) // 2], UNREADABLE)
    yield case("without-its-end.zip", good[:end], UNREADABLE)
    yield case("without-its-directory.zip", good[:directory] + good[end:], UNREADABLE)
    yield case("its-end-alone.zip", b"PK\x05\x06" + bytes(18), EMPTY)
    yield case("signature-alone.zip", b"PK\x03\x04", UNREADABLE)
    yield case("spanned.zip", b"PK\x07\x08" + bytes(50), UNREADABLE)
    yield case(
        "directory-beyond-the-file.zip",
        good[: end + 16] + struct.pack("<I", 2**31) + good[end + 20 :],
        UNREADABLE,
        EMPTY,
    )
    yield case("directory-of-4-gib.zip", good[: end + 12] + struct.pack("<I", 2**32 - 1) + good[end + 16 :], UNREADABLE)
    yield case("garbage-in-the-directory.zip", good[:directory] + b"\xff" * (end - directory) + good[end:], UNREADABLE)
    yield case("members-overwritten.zip", b"PK\x03\x04" + bytes(directory - 4) + good[directory:], UNREADABLE, EMPTY)
    yield case("no-member.zip", zip_of({}), EMPTY)
    yield case("folders-alone.zip", zip_of({"a/": b"", "b/": b""}), EMPTY)
    yield case("hidden-files-alone.zip", zip_of({".a/x.png": b"x", "__MACOSX/a.png": b"x"}), EMPTY)
    yield case("names-that-lead-out.zip", zip_of({f"../{name}": data for name, data in _good_images().items()}), EMPTY)
    yield case("texts-of-no-class.zip", zip_of({"readme.txt": b"nothing", "more.md": b"x"}), *ANY_OF)
    yield case("zip-in-a-zip.zip", zip_of({"inner.zip": good}), *ANY_OF)
    yield case(
        "bomb-of-a-table.zip", zip_of({"a.csv": b"text,label\n" + bytes(64 << 20)}, zipfile.ZIP_DEFLATED), UNREADABLE
    )
    yield case("bomb-of-lzma.zip", zip_of({"a.csv": bytes(64 << 20)}, zipfile.ZIP_LZMA), UNREADABLE)
    bomb = zip_of(_good_images() | {"a/bomb.png": bytes(64 << 20)}, zipfile.ZIP_DEFLATED)
    yield case("bomb-among-images.zip", bomb, unreadable=1)
    yield case("size-understated.zip", _with_size(zip_of(_good_images(), zipfile.ZIP_DEFLATED), 3), unreadable=1)
    yield case("size-overstated.zip", _with_size(zip_of(_good_images(), zipfile.ZIP_DEFLATED), 2**31), unreadable=1)
    yield case("encrypted-member.zip", _flagged(good, 0x1), unreadable=1)
    yield case("unknown-compression.zip", _flagged(good, 0, method=77), unreadable=1)
    yield case("wrong-checksum.zip", _flagged(good, 0, checksum=1), unreadable=1)
    yield case("all-encrypted.zip", _flagged(good, 0x1, members=10), UNREADABLE, EMPTY)
    doubled = io.BytesIO()
    with zipfile.ZipFile(doubled, "w") as archive:
        for label in "ab":
            for _ in range(5):
                archive.writestr(zipfile.ZipInfo(f"{label}/0.png"), _picture(seed=ord(label)))
    yield case("one-name-many-times.zip", doubled.getvalue(), unreadable=0)
    yield case("one-class.zip", zip_of({f"a/{n}.png": _picture(seed=n) for n in range(5)}), ONE_CLASS)
    yield case("images-of-no-class.zip", zip_of({f"{n}.png": _picture(seed=n) for n in range(5)}), UNLABELLED)
    yield case("tar.tar", _tar(_good_images()), UNSUPPORTED)
    yield case("tar.gz", gzip.compress(_tar(_good_images())), UNSUPPORTED)
    yield case("seven.7z", b"7z\xbc\xaf\x27\x1c" + bytes(40), UNSUPPORTED)
    yield case("rar.rar", b"Rar!\x1a\x07\x01\x00" + bytes(40), UNSUPPORTED)
    yield case("gzip-of-a-table.csv.gz", gzip.compress(b"text,label\na,b\nc,d\n"), UNSUPPORTED)
    yield case("bzip.bz2", b"BZh91AY&SY" + bytes(40), UNSUPPORTED)
    yield case("zstd.zst", b"\x28\xb5\x2f\xfd" + bytes(40), UNSUPPORTED)
    yield case("xz.xz", b"\xfd7zXZ\x00" + bytes(40), UNSUPPORTED)


def _with_size(archive: bytes, size: int) -> bytes:
    """The first member's size as it is stated, in its own header and in the directory."""
    changed = bytearray(archive)
    directory = archive.index(b"PK\x01\x02")
    struct.pack_into("<I", changed, 22, size)
    struct.pack_into("<I", changed, directory + 24, size)
    return bytes(changed)


def _flagged(archive: bytes, flags: int, method: int = 0, checksum: int | None = None, members: int = 1) -> bytes:
    """The first members with other flags, another compression or another checksum."""
    changed, local, central = bytearray(archive), -1, -1
    for _ in range(members):
        local, central = archive.index(b"PK\x03\x04", local + 1), archive.index(b"PK\x01\x02", central + 1)
        for at, first in ((local, 6), (central, 8)):
            struct.pack_into("<HH", changed, at + first, flags, method)
            if checksum is not None:
                struct.pack_into("<I", changed, at + first + 8, checksum)
    return bytes(changed)


def _tar(files: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return file.getvalue()


def images() -> Iterator[Malformed]:
    """One bad image among ten good ones; then nothing but bad ones."""
    for name, data in _bad_images():
        yield case(f"image-{name}.zip", zip_of(_good_images() | {f"a/{name}": data}), unreadable=1)
    bad = {f"{label}/{number}.png": b"no image at all" for label in "ab" for number in range(5)}
    yield case("no-good-image.zip", zip_of(bad), UNREADABLE, EMPTY)
    yield case("lone-image.png", _picture(), UNSUPPORTED)
    yield case("lone-jpeg.jpg", _picture("JPEG"), UNSUPPORTED)


def _bad_images() -> Iterator[tuple[str, bytes]]:
    png, jpeg, gif = _picture(), _picture("JPEG", side=64), _picture("GIF", mode="P")
    tiff, webp, bmp = _picture("TIFF"), _picture("WEBP"), _picture("BMP")
    yield "empty.png", b""
    yield "text.png", b"<html>not found</html>"
    yield "signature-alone.png", png[:8]
    yield "cut.png", png[: len(png) // 2]
    yield "huge-by-its-header.png", _png(1 << 30, 1 << 30)
    yield "wide-by-its-header.png", _png(2**31 - 1, 1)
    yield "of-no-pixels.png", _png(0, 0)
    yield "unknown-colour-type.png", _png(8, 8, colour=9)
    yield "unknown-depth.png", _png(8, 8, depth=77)
    yield "bomb.png", _png(20_000, 20_000, pixels=bytes(20 << 20))
    yield "pixels-that-are-none.png", _png(8, 8, compressed=b"\xff" * 40)
    yield "wrong-checksum.png", png[:20] + bytes([png[20] ^ 255]) + png[21:]
    yield "chunk-of-2-gib.png", png[:8] + struct.pack(">I", 2**31 - 1) + png[12:]
    yield "text-bomb.png", _png(8, 8, before=_chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(64 << 20))))
    yield "cut.jpg", jpeg[: len(jpeg) // 2]
    yield "signature-alone.jpg", jpeg[:3]
    yield "huge-by-its-header.jpg", _jpeg_of(jpeg, 65_500, 65_500)
    yield "of-no-pixels.jpg", _jpeg_of(jpeg, 0, 0)
    yield "without-tables.jpg", jpeg.replace(b"\xff\xdb", b"\xff\xfe").replace(b"\xff\xc4", b"\xff\xfe")
    yield "postscript.jpg", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n(/etc/passwd) (r) file\n"
    yield "postscript.eps.png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n"
    yield "pdf.png", b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n"
    yield "svg.png", b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>"
    yield "cut.gif", gif[:20]
    yield "huge-by-its-header.gif", gif[:6] + struct.pack("<HH", 65_535, 65_535) + gif[10:]
    yield "without-frames.gif", gif[:13] + b";"
    yield "cut.tiff", tiff[:40]
    yield "directory-in-a-circle.tiff", b"II*\0\x08\0\0\0" + struct.pack("<H", 0) + struct.pack("<I", 8)
    yield "directory-beyond.tiff", b"II*\0" + struct.pack("<I", 2**31) + bytes(20)
    yield "many-entries.tiff", b"II*\0\x08\0\0\0" + struct.pack("<H", 65_535) + bytes(100)
    yield "cut.webp", webp[: len(webp) // 2]
    yield "size-that-lies.webp", b"RIFF" + struct.pack("<I", 2**31) + webp[8:20]
    yield "huge-by-its-header.bmp", bmp[:18] + struct.pack("<ii", 2**30, 2**30) + bmp[26:]
    yield "negative.bmp", bmp[:18] + struct.pack("<ii", -8, -(2**31)) + bmp[26:]
    yield "cut.bmp", bmp[:60]
    yield "unknown-compression.bmp", bmp[:30] + struct.pack("<I", 99) + bmp[34:]
    yield "huge.ppm", b"P6 100000 100000 255\n" + bytes(100)
    yield "not-a-number.ppm", b"P6 x y 255\n" + bytes(100)
    yield "many-digits.ppm", b"P6 " + b"9" * 5_000 + b" 1 255\n"
    yield "icon.png", b"\0\0\1\0\1\0" + bytes(40)
    yield "photoshop.png", b"8BPS\0\1" + bytes(40)
    yield "heic-that-is-none.heic", b"\0\0\0\x18ftypheic" + bytes(60)
    yield "avif-that-is-none.avif", b"\0\0\0\x18ftypavif" + bytes(60)
    yield "jpeg-2000-that-is-none.jp2", b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(60)
    yield "pointer-of-lfs.png", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png(
    width: int,
    height: int,
    depth: int = 8,
    colour: int = 2,
    pixels: bytes = b"",
    compressed: bytes = b"",
    before: bytes = b"",
) -> bytes:
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    data = _chunk(b"IDAT", compressed or zlib.compress(pixels))
    return b"\x89PNG\r\n\x1a\n" + header + before + data + _chunk(b"IEND", b"")


def _jpeg_of(jpeg: bytes, width: int, height: int) -> bytes:
    at = jpeg.index(b"\xff\xc0")
    return jpeg[: at + 5] + struct.pack(">HH", height, width) + jpeg[at + 9 :]

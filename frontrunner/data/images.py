"""Decoding images to 8-bit RGB as people see them. Raise `DECODING_VERSION` whenever the same bytes give other pixels.

The rules:
- The orientation that a camera wrote (EXIF) is applied; the first frame of an animation is read.
- Transparent pixels, a palette's too, are composed on white.
- Greys of more than 8 bits are scaled to 0..255 by their range, the same for all images of a bit depth. Whole numbers
  have the smallest depth of 8, 10, 12, 14, 16, 24 or 32 bits that holds the image's largest value: 12 bits in a 16-bit
  file are read as 12 bits. Decimals within 0..1 have the range 0..1, and within -1..1 the range -1..1; others that are
  not negative the depth of their largest value. Any other image has the range of its own values: negative
  whole numbers have no common zero. What is not a number counts as the image's smallest value.
"""

from __future__ import annotations

import functools
import importlib.util
import io
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError, features

from frontrunner.errors import UnreadableDataset

# Part of the key of every feature that is read from images.
DECODING_VERSION = 2
# A 10,000 x 10,000 photograph; decoding one takes 300 MB.
MAX_IMAGE_PIXELS = 100_000_000
# What transparent pixels are composed on: what most viewers and web pages show.
BACKGROUND = (255, 255, 255)
# Formats by what Pillow calls them, with their extensions. No other is tried, whatever a file's name says: some of
# Pillow's run a program (EPS) or open other files.
_BUILT_IN = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".jif"),
    "MPO": (".mpo",),
    "PNG": (".png", ".apng"),
    "BMP": (".bmp", ".dib"),
    "GIF": (".gif",),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
}
_AVIF = (".avif",)
_JPEG_2000 = (".jp2", ".j2k", ".jpx", ".jpf", ".j2c", ".jpc")
_HEIF = (".heic", ".heif", ".hif")
# Images that nothing here decodes, and what to do.
_CONVERT = "convert them to PNG or JPEG"
_FOREIGN = (
    ".svg", ".tga", ".ico", ".psd", ".xcf", ".ai", ".eps", ".jxl", ".jxr", ".exr", ".hdr",
    ".dcm", ".dicom", ".nii", ".nrrd", ".fits",
    ".raw", ".cr2", ".cr3", ".nef", ".arw", ".dng", ".orf", ".rw2", ".raf", ".srw", ".pef",
    ".svs", ".ndpi", ".mrxs", ".czi", ".lif", ".nd2", ".ecw", ".sid",
)  # fmt: skip
_DEPTHS = (8, 10, 12, 14, 16, 24, 32)
_ORIENTATION = 0x0112
# Orientations in which rows are stored as columns.
_LYING = (5, 6, 7, 8)


def _readable() -> frozenset[str]:
    optional = (
        (_AVIF, features.check_module("avif")),
        (_JPEG_2000, features.check_codec("jpg_2000")),
        (_HEIF, importlib.util.find_spec("pillow_heif") is not None),
    )
    built_in = [extension for extensions in _BUILT_IN.values() for extension in extensions]
    return frozenset(built_in).union(*(extensions for extensions, present in optional if present))


# Extensions of the images that this installation decodes, in lower case.
EXTENSIONS = _readable()
_LFS_POINTER = b"version https://git-lfs"
# Those of images that it does not decode, each with what can be done about it.
UNREAD_EXTENSIONS: Mapping[str, str] = {
    extension: advice
    for extensions, advice in (
        (_HEIF, "install frontrunner[heif]"),
        (_AVIF, "install a Pillow with AVIF"),
        (_JPEG_2000, "install a Pillow with OpenJPEG"),
        (_FOREIGN, _CONVERT),
    )
    for extension in extensions
    if extension not in EXTENSIONS
}


def is_image(name: str) -> bool:
    """Whether a file's name says that it is an image which can be decoded.

    Example:
        >>> is_image("cats/IMG_1.JPG"), is_image("notes.txt")
        (True, False)
    """
    return PurePosixPath(name).suffix.lower() in EXTENSIONS


def decode_image(data: bytes, name: str, thumbnail: int | None = None) -> Image.Image:
    """Decode to 8-bit RGB, upright; `thumbnail` lets a JPEG decode at reduced size, at least that many pixels a side.

    Raises:
        UnreadableDataset: not an image, truncated, or of too many pixels.

    Example:
        >>> file = io.BytesIO()
        >>> Image.new("LA", (3, 2), (0, 0)).save(file, "PNG")
        >>> decode_image(file.getvalue(), "transparent.png").getpixel((0, 0))
        (255, 255, 255)
    """
    if not data:
        raise UnreadableDataset(f"{name} is not an image but an empty file")
    try:
        with Image.open(io.BytesIO(data), formats=_formats()) as image:
            width, height = image.size
            if width * height > MAX_IMAGE_PIXELS:
                raise UnreadableDataset(f"{name} has {width} x {height} pixels; at most {MAX_IMAGE_PIXELS:,}")
            if thumbnail is not None:
                image.draft("RGB", (thumbnail, thumbnail))
            image.load()
            return to_rgb(image)
    except UnidentifiedImageError:
        if data.startswith(_LFS_POINTER):
            raise UnreadableDataset(
                f"{name} is not an image but a pointer of Git LFS; fetch it with 'git lfs pull'"
            ) from None
        raise UnreadableDataset(f"{name} is not an image, or of a kind that is not read") from None
    except UnreadableDataset:
        raise
    except Exception as error:  # Pillow's decoders raise whatever their format's parser meets
        raise UnreadableDataset(f"{name} cannot be decoded: {error}") from error


def upright_size(data: bytes) -> tuple[int, int]:
    """Width and height of an encoded image that stands upright, from its header alone.

    Raises:
        OSError: it is not an image.

    Example:
        >>> file = io.BytesIO()
        >>> turned = Image.Exif()
        >>> turned[0x0112] = 6
        >>> Image.new("RGB", (4, 3)).save(file, "JPEG", exif=turned)
        >>> upright_size(file.getvalue())
        (3, 4)
    """
    with Image.open(io.BytesIO(data), formats=_formats()) as image:
        width, height = image.size
        # Pillow turns the size of a TIFF while it is opened.
        lying = image.format != "TIFF" and _orientation(image) in _LYING
        return (height, width) if lying else (width, height)


def to_rgb(image: Image.Image) -> Image.Image:
    """An opened image in 8-bit RGB by the rules above; one that is in RGB and upright is returned as it is.

    Example:
        >>> twelve_bits = Image.fromarray(np.array([[0, 4095]], dtype=np.uint16))
        >>> np.asarray(to_rgb(twelve_bits))[0, :, 0].tolist()
        [0, 255]
    """
    if _orientation(image) != 1:
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith(("I", "F")):
        image = Image.fromarray(_eight_bits(np.asarray(image)))
    elif image.has_transparency_data:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, (*BACKGROUND, 255)), layer).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _orientation(image: Image.Image) -> int:
    """What the camera wrote: 1 where the image stands upright."""
    try:
        stated = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # damaged metadata says nothing of the picture
        return 1
    return stated if isinstance(stated, int) else 1


def _eight_bits(values: NDArray[Any]) -> NDArray[np.uint8]:
    """(H, W) greys of any depth as 0..255."""
    greys = values.astype(np.float64)
    finite = greys[np.isfinite(greys)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    bottom, top = _range(low, high, decimals=values.dtype.kind == "f")
    greys = np.where(np.isfinite(greys), greys, low)
    return np.rint((greys - bottom) * (255 / (top - bottom))).astype(np.uint8)


def _range(low: float, high: float, *, decimals: bool) -> tuple[float, float]:
    """What becomes 0 and 255 of an image whose values are from `low` to `high`."""
    if decimals and low >= -1 and high <= 1:
        return (0.0, 1.0) if low >= 0 else (-1.0, 1.0)
    depth = next((2.0**bits - 1 for bits in _DEPTHS if high <= 2.0**bits - 1), None)
    if low >= 0 and depth is not None:
        return 0.0, depth
    return low, high if high > low else low + 1


@functools.cache
def _formats() -> tuple[str, ...]:
    """Pillow's names of the formats that are tried; plug-ins are loaded at the first image."""
    names = [*_BUILT_IN, "AVIF", "JPEG2000"]
    if importlib.util.find_spec("pillow_heif") is not None:
        import pillow_heif

        pillow_heif.register_heif_opener(thumbnails=False)
        names.append("HEIF")
    Image.init()
    return tuple(name for name in names if name in Image.OPEN)

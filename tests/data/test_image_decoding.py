"""Images are decoded as people see them: upright, on white, greys of any depth scaled and not clipped."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from frontrunner import errors
from frontrunner.data.images import EXTENSIONS, UNREAD_EXTENSIONS, decode_image, is_image, to_rgb, upright_size
from frontrunner.extraction import FeatureKey
from frontrunner.hub import describe_directory


def encoded(image, kind, **how):
    file = io.BytesIO()
    image.save(file, kind, **how)
    return file.getvalue()


def pixels(image, kind="PNG", **how):
    return np.asarray(decode_image(encoded(image, kind, **how), f"it.{kind}"))


def grey(values, dtype):
    return Image.fromarray(np.array([values], dtype=dtype))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_an_image_stands_as_its_camera_held_it(orientation, kind):
    """Four corners of four greys: where each one lands follows from the standard's table of orientations."""
    stored = np.kron(np.array([[0, 80], [160, 240]], dtype=np.uint8), np.ones((16, 24), dtype=np.uint8))
    # The row and column of the picture that the stored 0th row and 0th column are, by the number of the orientation.
    upright = {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.T,
        6: stored.T[:, ::-1],
        7: stored.T[::-1, ::-1],
        8: stored.T[::-1],
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    how = {"JPEG": {"quality": 95}, "WEBP": {"lossless": True}}.get(kind, {})
    data = encoded(Image.fromarray(stored).convert("RGB"), kind, exif=exif, **how)
    seen = np.asarray(decode_image(data, "photo"))
    assert seen.shape == (*upright.shape, 3)
    assert np.abs(seen[..., 0].astype(int) - upright).max() <= 3
    assert upright_size(data) == upright.shape[::-1]


def test_a_turned_photograph_is_what_pillow_shows():
    exif = Image.Exif()
    exif[0x0112] = 6
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 255, (24, 40, 3), dtype=np.uint8))
    data = encoded(photo, "JPEG", exif=exif)
    np.testing.assert_array_equal(
        np.asarray(decode_image(data, "it")), np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    )


def test_damaged_metadata_says_nothing_of_the_picture():
    plain = encoded(Image.new("RGB", (4, 3), (9, 9, 9)), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert decode_image(plain, "it").size == (4, 3)


@pytest.mark.parametrize(
    ("values", "dtype", "kind", "expected"),
    [
        ([0, 257, 32896, 65535], np.uint16, "PNG", [0, 1, 128, 255]),
        ([0, 257, 32896, 65535], np.uint16, "TIFF", [0, 1, 128, 255]),
        ([0, 819, 4095], np.uint16, "TIFF", [0, 51, 255]),  # 12 bits
        ([0, 819, 4000], np.uint16, "PNG", [0, 51, 249]),  # 12 bits, not all of them used
        ([0, 100, 200], np.uint16, "PNG", [0, 100, 200]),  # 8 bits in a 16-bit file
        ([0, 2**15, 2**16], np.int32, "TIFF", [0, 0, 1]),  # 24 bits, by 65,793 a grey
        ([-1000, 0, 1000], np.int32, "TIFF", [0, 128, 255]),  # Hounsfield units
        ([0.0, 0.2, 1.0], np.float32, "TIFF", [0, 51, 255]),
        ([0.0, 0.2, 0.4], np.float32, "TIFF", [0, 51, 102]),
        ([-1.0, 0.0, 0.6], np.float32, "TIFF", [0, 128, 204]),
        ([0.0, 51.0, 200.0], np.float32, "TIFF", [0, 51, 200]),
        ([-2.0, 0.0, 3.0], np.float32, "TIFF", [0, 102, 255]),
        ([np.nan, 0.2, np.inf], np.float32, "TIFF", [51, 51, 51]),
        ([7.5, 7.5], np.float32, "TIFF", [8, 8]),
    ],
)
def test_greys_are_scaled_by_their_range(values, dtype, kind, expected):
    assert pixels(grey(values, dtype), kind)[0].tolist() == [[value] * 3 for value in expected]


def test_transparent_pixels_are_white_and_half_transparent_ones_half_white():
    red = np.array([[[255, 0, 0, 255], [255, 0, 0, 0], [255, 0, 0, 51]]], dtype=np.uint8)
    assert pixels(Image.fromarray(red, "RGBA"))[0].tolist() == [[255, 0, 0], [255, 255, 255], [255, 204, 204]]
    black = np.array([[[0, 255], [0, 0]]], dtype=np.uint8)
    assert pixels(Image.fromarray(black, "LA"))[0].tolist() == [[0, 0, 0], [255, 255, 255]]


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_palette_gives_its_colours_and_its_transparent_entry_white(kind):
    image = Image.fromarray(np.array([[0, 1, 2]], dtype=np.uint8), "P")
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    assert pixels(image, kind)[0].tolist() == [[10, 20, 30], [40, 50, 60], [70, 80, 90]]
    assert pixels(image, kind, transparency=1)[0].tolist() == [[10, 20, 30], [255, 255, 255], [70, 80, 90]]


def test_a_colour_that_stands_for_transparent_is_white():
    image = Image.fromarray(np.array([[[1, 2, 3], [4, 5, 6]]], dtype=np.uint8))
    assert pixels(image, transparency=(1, 2, 3))[0].tolist() == [[255, 255, 255], [4, 5, 6]]


def test_inks_are_read_in_rgb():
    np.testing.assert_array_less(pixels(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "TIFF")[0, 0], [256, 2, 2])


def test_an_image_in_rgb_is_left_as_it_is():
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (5, 7, 3), dtype=np.uint8))
    assert to_rgb(image) is image


@pytest.mark.parametrize(
    ("extension", "kind", "how"),
    [
        (".avif", "AVIF", {"quality": 95}),
        (".jp2", "JPEG2000", {}),
        (".jfif", "JPEG", {"quality": 95}),
        (".heic", "HEIF", {"quality": 95}),
    ],
)
def test_newer_formats_are_decoded_or_named_with_advice(extension, kind, how):
    if extension in UNREAD_EXTENSIONS:
        assert not is_image(f"it{extension}")
        assert "install" in UNREAD_EXTENSIONS[extension]
        return
    if kind == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    assert is_image(f"IT{extension.upper()}")
    smooth = Image.fromarray(np.tile(np.arange(0, 128, 2, dtype=np.uint8)[:, None, None], (1, 64, 3)))
    difference = pixels(smooth, kind, **how).astype(int) - np.asarray(smooth)
    assert np.abs(difference).mean() < 3


def test_every_extension_is_either_decoded_or_has_advice():
    assert not EXTENSIONS & UNREAD_EXTENSIONS.keys()
    assert {".jpg", ".png", ".tif", ".webp"} <= EXTENSIONS
    assert {".svg", ".dcm", ".nef"} <= UNREAD_EXTENSIONS.keys()


@pytest.mark.parametrize("data", [b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", b"", b"no image"])
def test_what_is_no_image_is_refused_and_no_program_is_run_for_it(data):
    with pytest.raises(errors.UnreadableDataset, match=r"it\.jpg is not an image"):
        decode_image(data, "it.jpg")


def test_too_many_pixels_are_refused_before_they_are_decoded():
    with pytest.raises(errors.UnreadableDataset, match="at most 100,000,000"):
        decode_image(encoded(Image.new("1", (10_001, 10_000)), "PNG"), "it.png")


def test_how_images_are_decoded_is_part_of_their_features_key_and_of_no_texts(hub, text_hub, monkeypatch):
    def keys():
        return [FeatureKey.of(describe_directory(f), "d", "abc").digest for f in (hub / "vit", text_hub / "encoder")]

    image, text = keys()
    monkeypatch.setattr("frontrunner.extraction.cache.DECODING_VERSION", 99)
    changed, same = keys()
    assert changed != image
    assert same == text

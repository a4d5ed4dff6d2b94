"""What a check shows of a dataset."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from frontrunner.data import DatasetOptions, check_dataset, open_dataset
from frontrunner.data.isolation import check_isolated
from frontrunner.data.previews import MAX_PREVIEWS, previews_of
from tests.conftest import encode


def test_each_class_is_shown_before_any_is_shown_again(colours):
    shown = previews_of(open_dataset(colours))
    assert [preview.label for preview in shown] == [f"class-{k}" for k in range(4)] * 3
    assert len({preview.key for preview in shown}) == MAX_PREVIEWS


def test_an_image_is_shown_small_and_in_its_colours(zip_of):
    red = np.zeros((50, 400, 3))
    red[..., 0] = 200
    files = {f"train/{name}/0.png": encode(red) for name in ("a", "b")}
    (first, _) = previews_of(open_dataset(zip_of(files)))
    with Image.open(io.BytesIO(base64.b64decode(first.image))) as image:
        assert image.size == (112, 14)
        assert np.abs(np.asarray(image.convert("RGB")).mean((0, 1)) - (200, 0, 0)).max() < 8


def test_a_text_is_shown_as_it_begins(tmp_path):
    path = tmp_path / "texts.csv"
    path.write_text("text,label\n" + "".join(f"{'long ' * 100}{i},{'ab'[i % 2]}\n" for i in range(6)))
    (first, second, *_) = previews_of(open_dataset(path))
    assert (first.label, second.label) == ("a", "b")
    assert first.text.startswith("long long")
    assert len(first.text) == 301


def test_a_word_is_shown_in_its_sentence(tmp_path):
    path = tmp_path / "names.conll"
    path.write_text("Ada B-PER\nsleeps O\n. O\n\nno O\nBob B-PER\nhere O\n\n" * 6)
    shown = previews_of(open_dataset(path), 4)
    assert [(preview.label, preview.text) for preview in shown[:2]] == [
        ("B-PER", "«Ada» sleeps ."),
        ("O", "Ada «sleeps» ."),
    ]


def test_targets_are_told_with_their_names(tmp_path):
    path = tmp_path / "numbers.csv"
    path.write_text("text,price\n" + "".join(f"some words {i},{i}.5\n" for i in range(6)))
    options = DatasetOptions(task="regression", label="price", text="text")
    assert previews_of(open_dataset(path, options), 2)[1].label == "price = 1.5"


def test_an_uploads_check_shows_examples_and_that_of_the_library_none(colours):
    report = check_isolated(
        colours, DatasetOptions(), digest="d", name="colours.zip", timeout_s=60, memory_bytes=4 << 30
    )
    assert len(report.previews) == MAX_PREVIEWS
    assert check_dataset(open_dataset(colours)).previews == []
    assert len(report.model_dump_json()) < 100_000

"""Folders are zipped while they are sent."""

from __future__ import annotations

import io
import tracemalloc
import zipfile

import pytest

from frontrunner.client.uploading import opened_upload
from frontrunner.errors import DatasetNotFound, EmptyDataset


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "photos"
    (root / "cat").mkdir(parents=True)
    (root / "cat" / "one.jpg").write_bytes(bytes(range(256)) * 100)
    (root / "labels.csv").write_text("file,label\n" * 1000)
    (root / ".hidden").write_text("not sent")
    return root


def everything(path, size):
    name, file = opened_upload(path)
    with file:
        return name, b"".join(iter(lambda: file.read(size), b""))


@pytest.mark.parametrize("size", [1, 4096, 1 << 20])
def test_what_is_sent_is_a_zip_of_the_folder(folder, size):
    name, data = everything(folder, size)
    assert name == "photos.zip"
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        assert packed.testzip() is None
        assert packed.read("cat/one.jpg") == (folder / "cat" / "one.jpg").read_bytes()
        assert packed.read("labels.csv") == (folder / "labels.csv").read_bytes()
        assert ".hidden" not in packed.namelist()
        assert packed.getinfo("labels.csv").compress_size < 200


def test_the_same_folder_makes_the_same_bytes(folder):
    assert everything(folder, 4096) == everything(folder, 777)


def test_it_is_never_whole_in_memory(tmp_path):
    (tmp_path / "large").mkdir()
    with (tmp_path / "large" / "a.jpg").open("wb") as file:
        file.truncate(64 << 20)
    _, file = opened_upload(tmp_path / "large")
    tracemalloc.start()
    with file:
        while file.read(1 << 16):
            pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 << 20


def test_nothing_to_send(tmp_path):
    with pytest.raises(DatasetNotFound):
        opened_upload(tmp_path / "gone")
    (tmp_path / "empty").mkdir()
    with pytest.raises(EmptyDataset):
        opened_upload(tmp_path / "empty")

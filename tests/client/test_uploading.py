"""Folders are zipped while they are sent."""

from __future__ import annotations

import hashlib
import io
import os
import tracemalloc
import zipfile

import pytest

from frontrunner.client.uploading import PartStream, Upload, UploadInterrupted
from frontrunner.data.files import FolderFiles
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
    upload = Upload(path)
    with upload.open() as file:
        data = b"".join(iter(lambda: file.read(size), b""))
        assert file.taken == upload.bytes, "all of it was taken"
        return upload.name, data


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
    upload = Upload(tmp_path / "large")
    tracemalloc.start()
    with upload.open() as file:
        while file.read(1 << 16):
            pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 << 20


@pytest.mark.parametrize("begun", [0, 1, 700, 4096, 9999, 10_000])
def test_parts_go_on_from_wherever_and_the_digest_is_of_everything(begun):
    whole = bytes(range(250)) * 40
    stream = PartStream(io.BytesIO(whole), part_bytes=700)
    stream.skip_to(begun)
    sent = b""
    while part := stream.part():
        assert part == stream.part() == whole[begun + len(sent) :][:700], "the same until it has come"
        sent += part
        stream.skip_to(begun + len(sent))
    assert sent == whole[begun:]
    assert stream.sha256 == hashlib.sha256(whole).hexdigest()


def test_a_part_of_which_some_has_come():
    stream = PartStream(io.BytesIO(b"abcdefghij"), part_bytes=4)
    assert stream.part() == b"abcd"
    stream.skip_to(3)
    assert stream.part() == b"defg"
    stream.skip_to(10)
    assert stream.part() == b""


def test_what_is_shorter_now_or_was_lost_there_cannot_be_carried_on():
    stream = PartStream(io.BytesIO(b"abcdef"), part_bytes=4)
    with pytest.raises(UploadInterrupted, match="that now end at 6"):
        stream.skip_to(7)
    with pytest.raises(UploadInterrupted, match="lacks bytes from 2"):
        stream.skip_to(2)


def test_a_fingerprint_is_of_the_data_as_they_are(folder):
    before = Upload(folder).fingerprint
    assert Upload(folder).fingerprint == before
    (folder / "labels.csv").write_text("file,label\n" * 999)
    changed = Upload(folder).fingerprint
    os.utime(folder / "labels.csv", (0, 0))
    assert len({before, changed, Upload(folder).fingerprint, Upload(folder / "labels.csv").fingerprint}) == 4
    assert Upload(folder).bytes == 25_600 + 999 * 11


def test_a_folder_is_looked_through_once_however_often_it_is_sent(folder, monkeypatch):
    walked = []
    names = FolderFiles.names
    monkeypatch.setattr(FolderFiles, "names", lambda self: walked.append(self.root) or names(self))
    upload = Upload(folder)
    assert [upload.open().read() for _ in range(2)] == [everything(folder, 4096)[1]] * 2
    assert len(walked) == 2, "once for each of two uploads"


def test_a_file_goes_as_it_is(folder):
    assert everything(folder / "labels.csv", 1000) == ("labels.csv", b"file,label\n" * 1000)


def test_how_much_of_a_folder_has_gone_is_counted_in_its_own_bytes(folder):
    """The table is a quarter of the bytes, and next to nothing of the zip."""
    with Upload(folder).open() as file:
        stream, taken = PartStream(file, part_bytes=1000), []
        while part := stream.part():
            taken.append(file.taken)
            stream.skip_to(stream.offset + len(part))
    assert taken[0] == 25_600, "a picture is read in one piece"
    assert (sorted(taken), taken[-1]) == (taken, 25_600 + 11_000)


def test_nothing_to_send(tmp_path):
    with pytest.raises(DatasetNotFound):
        Upload(tmp_path / "gone")
    (tmp_path / "empty").mkdir()
    with pytest.raises(EmptyDataset):
        Upload(tmp_path / "empty")

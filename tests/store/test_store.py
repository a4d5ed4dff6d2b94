"""What every store does, whatever it is made of."""

from __future__ import annotations

import hashlib
import json
import os
import time

import numpy as np
import pytest

from frontrunner.errors import (
    DatasetTooLarge,
    StoredFileDamaged,
    StoredFileMissing,
    StoreMisconfigured,
    StoreUnavailable,
)
from frontrunner.settings import Settings
from frontrunner.store import FolderStore, open_store, read_array, read_json, uploads, write_array, write_json

MATRIX = np.arange(12, dtype=np.float32).reshape(3, 4)


def put(store, name, data):
    with store.writing(name) as file:
        file.write(data)


def overwrite(store, name, change):
    """Change bytes behind the back of whoever checks them."""
    put(store, name, change(store.read(name)))


def flip(position):
    def change(data):
        flipped = bytearray(data)
        flipped[position] ^= 1
        return bytes(flipped)

    return change


def names(store, prefix):
    return sorted(found.name for found in store.list(prefix))


def test_what_one_machine_writes_another_one_reads(store, elsewhere):
    put(store, "a/b", b"1 2 3")
    assert elsewhere.read("a/b") == b"1 2 3"
    with elsewhere.open("a/b") as file:
        assert file.read() == b"1 2 3"
    (found,) = elsewhere.list("a")
    assert (found.name, found.bytes) == ("a/b", 5)
    assert abs(found.modified_at - time.time()) < 60


def test_a_write_that_fails_leaves_what_was_there(store):
    put(store, "a/b", b"old")

    def fail():
        with store.writing("a/b") as file:
            file.write(b"new")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert store.read("a/b") == b"old"
    assert names(store, "a") == ["a/b"]


def test_what_is_absent_is_not_found_and_what_is_removed_is_gone(store):
    for ask in (store.read, store.path, store.open):
        with pytest.raises(FileNotFoundError):
            ask("a/b")
    put(store, "a/b", b"1")
    put(store, "ab/c", b"1")
    assert names(store, "a") == ["a/b"]
    store.remove("a/b")
    store.remove("a/b")
    assert (names(store, "a"), names(store, "ab"), names(store, "none")) == ([], ["ab/c"], [])


def test_an_upload_is_found_by_its_sha256_on_every_machine(store, elsewhere):
    with uploads(store).receive(100) as writer:
        for piece in (b"some ", b"bytes"):
            writer.write(piece)
        digest = writer.keep()
    assert digest == hashlib.sha256(b"some bytes").hexdigest()
    assert uploads(elsewhere).path(digest).read_bytes() == b"some bytes"
    assert names(elsewhere, "blobs") == [f"blobs/{digest[:2]}/{digest}"]


def test_an_upload_that_is_not_kept_leaves_nothing(store, place):
    with pytest.raises(DatasetTooLarge), uploads(store).receive(5) as writer:
        writer.write(b"too many bytes")
    assert names(store, "blobs") == []
    assert [path for path in place.home.rglob("*") if path.is_file()] == []


class Tidied(FolderStore):
    """Whoever removes the folder's last file comes between a path and the file that is to be there."""

    def partial(self, prefix):
        path = super().partial(prefix)
        path.parent.rmdir()
        return path


def test_an_upload_is_kept_where_somebody_tidies_up_meanwhile(tmp_path):
    with uploads(Tidied(tmp_path)).receive(100) as writer:
        writer.write(b"some bytes")
        digest = writer.keep()
    assert uploads(FolderStore(tmp_path)).path(digest).read_bytes() == b"some bytes"


def test_a_flipped_bit_in_an_upload_is_found_and_the_same_upload_mends_it(store, elsewhere):
    def receive():
        with uploads(store).receive(100) as writer:
            writer.write(b"some bytes")
            return writer.keep()

    digest = receive()
    overwrite(store, uploads(store).name(digest), flip(3))
    for machine in (store, elsewhere):
        with pytest.raises(StoredFileDamaged, match=digest):
            uploads(machine).path(digest)
    receive()
    assert uploads(store).path(digest).read_bytes() == b"some bytes"
    store.remove(uploads(store).name(digest))
    with pytest.raises(StoredFileMissing, match=digest):
        uploads(store).path(digest)


@pytest.mark.parametrize("shape", [(3, 4), (3, 0), (0, 0)])
def test_an_array_is_the_same_after_it_was_stored(store, elsewhere, shape):
    array = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    write_array(store, "a/b.npy", array)
    found = read_array(elsewhere, "a/b.npy")
    np.testing.assert_array_equal(found, array)
    assert found.dtype == np.float32
    assert not found.flags.writeable


@pytest.mark.parametrize("position", [0, 8, 70, 128, 150, -1, -12, -24])
def test_a_flipped_bit_anywhere_in_a_record_is_found(store, elsewhere, position):
    write_array(store, "a/b.npy", MATRIX)
    overwrite(store, "a/b.npy", flip(position))
    assert read_array(store, "a/b.npy") is None
    assert read_array(elsewhere, "a/b.npy") is None
    write_array(store, "a/b.npy", MATRIX)
    np.testing.assert_array_equal(read_array(store, "a/b.npy"), MATRIX)


@pytest.mark.parametrize("length", [0, 1, 24, 130])
def test_a_record_that_is_cut_short_is_absent(store, length):
    write_array(store, "a/b.npy", MATRIX)
    overwrite(store, "a/b.npy", lambda data: data[:length])
    write_json(store, "a/c.json", {"value": 1.5})
    overwrite(store, "a/c.json", lambda data: data[: min(length, len(data) - 1)])
    assert (read_array(store, "a/b.npy"), read_json(store, "a/c.json")) == (None, None)


def test_a_record_under_another_records_name_is_absent(store):
    write_array(store, "a/b.npy", MATRIX)
    put(store, "a/c.npy", store.read("a/b.npy"))
    assert read_array(store, "a/c.npy") is None


def test_a_json_record_says_what_was_written_last_and_a_changed_digit_is_found(store, elsewhere):
    write_json(store, "a/c.json", {"value": 1.5})
    assert read_json(elsewhere, "a/c.json") == {"value": 1.5}
    write_json(store, "a/c.json", {"value": 2.5})
    assert read_json(elsewhere, "a/c.json") == {"value": 2.5}
    overwrite(store, "a/c.json", lambda data: data.replace(b"2.5", b"3.5"))
    assert read_json(elsewhere, "a/c.json") is None
    assert read_json(elsewhere, "a/none.json") is None


def test_a_folder_keeps_one_copy_of_a_file_that_lies_beside_it(tmp_path):
    store = open_store(Settings(home=tmp_path / "home"))
    (tmp_path / "model").write_bytes(b"weights")
    store.put_file(tmp_path / "model", "artifacts/model")
    assert os.path.samefile(tmp_path / "model", store.path("artifacts/model"))


def test_names_that_lead_out_of_the_folder_are_refused(tmp_path):
    store = open_store(Settings(home=tmp_path / "home"))
    for name in ("../a", "a/../../b", "/etc/passwd", ""):
        with pytest.raises(ValueError, match="no name of an object"):
            store.read(name)


def test_a_store_that_cannot_be_used_says_so(bucket, tmp_path):
    for url, options in (("ftp://host/x", "{}"), (bucket.store_url, "no json"), (bucket.store_url, "[1]")):
        wrong = Settings(home=tmp_path, store_url=url, store_options=options)
        with pytest.raises(StoreMisconfigured):
            open_store(wrong)
    options = json.loads(bucket.store_options.get_secret_value())
    away = json.dumps(
        options | {"endpoint_url": "http://127.0.0.1:9", "config_kwargs": {"retries": {"max_attempts": 1}}}
    )
    gone = Settings(home=tmp_path, store_url=bucket.store_url, store_options=away)
    with pytest.raises(StoreUnavailable, match="cannot be used"):
        open_store(gone).read("a/b")
    missing = bucket.model_copy(update={"store_url": "s3://no-such-bucket/below"})
    with pytest.raises(StoreUnavailable):
        put(open_store(missing), "a/b", b"1")

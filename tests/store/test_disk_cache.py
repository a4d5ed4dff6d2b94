"""Copies of a remote store on a machine's disk."""

from __future__ import annotations

import os
import time

import numpy as np

from frontrunner.store import open_store, read_array, write_array
from frontrunner.store.disk_cache import DiskCache

KIB = 1024


def add(cache, name, size=100, used_ago_s=0.0):
    path = cache.add(name, lambda partial: partial.write_bytes(b"x" * size))
    if used_ago_s:
        os.utime(path, (time.time() - used_ago_s, path.stat().st_mtime))
    return path


def test_the_least_recently_used_copies_go_first_until_the_rest_leaves_room(tmp_path):
    cache = DiskCache(tmp_path, max_bytes=1000)
    old, used, young = (add(cache, f"a/{n}", 300, ago) for n, ago in (("old", 9000), ("used", 8000), ("young", 10)))
    assert cache.find("a/used") == used
    newest = add(cache, "b/newest", 300)
    assert [path.exists() for path in (old, used, young, newest)] == [False, True, True, True]


def test_a_file_that_is_larger_than_the_cache_is_kept_until_the_next_one_comes(tmp_path):
    cache = DiskCache(tmp_path, max_bytes=1000)
    large = add(cache, "large", 5000, used_ago_s=60)
    assert large.exists()
    add(cache, "small", 100)
    assert (large.exists(), cache.find("large")) == (False, None)


def test_a_copy_that_is_open_stays_readable_when_it_has_to_go(tmp_path):
    cache = DiskCache(tmp_path, max_bytes=1000)
    with add(cache, "a", 900, used_ago_s=60).open("rb") as file:
        add(cache, "b", 900)
        assert cache.find("a") is None
        assert file.read() == b"x" * 900


def test_a_copy_that_was_damaged_on_this_machine_is_fetched_again(bucket, tmp_path):
    matrix = np.arange(6.0)
    write_array(open_store(bucket.model_copy(update={"home": tmp_path / "writer"})), "a/b.npy", matrix)
    store = open_store(bucket)
    np.testing.assert_array_equal(read_array(store, "a/b.npy"), matrix)
    copy = bucket.copies / "a" / "b.npy"
    damaged = bytearray(copy.read_bytes())
    damaged[-40] ^= 1
    copy.write_bytes(damaged)
    np.testing.assert_array_equal(read_array(store, "a/b.npy"), matrix)
    np.testing.assert_array_equal(read_array(open_store(bucket), "a/b.npy"), matrix)


def test_copies_of_a_store_stay_within_their_size(bucket):
    small = bucket.model_copy(update={"store_cache_bytes": 200 * KIB})
    store = open_store(small)
    for number in range(40):
        write_array(store, f"a/{number}.npy", np.full(10 * KIB // 8, float(number)))
    kept = sum(path.stat().st_size for path in small.copies.rglob("*") if path.is_file())
    assert kept <= 1.05 * 200 * KIB + 11 * KIB
    assert len(list(store.list("a"))) == 40
    for number in (0, 39):
        assert read_array(store, f"a/{number}.npy")[0] == number

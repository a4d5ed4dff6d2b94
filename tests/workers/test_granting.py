"""What the half of a runner that has files and a network does for the other one, and what it refuses."""

from __future__ import annotations

import os
import threading

import pytest

from frontrunner.hub import describe_directory
from workers.granting import Granting
from workers.grants import prepare
from workers.places import Places, inodes_of
from workers.reporting import ReportedProgress
from workers.runner_protocol import Asked, Grant


@pytest.fixture
def granting(settings):
    places = Places(settings.home / "work" / "scratch")
    prepare(places)
    return Granting(settings, places, ReportedProgress(lambda message: None, threading.Event()))


@pytest.fixture
def scratch(settings, granting):
    return settings.home / "work" / "scratch"


@pytest.fixture
def handed(settings, granting):
    return settings.home / "work" / "scratch-handed"


def test_a_checkpoint_that_lies_where_the_other_half_sees_nothing_is_handed_over(granting, scratch, handed, hub):
    described = describe_directory(hub / "resnet")
    grant = Grant(checkpoints={described.id: described.model_dump_json()})
    told = granting.answer(Asked(what="fetch", name=described.id), grant).value
    folder = next(handed.rglob("config.json")).parent
    assert told == str(folder)
    assert not list(scratch.iterdir()), "where it could be written to"
    assert describe_directory(folder).digest == described.digest


def test_an_upload_is_handed_over_as_a_second_name(granting, handed, settings):
    stored = settings.home / "blobs" / "ab" / "abcd"
    stored.parent.mkdir(parents=True)
    stored.write_bytes(b"bytes")
    asked, grant = Asked(what="path", name="blobs/ab/abcd"), Grant(reads=("blobs/ab/abcd",))
    granting.answer(asked, grant)
    (second,) = handed.iterdir()
    assert second.samefile(stored)
    stored.unlink()
    assert granting.answer(asked, grant).code == "absent"


def test_what_is_handed_over_is_stored_under_names_that_were_granted(granting, scratch, settings):
    (scratch / "given").write_bytes(b"bytes")
    grant = Grant(reads=("artifacts/a",), writes=("artifacts/a",))
    for what, name in (("write", "artifacts/a/one"), ("put", "artifacts/a/two")):
        assert granting.answer(Asked(what=what, name=name, file="given"), grant).value is True
        assert (settings.home / name).read_bytes() == b"bytes"
    found = granting.answer(Asked(what="list", name="artifacts/a"), grant).value
    assert sorted(name for name, _, _ in found) == ["artifacts/a/one", "artifacts/a/two"]


@pytest.mark.parametrize(
    ("what", "name", "file"),
    [
        ("write", "artifacts/another/one", "given"),
        ("write", "artifacts/ab/one", "given"),
        ("write", "artifacts/a/../b", "given"),
        ("write", "artifacts/a//b", "given"),
        ("put", "/artifacts/a/one", "given"),
        ("write", "artifacts/a/one", "../given"),
        ("write", "artifacts/a/one", ""),
        ("write", "artifacts/a/one", "link"),
        ("write", "artifacts/a/one", "pipe"),
        ("read", "artifacts/a/../../secret.key", ""),
        ("path", "secret.key", ""),
        ("room", "another", ""),
        ("fetch", "hf:some/other", ""),
    ],
)
def test_what_was_not_granted_is_refused(granting, scratch, settings, what, name, file):
    (settings.home / "secret.key").write_text("secret")
    (scratch / "given").write_bytes(b"bytes")
    (scratch / "link").symlink_to(settings.home / "secret.key")
    os.mkfifo(scratch / "pipe")
    grant = Grant(reads=("artifacts/a",), writes=("artifacts/a",))
    assert granting.answer(Asked(what=what, name=name, file=file), grant).code == "internal_error"
    assert not list((settings.home / "artifacts").rglob("one"))


def test_a_file_that_was_replaced_is_no_more_the_one_that_may_be_read(tmp_path):
    """Rights are of inodes: a runner that was started before an upload of the same bytes cannot read the new file."""
    (tmp_path / "blob").write_text("x")
    places = Places(tmp_path / "scratch", readable=(tmp_path / "blob",), inodes=inodes_of([tmp_path / "blob"]))
    assert places.may_read(tmp_path / "blob")
    (tmp_path / "again").write_text("x")
    (tmp_path / "again").replace(tmp_path / "blob")
    assert not places.may_read(tmp_path / "blob")

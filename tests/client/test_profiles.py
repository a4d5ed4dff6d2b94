"""Services by a name, and their keys."""

from __future__ import annotations

import os
import stat

import pytest

from frontrunner.client import Client
from frontrunner.client.profiles import (
    Profile,
    Profiles,
    ProfilesUnusable,
    ProfileUnknown,
    profiles_file,
    read_profiles,
    write_profiles,
)


@pytest.fixture(autouse=True)
def configuration(tmp_path, monkeypatch):
    """A configuration folder of its own, and an environment that says nothing."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("FRONTRUNNER_SERVER", "FRONTRUNNER_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def test_what_was_written_is_read():
    odd = {'a "name"\\': Profile("https://a.example", 'key "\\\n'), "größe": Profile("https://b.example")}
    path = write_profiles(Profiles(odd, "größe"))
    assert read_profiles() == Profiles(odd, "größe")
    assert (path, stat.S_IMODE(path.stat().st_mode)) == (profiles_file(), 0o600)
    assert list(path.parent.iterdir()) == [path]


def test_without_a_file_there_are_none():
    assert read_profiles() == Profiles({})
    assert read_profiles().find(None) == Profile("http://127.0.0.1:8000")


@pytest.mark.parametrize(
    "content", ["profiles = 3", "[profiles.a]", "= [", "[profiles]\na = 3", b"\xff".decode("latin-1")]
)
def test_a_damaged_file_is_told(content):
    path = write_profiles(Profiles({}))
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(ProfilesUnusable, match=r"profiles\.toml"):
        read_profiles()


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_a_file_that_others_may_read_is_not_used():
    write_profiles(Profiles({})).chmod(0o640)
    with pytest.raises(ProfilesUnusable, match="chmod 600"):
        read_profiles()


def test_a_file_that_cannot_be_opened_is_told(tmp_path):
    """As one of another user's is, or a folder of that name; here whoever runs the tests may read any file."""
    profiles_file().mkdir(parents=True)
    with pytest.raises(ProfilesUnusable, match=r"profiles\.toml cannot be read: Is a directory; give it"):
        Client("http://127.0.0.1:9")
    with Client("http://127.0.0.1:9", key="both are said") as client:
        assert client.url == "http://127.0.0.1:9"


def test_which_service_is_meant():
    work, home = Profile("https://work.example", "w"), Profile("http://home.example:9", "h")
    profiles = Profiles({}).having("work", work).having("home", home)
    assert profiles.default == "work"
    assert profiles.find(None) == work
    assert profiles.find("home") == profiles.find("http://home.example:9/") == home
    assert profiles.find("https://work.example.evil") == Profile("https://work.example.evil"), "no key for others"
    with pytest.raises(ProfileUnknown, match="known: home, work"):
        profiles.find("nobody")
    left = profiles.without("work")
    assert (left.default, left.known) == ("home", {"home": home})
    with pytest.raises(ProfileUnknown):
        left.without("work")


def test_a_client_takes_what_is_given_then_the_environment_then_the_profile(monkeypatch):
    def sent(*arguments, **named):
        with Client(*arguments, **named) as client:
            return client.url, client._http.headers.get("Authorization")

    assert sent() == ("http://127.0.0.1:8000", None)
    write_profiles(Profiles({"work": Profile("https://work.example", "of the profile")}, "work"))
    assert sent() == sent("work") == sent("https://work.example") == ("https://work.example", "Bearer of the profile")
    assert sent("https://other.example") == ("https://other.example", None)
    monkeypatch.setenv("FRONTRUNNER_API_KEY", "of the environment")
    monkeypatch.setenv("FRONTRUNNER_SERVER", "https://named.example")
    assert sent() == ("https://named.example", "Bearer of the environment")
    assert sent("work", key="given") == ("https://work.example", "Bearer given")

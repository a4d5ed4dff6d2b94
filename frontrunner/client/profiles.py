"""Profiles: services by a name of one's own, with their keys, in a file that nobody else may read.

The file is `profiles.toml` in the user's configuration folder. It is made with mode 600, and not used where others may
read it. A key goes to the address of its own profile and to no other.
"""

from __future__ import annotations

import json
import os
import stat
import tomllib
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from frontrunner.errors import FrontrunnerError
from frontrunner.files import whole_file

THIS_MACHINE = "http://127.0.0.1:8000"
DEFAULT_NAME = "default"


class ProfileUnknown(FrontrunnerError):
    """There is no profile of this name."""

    code = "profile_unknown"


class ProfilesUnusable(FrontrunnerError):
    """The file of profiles cannot be read, or others may read it."""

    code = "profiles_unusable"


@dataclass(frozen=True)
class Profile:
    """A service and what opens it.

    Attributes:
        url: where it is.
        key: its API key; None where it has none.
    """

    url: str
    key: str | None = None


@dataclass(frozen=True)
class Profiles:
    """Every profile by its name, and the one that is meant where none is named.

    Attributes:
        known: by name.
        default: its name; empty where there is none.
    """

    known: dict[str, Profile]
    default: str = ""

    def find(self, server: str | None) -> Profile:
        """The service that is meant.

        Args:
            server: an address, or the name of a profile; the default profile, else this machine, where it is None.

        Raises:
            ProfileUnknown: a name that no profile has.
        """
        if server and "://" in server:
            url = server.rstrip("/")
            return next((profile for profile in self.known.values() if profile.url == url), Profile(url))
        name = server or self.default
        if not name:
            return Profile(THIS_MACHINE)
        if name not in self.known:
            known = ", ".join(sorted(self.known)) or "none"
            raise ProfileUnknown(f"'{name}' is no address, and no profile (known: {known}); see 'frontrunner login'")
        return self.known[name]

    def having(self, name: str, profile: Profile) -> Profiles:
        """With a profile more, or another under the name; the first one is the default."""
        return Profiles({**self.known, name: profile}, self.default or name)

    def without(self, name: str) -> Profiles:
        """Without one.

        Raises:
            ProfileUnknown: there is none of this name.
        """
        if name not in self.known:
            raise ProfileUnknown(f"there is no profile '{name}'")
        left = {other: profile for other, profile in self.known.items() if other != name}
        return Profiles(left, next(iter(left), "") if self.default == name else self.default)


def profiles_file() -> Path:
    """Where profiles are kept."""
    return Path(platformdirs.user_config_dir("frontrunner")) / "profiles.toml"


def read_profiles() -> Profiles:
    """The user's profiles; none where there is no file.

    Raises:
        ProfilesUnusable: the file cannot be read, is damaged, or others may read it.
    """
    path = profiles_file()
    try:
        with path.open("rb") as file:
            if os.name == "posix" and stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise ProfilesUnusable(f"others may read the keys in {path}: chmod 600 it")
            content = tomllib.load(file)
        known = {name: Profile(entry["url"], entry.get("key")) for name, entry in content.get("profiles", {}).items()}
        return Profiles(known, content.get("default", ""))
    except FileNotFoundError:
        return Profiles({})
    except OSError as error:
        said = error.strerror or str(error)
        raise ProfilesUnusable(
            f"{path} cannot be read: {said}; give it to the user who runs this, or name both address and key"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, AttributeError, KeyError, TypeError) as error:
        raise ProfilesUnusable(f"{path} cannot be read: {error}; mend it, or delete it and log in again") from error


def write_profiles(profiles: Profiles) -> Path:
    """Keep the profiles; where they are."""
    path = profiles_file()
    # A string of JSON is one of TOML, but for letters that JSON may leave as they are.
    lines = [f"default = {json.dumps(profiles.default)}"]
    for name, profile in profiles.known.items():
        lines += ["", f"[profiles.{json.dumps(name)}]", f"url = {json.dumps(profile.url)}"]
        lines += [] if profile.key is None else [f"key = {json.dumps(profile.key)}"]
    with whole_file(path, private=True) as file:
        file.write(("\n".join(lines) + "\n").encode())
    return path

"""Where on this machine a runner may read and write, named before it starts: loads nothing, as it is read early."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self


@dataclass(frozen=True)
class Places:
    """Folders, and files, that a runner's steps may touch beside Python and its libraries.

    Attributes:
        scratch: a folder of its own, for reading and writing, which goes with it.
        readable: for reading.
        writable: folders, for writing too.
        filled: folders for reading, which others fill while it runs.
        is_confined: whether anything else is taken from it.
        inodes: of the files among those for reading when they were named: rights are of inodes, and a file that
            was replaced since, as by an upload of the same bytes, is another one. Only the supervisor knows them.
    """

    scratch: Path
    readable: tuple[Path, ...] = ()
    writable: tuple[Path, ...] = ()
    filled: tuple[Path, ...] = ()
    is_confined: bool = True
    inodes: Mapping[Path, int] = field(default_factory=dict)

    @property
    def handed(self) -> Path:
        """A folder of its own as well, for what is handed to it: read and removed, and not written to."""
        return self.scratch.with_name(f"{self.scratch.name}-handed")

    @property
    def made(self) -> tuple[Path, ...]:
        """Folders that are made before it starts: what is not there cannot be allowed."""
        return (self.scratch, self.handed, *self.filled, *self.writable)

    def may_read(self, path: Path) -> bool:
        """Whether the path lies in one of them, and is still what it was."""
        if path in self.inodes and inodes_of([path]) != {path: self.inodes[path]}:
            return False
        return any(path.is_relative_to(place) for place in (*self.made, *self.readable))

    def to_json(self) -> str:
        """As it stands on a command line."""
        lists = {name: list(map(str, getattr(self, name))) for name in ("readable", "writable", "filled")}
        return json.dumps({"scratch": str(self.scratch), "is_confined": self.is_confined, **lists})

    @classmethod
    def of_json(cls, said: str) -> Self:
        """What `to_json` wrote."""
        found = json.loads(said)
        return cls(
            scratch=Path(found["scratch"]),
            readable=tuple(map(Path, found["readable"])),
            writable=tuple(map(Path, found["writable"])),
            filled=tuple(map(Path, found["filled"])),
            is_confined=found["is_confined"],
        )


def inodes_of(paths: Iterable[Path]) -> dict[Path, int]:
    """The inodes of those that are files."""
    return {path: path.stat().st_ino for path in paths if path.is_file()}

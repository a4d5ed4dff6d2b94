"""Where on this machine a runner may read and write, named before it starts: loads nothing, as it is read early."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True)
class Places:
    """Folders, and files, that a runner's steps may touch beside Python and its libraries.

    Attributes:
        scratch: a folder of its own, for reading and writing, which goes with it.
        readable: for reading.
        writable: folders, for writing too.
        is_confined: whether anything else is taken from it.
    """

    scratch: Path
    readable: tuple[Path, ...] = ()
    writable: tuple[Path, ...] = ()
    is_confined: bool = True

    @property
    def handed(self) -> Path:
        """A folder of its own as well, for what is handed to it: read and removed, and not written to."""
        return self.scratch.with_name(f"{self.scratch.name}-handed")

    def may_read(self, path: Path) -> bool:
        """Whether the path lies in one of them."""
        return any(path.is_relative_to(place) for place in (self.scratch, self.handed, *self.readable, *self.writable))

    def to_json(self) -> str:
        """As it stands on a command line."""
        lists = {"readable": list(map(str, self.readable)), "writable": list(map(str, self.writable))}
        return json.dumps({"scratch": str(self.scratch), "is_confined": self.is_confined, **lists})

    @classmethod
    def of_json(cls, said: str) -> Self:
        """What `to_json` wrote."""
        found = json.loads(said)
        return cls(
            scratch=Path(found["scratch"]),
            readable=tuple(map(Path, found["readable"])),
            writable=tuple(map(Path, found["writable"])),
            is_confined=found["is_confined"],
        )

"""Style, scripts and vendored libraries of pages and reports, as package data; `manifest.json` names the vendored ones.

Every file is served below a folder named after the digest of all of them, so that scripts import each other by relative
paths and may be cached for ever. `make assets` makes the vendored ones again.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".txt": "text/plain; charset=utf-8",
}
# Plot writes one style element into every drawing. Its text depends on the class alone, which is always `plot`: a
# content security policy admits it by this hash, and no other inline style.
_PLOT_STYLE = """:where(.plot) {
  --plot-background: white;
  display: block;
  height: auto;
  height: intrinsic;
  max-width: 100%;
}
:where(.plot text),
:where(.plot tspan) {
  white-space: pre;
}"""


def _hash_source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


STYLE_HASH = _hash_source(_PLOT_STYLE)


@dataclass(frozen=True)
class Asset:
    """One file.

    Attributes:
        name: as in `charts/scores.js`.
        content: its bytes.
        media_type: for the header of the same name.
        sha256: hexadecimal.
    """

    name: str
    content: bytes
    media_type: str
    sha256: str

    @property
    def text(self) -> str:
        """The content, decoded."""
        return self.content.decode()


@functools.cache
def _all() -> dict[str, Asset]:
    found: dict[str, Asset] = {}
    _collect(files(__name__), "", found)
    return dict(sorted(found.items()))


def _collect(folder: Traversable, prefix: str, into: dict[str, Asset]) -> None:
    for entry in folder.iterdir():
        name = f"{prefix}{entry.name}"
        if entry.is_dir():
            _collect(entry, f"{name}/", into)
        elif (kind := _TYPES.get(f".{entry.name.rpartition('.')[2]}")) is not None:
            content = entry.read_bytes()
            into[name] = Asset(name, content, kind, hashlib.sha256(content).hexdigest())


def names() -> tuple[str, ...]:
    """Names of all files.

    Example:
        >>> "style.css" in names()
        True
    """
    return tuple(_all())


def read(name: str) -> Asset:
    """One file.

    Raises:
        KeyError: there is none of this name.
    """
    return _all()[name]


@functools.cache
def version() -> str:
    """12 hexadecimal digits that change with any file."""
    return hashlib.sha256("".join(f"{name} {asset.sha256}\n" for name, asset in _all().items()).encode()).hexdigest()[
        :12
    ]

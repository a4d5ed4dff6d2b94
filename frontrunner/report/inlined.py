"""The scripts of a report inside of it: modules as data addresses in an import map, so that a file opens alone."""

from __future__ import annotations

import base64
import functools
import posixpath
import re

from frontrunner.report import assets

_RELATIVE = re.compile(r'(from |import\()"(\.{1,2}/[^"]+)"')
_ENTRY = "charts.js"
_VENDORED = "plot.js"


@functools.cache
def module_map() -> dict[str, str]:
    """Address of every module by the name that the others import it by; `charts.js` is the one to begin with.

    A module at a data address has no folder that relative paths could start from, so they are replaced by names.
    """
    modules = [name for name in assets.names() if name in (_ENTRY, _VENDORED) or name.startswith("charts/")]
    return {f"frontrunner/{name}": _address(name) for name in modules}


def _address(name: str) -> str:
    def named(found: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(name), found[2]))
        return f'{found[1]}"frontrunner/{path}"'

    source = assets.read(name).text
    if name != _VENDORED:
        source = _RELATIVE.sub(named, source)
    return f"data:text/javascript;base64,{base64.b64encode(source.encode()).decode()}"

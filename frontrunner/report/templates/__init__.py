"""Jinja's environment of reports and pages: macros of charts, and filters that write numbers as people read them."""

from __future__ import annotations

import functools
import json
from typing import Any

from jinja2 import BaseLoader, ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from frontrunner.bars import span
from frontrunner.ranking_table import chance, count
from frontrunner.report.layout import chart_height
from frontrunner.report.titles import score_titles

# Inside of a script element the only dangerous characters are those that could end it or open a comment.
_ESCAPED = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})
_UNITS = ("B", "kB", "MB", "GB", "TB")


def json_script(value: Any) -> Markup:
    """JSON that stands inside of a script element whatever strings it holds.

    Args:
        value: of JSON's types, or JSON text already.

    Example:
        >>> json_script({"name": "</script>"})
        Markup('{"name":"\\\\u003c/script\\\\u003e"}')
    """
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Markup(text.translate(_ESCAPED))  # noqa: S704 - escaped on this line


def number(value: float | None, digits: int = 3) -> str:
    """A number with so many decimals; a dash for None.

    Example:
        >>> number(0.12345), number(None)
        ('0.123', '-')
    """
    return "-" if value is None else f"{value:.{digits}f}"


def points(value: float | None) -> str:
    """A share as points of a hundred.

    Example:
        >>> points(0.8734)
        '87.3'
    """
    return "-" if value is None else f"{100 * value:.1f}"


def in_bytes(value: float | None) -> str:
    """A size, in powers of a thousand.

    Example:
        >>> in_bytes(1_234_567)
        '1.2 MB'
    """
    if value is None:
        return "-"
    power = 0
    while value >= 999.5 and power < len(_UNITS) - 1:
        value, power = value / 1000, power + 1
    return f"{value:.0f} {_UNITS[power]}" if power == 0 or value >= 100 else f"{value:.1f} {_UNITS[power]}"


def environment(*loaders: BaseLoader) -> Environment:
    """An environment that escapes everything, and refuses a name that it does not know.

    Args:
        loaders: of further templates, which stand before those of this package.
    """
    made = Environment(
        loader=ChoiceLoader([*loaders, PackageLoader("frontrunner.report")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "bytes": in_bytes,
        "chance": chance,
        "count": count,
        "json_script": json_script,
        "number": number,
        "points": points,
        "span": span,
    }
    made.globals |= {"chart_height": chart_height, "score_titles": score_titles}
    return made


@functools.cache
def shared() -> Environment:
    """The environment of reports."""
    return environment()

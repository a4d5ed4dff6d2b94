"""Tables that fit: which columns are shown at which width, and names that are never broken inside a word.

Every column has a place in the order of what gives way. A table takes the columns in this order while there is room;
what does not fit is left out whole. The one column that may be folded is that of the names, and only at their own
separators.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.style import Style
from rich.table import Table
from rich.text import Text

# Between two columns: one blank on either side of the place of a line that is not drawn.
_GAP = 2
# Names are folded where a reader pauses.
_PARTS = re.compile(r"[^._/\-\s]*[._/\-\s]*")
# A text that is no name is cut from here on.
_CUT = 18


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: as `--columns` asks for it.
        title: above it; may break between words.
        cells: one for each row.
        right: whether numbers stand in it.
        given_up: the higher, the sooner it is left out where there is no room; 0 never.
        foldable: it holds names, which may take several lines.
    """

    name: str
    title: str
    cells: Sequence[str]
    right: bool = False
    given_up: int = 0
    foldable: bool = False

    @property
    def width(self) -> int:
        """Of its longest cell, or of the longest word above it."""
        return max(map(cell_len, (*self.title.split(), *self.cells)))


def columns_that_fit(columns: Sequence[Column], width: int) -> list[Column]:
    """Those that are shown on so many characters, in their own order.

    Example:
        >>> name, size, licence = Column("a", "a", ["resnet18"]), Column("b", "b", ["11 M"], given_up=1), Column(
        ...     "c", "c", ["apache-2.0"], given_up=2
        ... )
        >>> [[each.name for each in columns_that_fit([name, size, licence], width)] for width in (10, 16, 40)]
        [['a'], ['a', 'b'], ['a', 'b', 'c']]
    """
    shown = [column for column in columns if not column.given_up]
    room = width - sum(column.width + _GAP for column in shown) + _GAP
    for column in sorted((column for column in columns if column.given_up), key=lambda column: column.given_up):
        room -= column.width + _GAP
        if room < 0:
            break
        shown.append(column)
    return [column for column in columns if column in shown]


def print_table(columns: Sequence[Column], console: Console, styles: Sequence[str] = ()) -> None:
    """Print what fits of the columns.

    Args:
        columns: those that are never given up are shown whatever the width: where even their folded names need more,
            the terminal breaks the lines.
        console: where.
        styles: of the rows, where they have some.
    """
    shown = columns_that_fit(columns, console.width)
    fixed = sum(column.width for column in shown if not column.foldable) + _GAP * (len(shown) - 1)
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False, header_style="bold")
    total = fixed
    cells = []
    for column in shown:
        width, texts = column.width, list(column.cells)
        if column.foldable:
            longest = max((cell_len(part) for text in texts for part in _PARTS.findall(text)), default=0)
            width = max(min(width, console.width - fixed), longest, *map(cell_len, column.title.split()))
            texts = [folded(text, width) for text in texts]
            total += width
        justify = "right" if column.right else "left"
        table.add_column(column.title, justify=justify, width=width, overflow="fold")  # type: ignore[arg-type]
        cells.append(texts)
    for place, row in enumerate(zip(*cells, strict=True)):
        style = Style.parse(styles[place]) if styles else None
        table.add_row(*(Text(text) for text in row), style=style)
    before, console.width = console.width, max(console.width, total)
    try:
        console.print(table)
    finally:
        console.width = before


def folded(name: str, width: int) -> str:
    """The name in lines of at most so many characters, broken behind its own separators only.

    Example:
        >>> folded("mobilenetv1_100_224.slim_in1k", 20)
        'mobilenetv1_100_224.\\nslim_in1k'
    """
    lines = [""]
    for part in filter(None, _PARTS.findall(name)):
        if lines[-1] and cell_len(lines[-1] + part.rstrip()) > width:
            lines.append("")
        lines[-1] += part
    return "\n".join(line.rstrip(" ") for line in lines)


def cut(text: str, width: int = _CUT) -> str:
    """The text without what is beyond so many characters, at a word's end where there is one.

    Example:
        >>> cut("Apache-2.0 / MIT (weights of others)")
        'Apache-2.0 / MIT…'
    """
    if cell_len(text) <= width:
        return text
    head = text[: width - 1]
    return (head[: head.rfind(" ")] if " " in head else head).rstrip() + "…"


def common_beginning(names: Sequence[str]) -> str:
    """What all of several names begin with, up to a colon or a slash: said once, it need not be in every row.

    Example:
        >>> common_beginning(["local:resnet18", "local:resnet50"]), common_beginning(["timm:a", "hf:b/c"])
        ('local:', '')
    """
    if len(names) < 2:
        return ""
    first, last = min(names), max(names)
    same = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    return first[: max(first.rfind(":", 0, same), first.rfind("/", 0, same)) + 1]

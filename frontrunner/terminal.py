"""What is written to a terminal: names and reasons come from strangers' files, so nothing in them is a command.

Neither rich's markup (`[/nope]` in the name of a class) nor the terminal's own (escape sequences in the name of a
checkpoint) means anything here; styles are given beside the text.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

# Categories of characters that show nothing and may steer: controls, formats (bidirectional overrides), surrogates.
_STEERING = frozenset({"Cc", "Cf", "Cs"})


def plain(text: str) -> str:
    """The text without characters that steer a terminal; line breaks stay.

    Example:
        >>> plain("a\\x1b[31mred\\x1b[0m name\\n")
        'a[31mred[0m name\\n'
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(letter for letter in text if letter == "\n" or unicodedata.category(letter) not in _STEERING)


class Terminal(Console):
    """A rich console that shows texts as they are, whatever they hold."""

    def __init__(self, *, stderr: bool = False, **options: Any) -> None:
        super().__init__(stderr=stderr, markup=False, **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Everything that is shown passes here; rich's own control segments are let through."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else plain(text), style, control)

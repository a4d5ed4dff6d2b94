"""Bounds of what a request may say: names and numbers that every column, file and terminal can hold."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import Field

# Of a training split, where a request does not say: what a ranking reads, and what a tuning uses.
DEFAULT_MAX_EXAMPLES = 5000
# As long as the columns that keep them.
MAX_NAME_LENGTH = 255
# What a column of whole numbers holds.
MAX_COUNT = 2**63 - 1
# No control character, a NUL first of all; a lone surrogate is refused with any pattern.
Name: TypeAlias = Annotated[str, Field(max_length=MAX_NAME_LENGTH, pattern=r"^[^\x00-\x1f\x7f]*$")]
# Bytes of one part of an upload: what is sent again where a connection breaks.
PART_BYTES = 8 << 20

"""What a ranking may cost: `10m`, `30%` or `20000 images`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, Self, TypeAlias

from frontrunner.errors import InvalidBudget

Unit: TypeAlias = Literal["seconds", "share", "examples"]

_SECONDS = {"s": 1, "m": 60, "h": 3600}
_EXAMPLES = ("examples", "images", "texts", "rows")
_FORM = re.compile(rf"(\d+(?:\.\d+)?)\s*({'|'.join((*_SECONDS, '%', *_EXAMPLES))})", re.IGNORECASE)


@dataclass(frozen=True)
class Budget:
    """How much a ranking may read.

    Attributes:
        unit: `seconds` of work, all workers together; `share` of what reading every example with every checkpoint
            takes; or `examples` that go through a checkpoint.
        amount: above 0; a share is at most 1.
    """

    unit: Unit
    amount: float

    @classmethod
    def parse(cls, text: str) -> Self:
        """The budget that a person wrote.

        Args:
            text: a number with `s`, `m` or `h`; with `%`; or with `images`, `texts`, `rows` or `examples`.

        Raises:
            InvalidBudget: it is none of these, or nothing could be read for it.

        Example:
            >>> Budget.parse("10m"), Budget.parse("30%")
            (Budget(unit='seconds', amount=600.0), Budget(unit='share', amount=0.3))
            >>> str(Budget.parse("20000 images"))
            '20000 examples'
        """
        found = _FORM.fullmatch(text.strip())
        if found is None:
            raise InvalidBudget(f"the budget is '{text}'; write it as 10m (s, m, h), 30% or 20000 images")
        amount, unit = float(found[1]), found[2].lower()
        if amount <= 0 or (unit == "%" and amount > 100):
            raise InvalidBudget(f"the budget is '{text}'; it must be more than nothing, and a share at most 100%")
        if unit == "%":
            return cls("share", amount / 100)
        return cls("examples", amount) if unit in _EXAMPLES else cls("seconds", amount * _SECONDS[unit])

    def said(self, amount: float) -> str:
        """An amount in this budget's unit, rounded for people.

        Example:
            >>> Budget.parse("30%").said(0.284), Budget.parse("1h").said(61.3)
            ('28%', '61 s')
        """
        forms = {"share": f"{amount:.0%}", "seconds": f"{amount:.0f} s", "examples": f"{amount:,.0f} examples"}
        return forms[self.unit]

    def __str__(self) -> str:
        if self.unit == "share":
            return f"{100 * self.amount:g}%"
        return f"{self.amount:g}s" if self.unit == "seconds" else f"{self.amount:.0f} examples"

"""How high a chart is, said before it is drawn, so that nothing moves when it is; modules in `charts` count alike."""

from __future__ import annotations

# Pixels of a line of bars, of the axis, and of the rank curve that stands for lines beyond the first ones.
ROW = 26
NARROW_ROW = 38
AXIS = 44
CURVE = 180
# Checkpoints that are drawn one by one.
DRAWN = 30
# Other charts are as high as this; heat maps grow with what they compare.
USUAL = 320
CELL = 24
AROUND_MAP = 132
LARGEST_MAP = 32
# Those that are likeliest to be the best are drawn one by one.
CHANCES = 10

_BARS = frozenset({"scores", "chances"})
_MAPS = frozenset({"agreement", "confusion", "distances", "results"})


def chart_height(name: str, items: int | None = None, *, narrow: bool = False) -> int:
    """Pixels.

    Args:
        name: of the chart.
        items: lines of a ranking, or what a heat map compares; None where that is not known.
        narrow: less than 520 pixels wide, where names stand above what they name.

    Example:
        >>> chart_height("scores", 3), chart_height("cost")
        (122, 320)
    """
    if items is None:
        return USUAL
    if name in _BARS:
        curve = CURVE if items > DRAWN and name == "scores" else 0
        most = DRAWN if name == "scores" else CHANCES + 1
        return AXIS + (NARROW_ROW if narrow else ROW) * max(min(items, most), 1) + curve
    if name in _MAPS:
        return AROUND_MAP + CELL * min(items, LARGEST_MAP)
    return USUAL

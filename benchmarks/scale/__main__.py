"""What large rankings cost: python -m benchmarks.scale [--measure] [--write docs/scale.md]

Prints the figures that the model rests on, and its tables. `--measure` measures anew what this machine can, which takes
a minute, and keeps it beside this file; every assumption is an option.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.scale.measure import measured
from benchmarks.scale.model import Assumed, Costs, Figures, Scale, costs_of
from benchmarks.tuning.table import write_between_marks

_MEASURED = Path(__file__).with_name("measured.json")
_STEP = 16_384
_SIZES = ((10_000, 1_000_000), (100_000, 1_000_000), (10_000, 10_000_000), (100_000, 10_000_000))
_GPUS = (8, 64, 512)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", action="store_true", help="Measure anew.")
    parser.add_argument("--photographs", type=Path, default=Path("../shared/pack/datasets/flowers5/flowers5.zip"))
    parser.add_argument("--write", type=Path, help="A document whose tables, between their marks, are replaced.")
    for name, field in Assumed.model_fields.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=field.annotation, default=field.default)
    given = parser.parse_args()
    if given.measure:
        _MEASURED.write_text(Figures.model_validate(measured(given.photographs)).model_dump_json(indent=1) + "\n")
    figures = Figures.model_validate_json(_MEASURED.read_bytes())
    assumed = Assumed.model_validate({name: getattr(given, name) for name in Assumed.model_fields})
    text = "\n\n".join((_inputs(figures, assumed), _whole(figures, assumed), _days(figures, assumed)))
    print(text)
    if given.write is not None:
        write_between_marks(given.write, text, "scale")


def _inputs(figures: Figures, assumed: Assumed) -> str:
    rows = [
        [str(field.description), f"{getattr(model, name):.3g}", kind]
        for kind, model in (("measured", figures), ("**assumed**", assumed))
        for name, field in type(model).model_fields.items()
    ]
    return _table(("figure", "value", ""), rows)


def _whole(figures: Figures, assumed: Assumed) -> str:
    found = [costs_of(Scale(*size, gpus=64, examples_a_step=size[1]), figures, assumed) for size in _SIZES]
    parts = [costs_of(Scale(*size, gpus=64, examples_a_step=_STEP), figures, assumed) for size in _SIZES]

    def row(name: str, values: Sequence[str]) -> list[str]:
        return [name, *values]

    rows = [
        row("forward passes, GPU hours", [f"{each.forward:,.0f}" for each in found]),
        row("opening, GPU hours", [f"{each.opening:,.0f}" for each in found]),
        row(f"opening, GPU hours, if it were in steps of {_STEP:,}", [f"{each.opening:,.0f}" for each in parts]),
        row("decoding and resizing, core hours", [f"{each.decoding:,.0f}" for each in found]),
        row("sums and LogME, core hours", [f"{each.scoring:,.0f}" for each in found]),
        row("cores that decode as fast as one GPU reads", [f"{each.cores_a_gpu:.1f}" for each in found]),
        row("features and predictions, TB", [f"{each.store_tb:,.0f}" for each in found]),
        row("objects in the store, millions", [f"{each.objects / 1e6:,.0f}" for each in found]),
        row("decoded pixels of one shape, TB", [f"{each.pixels_tb:.2g}" for each in found]),
        row("steps", [f"{each.steps:,}" for each in found]),
        row("their ends in the database, hours", [f"{each.planning:,.1f}" for each in found]),
        row(f"steps, if they were of {_STEP:,} examples", [f"{each.steps:,}" for each in parts]),
        row("their ends in the database, hours", [f"{each.planning:,.0f}" for each in parts]),
    ]
    return _table(("", *(_size(size) for size in _SIZES)), rows)


def _days(figures: Figures, assumed: Assumed) -> str:
    rows = [
        [f"{gpus}", *(_day(costs_of(Scale(*size, gpus, size[1]), figures, assumed)) for size in _SIZES)]
        for gpus in _GPUS
    ]
    return _table(("GPUs", *(_size(size) for size in _SIZES)), rows)


def _day(costs: Costs) -> str:
    return f"{costs.days:,.1f} days: {costs.limit}"


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]:,} x {size[1] / 1e6:.0f} M"


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in [headings, ["---"] * len(headings), *rows])


if __name__ == "__main__":
    main()

"""Mutations that Cosmic Ray does not have, as operators of its kind: constants scaled, reductions exchanged."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from cosmic_ray.operators.operator import Operator
from parso.python.tree import Name, Number
from parso.tree import NodeOrLeaf

Span = tuple[tuple[int, int], tuple[int, int]]

# A reduction or function of one array, and what a slip of the pen would make of it.
EXCHANGED = {
    "all": "any",
    "any": "all",
    "argmax": "argmin",
    "argmin": "argmax",
    "cos": "sin",
    "exp": "expm1",
    "log": "log1p",
    "max": "min",
    "maximum": "minimum",
    "mean": "sum",
    "median": "mean",
    "min": "max",
    "minimum": "maximum",
    "sqrt": "square",
    "std": "var",
    "sum": "mean",
    "var": "std",
}


class Constant(Operator):
    """A float doubled or halved; a whole number one more or one less. Cosmic Ray's own adds 1 to 1e-4 as well.

    0 is not made -1, which names the same axis or entry wherever there is one.
    """

    def mutation_positions(self, node: NodeOrLeaf) -> Iterator[Span]:
        if isinstance(node, Number):
            yield from [(node.start_pos, node.end_pos)] * (1 if node.value == "0" else 2)

    def mutate(self, node: NodeOrLeaf, index: int) -> NodeOrLeaf:
        value = ast.literal_eval(node.value)
        scaled = isinstance(value, float) and value != 0
        changed = (value * 2, value / 2)[index] if scaled else (value + 1, value - 1)[index]
        # A minus sign binds less tightly than what may follow, such as a power.
        text = repr(changed) if changed >= 0 else f"({changed!r})"
        return Number(text, node.start_pos, prefix=node.prefix)

    @classmethod
    def examples(cls) -> tuple[()]:
        return ()


class Reduction(Operator):
    """`.mean` read as `.sum`, `.median` as `.mean`, and the like."""

    def mutation_positions(self, node: NodeOrLeaf) -> Iterator[Span]:
        if (
            isinstance(node, Name)
            and node.value in EXCHANGED
            and node.parent.type == "trailer"
            and node.parent.children[0].value == "."
        ):
            yield node.start_pos, node.end_pos

    def mutate(self, node: NodeOrLeaf, index: int) -> NodeOrLeaf:
        node.value = EXCHANGED[node.value]
        return node

    @classmethod
    def examples(cls) -> tuple[()]:
        return ()


OWN = {"Constant": Constant, "Reduction": Reduction}

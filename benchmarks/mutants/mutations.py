"""The mutations of a module: Cosmic Ray's operators at every place that the configuration does not leave alone."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cosmic_ray.plugins
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Operator

from benchmarks.mutants.operators import OWN, Span


@dataclass(frozen=True)
class Mutant:
    """One change of one module.

    Attributes:
        module: path inside the repository.
        operator, occurrence: which operator, at the how-manieth place where it applies.
        line: 1-based.
        inside: whether it lies inside a function, so that only tests that enter one can notice it.
    """

    module: str
    operator: str
    occurrence: int
    line: int
    inside: bool

    def source(self, original: str) -> str:
        """The module with the change."""
        changed = mutate_code(original, _operator(self.operator), self.occurrence)
        assert changed is not None
        return str(changed)

    def difference(self, original: str) -> tuple[str, str]:
        """What the lines that differ were, and what they are."""
        changed = list(difflib.unified_diff(original.splitlines(), self.source(original).splitlines(), "", "", n=0))[3:]
        before, after = (" ".join(line[1:].strip() for line in changed if line[0] == sign) for sign in "-+")
        return before, after


def is_equivalent(mutant: Mutant, original: str, config: dict[str, Any]) -> bool:
    """Whether the configuration says that no test could notice it."""
    known = config["equivalent"].get(mutant.module, [])
    return bool(known) and mutant.difference(original) in {(before, after) for before, after, _ in known}


def _operator(name: str) -> Operator:
    return (OWN.get(name) or cosmic_ray.plugins.get_operator(f"core/{name}"))()


def mutants_of(root: Path, module: str, config: dict[str, Any]) -> Iterator[Mutant]:
    """Every mutant of a module that could change a number."""
    source = (root / module).read_text()
    tree = ast.parse(source)
    skipped = list(_skipped(tree, config["skip"]))
    functions = [_span(node) for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    nodes = list(ast_nodes(get_ast(source)))
    for name in config["operators"]:
        operator = _operator(name)
        places = (span for node in nodes for span in operator.mutation_positions(node))
        for occurrence, (start, end) in enumerate(places):
            if not any(first <= start and end <= last for first, last in skipped):
                inside = any(first <= start and end <= last for first, last in functions)
                yield Mutant(module, name, occurrence, start[0], inside)


def _skipped(tree: ast.AST, skip: dict[str, Any]) -> Iterator[Span]:
    """What is left alone, as spans of (line, column)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            yield from (_span(decorator) for decorator in node.decorator_list)
            yield from [_span(node.returns)] if node.returns else []
        annotated = isinstance(node, ast.arg | ast.AnnAssign) and node.annotation
        if annotated:
            yield _span(annotated)
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if (
            type(node).__name__ in skip["statements"]
            or any(isinstance(target, ast.Name) and target.id in skip["assigned"] for target in targets)
            or (isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in skip["called"])
            or (isinstance(node, ast.keyword) and node.arg in skip["keywords"])
            or (isinstance(node, ast.FunctionDef) and node.name in skip["functions"])
            or (isinstance(node, ast.Constant) and isinstance(node.value, float) and 0 < node.value < skip["rounding"])
        ):
            yield _span(node)


def _span(node: Any) -> Span:
    return (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)

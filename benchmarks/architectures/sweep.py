"""The sweep: each architecture is written as a checkpoint, opened by the product, and compared with its own library.

A part of the sweep is one library and modality. It lists its architectures and writes a checkpoint of one with random
weights; what its own library makes of each example alone is the truth.
"""

from __future__ import annotations

import gc
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from frontrunner.errors import FrontrunnerError
from frontrunner.hub import describe_directory
from frontrunner.hub.opening.open import open_checkpoint

# Largest difference that rounding may make, as a share of the largest feature.
TOLERANCE = 1e-4


class LeftOut(Exception):
    """The architecture is not tried: too large, or its own library cannot run it at a tiny size."""


class Part(Protocol):
    """One library and modality.

    Attributes:
        name: what the command line calls it.
        examples: n images or texts, as `Checkpoint.features` takes them.
    """

    name: str
    examples: Sequence[Any]

    def architectures(self) -> Sequence[str]:
        """Names of all architectures, in a fixed order."""
        ...

    def write(self, architecture: str, folder: Path, max_parameters: int) -> NDArray[np.float32]:
        """Write a checkpoint of the architecture, its weights drawn from torch's generator, as its library saves it.

        Returns:
            (n, D) the features that its own library gives, each example by itself.

        Raises:
            LeftOut: it is larger than `max_parameters`, or its library cannot run it.
        """
        ...


@dataclass(frozen=True)
class Outcome:
    """What became of one architecture.

    Attributes:
        outcome: agrees; wrong: other features than its own library's; refused: the product says that it cannot read
            it; failed: an error that the product did not name; left out: it was not tried.
        reason: why it is not among those that agree.
        difference: largest absolute difference divided by the largest absolute feature.
    """

    part: str
    architecture: str
    outcome: Literal["agrees", "wrong", "refused", "failed", "left out"]
    reason: str = ""
    difference: float | None = None
    features: int | None = None
    parameters: int | None = None
    seconds: float = 0.0


def sweep(part: Part, names: Sequence[str], seed: int, max_parameters: int) -> Iterator[Outcome]:
    """One outcome for each of the named architectures, in turn; nothing of one is kept for the next."""
    for name in names:
        started = time.perf_counter()
        torch.manual_seed(seed)
        with tempfile.TemporaryDirectory(prefix="architecture-") as folder:
            found = _outcome(part, name, Path(folder) / "checkpoint", max_parameters)
        gc.collect()
        yield Outcome(part.name, name, **found, seconds=round(time.perf_counter() - started, 2))


def _outcome(part: Part, name: str, folder: Path, max_parameters: int) -> dict[str, Any]:
    try:
        expected = part.write(name, folder, max_parameters)
    except LeftOut as why:
        return {"outcome": "left out", "reason": str(why)}
    except Exception as error:
        return {"outcome": "left out", "reason": f"its library cannot run it: {_named(error)}"}
    try:
        checkpoint = open_checkpoint(describe_directory(folder))
        features = checkpoint.features(part.examples)
    except FrontrunnerError as refusal:
        return {"outcome": "refused", "reason": refusal.reason[:500]}
    except Exception as error:
        return {"outcome": "failed", "reason": _named(error)}
    about = {"features": checkpoint.feature_dimension, "parameters": checkpoint.description.parameters}
    if features.shape != expected.shape:
        return about | {"outcome": "wrong", "reason": f"{features.shape} and not {expected.shape}"}
    difference = float(np.abs(features - expected).max() / max(float(np.abs(expected).max()), 1e-12))
    if not difference <= TOLERANCE:
        return about | {"outcome": "wrong", "reason": "other features", "difference": difference}
    return about | {"outcome": "agrees", "difference": difference, "reason": "; ".join(checkpoint.provenance.notes)}


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error)[:300]}"


def kept_outcomes(path: Path) -> list[Outcome]:
    """Those that an earlier run wrote, one JSON object a line; the last of a name counts."""
    if not path.is_file():
        return []
    lines = [Outcome(**json.loads(line)) for line in path.read_text().splitlines() if line.strip()]
    return list({(line.part, line.architecture): line for line in lines}.values())


def keep(path: Path, outcome: Outcome) -> None:
    """Add one outcome's line."""
    with path.open("a") as file:
        file.write(json.dumps(asdict(outcome)) + "\n")

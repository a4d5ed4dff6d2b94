"""How fast backends read an architecture on this machine: measured once, kept in the cache folder. Imports torch."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from frontrunner.files import whole_file
from frontrunner.hub.opening.checkpoint import Checkpoint

# Raise it whenever what is kept would be measured differently.
_VERSION = 1
_PROCESSORS = Path("/proc/cpuinfo")
_LIBRARIES = ("torch", "timm", "transformers", "openvino")


class Speeds(BaseModel):
    """What was measured of one architecture.

    Attributes:
        of: what decides the figures: architecture, input, processor, threads, libraries.
        eager: seconds an example in torch, by the rows of a forward pass; 0 rows: whole batches as they come.
        openvino: seconds an example in OpenVINO; None where it was not tried, or cannot run it.
        conversion: seconds that converting took.
        refused: why OpenVINO cannot run it; empty otherwise.
    """

    model_config = ConfigDict(frozen=True)

    of: dict[str, str]
    eager: dict[int, float]
    openvino: float | None = None
    conversion: float = 0.0
    refused: str = ""


class KeptSpeeds:
    """The measured speeds of one checkpoint's architecture on this machine, in a file of their own.

    Args:
        folder: where such files are kept.
        checkpoint: whose architecture.
        inputs: a batch: speeds depend on the size of images.
    """

    def __init__(self, folder: Path, checkpoint: Checkpoint, inputs: Any) -> None:
        self.of = {
            "architecture": checkpoint.description.architecture,
            "parameters": str(sum(value.numel() for value in checkpoint.module.parameters())),
            "features": str(checkpoint.feature_dimension),
            "input": _kind(inputs),
            "batches": "of one" if checkpoint.preparation.one_at_a_time else "of many",
            "processor": processor_name(),
            "threads": str(torch.get_num_threads()),
            **{name: importlib.metadata.version(name) for name in _LIBRARIES if importlib.util.find_spec(name)},
        }
        named = "\n".join([str(_VERSION), *(f"{name}={value}" for name, value in self.of.items())])
        self._path = folder / f"{hashlib.sha256(named.encode()).hexdigest()[:32]}.json"

    def load(self) -> Speeds | None:
        """What was measured, or None where nothing was."""
        try:
            return Speeds.model_validate_json(self._path.read_bytes())
        except (OSError, ValueError):
            return None

    def keep(self, speeds: Speeds) -> None:
        """Keep them; a folder that cannot be written to costs another measurement, and no ranking."""
        try:
            with whole_file(self._path) as file:
                file.write(speeds.model_dump_json(indent=1).encode())
        except OSError:
            return


def processor_name() -> str:
    """What the processor is called, and which of its instructions torch uses."""
    try:
        lines = _PROCESSORS.read_text().splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return f"{next(named, platform.processor())}, {torch.backends.cpu.get_cpu_capability()}"


def _kind(inputs: Any) -> str:
    if isinstance(inputs, Tensor):
        return "x".join(map(str, inputs.shape[1:]))
    return " ".join(sorted(inputs)) if isinstance(inputs, Mapping) else type(inputs).__name__

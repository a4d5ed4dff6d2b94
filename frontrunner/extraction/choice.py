"""Which backend reads a checkpoint here: the one that is done first with the examples that are left. Imports torch.

What a probe of a second or two measures is kept for the architecture, and the next checkpoint of it is not probed
again. Nothing is probed or converted where the sample is too small for it to pay. Layout is not probed: channels last
was 1.2 to 1.7 times as fast as rows of channels for every convolutional network and batch that was measured. Neither
is `torch.compile`: see docs/reading.md.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog
import torch
from torch import Tensor

from frontrunner.extraction.backends import (
    AGREEMENT,
    EAGER_ROWS,
    SMALL_EAGER_ROWS,
    SMALL_PIXELS,
    Backend,
    EagerBackend,
    difference,
    first_rows,
    probes,
    rows_of,
)
from frontrunner.extraction.openvino_backend import NotConverted, OpenVinoBackend, is_available, load_openvino
from frontrunner.extraction.speeds import KeptSpeeds, Speeds
from frontrunner.hub.opening.checkpoint import Checkpoint

# Rows of a forward pass in torch that are tried.
_ROWS = (8, 16, 32)
_ROUNDS = 2
# Seconds of torch's time that one round of one setting may take: what is slower gains nothing from larger batches.
_ROUND_S = 0.25
# What a probe and a conversion cost together, before they were measured: 1 to 2 s on two cores.
_PROBE_S = 1.5
# The least share of torch's time that OpenVINO saved of the networks measured, ResNet-18's: the others save a half.
_SAVED = 1 / 6
_log = structlog.wrap_logger(logging.getLogger("frontrunner.extraction"))


def choose_backend(
    checkpoint: Checkpoint, device: torch.device, inputs: Any, examples_left: int, folder: Path
) -> Backend:
    """The backend that reads the rest of a sample soonest, converting counted.

    Args:
        checkpoint: what is read, laid out for reading, on `device`.
        device: where its module is; on a GPU torch reads whole batches, and nothing is probed.
        inputs: the first batch that is read.
        examples_left: how many examples are to be read, those of the batch counted.
        folder: where measured speeds are kept.
    """
    if device.type != "cpu" or not isinstance(inputs, (Tensor, Mapping)):
        return EagerBackend(checkpoint, device)
    kept = KeptSpeeds(folder, checkpoint, inputs)
    known = kept.load()
    if known is not None:
        return _chosen(checkpoint, inputs, examples_left, known)
    default = EagerBackend(checkpoint, device, _default_rows(checkpoint, inputs))
    if examples_left <= rows_of(inputs):
        return default
    # The shortest pass: on most samples it already shows that nothing pays.
    few = first_rows(inputs, _ROWS[0])
    default.read(few)
    eager_s = _seconds({"": default}, few, rounds=1)[""]
    if not _pays(examples_left, eager_s, eager_s * (1 - _SAVED), _PROBE_S):
        return default
    speeds, backend = _probe(checkpoint, inputs, eager_s, kept.of)
    kept.keep(speeds)
    return _chosen(checkpoint, inputs, examples_left, speeds, backend)


def _pays(examples_left: int, now_s: float, then_s: float, price_s: float) -> bool:
    """Whether `price_s` seconds are won back by reading an example in `then_s` seconds and not in `now_s`."""
    return examples_left * (now_s - then_s) > price_s


def _chosen(
    checkpoint: Checkpoint, inputs: Any, examples_left: int, speeds: Speeds, converted: OpenVinoBackend | None = None
) -> Backend:
    rows = min(speeds.eager, key=lambda rows: speeds.eager[rows])
    eager = EagerBackend(checkpoint, torch.device("cpu"), rows or None)
    if speeds.openvino is None or speeds.refused or not is_available():
        return eager
    price = 0.0 if converted is not None else speeds.conversion
    if not _pays(examples_left, speeds.eager[rows], speeds.openvino, price):
        return eager
    try:
        return converted or _converted(checkpoint, inputs, eager)
    except NotConverted as reason:
        _refused(checkpoint, reason)
        return eager


def _probe(
    checkpoint: Checkpoint, inputs: Any, eager_s: float, of: dict[str, str]
) -> tuple[Speeds, OpenVinoBackend | None]:
    """Read the first examples by every setting in turn; what is measured, and what was converted for it."""
    cpu = torch.device("cpu")
    few = first_rows(inputs, min(max(int(_ROUND_S / eager_s), _ROWS[0]), _ROWS[-1]))
    tried = [rows for rows in _ROWS if rows <= rows_of(few)] if _default_rows(checkpoint, inputs) else [0]
    eager = {rows: EagerBackend(checkpoint, cpu, rows or None) for rows in tried or [EAGER_ROWS]}
    backends: dict[int | str, Backend] = {rows: eager[rows] for rows in eager}
    converted: OpenVinoBackend | None = None
    conversion, refused = 0.0, ""
    if is_available():
        load_openvino()  # once a process, and not a checkpoint's price
        started = time.perf_counter()
        try:
            converted = _converted(checkpoint, inputs, next(iter(eager.values())))
            backends["openvino"] = converted
        except NotConverted as reason:
            _refused(checkpoint, reason)
            refused = str(reason)
        conversion = time.perf_counter() - started
    seconds = _seconds(backends, few, _ROUNDS)
    speeds = Speeds(
        of=of,
        eager={rows: seconds[rows] for rows in eager},
        openvino=seconds.get("openvino"),
        conversion=conversion,
        refused=refused,
    )
    return speeds, converted


def _converted(checkpoint: Checkpoint, inputs: Any, eager: EagerBackend) -> OpenVinoBackend:
    """The checkpoint in OpenVINO, if it says there what it says in torch.

    Raises:
        NotConverted: it does not, or OpenVINO cannot run it.
    """
    backend = OpenVinoBackend(checkpoint, inputs, otherwise=eager)
    try:
        apart = max(difference(backend.read(few), eager.read(few)) for few in probes(first_rows(inputs, _ROWS[0])))
    except Exception as error:  # whatever a recorded model meets in inputs of another length
        raise NotConverted(f"{type(error).__name__}: {error}".splitlines()[0]) from error
    if not apart <= AGREEMENT:  # nor where it is not a number
        raise NotConverted(f"its features differ by {apart:.1e}, more than {AGREEMENT:g}")
    backend.about = backend.about.model_copy(update={"difference": apart})
    return backend


def _seconds(backends: Mapping[Any, Backend], inputs: Any, rounds: int) -> dict[Any, float]:
    """Seconds an example, the least of `rounds` that take turns: whatever else the machine does only adds to them."""
    found = dict.fromkeys(backends, float("inf"))
    for _ in range(rounds):
        for name, backend in backends.items():
            started = time.perf_counter()
            backend.read(inputs)
            found[name] = min(found[name], (time.perf_counter() - started) / rows_of(inputs))
    return found


def _default_rows(checkpoint: Checkpoint, inputs: Any) -> int | None:
    """Rows of a forward pass where nothing was measured; None where the preparation decides."""
    if not isinstance(inputs, Tensor) or checkpoint.preparation.one_at_a_time:
        return None
    return SMALL_EAGER_ROWS if inputs[0, 0].numel() <= SMALL_PIXELS else EAGER_ROWS


def _refused(checkpoint: Checkpoint, reason: NotConverted) -> None:
    _log.info("openvino_not_used", checkpoint=checkpoint.description.id, reason=str(reason))

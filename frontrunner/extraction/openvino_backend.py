"""Reading through OpenVINO, at float32: on x86 two to three times the forward passes of torch. Imports torch.

A checkpoint is opened as ever, by this project's own rules, and one forward pass of it is recorded in memory: OpenVINO
parses no file. Its package reports its import and every conversion to its maker unless a separate package for that is
missing, so that package is hidden while OpenVINO is imported; nothing is reported.
"""

from __future__ import annotations

import importlib.util
import platform
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import psutil
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from frontrunner.extraction.backends import Backend, first_rows, rows_of
from frontrunner.hub import ReadingBackend
from frontrunner.hub.opening.checkpoint import Checkpoint, ForwardOutput

# Images of one request: 2 to 4 were the fastest, 8 up to 15% slower.
ROWS = 4
_RECORDED_ROWS = 2
# Weights are held a second and, while they are rearranged, a third time.
_COPIES = 3
_REPORTS = "openvino_telemetry"
# Dimensions of one image, (C, H, W).
_OF_IMAGES = 3


class NotConverted(Exception):
    """OpenVINO cannot run the checkpoint; the message says why."""


def is_available() -> bool:
    """Whether OpenVINO is installed on a processor that it was measured on."""
    return platform.machine() in ("x86_64", "AMD64") and importlib.util.find_spec("openvino") is not None


def load_openvino() -> Any:
    """The package, imported so that it reports to nobody."""
    if "openvino" in sys.modules or _REPORTS in sys.modules:
        import openvino

        return openvino
    sys.modules[_REPORTS] = None  # type: ignore[assignment] # Python's own mark of a module that is not to be found
    try:
        import openvino
    finally:
        del sys.modules[_REPORTS]
    return openvino


class OpenVinoBackend:
    """A checkpoint's forward pass as OpenVINO runs it: one stream a thread, each with its own requests.

    Pixels of the size that was recorded are read by `ROWS`; what is of another size is left to `otherwise`. Texts of
    every length are read, a batch's rows divided among the streams.

    Args:
        checkpoint: what is read, laid out for reading, on the CPU.
        inputs: a batch, for the forward pass that is recorded.
        otherwise: reads what this one does not.

    Raises:
        NotConverted: see there.
    """

    def __init__(self, checkpoint: Checkpoint, inputs: Any, otherwise: Backend) -> None:
        openvino = load_openvino()
        weights = sum(value.nbytes for value in checkpoint.module.state_dict().values())
        if weights * _COPIES > psutil.virtual_memory().available:
            raise NotConverted("its weights would not fit into memory a second time")
        self._names = None if isinstance(inputs, Tensor) else tuple(inputs)
        self._shape = inputs.shape[1:] if isinstance(inputs, Tensor) else None
        self._otherwise = otherwise
        rows = None if self._shape is None or checkpoint.preparation.one_at_a_time else ROWS
        self._rows = rows
        self.about = ReadingBackend(name="openvino", version=openvino.__version__.split("-")[0], rows=rows)
        try:
            model = _recorded(checkpoint, first_rows(inputs, _RECORDED_ROWS), self._names)
            if self._shape is not None:
                model.reshape({model.inputs[0]: [rows or 1, *self._shape]})
                model = _channels_last(model) if len(self._shape) == _OF_IMAGES else model
            compiled = openvino.Core().compile_model(model, "CPU", _options())
        except Exception as error:  # whatever an architecture meets while it is recorded
            cause = error.__cause__ or error  # what recording failed of, under what OpenVINO says of it
            raise NotConverted(f"{type(cause).__name__}: {cause}".splitlines()[0]) from error
        self._outputs = [output.get_partial_shape()[1].get_length() for output in compiled.outputs]
        self._streams = int(compiled.get_property("NUM_STREAMS"))
        self._queue = openvino.AsyncInferQueue(compiled, self._streams)
        self._queue.set_callback(_keep)

    def read(self, inputs: Any) -> ForwardOutput:
        """See `Backend.read`."""
        if isinstance(inputs, Tensor):
            if inputs.shape[1:] != self._shape:
                return self._otherwise.read(inputs)
        elif self._names is None or tuple(inputs) != self._names:
            return self._otherwise.read(inputs)
        rows = rows_of(inputs)
        found = [np.empty((rows, width), dtype=np.float32) for width in self._outputs]
        for start, arrays in self._parts(inputs, rows):
            self._queue.start_async(arrays, (start, found))
        self._queue.wait_all()
        features, *logits = map(torch.from_numpy, found)
        return ForwardOutput(features, logits[0] if logits else None)

    def _parts(self, inputs: Any, rows: int) -> Iterator[tuple[int, list[NDArray[Any]]]]:
        """Where each request's rows begin, and its arrays."""
        if isinstance(inputs, Tensor):
            size = self._rows or 1
            for start in range(0, rows, size):
                part = _laid_out(inputs[start : start + size]).numpy()
                missing = size - len(part)  # a request's size is fixed: rows repeated, and not kept
                yield start, [np.concatenate([part, part[:1].repeat(missing, 0)]) if missing else part]
            return
        size = -(-rows // self._streams)
        for start in range(0, rows, size):
            yield start, [value[start : start + size].numpy() for value in inputs.values()]


def _channels_last(model: Any) -> Any:
    """The model with pixels in the order in which images are decoded: it is what its convolutions want, too."""
    from openvino import Layout
    from openvino.preprocess import PrePostProcessor

    steps = PrePostProcessor(model)
    steps.input().tensor().set_layout(Layout("NHWC"))
    steps.input().model().set_layout(Layout("NCHW"))
    return steps.build()


def _laid_out(pixels: Tensor) -> Tensor:
    return pixels.permute(0, 2, 3, 1).contiguous() if pixels.ndim == 1 + _OF_IMAGES else pixels


def _keep(request: Any, place: tuple[int, list[NDArray[np.float32]]]) -> None:
    """Copy what a request found to its rows."""
    start, found = place
    for index, rows in enumerate(found):
        given = request.get_output_tensor(index).data
        rows[start : start + len(given)] = given[: len(rows) - start]


class _Recorded(nn.Module):
    """A checkpoint's forward pass over tensors by place."""

    def __init__(self, checkpoint: Checkpoint, names: tuple[str, ...] | None) -> None:
        super().__init__()
        self.module = checkpoint.module
        self._forward = checkpoint.forward
        self._input_names = names

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        inputs: Any = tensors[0] if self._input_names is None else dict(zip(self._input_names, tensors, strict=True))
        features, logits = self._forward(inputs)
        return (features.float(),) if logits is None else (features.float(), logits.float())


def _recorded(checkpoint: Checkpoint, inputs: Any, names: tuple[str, ...] | None) -> Any:
    """OpenVINO's model of the checkpoint."""
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    example = (inputs.contiguous(),) if names is None else tuple(inputs[name] for name in names)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what a recording leaves out: the result is compared
        decoder = TorchScriptPythonDecoder(
            _Recorded(checkpoint, names).eval(), example_input=example, trace_kwargs={"check_trace": False}
        )
        frontend = FrontEndManager().load_by_framework("pytorch")
        return frontend.convert(frontend.load(decoder))


def _options() -> dict[str, Any]:
    """Float32 whatever the processor offers, and as many threads as torch has, each a stream of its own."""
    threads = torch.get_num_threads()
    return {
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": threads,
        "ENABLE_CPU_PINNING": False,
    }

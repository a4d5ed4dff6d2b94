"""A tuned model as ONNX, and as int8 ONNX; each measured against what it was made from.

Both files take `pixels` (b, 3, S, S) in [0, 1] and give `logits` (b, C): normalisation is inside. The packages that
write and run them are the extra `export`.
"""

from __future__ import annotations

import contextlib
import io
import logging
import statistics
import tempfile
import time
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from frontrunner.errors import FrontrunnerError
from frontrunner.tuning.image_classifier import ImageClassifier
from frontrunner.tuning.images import Images
from frontrunner.tuning.result import Int8, Onnx

MODEL_FILE = "model.onnx"
INT8_FILE = "model.int8.onnx"
# Of the logits, relative to the largest: float32 through other kernels stays well inside this.
PARITY = 1e-3
CALIBRATION_EXAMPLES = 128
_PROBED = 8
_AT_ONCE = 16
_TIMED_RUNS = 20


class NotExportable(FrontrunnerError):
    """The model cannot be written as ONNX, or the file answers otherwise than the model."""

    code = "not_exportable"


def is_available() -> bool:
    """Whether the extra `export` is installed."""
    return all(find_spec(name) is not None for name in ("onnx", "onnxruntime", "onnxscript"))


def write_onnx(model: ImageClassifier, folder: Path, probe: Images) -> Onnx:
    """Write `model.onnx` and compare its answers with the model's.

    Args:
        model: in evaluation mode, on the CPU.
        folder: where to.
        probe: images to compare on.

    Raises:
        NotExportable: an operation has no ONNX form, or the answers differ by more than `PARITY`.
    """
    path = folder / MODEL_FILE
    pixels = probe.plain(torch.arange(min(len(probe), _PROBED)))
    example = torch.cat([pixels, pixels])[:2]  # one example would be taken for a constant
    try:
        with _quiet(), torch.no_grad():
            torch.onnx.export(
                model.eval(),
                (example,),
                path,
                input_names=["pixels"],
                output_names=["logits"],
                dynamic_shapes={"views": {0: torch.export.Dim("batch", min=1, max=4096)}},
                external_data=False,
                dynamo=True,
                verbose=False,
            )
            expected = model(pixels).numpy()
    except Exception as error:  # the exporter raises whatever its passes meet
        path.unlink(missing_ok=True)
        raise NotExportable(f"{model.description.architecture} has no ONNX form: {_first_line(error)}") from error
    answered = run_onnx(path, pixels.numpy())
    largest = float(np.abs(answered - expected).max() / max(float(np.abs(expected).max()), 1e-12))
    if not largest <= PARITY:
        path.unlink(missing_ok=True)
        raise NotExportable(f"the ONNX file's answers differ by {largest:.1e} from the model's; at most {PARITY:g}")
    return Onnx(
        file=MODEL_FILE, bytes=path.stat().st_size, latency_ms=_latency_ms(path, pixels), largest_difference=largest
    )


def write_int8(folder: Path, calibration: Images, test: Images) -> Int8:
    """Quantise `model.onnx` to int8 with ranges measured on training images, and measure what that costs.

    Weights by output channel, activations by tensor, both signed and symmetric in the weights: what runs fast on
    processors without a special unit too.

    Args:
        folder: holds `model.onnx`; the quantised file is written beside it.
        calibration: training images.
        test: images of the report.

    Raises:
        NotExportable: the quantiser fails on it.
    """
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    source, path = folder / MODEL_FILE, folder / INT8_FILE
    chosen = torch.arange(min(len(calibration), CALIBRATION_EXAMPLES))
    try:
        with _quiet(), tempfile.TemporaryDirectory() as place:
            prepared = Path(place) / "prepared.onnx"
            quant_pre_process(source, prepared, skip_symbolic_shape=True)
            quantize_static(
                prepared,
                path,
                _CalibrationImages(calibration, chosen),
                quant_format=QuantFormat.QDQ,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                per_channel=True,
            )
    except Exception as error:  # as above
        path.unlink(missing_ok=True)
        raise NotExportable(f"the ONNX file cannot be quantised: {_first_line(error)}") from error
    views = test.plain(torch.arange(len(test))).numpy()
    before, after, labels = run_onnx(source, views), run_onnx(path, views), test.labels.numpy()
    return Int8(
        file=INT8_FILE,
        bytes=path.stat().st_size,
        latency_ms=_latency_ms(path, test.plain(torch.arange(1))),
        distortion=float(np.linalg.norm(after - before) / np.linalg.norm(before)),
        accuracy=float((after.argmax(axis=1) == labels).mean()),
        accuracy_before=float((before.argmax(axis=1) == labels).mean()),
        calibration_examples=len(chosen),
    )


def run_onnx(path: Path, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, C) logits of (n, 3, S, S) pixels in [0, 1], on one thread of the CPU."""
    session = _session(path)
    starts = range(0, len(pixels), _AT_ONCE)
    return np.concatenate([session.run(None, {"pixels": pixels[at : at + _AT_ONCE]})[0] for at in starts])


class _CalibrationImages:
    """Hands images to the calibration a few at a time; see onnxruntime's `CalibrationDataReader`."""

    def __init__(self, images: Images, rows: torch.Tensor) -> None:
        self._batches: Iterator[torch.Tensor] = iter(torch.split(rows, _AT_ONCE))
        self._images = images

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        rows = next(self._batches, None)
        return None if rows is None else {"pixels": self._images.plain(rows).numpy()}


def _session(path: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _latency_ms(path: Path, pixels: torch.Tensor) -> float:
    session, one = _session(path), {"pixels": pixels[:1].numpy()}
    session.run(None, one)
    taken = []
    for _ in range(_TIMED_RUNS):
        start = time.perf_counter()
        session.run(None, one)
        taken.append(time.perf_counter() - start)
    return 1000 * statistics.median(taken)


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporters explain themselves on stdout and in warnings; neither is for the reader of a tuning."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)

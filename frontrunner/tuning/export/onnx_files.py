"""A tuned model as ONNX, and as int8 ONNX; each measured against what it was made from.

Both files give `logits` (b, C). Models of images take `pixels` (b, 3, S, S) in [0, 1]: normalisation is inside. Models
of texts take their tokenizer's tensors (b, t), pooling inside. The packages that write and run them are the extra
`export`.
"""

from __future__ import annotations

import contextlib
import io
import logging
import statistics
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from frontrunner.errors import FrontrunnerError
from frontrunner.tuning.examples.examples import Examples
from frontrunner.tuning.networks.classifier import Classifier
from frontrunner.tuning.networks.text_classifier import TextClassifier
from frontrunner.tuning.result import Int8, Onnx

# What a session is given: arrays (b, ...) by name.
Feed: TypeAlias = dict[str, NDArray[Any]]
MODEL_FILE = "model.onnx"
INT8_FILE = "model.int8.onnx"
# Of the logits, relative to the largest: float32 through other kernels stays well inside this.
PARITY = 1e-3
CALIBRATION_EXAMPLES = 128
# What protobuf can hold in one file, and some room for the graph.
_LARGEST_BYTES = 2_000_000_000
_PROBED = 8
_AT_ONCE = 16
_TIMED_RUNS = 20


class NotExportable(FrontrunnerError):
    """The model cannot be written as ONNX, or the file answers otherwise than the model."""

    code = "not_exportable"


def is_available() -> bool:
    """Whether the extra `export` is installed."""
    return all(find_spec(name) is not None for name in ("onnx", "onnxruntime", "onnxscript"))


class _Graph(nn.Module):
    """A classifier as a function of the backbone's inputs, in the order of `names`."""

    def __init__(self, model: Classifier, names: Sequence[str]) -> None:
        super().__init__()
        self._model, self._names = model, names

    def forward(self, *inputs: Tensor) -> Tensor:
        return self._model.answer(self._model.read(dict(zip(self._names, inputs, strict=True))))


def write_onnx(model: Classifier, folder: Path, probe: Examples) -> Onnx:
    """Write `model.onnx` and compare its answers with the model's.

    Args:
        model: in evaluation mode, on the CPU.
        folder: where to.
        probe: examples to compare on.

    Raises:
        NotExportable: an operation has no ONNX form, the file would be too large, or the answers differ by more than
            `PARITY`.
    """
    path = folder / MODEL_FILE
    size = sum(tensor.nbytes for tensor in model.state_dict().values())
    if size > _LARGEST_BYTES:
        raise NotExportable(
            f"the model has {size / 1e9:.1f} GB of weights; an ONNX file holds {_LARGEST_BYTES / 1e9:g}"
        )
    probed = torch.arange(min(len(probe), _PROBED))
    # One example would be taken for a constant.
    example = model.inputs(probe.plain(probed if len(probed) > 1 else probed.repeat(2)))
    try:
        with _quiet(), torch.no_grad():
            torch.onnx.export(
                _Graph(model.eval(), tuple(example)),
                tuple(example.values()),
                path,
                input_names=list(example),
                output_names=["logits"],
                dynamic_shapes=(tuple(_axes(model) for _ in example),),
                external_data=False,
                dynamo=True,
                verbose=False,
            )
            expected = model(probe.plain(probed)).numpy()
    except Exception as error:  # the exporter raises whatever its passes meet
        path.unlink(missing_ok=True)
        raise NotExportable(f"{model.description.architecture} has no ONNX form: {_first_line(error)}") from error
    answered = run_onnx(path, model, probe.take(probed.numpy()))
    largest = float(np.abs(answered - expected).max() / max(float(np.abs(expected).max()), 1e-12))
    if not largest <= PARITY:
        path.unlink(missing_ok=True)
        raise NotExportable(f"the ONNX file's answers differ by {largest:.1e} from the model's; at most {PARITY:g}")
    latency = _latency_ms(path, model, probe)
    return Onnx(file=MODEL_FILE, bytes=path.stat().st_size, latency_ms=latency, largest_difference=largest)


def _axes(model: Classifier) -> dict[int, torch.export.Dim]:
    """The axes of an input that may have any length."""
    axes = {0: torch.export.Dim("batch", min=1, max=4096)}
    if isinstance(model, TextClassifier):
        axes[1] = torch.export.Dim("tokens", min=1, max=model.preparation.max_tokens)
    return axes


def write_int8(model: Classifier, folder: Path, calibration: Examples, test: Examples) -> Int8:
    """Quantise `model.onnx` to int8, and measure what that costs.

    Weights by output channel, signed and symmetric. Activations of images by tensor, with ranges measured on training
    images: what runs fast on processors without a special unit too. Those of texts by batch as it comes, as a
    transformer's outliers move from text to text.

    Args:
        model: that the file was made of.
        folder: holds `model.onnx`; the quantised file is written beside it.
        calibration: training examples.
        test: examples of the report.

    Raises:
        NotExportable: the quantiser fails on it.
    """
    source, path = folder / MODEL_FILE, folder / INT8_FILE
    calibration_examples = 0 if isinstance(model, TextClassifier) else min(len(calibration), CALIBRATION_EXAMPLES)
    try:
        with _quiet():
            if calibration_examples:
                _quantise_statically(source, path, _feeds(model, calibration, calibration_examples))
            else:
                _quantise_dynamically(source, path)
    except Exception as error:  # as above
        path.unlink(missing_ok=True)
        raise NotExportable(f"the ONNX file cannot be quantised: {_first_line(error)}") from error
    before, after, labels = run_onnx(source, model, test), run_onnx(path, model, test), test.labels.numpy()
    return Int8(
        file=INT8_FILE,
        bytes=path.stat().st_size,
        latency_ms=_latency_ms(path, model, test),
        distortion=float(np.linalg.norm(after - before) / np.linalg.norm(before)),
        accuracy=float((after.argmax(axis=1) == labels).mean()),
        accuracy_before=float((before.argmax(axis=1) == labels).mean()),
        calibration_examples=calibration_examples,
    )


def _quantise_statically(source: Path, path: Path, calibration: Iterator[Feed]) -> None:
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as place:
        prepared = Path(place) / "prepared.onnx"
        quant_pre_process(source, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            path,
            _Calibration(calibration),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
        )


def _quantise_dynamically(source: Path, path: Path) -> None:
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    loaded = onnx.load(source)
    # The exporter's notes on shapes between the layers contradict those that the quantiser infers.
    del loaded.graph.value_info[:]
    quantize_dynamic(loaded, path, weight_type=QuantType.QInt8, per_channel=True)


def run_onnx(path: Path, model: Classifier, examples: Examples) -> NDArray[np.float32]:
    """(n, C) logits of the plain views, on one thread of the CPU; `model` makes its inputs of them."""
    session = _session(path)
    return np.concatenate([session.run(None, feed)[0] for feed in _feeds(model, examples, len(examples))])


def _feeds(model: Classifier, examples: Examples, first: int) -> Iterator[Feed]:
    for rows in torch.split(torch.arange(first), _AT_ONCE):
        yield {name: tensor.numpy() for name, tensor in model.inputs(examples.plain(rows)).items()}


class _Calibration:
    """Hands inputs to the calibration a few at a time; see onnxruntime's `CalibrationDataReader`."""

    def __init__(self, feeds: Iterator[Feed]) -> None:
        self._feeds = feeds

    def get_next(self) -> Feed | None:
        return next(self._feeds, None)


def _session(path: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _latency_ms(path: Path, model: Classifier, examples: Examples) -> float:
    session, one = _session(path), next(_feeds(model, examples, 1))
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

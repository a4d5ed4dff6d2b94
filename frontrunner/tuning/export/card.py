"""The model card of a tuned model: what a reader needs before using it. Licence lines are notes, not advice."""

from __future__ import annotations

from collections.abc import Sequence

from frontrunner.hub import CheckpointDescription
from frontrunner.tuning.request import TuningPayload
from frontrunner.tuning.result import CurvePoint, ExportedModel, TuningOutput

# Front matter that tells a hub how to serve the model, by what it reads and the library in whose form it is.
_SERVED_BY = {
    ("image", "timm"): ("library_name: timm", "pipeline_tag: image-classification"),
    ("image", "transformers"): ("library_name: transformers", "pipeline_tag: image-classification"),
    ("text", "transformers"): ("library_name: sentence-transformers", "pipeline_tag: text-classification"),
}
_FORMS = {
    ("image", "timm"): "timm's form",
    ("image", "transformers"): "transformers' form, opened by `AutoModelForImageClassification`",
    ("text", "transformers"): "transformers' form; pooling and head in sentence-transformers', whose `forward` gives "
    "`logits`",
}
# By ONNX files.
_TAKEN = {"image": "pixels in [0, 1]", "text": "the tensors of the tokenizer in this folder"}


def licence(parents: Sequence[CheckpointDescription]) -> str | None:
    """The parents' licence where all state one and the same; None otherwise."""
    stated = {parent.license for parent in parents}
    return next(iter(stated)) if len(stated) == 1 else None


def write_card(payload: TuningPayload, output: TuningOutput, model: ExportedModel | None) -> str:
    """README.md with front matter.

    Args:
        payload: the work.
        output: what came of it.
        model: the plain model that the card lies beside; None for a card of the whole.
    """
    parents = payload.checkpoints
    found = licence(parents)
    form = payload.modality, _library(parents, model)
    front = ["---", *_SERVED_BY[form]]
    if found:
        front.append(f"license: {found.lower()}")
    front += ["base_model:", *(f"- {_quoted(parent.id)}" for parent in parents)]
    front += ["datasets:", f"- {_quoted(payload.dataset.name)}", "tags:", "- frontrunner", f"- {output.method}", "---"]
    sections = [
        "\n".join(front),
        f"# {payload.dataset.name}, tuned by {output.method}",
        _results(output, f"{payload.modality}s"),
        _made(payload, output),
        _parents(parents),
        _curve(output.curve),
    ]
    if model is not None:
        sections.append(_files(model, payload.modality, _FORMS[form]))
    return "\n\n".join(sections) + "\n"


def _library(parents: Sequence[CheckpointDescription], model: ExportedModel | None) -> str:
    """The library of the parent that the model was; of a whole of several, the first one's."""
    was = (parent for parent in parents if model is not None and parent.architecture == model.architecture)
    return next(was, parents[0]).library


def _results(output: TuningOutput, examples: str) -> str:
    metrics = output.metrics
    accuracy = metrics.accuracy
    interval = f"{accuracy.low:.4f} to {accuracy.high:.4f}"
    lines = [
        "## Results",
        f"On {metrics.examples} {examples} of the {metrics.split} split"
        + (
            ", which training did not see."
            if metrics.split == "test"
            else f"; the dataset has no test split, and these {examples} chose when to stop, so figures flatter."
        ),
        "",
        "| accuracy | 95% (Wilson) | log loss | calibration error |",
        "|---|---|---|---|",
        f"| {accuracy.value:.4f} | {interval} | {metrics.log_loss:.4f} | {metrics.calibration_error:.4f} |",
    ]
    if len(metrics.classes) <= 20:
        lines += ["", "Rows: true class; columns: predicted class.", "", "| | " + " | ".join(metrics.classes) + " |"]
        lines.append("|---" * (len(metrics.classes) + 1) + "|")
        lines += [
            f"| {name} | " + " | ".join(map(str, row)) + " |"
            for name, row in zip(metrics.classes, metrics.confusion, strict=True)
        ]
    return "\n".join(lines)


def _made(payload: TuningPayload, output: TuningOutput) -> str:
    request = payload.request
    numbers = request.method.model_dump(exclude={"name"}).items()
    options = ", ".join(f"{name} {'by default' if value is None else value}" for name, value in numbers)
    lines = [
        "## How it was made",
        f"- data: {payload.dataset.name} (sha256 {payload.dataset.digest[:16]}...)",
        f"- {output.train_examples} training and {output.validation_examples} validation {payload.modality}s",
    ]
    if payload.source is not None:
        lines.append(f"- labels from the source {payload.source.name} (sha256 {payload.source.digest[:16]}...) alone")
    lines += [
        f"- method: {output.method}" + (f" ({options})" if options else ""),
        f"- learning rate {output.learning_rate:g}, batches of {request.batch_size}, seed {request.seed}",
        f"- weights of epoch {output.best_epoch}; {output.epochs} epochs of at most {request.epochs} were trained: "
        + output.ended_because,
    ]
    return "\n".join(lines)


def _parents(parents: Sequence[CheckpointDescription]) -> str:
    unknown = "not stated"
    lines = [
        "## Parents and their licences",
        "| checkpoint | architecture | pretrained on | licence |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {parent.id} | {parent.architecture} | {parent.pretraining or unknown} | {parent.license or unknown} |"
        for parent in parents
    ]
    lines.append("")
    if licence(parents):
        lines.append(
            "All parents are under one licence, which these weights carry on; the data may add terms of its own."
        )
    else:
        lines.append(
            "The parents' licences differ or are not stated: read each one before you pass these weights on. The data "
            "may add terms of its own."
        )
    return "\n".join(lines)


def _curve(curve: Sequence[CurvePoint]) -> str:
    lines = ["## Training", "| epoch | split | loss | accuracy |", "|---|---|---|---|"]
    lines += [
        f"| {point.epoch} | {point.split} | "
        + ", ".join(f"{name} {value:.4g}" for name, value in point.loss.items())
        + f" | {point.accuracy:.4f} |"
        for point in curve
    ]
    return "\n".join(lines)


def _files(model: ExportedModel, modality: str, form: str) -> str:
    lines = ["## Files", f"`model.safetensors` with `config.json`: {form}, {model.parameters:,} parameters."]
    if model.onnx:
        lines.append(
            f"`{model.onnx.file}`: {model.onnx.bytes:,} bytes, {model.onnx.latency_ms:.2f} ms an example on one "
            f"thread; takes {_TAKEN[modality]}."
        )
    if model.int8:
        lines.append(
            f"`{model.int8.file}`: {model.int8.bytes:,} bytes, {model.int8.latency_ms:.2f} ms; distortion of the "
            f"logits {model.int8.distortion:.3f}, accuracy {model.int8.accuracy:.4f} where float32 has "
            f"{model.int8.accuracy_before:.4f}."
        )
    if model.note:
        lines.append(model.note)
    return "\n".join(lines)


def _quoted(text: str) -> str:
    """A YAML string whatever is in it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

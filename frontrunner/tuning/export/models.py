"""Tuned models in the hub's own form, so that they can be ranked, tuned again, or served by its libraries."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from PIL import Image
from safetensors.torch import save_file
from timm.models import save_for_hf
from torch import Tensor

from frontrunner.errors import CheckpointUnreadable
from frontrunner.files import whole_file
from frontrunner.hub import HubAccess, describe_directory
from frontrunner.hub.opening.checkpoint import Checkpoint
from frontrunner.hub.opening.open import open_checkpoint
from frontrunner.hub.opening.text_head import write_head, write_pooling
from frontrunner.hub.opening.texts import TextPreparation
from frontrunner.tuning.examples.examples import Examples, Texts
from frontrunner.tuning.examples.images import VIEW_SHARE, Images
from frontrunner.tuning.networks.classifier import Classifier
from frontrunner.tuning.networks.image_classifier import Normalise
from frontrunner.tuning.networks.text_classifier import TextClassifier
from frontrunner.tuning.networks.timm_classifier import TimmClassifier
from frontrunner.tuning.networks.transformers_classifier import TransformersClassifier

_PARITY = 1e-4
_PROBED = 2


def write_model(
    model: Classifier,
    folder: Path,
    classes: Sequence[str],
    report: Examples,
    provenance: dict[str, object],
    access: HubAccess,
) -> None:
    """`config.json` and `model.safetensors` of one tuned model; replaces what lies in `folder`.

    Images: the form that the checkpoint was in, timm's or transformers'. Texts: transformers' form for the encoder with
    its tokenizer, and sentence-transformers' for the pooling and the head. The folder is opened again as any checkpoint
    is, and must answer as the model does.

    Args:
        model: in evaluation mode, on the CPU.
        folder: its name becomes the checkpoint's.
        classes: names of the outputs.
        report: the examples that it is measured on; a few are asked of what was written.
        provenance: where it comes from; `license` and `pretraining_dataset` are what a catalogue shows.
        access: how the folder is opened again.

    Raises:
        CheckpointUnreadable: the written files answer otherwise than the model.
    """
    partial = folder.with_name(f".{uuid.uuid4().hex}.partial")
    partial.mkdir(parents=True)
    try:
        if isinstance(model, TextClassifier):
            _write_text_model(model, partial, classes, provenance)
        else:
            assert isinstance(report, Images)  # noqa: S101 - the other kind
            if isinstance(model, TimmClassifier):
                _write_timm_model(model, partial, classes, report.image_size, provenance)
            else:
                assert isinstance(model, TransformersClassifier)  # noqa: S101 - the other form
                _write_transformers_model(model, partial, classes, report.image_size, provenance)
        _require_parity(model, open_checkpoint(describe_directory(partial), access), report)
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write_timm_model(
    model: TimmClassifier, folder: Path, classes: Sequence[str], image_size: int, provenance: dict[str, object]
) -> None:
    save_for_hf(
        model.network,
        str(folder),
        safe_serialization=True,
        model_config={"label_names": list(classes), "provenance": provenance},
        data_config={
            "input_size": (3, image_size, image_size),
            "mean": tuple(model.normalise.mean.flatten().tolist()),
            "std": tuple(model.normalise.deviation.flatten().tolist()),
            "interpolation": "bilinear",
            "crop_pct": VIEW_SHARE,
            "crop_mode": "center",
        },
    )


def _write_transformers_model(
    model: TransformersClassifier, folder: Path, classes: Sequence[str], image_size: int, provenance: dict[str, object]
) -> None:
    network = model.plain_network()
    config = network.config
    config.id2label = dict(enumerate(classes))
    config.label2id = {name: code for code, name in enumerate(classes)}
    config.problem_type = "single_label_classification"
    config.provenance = provenance
    mean, deviation = model.normalise.mean.flatten().tolist(), model.normalise.deviation.flatten().tolist()
    if hasattr(config, "pretrained_cfg"):  # of checkpoints that were brought over from elsewhere
        config.pretrained_cfg = {
            "input_size": [3, image_size, image_size],
            "mean": mean,
            "std": deviation,
            "interpolation": "bilinear",
            "crop_pct": VIEW_SHARE,
            "crop_mode": "center",
        }
    network.save_pretrained(folder, safe_serialization=True)
    # The views of the tuning, in words that any family's model understands.
    transformers.CLIPImageProcessor(
        do_resize=True,
        size={"shortest_edge": round(image_size / VIEW_SHARE)},
        resample=Image.Resampling.BILINEAR,
        do_center_crop=True,
        crop_size={"height": image_size, "width": image_size},
        do_rescale=True,
        rescale_factor=1 / 255,
        do_normalize=True,
        image_mean=mean,
        image_std=deviation,
        do_convert_rgb=True,
    ).save_pretrained(folder)


def _write_text_model(
    model: TextClassifier, folder: Path, classes: Sequence[str], provenance: dict[str, object]
) -> None:
    config: Any = model.network.config
    config.id2label = dict(enumerate(classes))
    config.label2id = {name: code for code, name in enumerate(classes)}
    config.provenance = provenance
    model.network.save_pretrained(folder, safe_serialization=True)
    model.preparation.save(folder)
    pooling = model.description.text_pooling
    assert pooling is not None  # noqa: S101 - descriptions of text checkpoints have one
    write_pooling(folder, pooling, model.classifier.in_features, model.preparation.max_tokens)
    write_head(folder, model.plain_head())


def save_tensors(tensors: dict[str, Tensor], path: Path) -> None:
    """A safetensors file, written whole or not at all."""
    with whole_file(path) as file:
        save_file({name: value.detach().cpu().clone().contiguous() for name, value in tensors.items()}, file.name)


def _require_parity(model: Classifier, written: Checkpoint, report: Examples) -> None:
    rows = torch.arange(min(len(report), _PROBED))
    answered = _logits(written, report, rows)
    with torch.inference_mode():
        expected = model.eval()(report.plain(rows))
    difference = float((answered - expected).abs().max() / expected.abs().max().clamp_min(1e-12))
    if not difference <= _PARITY:
        raise CheckpointUnreadable(
            f"{model.description.architecture}: the written checkpoint answers otherwise than the tuned model, by "
            f"{difference:.1e} of the largest logit"
        )


def _logits(opened: Checkpoint, examples: Examples, rows: Tensor) -> Tensor:
    """(b, C) logits of a written model, opened as any checkpoint is, to the plain views at `rows`."""
    views = examples.plain(rows)
    with torch.inference_mode():
        if isinstance(views, Texts):
            assert isinstance(opened.preparation, TextPreparation)  # noqa: S101 - a model of texts was written
            logits = opened.forward(opened.preparation.together(views.firsts, views.seconds)).source_logits
        else:
            pixels = Normalise.of(opened)(views)
            # timm's module itself: the head of what was an image encoder of a pair passes for a projection.
            is_timm = opened.description.library == "timm"
            logits = opened.module(pixels) if is_timm else opened.forward(pixels).source_logits
    if logits is None:
        raise CheckpointUnreadable(f"{opened.description.id}: the written checkpoint has no head")
    return logits

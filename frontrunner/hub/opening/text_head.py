"""A text classifier in sentence-transformers' form: the pooling, and a head that is a dense layer and writes `logits`.

Tuning writes both. The sentence encoder in front of it stays what it is to whoever does not look for a head; to
sentence-transformers the answers are `model.forward(...)["logits"]`.
"""

from __future__ import annotations

import json
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from frontrunner.errors import CheckpointUnreadable
from frontrunner.hub.describing.configuration import (
    HEAD_CONFIG_FILE,
    HEAD_WEIGHTS_FILE,
    read_if_there,
)
from frontrunner.hub.describing.reading import TextPooling
from frontrunner.hub.describing.sentence_encoder import (
    MODULES_FILE,
    POOLING_FOLDER,
    POOLINGS,
    STEP_CONFIG,
    TRANSFORMER_FILES,
)

_OUTPUT = "logits"


def read_head(folder: Path, features: int) -> nn.Linear | None:
    """The head of a checkpoint's folder, or None where it has none.

    Args:
        folder: where the checkpoint lies.
        features: D, what its pooling gives.

    Raises:
        CheckpointUnreadable: it has one that does not fit.
    """
    config = read_if_there(folder / HEAD_CONFIG_FILE)
    if config.get("module_output_name") != _OUTPUT:
        return None
    # Sizes are those of the file and not what the configuration claims: a claim costs nothing and memory does.
    try:
        stored = load_file(folder / HEAD_WEIGHTS_FILE)
        weight, bias = stored["linear.weight"].float(), stored["linear.bias"].float()
    except (OSError, KeyError, SafetensorError) as error:
        raise CheckpointUnreadable(f"{folder.name}/{HEAD_WEIGHTS_FILE} holds no head: {error}") from error
    if weight.ndim != 2 or weight.shape[1] != features or bias.shape != weight.shape[:1]:
        raise CheckpointUnreadable(
            f"{folder.name}/{HEAD_WEIGHTS_FILE} is {tuple(weight.shape)} and reads no {features} features"
        )
    head = nn.Linear(features, len(weight))
    head.load_state_dict({"weight": weight, "bias": bias})
    return head.eval()


def write_head(folder: Path, head: nn.Linear) -> None:
    """Write a head where `read_head` finds it."""
    (folder / HEAD_CONFIG_FILE).parent.mkdir()
    config = {
        "in_features": head.in_features,
        "out_features": head.out_features,
        "bias": True,
        "activation_function": "torch.nn.modules.linear.Identity",
        "module_input_name": "sentence_embedding",
        "module_output_name": _OUTPUT,
    }
    (folder / HEAD_CONFIG_FILE).write_text(json.dumps(config, indent=1))
    tensors = {f"linear.{name}": value.detach().cpu().contiguous() for name, value in head.state_dict().items()}
    save_file(tensors, folder / HEAD_WEIGHTS_FILE)


def write_pooling(folder: Path, how: TextPooling, features: int, max_tokens: int) -> None:
    """Write how hidden states become features, and that a head follows."""
    names = {ours: name for name, ours in POOLINGS.items()}
    modes = [names[mode] for mode in how.pooling.split("+")]
    (folder / POOLING_FOLDER).mkdir()
    pooling = {"word_embedding_dimension": features // len(modes), "pooling_mode": modes if modes[1:] else modes[0]}
    (folder / POOLING_FOLDER / STEP_CONFIG).write_text(json.dumps(pooling, indent=1))
    settings = {"max_seq_length": max_tokens, "do_lower_case": False}
    (folder / TRANSFORMER_FILES[0]).write_text(json.dumps(settings, indent=1))
    steps = [("", "Transformer"), (POOLING_FOLDER, "Pooling")]
    steps += [("2_Normalize", "Normalize")] if how.normalised else []
    steps.append((Path(HEAD_CONFIG_FILE).parent.name, "Dense"))
    modules = [
        {"idx": place, "name": str(place), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for place, (path, kind) in enumerate(steps)
    ]
    (folder / MODULES_FILE).write_text(json.dumps(modules, indent=1))

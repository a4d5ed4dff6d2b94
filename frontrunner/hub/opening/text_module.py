"""The part of a transformers' model that reads texts, with the checkpoint's own weights and no others. Imports torch.

The library fills weights that a folder does not hold with random ones and says so in a warning. Here they may be
missing only where texts never pass; and those that could be reached after all are NaN, so that nothing random can come
out of a reading unseen.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import nn
from transformers.models.auto.auto_factory import _get_model_class
from transformers.models.auto.modeling_auto import MODEL_FOR_TEXT_ENCODING_MAPPING

from frontrunner.errors import CheckpointUnreadable
from frontrunner.hub.describing.text_families import DUAL_ENCODERS, LAYER_NAMES
from frontrunner.hub.describing.weights import tensor_shapes, weight_files
from frontrunner.hub.opening.loading import stored_weights

# A layer of its own behind the first token's hidden state; many checkpoints lack it, and poolings of tokens need none.
_POOLER = "pooler"
_ENCODER_ALONE = "EncoderModel"
# Rotary frequencies as a checkpoint states them, beside those that grow with the longest text so far.
_ORIGINAL = "original_inv_freq"


def load_text_module(checkpoint: str, folder: Path, config: Any) -> Any:
    """The encoder or decoder of a folder that reads texts, in evaluation mode, float32.

    Of an encoder-decoder it is the encoder, of a pair of encoders the one of texts, called by `get_text_features`.

    Args:
        checkpoint: its id, for messages.
        folder: where its weights lie.
        config: its configuration, as transformers reads it.

    Raises:
        CheckpointUnreadable: weights that reading a text needs are missing or misshapen.
    """
    files = weight_files(folder)
    names = [name for path in files for name in tensor_shapes(path)]
    architecture = _architecture(config)
    lacks_pooler = not any(_POOLER in name for name in names)
    takes_choice = "add_pooling_layer" in inspect.signature(architecture.__init__).parameters
    module, report = architecture.from_pretrained(
        None,
        config=config,
        # The library's own way through a folder holds float16 weights beside the float32 ones that it makes of them.
        state_dict=dict(stored_weights(files)),
        dtype=torch.float32,
        output_loading_info=True,
        **({"add_pooling_layer": False} if lacks_pooler and takes_choice else {}),
    )
    places = dict(module.named_parameters(remove_duplicate=False))
    reads = _reading_part(module, config)
    wanted = {id(value) for value in reads.parameters()}
    missing = [name for name in report["missing_keys"] if id(places.get(name)) in wanted]
    needed = sorted(name for name in missing if _POOLER not in name)
    if needed or report["mismatched_keys"]:
        wrong = needed or sorted(map(str, report["mismatched_keys"]))
        raise CheckpointUnreadable(f"{checkpoint}: weights are missing or misshapen, for instance {wrong[:3]}")
    for name in missing:
        with torch.no_grad():
            places[name].fill_(float("nan"))
    return reads.eval()


def _architecture(config: Any) -> Any:
    """The library's class of the family: that of its encoder alone where there is one."""
    if type(config) in MODEL_FOR_TEXT_ENCODING_MAPPING and not hasattr(config, "encoder"):
        encoder: Any = _get_model_class(config, MODEL_FOR_TEXT_ENCODING_MAPPING)
        if encoder.__name__.endswith(_ENCODER_ALONE):
            return encoder
    config.architectures = config.architectures or []  # looked through where a family has several classes
    return _get_model_class(config, transformers.AutoModel._model_mapping)


def _reading_part(module: Any, config: Any) -> Any:
    if config.model_type in DUAL_ENCODERS:
        return _text_tower(module)
    alone = type(module).__name__.endswith(_ENCODER_ALONE)
    return module.get_encoder() if config.is_encoder_decoder or alone else module


def _text_tower(module: Any) -> Any:
    """The pair without its image encoder; its projection of texts, whose input are the features, is passed through."""
    for name, _ in list(module.named_children()):
        if not name.startswith("text"):
            setattr(module, name, None)
    module._parameters.clear()  # the scale of the pair's logits
    if getattr(module, "text_projection", None) is not None:
        module.text_projection = nn.Identity()
    return module


def keep_layers(checkpoint: str, module: nn.Module, config: Any, layers: int) -> None:
    """Cut the module's stack down to its first `layers`; what closes the stack stays behind them.

    Raises:
        CheckpointUnreadable: there are not so many, or its stack is not one that can be cut.
    """
    stated = getattr(config, "text_config", config)
    count = next((c for name in LAYER_NAMES if isinstance(c := getattr(stated, name, None), int) and c > 0), 0)
    if layers > count:
        raise CheckpointUnreadable(f"{checkpoint}: there is no layer {layers}, only {count}")
    if layers == count:
        return
    if getattr(stated, "num_hidden_groups", 1) != 1:  # shared layers are chosen by their place in the whole stack
        raise CheckpointUnreadable(f"{checkpoint}: its layers share weights in groups, and cannot be cut")
    _cut(module, count, layers)
    for part in module.modules():
        for owner in (config, stated, part, getattr(part, "config", config)):
            for name in LAYER_NAMES:
                if vars(owner).get(name) == count:
                    setattr(owner, name, layers)


def _cut(module: nn.Module, count: int, layers: int) -> None:
    """Shorten every list of `count` layers that is not inside of another."""
    for name, part in module.named_children():
        if isinstance(part, nn.ModuleList) and len(part) == count:
            setattr(module, name, part[:layers])
        else:
            _cut(part, count, layers)


def forget_earlier_texts(module: Any) -> None:
    """Undo what architectures remember of the lengths that they have read: it would change what they read next."""
    if hasattr(module, "set_attention_type"):
        module.set_attention_type(module.config.attention_type)
    for part in module.modules():
        if "dynamic" not in str(getattr(part, "rope_type", "")):
            continue
        for name, original in [(n, v) for n, v in part.named_buffers(recurse=False) if n.endswith(_ORIGINAL)]:
            setattr(part, name.replace(_ORIGINAL, "inv_freq"), original.clone())
        for name in [name for name in vars(part) if name.endswith("max_seq_len_cached")]:
            setattr(part, name, part.original_max_seq_len)

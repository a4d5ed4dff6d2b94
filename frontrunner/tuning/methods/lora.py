"""LoRA: beside a linear layer's weights W stands a product of two thin matrices, and it alone learns, with the head.

Source: Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", ICLR 2022, equation 3: W + (alpha / r) B A with
A random and B zero at the start, on the layers of attention. The adapters are peft's. A tuned model holds the sums, and
is as plain as any other.

Adapters and head learn at one rate, ten times that of full fine-tuning, by AdamW whatever is read: B's gradient starts
at zero with A's, and plain gradient steps leave both there for long.
"""

from __future__ import annotations

import copy
from importlib.util import find_spec
from typing import Any

import torch
from torch import nn

from frontrunner.errors import ExtraMissing, MethodUnsuited
from frontrunner.tuning.context import TuningContext
from frontrunner.tuning.examples.examples import Views
from frontrunner.tuning.networks.classifier import Classifier
from frontrunner.tuning.options import LoRAOptions
from frontrunner.tuning.training.method import Batch, Method, Outcome, cross_entropy, decaying

# How libraries call the part of a block that attends: `blocks.0.attn.qkv`, `layer.0.attention.self.query`.
_ATTENDS = ("attn", "attention")


def lora(context: TuningContext[LoRAOptions]) -> Method:
    """Loss: cross-entropy.

    Raises:
        ExtraMissing: peft is not installed.
        MethodUnsuited: the network has no linear layers of that kind.
    """
    if find_spec("peft") is None:
        raise ExtraMissing("lora needs the library peft: pip install 'frontrunner[lora]'")
    import peft

    options = context.options
    student = context.open_student()
    example = context.train.plain(torch.zeros(1, dtype=torch.long))
    names = adapted_layers(student, example, options.layers)
    if not names:
        of = "linear layers of attention" if options.layers == "attention" else "linear layers"
        raise MethodUnsuited(
            f"lora adapts {of}, and the backbone of {student.description.id}, {student.description.architecture}, "
            "calls none: choose a transformer, or finetune"
        )
    settings = peft.LoraConfig(
        r=options.rank,
        lora_alpha=options.alpha,
        lora_dropout=options.dropout,
        target_modules=names,
        fan_in_fan_out=any(_is_transposed(student.network.get_submodule(name)) for name in names),
    )
    # The layers of the student's own network are replaced; what comes back is a way to merge them again.
    adapted = peft.get_peft_model(student.network, settings)
    adapters = [weight for _, weight in student.backbone() if weight.requires_grad]
    for weight in student.head():
        weight.requires_grad_(True)

    def loss(batch: Batch) -> Outcome:
        logits = student(batch.views)
        return Outcome({"task": cross_entropy(logits, batch.labels)}, logits)

    groups = [*decaying(adapters), *decaying(student.head())]
    return Method(student, groups, loss, student, lambda: {"model": merged(student, adapted)})


def adapted_layers(student: Classifier, example: Views, layers: str) -> list[str]:
    """Names of the linear layers of the backbone that are given adapters.

    Layers whose weights are read and that are never called themselves are left out: an adapter beside them is not seen.

    Args:
        student: the network.
        example: views of an example or more, for the pass that shows what is called.
        layers: `attention` or `all`.
    """
    head = {id(part) for layer in student.head_layers() for part in layer.modules()}
    called: set[int] = set()
    linear = {
        name: part
        for name, part in student.network.named_modules()
        if _is_linear(part) and id(part) not in head and (layers == "all" or _attends(name))
    }
    hooks = [part.register_forward_hook(lambda layer, *_: called.add(id(layer))) for part in linear.values()]
    try:
        with torch.inference_mode():
            student.eval()(example)
    finally:
        for hook in hooks:
            hook.remove()
    return [name for name, part in linear.items() if id(part) in called]


def merged(student: Classifier, adapted: Any) -> Classifier:
    """A copy of the student whose layers hold W + (alpha / r) B A.

    Args:
        student: with adapters.
        adapted: peft's view of its network.
    """
    plain, view = copy.deepcopy((student, adapted))
    view.merge_and_unload()
    return plain.requires_grad_(True).eval()


def _is_linear(part: nn.Module) -> bool:
    return type(part) is nn.Linear or _is_transposed(part)


def _is_transposed(part: nn.Module) -> bool:
    """Whether it is the linear layer of transformers' GPT-2, whose weights lie the other way round."""
    return type(part).__name__ == "Conv1D"


def _attends(name: str) -> bool:
    return any(word in part.lower() for part in name.split(".") for word in _ATTENDS)

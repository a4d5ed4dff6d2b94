"""Which texts may share a batch: those whose features do not depend on each other's lengths. Imports torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from frontrunner.hub.opening.checkpoint import ForwardOutput
from frontrunner.hub.opening.texts import TextPreparation

# Attention over blocks, landmarks or hashes: what they make of padding depends on lengths that no short test reaches.
_BLOCKWISE = frozenset(
    {
        "big_bird", "bigbird_pegasus", "convbert", "fnet", "funnel", "led", "longformer", "longt5", "mra",
        "nystromformer", "pegasus_x", "reformer", "yoso",
    }
)  # fmt: skip
# Rotary frequencies that change with the length of the batch.
_STRETCHED = ("dynamic", "longrope")
# Well above rounding and well below what is promised: padding that is hidden changes nothing but rounding.
_HIDDEN = 1e-5
_LONG = " ".join(
    f"{word} of the bank" for word in ("lost card", "old money", "7 machines", "late fees", "no cash", "x?")
)
_SHORT = "a late card"

Forward = Callable[[Mapping[str, Tensor]], ForwardOutput]


@torch.inference_mode()
def choose_batching(forward: Forward, preparation: TextPreparation, config: Any) -> tuple[str, ...]:
    """Set how texts are batched, from what is known of the family and from a test; what to note of it.

    Args:
        forward: one pass over a batch of tokens.
        preparation: makes the batches; `equal_lengths` and `one_at_a_time` are set.
        config: the model's configuration.
    """
    stretched = any(kind in str(getattr(config, "rope_parameters", "")) for kind in _STRETCHED)
    if config.model_type not in _BLOCKWISE and not stretched and _same(forward, preparation, _LONG, _SHORT):
        return ()
    preparation.equal_lengths = True
    if _same(forward, preparation, _SHORT, " ".join(reversed(_SHORT.split()))):
        return ("padding changes its features: texts are read in batches of one length",)
    preparation.one_at_a_time = True
    return ("other texts in a batch change its features: every text is read alone",)


def _same(forward: Forward, preparation: TextPreparation, first: str, second: str) -> bool:
    """Whether two texts have the features in one batch that they have alone."""
    together = preparation.together([first, second], None)
    if preparation.equal_lengths:  # of one length, and so without padding
        length = int(together["attention_mask"].sum(dim=1).min())
        rows = [{name: value[[row], :length] for name, value in together.items()} for row in (0, 1)]
        together = {name: torch.cat([row[name] for row in rows]) for name in rows[0]}
    else:
        rows = [dict(preparation.together([text], None)) for text in (first, second)]
    try:
        alone = torch.cat([forward(row).features for row in rows])
        joined = forward(dict(together)).features
    except (RuntimeError, ValueError, IndexError, TypeError):  # it takes no batch of these
        return False
    return bool((alone - joined).abs().max() <= _HIDDEN * alone.abs().max().clamp_min(1e-12))

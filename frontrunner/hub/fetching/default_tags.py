"""What `timm:resnet18` means: the weights that timm itself takes where no tag is named."""

from __future__ import annotations

import functools
import subprocess
import sys

from frontrunner.errors import CheckpointNotFound

# timm imports torch, which a process that lists and describes does without: a child asks it, once an architecture.
_QUESTION = """
import sys, timm
stated = timm.get_pretrained_cfg(sys.argv[1], allow_unregistered=False) if timm.is_model(sys.argv[1]) else None
print(stated.tag if stated is not None and stated.hf_hub_id == f"timm/{sys.argv[1]}.{stated.tag}" else "")
"""
_PATIENCE_S = 120


@functools.lru_cache(maxsize=256)
def default_name(architecture: str) -> str:
    """`resnet18.a1_in1k` for `resnet18`.

    Raises:
        CheckpointNotFound: timm has no such architecture, or no weights for it on the hub.
    """
    if "timm" in sys.modules:
        tag = _asked_here(architecture)
    else:
        command = [sys.executable, "-c", _QUESTION, architecture]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_S, check=False)
        tag = answer.stdout.strip()
    if not tag:
        raise CheckpointNotFound(
            f"timm:{architecture} names no weights: timm has none for it; `frontrunner checkpoints search "
            f"{architecture}` looks for names with their tags, after `checkpoints sync timm`"
        )
    return f"{architecture}.{tag}"


def _asked_here(architecture: str) -> str:
    import timm

    stated = timm.get_pretrained_cfg(architecture) if timm.is_model(architecture) else None
    return str(stated.tag) if stated is not None and stated.hf_hub_id == f"timm/{architecture}.{stated.tag}" else ""

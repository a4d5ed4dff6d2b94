"""What `timm:resnet18` means: the weights that timm itself takes where no tag is named."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
import threading
from importlib.util import find_spec

from frontrunner.errors import CheckpointNotFound, ExtraMissing, InternalError
from frontrunner.processes import module_command

_PATIENCE_S = 300
_asking = threading.Lock()


def default_name(architecture: str) -> str:
    """`resnet18.a1_in1k` for `resnet18`.

    Raises:
        CheckpointNotFound: timm has no such architecture, or no weights for it on the hub.
        ExtraMissing: timm is not installed.
    """
    with _asking:
        tag = _tags().get(architecture)
    if tag is None:
        raise CheckpointNotFound(
            f"timm:{architecture} names no weights: timm has none for it; `frontrunner checkpoints search "
            f"{architecture}` looks for names with their tags, after `checkpoints sync timm`"
        )
    return f"{architecture}.{tag}"


def tags_of_timm() -> dict[str, str]:
    """The tag that timm takes by itself, by architecture; of weights that are in timm's own place on the hub."""
    import timm

    stated = ((name, timm.get_pretrained_cfg(name)) for name in timm.list_models())
    return {
        name: str(found.tag)
        for name, found in stated
        if found is not None and found.hf_hub_id == f"timm/{name}.{found.tag}"
    }


@functools.cache
def _tags() -> dict[str, str]:
    if find_spec("timm") is None:
        raise ExtraMissing("timm is not installed: pip install 'frontrunner[images]'")
    if "timm" in sys.modules:
        return tags_of_timm()
    # timm imports torch, which a process that lists and describes does without: a child tells it of all architectures.
    command = module_command(__name__)
    answer = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_S, check=False)
    if answer.returncode:
        raise InternalError(f"timm cannot be asked for its checkpoints: {answer.stderr.strip()[-300:]}")
    found: dict[str, str] = json.loads(answer.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":  # the process that is asked
    print(json.dumps(tags_of_timm()))

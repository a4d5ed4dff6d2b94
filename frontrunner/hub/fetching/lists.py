"""Lists of checkpoints that others keep, as entries of the catalogue: timm's own list, and the Hub's.

timm's list is in the library, so that one needs no network; sizes are those that are published, and are counted on a
model built without memory only where nothing is. The Hub's list is what its search answers, the most used ones first.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from frontrunner.errors import HubOffline
from frontrunner.hub.access import HubAccess
from frontrunner.hub.describing.card import Card
from frontrunner.hub.describing.listing import ListedCheckpoint, family_of, tags_of
from frontrunner.hub.fetching.client import ask, client

# How the Hub's search calls what we read, and what it is to us.
PIPELINES = {
    "image": ("image-classification", "image-feature-extraction"),
    "text": ("sentence-similarity", "feature-extraction", "fill-mask", "text-generation"),
}
_EXPAND: list[Any] = ["sha", "tags", "downloads", "cardData", "config", "safetensors", "library_name", "pipeline_tag"]


def listed_by_timm(pattern: str = "*") -> Iterator[ListedCheckpoint]:
    """Checkpoints of timm's list whose weights lie where `timm:NAME.TAG` looks for them. Imports torch.

    Args:
        pattern: only names that match it, with `*` for any letters; all by default.
    """
    import timm

    from frontrunner.evidence.facts import timm_facts

    counted: dict[tuple[str, int], int | None] = {}
    for name in timm.list_pretrained(pattern):
        stated = timm.get_pretrained_cfg(name)
        architecture, _, tag = name.partition(".")
        if stated is None or stated.hf_hub_id != f"timm/{name}":
            continue
        facts = timm_facts(name, stated.input_size[-1]) or timm_facts(name)
        if facts is None and (built := (architecture, int(stated.num_classes))) not in counted:
            counted[built] = _counted(*built)
        published = facts is not None and facts.image_size == stated.input_size[-1] and facts.gmacs
        yield ListedCheckpoint(
            id=f"timm:{name}",
            library="timm",
            modality="image",
            architecture=architecture,
            family=family_of(architecture),
            parameters=counted[built] if facts is None else facts.parameters,
            flops=round(2e9 * published) if published else None,
            input_size=stated.input_size[-1],
            license=stated.license,
            tags=tuple(tag.split("_")) if tag else (),
        )


def listed_by_use(access: HubAccess, limit: int) -> Iterator[ListedCheckpoint]:
    """The most used checkpoints of the Hub that read images or texts and come as safetensors.

    Args:
        access: which Hub, and as whom.
        limit: at most this many for each kind of task that the Hub tells apart.

    Raises:
        HubError: a subclass says how the Hub failed, or that this machine is offline.
    """
    if access.mode == "offline":
        raise HubOffline("this machine fetches nothing (FRONTRUNNER_HUB_MODE is offline)")
    api = client(access)
    for modality, pipelines in PIPELINES.items():
        for pipeline in pipelines:
            found = functools.partial(
                api.list_models, filter=["safetensors", pipeline], sort="downloads", limit=limit, expand=_EXPAND
            )
            models = ask(functools.partial(_all, found), f"the list of {pipeline} checkpoints")
            yield from _entries(models, modality)


def _all(found: Callable[[], Iterable[Any]]) -> list[Any]:
    return list(found())


def _entries(models: Sequence[Any], modality: str) -> Iterator[ListedCheckpoint]:
    for model in models:
        of_timm = model.library_name == "timm"
        if not of_timm and model.library_name not in ("transformers", "sentence-transformers"):
            continue
        card = Card.of(vars(model.card_data) if model.card_data else {})
        architecture = (model.config or {}).get("model_type")
        yield ListedCheckpoint(
            id=f"timm:{model.id.removeprefix('timm/')}" if model.id.startswith("timm/") else f"hf:{model.id}",
            library="timm" if of_timm else "transformers",
            modality=modality,
            architecture=architecture,
            family=family_of(architecture or model.id.split("/")[-1].lower()),
            parameters=model.safetensors.total if model.safetensors else None,
            license=card.license,
            pretraining=card.pretraining,
            base_model=card.base_model,
            popularity=model.downloads,
            tags=tags_of(model.tags or ()),
        )


def _counted(architecture: str, classes: int) -> int | None:
    """Parameters of an architecture with a head of so many classes; None where it cannot be built without data."""
    import timm
    import torch

    try:
        with torch.device("meta"):
            module: Any = timm.create_model(architecture, num_classes=classes)
    except Exception:  # some architectures look at values, and there are none
        return None
    return int(sum(parameter.numel() for parameter in module.parameters()))

"""What reading checkpoints took on this machine, kept for the next ranking."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Sequence

from frontrunner.hub import CheckpointDescription, ReadingCost
from frontrunner.store import Store, read_json, write_json

# Opens checkpoints of a library that read so, and loads it.
_OPENERS = {
    ("timm", "image"): "frontrunner.hub.opening.timm_checkpoint",
    ("transformers", "image"): "frontrunner.hub.opening.transformers_checkpoint",
    ("transformers", "text"): "frontrunner.hub.opening.text_checkpoint",
}


def load_libraries(found: Sequence[CheckpointDescription]) -> None:
    """Load what opening these checkpoints takes: it takes seconds, which are no single checkpoint's cost."""
    for kind in sorted({(each.library, each.modality) for each in found} & set(_OPENERS)):
        importlib.import_module(_OPENERS[kind])


def with_costs(found: Sequence[CheckpointDescription], store: Store) -> list[CheckpointDescription]:
    """The checkpoints with what reading them took when they were last read here, if they were."""
    return [_with(each, read_json(store, _name_of(each))) for each in found]


def keep_cost(found: CheckpointDescription, cost: ReadingCost, store: Store) -> None:
    """Keep what reading a checkpoint took."""
    write_json(store, _name_of(found), cost.model_dump(mode="json"))


def with_first_costs(found: Sequence[CheckpointDescription], ranking: str, store: Store) -> list[CheckpointDescription]:
    """The checkpoints with what was known of their costs when they were first ranked so.

    A race for a share weighs costs against each other: one that was interrupted measured some of them meanwhile, and
    would go on another way.

    Args:
        found: what is ranked, with costs as they are known now.
        ranking: tells rankings apart.
        store: where they are kept.
    """
    said = "\n".join([ranking, *(each.digest for each in found)])
    name = f"cache/costs/races/{hashlib.sha256(said.encode()).hexdigest()[:24]}.json"
    kept = read_json(store, name)
    if kept is None:
        kept = {each.digest: each.costs[0].model_dump(mode="json") if each.costs else None for each in found}
        write_json(store, name, kept)
    return [_with(each.model_copy(update={"costs": ()}), kept[each.digest]) for each in found]


def _with(found: CheckpointDescription, cost: object) -> CheckpointDescription:
    return found if cost is None else found.model_copy(update={"costs": (ReadingCost.model_validate(cost),)})


def _name_of(found: CheckpointDescription) -> str:
    return f"cache/costs/{found.digest}.json"

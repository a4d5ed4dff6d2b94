"""Which checkpoints a request means: names to descriptions, variants and checkpoints on a hub among them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from frontrunner.errors import CheckpointError, CheckpointNotFound
from frontrunner.hub.access import HubAccess
from frontrunner.hub.describing.constraints import Constraints
from frontrunner.hub.describing.description import CheckpointDescription
from frontrunner.hub.describing.variants import split_variant, variants
from frontrunner.hub.fetching.identifiers import is_remote
from frontrunner.hub.finding.catalogue import Catalogue, SkippedCheckpoint
from frontrunner.hub.finding.curated import CuratedCheckpoint, curated

_REQUESTS_AT_ONCE = 8


def choose(names: Sequence[str], catalogue: Catalogue) -> Catalogue:
    """The part of `catalogue` that is named; a variant's name gives its own entry, `ID#layer=each` several.

    Raises:
        CheckpointNotFound: a name is not in the catalogue.
        UnknownVariant: a checkpoint cannot be read in the named way.
    """
    known = {found.id: found for found in catalogue.checkpoints}
    broken = {entry.checkpoint: entry for entry in catalogue.skipped}
    chosen: dict[str, CheckpointDescription] = {}
    skipped: dict[str, SkippedCheckpoint] = {}
    missing: list[str] = []
    for name in names:
        base, choice = split_variant(name)
        if name in known:
            chosen[name] = known[name]
        elif name in broken:
            skipped[name] = broken[name]
        elif choice and base in known:
            chosen |= {found.id: found for found in variants(known[base], choice)}
        elif choice and base in broken:
            skipped[name] = broken[base].model_copy(update={"checkpoint": name})
        else:
            missing.append(name)
    if missing:
        raise CheckpointNotFound(f"unknown checkpoints: {', '.join(missing[:5])}; known: {_some(list(known))}")
    return Catalogue(checkpoints=tuple(chosen.values()), skipped=tuple(skipped.values()))


def with_remote(
    catalogue: Catalogue,
    names: Sequence[str] | None,
    modality: str,
    constraints: Constraints,
    access: HubAccess,
) -> Catalogue:
    """`catalogue` and the checkpoints on a hub that a request means and that it does not hold.

    Named ones are looked up unless the machine is offline; where none is named, the curated set of the modality joins
    if the machine's mode says so, as far as it keeps the limits on parameters and licences. Only metadata is asked
    for. One that cannot be described is skipped with its reason; no answer at all costs no more than that.
    """
    held = {found.id for found in catalogue.checkpoints} | {entry.checkpoint for entry in catalogue.skipped}
    if names is not None:
        wanted = dict.fromkeys(base for name in names if is_remote(base := split_variant(name)[0]))
    elif access.mode == "curated":
        wanted = dict.fromkeys(entry.id for entry in curated(modality) if _may_pass(entry, constraints))
    else:
        wanted = {}
    absent = [name for name in wanted if name not in held]
    if not absent:
        return catalogue
    with ThreadPoolExecutor(_REQUESTS_AT_ONCE, thread_name_prefix="hub") as pool:
        answers = list(pool.map(_describing(access), absent))
    return Catalogue(
        checkpoints=(*catalogue.checkpoints, *(a for a in answers if isinstance(a, CheckpointDescription))),
        skipped=(*catalogue.skipped, *(a for a in answers if isinstance(a, SkippedCheckpoint))),
    )


def _describing(access: HubAccess) -> Callable[[str], CheckpointDescription | SkippedCheckpoint]:
    # Rankings of what is at hand need no hub, and its client takes a while to import.
    from frontrunner.hub.fetching.remote import describe_remote

    def answer(name: str) -> CheckpointDescription | SkippedCheckpoint:
        try:
            return describe_remote(name, access)
        except CheckpointError as error:
            return SkippedCheckpoint.because(name, error)

    return answer


def _may_pass(entry: CuratedCheckpoint, constraints: Constraints) -> bool:
    """Whether what is written down of a curated checkpoint leaves a chance; the exact figures decide later."""
    limit = constraints.max_parameters
    return limit is None or entry.millions * 1e6 <= 1.05 * limit


def _some(names: Sequence[str], at_most: int = 8) -> str:
    listed = ", ".join(names[:at_most]) or "none"
    return listed + (f" and {len(names) - at_most} more" if len(names) > at_most else "")

"""Which checkpoints a request means: from names to descriptions, whatever hub they come from."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from frontrunner.errors import CheckpointNotFound, UnknownVariant
from frontrunner.hub.access import HubAccess
from frontrunner.hub.describing.constraints import Constraints
from frontrunner.hub.describing.description import CheckpointDescription
from frontrunner.hub.describing.variants import split_variant, variants
from frontrunner.hub.finding.catalogue import Catalogue, SkippedCheckpoint, catalogue_of
from frontrunner.hub.finding.curated import CuratedCheckpoint, curated, within
from frontrunner.hub.finding.folders import Folders, HubFolders, folders_of
from frontrunner.hub.finding.registry import hub_of, hubs_of
from frontrunner.hub.protocol import Hub
from frontrunner.settings import Settings

_REQUESTS_AT_ONCE = 8


def find_catalogue(hub: HubFolders, settings: Settings, *names: str) -> Catalogue:
    """Checkpoints of the hub folders `hub` (None: of every hub at hand), and those in `names` of all other hubs.

    Raises:
        CheckpointNotFound: a hub folder does not exist.
    """
    access = HubAccess.of(settings)
    at_hand: Sequence[Hub] = (
        hubs_of(access, settings.hub, packages=settings.packages)
        if hub is None
        else (Folders(access, folders_of(hub)),)
    )
    return with_named(catalogue_of(at_hand), names, access)


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


def with_named(catalogue: Catalogue, names: Sequence[str], access: HubAccess) -> Catalogue:
    """`catalogue` and the named checkpoints that it does not hold, of hubs that are not at hand.

    Only metadata is asked for. A checkpoint that cannot be described is skipped with its reason, also where its hub
    does not answer.
    """
    return _with(catalogue, [split_variant(name)[0] for name in names], access)


def with_curated(catalogue: Catalogue, modality: str, constraints: Constraints, access: HubAccess) -> Catalogue:
    """`catalogue` and the curated set of the modality, if the machine's mode says so.

    Checkpoints of the set that exceed the limit on parameters, stand under another licence than those accepted, or do
    not fit into the bytes that the set may take, are left out before any hub is asked.
    """
    if access.mode != "curated":
        return catalogue
    entries = within([entry for entry in curated(modality) if _may_pass(entry, constraints)], access.curated_bytes)
    return _with(catalogue, [entry.id for entry in entries], access)


def describe_named(name: str, hubs: Sequence[Hub]) -> CheckpointDescription:
    """One checkpoint, or a variant of one, from whatever hub owns it.

    Raises:
        CheckpointNotFound: no hub owns the id, or its hub has no such checkpoint.
        UnknownVariant: it cannot be read in the named way, or the name stands for several ways.
        CheckpointError: it cannot be used; a subclass says why.
    """
    base, choice = split_variant(name)
    found = hub_of(base, hubs).describe(base)
    if not choice:
        return found
    several = variants(found, choice)
    if len(several) > 1:
        raise UnknownVariant(f"{name} stands for {len(several)} checkpoints; name one, as in {several[0].id}")
    return several[0]


def _with(catalogue: Catalogue, ids: Sequence[str], access: HubAccess) -> Catalogue:
    held = {found.id for found in catalogue.checkpoints} | {entry.checkpoint for entry in catalogue.skipped}
    absent = [checkpoint_id for checkpoint_id in dict.fromkeys(ids) if checkpoint_id not in held]
    away = [hub for hub in hubs_of(access) if not hub.at_hand] if absent else []
    owners = {
        checkpoint_id: hub
        for checkpoint_id in absent
        if (hub := next((hub for hub in away if hub.owns(checkpoint_id)), None)) is not None
    }
    if not owners:
        return catalogue
    with ThreadPoolExecutor(_REQUESTS_AT_ONCE, thread_name_prefix="hub") as pool:
        answers = list(pool.map(_described, owners.values(), owners))
    return Catalogue(
        checkpoints=(*catalogue.checkpoints, *(a for a in answers if isinstance(a, CheckpointDescription))),
        skipped=(*catalogue.skipped, *(a for a in answers if isinstance(a, SkippedCheckpoint))),
    )


def _described(hub: Hub, checkpoint_id: str) -> CheckpointDescription | SkippedCheckpoint:
    try:
        return hub.describe(checkpoint_id)
    except Exception as error:  # whatever a stranger's files, or a hub of somebody else's, lead to
        return SkippedCheckpoint.because(checkpoint_id, error)


def _may_pass(entry: CuratedCheckpoint, constraints: Constraints) -> bool:
    """Whether what is written down of a curated checkpoint leaves a chance; the exact figures decide later."""
    limit, accepted = constraints.max_parameters, constraints.licenses
    if accepted is not None and entry.license is not None and entry.license not in {name.lower() for name in accepted}:
        return False
    return limit is None or entry.millions * 1e6 <= 1.05 * limit


def _some(names: Sequence[str], at_most: int = 8) -> str:
    listed = ", ".join(names[:at_most]) or "none"
    return listed + (f" and {len(names) - at_most} more" if len(names) > at_most else "")

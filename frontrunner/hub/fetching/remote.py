"""Checkpoints on a hub: described from metadata alone, fetched by the process that opens them.

A description pins a commit and a digest of every file; what is fetched later is compared with them before anything
looks into it. Only files that a checkpoint consists of are fetched, each by its own name.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi
from huggingface_hub.hf_api import ModelInfo

from frontrunner.errors import CheckpointTooLarge, CheckpointUnreadable, HubOffline
from frontrunner.files import whole_file
from frontrunner.hub.access import HubAccess
from frontrunner.hub.describing.card import Card
from frontrunner.hub.describing.configuration import (
    CONFIG_FILE,
    MAX_CONFIG_BYTES,
    deciding_files,
    refuse_unsafe_entries,
)
from frontrunner.hub.describing.description import (
    CheckpointDescription,
    PinnedRepository,
    RemoteFile,
    describe,
)
from frontrunner.hub.describing.sentence_encoder import MODULES_FILE, SentenceEncoder, read_sentence_encoder
from frontrunner.hub.describing.text_families import STATIC_CONFIG
from frontrunner.hub.describing.weights import (
    INDEX_FILE,
    MAX_INDEX_BYTES,
    PICKLE_FILE,
    PICKLE_INDEX_FILE,
    WEIGHTS_FILE,
    Shapes,
    refuse_pickles,
    shard_names,
)
from frontrunner.hub.fetching.client import REQUEST_TIMEOUT_S, ask, client
from frontrunner.hub.fetching.default_tags import default_name
from frontrunner.hub.fetching.download import download, in_clients_cache
from frontrunner.hub.fetching.identifiers import repository_of
from frontrunner.progress import SILENT, Progress, Stage


def describe_remote(checkpoint_id: str, access: HubAccess) -> CheckpointDescription:
    """Describe `hf:ORG/NAME@REVISION` or `timm:NAME.TAG` as the hub's metadata does; a few small requests.

    Raises:
        HubError: a subclass says how the hub failed: away, busy, unauthorized; or offline on this side.
        CheckpointNotFound: no such repository or revision.
        UnsafeCheckpoint: it offers only pickles, or its index names files elsewhere.
        CheckpointTooLarge: more bytes than this machine fetches.
    """
    wanted = repository_of(checkpoint_id)
    kept = access.folder / "described" / f"{hashlib.sha256(checkpoint_id.encode()).hexdigest()[:32]}.json"
    if access.mode == "offline":
        if kept.is_file():  # as it was when the hub was last asked; its files are at hand if they were fetched
            return CheckpointDescription.model_validate_json(kept.read_bytes())
        raise HubOffline(
            f"{checkpoint_id}: this machine fetches nothing (FRONTRUNNER_HUB_MODE is offline), and never asked for it"
        )
    if checkpoint_id.startswith("timm:") and "." not in wanted.name:
        wanted = replace(wanted, name=f"timm/{default_name(wanted.name.removeprefix('timm/'))}")
    api = client(access)
    info = ask(
        lambda: api.model_info(wanted.name, revision=wanted.revision, files_metadata=True, timeout=REQUEST_TIMEOUT_S),
        checkpoint_id,
    )
    if info.sha is None:
        raise CheckpointUnreadable(f"{checkpoint_id}: the hub names no commit")
    offered = _files(checkpoint_id, info)
    small = _SmallFiles(checkpoint_id, wanted.name, info.sha, offered, access)
    encoder = read_sentence_encoder(
        lambda name: small.read(name, MAX_CONFIG_BYTES) if name in offered else None, checkpoint_id
    )
    weights = _weights(checkpoint_id, encoder.folder, offered, small, access)
    steps = [
        file for step in encoder.weighted_steps for file in _weights(checkpoint_id, step.folder, offered, small, access)
    ]
    chosen = {file.name: file for file in (*weights, *steps)}
    chosen |= {name: offered[name] for name in deciding_files(encoder) if name in offered}
    if chosen.keys().isdisjoint((encoder.inside(WEIGHTS_FILE), encoder.inside(PICKLE_FILE))):  # they are in shards
        indices = (encoder.inside(INDEX_FILE), encoder.inside(PICKLE_INDEX_FILE))
        chosen |= {name: offered[name] for name in indices if name in offered}
    _require_size(checkpoint_id, sum(file.bytes for file in chosen.values()), access)
    config = _configuration(checkpoint_id, encoder, small)
    readable = [file.name for file in weights if file.name.endswith(".safetensors")]
    found = describe(
        checkpoint_id,
        config,
        Card.of(vars(info.card_data) if info.card_data else {}),
        encoder=encoder,
        digests={file.name: file.sha256 or file.git_sha1 for file in chosen.values()},
        shapes=_shapes(checkpoint_id, api, wanted.name, info.sha, readable),
        size=sum(file.bytes for file in weights),
    )
    pinned = PinnedRepository(repository=wanted.name, revision=info.sha, files=tuple(chosen.values()))
    described = found.model_copy(update={"remote": pinned})
    kept.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(kept) as file:
        file.write(described.model_dump_json().encode())
    return described


def _configuration(checkpoint_id: str, encoder: SentenceEncoder, small: _SmallFiles) -> dict[str, Any]:
    if encoder.static:
        return STATIC_CONFIG
    name = encoder.inside(CONFIG_FILE)
    config = small.json(name)
    refuse_unsafe_entries(config, f"{checkpoint_id}/{name}")
    return config


def fetch(checkpoint_id: str, pinned: PinnedRepository, access: HubAccess, progress: Progress = SILENT) -> Path:
    """The folder with exactly the pinned files, downloaded where they are not at hand; broken transfers resume.

    Args:
        checkpoint_id: for messages and progress.
        pinned: what to fetch.
        access: from where, as whom, and where to keep it.
        progress: hears of bytes, all files together. It may stop the work as they arrive: whole files are kept, and
            the one in hand is begun anew by the next call.

    Raises:
        HubError: a subclass says how the hub failed, or that this machine is offline and the files are not at hand.
        CheckpointTooLarge: more bytes than this machine fetches.
        CheckpointChanged: a file is not what the description pinned.
    """
    if (there := in_clients_cache(pinned)) is not None:
        return there
    total = sum(file.bytes for file in pinned.files)
    _require_size(checkpoint_id, total, access)
    before = 0
    paths = []

    def tell(done: int) -> None:
        progress.advance(Stage.FETCH, before + done, total, of=checkpoint_id)
        if done < file.bytes:  # with its last bytes the file is as good as whole
            progress.safe_point()

    for file in pinned.files:
        paths.append(download(checkpoint_id, pinned, file, access, tell))
        tell(file.bytes)
        progress.safe_point()
        before += file.bytes
    return next(path.parent for path, file in zip(paths, pinned.files, strict=True) if "/" not in file.name)


class _SmallFiles:
    """Configurations of a repository at one commit, fetched when they are looked at."""

    def __init__(
        self, checkpoint_id: str, repository: str, commit: str, offered: Mapping[str, RemoteFile], access: HubAccess
    ) -> None:
        self._checkpoint_id = checkpoint_id
        self._pinned = PinnedRepository(repository=repository, revision=commit, files=tuple(offered.values()))
        self._offered = offered
        self._access = access

    def read(self, name: str, max_bytes: int) -> bytes:
        file = self._offered.get(name)
        if file is None:
            raise CheckpointUnreadable(f"{self._checkpoint_id} has no {name}")
        if file.bytes > max_bytes:
            raise CheckpointUnreadable(f"{self._checkpoint_id}: {name} is larger than {max_bytes:,} bytes")
        return download(self._checkpoint_id, self._pinned, file, self._access).read_bytes()

    def json(self, name: str) -> dict[str, Any]:
        try:
            value = json.loads(self.read(name, MAX_CONFIG_BYTES))
        except (ValueError, RecursionError) as error:
            raise CheckpointUnreadable(f"{self._checkpoint_id}: {name} is not JSON: {error}") from error
        if not isinstance(value, dict):
            raise CheckpointUnreadable(f"{self._checkpoint_id}: {name} must hold a JSON object")
        return value


def _files(checkpoint_id: str, info: ModelInfo) -> dict[str, RemoteFile]:
    """Everything in the repository by name; only names that we know are ever asked for."""
    found = {}
    for sibling in info.siblings or ():
        if sibling.size is not None and sibling.blob_id:
            sha256 = sibling.lfs.sha256 if sibling.lfs else None
            found[sibling.rfilename] = RemoteFile(
                name=sibling.rfilename, bytes=sibling.size, sha256=sha256, git_sha1=sibling.blob_id
            )
    if not {CONFIG_FILE, MODULES_FILE} & found.keys():
        raise CheckpointUnreadable(f"{checkpoint_id} has no {CONFIG_FILE}: not a checkpoint of timm or transformers")
    return found


def _weights(
    checkpoint_id: str, folder: str, offered: Mapping[str, RemoteFile], small: _SmallFiles, access: HubAccess
) -> list[RemoteFile]:
    """The files that hold the weights of one folder of the repository."""
    below = f"{folder}/" if folder else ""
    names = [(WEIGHTS_FILE, INDEX_FILE)]
    if access.pickles_allowed:
        names.append((PICKLE_FILE, PICKLE_INDEX_FILE))
    for whole, index in names:
        if below + whole in offered:
            return [offered[below + whole]]
        if below + index not in offered:
            continue
        shards = shard_names(small.read(below + index, MAX_INDEX_BYTES), checkpoint_id, index)
        missing = [name for name in shards if below + name not in offered]
        if missing:
            raise CheckpointUnreadable(f"{checkpoint_id} lacks {missing[0]}, which {index} names")
        return [offered[below + name] for name in shards]
    refuse_pickles(checkpoint_id, offered)
    raise CheckpointUnreadable(f"{checkpoint_id} has no {below}{WEIGHTS_FILE}")


def _shapes(checkpoint_id: str, api: HfApi, repository: str, commit: str, names: list[str]) -> Shapes:
    """Shapes of all tensors, from the headers alone: two requests for ranges of bytes a file."""
    shapes: Shapes = {}
    for name in names:
        read_header = functools.partial(api.parse_safetensors_file_metadata, repository, name, revision=commit)
        header = ask(read_header, checkpoint_id)
        shapes |= {tensor: tuple(entry.shape) for tensor, entry in header.tensors.items()}
    return shapes


def _require_size(checkpoint_id: str, size: int, access: HubAccess) -> None:
    if size > access.max_bytes:
        raise CheckpointTooLarge(
            f"{checkpoint_id} takes {size:,} bytes; this machine fetches at most {access.max_bytes:,} "
            "(FRONTRUNNER_HUB_MAX_BYTES)"
        )

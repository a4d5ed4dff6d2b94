"""One file of a repository through the Hub's own client: told as it comes, compared with its pin once it is there."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from huggingface_hub import try_to_load_from_cache
from huggingface_hub.constants import HF_HUB_CACHE
from huggingface_hub.utils._xet import abort_xet_session

from frontrunner.errors import CheckpointChanged
from frontrunner.files import digest_once
from frontrunner.hub.access import HubAccess
from frontrunner.hub.describing.description import PinnedRepository, RemoteFile
from frontrunner.hub.fetching.client import REQUEST_TIMEOUT_S, client, hub_errors_named


def download(
    checkpoint_id: str,
    pinned: PinnedRepository,
    file: RemoteFile,
    access: HubAccess,
    on_bytes: Callable[[int], None] = lambda done: None,
) -> Path:
    """The file's path among those kept; it is transferred where it is not at hand.

    Args:
        checkpoint_id: for messages.
        pinned: the repository, at one commit.
        file: which of its files.
        access: from where, as whom, and where to keep it.
        on_bytes: hears how many bytes of it came so far, from whatever thread moves them. What it raises ends the
            transfer and is raised here.

    Raises:
        HubError, CheckpointNotFound: see `hub_errors_named`.
        CheckpointChanged: the file is not what was pinned; it is deleted.
    """
    transfer = _Transfer(on_bytes)
    try:
        with hub_errors_named(f"{checkpoint_id} ({file.name})"):
            kept = client(access).hf_hub_download(
                pinned.repository,
                file.name,
                revision=pinned.revision,
                cache_dir=access.folder / "snapshots",
                local_files_only=access.mode == "offline",
                etag_timeout=REQUEST_TIMEOUT_S,
                tqdm_class=transfer.bar(),
            )
    except BaseException:  # an aborted session shows as KeyboardInterrupt too
        if transfer.stopped is None:
            raise
    if transfer.stopped is not None:
        raise transfer.stopped
    path = Path(kept)
    _require_pinned(checkpoint_id, file, path)
    return path


def in_clients_cache(pinned: PinnedRepository) -> Path | None:
    """The folder where another program of this user left all of the pinned files, if one did and they are the pinned.

    The hub's client keeps what transformers, timm and others fetch in one cache (`HF_HUB_CACHE`). It is only read.
    """
    paths = [
        try_to_load_from_cache(pinned.repository, file.name, revision=pinned.revision, cache_dir=HF_HUB_CACHE)
        for file in pinned.files
    ]
    for file, path in zip(pinned.files, paths, strict=True):
        if not isinstance(path, str) or _digest(file, Path(path)) != (file.sha256 or file.git_sha1):
            return None
    return next((Path(str(p)).parent for p, f in zip(paths, pinned.files, strict=True) if "/" not in f.name), None)


class _Transfer:
    """A transfer that can be stopped where it says how far it is.

    The client has two transports. HTTP tells its progress bar from the thread that called it, and what the bar raises
    unwinds it. Xet tells its bar from a thread of its own and drops what the bar raises: its session is aborted
    instead, and what was raised is kept for the caller.

    Attributes:
        stopped: what the listener raised, or None.
    """

    def __init__(self, on_bytes: Callable[[int], None]) -> None:
        self.stopped: BaseException | None = None
        self._on_bytes = on_bytes
        self._caller = threading.get_ident()

    def tell(self, done: int) -> None:
        """Pass on how many bytes came."""
        if self.stopped is not None:
            return
        try:
            self._on_bytes(done)
        except BaseException as stop:
            self.stopped = stop
            if threading.get_ident() == self._caller:
                raise
            abort_xet_session()  # type: ignore[no-untyped-call]

    def bar(self) -> Any:
        """A class that stands in for the bars that the client draws: it draws nothing, and tells this transfer."""
        tell = self.tell

        class Bar:
            def __init__(self, **options: Any) -> None:
                self.n = int(options.get("initial") or 0)
                self.total = options.get("total")

            def __enter__(self) -> Self:
                return self

            def __exit__(self, *_error: object) -> None:
                pass

            def update(self, count: int) -> None:
                self.n += count
                tell(self.n)

            def update_transfer(self, _count: int) -> None:
                # Bytes that came and are not yet written: nothing new to count, and a moment at which to stop.
                tell(self.n)

            def ignore(self, *_arguments: object, **_options: object) -> None:
                pass

            # What Xet tells its bars besides.
            set_postfix_str = set_transfer_postfix_str = refresh = close = ignore

        return Bar


def _require_pinned(checkpoint_id: str, file: RemoteFile, path: Path) -> None:
    given, pinned = _digest(file, path), file.sha256 or file.git_sha1
    if given != pinned:
        path.resolve().unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        raise CheckpointChanged(
            f"{checkpoint_id}: {file.name} has digest {given[:12]}..., and the pinned revision has {pinned[:12]}..."
        )


def _digest(file: RemoteFile, path: Path) -> str:
    """The digest of what lies at `path`, of the kind that `file` is pinned by."""
    if file.sha256 is not None:
        return digest_once(path.resolve())
    data = path.read_bytes() if path.stat().st_size == file.bytes else b""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()

"""How a machine may reach a hub, and where it keeps what it fetched. The token never leaves the process."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from frontrunner.settings import Settings

HubMode: TypeAlias = Literal["offline", "named", "curated"]


@dataclass(frozen=True)
class HubAccess:
    """A machine's own settings: two workers may use two mirrors.

    Attributes:
        folder: what was fetched, unpacked, decoded or measured here lies below it, for every process of the machine.
        endpoint: address of the hub or of a mirror that speaks its protocol.
        token: for private and gated repositories; None for public ones.
        mode: offline: nothing is fetched, what is at hand is used; named: checkpoints that a request names are
            fetched; curated: and the curated set, where a request names none.
        max_bytes: largest checkpoint that is fetched.
        curated_bytes: what the curated set may take in all; None: no limit.
        pickles_allowed: whether an administrator lets pickled weights be read, by torch's weights-only reader.
    """

    folder: Path
    endpoint: str
    token: str | None = field(repr=False)
    mode: HubMode
    max_bytes: int
    pickles_allowed: bool
    curated_bytes: int | None = None

    @classmethod
    def of(cls, settings: Settings) -> HubAccess:
        """As the settings say."""
        return cls(
            folder=settings.home / "hub",
            endpoint=settings.hub_endpoint.rstrip("/"),
            token=settings.hub_token.get_secret_value() if settings.hub_token else None,
            mode=settings.hub_mode,
            max_bytes=settings.hub_max_bytes,
            pickles_allowed=settings.hub_pickles,
            curated_bytes=settings.hub_curated_bytes or None,
        )

    @property
    def pixels(self) -> Path:
        """Where decoded images are kept, a folder for each dataset by its digest."""
        return self.folder / "pixels"

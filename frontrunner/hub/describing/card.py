"""What a model card states in its front matter: licence, data, base model, tags. Claims by its author, not checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CARD_FILE = "README.md"
MAX_CARD_BYTES = 1024**2
MAX_TAGS = 50


@dataclass(frozen=True)
class Card:
    """The stated facts, None where nothing is stated."""

    license: str | None = None
    pretraining: str | None = None
    base_model: str | None = None
    tags: tuple[str, ...] = ()

    @classmethod
    def of(cls, stated: Mapping[str, Any]) -> Card:
        """From front matter as parsed; whatever is not of the expected kind counts as not stated."""
        named = stated.get("license_name") if stated.get("license") == "other" else stated.get("license")
        return cls(
            license=_first(named),
            pretraining=", ".join(_texts(stated.get("datasets"))) or None,
            base_model=_first(stated.get("base_model")),
            tags=_texts(stated.get("tags"))[:MAX_TAGS],
        )


def read_card(path: Path) -> Card:
    """The card of a checkpoint folder; an empty one where there is none, or none that can be read."""
    from huggingface_hub import metadata_load

    try:
        if not path.is_file() or path.stat().st_size > MAX_CARD_BYTES:
            return Card()
        return Card.of(metadata_load(path) or {})
    except Exception:  # YAML's own errors, and whatever else a stranger's text leads its parser to
        return Card()


def _first(value: object) -> str | None:
    return next(iter(_texts(value)), None)


def _texts(value: object) -> tuple[str, ...]:
    entries = value if isinstance(value, list) else [value]
    return tuple(str(entry)[:200] for entry in entries if isinstance(entry, (str, int, float)) and str(entry).strip())

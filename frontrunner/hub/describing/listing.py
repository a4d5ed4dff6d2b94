"""What a list says of a checkpoint, and which of them a search means: what the catalogue is made of."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator

from frontrunner.hub.describing.card import MAX_TAGS
from frontrunner.hub.describing.configuration import CONFIG_FILE, read_if_there
from frontrunner.hub.describing.description import CheckpointDescription, Library
from frontrunner.limits import MAX_COUNT

MAX_LABELS = 25_000
MAX_LABEL_LENGTH = 200


class ListedCheckpoint(BaseModel):
    """A checkpoint as the catalogue knows it; None where nobody said."""

    model_config = ConfigDict(frozen=True)

    id: str
    library: Library | None = None
    modality: str | None = None
    architecture: str | None = None
    family: str | None = Field(default=None, description="Architectures that differ in size share one.")
    parameters: int | None = None
    flops: int | None = Field(default=None, description="Of one example; two for each multiplication with addition.")
    input_size: int | None = None
    license: str | None = None
    pretraining: str | None = None
    base_model: str | None = None
    popularity: int | None = Field(default=None, description="Downloads in thirty days, as the hub counts.")
    tags: tuple[str, ...] = ()

    @field_validator("tags", mode="before")
    @classmethod
    def _none_is_no_tags(cls, value: object) -> object:
        return value or ()

    @classmethod
    def of(cls, found: CheckpointDescription) -> ListedCheckpoint:
        """What a description says."""
        shared = found.model_dump(include=set(cls.model_fields))
        return cls.model_validate(shared | {"family": family_of(found.architecture)})

    @property
    def searched(self) -> str:
        """What a search looks into."""
        said = (self.id, self.architecture, self.family, self.license, self.pretraining, self.base_model, *self.tags)
        return " ".join(word for word in said if word).lower()[:2000]


class CatalogueMatches(BaseModel):
    """What a search found; `more` where it found more than was asked for."""

    checkpoints: tuple[ListedCheckpoint, ...]
    more: bool


class CatalogueFilter(BaseModel):
    """Which checkpoints of the catalogue are wanted; all of them where nothing is set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    search: str | None = Field(default=None, max_length=200, description="Words that must all occur.")
    modality: str | None = Field(default=None, max_length=16)
    library: str | None = Field(default=None, max_length=16)
    family: str | None = Field(default=None, max_length=64)
    license: str | None = Field(default=None, max_length=100)
    tag: str | None = Field(default=None, max_length=100)
    origin: str | None = Field(default=None, max_length=16, description="`hubs`: at hand; `lists`: heard of.")
    min_parameters: int | None = Field(default=None, ge=0, le=MAX_COUNT)
    max_parameters: int | None = Field(default=None, ge=0, le=MAX_COUNT)
    max_flops: int | None = Field(default=None, ge=0, le=MAX_COUNT)


def family_of(architecture: str) -> str:
    """The family of an architecture: its name without prefixes of ports and without sizes.

    Example:
        >>> [family_of(name) for name in ("resnet50", "mobilenetv2_100", "tf_efficientnet_b0", "vit_base_patch16_224")]
        ['resnet', 'mobilenetv2', 'efficientnet', 'vit']
    """
    head = architecture.removeprefix("tf_").split("_")[0].split("-")[0]
    return re.sub(r"(?<![v\d])\d+[a-z]?$", "", head) or head


def label_names(checkpoint: CheckpointDescription) -> tuple[str, ...]:
    """Names of the classes that the checkpoint's own head tells apart, by index; none where it does not say."""
    config = read_if_there(Path(checkpoint.path) / CONFIG_FILE) if checkpoint.path else {}
    pretrained_cfg = config.get("pretrained_cfg")
    stated = config.get("label_names") or (pretrained_cfg or {}).get("label_names") or config.get("id2label") or ()
    names: Iterable[object] = ()
    if isinstance(stated, list):
        names = stated
    elif isinstance(stated, dict) and all(str(key).isdecimal() for key in stated):
        names = [stated[key] for key in sorted(stated, key=lambda key: int(key))]
    said = tuple(str(name)[:MAX_LABEL_LENGTH] for name in names)[:MAX_LABELS]
    # What transformers writes where nobody named them.
    return () if all(re.fullmatch(r"LABEL_\d+", name) for name in said) else said


def tags_of(tags: Iterable[str]) -> tuple[str, ...]:
    """Tags without those that name what other fields hold."""
    return tuple(tag for tag in tags if ":" not in tag)[:MAX_TAGS]

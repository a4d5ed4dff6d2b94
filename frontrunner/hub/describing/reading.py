"""How a checkpoint is read: what a variant chooses, and what its files left open. Imports no framework."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class ReadingBackend(BaseModel):
    """What ran a checkpoint's forward passes. Features of two backends differ by rounding only."""

    model_config = ConfigDict(frozen=True)

    name: Literal["eager", "openvino"] = Field(description="torch as it is, or OpenVINO.")
    version: str = Field(description="Of torch, or of OpenVINO.")
    rows: int | None = Field(default=None, description="Images of one forward pass; null: whole batches as they come.")
    difference: float | None = Field(
        default=None,
        description="From torch on a probe, where that is not what ran: the largest difference of features as a share "
        "of the largest feature, or of predictions in probability.",
    )


class ReadingProvenance(BaseModel):
    """What to know of a checkpoint's features besides the files that they were computed from."""

    model_config = ConfigDict(frozen=True)

    notes: tuple[str, ...] = Field(
        default=(), description="What the folder does not hold, and what is read in its place; a sentence each."
    )
    one_at_a_time: bool = Field(
        default=False, description="Every example is read alone, since the others of a batch would change its features."
    )
    self_test: float | None = Field(
        default=None,
        description="At opening, two examples are read alone and in one batch: the largest difference, as a share of "
        "the largest feature. None where nothing was tested.",
    )
    backend: ReadingBackend | None = Field(
        default=None,
        description="What ran the forward passes, those of the last shard where shards differ; null where none ran.",
    )


class ImagePooling(BaseModel):
    """How an image encoder is read where a variant was chosen. Part of a checkpoint's identity then."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pooling: Literal["cls", "mean"] | None = Field(
        default=None, description="The class token, or the mean over positions; null: as the checkpoint pools."
    )
    layer: int | Literal["mean"] | None = Field(
        default=None, description="Output of the first k layers or stages, the mean over all, or of the last: null."
    )


_POOLINGS = "cls|last|max|mean|mean_sqrt_len|pooler|weighted_mean"


class TextPooling(BaseModel):
    """How the hidden states of a text become one row of features. Part of a checkpoint's identity where chosen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pooling: str = Field(
        pattern=rf"^({_POOLINGS})(\+({_POOLINGS}))*$",
        description="Mean over tokens, the first token (`cls`), the last one, or what the checkpoint's own files say: "
        "`max`, `mean_sqrt_len`, `weighted_mean`, several joined by `+`, or `pooler`: its own pooled output.",
    )
    layer: int | Literal["mean"] | None = Field(
        default=None, description="Output of the first k layers alone, the mean over all layers, or of the last: null."
    )
    normalised: bool = Field(
        default=False, description="Brought to length 1, where the checkpoint's own pipeline ends so."
    )
    projected: bool = Field(
        default=False, description="Passed on through dense layers of the checkpoint's own pipeline, or cut."
    )
    prompt: str = Field(default="", description="What the checkpoint's own pipeline puts before every text.")
    words: Literal["first", "mean"] | None = Field(
        default=None,
        exclude_if=lambda words: words is None,
        description="A row for each word of a sentence: its first token, or the mean over its tokens; left out where a "
        "row is a text.",
    )

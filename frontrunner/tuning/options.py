"""What each method may be told: its name and its numbers, with the defaults of its source. No torch here.

A request names a method (`"b_tuning"`) or spells it out (`{"name": "b_tuning", "strength": 10}`).
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Positive = Annotated[float, Field(gt=0, le=1e6)]
Weight = Annotated[float, Field(ge=0, le=1e6)]
Leader = Annotated[
    float,
    Field(gt=0, lt=1, description="First gate of the teacher of the highest LogME; the others share the rest."),
]


class _Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FinetuneOptions(_Options):
    """All weights are trained, the new head at ten times the rate."""

    name: Literal["finetune"] = "finetune"


class LinearProbeOptions(_Options):
    """The backbone stands still and only the head is trained."""

    name: Literal["linear_probe"] = "linear_probe"


class L2SPOptions(_Options):
    """L2-SP: weight decay towards the pretrained weights instead of towards zero."""

    name: Literal["l2_sp"] = "l2_sp"
    strength: Weight = Field(default=0.01, description="alpha: pull of backbone weights towards where they began.")
    head_strength: Weight = Field(default=0.01, description="beta: pull of the head's weights towards zero.")


class EWCOptions(_Options):
    """EWC: L2-SP, each weight pulled in proportion to the checkpoint's own Fisher information."""

    name: Literal["ewc"] = "ewc"
    strength: Weight = Field(default=0.01, description="lambda, with the Fisher scaled to mean one.")
    fisher_examples: int = Field(default=64, ge=1, le=10_000, description="Images that the Fisher is measured on.")


class DeltaOptions(_Options):
    """DELTA: feature maps stay near the pretrained ones, channels that matter for the labels most of all."""

    name: Literal["delta"] = "delta"
    strength: Weight = Field(default=1e-4, description="Of the attention-weighted distance of feature maps.")
    head_strength: Weight = Field(default=0.01, description="Pull of the head's weights towards zero.")
    importance_examples: int = Field(default=256, ge=1, le=10_000, description="Images that importance is measured on.")


class LwFOptions(_Options):
    """LwF: what the checkpoint's own classifier says of the images is kept up while the new head is learned."""

    name: Literal["lwf"] = "lwf"
    strength: Weight = Field(default=1.0, description="Of the distillation of its old answers.")
    temperature: Positive = Field(default=2.0, description="Softens old and new answers alike.")


class BSSOptions(_Options):
    """BSS: the smallest singular values of each batch's features are pushed down."""

    name: Literal["bss"] = "bss"
    strength: Weight = Field(default=1e-3, description="eta.")
    values: int = Field(default=1, ge=1, le=64, description="k: how many of the smallest singular values.")


class DiscriminativeOptions(_Options):
    """Learning rates that decay from the last layer to the first."""

    name: Literal["discriminative"] = "discriminative"
    decay: float = Field(default=0.8, gt=0, le=1, description="Rate of a layer over that of the layer after it.")


class EnsembleOptions(_Options):
    """Every teacher is tuned by itself; the mean of their probabilities decides."""

    name: Literal["ensemble"] = "ensemble"


class DistillOptions(_Options):
    """The student's features learn to predict the teachers', and its answers those of probes on the teachers."""

    name: Literal["distill"] = "distill"
    feature_strength: Weight = Field(default=1.0, description="lambda: of mean_k |phi_k - W_k phi_t|^2.")
    logit_strength: Weight = Field(default=0.5, description="Of the divergence from the teachers' answers.")
    temperature: Positive = Field(default=2.0, description="Softens the answers.")


class BTuningOptions(_Options):
    """B-Tuning: the student's Bayesian prediction follows the LogME-weighted one of the teachers."""

    name: Literal["b_tuning"] = "b_tuning"
    strength: Weight | None = Field(
        default=None, description="lambda; by default the number of classes, 100 as in the source where there are 100."
    )
    temperature: Positive = Field(default=0.1, description="T: of the softmax over the teachers' LogME.")


class ZooTuningOptions(_Options):
    """Zoo-Tuning: every layer mixes the aligned weights of all checkpoints, gated by each example."""

    name: Literal["zoo_tuning"] = "zoo_tuning"
    leader: Leader = 0.9999


class LiteZooTuningOptions(_Options):
    """Lite Zoo-Tuning: gates are shared by all examples, so that the result is one plain model."""

    name: Literal["lite_zoo_tuning"] = "lite_zoo_tuning"
    leader: Leader = 0.9999


class HubPathwayOptions(_Options):
    """Hub-Pathway: a small network sends each image through k of the checkpoints and mixes what they answer."""

    name: Literal["hub_pathway"] = "hub_pathway"
    paths: int = Field(default=2, ge=1, le=64, description="k: checkpoints that run on one image.")
    exploration: Weight = Field(default=0.3, description="Keeps every checkpoint in use over the data.")
    exploitation: Weight = Field(default=0.3, description="Makes each chosen checkpoint answer well by itself.")


class DANOptions(_Options):
    """DAN: features of source and target are brought to one distribution, by multi-kernel MMD."""

    name: Literal["dan"] = "dan"
    strength: Weight = Field(default=1.0, description="Of the MMD.")


class DANNOptions(_Options):
    """DANN: features from which a classifier cannot tell source from target."""

    name: Literal["dann"] = "dann"
    strength: Weight = Field(default=1.0, description="Largest strength of the reversed gradient.")


class MDDOptions(_Options):
    """MDD: a second classifier looks for disagreement on the target, and the features leave it none."""

    name: Literal["mdd"] = "mdd"
    strength: Weight = Field(default=1.0, description="Largest strength of the reversed gradient.")
    margin: Positive = Field(default=4.0, description="gamma: weight of the source in the disparity.")


MethodOptions: TypeAlias = Annotated[
    FinetuneOptions
    | LinearProbeOptions
    | L2SPOptions
    | EWCOptions
    | DeltaOptions
    | LwFOptions
    | BSSOptions
    | DiscriminativeOptions
    | EnsembleOptions
    | DistillOptions
    | BTuningOptions
    | ZooTuningOptions
    | LiteZooTuningOptions
    | HubPathwayOptions
    | DANOptions
    | DANNOptions
    | MDDOptions,
    Field(discriminator="name"),
]

NamedMethod: TypeAlias = Annotated[
    MethodOptions, BeforeValidator(lambda value: {"name": value} if isinstance(value, str) else value)
]

# Methods that learn from other checkpoints, and how many of them they need.
TEACHERS_NEEDED = {
    "distill": 1,
    "b_tuning": 1,
    "ensemble": 2,
    "zoo_tuning": 2,
    "lite_zoo_tuning": 2,
    "hub_pathway": 2,
}
# Methods whose model is made of the teachers: they have no student beside them.
MADE_OF_TEACHERS = frozenset({"ensemble", "zoo_tuning", "lite_zoo_tuning", "hub_pathway"})
# Methods that mix the teachers' weights layer by layer.
SHARED_ARCHITECTURE = frozenset({"zoo_tuning", "lite_zoo_tuning"})
# Methods that learn from a labelled source dataset, and read the target's images without their labels.
ADAPTATION = frozenset({"dan", "dann", "mdd"})
# Methods that ask nothing of a network but features and an answer: texts can be tuned by them too.
TEXT_METHODS = frozenset({"finetune", "linear_probe", "l2_sp", "bss", "ensemble", "distill", "b_tuning", "hub_pathway"})

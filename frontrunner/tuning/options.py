"""The methods: what each may be told, and the facts of each. No torch here.

Defaults are those of the methods' papers or of their authors' code where docs/tuning.md does not say otherwise.

A request names a method (`"b_tuning"`) or spells it out (`{"name": "b_tuning", "strength": 10}`). The method NAME is
built by the function NAME of `frontrunner.tuning.methods.NAME`: adding one touches that file and this one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, TypeAlias, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from frontrunner.data.dataset import Modality
from frontrunner.hub.describing.description import Library

if TYPE_CHECKING:
    from frontrunner.ranking.prediction import Adaptation

Optimiser: TypeAlias = Literal["sgd", "adamw"]
Positive = Annotated[float, Field(gt=0, le=1e6)]
Weight = Annotated[float, Field(ge=0, le=1e6)]
Leader = Annotated[
    float,
    Field(gt=0, le=1, description="First gate of the teacher of the highest LogME; the others share the rest."),
]

IMAGES: frozenset[Modality] = frozenset({"image"})
IMAGES_AND_TEXTS: frozenset[Modality] = frozenset({"image", "text"})
TIMM: frozenset[Library] = frozenset({"timm"})
TIMM_AND_TRANSFORMERS: frozenset[Library] = frozenset({"timm", "transformers"})


class _Options(BaseModel):
    """What all methods have in common. The facts of a method are variables of its class, and no part of its JSON.

    Attributes:
        teachers_needed: how many checkpoints it learns from, at least; 0 where it learns from none.
        made_of_teachers: its model is made of the teachers, and there is no student beside them.
        needs_one_architecture: the teachers must be of one architecture, as their weights are mixed layer by layer.
        needs_source: it learns from a labelled source dataset, and reads the target's examples without their labels.
        modalities: what its checkpoints may read. Only methods that ask nothing of a network but features and logits
            can tune models of texts.
        forms: the libraries whose networks it can tune. Some methods ask for what timm alone says of an architecture.
        exports_plain_models: its result is one model, or several, in their libraries' own form.
        optimiser: what it is trained by; None for the usual one of what the checkpoints read.
        rates: learning rates that a sweep tries; none for the usual ones of the optimiser.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    teachers_needed: ClassVar[int] = 0
    made_of_teachers: ClassVar[bool] = False
    needs_one_architecture: ClassVar[bool] = False
    needs_source: ClassVar[bool] = False
    modalities: ClassVar[frozenset[Modality]] = IMAGES_AND_TEXTS
    forms: ClassVar[frozenset[Library]] = TIMM_AND_TRANSFORMERS
    exports_plain_models: ClassVar[bool] = True
    batchwise: ClassVar[bool] = False
    optimiser: ClassVar[Optimiser | None] = None
    rates: ClassVar[tuple[float, ...]] = ()


class FinetuneOptions(_Options):
    """All weights are trained, the new head at ten times the rate."""

    name: Literal["finetune"] = "finetune"


class LinearProbeOptions(_Options):
    """The backbone stands still and only the head is trained."""

    name: Literal["linear_probe"] = "linear_probe"


class LoRAOptions(_Options):
    """LoRA: the backbone stands still, and low-rank adapters beside its linear layers learn with the head."""

    optimiser = "adamw"
    # Ten times those of full fine-tuning: adapters start from nothing, as heads do.
    rates = (0.0003, 0.001, 0.003, 0.01)

    name: Literal["lora"] = "lora"
    rank: int = Field(default=8, ge=1, le=1024, description="r: of an adapter's product B A.")
    alpha: int = Field(default=16, ge=1, le=65_536, description="The product counts alpha / r times.")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="Share of an adapter's inputs left out in training.")
    layers: Literal["attention", "all"] = Field(
        default="attention", description="Which linear layers of the backbone: those of its attention, or every one."
    )


class L2SPOptions(_Options):
    """L2-SP: weight decay towards the pretrained weights instead of towards zero."""

    name: Literal["l2_sp"] = "l2_sp"
    strength: Weight = Field(default=0.01, description="alpha: pull of backbone weights towards where they began.")
    head_strength: Weight = Field(default=0.01, description="beta: pull of the head's weights towards zero.")


class EWCOptions(_Options):
    """EWC: L2-SP, each weight pulled in proportion to the checkpoint's own Fisher information."""

    modalities = IMAGES

    name: Literal["ewc"] = "ewc"
    strength: Weight = Field(default=0.01, description="lambda, with the Fisher scaled to mean one.")
    fisher_examples: int = Field(default=64, ge=1, le=10_000, description="Images that the Fisher is measured on.")


class DeltaOptions(_Options):
    """DELTA: feature maps stay near the pretrained ones, channels that matter for the labels most of all."""

    modalities = IMAGES
    forms = TIMM

    name: Literal["delta"] = "delta"
    strength: Weight = Field(default=0.01, description="lambda: of the attention-weighted distance of feature maps.")
    head_strength: Weight = Field(default=0.01, description="Pull of the head's weights towards zero.")
    importance_examples: int = Field(default=256, ge=1, le=10_000, description="Images that importance is measured on.")


class LwFOptions(_Options):
    """LwF: what the checkpoint's own classifier says of the images is kept up while the new head is learned."""

    modalities = IMAGES

    name: Literal["lwf"] = "lwf"
    strength: Weight = Field(default=1.0, description="Of the distillation of its old answers.")
    temperature: Positive = Field(default=2.0, description="Softens old and new answers alike.")


class BSSOptions(_Options):
    """BSS: the smallest singular values of each batch's features are pushed down."""

    name: Literal["bss"] = "bss"
    batchwise: ClassVar[bool] = True
    strength: Weight = Field(default=1e-3, description="eta.")
    values: int = Field(default=1, ge=1, le=64, description="k: how many of the smallest singular values.")


class DiscriminativeOptions(_Options):
    """Learning rates that decay from the last layer to the first."""

    modalities = IMAGES
    forms = TIMM

    name: Literal["discriminative"] = "discriminative"
    decay: float = Field(default=0.8, gt=0, le=1, description="Rate of a layer over that of the layer after it.")


class EnsembleOptions(_Options):
    """Every teacher is tuned by itself; the mean of their probabilities decides."""

    teachers_needed = 2
    made_of_teachers = True

    name: Literal["ensemble"] = "ensemble"


class DistillOptions(_Options):
    """The student's features learn to predict the teachers', and its answers those of probes on the teachers."""

    teachers_needed = 1

    name: Literal["distill"] = "distill"
    feature_strength: Weight = Field(default=1.0, description="lambda: of mean_k |phi_k - W_k phi_t|^2.")
    logit_strength: Weight = Field(default=0.5, description="Of the divergence from the teachers' answers.")
    temperature: Positive = Field(default=2.0, description="Softens the answers.")


class BTuningOptions(_Options):
    """B-Tuning: the student's Bayesian prediction follows the LogME-weighted one of the teachers."""

    teachers_needed = 1

    name: Literal["b_tuning"] = "b_tuning"
    strength: Weight | None = Field(
        default=None, description="lambda; by default the number of classes, 100 as in the paper where there are 100."
    )
    temperature: Positive = Field(default=0.1, description="T: of the softmax over the teachers' LogME.")


class ZooTuningOptions(_Options):
    """Zoo-Tuning: every layer mixes the aligned weights of all checkpoints, gated by each example."""

    teachers_needed = 2
    made_of_teachers = True
    needs_one_architecture = True
    modalities = IMAGES
    exports_plain_models = False

    name: Literal["zoo_tuning"] = "zoo_tuning"
    leader: Leader = 1.0


class LiteZooTuningOptions(_Options):
    """Lite Zoo-Tuning: gates are shared by all examples, so that the result is one plain model."""

    teachers_needed = 2
    made_of_teachers = True
    needs_one_architecture = True
    modalities = IMAGES

    name: Literal["lite_zoo_tuning"] = "lite_zoo_tuning"
    batchwise: ClassVar[bool] = True
    leader: Leader = 1.0


class HubPathwayOptions(_Options):
    """Hub-Pathway: a small network sends each image through k of the checkpoints and mixes what they answer."""

    teachers_needed = 2
    made_of_teachers = True

    name: Literal["hub_pathway"] = "hub_pathway"
    batchwise: ClassVar[bool] = True
    paths: int = Field(default=2, ge=1, le=64, description="k: checkpoints that run on one image.")
    exploration: Weight = Field(default=0.3, description="Keeps every checkpoint in use over the data.")
    exploitation: Weight = Field(default=0.3, description="Makes each chosen checkpoint answer well by itself.")


class DANOptions(_Options):
    """DAN: features of source and target are brought to one distribution, by multi-kernel MMD."""

    needs_source = True
    modalities = IMAGES

    name: Literal["dan"] = "dan"
    batchwise: ClassVar[bool] = True
    strength: Weight = Field(default=1.0, description="Of the MMD.")


class DANNOptions(_Options):
    """DANN: features from which a classifier cannot tell source from target."""

    needs_source = True
    modalities = IMAGES

    name: Literal["dann"] = "dann"
    strength: Weight = Field(default=1.0, description="Largest strength of the reversed gradient.")


class MDDOptions(_Options):
    """MDD: a second classifier looks for disagreement on the target, and the features leave it none."""

    needs_source = True
    modalities = IMAGES

    name: Literal["mdd"] = "mdd"
    strength: Weight = Field(default=0.1, description="Largest strength of the reversed gradient.")
    margin: Positive = Field(default=4.0, description="gamma: weight of the source in the disparity.")


MethodOptions: TypeAlias = Annotated[
    FinetuneOptions
    | LinearProbeOptions
    | LoRAOptions
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

# By what is read, where the method names none.
OPTIMISERS: dict[str, Optimiser] = {"image": "sgd", "text": "adamw"}
# Of the backbone; heads learn at ten times these. Half a decade apart: neighbours differ by less than seeds do.
RATES: dict[Optimiser, tuple[float, ...]] = {
    "sgd": (0.0003, 0.001, 0.003),
    "adamw": (0.00003, 0.0001, 0.0003, 0.001),
}
# Of a rate's trial, at least: after a dozen, what learns slowly is still at chance at every rate, and the lowest looks
# best.
TRIAL_STEPS = 20


def optimiser_of(method: _Options, modality: str) -> Optimiser:
    """What a method is trained by: its own optimiser, or the usual one of what is read."""
    return method.optimiser or OPTIMISERS[modality]


def rates_of(method: _Options, modality: str) -> tuple[float, ...]:
    """The rates that are tried for a method: its own, or the usual ones of its optimiser, ascending."""
    return method.rates or RATES[optimiser_of(method, modality)]


def trial_epochs(examples: int, batch_size: int) -> int:
    """Epochs of one rate's trial: as few whole ones as make up `TRIAL_STEPS` steps.

    Example:
        >>> trial_epochs(340, 32)
        2
    """
    return -(-TRIAL_STEPS // -(-examples // batch_size))


# By name.
METHODS: dict[str, type[_Options]] = {
    options.model_fields["name"].default: options for options in get_args(get_args(MethodOptions)[0])
}


def method_of(adaptation: Adaptation) -> MethodOptions:
    """The method of tuning that is meant by an adaptation, with its defaults."""
    meant: dict[Adaptation, MethodOptions] = {
        "full": FinetuneOptions(),
        "probe": LinearProbeOptions(),
        "lora": LoRAOptions(),
    }
    return meant[adaptation]

"""`TransformersClassifier`: a checkpoint of images in transformers' form with a new head.

The network is the family's own class for image classification, so that what is written opens as one. Where its
classifier was stands an identity, and the class's answer are the features that its classifier would see; the new head
is one linear layer on them, and takes the classifier's place when the model is written.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from frontrunner.errors import CheckpointUnreadable, StudentUnsupported
from frontrunner.hub.opening.checkpoint import Checkpoint
from frontrunner.hub.opening.image_module import ImageRun, classifier_layers, classifying_module, logits_in
from frontrunner.hub.opening.images import ImagePreparation
from frontrunner.tuning.networks.classifier import NewHead
from frontrunner.tuning.networks.image_classifier import ImageClassifier, Normalise, at_size, norms

# transformers' MobileNets have TensorFlow's decay of running statistics (0.9997) where torch takes one minus it:
# evaluation would use the statistics of the last batch alone. torch's own default stands in.
_MOMENTUM, _LARGEST_MOMENTUM = 0.1, 0.5


class TransformersClassifier(ImageClassifier):
    """One of transformers' classes for image classification; pixels (b, 3, S, S) in [0, 1] to logits (b, C).

    Dropout between features and classifier is left out, as it is in timm's form: MobileNets state TensorFlow's share of
    features that are kept (0.999) where the class takes the share that is dropped.

    Attributes:
        classifier: the head.
        places: the layers that gave the network's logits, by name; identities stand there now.
        reads_as_ranked: whether its features are those that rankings read of the checkpoint.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        network: Any,
        places: Mapping[str, Any],
        classifier: nn.Linear,
        *,
        reads_as_ranked: bool,
        hold_statistics: bool = False,
    ) -> None:
        super().__init__(checkpoint.description, network, Normalise.of(checkpoint), hold_statistics=hold_statistics)
        self.classifier = classifier
        self.reads_as_ranked = reads_as_ranked
        # Not among the parts of this module: nobody trains them.
        self._places = tuple(places.items())

    @classmethod
    def of(
        cls, checkpoint: Checkpoint, head: NewHead, image_size: int, *, hold_statistics: bool = False
    ) -> TransformersClassifier:
        """An opened checkpoint, given a new head; arguments and errors as for `image_classifier`."""
        description = checkpoint.description
        if description.image_pooling is not None:
            raise StudentUnsupported(
                f"{description.id} is read at a layer, or with another pooling than its own, which has no form in a "
                "tuned model; name the checkpoint itself"
            )
        if not isinstance(checkpoint.preparation, ImagePreparation):
            raise StudentUnsupported(f"{description.id} takes more of an image than its pixels; it cannot be tuned")
        at_size(checkpoint, image_size)
        example = _ramp(image_size)
        with torch.inference_mode():
            ranked = checkpoint.forward(example).features
        try:
            network, places = _without_classifier(checkpoint.module, example)
        except CheckpointUnreadable as error:
            raise StudentUnsupported(f"{description.id} cannot be tuned: {error.reason}") from error
        with torch.inference_mode():
            features = logits_in(ImageRun(network)(example)).flatten(1)
        has_bias = all(layer.bias is not None for layer in places.values())
        with head.seeded():
            classifier = nn.Linear(features.shape[1], head.classes, bias=has_bias)
        same = features.shape == ranked.shape and torch.allclose(features, ranked, rtol=1e-3, atol=1e-4)
        tuned = cls(checkpoint, network, places, classifier, reads_as_ranked=same, hold_statistics=hold_statistics)
        tuned.checked(head.classes, image_size)
        return tuned

    def read(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Features (b, D)."""
        return logits_in(ImageRun(self.network)(self.normalise(inputs["pixels"]))).flatten(1)

    def pooled(self, hidden: Tensor) -> Tensor:
        """The same: the network has pooled them."""
        return hidden

    def answer(self, hidden: Tensor) -> Tensor:
        """Logits (b, C)."""
        logits: Tensor = self.classifier(hidden)
        return logits

    def head_layers(self) -> list[nn.Module]:
        """The linear layer."""
        return [self.classifier]

    def features_alone(self) -> nn.Module:
        """The network and what normalises pixels for it."""
        return _FeaturesAlone(copy.deepcopy(self.network), self.normalise)

    def plain_network(self) -> Any:
        """A copy of the network with the head where its classifier was: in every place, where it took a mean."""
        network = copy.deepcopy(self.network)
        for name, was in self._places:
            network.set_submodule(name, _as_layer(self.classifier, was))
        return network.eval()


class _FeaturesAlone(nn.Module):
    def __init__(self, network: Any, normalise: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.normalise = normalise

    def forward(self, pixels: Tensor) -> Tensor:
        return logits_in(ImageRun(self.network)(self.normalise(pixels))).flatten(1)


def own_linear_classifier(checkpoint: Checkpoint, image_size: int) -> nn.Linear | None:
    """The linear layer whose outputs are an opened checkpoint's own logits; None where there is no such layer."""
    example = _ramp(image_size)
    with torch.inference_mode():
        if checkpoint.forward(example).source_logits is None:
            return None
        layers = classifier_layers(checkpoint.module, lambda: logits_in(ImageRun(checkpoint.module)(example)))
    only = layers[0] if len(layers) == 1 else None
    return only if isinstance(only, nn.Linear) else None


def _ramp(image_size: int) -> Tensor:
    """An image (1, 3, S, S) to see layers by: of a black one many give nothing."""
    return torch.linspace(-1, 1, 3 * image_size**2).reshape(1, 3, image_size, image_size)


@torch.no_grad()
def _without_classifier(module: Any, example: Tensor) -> tuple[Any, dict[str, Any]]:
    """The family's class for image classification, identities in the place of the layers that gave its logits.

    Raises:
        CheckpointUnreadable: the family has no such class, or weights of it are missing.
    """
    network = classifying_module(module).eval()
    run = ImageRun(network)
    logits = logits_in(run(example)).flatten(1)
    layers: list[Any] = classifier_layers(network, lambda: logits_in(run(example)))
    names = {part: name for name, part in network.named_modules()}
    places = {names[layer]: layer for layer in layers}
    for name in places:
        network.set_submodule(name, nn.Identity())
    if len(layers) == 1:
        features = logits_in(run(example)).flatten(1)
        answered = nn.functional.linear(features, layers[0].weight.flatten(1), layers[0].bias)
        if not torch.allclose(answered, logits, rtol=1e-3, atol=1e-4, equal_nan=True):
            raise CheckpointUnreadable("its logits are no linear map of one row of features")
    missing = [name for name, value in network.state_dict().items() if not bool(torch.isfinite(value).all())]
    if missing:
        raise CheckpointUnreadable(f"weights are missing or not finite, for instance {missing[:3]}")
    inside = set(getattr(network, network.base_model_prefix, network).modules())
    for part in network.modules():
        if isinstance(part, nn.Dropout) and part not in inside:
            part.p = 0.0
    for norm in norms(network):
        if norm.momentum is not None and norm.momentum > _LARGEST_MOMENTUM:
            norm.momentum = _MOMENTUM
    return network, places


def _as_layer(head: nn.Linear, was: Any) -> nn.Module:
    """The head as the kind of layer that gave the network's logits."""
    if isinstance(was, nn.Linear):
        return copy.deepcopy(head)
    layer = nn.Conv2d(head.in_features, head.out_features, was.kernel_size, bias=head.bias is not None)
    with torch.no_grad():
        layer.weight.copy_(head.weight.reshape(layer.weight.shape))
        if head.bias is not None and layer.bias is not None:
            layer.bias.copy_(head.bias)
    return layer

"""Curvature and gradient noise of a backbone in a random d-dimensional subspace of all its parameters. Loads torch.

w = w_PT + P v with P (N, d): every parameter belongs to one direction, drawn with its sign from a seed, and columns
have unit length. Their supports are disjoint, so they are orthonormal; P' g costs one pass over a gradient,
and P takes three bytes a parameter instead of 4 d. This is the construction of Li et al. (2018) with a sparse P.

Per example one forward pass is shared by a backward pass for each row that is wanted, and each gradient is projected
and dropped at once: memory is that of one example and one gradient for any n and d. On a CPU a plain loop took a fifth
of the time and a third of the memory of vmap of grad.

Only the backbone moves. A head is a loss on features, and enters by its derivative there:
- the source's loss is the checkpoint's own classifier with labels drawn from its own predictions: the Fisher needs
  inputs only, so the source's images are not needed;
- the target's is LogME's posterior-mean head with its noise precisions, and the true labels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from frontrunner.discrepancy.curvature import Curvature
from frontrunner.discrepancy.errors import InvalidDiscrepancyInput, SubspaceTooLarge, TooFewPoints
from frontrunner.statistics import Floats

DIMENSION = 256
# Entries handled at once: int64 indices and float64 products of a block stay under 20 MiB.
_BLOCK = 1 << 20
# Directions are kept as int16.
_MOST_DIRECTIONS = 1 << 14


class RandomSubspace:
    """The map P between parameters and d coordinates, fixed by a seed and the parameters' sizes.

    Args:
        parameters: the tensors it spans, in order.
        dimension: d.
        seed: of directions and signs.

    Raises:
        SubspaceTooLarge: more directions than parameters, or than 16,384.

    Example:
        >>> subspace = RandomSubspace([torch.zeros(40, 5)], dimension=8)
        >>> v = torch.arange(8.0)
        >>> torch.allclose(torch.as_tensor(subspace.project(subspace.expand(v))), v.double())
        True
    """

    def __init__(self, parameters: Sequence[Tensor], dimension: int = DIMENSION, seed: int = 0) -> None:
        self.shapes = [parameter.shape for parameter in parameters]
        self.parameters = sum(parameter.numel() for parameter in parameters)
        self.dimension = dimension
        if not 1 <= dimension <= min(self.parameters, _MOST_DIRECTIONS):
            raise SubspaceTooLarge(
                f"a subspace has 1 to {min(self.parameters, _MOST_DIRECTIONS)} dimensions here, got {dimension}"
            )
        generator = torch.Generator().manual_seed(seed)
        self._direction = torch.empty(self.parameters, dtype=torch.int16)
        for start in range(0, self.parameters, _BLOCK):
            size = min(_BLOCK, self.parameters - start)
            # A shuffled deal, not independent draws: no direction is left without a parameter.
            self._direction[start : start + size] = torch.randperm(size, generator=generator) % dimension
        self._sign = torch.randint(0, 2, (self.parameters,), generator=generator, dtype=torch.int8).mul_(2).sub_(1)
        self._length = torch.bincount(self._direction.long(), minlength=dimension).double().sqrt()

    def project(self, tensors: Sequence[Tensor | None]) -> Floats:
        """P' g, (d,), for tensors shaped like the parameters; None counts as zero."""
        total = torch.zeros(self.dimension, dtype=torch.float64)
        start = 0
        for tensor, shape in zip(tensors, self.shapes, strict=True):
            if tensor is not None:
                flat = tensor.detach().reshape(-1).cpu()
                for begin in range(0, flat.numel(), _BLOCK):
                    piece = flat[begin : begin + _BLOCK]
                    rows = slice(start + begin, start + begin + piece.numel())
                    signed = piece * self._sign[rows]
                    total += torch.bincount(self._direction[rows].long(), signed, minlength=self.dimension)
            start += shape.numel()
        return np.asarray((total / self._length).numpy(), dtype=np.float64)

    def expand(self, coordinates: Tensor) -> list[Tensor]:
        """P v as tensors shaped like the parameters, float32, for v (d,)."""
        scaled = coordinates.double() / self._length
        flat = (scaled[self._direction.long()] * self._sign).float()
        pieces = torch.split(flat, [shape.numel() for shape in self.shapes])
        return [piece.reshape(shape) for piece, shape in zip(pieces, self.shapes, strict=True)]


class Head(Protocol):
    """A loss on features, known by its derivative with respect to them; rows are float32 on the features' device."""

    def fisher_rows(self, features: Tensor, draws: int | None, generator: torch.Generator) -> Tensor:
        """(K, D) rows r, E sum r r' the loss's Fisher at `features` (D,): `draws` at random, None for all of it."""
        ...

    def gradient_row(self, features: Tensor, label: Tensor) -> Tensor:
        """(D,) the loss's gradient at `features` (D,) for its true label."""
        ...


class GaussianHead:
    """Squared error of a linear head with a noise precision for each output: LogME's model at its posterior mean.

    Args:
        weights: m, (D, C).
        noise_precision: beta, (C,).

    Labels are integer codes (one-hot) or real rows (C,).

    Example:
        >>> head = GaussianHead(np.eye(2), [1.0, 1.0])  # outputs equal features
        >>> head.gradient_row(torch.tensor([3.0, 1.0]), torch.tensor(0)).tolist()
        [2.0, 1.0]
    """

    def __init__(self, weights: ArrayLike, noise_precision: ArrayLike) -> None:
        self.weights = torch.as_tensor(np.asarray(weights, dtype=np.float32))
        self.precision = torch.as_tensor(np.asarray(noise_precision, dtype=np.float32))
        if self.weights.ndim != 2 or self.precision.shape != self.weights.shape[1:]:
            raise InvalidDiscrepancyInput(
                f"expected weights (D, C) and precisions (C,), got {tuple(self.weights.shape)} and "
                f"{tuple(self.precision.shape)}"
            )

    def fisher_rows(self, features: Tensor, draws: int | None, generator: torch.Generator) -> Tensor:
        """sqrt(beta_c) m_c for every output, or sums of them with random signs: same second moment, least variance."""
        rows = (self.weights * self.precision.sqrt()).T
        if draws is not None:
            signs = torch.randint(0, 2, (draws, rows.shape[0]), generator=generator).float().mul_(2).sub_(1)
            rows = signs @ rows / draws**0.5
        return rows.to(features.device)

    def gradient_row(self, features: Tensor, label: Tensor) -> Tensor:
        """-m (beta (y - m'f))."""
        outputs = self.weights.T @ features.cpu()
        wanted = label.float().cpu()
        if label.ndim == 0:
            wanted = nn.functional.one_hot(label.long().cpu(), outputs.numel()).float()
        return (self.weights @ (self.precision * (outputs - wanted))).to(features.device)


class ClassifierHead:
    """Cross-entropy of the checkpoint's own classifier, a differentiable map from features (1, D) to logits (1, C).

    Example:
        >>> ClassifierHead(lambda features: features).gradient_row(torch.zeros(2), torch.tensor(0)).tolist()
        [-0.5, 0.5]
    """

    def __init__(self, classifier: Callable[[Tensor], Tensor]) -> None:
        self.classifier = classifier

    def fisher_rows(self, features: Tensor, draws: int | None, generator: torch.Generator) -> Tensor:
        """Gradients at labels drawn from the prediction, or at every label, weighted by the root of its probability."""
        leaf, logits = self._logits(features)
        probabilities = logits.detach().softmax(dim=0)
        if draws is None:
            labels, weights = torch.arange(logits.numel()), probabilities.sqrt()
        else:
            drawn = torch.multinomial(probabilities.cpu(), draws, replacement=True, generator=generator)
            labels, weights = drawn, torch.full((draws,), draws**-0.5, device=features.device)
        rows = []
        for label, weight in zip(labels.tolist(), weights, strict=True):
            error = probabilities.clone()
            error[label] -= 1.0
            (row,) = torch.autograd.grad(logits, leaf, error * weight, retain_graph=True)
            rows.append(row[0])
        return torch.stack(rows)

    def gradient_row(self, features: Tensor, label: Tensor) -> Tensor:
        """The cross-entropy's gradient at the label's code."""
        leaf, logits = self._logits(features)
        loss = nn.functional.cross_entropy(logits[None], label.long().reshape(1).to(logits.device))
        (row,) = torch.autograd.grad(loss, leaf)
        return row[0]

    def _logits(self, features: Tensor) -> tuple[Tensor, Tensor]:
        leaf = features.detach()[None].requires_grad_(True)
        with torch.enable_grad():
            return leaf, self.classifier(leaf)[0]


def measure_curvature(
    backbone: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor | None]],
    *,
    source: Head | None,
    target: Head | None,
    dimension: int = DIMENSION,
    draws: int | None = 1,
    seed: int = 0,
) -> tuple[Curvature | None, Curvature | None]:
    """(source's, target's) curvature of a backbone over the same examples, in one pass.

    Args:
        backbone: maps inputs (b, ...) to features (b, D), in evaluation mode for the time of the call. All of its
            floating-point parameters span the subspace; a classifier inside it that features do not pass is inert.
        batches: (inputs, labels); labels may be None where there is no target.
        source: usually a `ClassifierHead`; its gradients are taken at the labels of its own prediction, at those drawn
            or, where `draws` is None, at all of them in expectation. None leaves it out.
        target: usually a `GaussianHead`; its gradients are taken at the labels. None leaves it out.
        dimension: d; keep it equal for every checkpoint.
        draws: Fisher rows for each example and head, one backward pass each; None for the exact sum over outputs.
        seed: of the subspace and of the draws.

    Raises:
        SubspaceTooLarge: d exceeds the number of parameters.
        TooFewPoints: fewer than two examples.
        InvalidDiscrepancyInput: a target without labels, features that are not (b, D), or gradients not finite.

    Example:
        >>> batch = torch.randn(4, 3), torch.tensor([0, 1, 0, 1])
        >>> head = GaussianHead(np.eye(2), [1.0, 1.0])
        >>> _, target = measure_curvature(nn.Linear(3, 2), [batch], source=None, target=head, dimension=5)
        >>> target.fisher.shape, target.gradients.shape
        ((5, 5), (4, 5))
    """
    parameters = [p for p in backbone.parameters() if p.is_floating_point()]
    subspace = RandomSubspace(parameters, dimension, seed)
    generator = torch.Generator().manual_seed(seed + 1)
    found: dict[str, list[Floats]] = {"source": [], "fisher": [], "gradient": []}
    n = 0
    with _differentiable(backbone, parameters):
        for inputs, labels in batches:
            if target is not None and labels is None:
                raise InvalidDiscrepancyInput("the target's gradients need labels beside the inputs")
            for index in range(inputs.shape[0]):
                features = backbone(inputs[index : index + 1])
                if features.ndim != 2:
                    raise InvalidDiscrepancyInput(f"a backbone must give features (b, D), got {tuple(features.shape)}")
                rows = []
                if source is not None:
                    drawn = source.fisher_rows(features[0].detach(), draws, generator)
                    rows += [("source", row) for row in drawn]
                if target is not None and labels is not None:
                    drawn = target.fisher_rows(features[0].detach(), draws, generator)
                    rows += [("fisher", row) for row in drawn]
                    rows.append(("gradient", target.gradient_row(features[0].detach(), labels[index])))
                for position, (kind, row) in enumerate(rows):
                    keep = position + 1 < len(rows)
                    gradients = torch.autograd.grad(
                        features, parameters, row[None].to(features), retain_graph=keep, allow_unused=True
                    )
                    found[kind].append(subspace.project(gradients))
                n += 1
    if n < 2:
        raise TooFewPoints(f"curvature needs two examples, got {n}")
    stacked = {kind: np.array(rows) for kind, rows in found.items()}
    return (
        Curvature(n, stacked["source"], _drawn_gradients(stacked["source"], draws)) if source is not None else None,
        Curvature(n, stacked["fisher"], stacked["gradient"]) if target is not None else None,
    )


def projected_shift(
    before: Sequence[Tensor], after: Sequence[Tensor], *, dimension: int = DIMENSION, seed: int = 0
) -> Floats:
    """theta = P'(w_after - w_before), (d,): how far tuning moved a backbone, in the subspace of its curvature.

    Args:
        before, after: the floating-point parameters in `backbone.parameters()` order, of equal shapes.
        dimension, seed: those that `measure_curvature` was given.

    Raises:
        InvalidDiscrepancyInput: shapes differ.

    Example:
        >>> before, after = torch.zeros(4, 5), torch.ones(4, 5)
        >>> projected_shift([before], [before], dimension=3).tolist()
        [0.0, 0.0, 0.0]
        >>> projected_shift([before], [after], dimension=3).shape
        (3,)
    """
    if [p.shape for p in before] != [p.shape for p in after]:
        raise InvalidDiscrepancyInput("the parameters before and after tuning differ in shape")
    subspace = RandomSubspace(before, dimension, seed)
    return subspace.project([b.detach().cpu() - a.detach().cpu() for a, b in zip(before, after, strict=True)])


def _drawn_gradients(rows: Floats, draws: int | None) -> Floats | None:
    """(n draws, d) the gradients at drawn labels, of which Fisher rows are 1/sqrt(draws); None: in expectation."""
    return None if draws is None else rows * draws**0.5


@contextmanager
def _differentiable(backbone: nn.Module, parameters: Sequence[Tensor]) -> Iterator[None]:
    """Evaluation mode, so that examples do not mix through batch statistics, and gradients on; restored afterwards."""
    training = {module: module.training for module in backbone.modules()}
    wanted = [parameter.requires_grad for parameter in parameters]
    backbone.eval()
    for parameter in parameters:
        parameter.requires_grad_(True)
    try:
        with torch.enable_grad():
            yield
    finally:
        for module, mode in training.items():
            module.training = mode
        for parameter, flag in zip(parameters, wanted, strict=True):
            parameter.requires_grad_(flag)

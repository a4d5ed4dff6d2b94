"""Facts about Zoo-Tuning and its lite form."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from timm.layers import Conv2dSame
from torch import nn

from frontrunner import logme
from frontrunner.errors import ArchitecturesDiffer
from frontrunner.tuning.methods import build
from frontrunner.tuning.methods.lite_zoo_tuning import fold
from frontrunner.tuning.methods.zoo_layers import Gates, ZooConv2d, ZooLayer, zoo_layer
from frontrunner.tuning.methods.zoo_tuning import (
    leader_first,
    make_zoo,
    mean_gates,
    measure_statistics,
    require_one_architecture,
)
from frontrunner.tuning.networks.image_classifier import ImageClassifier
from frontrunner.tuning.options import LiteZooTuningOptions, ZooTuningOptions
from frontrunner.tuning.training.loop import TrainingData, train
from frontrunner.tuning.training.state import StateFile
from tests.tuning.builders import coloured_images, context, image_classifier, measured_checkpoint, schedule

# Residual, depthwise with squeeze and excitation, a transformer, and channels last with gated depthwise convolutions.
ARCHITECTURES = ("test_resnet", "test_efficientnet", "test_vit", "test_mambaout", "mobilenetv3_small_050")


@pytest.fixture(scope="module", params=ARCHITECTURES)
def teachers(request, tmp_path_factory) -> list[ImageClassifier]:
    root = tmp_path_factory.mktemp(request.param)
    found = []
    for seed, classes in enumerate((10, 4)):  # the second was trained on fewer classes
        description = measured_checkpoint(root / f"c{seed}", request.param, seed, classes)
        classifier = image_classifier(description)
        with torch.no_grad():  # norms that differ between the checkpoints
            for name, weight in classifier.backbone():
                if weight.ndim == 1 and name.endswith("weight"):
                    weight.add_(0.1 * seed)
        found.append(classifier.eval())
    return found


def fix_gates(zoo: nn.Module, gates: list[float]) -> None:
    for part in zoo.modules():
        if isinstance(part, Gates):
            values = torch.tensor(gates)
            part.forward = lambda pooled, values=values: values.expand(len(pooled), -1)


@pytest.mark.parametrize("chosen", [0, 1])
def test_with_gates_fixed_at_one_checkpoint_the_zoo_answers_as_that_checkpoint(teachers, chosen):
    zoo = make_zoo([teachers[chosen], teachers[1 - chosen]], [0.5, 0.5], shared=False).eval()
    fix_gates(zoo, [1.0, 0.0])
    pixels = coloured_images(5).plain(torch.arange(5))
    with torch.no_grad():
        expected, answered = teachers[chosen].features(pixels), zoo.features(pixels)
    assert not torch.allclose(expected, teachers[1 - chosen].features(pixels), rtol=1e-3, atol=1e-3)
    scale = float(expected.abs().max())
    assert float((answered - expected).abs().max()) <= 1e-5 * max(1.0, scale)


@pytest.mark.parametrize("shared", [True, False])
def test_a_checkpoint_counts_as_much_as_its_mean_gate(teachers, shared):
    zoo = make_zoo(teachers, [0.7, 0.3], shared=shared)
    pixels = coloured_images(5).plain(torch.arange(5))
    torch.testing.assert_close(mean_gates(zoo, pixels), torch.tensor([0.7, 0.3]))
    fix_gates(zoo, [0.25, 1.0])
    torch.testing.assert_close(mean_gates(zoo, pixels), torch.tensor([0.25, 1.0]))
    assert not any(part._forward_hooks for part in zoo.modules()), "later passes are not listened to"


def test_every_plain_layer_is_mixed_and_the_head_is_not(teachers):
    zoo = make_zoo(teachers, [0.5, 0.5], shared=False)
    layers = [part for part in zoo.modules() if isinstance(part, ZooLayer)]
    plain = [p for p in teachers[0].network.modules() if type(p).__name__ in ("Conv2d", "Conv2dSame", "Linear")]
    heads = teachers[0].network.get_classifier()
    assert len(layers) == len(plain) - len([p for p in plain if p is heads])
    assert isinstance(zoo.network.get_classifier(), nn.Linear)


def test_the_first_gates_are_as_told_whatever_the_input():
    first = [0.7, 0.2, 0.1]
    torch.testing.assert_close(Gates(8, first, shared=False)(torch.randn(5, 8)), torch.tensor([first] * 5))


def test_a_gate_is_a_sigmoid_stretched_by_a_quarter_to_either_side():
    """relu(n x) with n = 2 and d = 3 is 6: the gate is 1.5 sigmoid(6 + b) - 0.25, b with sigmoid(b) = 0.25 / 1.5."""
    gates = Gates(1, [0.0], shared=False)
    with torch.no_grad():
        gates.narrow.weight.fill_(2.0)
        gates.narrow.bias.zero_()
        gates.decide.weight.fill_(3.0)
    first = math.log(0.25 / 1.25)
    for given, decided in ((1.0, 6 + first), (0.1, 0.6 + first), (-1.0, first)):
        expected = 1.5 / (1 + math.exp(-decided)) - 0.25
        assert float(gates(torch.tensor([[given]])).detach()) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("first", [0.0, 1.0])
def test_a_gate_that_starts_at_nothing_or_all_learns_nearly_as_fast_as_one_at_a_half(first):
    """The slope of a stretched sigmoid there is s (1 + s) / (1 + 2 s) with s = 1/4: 5/24, where a plain one has 1/4."""
    gates = Gates(4, [first], shared=False)
    gates(torch.ones(1, 4)).sum().backward()
    assert float(gates.decide.bias.grad) == pytest.approx(5 / 24, rel=1e-5)


def test_gates_see_a_quarter_of_the_inputs_width_and_at_least_one():
    assert [Gates(width, [1.0], shared=False).narrow.out_features for width in (3, 8, 40)] == [1, 2, 10]


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("kind", [lambda: nn.Conv2d(4, 6, 3), lambda: nn.Linear(4, 6)])
def test_gates_that_start_at_the_leader_find_out_that_only_the_second_checkpoint_is_right(kind, shared):
    """Nothing but the gates learns: from the leader alone to a hundredth of the loss within 300 steps."""
    torch.manual_seed(0)
    layers = [kind() for _ in range(2)]
    zoo = zoo_layer(layers, [1.0, 0.0], shared=shared)
    right = {"weight": zoo.weight[1].detach(), "bias": layers[1].bias.detach()}
    optimiser = torch.optim.SGD(zoo.gates.parameters(), lr=0.1, momentum=0.9, nesterov=True)
    losses = []
    for _ in range(300):
        inputs = torch.randn(16, 4, 5, 5) if isinstance(layers[0], nn.Conv2d) else torch.randn(16, 4)
        wanted = torch.func.functional_call(layers[1], right, (inputs,))
        loss = (zoo(inputs) - wanted).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] / 100


def test_by_default_a_zoo_starts_as_its_leader(tmp_path, zoo):
    images = coloured_images(30)
    for options in (ZooTuningOptions(), LiteZooTuningOptions()):
        given = context(options, tmp_path, images, teachers=zoo, hold_statistics=True)
        method = build(given)
        leader = leader_first(given)[0].eval()
        pixels = images.plain(torch.arange(5))
        with torch.no_grad():
            torch.testing.assert_close(method.module.eval()(pixels), leader(pixels), rtol=1e-4, atol=1e-5)


def test_the_teacher_of_the_highest_logme_comes_first(tmp_path, zoo):
    images = coloured_images(30)
    given = context(LiteZooTuningOptions(), tmp_path, images, teachers=zoo)
    scores = [logme(given.extract(teacher).features, images.labels.numpy()) for teacher in zoo]
    ids = [teacher.description.id for teacher in leader_first(given)]
    assert ids[0] == zoo[int(np.argmax(scores))].id
    assert sorted(ids) == sorted(teacher.id for teacher in zoo)


def test_the_first_gates_are_the_leaders_share_and_equal_parts_of_the_rest(tmp_path, zoo):
    method = build(context(LiteZooTuningOptions(leader=0.8), tmp_path, coloured_images(30), teachers=zoo))
    first = [part.settled() for part in method.module.modules() if isinstance(part, Gates)]
    assert first
    for gates in first:
        torch.testing.assert_close(gates, torch.tensor([0.8, 0.1, 0.1]))


def test_each_example_has_weights_of_its_own():
    """A grouped convolution over the batch is what a loop over examples with their own mixed weights computes."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(4, 6, 3, padding=1, stride=2, groups=2) for _ in range(3)]
    zoo = ZooConv2d(layers, [0.4, 0.3, 0.3], shared=False)
    nn.init.normal_(zoo.gates.decide.weight)
    nn.init.normal_(zoo.alignment)
    inputs = torch.randn(5, 4, 8, 8)
    gates = zoo.gates(inputs.mean(dim=(2, 3)))
    assert float(gates.detach().std(dim=0).min()) > 1e-3
    largest = torch.linalg.svdvals(zoo.weight.detach().flatten(2)).max(dim=1).values
    alignments = torch.eye(6) + zoo.alignment / largest[:, None, None]
    for example, row in zip(inputs, gates, strict=True):
        weight = sum(
            a * (t @ w.flatten(1)).reshape(w.shape) for a, t, w in zip(row, alignments, zoo.weight, strict=True)
        )
        bias = sum(a * b for a, b in zip(row, zoo.bias, strict=True))
        expected = nn.functional.conv2d(example[None], weight, bias, stride=2, padding=1, groups=2)
        place = int((inputs == example).flatten(1).all(dim=1).nonzero()[0])
        torch.testing.assert_close(zoo(inputs)[place : place + 1], expected, rtol=1e-4, atol=1e-5)


def test_kernels_of_more_than_one_position_are_aligned_and_nothing_else():
    layers = [nn.Conv2d(4, 6, 1), nn.Conv2d(4, 6, (1, 3)), nn.Conv2d(4, 6, 3), nn.Linear(4, 6)]
    aligned = [zoo_layer([layer] * 2, [1.0, 0.0], shared=True).alignment for layer in layers]
    assert [None if one is None else tuple(one.shape) for one in aligned] == [None, (2, 6, 6), (2, 6, 6), None]


@pytest.mark.parametrize("side", [7, 8])
def test_a_layer_that_pads_as_needed_pads_on_as_its_own_class_does(side):
    layer = Conv2dSame(4, 6, 3, stride=2, dilation=2)
    inputs = torch.randn(2, 4, side, side + 1, generator=torch.Generator().manual_seed(0))
    mixed = zoo_layer([layer, Conv2dSame(4, 6, 3, stride=2, dilation=2)], [1.0, 0.0], shared=False)
    torch.testing.assert_close(mixed(inputs), layer(inputs), rtol=1e-4, atol=1e-5)


def test_only_the_head_learns_at_the_heads_rate(tmp_path, zoo):
    method = build(context(LiteZooTuningOptions(), tmp_path, coloured_images(12), teachers=zoo[:2]))
    new = {id(weight) for weight in method.module.head()}
    told = {id(weight): group.rate for group in method.groups for weight in group.weights}
    assert told == {id(w): 10.0 if id(w) in new else 1.0 for w in method.module.parameters()}


def test_checkpoints_are_brought_to_the_scale_of_the_leader_channel_by_channel():
    """One of them scaled a hundredfold, as a conversion may leave it, mixes as it would unscaled."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(4, 6, 3, bias=False) for _ in range(3)]
    mixed = ZooConv2d(layers, [0.7, 0.2, 0.1], shared=True).eval()
    torch.testing.assert_close(mixed.weight[0], layers[0].weight)
    with torch.no_grad():
        layers[2].weight.mul_(torch.linspace(0.01, 100, 6)[:, None, None, None])
    scaled = ZooConv2d(layers, [0.7, 0.2, 0.1], shared=True).eval()
    torch.testing.assert_close(scaled.weight, mixed.weight)


def test_shared_gates_are_the_batchs_mean_and_settle_to_a_corrected_running_mean():
    torch.manual_seed(0)
    gates = Gates(8, [0.5, 0.5], shared=True)
    nn.init.normal_(gates.decide.weight)
    free = Gates(8, [0.5, 0.5], shared=False)
    free.load_state_dict(gates.state_dict())
    batches = [torch.randn(4, 8) for _ in range(3)]
    means = [free(batch).mean(dim=0) for batch in batches]
    for batch, mean in zip(batches, means, strict=True):
        torch.testing.assert_close(gates.train()(batch)[0], mean)
    weights = torch.tensor([0.1 * 0.9**2, 0.1 * 0.9, 0.1])
    expected = sum(w * m for w, m in zip(weights / weights.sum(), means, strict=True))
    torch.testing.assert_close(gates.eval()(torch.randn(7, 8))[0], expected)
    assert not gates.settled().requires_grad


def test_a_trained_lite_zoo_folds_into_a_plain_model_that_answers_alike(tmp_path, teachers):
    descriptions = tuple(teacher.description for teacher in teachers)
    images = coloured_images(12)
    method = build(context(LiteZooTuningOptions(), tmp_path, images, teachers=descriptions))
    state = StateFile(tmp_path / "state.pt", "test")
    train(method, TrainingData(images), schedule(epochs=1, learning_rate=0.001), state)
    zoo = method.module
    for part in zoo.modules():  # gates that differ between layers and checkpoints, as after a long training
        if isinstance(part, Gates):
            with torch.no_grad():
                part.running.mul_(torch.rand_like(part.running) + 0.5)
    folded = fold(zoo, image_classifier(descriptions[0]))
    pixels = coloured_images(5, seed=3).plain(torch.arange(5))
    with torch.no_grad():
        torch.testing.assert_close(folded(pixels), zoo(pixels), rtol=1e-4, atol=1e-4)
    plain = image_classifier(descriptions[0])
    assert folded.state_dict().keys() == plain.state_dict().keys()
    assert {type(part) for part in folded.modules()} == {type(part) for part in plain.modules()}


def test_running_statistics_are_measured_on_the_target(zoo):
    classifiers = [image_classifier(description) for description in zoo]
    mixture = make_zoo(classifiers, [0.4, 0.3, 0.3], shared=True)
    images = coloured_images(16)
    measure_statistics(mixture, images, seed=0)
    first = next(part for part in mixture.modules() if isinstance(part, nn.BatchNorm2d))
    entering = []
    hook = first.register_forward_pre_hook(lambda _, given: entering.append(given[0]))
    with torch.no_grad():
        mixture.eval()(images.plain(torch.arange(16)))
    hook.remove()
    torch.testing.assert_close(first.running_mean, entering[0].mean(dim=(0, 2, 3)), rtol=1e-4, atol=1e-4)
    assert first.momentum == 0.1


def test_statistics_are_those_of_mixed_batches_though_images_lie_by_class(zoo):
    """The variance between classes is a part of them: measured on images in the order of their classes too."""
    mixed = coloured_images(96)
    by_class = mixed.take(np.argsort(mixed.labels.numpy(), kind="stable"))
    variances = []
    for images in (mixed, by_class):
        mixture = make_zoo([image_classifier(zoo[0])] * 2, [0.5, 0.5], shared=True)
        measure_statistics(mixture, images, seed=0)
        first = next(part for part in mixture.modules() if isinstance(part, nn.BatchNorm2d))
        variances.append(first.running_var)
    torch.testing.assert_close(variances[0], variances[1], rtol=0.05, atol=1e-3)


def test_checkpoints_of_other_shapes_are_refused(tmp_path, zoo, vit):
    first, other = image_classifier(zoo[0]), image_classifier(vit)
    with pytest.raises(ArchitecturesDiffer, match="test_resnet and test_vit"):
        require_one_architecture([first, other])


def test_checkpoints_of_one_shape_and_other_strides_are_refused(zoo):
    first, other = (image_classifier(zoo[0]) for _ in range(2))
    other.network.layer2[0].conv1.stride = (1, 1)
    with pytest.raises(ArchitecturesDiffer):
        require_one_architecture([first, other])

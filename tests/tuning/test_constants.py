"""Constants and rarely taken branches of the methods, against numpy, loops, or the formula written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from frontrunner.tuning.methods import build
from frontrunner.tuning.methods.anchors import Anchors
from frontrunner.tuning.methods.b_tuning import _Weights, teachers_prediction
from frontrunner.tuning.methods.delta import attention, feature_maps
from frontrunner.tuning.methods.distill import _standardised
from frontrunner.tuning.methods.ewc import diagonal_fisher
from frontrunner.tuning.methods.hub_pathway import Generator, Pathway
from frontrunner.tuning.methods.zoo_layers import Gates, ZooConv2d, ZooLayer, ZooLinear, zoo_layer
from frontrunner.tuning.methods.zoo_tuning import measure_statistics
from frontrunner.tuning.options import HubPathwayOptions
from frontrunner.tuning.randomness import NOISE, epoch_order
from tests.tuning.builders import coloured_images, context, image_classifier


def test_teachers_far_apart_leave_the_prediction_to_the_best_without_overflow():
    predictions = [np.array([[1.0, 0.0]]), np.array([[0.0, 2.0]])]
    assert teachers_prediction([1000.0, 0.0], predictions, temperature=0.5).tolist() == [[1.0, 0.0]]
    assert teachers_prediction([-1000.0, 0.0], predictions, temperature=0.5).tolist() == [[0.0, 2.0]]


def test_what_is_held_fast_is_no_part_of_what_is_saved():
    weight = nn.Parameter(torch.ones(2))
    assert not Anchors([weight], [torch.ones(2)]).state_dict()
    assert not _Weights(np.ones((2, 3))).state_dict()
    assert float(Anchors([weight])().detach()) == 0.0


def test_a_teachers_feature_that_hardly_varies_is_divided_by_a_millionth():
    """Deviations 4e-7 and 3: the first is below the floor of 1e-6."""
    features = np.array([[4e-7, 3.0], [-4e-7, -3.0]])
    assert _standardised(features) == pytest.approx(np.array([[0.4, 1.0], [-0.4, -1.0]]), rel=1e-6)
    assert _standardised(features + np.array([0.0, 50.0])) == pytest.approx(
        np.array([[0.4, 1.0], [-0.4, -1.0]]), rel=1e-6
    )


@pytest.mark.parametrize("draws", [None, 2])
def test_a_weight_that_no_answer_depends_on_has_no_fisher_information(draws):
    """Logits (w, 0) of any example: p = 1 / (1 + e^-w), of the Fisher p (1 - p); at w = 0 each label gives 1/4."""
    used, unused = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.ones(3))
    found = diagonal_fisher(
        logits_of=lambda example: torch.cat([used * example, torch.zeros(1)])[None],
        weights=[used, unused],
        inputs=[torch.ones(1), torch.full((1,), 3.0)],
        draws=draws,
    )
    assert found[0].tolist() == pytest.approx([(0.25 * 1 + 0.25 * 9) / 2])
    assert found[1].tolist() == [0.0, 0.0, 0.0]


def test_channels_of_one_importance_have_an_attention_of_one():
    assert attention(torch.full((4,), 2.0)).tolist() == [1.0] * 4


def test_feature_maps_leave_no_hook_on_the_network(zoo):
    student = image_classifier(zoo[0]).eval()
    with feature_maps(student) as maps:
        student(coloured_images(2).plain(torch.arange(2)))
        assert len(maps()) == len(student.network.feature_info)
    assert not any(part._forward_hooks for part in student.network.modules())


def test_shared_gates_are_the_batchs_mean_until_one_batch_was_trained_on():
    torch.manual_seed(0)
    gates = Gates(inputs=8, first=[0.5, 0.2], shared=True).eval()
    assert gates.settled().tolist() == pytest.approx([0.5, 0.2], abs=1e-6)
    nn.init.normal_(gates.decide.weight)
    free = Gates(8, [0.5, 0.2], shared=False)
    free.load_state_dict(gates.state_dict())
    first, second = torch.randn(4, 8), torch.randn(3, 8)
    for batch in (first, second):
        torch.testing.assert_close(gates(batch), free(batch).mean(dim=0)[None])
    gates.train()(first)
    assert int(gates.batches) == 1
    torch.testing.assert_close(gates.eval()(second), free(first).mean(dim=0)[None])
    torch.testing.assert_close(gates.train()(second), free(second).mean(dim=0)[None])
    for mode in (True, False):
        torch.testing.assert_close(free.train(mode)(second), free(second))
    assert int(free.batches) == 0


@pytest.mark.parametrize("bias", [True, False])
def test_a_linear_map_has_weights_of_its_own_for_each_example_by_the_mean_over_its_positions(bias):
    torch.manual_seed(0)
    layers = [nn.Linear(4, 6, bias=bias) for _ in range(3)]
    mixed = ZooLinear(layers=layers, first=[0.5, 0.3, 0.2], shared=False)
    nn.init.normal_(mixed.gates.decide.weight)
    inputs = torch.randn(5, 2, 3, 4)
    answered = mixed(inputs)
    gates = mixed.gates(inputs.reshape(5, 6, 4).mean(dim=1))
    lengths = [layer.weight.detach().norm(dim=1, keepdim=True) for layer in layers]
    weights = [layer.weight.detach() * lengths[0] / length for layer, length in zip(layers, lengths, strict=True)]
    for example, row, found in zip(inputs, gates, answered, strict=True):
        weight = sum(a * w for a, w in zip(row, weights, strict=True))
        offset = sum(a * layer.bias for a, layer in zip(row, layers, strict=True)) if bias else 0.0
        torch.testing.assert_close(found, example @ weight.T + offset, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", [lambda: nn.Conv2d(4, 6, 3), lambda: nn.Linear(4, 6), lambda: nn.Conv2d(4, 6, 1)])
def test_a_layer_of_one_checkpoint_is_its_own_and_gates_mix_weights_and_biases(kind):
    """Nothing is aligned at first: for gates (0.25, 2) the weights are a sum, the second's at the first's length."""
    torch.manual_seed(0)
    layers = [kind(), kind()]
    inputs = torch.randn(3, 4, 5, 5) if isinstance(layers[0], nn.Conv2d) else torch.randn(3, 4)
    torch.testing.assert_close(zoo_layer(layers[:1], [1.0], shared=True)(inputs), layers[0](inputs))
    weights = [layer.weight.detach().flatten(1) for layer in layers]
    second = weights[1] * weights[0].norm(dim=1, keepdim=True) / weights[1].norm(dim=1, keepdim=True)
    found, bias = ZooLayer(layers=layers, inputs=4, first=[1.0, 0.0], shared=True).mixed(torch.tensor([[0.25, 2.0]]))
    torch.testing.assert_close(found[0].flatten(1), 0.25 * weights[0] + 2 * second)
    torch.testing.assert_close(bias[0], 0.25 * layers[0].bias + 2 * layers[1].bias)


@pytest.mark.parametrize("shared", [False, True])
def test_a_convolution_without_a_bias_and_with_holes_is_mixed_with_its_stride_padding_and_groups(shared):
    torch.manual_seed(0)
    layers = [nn.Conv2d(4, 6, 3, stride=2, padding=2, dilation=2, groups=2, bias=False) for _ in range(2)]
    assert isinstance(zoo_layer(layers=layers, first=[1.0, 0.0], shared=shared), ZooConv2d)
    mixed = ZooConv2d(layers=layers, first=[1.0, 0.0], shared=shared)
    inputs = torch.randn(3, 4, 9, 7)
    torch.testing.assert_close(mixed(inputs), layers[0](inputs), rtol=1e-4, atol=1e-5)


class Measured(nn.Module):
    """A zoo of one normalisation layer, and images that are numbers: row i has i in all of its pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(1, momentum=0.3)
        self.held = [self.norm]
        self.pieces = []

    def forward(self, pixels):
        self.pieces.append(pixels[:, 0, 0, 0].long().tolist())
        return self.norm(pixels)


class Numbers:
    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n

    def plain(self, rows):
        return rows.float()[:, None, None, None].expand(-1, 1, 2, 2)


@pytest.mark.parametrize(("n", "sizes"), [(100, [25] * 4), (64, [32, 32]), (65, [22, 22, 21]), (700, [32] * 16)])
def test_statistics_are_measured_on_512_shuffled_images_at_most_32_at_a_time(n, sizes):
    zoo = Measured()
    measure_statistics(zoo, Numbers(n), seed=5)
    assert [len(piece) for piece in zoo.pieces] == sizes
    rows = [row for piece in zoo.pieces for row in piece]
    assert rows == epoch_order(n, 5, 0, NOISE)[:512].tolist()
    means = [np.mean(piece) for piece in zoo.pieces]
    # The running variance is the mean of unbiased ones, of four equal pixels an image.
    variances = [np.var(np.repeat(piece, 4), ddof=1) for piece in zoo.pieces]
    assert float(zoo.norm.running_mean) == pytest.approx(np.mean(means), rel=1e-4)
    assert float(zoo.norm.running_var) == pytest.approx(np.mean(variances), rel=1e-4)
    assert (zoo.norm.momentum, zoo.held) == (0.3, [])


def test_as_many_paths_as_models_are_taken_and_a_model_that_was_not_chosen_answers_nothing(tmp_path, zoo):
    images = coloured_images(4)
    assert build(context(HubPathwayOptions(paths=3), tmp_path, images, teachers=zoo)).module.paths == 3
    members = [image_classifier(found, place=place, hold_statistics=True) for place, found in enumerate(zoo)]
    pathway = Pathway(members, 1, 3).eval()
    logits = torch.tensor([[2.0, 1.0, 0.0], [2.0, 1.0, 0.0], [0.0, 1.0, 0.0], [2.0, 1.0, 0.0]])
    pathway.generator.forward = lambda given: logits
    pixels = images.plain(torch.arange(4))
    with torch.no_grad():
        taken = pathway.take(pixels)
        answers = [member(pixels) for member in members]
    assert taken.chose.tolist() == [
        [True, False, False],
        [True, False, False],
        [False, True, False],
        [True, False, False],
    ]
    torch.testing.assert_close(taken.inclination, logits.softmax(dim=1))
    for place, (each, answered) in enumerate(zip(taken.each, answers, strict=True)):
        expected = answered * taken.chose[:, place, None]
        torch.testing.assert_close(each, expected, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(taken.logits, sum(taken.each))


def test_a_pathway_of_one_model_is_that_model(zoo):
    member = image_classifier(zoo[0], hold_statistics=True).eval()
    pixels = coloured_images(3).plain(torch.arange(3))
    with torch.no_grad():
        torch.testing.assert_close(Pathway([member], 1, 3).eval()(pixels), member(pixels), rtol=1e-4, atol=1e-6)


def test_noise_is_added_to_the_logits_of_paths():
    torch.manual_seed(0)
    generator = Generator(checkpoints=3, texts=False)
    images = torch.rand(4, 3, 8, 8)
    with torch.no_grad():
        seen = generator.see(images)
        torch.manual_seed(1)
        noise = torch.randn(4, 3)
        torch.manual_seed(1)
        expected = generator.prefer(seen) + noise * torch.log1p(generator.doubt(seen).exp())
        torch.testing.assert_close(generator.train()(images), expected)

"""Facts about Hub-Pathway."""

from __future__ import annotations

import math
import zlib

import pytest
import torch
from scipy.stats import kstest

from frontrunner.errors import TuningError
from frontrunner.hub import describe_directory
from frontrunner.tuning.examples.examples import Texts
from frontrunner.tuning.methods import build
from frontrunner.tuning.methods.hub_pathway import Generator, Pathway, Skim, entropy, mean_weights
from frontrunner.tuning.options import HubPathwayOptions
from frontrunner.tuning.training.method import Batch
from tests.tuning.builders import coloured_images, context, image_classifier

N = 10


@pytest.fixture
def members(zoo, vit):
    """Of two architectures, with features of different widths."""
    return [
        image_classifier(description, place=place, hold_statistics=True)
        for place, description in enumerate((*zoo, vit))
    ]


@pytest.fixture
def pixels():
    return coloured_images(N).plain(torch.arange(N))


def choose(pathway: Pathway, logits: torch.Tensor) -> Pathway:
    """The pathway with its generator's answers fixed, (m,) or (b, m)."""
    pathway.generator.forward = lambda given: logits.expand(len(given), -1)
    return pathway


@pytest.mark.parametrize("chosen", [0, 3])
def test_one_path_with_a_fixed_gate_is_that_model(members, pixels, chosen):
    logits = torch.zeros(4)
    logits[chosen] = 5.0
    pathway = choose(Pathway(members, 1, 3), logits).eval()
    with torch.no_grad():
        torch.testing.assert_close(pathway(pixels), members[chosen](pixels), rtol=0, atol=1e-6)


def test_two_paths_are_mixed_by_the_softmax_of_the_kept_logits(members, pixels):
    pathway = choose(Pathway(members, 2, 3), torch.tensor([1.0, -3.0, 2.0, -5.0])).eval()
    share = 1 / (1 + math.exp(-1))
    with torch.no_grad():
        expected = (1 - share) * members[0](pixels) + share * members[2](pixels)
        torch.testing.assert_close(pathway(pixels), expected, rtol=1e-5, atol=1e-6)


def test_a_checkpoint_counts_as_much_as_its_mean_weight_in_the_paths(members, pixels):
    logits = torch.full((N, 4), -9.0)
    logits[:4, 0], logits[:4, 1] = 1.0, 0.0  # four images: e to one
    logits[4:, 2], logits[4:, 3] = 2.0, 2.0  # six images: half and half
    found = mean_weights(choose(Pathway(members, 2, 3), logits), pixels)
    share = math.e / (math.e + 1)
    torch.testing.assert_close(found, torch.tensor([0.4 * share, 0.4 * (1 - share), 0.3, 0.3]))


@pytest.mark.parametrize("paths", [1, 2, 3])
def test_cost_follows_k_and_not_the_hub(members, pixels, paths):
    """Examples that went through any model: k for each image, out of four models."""
    seen = [0] * len(members)

    def count(place):
        def hook(_module, given):
            seen[place] += len(given[0])

        return hook

    for place, member in enumerate(members):
        member.register_forward_pre_hook(count(place))
    logits = torch.randn(N, 4, generator=torch.Generator().manual_seed(0))
    pathway = choose(Pathway(members, paths, 3), logits).eval()
    with torch.no_grad():
        pathway(pixels)
    assert sum(seen) == paths * N
    kept = logits.topk(paths, dim=1).indices
    assert seen == [int((kept == place).sum()) for place in range(4)]


def test_noise_is_drawn_in_training_only(members, pixels):
    pathway = Pathway(members, 2, 3)
    assert not torch.equal(pathway.train().generator(pixels), pathway.generator(pixels))
    assert torch.equal(pathway.eval().generator(pixels), pathway.generator(pixels))


@pytest.mark.parametrize("bias", [-1.0, 2.0])
def test_the_noise_is_normal_with_the_softplus_of_what_the_generator_doubts(bias):
    """log(1 + e^bias) is its deviation, where the doubt does not depend on the image; the logits are its mean."""
    torch.manual_seed(0)
    generator = Generator(2, texts=False)
    with torch.no_grad():
        generator.doubt.weight.zero_()
        generator.doubt.bias.fill_(bias)
        image = torch.rand(1, 3, 32, 32)
        drawn = generator.train()(image.expand(4000, -1, -1, -1))
        plain = generator.eval()(image)
    standard = (drawn - plain) / math.log1p(math.exp(bias))
    for column in standard.T:
        assert kstest(column.numpy(), "norm").pvalue > 0.01


def test_the_generator_sees_grey_as_nothing_and_an_image_of_any_size_at_32_pixels():
    """Its convolutions halve the sides twice; a constant image of a half is zero to them."""
    generator = Generator(2, texts=False).eval()
    sides = []
    for layer in generator.see.see:
        layer.register_forward_hook(lambda _layer, _given, answered: sides.append(answered.shape[-1]))
    seen = generator.see(torch.full((1, 3, 50, 50), 0.5))
    assert sides[:5] == [32, 16, 16, 8, 8]
    first, second = generator.see.see[1], generator.see.see[3]
    padded = torch.zeros(1, 3, 32, 32)
    expected = torch.relu(second(torch.relu(first(padded)))).mean(dim=(2, 3))
    torch.testing.assert_close(seen, expected)
    assert seen.shape == (1, 32)
    assert (first.weight.shape, second.weight.shape) == ((16, 3, 3, 3), (32, 16, 3, 3))


def test_words_are_hashed_into_4096_rows_whose_mean_a_text_is():
    skim = Skim(5)
    texts = Texts(["One two", "two"], ["three", "one"])
    table = skim.words.weight
    row = {word: table[zlib.crc32(word.encode()) % 4096] for word in ("one", "two", "three")}
    expected = torch.stack([(row["one"] + row["two"] + row["three"]) / 3, (row["two"] + row["one"]) / 2])
    torch.testing.assert_close(skim(texts), expected)


def test_by_default_two_paths_are_taken_and_both_losses_weigh_three_tenths(tmp_path, zoo):
    images, rows = coloured_images(N), torch.arange(N)
    batch = Batch(rows, images.plain(rows), images.labels, None, 0.0)
    logits = torch.randn(N, 3, generator=torch.Generator().manual_seed(0))
    found = []
    for options in (HubPathwayOptions(), HubPathwayOptions(paths=2, exploration=1.0, exploitation=1.0)):
        method = build(context(options, tmp_path, images, teachers=zoo))
        choose(method.module, logits).eval()
        found.append({name: float(part.detach()) for name, part in method.loss(batch).parts.items()})
    assert found[0]["exploration"] == pytest.approx(0.3 * found[1]["exploration"], rel=1e-5)
    assert found[0]["exploitation"] == pytest.approx(0.3 * found[1]["exploitation"], rel=1e-5)
    assert found[0]["task"] == pytest.approx(found[1]["task"], rel=1e-5)
    generated = {id(weight) for weight in method.module.generator.parameters()}
    assert {group.rate for group in method.groups for weight in group.weights if id(weight) in generated} == {10.0}


def test_the_losses_are_their_definitions(tmp_path, zoo):
    images = coloured_images(N)
    options = HubPathwayOptions(paths=2, exploration=0.5, exploitation=2.0)
    method = build(context(options, tmp_path, images, teachers=zoo))
    logits = torch.randn(N, 3, generator=torch.Generator().manual_seed(0))
    pathway = choose(method.module, logits).eval()
    rows = torch.arange(N)
    found = method.loss(Batch(rows, images.plain(rows), images.labels, None, 0.0)).parts
    assert float(found["exploration"]) == pytest.approx(-0.5 * float(entropy(logits.softmax(dim=1).mean(dim=0))))
    each = [member(images.plain(rows)) for member in pathway.members]
    own = [
        torch.nn.functional.cross_entropy(each[place][row][None], images.labels[row][None]).detach()
        for row in range(N)
        for place in logits[row].topk(2).indices
    ]
    assert float(found["exploitation"].detach()) == pytest.approx(2.0 * float(torch.stack(own).mean()), rel=1e-5)


def test_entropy_is_largest_where_every_model_is_in_use():
    assert float(entropy(torch.full((4,), 0.25))) == pytest.approx(math.log(4))
    assert float(entropy(torch.tensor([1.0, 0.0, 0.0, 0.0]))) == pytest.approx(0, abs=1e-9)
    uneven = [0.7, 0.2, 0.1]
    assert float(entropy(torch.tensor(uneven))) == pytest.approx(-sum(p * math.log(p) for p in uneven))


def test_the_gate_learns_from_the_task(members, pixels):
    pathway = Pathway(members, 2, 3).train()
    labels = coloured_images(N).labels
    torch.nn.functional.cross_entropy(pathway(pixels), labels).backward()
    assert float(pathway.generator.prefer.weight.grad.abs().max()) > 0


def test_more_paths_than_models_are_refused(tmp_path, zoo):
    with pytest.raises(TuningError, match="3 teachers"):
        build(context(HubPathwayOptions(paths=4), tmp_path, coloured_images(4), teachers=zoo))


def test_models_whose_statistics_were_measured_keep_them(tmp_path, zoo, pixels):
    method = build(context(HubPathwayOptions(), tmp_path, coloured_images(4), teachers=zoo))
    pathway = method.module.train()
    before = pathway.members[0].network.conv1[1].running_mean.clone()
    pathway(pixels)
    assert torch.equal(pathway.members[0].network.conv1[1].running_mean, before)


def test_a_pathway_goes_through_checkpoints_of_both_libraries(tmp_path, zoo, hub):
    """Each has its own form, and is written in it."""
    mixed = (zoo[0], describe_directory(hub / "mobilenet"))
    method = build(context(HubPathwayOptions(), tmp_path, coloured_images(4), teachers=mixed))
    assert method.classify(coloured_images(4).plain(torch.arange(4))).shape == (4, 3)
    forms = [type(model).__name__ for model in method.models().values()]
    assert forms == ["TimmClassifier", "TransformersClassifier"]

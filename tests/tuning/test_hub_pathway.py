"""Facts about Hub-Pathway."""

from __future__ import annotations

import math

import pytest
import torch

from frontrunner.errors import TuningError
from frontrunner.hub import describe_directory
from frontrunner.tuning.methods import build
from frontrunner.tuning.methods.hub_pathway import Pathway, entropy
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


def test_a_pathway_of_transformers_library_is_refused(tmp_path, zoo, hub):
    with pytest.raises(Exception, match="only timm's can be tuned"):
        build(
            context(
                HubPathwayOptions(),
                tmp_path,
                coloured_images(4),
                teachers=(zoo[0], describe_directory(hub / "mobilenet")),
            )
        )

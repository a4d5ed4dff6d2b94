"""Each checkpoint is tested when it is opened."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from frontrunner import errors
from frontrunner.data import open_dataset
from frontrunner.hub import describe_directory
from frontrunner.hub.opening.checkpoint import Checkpoint, ForwardOutput
from frontrunner.hub.opening.images import ImagePreparation
from frontrunner.hub.opening.self_test import with_self_test
from frontrunner.ranking import RankingRequest, rank
from frontrunner.settings import Settings
from tests.hub.vision_models import vit


class _Depends(torch.nn.Module):
    def forward(self, pixels):
        return pixels.flatten(1)[:, :4] - pixels.mean()


def checkpoint(hub, forward):
    prepare = lambda image: torch.from_numpy(np.asarray(image.resize((8, 8)), dtype=np.float32)).permute(2, 0, 1)  # noqa: E731
    return Checkpoint(describe_directory(hub / "vit"), _Depends(), ImagePreparation(prepare), forward, 4)


def test_features_that_depend_on_the_batch_are_read_one_at_a_time(hub, images):
    module = _Depends()
    opened = with_self_test(checkpoint(hub, lambda pixels: ForwardOutput(module(pixels), None)))
    assert (opened.provenance.one_at_a_time, opened.provenance.self_test) == (True, 0.0)
    np.testing.assert_array_equal(opened.features(images)[1:], opened.features(images[1:]))


def test_features_that_change_from_reading_to_reading_are_refused(hub):
    def forward(pixels):
        return ForwardOutput(torch.rand(len(pixels), 4), None)

    with pytest.raises(errors.CheckpointUnreadable, match="reading one example twice"):
        with_self_test(checkpoint(hub, forward))


def test_the_self_test_and_what_is_read_instead_stand_in_a_ranking_also_where_features_were_cached(
    saved, colours, tmp_path
):
    saved(vit(add_pooling_layer=False), "hub/vit")
    found = [
        rank(
            colours,
            hub=tmp_path / "hub",
            settings=Settings(home=tmp_path / "home", packages=False),
            request=RankingRequest(max_examples=40, baselines=False),
        ).ranking[0]
        for _ in range(2)
    ]
    assert found[1].forward_examples == 0
    assert found[0].reading == found[1].reading
    assert found[0].reading.self_test < 1e-4
    assert "the class token is read" in found[0].reading.notes[0]
    assert open_dataset(colours).modality == "image"

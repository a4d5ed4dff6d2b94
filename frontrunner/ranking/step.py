"""One step of a ranking: read one checkpoint's features of one dataset and measure them. The same code everywhere."""

from __future__ import annotations

import time
from collections.abc import Callable

from frontrunner.data import Dataset, stratified_order
from frontrunner.errors import error_of
from frontrunner.extraction import FeatureShards
from frontrunner.hub import HubAccess
from frontrunner.ranking.criteria import COMBINED, describe, measured_names
from frontrunner.ranking.measurement import Measurement
from frontrunner.ranking.request import RankingPayload, StepOutput


def run_step(
    order: RankingPayload,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    *,
    dataset: Dataset | None = None,
    access: HubAccess | None = None,
    on_fetch: Callable[[int, int], None] = lambda done, total: None,
) -> StepOutput:
    """Do what `order` says; `on_progress` hears (examples done, examples in all).

    Args:
        order: the work.
        on_progress: called after every batch and shard.
        dataset: the dataset of the order, where the caller has it open already.
        access: how this machine reaches a hub; as the environment says by default.
        on_fetch: hears (bytes done, bytes in all) while the checkpoint is fetched from a hub.

    Raises:
        FrontrunnerError: the checkpoint or the dataset cannot be used; its code and reason go into the result.
    """
    started = time.perf_counter()
    dataset = order.dataset.open() if dataset is None else dataset
    names = measured_names(order.scores, dataset.task, with_baselines=order.baselines)
    shards = FeatureShards(
        order.checkpoint,
        dataset,
        stratified_order(dataset.train, order.seed),
        order.max_examples,
        order.cache,
        on_progress,
        access=access,
        on_fetch=on_fetch,
        with_source_probabilities=any(describe(name).needs == "source_probabilities" for name in names),
    )
    measuring = time.perf_counter()
    measurement = Measurement(shards, order.source)
    values, refused = measurement.scores(names)
    # Without the score that orders the ranking the checkpoint has no place in it: say why.
    decisive = order.scores[0] if order.ordered_by == COMBINED else order.ordered_by
    if decisive in refused:
        raise error_of(refused[decisive].code, refused[decisive].reason)
    feature_dimension, intrinsic_dimension = measurement.dimensions()
    discrepancy = measurement.discrepancy()
    on_progress(shards.examples, shards.examples)
    seconds = time.perf_counter() - started
    return StepOutput(
        scores=values,
        not_applicable={name: refusal for name, refusal in refused.items() if name in order.scores},
        discrepancy=discrepancy,
        intrinsic_dimension=intrinsic_dimension,
        reading_cost=shards.cost,
        examples=shards.examples,
        forward_examples=shards.forward_examples,
        feature_dimension=feature_dimension,
        feature_key=shards.cache.folder.name,
        feature_bytes=shards.cache.size_bytes(),
        seconds=seconds,
        scoring_seconds=time.perf_counter() - measuring - measurement.reading_seconds,
    )

"""One step of a ranking: read one checkpoint's features of one dataset and score them. The same code everywhere."""

from __future__ import annotations

import time
from collections.abc import Callable

from frontrunner import scores
from frontrunner.data import Dataset, open_dataset, stratified_order
from frontrunner.extraction import FeatureShards
from frontrunner.ranking.request import ScoreOutput, StepOrder, StepOutput
from frontrunner.statistics import FeatureStatistics


def run_step(
    order: StepOrder,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    *,
    dataset: Dataset | None = None,
) -> StepOutput:
    """Do what `order` says; `on_progress` hears (examples done, examples in all).

    Args:
        order: the work.
        on_progress: called after every batch and shard.
        dataset: the dataset of the order, where the caller has it open already.

    Raises:
        FrontrunnerError: the checkpoint or the dataset cannot be used; its code and reason go into the result.
    """
    started = time.perf_counter()
    if dataset is None:
        reference = order.dataset
        dataset = open_dataset(reference.path, reference.options, digest=reference.digest, name=reference.name)
        dataset = dataset.without(reference.unreadable)
    shards = FeatureShards(
        order.checkpoint,
        dataset,
        stratified_order(dataset.train, order.seed),
        order.max_examples,
        order.cache,
        on_progress,
    )
    stored = shards.cache.read_scores(_memo_name(order, shards.examples)) or {}
    scoring_seconds = 0.0
    if not stored:
        statistics = FeatureStatistics()
        for shard in shards:
            statistics.update(shard.features, shard.labels, shard.targets)
        scoring_started = time.perf_counter()
        values = scores.evaluate(order.scores, statistics, shards)
        if order.scores[0] in values.not_applicable:
            # Without the score that orders the ranking the checkpoint has no place in it: say why.
            raise values.not_applicable[order.scores[0]]
        stored = {
            "dimension": statistics.dimension,
            "scores": {
                name: ScoreOutput(value=v.value, low=v.low, high=v.high).model_dump() for name, v in values.items()
            },
        }
        scoring_seconds = time.perf_counter() - scoring_started
        shards.cache.write_scores(_memo_name(order, shards.examples), stored)
    else:
        on_progress(shards.examples, shards.examples)
    return StepOutput(
        scores={name: ScoreOutput.model_validate(value) for name, value in stored["scores"].items()},
        examples=shards.examples,
        forward_examples=shards.forward_examples,
        feature_dimension=stored["dimension"],
        feature_key=shards.cache.folder.name,
        feature_bytes=shards.cache.size_bytes(),
        seconds=time.perf_counter() - started,
        scoring_seconds=scoring_seconds,
    )


def _memo_name(order: StepOrder, examples: int) -> str:
    versions = "+".join(f"{name}.{scores.describe(name).version}" for name in sorted(order.scores))
    return f"scores-{examples}-{versions}"

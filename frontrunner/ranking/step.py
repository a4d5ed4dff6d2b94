"""One step of a ranking: read one checkpoint's features of one dataset and measure them. The same code everywhere."""

from __future__ import annotations

import time
from collections.abc import Mapping

from frontrunner.data import Dataset, stratified_order
from frontrunner.errors import ScoreNotApplicable, error_of
from frontrunner.extraction import FeatureShards, Rows
from frontrunner.hub import HubAccess
from frontrunner.progress import SILENT, Progress, Stage, Window
from frontrunner.ranking.criteria import describe, measured_names
from frontrunner.ranking.measurement import Measurement
from frontrunner.ranking.prediction import PREDICTED_ACCURACY, AccuracyModel, facts_of, model_for
from frontrunner.ranking.request import RankingPayload, Refusal, StepOutput
from frontrunner.ranking.sources import SourceStore
from frontrunner.scores import ScoreValue
from frontrunner.settings import get_settings
from frontrunner.store import Store, open_store


def run_step(
    payload: RankingPayload,
    progress: Progress = SILENT,
    *,
    dataset: Dataset | None = None,
    access: HubAccess | None = None,
    store: Store | None = None,
) -> StepOutput:
    """Read one checkpoint's features of one dataset and score them, or read a part of them.

    Args:
        payload: the work.
        progress: hears of every download, batch and shard.
        dataset: the payload's dataset, where the caller has it open already.
        access: how this machine reaches a hub; as the environment says by default.
        store: where uploads, features and statistics are; as the environment says by default.

    Raises:
        FrontrunnerError: the checkpoint or the dataset cannot be used; its code and reason go into the result.
    """
    started = time.perf_counter()
    store = open_store(get_settings()) if store is None else store
    dataset = payload.dataset.open(store) if dataset is None else dataset
    model = model_for(dataset.modality, dataset.task, payload.adaptation)
    names = measured_names(payload.scores, dataset.task, model, with_baselines=payload.baselines)
    if payload.rows is not None:
        progress = Window(progress, Stage.READ, *payload.rows)
    elif payload.parts:  # which steps of their own have read and counted
        progress = Window(progress, Stage.READ, payload.max_examples, payload.max_examples)
    shards = FeatureShards(
        payload.checkpoint,
        dataset,
        stratified_order(dataset.train, payload.seed),
        payload.max_examples,
        store,
        progress=progress,
        access=access,
        with_source_probabilities=any(describe(name).needs == "source_probabilities" for name in names),
    )
    if payload.rows is not None:
        return _part(shards, payload.rows, started)
    measuring = time.perf_counter()
    measurement = Measurement(shards, payload.source, SourceStore(store), payload.parts)
    values, refused = measurement.scores([name for name in names if name != PREDICTED_ACCURACY])
    feature_dimension, intrinsic_dimension = measurement.dimensions()
    if PREDICTED_ACCURACY in names:
        facts = facts_of(payload.checkpoint.parameters, feature_dimension, len(dataset.train))
        predicted = _predicted(model, values, refused, facts)
        if isinstance(predicted, Refusal):
            refused[PREDICTED_ACCURACY] = predicted
        else:
            values[PREDICTED_ACCURACY] = predicted
    # Without the score that orders the ranking the checkpoint has no place in it: say why.
    if (why := refused.get(payload.ordered_by)) is not None:
        raise error_of(why.code, why.reason)
    discrepancy = measurement.discrepancy()
    picture = measurement.picture(dataset.classes, with_confusions="linear_probe" in values)
    seconds = time.perf_counter() - started
    return StepOutput(
        scores=values,
        not_applicable={name: refusal for name, refusal in refused.items() if name in payload.scores},
        discrepancy=discrepancy,
        intrinsic_dimension=intrinsic_dimension,
        picture=picture,
        reading_cost=shards.cost,
        reading=shards.provenance,
        examples=shards.examples,
        forward_examples=shards.forward_examples,
        feature_dimension=feature_dimension,
        feature_key=shards.cache.key.digest,
        feature_bytes=shards.cache.size_bytes(),
        seconds=seconds,
        scoring_seconds=time.perf_counter() - measuring - measurement.reading_seconds,
    )


def _part(shards: FeatureShards, rows: Rows, started: float) -> StepOutput:
    sums = shards.sums(rows)
    return StepOutput(
        scores={},
        reading_cost=shards.cost,
        reading=shards.provenance,
        examples=sums.n,
        forward_examples=shards.forward_examples,
        feature_dimension=sums.dimension,
        feature_key=shards.cache.key.digest,
        feature_bytes=shards.cache.size_bytes(),
        seconds=time.perf_counter() - started,
        scoring_seconds=0.0,
    )


def _predicted(
    model: AccuracyModel | None,
    values: Mapping[str, ScoreValue],
    refused: Mapping[str, Refusal],
    facts: Mapping[str, float],
) -> ScoreValue | Refusal:
    if model is None:
        return Refusal(
            code=ScoreNotApplicable.code, reason="there is no evidence of such adaptation to such data to predict from"
        )
    missing = [refused[name] for name in model.scores if name in refused]
    return missing[0] if missing else model.score(values, facts)

"""Measuring one checkpoint's features of one dataset: scores, discrepancy, dimension, each kept beside the features.

Every number is kept in a file of its own. The file's name holds what the number depends on besides the features:
examples read, version, source statistics. Another request over the same features computes only what is new to it; a
known number needs neither a forward pass nor a decomposition.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from typing import Any

from pydantic import BaseModel

from frontrunner import scores
from frontrunner.discrepancy import VERSION, head_discrepancy, intrinsic_dimension, leave_one_out_risk
from frontrunner.discrepancy.errors import TooFewPoints
from frontrunner.errors import FrontrunnerError, ScoreNotApplicable
from frontrunner.extraction import FeatureCache, FeatureShards, Rows
from frontrunner.ranking.criteria import DISCREPANCY, OF_DISCREPANCY, PUBLISHED_RISK_BOUND, RISK_BOUND, describe
from frontrunner.ranking.picture import Confusions, Picture, Points, confusions_of, picture_of, points_of
from frontrunner.ranking.request import DiscrepancyOutput, Refusal
from frontrunner.ranking.sources import SourceReference, SourceStore
from frontrunner.scores import ScoreValue, ScoringInput
from frontrunner.scores.logme import evidence_of
from frontrunner.shard import fold
from frontrunner.statistics import FeatureStatistics

# Rows that the intrinsic dimension is estimated from: its cost is quadratic in them, its spread under 3% by then.
DIMENSION_ROWS = 2000
_DIMENSION_VERSION = 1
_PICTURE_VERSION = 1


class Measurement:
    """The numbers of one run of shards. The shards are read once, for the first number that is not known yet.

    Args:
        shards: what is measured.
        source: statistics of the checkpoint's source dataset, where there are any.
        sources: where they are.
        parts: whose sums are kept; they are added, and not made of the shards.

    Attributes:
        reading_seconds: how long reading and folding the shards took; 0 while they were not needed.
    """

    def __init__(
        self, shards: FeatureShards, source: SourceReference | None, sources: SourceStore, parts: Sequence[Rows] = ()
    ) -> None:
        self._shards = shards
        self._source = source
        self._sources = sources
        self._parts = parts
        self._cache: FeatureCache = shards.cache
        self.reading_seconds = 0.0

    @functools.cached_property
    def data(self) -> ScoringInput:
        """Sums and rows of the shards, with what the scores share.

        Raises:
            FrontrunnerError: a shard cannot be read, or nothing can be scored on this input, whatever the score.
        """
        started = time.perf_counter()
        statistics = (
            sum(map(self._shards.sums, self._parts), FeatureStatistics()) if self._parts else fold(self._shards)
        )
        self.reading_seconds = time.perf_counter() - started
        return ScoringInput(statistics, self._shards)

    def scores(self, names: Sequence[str]) -> tuple[dict[str, ScoreValue], dict[str, Refusal]]:
        """The named scores that can be computed, and why the others cannot."""
        values: dict[str, ScoreValue] = {}
        refused: dict[str, Refusal] = {}
        for name in names:
            score, measure = describe(name), functools.partial(self._score, name)
            memo = f"{name}.{score.version}.{scores.INTERVALS_VERSION}{self._origin(name)}"
            found = self._once(memo, measure) if score.kept else measure().model_dump(mode="json")
            if "code" in found:
                refused[name] = Refusal.model_validate(found)
            else:
                values[name] = ScoreValue.model_validate(found)
        return values, refused

    def discrepancy(self) -> DiscrepancyOutput:
        """The discrepancy in the `head` space, from the source statistics where there are any."""

        def measure() -> DiscrepancyOutput:
            spectrum, evidence = self.data.once(evidence_of)
            source = None if self._source is None else self._sources.load(self._source)
            found = head_discrepancy(self.data.statistics, source, spectrum=spectrum, evidence=evidence)
            return DiscrepancyOutput.model_validate(found.as_dict())

        return DiscrepancyOutput.model_validate(self._once(f"report.{VERSION}{self._origin(DISCREPANCY)}", measure))

    def dimensions(self) -> tuple[int, float | None]:
        """How many features there are, and the intrinsic dimension of their cloud; None for too few distinct rows."""

        def measure() -> dict[str, float | None]:
            try:
                intrinsic = intrinsic_dimension(self.data.rows(DIMENSION_ROWS).features)
            except TooFewPoints:
                intrinsic = None
            return {"features": self.data.dimension, "intrinsic": intrinsic}

        found = self._once(f"dimensions.{_DIMENSION_VERSION}", measure)
        return found["features"], found["intrinsic"]

    def picture(self, classes: Sequence[str], *, with_confusions: bool) -> Picture:
        """The features in two dimensions, and what the linear probe confuses.

        Args:
            classes: names of the dataset's classes, by code.
            with_confusions: whether the probe is fitted anyway.
        """
        points = self._once(f"points.{_PICTURE_VERSION}", lambda: points_of(self.data, DIMENSION_ROWS))
        confusions = None
        if with_confusions:
            confusions = self._once(f"confusions.{_PICTURE_VERSION}", lambda: confusions_of(self.data))
        return picture_of(
            Points.model_validate(points),
            None if confusions is None else Confusions.model_validate(confusions),
            classes,
        )

    def _score(self, name: str) -> ScoreValue | Refusal:
        data = self.data  # outside of the try: input that no score can be computed on fails the step
        try:
            if name in OF_DISCREPANCY:
                raw = self._of_discrepancy(name)
                return ScoreValue(value=-raw, raw=raw)
            return scores.evaluate_input([scores.describe(name)], data)[name]
        except FrontrunnerError as refusal:
            return Refusal(code=refusal.code, reason=refusal.reason)

    def _of_discrepancy(self, name: str) -> float:
        """The criterion as it is published: lower is better."""
        found = self.discrepancy()
        number = {
            DISCREPANCY: found.dimension_dependent_per_parameter,
            RISK_BOUND: found.pac_bayes_gap,
            PUBLISHED_RISK_BOUND: found.published_gap,
        }[name]
        if number is None:
            raise ScoreNotApplicable(f"{describe(name).title.lower()}: the discrepancy's part of it is not finite")
        return number if name == DISCREPANCY else self.data.once(leave_one_out_risk) + number

    def _once(self, name: str, measure: Callable[[], BaseModel | dict[str, Any]]) -> dict[str, Any]:
        memo = f"{name}-{self._shards.examples}"
        stored = self._cache.read_scores(memo)
        if stored is None:
            found = measure()
            stored = found.model_dump(mode="json") if isinstance(found, BaseModel) else found
            self._cache.write_scores(memo, stored)
        return stored

    def _origin(self, name: str) -> str:
        return f".{self._source.digest[:16]}" if name in OF_DISCREPANCY and self._source is not None else ""

"""Every score of a hub's checkpoints on a dataset, as rows of evidence, with what can be said without reading them."""

from __future__ import annotations

from pathlib import Path

from frontrunner.data import DatasetOptions
from frontrunner.evidence.runs import MeasuredScore
from frontrunner.hub import HubFolders, find_catalogue
from frontrunner.progress import SILENT, Progress
from frontrunner.ranking import RankingRequest, rank
from frontrunner.ranking.criteria import ScoreList
from frontrunner.ranking.result import RankedCheckpoint
from frontrunner.scores import ScoreValue
from frontrunner.settings import Settings, get_settings


def every_score() -> tuple[str, ...]:
    """The names of what can order a ranking of classes.

    Example:
        >>> {"logme", "leep", "discrepancy"} <= set(every_score())
        True
    """
    return tuple(listed.name for listed in ScoreList.of_all().items if "classification" in listed.tasks)


def rank_with_every_score(
    dataset: str | Path,
    hub: HubFolders,
    *,
    examples: int,
    seed: int = 0,
    options: DatasetOptions | None = None,
    progress: Progress = SILENT,
    settings: Settings | None = None,
) -> list[MeasuredScore]:
    """Rank a hub by every score and give each value a row; `parameters` and `feature_dimension` have rows as well.

    Args:
        dataset, hub, options, progress, settings: as for `frontrunner.rank`.
        examples: at most so many training examples are read.
        seed: of their drawing.

    Raises:
        FrontrunnerError: as for `frontrunner.rank`.
    """
    request = RankingRequest(scores=every_score(), rank_by="logme", max_examples=examples, seed=seed)
    ranking = rank(dataset, hub=hub, request=request, options=options, progress=progress, settings=settings)
    versions = ranking.provenance.score_versions
    digests = {found.id: found.digest for found in find_catalogue(hub, settings or get_settings()).checkpoints}
    return [
        MeasuredScore(
            dataset=ranking.dataset.name,
            checkpoint=line.checkpoint,
            score=name,
            value=found.value,
            low=found.low,
            high=found.high,
            examples=examples,
            sample=seed,
            version=versions.get(name, 1),
            dataset_digest=ranking.dataset.digest,
            checkpoint_digest=digests[line.checkpoint],
        )
        for line in ranking.ranking
        for name, found in (line.scores | _facts(line)).items()
    ]


def _facts(line: RankedCheckpoint) -> dict[str, ScoreValue]:
    """What costs no forward pass: the baselines that a score must do better than."""
    return {
        "parameters": ScoreValue(value=line.parameters),
        "feature_dimension": ScoreValue(value=line.feature_dimension),
    }

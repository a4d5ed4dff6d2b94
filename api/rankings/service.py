"""From a request to a job."""

from __future__ import annotations

from api.datasets.service import dataset_reference
from api.state import State
from frontrunner.errors import NothingRanked, SourceUnfit, TuningError
from frontrunner.hub import FeatureSets, HubAccess, catalogue_of, with_curated, with_named
from frontrunner.ranking import (
    RankingRequest,
    nothing_ranked_reason,
    plan,
)
from frontrunner.tuning import TuningRequest, require_tunable
from jobs.kinds import NewJob
from jobs.kinds.ranking import TuningToFollow, ranking_job
from jobs.records import report_of
from models import DatasetRow


def tuning_to_follow(request: TuningRequest, top: int) -> TuningToFollow:
    """What is to follow on a ranking.

    Raises:
        SourceUnfit: the method needs a second dataset, which a ranking has not.
        TuningError: teachers are named, although the ranking is to choose them.
    """
    if request.method.needs_source:
        raise SourceUnfit(f"{request.method.name} needs a labelled source dataset: POST it to /v1/tunings instead")
    if request.teachers:
        raise TuningError("the ranking chooses the teachers: leave `teachers` out of `then`, and say `top`")
    return TuningToFollow(request=request, top=top)


def job_of_ranking(
    state: State, dataset: DatasetRow, request: RankingRequest, then: TuningToFollow | None = None
) -> NewJob:
    """The job of a ranking: which checkpoints are read, and which cannot be.

    Raises:
        NoCheckpoints: no checkpoint is known.
        CheckpointNotFound: the request names an unknown one.
        NothingRanked: no known checkpoint can read this dataset.
    """
    settings = state.settings
    report = report_of(dataset)
    if then is not None:
        require_tunable(report, then.request.method)
    reference = dataset_reference(dataset)
    if report.modality == "features":
        catalogue = catalogue_of([FeatureSets(report)])
    elif request.checkpoints is not None:
        catalogue = with_named(state.catalogue(), request.checkpoints, HubAccess.of(settings))
    else:
        access = HubAccess.of(settings)
        catalogue = with_curated(state.catalogue(), report.modality, request.constraints, access)
    planned = plan(request, report, catalogue.checkpoints, catalogue.skipped)
    if not planned.checkpoints:
        raise NothingRanked(nothing_ranked_reason(planned.skipped))
    return ranking_job(request, reference, planned, settings, state.store, then)

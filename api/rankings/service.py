"""From a request to a job."""

from __future__ import annotations

from api.datasets.service import dataset_reference
from api.state import State
from frontrunner.data import DatasetReport, open_dataset
from frontrunner.data.dataset import Dataset
from frontrunner.errors import NothingRanked, SourceUnfit, TuningError
from frontrunner.hub import Catalogue, HubAccess, feature_sets, with_remote
from frontrunner.ranking import (
    RankingRequest,
    SourceStore,
    nothing_ranked_reason,
    plan,
    ranking_payloads,
    require_classification,
)
from frontrunner.tuning import ADAPTATION, TuningRequest
from jobs.kinds import NewJob, TuningToFollow, ranking_job
from models import DatasetRow


def tuning_to_follow(state: State, request: TuningRequest, top: int) -> TuningToFollow:
    """What is to follow on a ranking.

    Raises:
        SourceUnfit: the method needs a second dataset, which a ranking has not.
        TuningError: teachers are named, although the ranking is to choose them.
    """
    if request.method.name in ADAPTATION:
        raise SourceUnfit(f"{request.method.name} needs a labelled source dataset: POST it to /v1/tunings instead")
    if request.teachers:
        raise TuningError("the ranking chooses the teachers: leave `teachers` out of `then`, and say `top`")
    settings = state.settings
    return TuningToFollow(
        request=request, top=top, folder=settings.tunings.resolve(), forward_queue=settings.forward_queue
    )


def plan_ranking(
    state: State, dataset: DatasetRow, request: RankingRequest, then: TuningToFollow | None = None
) -> NewJob:
    """The job of a ranking: which checkpoints are read, and which cannot be.

    Raises:
        NoCheckpoints: no checkpoint is known.
        CheckpointNotFound: the request names an unknown one.
        NothingRanked: no known checkpoint can read this dataset.
    """
    settings = state.settings
    report = DatasetReport.model_validate(dataset.report)
    if then is not None:
        require_classification(report.name, report.task)
    reference = dataset_reference(state, dataset)
    if report.modality == "features":
        opened: Dataset = open_dataset(reference.path, reference.options, digest=dataset.digest, name=dataset.name)
        catalogue = Catalogue(checkpoints=feature_sets(opened))
    else:
        access = HubAccess.of(settings)
        catalogue = with_remote(state.catalogue(), request.checkpoints, report.modality, request.constraints, access)
    planned = plan(request, report, catalogue.checkpoints, catalogue.skipped)
    if not planned.steps:
        raise NothingRanked(nothing_ranked_reason(planned.skipped))
    orders = ranking_payloads(
        request, reference, planned.steps, settings.cache.resolve(), SourceStore(settings.sources)
    )
    return ranking_job(dataset, request, planned, orders, forward_queue=settings.forward_queue, then=then)

"""From a request to a job."""

from __future__ import annotations

from api.datasets.service import dataset_reference
from api.state import State
from frontrunner.data import DatasetReport, open_dataset
from frontrunner.data.dataset import Dataset
from frontrunner.errors import NothingRanked
from frontrunner.hub import Catalogue, feature_sets
from frontrunner.ranking import (
    RankingRequest,
    SourceStore,
    nothing_ranked_reason,
    plan,
    step_orders,
)
from models import DatasetRow
from models.kinds import NewJob, ranking_job


def plan_ranking(state: State, dataset: DatasetRow, request: RankingRequest) -> NewJob:
    """The job of a ranking: which checkpoints are read, and which cannot be.

    Raises:
        NoCheckpoints: no checkpoint is known.
        CheckpointNotFound: the request names an unknown one.
        NothingRanked: no known checkpoint can read this dataset.
    """
    settings = state.settings
    report = DatasetReport.model_validate(dataset.report)
    reference = dataset_reference(state, dataset)
    if report.modality == "features":
        opened: Dataset = open_dataset(reference.path, reference.options, digest=dataset.digest, name=dataset.name)
        catalogue = Catalogue(checkpoints=feature_sets(opened))
    else:
        catalogue = state.catalogue()
    planned = plan(request, report, catalogue.checkpoints, catalogue.skipped)
    if not planned.steps:
        raise NothingRanked(nothing_ranked_reason(planned.skipped))
    orders = step_orders(request, reference, planned.steps, settings.cache.resolve(), SourceStore(settings.sources))
    return ranking_job(dataset, request, planned, orders, forward_queue=settings.forward_queue)

"""From a request to a job."""

from __future__ import annotations

from api.jobs.endpoints import JobResource, job_resource
from api.state import State
from frontrunner.data import DatasetOptions, DatasetReport, open_dataset
from frontrunner.data.dataset import Dataset
from frontrunner.doorbell import ring
from frontrunner.errors import NothingRanked
from frontrunner.hub import Catalogue, feature_sets
from frontrunner.ranking import DatasetReference, RankingRequest, nothing_ranked_reason, plan, step_orders
from models import DatasetRow, StepRow, lifecycle


def submit_ranking(state: State, dataset: DatasetRow, request: RankingRequest) -> JobResource:
    """Plan, write the job and its steps in one transaction, then ring for them.

    Raises:
        NoCheckpoints: no checkpoint is known.
        CheckpointNotFound: the request names an unknown one.
        NothingRanked: no known checkpoint can read this dataset.
    """
    settings = state.settings
    report = DatasetReport.model_validate(dataset.report)
    options = DatasetOptions.model_validate(dataset.options)
    path = state.blobs.path(dataset.blob).resolve()
    catalogue = state.catalogue()
    if report.modality == "features":
        opened: Dataset = open_dataset(path, options, digest=dataset.digest, name=dataset.name)
        catalogue = Catalogue(checkpoints=feature_sets(opened))
    planned = plan(request, report, catalogue.checkpoints, catalogue.skipped)
    if not planned.steps:
        raise NothingRanked(nothing_ranked_reason(planned.skipped))
    reference = DatasetReference.of(path, report, options)
    orders = step_orders(request, reference, planned.steps, settings.cache.resolve())
    with state.database.writing() as session:
        job = lifecycle.submit_ranking(
            session,
            dataset,
            request,
            planned,
            orders,
            train_examples=report.train_examples,
            max_attempts=settings.max_attempts,
            first_ring_s=settings.reaper_period_s,
        )
        steps = session.query(StepRow.id, StepRow.queue).filter_by(job_id=job.id).order_by(StepRow.ordinal).all()
        session.refresh(job)
        resource = job_resource(session, job)
    ring(state.bell, [(step_id, queue) for step_id, queue in steps])
    return resource

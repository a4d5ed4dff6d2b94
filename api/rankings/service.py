"""From a request to a job."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from api.datasets.service import dataset_reference, get_dataset
from api.state import State
from frontrunner.data import DatasetReport
from frontrunner.errors import NothingRanked, SourceUnfit, TuningError
from frontrunner.hub import FeatureSets, HubAccess, catalogue_of, with_curated, with_named
from frontrunner.ranking import (
    Plan,
    Ranking,
    RankingRequest,
    expectations_of,
    extension_of,
    nothing_ranked_reason,
    plan,
)
from frontrunner.ranking.result import Outlook
from frontrunner.status import Status
from frontrunner.tuning import TuningRequest, require_tunable
from jobs import lifecycle
from jobs.errors import JobNotOver
from jobs.history import prevailing_history
from jobs.kinds import NewJob
from jobs.kinds.ranking import KIND as RANKING
from jobs.kinds.ranking import TuningToFollow, ranking_job
from jobs.records import report_of, result_json
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
    report = report_of(dataset)
    if then is not None:
        require_tunable(report, then.request.method)
    planned = planned_ranking(state, report, request)
    request = request.on(report.modality, report.task)
    expectations = None
    if request.budget is not None:
        with state.database.read_transaction() as session:
            history = prevailing_history(session)
        expectations = expectations_of(planned.checkpoints, report, history, request.ordered_by)
    reference = dataset_reference(dataset)
    return ranking_job(request, reference, planned, state.settings, state.store, then, expectations)


def planned_ranking(state: State, report: DatasetReport, request: RankingRequest) -> Plan:
    """Which checkpoints a ranking of a dataset with this report would read, and which it would leave out at once.

    Raises:
        NoCheckpoints, CheckpointNotFound, NothingRanked: as `job_of_ranking`.
    """
    request = request.on(report.modality, report.task)
    if report.modality == "features":
        catalogue = catalogue_of([FeatureSets(report)])
    elif request.checkpoints is not None:
        catalogue = with_named(state.catalogue(), request.checkpoints, HubAccess.of(state.settings))
    else:
        access = HubAccess.of(state.settings)
        catalogue = with_curated(state.catalogue(), report.modality, request.constraints, access)
    planned = plan(request, report, catalogue.checkpoints, catalogue.skipped)
    if not planned.checkpoints:
        raise NothingRanked(nothing_ranked_reason(planned.skipped))
    return planned


def extension_job(state: State, ranking_id: str, added: Sequence[str]) -> NewJob:
    """The job that ranks the checkpoints of a finished ranking together with further ones.

    Args:
        state: of the application.
        ranking_id: of the job.
        added: ids; whatever is known by now where none is named.

    Raises:
        JobNotFound: no such ranking.
        JobNotOver: it still waits or runs.
    """
    with state.database.read_transaction() as session:
        ranking = _finished(session, ranking_id)
    return job_of_ranking(state, get_dataset(state, ranking.dataset.id), extension_of(ranking, added))


def _finished(session: Session, ranking_id: str) -> Ranking:
    job = lifecycle.find_job(session, ranking_id, RANKING)
    if not Status(job.status).is_terminal:
        raise JobNotOver(f"the ranking '{ranking_id}' is {job.status}; look again when it is over")
    return Ranking.model_validate_json(result_json(session, job))


def outlook_of(state: State, ranking_id: str, protocol: str | None = None) -> Outlook:
    """A finished ranking in the light of the results that the service knows now.

    Args:
        state: of the application.
        ranking_id: of the job.
        protocol: whose results count; that of most results by default.

    Raises:
        JobNotFound: no such ranking.
        JobNotOver: it still waits or runs.
        NothingToOrder: it holds fewer than two checkpoints, or is of no classes.
    """
    with state.database.read_transaction() as session:
        ranking = _finished(session, ranking_id)
        past = prevailing_history(session, protocol)
    from frontrunner.evidence import History
    from frontrunner.evidence.outlook import outlook  # what most requests need none of

    return outlook(ranking, History.of([]) if past is None else past)

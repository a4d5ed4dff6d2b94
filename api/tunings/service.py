"""From a request to the order of a tuning."""

from __future__ import annotations

from pathlib import Path

from api.datasets.service import dataset_reference, get_dataset
from api.problems import NotFound
from api.state import State
from frontrunner.data import DatasetReport
from frontrunner.errors import CheckpointNotFound
from frontrunner.hub import CheckpointDescription
from frontrunner.ranking import Ranking, require_classification, the_checkpoint
from frontrunner.tuning import BestOfRanking, TuningPayload, TuningRequest, take_best, tuning_payload
from jobs import lifecycle
from jobs.kinds import RankingKind
from models import DatasetRow, StepRow


def plan_tuning(
    state: State, dataset: DatasetRow, request: TuningRequest, best: BestOfRanking | None, source_id: str | None
) -> TuningPayload:
    """The order of a tuning, refused where that can be seen without opening anything.

    Raises:
        CheckpointError, TuningError: a checkpoint is unknown, or does not suit the method.
        InvalidDataset: the dataset has no classes.
        NotFound: there is no such ranking.
    """
    report = DatasetReport.model_validate(dataset.report)
    require_classification(report.name, report.task)
    ranked = [] if best is None else _ranked(state, best.ranking)
    if best is not None:
        request = take_best(request, ranked, best.top)
    known = {found.id: found for found in ranked}
    if unknown := [name for name in request.named if name not in known]:
        catalogue = state.catalogue(*unknown)
        known |= {name: the_checkpoint(name, [report], catalogue) for name in unknown}
    source = None if source_id is None else dataset_reference(state, get_dataset(state, source_id))
    folder = state.settings.tunings.resolve()
    return tuning_payload(request, dataset_reference(state, dataset), known, folder, source)


def file_of(state: State, job_id: str, name: str) -> Path:
    """A file that a finished tuning wrote.

    Raises:
        NotFound: no such tuning, or no such file of it.
    """
    with state.database.read_transaction() as session:
        job = lifecycle.find_job(session, job_id)
        step = session.query(StepRow).filter_by(job_id=job.id).one_or_none()
        output = None if step is None or job.kind != "tuning" else step.output
    if output is None:
        raise NotFound(f"'{job_id}' is not a finished tuning")
    folder = Path(output["folder"]).resolve()
    path = (folder / name).resolve()
    # What the training needed for itself is nobody's download.
    if not path.is_relative_to(folder) or path.suffix in (".pt", ".npy") or not path.is_file():
        raise NotFound(f"the tuning has no file '{name}'; see its output for those it has")
    return path


def _ranked(state: State, ranking_id: str) -> list[CheckpointDescription]:
    """The checkpoints of a ranking, best first, as they were when it was made."""
    with state.database.read_transaction() as session:
        job = lifecycle.find_job(session, ranking_id)
        if job.kind != RankingKind.name:
            raise NotFound(f"'{ranking_id}' is a {job.kind}, not a ranking")
        ranking = Ranking.model_validate(lifecycle.result_of(session, job))
        orders = session.query(StepRow.order).filter_by(job_id=job.id).all()
    described = [CheckpointDescription.model_validate(order["checkpoint"]) for (order,) in orders]
    by_id = {found.id: found for found in described}
    if not ranking.ranking:
        raise CheckpointNotFound(f"the ranking '{ranking_id}' holds no checkpoint yet")
    return [by_id[line.checkpoint] for line in ranking.ranking]

"""From a request to the payload of a tuning, and to the files that it made."""

from __future__ import annotations

from pathlib import Path

from api.datasets.service import dataset_reference, get_dataset
from api.problems import NotFound
from api.state import State
from frontrunner.data import DatasetReference
from frontrunner.errors import CheckpointNotFound
from frontrunner.hub import CheckpointDescription
from frontrunner.ranking import the_checkpoint
from frontrunner.tuning import (
    Artifacts,
    BestOfRanking,
    TuningOutput,
    TuningPayload,
    TuningRequest,
    require_tunable,
    take_best,
    tuning_payload,
)
from jobs import lifecycle
from jobs.kinds.ranking import KIND as RANKING
from jobs.kinds.ranking import RankingJob
from jobs.kinds.tuning import KIND as TUNING
from jobs.records import report_of, state_of
from models import DatasetRow


def payload_of_tuning(
    state: State, dataset: DatasetRow, request: TuningRequest, best: BestOfRanking | None, source_id: str | None
) -> TuningPayload:
    """The payload of a tuning, refused where that can be seen without opening anything.

    Raises:
        CheckpointError, TuningError: a checkpoint is unknown, or does not suit the method.
        InvalidDataset: a dataset has no classes.
        JobNotFound: there is no such ranking.
    """
    report = report_of(dataset)
    require_tunable(report, request.method)
    ranked = [] if best is None else _ranked(state, best.ranking)
    if best is not None:
        request = take_best(request, ranked, best.top)
    known = {found.id: found for found in ranked}
    if unknown := [name for name in request.named if name not in known]:
        catalogue = state.catalogue(*unknown)
        known |= {name: the_checkpoint(name, [report], catalogue) for name in unknown}
    source = None if source_id is None else _source(state, source_id, request)
    return tuning_payload(request, dataset_reference(dataset), known, source=source)


def _source(state: State, dataset_id: str, request: TuningRequest) -> DatasetReference:
    dataset = get_dataset(state, dataset_id)
    require_tunable(report_of(dataset), request.method)
    return dataset_reference(dataset)


def file_of(state: State, job_id: str, name: str) -> Path | str:
    """A local copy of a file that a finished tuning wrote, or where the settings ask for it its address in the store.

    Raises:
        JobNotFound, NotFound: no such tuning, or no such file of it.
        StoredFileMissing, StoredFileDamaged: the store does not hold any more what was put there.
    """
    with state.database.read_transaction() as session:
        job = lifecycle.find_job(session, job_id, TUNING)
        as_it_stands = state_of(session, job)
        (step, *_) = as_it_stands.steps
        output, payload = step.output, step.payload
    if not isinstance(output, TuningOutput):
        raise NotFound(f"'{job_id}' is not a finished tuning")
    file = next((file for file in output.files if file.name == name), None)
    if file is None:
        raise NotFound(f"the tuning has no file '{name}'; see its output for those it has")
    artifacts, valid_s = Artifacts(state.store, payload.name), state.settings.store_links_s
    return (artifacts.link(file, valid_s) if valid_s else None) or artifacts.path(file)


def _ranked(state: State, ranking_id: str) -> list[CheckpointDescription]:
    """The checkpoints of a ranking, best first, as they were when it was made."""
    with state.database.read_transaction() as session:
        job = lifecycle.find_job(session, ranking_id, RANKING)
        as_it_stands = state_of(session, job)
        ranking = RANKING.result(as_it_stands)
        asked: RankingJob = as_it_stands.request
    by_id = {candidate.checkpoint.id: candidate.checkpoint for candidate in asked.candidates}
    if not ranking.ranking:
        raise CheckpointNotFound(f"the ranking '{ranking_id}' holds no checkpoint yet")
    return [by_id[line.checkpoint] for line in ranking.ranking]

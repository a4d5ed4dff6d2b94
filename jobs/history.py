"""Past results in the database: imported from files, and added by every tuning that ends well."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from frontrunner.evidence import public_facts
from frontrunner.evidence.history import History, PastResult
from frontrunner.hub.describing.listing import family_of
from frontrunner.tuning import TuningOutput, TuningPayload
from models import DEFAULT_TENANT, HistoryRow, JobRow
from models.upsert import batches, insert_into

FROM_FILE, FROM_TUNING = "file", "tuning"


@dataclass(frozen=True)
class Reached:
    """What a checkpoint reached, on how many examples, and how.

    Attributes:
        accuracy: in [0, 1], on `split`.
        examples: of the training split that were used, held-out ones too.
        classes: of the dataset.
        learning_rate: that was found.
        split: `test` or `validation`.
        diverged: whether training ended so.
    """

    accuracy: float
    examples: int
    classes: int
    learning_rate: float
    split: str
    diverged: bool


def import_results(session: Session, results: Iterable[PastResult], tenant: str = DEFAULT_TENANT) -> int:
    """Write results of a file as a tenant's; returns how many were new to it.

    A result that is there already, word for word, is not written again; one that a file holds twice counts twice, as
    two runs may end alike.
    """
    seen: Counter[str] = Counter()
    rows = []
    for result in results:
        said = result.model_dump_json()
        seen[said] += 1
        # Each tenant's rows have ids of their own: what another has imported is new to this one.
        owner = "" if tenant == DEFAULT_TENANT else f"{tenant}\n"
        digest = hashlib.sha256(f"{owner}{FROM_FILE}\n{seen[said]}\n{said}".encode()).hexdigest()
        rows.append(result.model_dump() | {"id": digest, "tenant": tenant, "source": FROM_FILE, "diverged": False})
    return _insert(session, rows)


def record_tuning(session: Session, job_id: str, payload: TuningPayload, output: TuningOutput) -> None:
    """Write what the student of a tuning reached; the same tuning done again says nothing new.

    Models that are made of several checkpoints are no result of one of them and leave no row.
    """
    metrics = output.metrics
    reached = Reached(
        accuracy=metrics.accuracy.value,
        examples=output.train_examples + output.validation_examples,
        classes=len(metrics.classes),
        learning_rate=output.learning_rate,
        split=metrics.split,
        diverged=output.ended == "diverged",
    )
    record_adapted(session, job_id, payload, reached)


def record_adapted(session: Session, job_id: str, payload: TuningPayload, reached: Reached) -> None:
    """Write what the student of a tuning reached, a short one's too; arguments as of `record_tuning`."""
    student, request = payload.student, payload.request
    if student is None:
        return
    result = PastResult(
        model=student.id,
        dataset=payload.dataset.name,
        accuracy=reached.accuracy,
        protocol=_protocol(payload, reached.split),
        family=family_of(student.architecture),
        parameters=student.parameters or None,
        input_size=student.input_size,
        dataset_size=reached.examples or None,
        dataset_classes=reached.classes,
    )
    tenant = session.scalar(select(JobRow.tenant).where(JobRow.id == job_id)) or DEFAULT_TENANT
    row = result.model_dump() | {
        # The identity names the dataset by a digest that is its tenant's own.
        "id": hashlib.sha256(f"{FROM_TUNING}\n{payload.identity}".encode()).hexdigest(),
        "tenant": tenant,
        "source": FROM_TUNING,
        "job_id": job_id,
        "dataset_digest": payload.dataset.digest,
        "diverged": reached.diverged,
        "learning_rate": reached.learning_rate,
        "seed": request.seed,
    }
    _insert(session, [row])


def past_results(session: Session) -> list[PastResult]:
    """Every result that did not diverge, oldest first."""
    rows = session.scalars(select(HistoryRow).where(~HistoryRow.diverged).order_by(HistoryRow.added_at, HistoryRow.id))
    return [PastResult.model_validate({name: getattr(row, name) for name in PastResult.model_fields}) for row in rows]


def prevailing_history(session: Session, protocol: str | None = None) -> History | None:
    """The results of a protocol, by default of that which most were made by: others are not compared; None of none."""
    results = past_results(session)
    protocols = Counter(result.protocol for result in results)
    if protocol is None:
        protocol = next((name for name, _ in protocols.most_common(1)), "")
    if not protocols[protocol]:
        return None
    rows = [result for result in results if result.protocol == protocol]
    return History.of(rows, public_facts([row.model for row in rows]))


def find_results(
    session: Session,
    *,
    model: str | None = None,
    dataset: str | None = None,
    tenant: str | None = None,
    limit: int = 100,
) -> Sequence[HistoryRow]:
    """Rows of a checkpoint, a dataset, a tenant, newest first; one more than `limit` where there are more."""
    query = select(HistoryRow)
    if model is not None:
        query = query.where(HistoryRow.model == model)
    if dataset is not None:
        query = query.where(HistoryRow.dataset == dataset)
    if tenant is not None:
        query = query.where(HistoryRow.tenant == tenant)
    return session.scalars(query.order_by(HistoryRow.added_at.desc(), HistoryRow.id).limit(limit + 1)).all()


def _protocol(payload: TuningPayload, split: str) -> str:
    """What has to be alike for results to be compared: learning rate and seed are each run's own."""
    request = payload.request
    parts = [request.method.name, f"epochs {request.epochs}", f"examples {request.max_examples}"]
    if request.image_size is not None:
        parts.append(f"image_size {request.image_size}")
    if split != "test":
        usual = type(request).model_fields["validation_share"].default
        share = "" if request.validation_share == usual else f" ({request.validation_share:g})"
        parts.append(f"measured on {split}{share}")
    if payload.teachers and request.method.teachers_needed:
        parts.append("teachers " + " ".join(teacher.id for teacher in payload.teachers))
    return ", ".join(parts)[:500]


def _insert(session: Session, rows: Sequence[dict[str, object]]) -> int:
    """Write the rows whose ids are not there; how many those were."""
    written = 0
    for batch in batches(rows):
        new = (
            insert_into(session, HistoryRow)
            .values(batch)
            .on_conflict_do_nothing(index_elements=["id"])
            .returning(HistoryRow.id)
        )
        written += len(session.scalars(new).all())
    return written

"""Accepting and finding datasets."""

from __future__ import annotations

import hashlib

from anyio.to_thread import run_sync
from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, defer

from api.paging import Created
from api.problems import MalformedRequest
from api.state import State
from api.uploads import Upload
from frontrunner.data import DatasetOptions, DatasetReference, DatasetReport, dataset_id
from frontrunner.data.isolation import check_isolated
from frontrunner.errors import DatasetNotFound
from jobs.datasets import hold_blob
from jobs.quotas import Limits, locked_limits, require_room_for_datasets
from jobs.records import report_of
from models import DEFAULT_TENANT, DatasetRow

OPTION_FIELDS = frozenset(DatasetOptions.model_fields)


def dataset_options(fields: dict[str, str], *beside: str) -> DatasetOptions:
    """The dataset options among a form's fields.

    Args:
        fields: of the form.
        beside: fields that the form may hold as well.

    Raises:
        MalformedRequest: a field is unknown, or a value is not one of those accepted.
    """
    if unknown := sorted(set(fields) - OPTION_FIELDS - set(beside)):
        known = ", ".join(("file", *sorted(OPTION_FIELDS), *beside))
        raise MalformedRequest(f"the form has no field {', '.join(map(repr, unknown))}; it has {known}")
    try:
        return DatasetOptions.model_validate({k: v for k, v in fields.items() if k in OPTION_FIELDS and v})
    except ValidationError as error:
        raise MalformedRequest(f"dataset options: {error.errors()[0]['msg']}") from error


def _identity(tenant: str, content: str) -> str:
    """The digest that names a tenant's dataset.

    Another tenant's upload of the same bytes has another: its id, its check and its cached features tell nothing.
    """
    return content if tenant == DEFAULT_TENANT else hashlib.sha256(f"{tenant}\n{content}".encode()).hexdigest()


async def accept_dataset(state: State, upload: Upload, options: DatasetOptions) -> tuple[DatasetRow, bool]:
    """Check an uploaded dataset and keep it; whether it is new. The same data is checked and stored once.

    Raises:
        InvalidDataset: nothing can be ranked on it; nothing is kept of it.
        ChecksBusy: it cannot be checked now.
        QuotaExceeded: the tenant has no room for it.
        KeyInvalid, ScopeMissing: whoever sent it may no more, now that all of it is here.
    """
    await state.still()
    digest = _identity(state.principal.tenant, options.identity(upload.blob))
    known = await run_sync(_find, state, dataset_id(digest), limiter=state.checks.writing)
    if known is not None:
        return known, False
    report = await state.checks.run(lambda: _check(state, upload, options, digest))
    return await run_sync(_keep, state, upload, options, report, limiter=state.checks.writing)


def _check(state: State, upload: Upload, options: DatasetOptions, digest: str) -> DatasetReport:
    return check_isolated(
        upload.path(state.uploads),
        options,
        digest=digest,
        name=upload.name,
        timeout_s=state.settings.check_timeout_s,
        memory_bytes=state.settings.check_memory_bytes,
    )


def _keep(state: State, upload: Upload, options: DatasetOptions, report: DatasetReport) -> tuple[DatasetRow, bool]:
    digest = report.digest
    row = DatasetRow(
        id=dataset_id(digest),
        digest=digest,
        name=upload.name,
        blob=upload.blob,
        bytes=upload.bytes,
        options=options.model_dump(mode="json"),
        report=report.model_dump(mode="json"),
    )
    identifier, is_new = row.id, True
    try:
        with state.database.write_transaction() as session:
            tenant = state.principal.tenant
            limits = locked_limits(session, tenant, Limits.of(state.settings))
            hold_blob(session, upload.blob)
            session.add(row)
            session.flush()
            require_room_for_datasets(session, tenant, limits)
            upload.stay(state.uploads)  # somebody may have forgotten the same bytes meanwhile
            state.note(session, identifier)
    except IntegrityError:
        is_new = False  # the same data was being checked at the same time; the first row stays
    return get_dataset(state, identifier), is_new


def get_dataset(state: State, identifier: str) -> DatasetRow:
    """The dataset with this id.

    Raises:
        DatasetNotFound: there is none.
    """
    row = _find(state, identifier)
    if row is None:
        raise DatasetNotFound(f"there is no dataset '{identifier}'; POST it to /v1/datasets first")
    return row


def _find(state: State, identifier: str) -> DatasetRow | None:
    with state.database.read_transaction() as session:
        return session.get(DatasetRow, identifier)


def dataset_reference(dataset: DatasetRow) -> DatasetReference:
    """Where a runner finds the dataset."""
    owner = "" if dataset.tenant == DEFAULT_TENANT else dataset.tenant
    options = DatasetOptions.model_validate(dataset.options)
    return DatasetReference.of(dataset.blob, report_of(dataset), options, owner)


def list_datasets(session: Session, created: Created, limit: int, cursor: str | None) -> list[DatasetRow]:
    """`limit` + 1 datasets after `cursor`, by id."""
    listed = select(DatasetRow).options(defer(DatasetRow.report), defer(DatasetRow.options))
    query = created.narrow(listed, DatasetRow.created_at).order_by(DatasetRow.id).limit(limit + 1)
    if cursor:
        query = query.where(DatasetRow.id > cursor)
    return list(session.scalars(query))

"""Tenants: whose a row is, and that a session of one tenant sees no other's rows. The one place where this is said."""

from __future__ import annotations

from typing import Any, TypeVar

from sqlalchemy import Executable, String, event
from sqlalchemy.orm import Mapped, ORMExecuteState, Session, mapped_column, with_loader_criteria

DEFAULT_TENANT = "default"
# Of statements that see every tenant's rows.
_EVERY_TENANT = "frontrunner_every_tenant"
# Under this name a session's `info` holds its tenant; a session without one, as workers have, sees all rows.
TENANT = "tenant"


class TenantOwned:
    """A row that belongs to one tenant.

    In a session of a tenant every SELECT, UPDATE and DELETE of such rows is narrowed to the tenant's own, whatever the
    statement says, and new rows are the tenant's. `of_every_tenant` is the one exception.
    """

    tenant: Mapped[str] = mapped_column(String(64), server_default=DEFAULT_TENANT)


Statement = TypeVar("Statement", bound=Executable)


def of_every_tenant(statement: Statement) -> Statement:
    """The statement, not narrowed: for what tenants share without knowing, and never for what is shown to one."""
    return statement.execution_options(**{_EVERY_TENANT: True})


def tenant_key() -> Mapped[str]:
    """The column `tenant` of a table whose key it is part of."""
    return mapped_column(String(64), primary_key=True, server_default=DEFAULT_TENANT)


@event.listens_for(Session, "do_orm_execute")
def _narrow(execution: ORMExecuteState) -> None:
    tenant = execution.session.info.get(TENANT)
    # What belongs to a row that was loaded is the row's own.
    if tenant is None or execution.execution_options.get(_EVERY_TENANT):
        return
    if execution.is_column_load or execution.is_relationship_load:
        return
    if execution.is_select or execution.is_update or execution.is_delete:
        criteria = with_loader_criteria(TenantOwned, lambda row: row.tenant == tenant, include_aliases=True)
        execution.statement = execution.statement.options(criteria)


@event.listens_for(Session, "before_flush")
def _own(session: Session, _context: Any, _instances: Any) -> None:
    tenant = session.info.get(TENANT)
    if tenant is None:
        return
    for row in session.new:
        if isinstance(row, TenantOwned):
            if row.tenant not in (None, tenant):
                raise AssertionError(f"a session of tenant '{tenant}' writes a row of '{row.tenant}'")
            row.tenant = tenant

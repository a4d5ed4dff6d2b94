"""A session of a tenant sees and writes that tenant's rows alone, whatever the statement."""

from __future__ import annotations

import pytest
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import aliased

from models import Base, DatasetRow, TenantOwned, WebhookRow

# Tables that say nothing of any tenant: the hubs' checkpoints, sums over all, workers, and what content is cached.
SHARED = {"checkpoints", "checkpoint_costs", "counters", "features", "roles", "workers"}


@pytest.fixture
def tenants(database):
    """Two tenants of one database, each with a webhook and a dataset."""
    views = {name: database.of_tenant(name) for name in ("anna", "bert")}
    for name, view in views.items():
        with view.write_transaction() as session:
            session.add(WebhookRow(id=f"hook_{name}", url="u", secret="s", enabled=True, failures=0))
            session.add(DatasetRow(id=f"ds_{name}", digest=name, name=name, blob="b", bytes=1, options={}, report={}))
    return views


def test_every_table_is_a_tenants_or_says_nothing_of_any():
    owned = {mapper.local_table.name for mapper in Base.registry.mappers if issubclass(mapper.class_, TenantOwned)}
    assert owned | SHARED == set(Base.metadata.tables)
    assert not owned & SHARED


@pytest.mark.parametrize(
    "statement",
    [
        select(WebhookRow.id),
        select(WebhookRow.id, WebhookRow.url).where(WebhookRow.id.in_(["hook_anna", "hook_bert"])),
        select(WebhookRow.id).where((WebhookRow.url == "u") | (WebhookRow.tenant == "bert")),
        select(aliased(WebhookRow).id),
        select(WebhookRow.id).join(DatasetRow, DatasetRow.bytes == WebhookRow.failures + 1),
        select(WebhookRow.id).union_all(select(WebhookRow.id).where(WebhookRow.id == "hook_bert")),
        select(WebhookRow.id).where(WebhookRow.id.in_(select(WebhookRow.id))),
    ],
)
def test_what_is_selected_is_ones_own(tenants, statement):
    with tenants["anna"].read_transaction() as session:
        assert session.execute(statement).all()
        assert {row[0] for row in session.execute(statement)} == {"hook_anna"}


def test_what_is_counted_found_changed_and_deleted_is_ones_own(tenants, database):
    with tenants["anna"].write_transaction() as session:
        assert session.scalar(select(func.count()).select_from(WebhookRow)) == 1
        assert session.get(WebhookRow, "hook_bert") is None
        assert session.get(WebhookRow, "hook_bert", with_for_update=True) is None
        session.execute(update(WebhookRow).values(url="changed"))
        session.execute(delete(DatasetRow))
    with database.read_transaction() as session:
        assert dict(session.execute(select(WebhookRow.id, WebhookRow.url)).all()) == {
            "hook_anna": "changed",
            "hook_bert": "u",
        }
        assert session.scalars(select(DatasetRow.id)).all() == ["ds_bert"]


def test_what_is_written_is_ones_own(tenants, database):
    with database.read_transaction() as session:
        assert session.scalar(select(WebhookRow.tenant).where(WebhookRow.id == "hook_bert")) == "bert"

    def write_for_another():
        with tenants["anna"].write_transaction() as session:
            session.add(WebhookRow(id="h", tenant="bert", url="u", secret="s", enabled=True, failures=0))

    with pytest.raises(AssertionError, match="bert"):
        write_for_another()

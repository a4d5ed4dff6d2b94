"""The audit log: written with what it tells of, and by nobody changed."""

from __future__ import annotations

import time

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import IntegrityError

from frontrunner.settings import Settings
from jobs.audit import KEPT_S, Actor, acts, note_act
from models import AuditRow, database_now
from workers.maintenance import Maintenance

ACTOR = Actor("key:0123", "192.0.2.7", "request-1")


def note(database, action="createDataset", **more):
    with database.write_transaction() as session:
        note_act(session, ACTOR, "anna", action, "ds_1", **more)
    time.sleep(0.002)  # ids sort by milliseconds


@pytest.mark.parametrize(
    "statement", ["UPDATE audit SET actor = 'nobody'", "DELETE FROM audit", "DELETE FROM audit WHERE tenant = 'anna'"]
)
def test_an_entry_can_be_neither_changed_nor_removed(database, statement):
    note(database)
    with pytest.raises(IntegrityError, match="only added to"), database.write_transaction() as session:
        session.execute(text(statement))
    with database.read_transaction() as session:
        (row,) = session.scalars(select(AuditRow))
        assert (row.actor, row.action, row.resource, row.outcome) == ("key:0123", "createDataset", "ds_1", "done")


def test_the_whole_table_cannot_be_emptied_at_once(database):
    if database.is_sqlite:
        pytest.skip("SQLite has no TRUNCATE")
    note(database)
    with pytest.raises(IntegrityError, match="only added to"), database.write_transaction() as session:
        session.execute(text("TRUNCATE audit"))


def test_what_is_taken_back_leaves_no_entry(database):
    def fail():
        with database.write_transaction() as session:
            note_act(session, ACTOR, "anna", "createDataset", "ds_1")
            session.flush()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with database.read_transaction() as session:
        assert session.scalars(select(AuditRow)).all() == []


def test_maintenance_removes_what_is_older_than_a_year_alone(database, tmp_path):
    with database.write_transaction() as session:
        for name, age_s in (("young", KEPT_S - 60), ("old", KEPT_S + 60)):
            note_act(session, ACTOR, "anna", name)
            session.flush()
            row = session.scalar(select(AuditRow).where(AuditRow.action == name))
            values = {column.name: getattr(row, column.name) for column in AuditRow.__table__.columns}
            values |= {"id": f"{name}-2", "at": session.scalar(select(database_now())) - age_s}
            session.execute(AuditRow.__table__.insert().values(**values))
    assert Maintenance(database, Settings(home=tmp_path), "w").run_once().audit_entries == 1
    with database.read_transaction() as session:
        assert "old-2" not in set(session.scalars(select(AuditRow.id)))
        assert "young-2" in set(session.scalars(select(AuditRow.id)))


def test_entries_are_found_by_tenant_action_and_actor_newest_first(database):
    for action in ("createDataset", "deleteDataset", "createDataset"):
        note(database, action)
    note(database, "createKey", outcome="scope_missing")
    with database.read_transaction() as session:
        assert [row.action for row in acts(session, limit=1)] == ["createKey", "createDataset"]
        assert len(acts(session, tenant="anna", action="createDataset", actor="key:0123")) == 2
        assert acts(session, tenant="bert") == acts(session, actor="key:9") == []
        newest, second, *_ = acts(session)
        assert acts(session, before=newest.id)[0].id == second.id
    with database.of_tenant("bert").read_transaction() as session:
        assert acts(session) == []
    with database.of_tenant("anna").write_transaction() as session, pytest.raises(IntegrityError):
        session.execute(update(AuditRow).values(outcome="done"))

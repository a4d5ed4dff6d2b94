"""The migrations make the schema that the code declares."""

from __future__ import annotations

import threading

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

import migrations
from models import Base, DutyRow, database_now


def test_upgrading_to_head_leaves_nothing_to_autogenerate(database):
    assert migrations.is_current(database)
    with database.reading() as session:
        assert compare_metadata(MigrationContext.configure(session.connection()), Base.metadata) == []


def test_upgrading_twice_changes_nothing(database):
    migrations.upgrade(database)
    assert migrations.is_current(database)


def test_the_databases_clock_runs(database):
    import time

    first = database.now()
    assert abs(first - time.time()) < 5
    time.sleep(0.02)
    assert database.now() > first


def test_concurrent_read_modify_writes_lose_nothing(database):
    """The SQLite driver's own transactions lost about half of these."""
    with database.writing() as session:
        session.add(DutyRow(name="counter", holder="", held_until=0.0))

    def add() -> None:
        for _ in range(25):
            with database.writing() as session:
                row = session.get(DutyRow, "counter", with_for_update=True)
                row.held_until += 1

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.reading() as session:
        assert session.get(DutyRow, "counter").held_until == 100


def test_a_block_that_raises_writes_nothing(database):

    def half_write() -> None:
        with database.writing() as session:
            session.execute(update(DutyRow).values(holder="half-written"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half_write()
    with database.reading() as session:
        assert session.scalar(select(DutyRow.holder)) == ""


def test_a_running_step_without_a_lease_cannot_be_stored(database, job):
    from models import StepRow

    with pytest.raises(IntegrityError), database.writing() as session:
        session.execute(update(StepRow).values(status="running", lease_until=database_now()))

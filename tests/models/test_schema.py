"""The migrations make the schema that the code declares."""

from __future__ import annotations

import threading

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, select, update

import migrations
from models import Base, RoleRow


def test_upgrading_to_head_leaves_nothing_to_autogenerate(database):
    assert migrations.is_current(database)
    with database.read_transaction() as session:
        assert compare_metadata(MigrationContext.configure(session.connection()), Base.metadata) == []


def test_upgrading_twice_changes_nothing(database):
    migrations.upgrade(database)
    assert migrations.is_current(database)


def test_the_way_back_to_nothing_and_up_again_ends_in_the_same_schema(database):
    migrations.downgrade(database, "base")
    assert not migrations.is_current(database)
    with database.read_transaction() as session:
        left = inspect(session.connection()).get_table_names()
    assert set(left) <= {"alembic_version"}
    migrations.upgrade(database)
    assert migrations.is_current(database)


def test_the_databases_clock_runs(database):
    import time

    first = database.now()
    assert abs(first - time.time()) < 60
    time.sleep(0.02)
    assert database.now() > first


def test_concurrent_read_modify_writes_lose_nothing(database):
    """The SQLite driver's own transactions lost about half of these."""
    with database.write_transaction() as session:
        session.add(RoleRow(name="counter", holder="", held_until=0.0))

    def add() -> None:
        for _ in range(25):
            with database.write_transaction() as session:
                row = session.get(RoleRow, "counter", with_for_update=True)
                row.held_until += 1

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read_transaction() as session:
        assert session.get(RoleRow, "counter").held_until == 100


def test_a_block_that_raises_writes_nothing(database):

    def half_write() -> None:
        with database.write_transaction() as session:
            session.execute(update(RoleRow).values(holder="half-written"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half_write()
    with database.read_transaction() as session:
        assert session.scalar(select(RoleRow.holder)) == ""

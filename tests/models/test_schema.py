"""The migrations make the schema that the code declares."""

from __future__ import annotations

import threading

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

import migrations
from models import Base, JobRow, RoleRow, ScoreRow, StepRow, database_now


def test_upgrading_to_head_leaves_nothing_to_autogenerate(database):
    assert migrations.is_current(database)
    with database.read_transaction() as session:
        assert compare_metadata(MigrationContext.configure(session.connection()), Base.metadata) == []


def test_upgrading_twice_changes_nothing(database):
    migrations.upgrade(database)
    assert migrations.is_current(database)


OLD_ROWS = """
INSERT INTO datasets (id, digest, name, blob, bytes, options, report) VALUES ('ds', 'digest', 'd', 'b', 1, '{}', '{}');
INSERT INTO jobs (id, kind, status, dataset_id, request, skipped, steps_total, steps_left)
    VALUES ('job', 'ranking', 'running', 'ds', '{}', '[{"checkpoint": "c"}]', 2, 1);
INSERT INTO steps (id, job_id, ordinal, checkpoint_id, queue, "order", status, attempt, max_attempts, rings, ring_at,
                   examples_done, examples_total)
    VALUES ('s1', 'job', 0, 'local:a', 'cpu', '{}', 'succeeded', 1, 3, 0, 5.0, 1, 1),
           ('s2', 'job', 1, 'local:b', 'cpu', '{}', 'queued', 0, 3, 0, 6.0, 0, 1);
INSERT INTO scores (job_id, checkpoint_id, name, value) VALUES ('job', 'local:a', 'logme', 0.5)
"""


def test_what_an_older_schema_held_survives_the_way_to_the_newest_and_back(database):
    migrations.downgrade(database, "0001")
    with database.engine.begin() as connection:
        for statement in OLD_ROWS.split(";"):
            connection.exec_driver_sql(statement)
    migrations.upgrade(database)
    with database.read_transaction() as session:
        job = session.get(JobRow, "job")
        assert (job.plan, job.tenant, job.priority) == ({"skipped": [{"checkpoint": "c"}]}, "default", 5)
        steps = session.query(StepRow).order_by(StepRow.ordinal).all()
        assert [(step.name, step.kind, step.dataset_digests, step.available_at) for step in steps] == [
            ("local:a", "ranking", ["digest"], 5.0),
            ("local:b", "ranking", ["digest"], 6.0),
        ]
        assert session.query(ScoreRow).count() == 1
    with pytest.raises(IntegrityError), database.write_transaction() as session:
        session.execute(update(JobRow).values(steps_left=-1))
    migrations.downgrade(database, "0001")
    with database.engine.begin() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM steps").scalar() == 2
        assert connection.exec_driver_sql("SELECT count(*) FROM scores").scalar() == 1


def test_the_databases_clock_runs(database):
    import time

    first = database.now()
    assert abs(first - time.time()) < 5
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


def test_a_running_step_without_a_lease_cannot_be_stored(database, job):
    with pytest.raises(IntegrityError), database.write_transaction() as session:
        session.execute(update(StepRow).values(status="running", lease_until=database_now()))

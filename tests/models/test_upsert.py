"""Processes that start together write the same rows, and none of them fails."""

from __future__ import annotations

import threading

from sqlalchemy import select

import migrations
from frontrunner.hub import Catalogue, SkippedCheckpoint
from jobs.catalogue import store_catalogue
from models import CheckpointRow, Database, WorkerRow
from models.upsert import upsert
from tests.jobs.rows import description


def together(count, work):
    """Run `work` in threads that begin at one moment; what they raised."""
    barrier, raised = threading.Barrier(count), []

    def run(number):
        barrier.wait()
        try:
            work(number)
        except Exception as error:
            raised.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def test_a_row_that_is_there_takes_the_new_values_and_the_last_of_two_counts(database):
    with database.write_transaction() as session:
        upsert(session, WorkerRow, [{"id": "a", "seen_at": 1.0}, {"id": "b", "seen_at": 1.0}])
    with database.write_transaction() as session:
        upsert(
            session, WorkerRow, [{"id": "b", "seen_at": 2.0}, {"id": "b", "seen_at": 3.0}, {"id": "c", "seen_at": 3.0}]
        )
        upsert(session, WorkerRow, [])
    with database.read_transaction() as session:
        rows = session.execute(select(WorkerRow.id, WorkerRow.seen_at).order_by(WorkerRow.id)).tuples().all()
    assert rows == [("a", 1.0), ("b", 3.0), ("c", 3.0)]


def test_workers_that_start_together_on_a_new_database_all_write_the_catalogue(database):
    """Ten times three, in opposite orders: none meets a row that another one has just written, and none a deadlock."""
    for attempt in range(10):
        names = [f"{attempt}-{number}" for number in range(20)]

        def look(number, names=names):
            order = names if number % 2 else names[::-1]
            found = Catalogue(
                checkpoints=tuple(description(name) for name in order),
                skipped=(SkippedCheckpoint(checkpoint=f"local:broken-{names[0]}", code="bad", reason="why"),),
            )
            with database.write_transaction() as session:
                store_catalogue(session, found)

        assert together(3, look) == []
    with database.read_transaction() as session:
        rows = session.scalars(select(CheckpointRow)).all()
    assert len(rows) == 210
    assert sum(row.available for row in rows) == 21


def test_migrations_that_start_together_wait_for_each_other(database):
    migrations.downgrade(database, "base")
    url = database.engine.url.render_as_string(hide_password=False)

    def bring(_number):
        own = Database(url)
        try:
            migrations.upgrade(own)
        finally:
            own.close()

    assert together(3, bring) == []
    assert migrations.is_current(database)

"""Jobs that cannot be lost

Revision: 0002
Follows: 0001
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from models import database_now

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_WAITING = sa.text("status = 'queued'")
_JOINABLE = sa.text("status IN ('queued', 'running')")
_JOB_CHECKS = {
    "status_known": "status IN ('queued', 'running', 'succeeded', 'failed', 'lost', 'cancelling', 'cancelled')",
    "steps_left_not_negative": "steps_left >= 0",
    "priority_in_range": "priority BETWEEN 0 AND 9",
}
_STEP_CHECKS = {
    "status_known": "status IN ('queued', 'running', 'succeeded', 'failed', 'lost', 'cancelled')",
    "lease_held_while_running": "(status = 'running') = (lease_token IS NOT NULL)",
}
_OLD_JOB_CHECKS = {
    "status_known": "status IN ('queued', 'running', 'succeeded', 'failed', 'cancelling', 'cancelled')",
    "steps_left_not_negative": "steps_left >= 0",
}
_OLD_STEP_CHECKS = {
    "status_known": "status IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')",
    "lease_held_while_running": "(status = 'running') = (lease_token IS NOT NULL)",
}


def upgrade() -> None:
    """Apply."""
    _alter_jobs()
    _alter_steps()
    _create_events_and_keys()
    _create_webhooks()
    op.create_table(
        "counters",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("label", sa.String(length=128), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name", "label", name=op.f("pk_tallies")),
    )
    duties = sa.table("duties", sa.column("name"), sa.column("holder"), sa.column("held_until"))
    op.bulk_insert(duties, [{"name": name, "holder": "", "held_until": 0.0} for name in ("maintenance", "webhooks")])


def downgrade() -> None:
    """Undo. Lost jobs and steps become failed ones; what is new is dropped."""
    op.execute("DELETE FROM duties WHERE name IN ('maintenance', 'webhooks')")
    for table in ("counters", "deliveries", "webhooks", "idempotency_keys", "events"):
        op.drop_table(table)
    op.execute("UPDATE steps SET status = 'failed' WHERE status = 'lost'")
    op.execute("UPDATE jobs SET status = 'failed' WHERE status = 'lost'")
    op.execute("DELETE FROM jobs WHERE dataset_id IS NULL")
    with op.batch_alter_table("steps") as batch:
        _replace_checks(batch, "steps", _STEP_CHECKS, _OLD_STEP_CHECKS)
        batch.drop_index("ix_steps_waiting")
        batch.drop_constraint(batch.f("uq_steps_job_id_name"), type_="unique")
        batch.alter_column("name", new_column_name="checkpoint_id", existing_type=sa.String(length=255))
        batch.alter_column("available_at", new_column_name="ring_at", existing_type=sa.Float())
        batch.add_column(sa.Column("rings", sa.Integer(), nullable=False, server_default="0"))
        for column in ("tenant", "kind", "priority", "dataset_digests"):
            batch.drop_column(column)
    with op.batch_alter_table("steps") as batch:
        batch.create_unique_constraint(batch.f("uq_steps_job_id_checkpoint_id"), ["job_id", "checkpoint_id"])
        batch.create_index("ix_steps_status_ring_at", ["status", "ring_at"], unique=False)
        batch.alter_column("rings", server_default=None)
    with op.batch_alter_table("jobs") as batch:
        _replace_checks(batch, "jobs", _JOB_CHECKS, _OLD_JOB_CHECKS)
        for index in ("uq_jobs_running_work", "ix_jobs_finished_at", "ix_jobs_kind"):
            batch.drop_index(index)
        batch.add_column(sa.Column("skipped", sa.JSON(), nullable=False, server_default="[]"))
        batch.alter_column("dataset_id", existing_type=sa.String(length=40), nullable=False)
        for column in ("tenant", "priority", "plan", "work_digest", "correlation_id", "version"):
            batch.drop_column(column)
    with op.batch_alter_table("jobs") as batch:
        batch.alter_column("skipped", server_default=None)


def _alter_jobs() -> None:
    with op.batch_alter_table("jobs") as batch:
        batch.add_column(sa.Column("tenant", sa.String(length=64), nullable=False, server_default="default"))
        batch.add_column(sa.Column("priority", sa.Integer(), nullable=False, server_default="5"))
        batch.add_column(sa.Column("plan", sa.JSON(), nullable=False, server_default="{}"))
        batch.add_column(sa.Column("work_digest", sa.String(length=64), nullable=False, server_default=""))
        batch.add_column(sa.Column("correlation_id", sa.String(length=128), nullable=False, server_default=""))
        batch.add_column(sa.Column("version", sa.Integer(), nullable=False, server_default="0"))
        batch.alter_column("dataset_id", existing_type=sa.String(length=40), nullable=True)
    # Jobs of before are rankings, and each counts as work of its own: none of them is joined.
    op.execute(
        """UPDATE jobs SET plan = CAST('{"skipped": ' || CAST(skipped AS TEXT) || '}' AS JSON), work_digest = id"""
        if op.get_bind().dialect.name == "postgresql"
        else """UPDATE jobs SET plan = '{"skipped": ' || skipped || '}', work_digest = id"""
    )
    with op.batch_alter_table("jobs") as batch:
        batch.drop_column("skipped")
        batch.alter_column("plan", server_default=None)
        batch.alter_column("work_digest", server_default=None)
        _replace_checks(batch, "jobs", _OLD_JOB_CHECKS, _JOB_CHECKS)
        batch.create_index(batch.f("ix_jobs_kind"), ["kind"], unique=False)
        batch.create_index("ix_jobs_finished_at", ["finished_at"], unique=False)
        batch.create_index(
            "uq_jobs_running_work",
            ["tenant", "work_digest"],
            unique=True,
            postgresql_where=_JOINABLE,
            sqlite_where=_JOINABLE,
        )


def _alter_steps() -> None:
    with op.batch_alter_table("steps") as batch:
        batch.drop_index("ix_steps_status_ring_at")
        batch.drop_constraint(batch.f("uq_steps_job_id_checkpoint_id"), type_="unique")
        batch.alter_column("checkpoint_id", new_column_name="name", existing_type=sa.String(length=255))
        batch.alter_column("ring_at", new_column_name="available_at", existing_type=sa.Float())
        batch.drop_column("rings")
        batch.add_column(sa.Column("tenant", sa.String(length=64), nullable=False, server_default="default"))
        batch.add_column(sa.Column("kind", sa.String(length=32), nullable=False, server_default="ranking"))
        batch.add_column(sa.Column("priority", sa.Integer(), nullable=False, server_default="5"))
        batch.add_column(sa.Column("dataset_digests", sa.JSON(), nullable=True))
    array = "json_build_array" if op.get_bind().dialect.name == "postgresql" else "json_array"
    op.execute(
        f"UPDATE steps SET dataset_digests = "  # noqa: S608 - one of two names above
        f"(SELECT {array}(d.digest) FROM jobs j JOIN datasets d ON d.id = j.dataset_id WHERE j.id = steps.job_id)"
    )
    with op.batch_alter_table("steps") as batch:
        batch.alter_column("kind", server_default=None)
        _replace_checks(batch, "steps", _OLD_STEP_CHECKS, _STEP_CHECKS)
        batch.create_unique_constraint(batch.f("uq_steps_job_id_name"), ["job_id", "name"])
        batch.alter_column("dataset_digests", existing_type=sa.JSON(), nullable=False)
        batch.create_index(
            "ix_steps_waiting",
            ["queue", "tenant", "priority", "available_at"],
            unique=False,
            postgresql_where=_WAITING,
            sqlite_where=_WAITING,
        )


def _replace_checks(batch: Any, table: str, old: dict[str, str], new: dict[str, str]) -> None:
    for name in old:
        batch.drop_constraint(op.f(f"ck_{table}_{name}"), type_="check")
    for name, condition in new.items():
        batch.create_check_constraint(op.f(f"ck_{table}_{name}"), sa.text(condition))


def _create_events_and_keys() -> None:
    op.create_table(
        "events",
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.Float(), server_default=database_now(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_events_job_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "number", name=op.f("pk_events")),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("body_digest", sa.String(length=64), nullable=False),
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_idempotency_keys_job_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index(op.f("ix_idempotency_keys_expires_at"), "idempotency_keys", ["expires_at"])
    op.create_index(op.f("ix_idempotency_keys_job_id"), "idempotency_keys", ["job_id"])


def _create_webhooks() -> None:
    op.create_table(
        "webhooks",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("url", sa.String(length=2000), nullable=False),
        sa.Column("secret", sa.String(length=128), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Float(), server_default=database_now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhooks")),
    )
    op.create_index(op.f("ix_webhooks_tenant"), "webhooks", ["tenant"])
    op.create_table(
        "deliveries",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("webhook_id", sa.String(length=40), nullable=False),
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column("event", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.Float(), nullable=False),
        sa.Column("last_answer", sa.String(length=500), nullable=True),
        sa.Column("created_at", sa.Float(), server_default=database_now(), nullable=False),
        sa.Column("delivered_at", sa.Float(), nullable=True),
        sa.CheckConstraint("status IN ('pending', 'delivered', 'failed')", name=op.f("ck_deliveries_status_known")),
        sa.ForeignKeyConstraint(
            ["webhook_id"], ["webhooks.id"], name=op.f("fk_deliveries_webhook_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
    )
    op.create_index(op.f("ix_deliveries_created_at"), "deliveries", ["created_at"])
    op.create_index(op.f("ix_deliveries_job_id"), "deliveries", ["job_id"])
    op.create_index(op.f("ix_deliveries_webhook_id"), "deliveries", ["webhook_id"])
    op.create_index("ix_deliveries_status_next_at", "deliveries", ["status", "next_at"])

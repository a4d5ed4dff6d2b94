"""The first tables

Revision: 0001
Follows: nothing
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from models import database_now

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_JOINABLE = sa.text("status IN ('queued', 'running')")
_WAITING = sa.text("status = 'queued'")
_JOB_STATUS = "status IN ('queued', 'running', 'succeeded', 'failed', 'lost', 'cancelling', 'cancelled')"
_STEP_STATUS = "status IN ('queued', 'running', 'succeeded', 'failed', 'lost', 'cancelled')"
_LEASE_HELD = "(status = 'running') = (lease_token IS NOT NULL)"
# Each is held by one worker at a time; taking one is an update, so the rows are there from the beginning.
_ROLES = ("reaper", "maintenance", "webhooks")


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "checkpoint_costs",
        sa.Column("checkpoint_digest", sa.String(length=64), nullable=False),
        sa.Column("device", sa.String(length=100), nullable=False),
        sa.Column("latency_ms", sa.Float(), nullable=False),
        sa.Column("memory_mb", sa.Float(), nullable=False),
        sa.Column("measured_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("checkpoint_digest", "device", name=op.f("pk_checkpoint_costs")),
    )
    op.create_table(
        "checkpoints",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("origin", sa.String(length=16), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=True),
        sa.Column("library", sa.String(length=16), nullable=True),
        sa.Column("modality", sa.String(length=16), nullable=True),
        sa.Column("architecture", sa.String(length=128), nullable=True),
        sa.Column("family", sa.String(length=64), nullable=True),
        sa.Column("parameters", sa.BigInteger(), nullable=True),
        sa.Column("flops", sa.BigInteger(), nullable=True),
        sa.Column("input_size", sa.Integer(), nullable=True),
        sa.Column("license", sa.String(length=100), nullable=True),
        sa.Column("pretraining", sa.String(length=500), nullable=True),
        sa.Column("base_model", sa.String(length=255), nullable=True),
        sa.Column("popularity", sa.BigInteger(), nullable=True),
        sa.Column("tags", sa.JSON(), nullable=True),
        sa.Column("label_names", sa.JSON(), nullable=True),
        sa.Column("searched", sa.String(length=2000), nullable=False),
        sa.Column("description", sa.JSON(), nullable=True),
        sa.Column("error_code", sa.String(length=64), nullable=True),
        sa.Column("error_reason", sa.String(length=1000), nullable=True),
        sa.Column("available", sa.Boolean(), nullable=False),
        sa.Column("seen_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_checkpoints")),
    )
    op.create_index(op.f("ix_checkpoints_family"), "checkpoints", ["family"], unique=False)
    op.create_index(op.f("ix_checkpoints_modality"), "checkpoints", ["modality"], unique=False)
    op.create_index(op.f("ix_checkpoints_origin"), "checkpoints", ["origin"], unique=False)
    op.create_table(
        "counters",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("label", sa.String(length=128), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name", "label", name=op.f("pk_counters")),
    )
    op.create_table(
        "datasets",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("blob", sa.String(length=64), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("report", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.Float(), server_default=database_now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_datasets")),
        sa.UniqueConstraint("digest", name=op.f("uq_datasets_digest")),
    )
    op.create_index(op.f("ix_datasets_created_at"), "datasets", ["created_at"], unique=False)
    op.create_table(
        "features",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("checkpoint_digest", sa.String(length=64), nullable=False),
        sa.Column("dataset_digest", sa.String(length=64), nullable=False),
        sa.Column("examples", sa.Integer(), nullable=False),
        sa.Column("dimension", sa.Integer(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("last_used_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_features")),
    )
    op.create_index(op.f("ix_features_checkpoint_digest"), "features", ["checkpoint_digest"], unique=False)
    op.create_index(op.f("ix_features_dataset_digest"), "features", ["dataset_digest"], unique=False)
    op.create_index(op.f("ix_features_last_used_at"), "features", ["last_used_at"], unique=False)
    op.create_table(
        "roles",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("holder", sa.String(length=255), nullable=False),
        sa.Column("held_until", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_roles")),
    )
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
    op.create_index(op.f("ix_webhooks_tenant"), "webhooks", ["tenant"], unique=False)
    op.create_table(
        "workers",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("seen_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workers")),
    )
    op.create_index(op.f("ix_workers_seen_at"), "workers", ["seen_at"], unique=False)
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
    op.create_index(op.f("ix_deliveries_created_at"), "deliveries", ["created_at"], unique=False)
    op.create_index(op.f("ix_deliveries_job_id"), "deliveries", ["job_id"], unique=False)
    op.create_index("ix_deliveries_status_next_at", "deliveries", ["status", "next_at"], unique=False)
    op.create_index(op.f("ix_deliveries_webhook_id"), "deliveries", ["webhook_id"], unique=False)
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("tenant", sa.String(length=64), server_default="default", nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("priority", sa.Integer(), server_default="5", nullable=False),
        sa.Column("dataset_id", sa.String(length=40), nullable=True),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("work_digest", sa.String(length=64), nullable=False),
        sa.Column("correlation_id", sa.String(length=128), server_default="", nullable=False),
        sa.Column("version", sa.Integer(), server_default="0", nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("steps_total", sa.Integer(), nullable=False),
        sa.Column("steps_left", sa.Integer(), nullable=False),
        sa.Column("result", sa.Text(), nullable=True),
        sa.Column("error_code", sa.String(length=64), nullable=True),
        sa.Column("error_reason", sa.String(length=2000), nullable=True),
        sa.Column("next_job_id", sa.String(length=40), nullable=True),
        sa.Column("next_error_code", sa.String(length=64), nullable=True),
        sa.Column("next_error_reason", sa.String(length=2000), nullable=True),
        sa.Column("created_at", sa.Float(), server_default=database_now(), nullable=False),
        sa.Column("started_at", sa.Float(), nullable=True),
        sa.Column("finished_at", sa.Float(), nullable=True),
        sa.CheckConstraint(
            _JOB_STATUS,
            name=op.f("ck_jobs_status_known"),
        ),
        sa.CheckConstraint("priority BETWEEN 0 AND 9", name=op.f("ck_jobs_priority_in_range")),
        sa.CheckConstraint("steps_left >= 0", name=op.f("ck_jobs_steps_left_not_negative")),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], name=op.f("fk_jobs_dataset_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
    )
    op.create_index(op.f("ix_jobs_created_at"), "jobs", ["created_at"], unique=False)
    op.create_index(op.f("ix_jobs_dataset_id"), "jobs", ["dataset_id"], unique=False)
    op.create_index("ix_jobs_finished_at", "jobs", ["finished_at"], unique=False)
    op.create_index(op.f("ix_jobs_kind"), "jobs", ["kind"], unique=False)
    op.create_index(op.f("ix_jobs_status"), "jobs", ["status"], unique=False)
    op.create_index(
        "uq_jobs_running_work",
        "jobs",
        ["tenant", "work_digest"],
        unique=True,
        postgresql_where=_JOINABLE,
        sqlite_where=_JOINABLE,
    )
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
    op.create_index(op.f("ix_idempotency_keys_expires_at"), "idempotency_keys", ["expires_at"], unique=False)
    op.create_index(op.f("ix_idempotency_keys_job_id"), "idempotency_keys", ["job_id"], unique=False)
    op.create_table(
        "steps",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column("tenant", sa.String(length=64), server_default="default", nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("priority", sa.Integer(), server_default="5", nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("queue", sa.String(length=16), nullable=False),
        sa.Column("dataset_digests", sa.JSON(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("available_at", sa.Float(), nullable=False),
        sa.Column("lease_token", sa.String(length=32), nullable=True),
        sa.Column("lease_until", sa.Float(), nullable=True),
        sa.Column("examples_done", sa.Integer(), nullable=False),
        sa.Column("examples_total", sa.Integer(), nullable=False),
        sa.Column("output", sa.Text(), nullable=True),
        sa.Column("error_code", sa.String(length=64), nullable=True),
        sa.Column("error_reason", sa.String(length=2000), nullable=True),
        sa.Column("started_at", sa.Float(), nullable=True),
        sa.Column("finished_at", sa.Float(), nullable=True),
        sa.CheckConstraint(_LEASE_HELD, name=op.f("ck_steps_lease_held_while_running")),
        sa.CheckConstraint(
            _STEP_STATUS,
            name=op.f("ck_steps_status_known"),
        ),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_steps_job_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_steps")),
        sa.UniqueConstraint("job_id", "name", name=op.f("uq_steps_job_id_name")),
    )
    op.create_index(op.f("ix_steps_job_id"), "steps", ["job_id"], unique=False)
    op.create_index("ix_steps_status_lease_until", "steps", ["status", "lease_until"], unique=False)
    op.create_index(
        "ix_steps_waiting",
        "steps",
        ["queue", "tenant", "priority", "available_at"],
        unique=False,
        postgresql_where=_WAITING,
        sqlite_where=_WAITING,
    )
    roles = sa.table("roles", sa.column("name"), sa.column("holder"), sa.column("held_until"))
    op.bulk_insert(roles, [{"name": name, "holder": "", "held_until": 0.0} for name in _ROLES])


def downgrade() -> None:
    """Undo."""
    op.drop_index(
        "ix_steps_waiting",
        table_name="steps",
        postgresql_where=_WAITING,
        sqlite_where=_WAITING,
    )
    op.drop_index("ix_steps_status_lease_until", table_name="steps")
    op.drop_index(op.f("ix_steps_job_id"), table_name="steps")
    op.drop_table("steps")
    op.drop_index(op.f("ix_idempotency_keys_job_id"), table_name="idempotency_keys")
    op.drop_index(op.f("ix_idempotency_keys_expires_at"), table_name="idempotency_keys")
    op.drop_table("idempotency_keys")
    op.drop_table("events")
    op.drop_index(
        "uq_jobs_running_work",
        table_name="jobs",
        postgresql_where=_JOINABLE,
        sqlite_where=_JOINABLE,
    )
    op.drop_index(op.f("ix_jobs_status"), table_name="jobs")
    op.drop_index(op.f("ix_jobs_kind"), table_name="jobs")
    op.drop_index("ix_jobs_finished_at", table_name="jobs")
    op.drop_index(op.f("ix_jobs_dataset_id"), table_name="jobs")
    op.drop_index(op.f("ix_jobs_created_at"), table_name="jobs")
    op.drop_table("jobs")
    op.drop_index(op.f("ix_deliveries_webhook_id"), table_name="deliveries")
    op.drop_index("ix_deliveries_status_next_at", table_name="deliveries")
    op.drop_index(op.f("ix_deliveries_job_id"), table_name="deliveries")
    op.drop_index(op.f("ix_deliveries_created_at"), table_name="deliveries")
    op.drop_table("deliveries")
    op.drop_index(op.f("ix_workers_seen_at"), table_name="workers")
    op.drop_table("workers")
    op.drop_index(op.f("ix_webhooks_tenant"), table_name="webhooks")
    op.drop_table("webhooks")
    op.drop_table("roles")
    op.drop_index(op.f("ix_features_last_used_at"), table_name="features")
    op.drop_index(op.f("ix_features_dataset_digest"), table_name="features")
    op.drop_index(op.f("ix_features_checkpoint_digest"), table_name="features")
    op.drop_table("features")
    op.drop_index(op.f("ix_datasets_created_at"), table_name="datasets")
    op.drop_table("datasets")
    op.drop_table("counters")
    op.drop_index(op.f("ix_checkpoints_origin"), table_name="checkpoints")
    op.drop_index(op.f("ix_checkpoints_modality"), table_name="checkpoints")
    op.drop_index(op.f("ix_checkpoints_family"), table_name="checkpoints")
    op.drop_table("checkpoints")
    op.drop_table("checkpoint_costs")

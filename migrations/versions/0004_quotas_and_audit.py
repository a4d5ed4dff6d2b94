"""Quotas of tenants, what their steps took, the audit log, and room for sealed secrets

Revision: 0004
Follows: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from models import database_now

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# Entries of the audit log cannot be removed before they are as old as this.
_KEPT_S = 365 * 86_400
_REFUSAL = "the audit log is only added to"


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "quotas",
        sa.Column("tenant", sa.String(length=64), server_default="default", nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=True),
        sa.Column("datasets", sa.BigInteger(), nullable=True),
        sa.Column("jobs", sa.BigInteger(), nullable=True),
        sa.Column("compute_s", sa.Float(), nullable=True),
        sa.Column("requests", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", name=op.f("pk_quotas")),
    )
    op.create_table(
        "compute_use",
        sa.Column("tenant", sa.String(length=64), server_default="default", nullable=False),
        sa.Column("minute", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "minute", name=op.f("pk_compute_use")),
    )
    op.create_table(
        "audit",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("tenant", sa.String(length=64), server_default="default", nullable=False),
        sa.Column("at", sa.Float(), server_default=database_now(), nullable=False),
        sa.Column("actor", sa.String(length=300), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("resource", sa.String(length=255), nullable=False),
        sa.Column("outcome", sa.String(length=64), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("request_id", sa.String(length=128), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_index("ix_audit_at", "audit", ["at"])
    op.create_index("ix_audit_tenant_id", "audit", ["tenant", "id"])
    for statement in _triggers(op.get_bind().dialect.name):
        op.execute(statement)
    with op.batch_alter_table("webhooks") as table:
        table.alter_column("secret", existing_type=sa.String(length=128), type_=sa.String(length=500))


def downgrade() -> None:
    """Take back. Sealed secrets do not fit the older column: webhooks must be made again."""
    op.execute("DELETE FROM deliveries")
    op.execute("DELETE FROM webhooks")
    with op.batch_alter_table("webhooks") as table:
        table.alter_column("secret", existing_type=sa.String(length=500), type_=sa.String(length=128))
    op.drop_table("audit")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION audit_refuses()")
    op.drop_table("compute_use")
    op.drop_table("quotas")


def _triggers(dialect: str) -> tuple[str, ...]:
    """What keeps the log as it was written, whoever speaks to the database as this service does."""
    update = "CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit"
    delete = "CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit"
    if dialect == "sqlite":
        refuse = f"BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
        now = "((julianday('now') - 2440587.5) * 86400.0)"
        return f"{update} {refuse}", f"{delete} WHEN OLD.at > {now} - {_KEPT_S} {refuse}"
    refuse = "EXECUTE FUNCTION audit_refuses()"
    body = f"BEGIN RAISE EXCEPTION '{_REFUSAL}' USING ERRCODE = 'integrity_constraint_violation'; END"
    return (
        f"CREATE FUNCTION audit_refuses() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$",
        f"{update} FOR EACH ROW {refuse}",
        f"CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON audit {refuse}",
        f"{delete} FOR EACH ROW WHEN (OLD.at > EXTRACT(EPOCH FROM clock_timestamp()) - {_KEPT_S}) {refuse}",
    )

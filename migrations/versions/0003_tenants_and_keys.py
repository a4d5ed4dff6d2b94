"""Every row belongs to a tenant; API keys

Revision: 0003
Follows: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from models import database_now

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# Tables whose rows had no tenant, or one that had to be given; all rows become the default tenant's.
_WITHOUT = ("datasets", "events", "deliveries", "history")
_WITH = ("webhooks", "idempotency_keys")


def upgrade() -> None:
    """Apply."""
    for name in _WITHOUT:
        with op.batch_alter_table(name) as table:
            table.add_column(sa.Column("tenant", sa.String(length=64), server_default="default", nullable=False))
    for name in _WITH:
        with op.batch_alter_table(name) as table:
            table.alter_column("tenant", existing_type=sa.String(length=64), server_default="default")
    op.create_index("ix_datasets_tenant_id", "datasets", ["tenant", "id"])
    op.create_index("ix_jobs_tenant_id", "jobs", ["tenant", "id"])
    op.create_table(
        "keys",
        sa.Column("id", sa.String(length=16), nullable=False),
        sa.Column("tenant", sa.String(length=64), server_default="default", nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("scopes", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.Float(), server_default=database_now(), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=True),
        sa.Column("revoked_at", sa.Float(), nullable=True),
        sa.Column("last_used_at", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_keys")),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("keys")
    op.drop_index("ix_jobs_tenant_id", table_name="jobs")
    op.drop_index("ix_datasets_tenant_id", table_name="datasets")
    for name in _WITH:
        with op.batch_alter_table(name) as table:
            table.alter_column("tenant", existing_type=sa.String(length=64), server_default=None)
    for name in _WITHOUT:
        with op.batch_alter_table(name) as table:
            table.drop_column("tenant")

"""Past results of fine-tuning

Revision: 0002
Follows: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from models import database_now

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "history",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("job_id", sa.String(length=40), nullable=True),
        sa.Column("model", sa.String(length=255), nullable=False),
        sa.Column("dataset", sa.String(length=255), nullable=False),
        sa.Column("dataset_digest", sa.String(length=64), nullable=True),
        sa.Column("accuracy", sa.Float(), nullable=False),
        sa.Column("diverged", sa.Boolean(), nullable=False),
        sa.Column("protocol", sa.String(length=500), nullable=False),
        sa.Column("learning_rate", sa.Float(), nullable=True),
        sa.Column("seed", sa.BigInteger(), nullable=True),
        sa.Column("scores", sa.JSON(), nullable=False),
        sa.Column("family", sa.String(length=255), nullable=True),
        sa.Column("parameters", sa.Float(), nullable=True),
        sa.Column("input_size", sa.Float(), nullable=True),
        sa.Column("source_dataset", sa.String(length=255), nullable=True),
        sa.Column("source_accuracy", sa.Float(), nullable=True),
        sa.Column("dataset_size", sa.Float(), nullable=True),
        sa.Column("dataset_classes", sa.Float(), nullable=True),
        sa.Column("added_at", sa.Float(), server_default=database_now(), nullable=False),
        sa.CheckConstraint("accuracy BETWEEN 0 AND 1", name=op.f("ck_history_accuracy_is_a_share")),
        sa.CheckConstraint("source IN ('file', 'tuning')", name=op.f("ck_history_source_known")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_history")),
    )
    op.create_index("ix_history_added_at_id", "history", ["added_at", "id"], unique=False)
    op.create_index(op.f("ix_history_dataset"), "history", ["dataset"], unique=False)
    op.create_index(op.f("ix_history_dataset_digest"), "history", ["dataset_digest"], unique=False)
    op.create_index(op.f("ix_history_model"), "history", ["model"], unique=False)


def downgrade() -> None:
    """Take back."""
    op.drop_index(op.f("ix_history_model"), table_name="history")
    op.drop_index(op.f("ix_history_dataset_digest"), table_name="history")
    op.drop_index(op.f("ix_history_dataset"), table_name="history")
    op.drop_index("ix_history_added_at_id", table_name="history")
    op.drop_table("history")

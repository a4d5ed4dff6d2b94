"""The catalogue of checkpoints

Revision: 0003
Follows: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_NEW = (
    ("library", sa.String(length=16)),
    ("architecture", sa.String(length=128)),
    ("family", sa.String(length=64)),
    ("flops", sa.BigInteger()),
    ("input_size", sa.Integer()),
    ("license", sa.String(length=100)),
    ("pretraining", sa.String(length=500)),
    ("base_model", sa.String(length=255)),
    ("popularity", sa.BigInteger()),
    ("tags", sa.JSON()),
    ("label_names", sa.JSON()),
)


def upgrade() -> None:
    """Apply. What is known of checkpoints is found again at the next look into the hubs."""
    op.execute("DELETE FROM checkpoints")
    with op.batch_alter_table("checkpoints") as batch:
        for name, kind in _NEW:
            batch.add_column(sa.Column(name, kind, nullable=True))
        batch.add_column(sa.Column("origin", sa.String(length=16), nullable=False))
        batch.add_column(sa.Column("searched", sa.String(length=2000), nullable=False))
        batch.create_index(batch.f("ix_checkpoints_family"), ["family"], unique=False)
        batch.create_index(batch.f("ix_checkpoints_origin"), ["origin"], unique=False)
    op.create_table(
        "checkpoint_costs",
        sa.Column("checkpoint_digest", sa.String(length=64), nullable=False),
        sa.Column("device", sa.String(length=100), nullable=False),
        sa.Column("latency_ms", sa.Float(), nullable=False),
        sa.Column("memory_mb", sa.Float(), nullable=False),
        sa.Column("measured_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("checkpoint_digest", "device", name=op.f("pk_checkpoint_costs")),
    )


def downgrade() -> None:
    """Undo. Checkpoints that were only heard of are forgotten."""
    op.drop_table("checkpoint_costs")
    op.execute("DELETE FROM checkpoints WHERE origin <> 'hubs'")
    with op.batch_alter_table("checkpoints") as batch:
        batch.drop_index(batch.f("ix_checkpoints_origin"))
        batch.drop_index(batch.f("ix_checkpoints_family"))
        for name in ("searched", "origin", *(name for name, _ in reversed(_NEW))):
            batch.drop_column(name)

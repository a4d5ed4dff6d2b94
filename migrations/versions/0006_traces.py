"""The place in a trace that a job's steps belong to

Revision: 0006
Follows: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("jobs") as table:
        table.add_column(sa.Column("trace_parent", sa.String(length=55), server_default="", nullable=False))


def downgrade() -> None:
    """Take back."""
    with op.batch_alter_table("jobs") as table:
        table.drop_column("trace_parent")

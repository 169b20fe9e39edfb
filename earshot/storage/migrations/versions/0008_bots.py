"""Authors of whom the network says that a program writes there."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("author") as batch_op:
        batch_op.add_column(sa.Column("is_bot", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    with op.batch_alter_table("author") as batch_op:
        batch_op.drop_column("is_bot")

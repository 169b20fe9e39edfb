"""How often a source is asked, what a day and sweeps may read, and whether a person paused it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import earshot.storage.columns

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("source") as batch_op:
        batch_op.add_column(sa.Column("swept", sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("day", sa.String(), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("day_reads", sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("pace", sa.Float(), nullable=True))
        batch_op.add_column(sa.Column("paused", sa.Boolean(), nullable=False, server_default=sa.false()))
        batch_op.add_column(sa.Column("closed_until", earshot.storage.columns.UtcTime(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("source") as batch_op:
        for column in ("closed_until", "paused", "pace", "day_reads", "day", "swept"):
            batch_op.drop_column(column)

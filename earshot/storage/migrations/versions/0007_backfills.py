"""Back-fills, and the gaps that they close."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import earshot.storage.columns

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TIME = earshot.storage.columns.UtcTime


def upgrade() -> None:
    op.create_table(
        "backfill",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("since", _TIME(), nullable=False),
        sa.Column("until", _TIME(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("cursor", sa.Text(), nullable=True),
        sa.Column("oldest", _TIME(), nullable=True),
        sa.Column("newest", _TIME(), nullable=True),
        sa.Column("seen", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("kept", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("reads", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("tries", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("by", _ID, nullable=True),
        sa.Column("asked_at", _TIME(), nullable=False),
        sa.Column("next_at", _TIME(), nullable=True),
        sa.Column("settled_at", _TIME(), nullable=True),
        sa.Column("claimed_by", sa.String(), nullable=True),
        sa.Column("claimed_until", _TIME(), nullable=True),
        sa.ForeignKeyConstraint(["by"], ["account.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("backfill_source", "backfill", ["source", "state"])
    with op.batch_alter_table("gap") as batch_op:
        batch_op.add_column(sa.Column("backfill_id", _ID, nullable=True))
        batch_op.add_column(sa.Column("closed_at", _TIME(), nullable=True))
        batch_op.create_foreign_key("gap_backfill", "backfill", ["backfill_id"], ["id"])


def downgrade() -> None:
    with op.batch_alter_table("gap") as batch_op:
        batch_op.drop_constraint("gap_backfill", type_="foreignkey")
        batch_op.drop_column("closed_at")
        batch_op.drop_column("backfill_id")
    op.drop_table("backfill")

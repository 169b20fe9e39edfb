"""What mentions said before their authors edited them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import earshot.storage.columns

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    with op.batch_alter_table("mention") as batch_op:
        batch_op.add_column(sa.Column("edited_at", earshot.storage.columns.UtcTime(), nullable=True))
        batch_op.add_column(sa.Column("edits", sa.Integer(), nullable=False, server_default="0"))
    op.create_table(
        "mention_version",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("mention_id", _ID, nullable=False),
        sa.Column("text", sa.Text(), server_default="", nullable=False),
        sa.Column("since", earshot.storage.columns.UtcTime(), nullable=False),
        sa.Column("until", earshot.storage.columns.UtcTime(), nullable=False),
        sa.Column("understood", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["mention_id"], ["mention.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_mention_version_mention_id"), "mention_version", ["mention_id"])


def downgrade() -> None:
    op.drop_table("mention_version")
    with op.batch_alter_table("mention") as batch_op:
        batch_op.drop_column("edits")
        batch_op.drop_column("edited_at")

"""Saved queries, and the mentions that they match."""

from __future__ import annotations

import sqlalchemy as sa
import sqlmodel.sql.sqltypes
from alembic import op

import earshot.storage.columns

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "saved_query",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("text", sa.Text(), server_default="", nullable=False),
        sa.Column("sources", earshot.storage.columns.Json(), nullable=True),
        sa.Column("not_by", earshot.storage.columns.Json(), nullable=True),
        sa.Column("not_saying", earshot.storage.columns.Json(), nullable=True),
        sa.Column("urgent", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("looked_to", _ID, nullable=True),
        sa.Column("made_by", _ID, nullable=True),
        sa.Column("made_at", earshot.storage.columns.UtcTime(), nullable=False),
        sa.Column("changed_by", _ID, nullable=True),
        sa.Column("changed_at", earshot.storage.columns.UtcTime(), nullable=False),
        sa.Column("deleted_at", earshot.storage.columns.UtcTime(), nullable=True),
        sa.ForeignKeyConstraint(["changed_by"], ["account.id"]),
        sa.ForeignKeyConstraint(["made_by"], ["account.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("saved_query") as batch_op:
        batch_op.create_index(
            "saved_query_name",
            ["name"],
            unique=True,
            sqlite_where=sa.text("deleted_at IS NULL"),
            postgresql_where=sa.text("deleted_at IS NULL"),
        )
    op.create_table(
        "query_match",
        sa.Column("mention_id", _ID, autoincrement=False, nullable=False),
        sa.Column("query_id", _ID, autoincrement=False, nullable=False),
        sa.Column("posted_at", earshot.storage.columns.UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("mention_id", "query_id"),
    )
    with op.batch_alter_table("query_match") as batch_op:
        batch_op.create_index("query_match_posted", ["query_id", "posted_at"], unique=False)


def downgrade() -> None:
    op.drop_table("query_match")
    op.drop_table("saved_query")

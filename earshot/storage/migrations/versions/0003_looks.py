"""When somebody last looked whether a mention still stands on its network."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from alembic import op

import earshot.storage.columns

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

#: what is older is looked after no more
_MEMORY = timedelta(days=30)


def upgrade() -> None:
    with op.batch_alter_table("mention") as batch_op:
        batch_op.add_column(sa.Column("looked_at", earshot.storage.columns.UtcTime(), nullable=True))
    mention = sa.table("mention", *(sa.column(name, earshot.storage.columns.UtcTime()) for name in ("looked_at", "seen_at", "posted_at")))
    is_recent = mention.c.posted_at >= datetime.now(UTC) - _MEMORY
    op.execute(sa.update(mention).where(is_recent).values(looked_at=mention.c.seen_at))
    with op.batch_alter_table("mention") as batch_op:
        batch_op.create_index(
            "mention_look",
            ["source", "looked_at"],
            unique=False,
            sqlite_where=sa.text("looked_at IS NOT NULL"),
            postgresql_where=sa.text("looked_at IS NOT NULL"),
        )


def downgrade() -> None:
    with op.batch_alter_table("mention") as batch_op:
        batch_op.drop_index("mention_look")
        batch_op.drop_column("looked_at")

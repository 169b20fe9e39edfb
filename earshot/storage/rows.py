"""The conversions between rows and the values that flow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import RowMapping

from earshot.case import Case, Outcome, State, Tier
from earshot.mention import Author, Mention, Score, ScoredMention
from earshot.storage.columns import stored_time

AUTHOR_FIELDS = (
    "network",
    "native_id",
    "handle",
    "name",
    "bio",
    "url",
    "followers",
    "following",
    "posts",
    "verified",
    "is_bot",
    "created_at",
)
MENTION_FIELDS = (
    "network",
    "native_id",
    "text",
    "url",
    "posted_at",
    "edited_at",
    "thread_id",
    "parent_id",
    "repost_of",
    "lang_hint",
    "company",
    "likes",
    "reposts",
    "replies",
)

_Row = RowMapping | Mapping[str, Any]


def stored_author(author: Author) -> tuple[Any, ...]:
    """The values of `AUTHOR_FIELDS` as the database stores them."""
    return (
        author.network, author.native_id, author.handle, author.name, author.bio, author.url, author.followers, author.following,
        author.posts, author.verified, author.is_bot, stored_time(author.created_at),
    )  # fmt: skip


def stored_mention(mention: Mention) -> tuple[Any, ...]:
    """The values of `MENTION_FIELDS` as the database stores them."""
    return (
        mention.network, mention.native_id, mention.text, mention.url, stored_time(mention.posted_at), stored_time(mention.edited_at),
        mention.thread_id, mention.parent_id, mention.repost_of, mention.lang_hint,
        mention.company, mention.likes, mention.reposts, mention.replies,
    )  # fmt: skip


def author_of(row: _Row) -> Author:
    return Author(**{name: row[name] for name in AUTHOR_FIELDS})


def mention_of(row: _Row, author: Author | None) -> Mention:
    return Mention(author=author, **{name: row[name] for name in MENTION_FIELDS})


def scored_of(row: _Row, author: Author | None) -> ScoredMention:
    return ScoredMention(mention=mention_of(row, author), scores=tuple(Score(*score) for score in row["scores"] or ()))


def case_of(row: RowMapping) -> Case:
    return Case(
        id=row["id"],
        key=row["key"],
        network=row["network"],
        state=State(row["state"]),
        tier=Tier(row["tier"]),
        outcome=Outcome(row["outcome"]),
        opened_at=row["opened_at"],
        reason=row["reason"],
        rule=row["rule"],
        policy=row["policy"],
        due_at=row["due_at"],
        priority=row["priority"],
        assignee=row["assignee"],
        lang=row["lang"],
        topics=tuple(row["topics"] or ()),
    )


def joined_author(row: _Row) -> Author | None:
    """The author of a row that was joined with its author's columns as `by_…`; None where nothing was joined."""
    return None if row["by_handle"] is None else author_of({name: row[f"by_{name}"] for name in AUTHOR_FIELDS})

"""What flows through the house: one public post, who wrote it, and what is known of it.

Plain frozen values. They import nothing of ours; every room takes them and returns new ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import repeat

from msgspec import Struct
from msgspec.structs import replace


def require_aware(moment: datetime, name: str) -> None:
    """Raise `ValueError` when `moment` carries no time zone: a naive time means a different moment on every machine."""
    if moment.tzinfo is not UTC and moment.utcoffset() is None:
        raise ValueError(f"{name} must be an aware datetime, not {moment.isoformat()} (add a time zone, e.g. UTC)")


class Author(Struct, frozen=True, kw_only=True):
    """Who wrote a mention, on that network. Identity is (network, native_id); names and handles may change.

    Counts are `None` where the network does not tell, which is not the same as 0.
    """

    network: str
    native_id: str  #: the network's own immutable id
    handle: str  #: without "@" or "u/"
    name: str = ""
    bio: str = ""
    url: str = ""
    followers: int | None = None  #: people reached; on Reddit the karma stands in for it
    following: int | None = None
    posts: int | None = None
    verified: bool = False
    is_bot: bool = False  #: the network says that a program writes there
    created_at: datetime | None = None

    def __post_init__(self) -> None:
        if self.created_at is not None:
            require_aware(self.created_at, "Author.created_at")


class Mention(Struct, frozen=True, kw_only=True):
    """One public post that names the brand. (network, native_id) is unique."""

    network: str
    native_id: str
    author: Author | None  #: None where the network does not say (a deleted author, a bare file)
    text: str  #: as the author wrote it; a title stands before the body, parted by a blank line
    url: str
    posted_at: datetime  #: aware; a naive time is refused
    edited_at: datetime | None = None  #: when its author last changed it, where the network tells
    thread_id: str | None = None  #: the conversation on the network; None where unknown
    parent_id: str | None = None  #: native id of the post it replies to
    repost_of: str | None = None  #: native id of the original, where the network itself says it is a repost
    lang_hint: str | None = None  #: the network's own guess of the language, ISO 639-1
    company: str | None = None  #: the brand addressed, where the source knows
    likes: int | None = None
    reposts: int | None = None
    replies: int | None = None

    def __post_init__(self) -> None:
        if not self.network or not self.native_id:
            raise ValueError("Mention needs a network and a native_id")
        require_aware(self.posted_at, "Mention.posted_at")
        if self.edited_at is not None:
            require_aware(self.edited_at, "Mention.edited_at")


def as_seen(mentions: Iterable[Mention], now: datetime) -> list[Mention]:
    """Nothing is posted after it was seen: what claims to be from the future was posted now. So all that is ordered by time is ordered by
    the earlier of both.
    """
    return [mention if mention.posted_at <= now else replace(mention, posted_at=now) for mention in mentions]


class Score(Struct, frozen=True, array_like=True):
    """One answer to one question about a mention. As JSON it is a list of its fields in this order."""

    name: str  #: which question: "sentiment", "influence"
    label: str  #: what a person reads: "angry", "top 5 %"
    value: float  #: what a rule compares; its range is in the giver's docstring
    confidence: float  #: 0..1; the queue asks people about the low ones
    by: str  #: model and version

    def __post_init__(self) -> None:
        if not 0.0 <= self.confidence <= 1.0:
            raise ValueError(f"confidence of {self.name} must lie in 0..1, not {self.confidence}")

    @classmethod
    def batch(cls, *, name: str, labels: Iterable[str], values: Iterable[float], confidences: Iterable[float], by: str) -> list[Score]:
        """One score for each label with its value and confidence; the shortest of the three ends it."""
        return list(map(cls, repeat(name), labels, values, confidences, repeat(by)))


class ScoredMention(Struct, frozen=True, kw_only=True):
    """A mention with everything the rooms said about it. Two scores of one name raise `ValueError`."""

    mention: Mention
    scores: tuple[Score, ...]

    def __post_init__(self) -> None:
        if len({score.name for score in self.scores}) != len(self.scores):
            names = [score.name for score in self.scores]
            twice = sorted({name for name in names if names.count(name) > 1})
            raise ValueError(f"two scores of one name: {', '.join(twice)}")

    def score(self, name: str) -> Score | None:
        """The score called `name`, or None when nobody gave it."""
        for score in self.scores:
            if score.name == name:
                return score
        return None

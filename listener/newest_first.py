"""Where reading stands in listings that run from new to old, several of them one after the other.

Each is read down to what was read before, and a quarter of an hour further: servers hear of a post late, and sort it in by its own time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import orjson

from earshot.errors import SourceConfused
from earshot.settings import SourceSettings

OVERLAP = timedelta(minutes=15)  #: read again on each poll
MOST_SEEN = 500  #: posts that a bookmark remembers; what comes again beyond them, the store recognises


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A post as a listing shows it: when it was posted, in seconds since 1970, and a moment that each of its versions has for itself."""

    native_id: str
    at: float
    changed: float

    @property
    def version(self) -> int:
        return round(self.changed * 1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bookmark:
    """`turn` is the listing under way, "" between two polls. Its reading began at `newest` and goes on with page `token`."""

    first: float  #: how far back the first reading goes
    turn: str = ""
    newest: float | None = None
    token: str | None = None
    done: dict[str, float] = field(default_factory=dict)  #: listing -> everything posted until then was read
    seen: dict[str, int] = field(default_factory=dict)  #: native id -> version, newest of the recent past
    looked: str = ""  #: the post that was last looked after

    @classmethod
    def load(cls, cursor: str | None, *, settings: SourceSettings, now: datetime) -> Bookmark:
        """Where `cursor` says; without one, at the beginning. Raises `SourceConfused` for a cursor that is not one of ours."""
        if cursor is None:
            return cls(first=(now - timedelta(hours=settings.first_look)).timestamp())
        try:
            stored: Any = orjson.loads(cursor)
            newest, token = stored["newest"], stored["token"]
            return cls(
                first=float(stored["first"]),
                turn=str(stored["turn"]),
                newest=None if newest is None else float(newest),
                token=None if token is None else str(token),
                done={str(listing): float(until) for listing, until in stored["done"].items()},
                seen={str(native_id): int(version) for native_id, version in stored["seen"].items()},
                looked=str(stored["looked"]),
            )
        except (ValueError, TypeError, KeyError, AttributeError) as err:
            raise SourceConfused(f"{settings.name}: the stored cursor is not one of ours; delete it to begin again") from err

    def dump(self) -> str:
        return orjson.dumps(asdict(self)).decode()

    def begin(self, listings: Sequence[str]) -> Bookmark:
        """At the listing under way; at the first one when none is, or when the settings know it no more."""
        return self if self.turn in listings else replace(self, turn=listings[0], newest=None, token=None)

    def is_new(self, post: Shown) -> bool:
        """Whether this post, or this version of it, was not read before."""
        return self.seen.get(post.native_id) != post.version

    def follow(
        self, posts: Sequence[Shown], token: str | None, *, listings: Sequence[str], now: datetime, once_more: str | None = None
    ) -> Bookmark:
        """After a page, behind which page `token` waits (None: nothing). A listing ends where a whole page was known before.

        `once_more` is where a second reading begins, for listings whose pages move up when posts vanish while they are read.
        """
        newest = max([post.at for post in posts] + ([] if self.newest is None else [self.newest]), default=None)
        read = replace(self, newest=newest, seen=self._with(posts))
        if token not in (None, self.token) and not self._is_known(posts, now):
            return replace(read, token=token)
        if once_more is not None:
            return replace(read, token=once_more)
        until = self._until() if newest is None else min(newest, (now - OVERLAP).timestamp())
        return replace(read, done=self.done | {self.turn: until}).onward(listings)

    def onward(self, listings: Sequence[str]) -> Bookmark:
        """At the listing that follows; at rest after the last."""
        following = [*listings[listings.index(self.turn) + 1 :], ""]
        return replace(self, turn=following[0], newest=None, token=None)

    def to_look_after(self, most: int) -> list[str]:
        """The posts whose turn it is to be looked after: in a circle, so that each is met again."""
        ids = sorted(self.seen)
        after = [native_id for native_id in ids if native_id > self.looked]
        return (after + ids[: len(ids) - len(after)])[:most]

    def looked_after(self, ids: Sequence[str], gone: Sequence[str], there: Sequence[Shown]) -> Bookmark:
        """After a look at `ids`, of which some are gone and others are there, perhaps in a new version."""
        versions = self.seen | {post.native_id: post.version for post in there}
        seen = {native_id: version for native_id, version in versions.items() if native_id not in set(gone)}
        return replace(self, looked=ids[-1] if ids else self.looked, seen=seen)

    def _until(self) -> float:
        return self.done.get(self.turn, self.first)

    def _is_known(self, posts: Sequence[Shown], now: datetime) -> bool:
        """A post from the future says nothing of those below it, once it was seen; a page without a readable post says nothing at all."""
        until = self._until()
        return bool(posts) and all(post.at <= until or (post.at > now.timestamp() and post.native_id in self.seen) for post in posts)

    def _with(self, posts: Sequence[Shown]) -> dict[str, int]:
        seen = self.seen | {post.native_id: post.version for post in posts}
        newest = sorted(seen.items(), key=lambda entry: entry[1], reverse=True)[:MOST_SEEN]
        return dict(newest)

"""The promise that a network keeps: fetch a page after a cursor, reply, find our own reply, say what it costs.

A source holds no state between calls but its connection: the cursor goes in and comes out, so that the caller can store it in the
same transaction as the mentions. A cursor is an opaque string of the source's own making.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol, runtime_checkable

from earshot.mention import Mention
from listener.query.tree import Query


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """What a network could not give: from when to when, and why."""

    since: datetime
    until: datetime
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of mentions and the cursor that follows it."""

    mentions: tuple[Mention, ...]
    cursor: str | None  #: where the next fetch goes on; None: start again from the beginning
    more: bool = False  #: True: another page waits behind this one, fetch it now
    deleted: tuple[str, ...] = ()  #: native ids that the network says are gone
    gap: Gap | None = None
    spent: int = 0  #: reads that the network counts against our quota
    again: float | None = None  #: seconds after which a stream wants to be asked again, by the same worker; None: it is a poll like others
    trouble: str = ""  #: what keeps us from the stream, while polls go on


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """A reply of ours that stands on the network."""

    native_id: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """How many posts a source can look after with one call of `gone`, and how many reads the network counts for it."""

    at_once: int
    per_call: int = 0
    per_post: int = 0  #: for each post that is shown


class Asked(NamedTuple):
    """A query of ours that a source is to listen for."""

    name: str
    query: Query
    is_urgent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Thread:
    """A conversation as its network shows it, in reading order: every answer below what it answers. Our own posts are in it."""

    mentions: tuple[Mention, ...]
    left_out: str = ""  #: what the network does not show of it, in words; "" where it is whole
    spent: int = 0  #: reads that the network counts against our quota


class Source(Protocol):
    """Built as `XSource(settings: SourceSettings)`; nothing talks to the network before the first call.

    `fetch` raises `SourceUnavailable` (with `retry_at` where the network says when), `SourceRefused`, `SourceConfused`.
    `reply` raises `SourceUnavailable` when the post was surely not made, `SourceRefused` when that is because our keys were not taken,
    `ReplyRefused` when it never will be, and `ReplyUnknown` when nobody can tell. `find_reply` looks for our own reply under `parent_id`
    with the same text, and returns None when it is surely absent.
    """

    network: str
    keys_from: str  #: where a person gets the keys that it asks for; empty where it needs none

    def fetch(self, cursor: str | None, *, now: datetime) -> Page: ...

    def reply(self, parent_id: str, text: str, *, key: str) -> Posted: ...

    def find_reply(self, parent_id: str, text: str) -> Posted | None: ...

    def close(self) -> None: ...


@runtime_checkable
class Metered(Protocol):
    """What a source may promise besides, where its network counts what it gives: a page that costs no more than it may.

    `fetch_within` is `fetch` for at most `reads` reads, which are `least_reads` or more.
    """

    least_reads: int

    def fetch_within(self, cursor: str | None, *, now: datetime, reads: int) -> Page: ...


@runtime_checkable
class Streams(Protocol):
    """What a source may promise besides: with `settings.stream` it hears posts as they are made, beside its polls.

    Its pages then say by `again` when it is to be asked next. Between two calls it may hold what a network's stream has brought meanwhile;
    what is lost with it, its polls find.
    """

    streams: bool


@runtime_checkable
class Threads(Protocol):
    """What a source may promise besides: the conversation around one of its posts, 200 posts at most, in two or three calls.

    It costs `most_around` reads at most. Of a post that is gone its words are "". Raises as `fetch` does, `SourceConfused` where the
    network shows nothing of it any more.
    """

    most_around: int

    def around(self, native_id: str, *, thread_id: str | None) -> Thread: ...


@runtime_checkable
class Sweeps(Protocol):
    """What a source may promise besides: it can be asked whether posts still stand.

    `gone` takes up to `looks.at_once` native ids, and returns those of which the network says that the public cannot see them any more:
    deleted, removed, made private, or their author suspended; none of which it says nothing clear. Raises as `fetch` does.
    """

    looks: Looks

    def gone(self, native_ids: Sequence[str]) -> tuple[str, ...]: ...


@runtime_checkable
class Receives(Protocol):
    """What a source may promise instead of being polled: others bring what it hears, and its `fetch` gives nothing.

    `receive` reads one delivery; names of `headers` are lower case. Raises `SourceRefused` for one that is not proven to be the sender's,
    before anything else of it is looked at, and `BadInput` naming what in it is wrong. A network that is received stands in `RECEIVED` of
    `listener/__init__.py`, too.
    """

    def receive(self, headers: Mapping[str, str], body: bytes, *, now: datetime) -> tuple[Mention, ...]: ...


@runtime_checkable
class LooksBack(Protocol):
    """What a source may promise besides: it can be read back to any moment, as far as its network goes, and says where that ends.

    `back_to` gives the cursor of somebody who read all until `since`. Others begin without a cursor, as far back as `first_look` says.
    """

    def back_to(self, since: datetime) -> str: ...


@runtime_checkable
class Listens(Protocol):
    """What a source may promise besides: it listens for queries of ours, in addition to its own, from now on."""

    def listen_for(self, also: Sequence[Asked]) -> None: ...


def fetch_within(source: Source, cursor: str | None, *, now: datetime, reads: int | None) -> Page:
    """The next page, within so many reads where the source can keep to them; None: any number."""
    if reads is not None and isinstance(source, Metered):
        return source.fetch_within(cursor, now=now, reads=reads)
    return source.fetch(cursor, now=now)

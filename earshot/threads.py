"""The conversation around a case as its network shows it now: asked for when somebody wants to see it, and kept nowhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from threading import BoundedSemaphore, Lock

import structlog

from earshot import pacing
from earshot.errors import ConfigurationError, SourceError, SourceUnavailable
from earshot.mention import Mention
from earshot.pipeline import after_failure, asking, is_closed
from earshot.scheduler import open_source
from earshot.settings import SourceSettings
from earshot.storage import Store
from earshot.storage.cases import CasePage
from earshot.storage.sources import SourceStatus
from listener.source import Source, Threads

log = structlog.get_logger()

#: seconds for each of a source's two or three calls: a person waits
DEADLINE = 6.0
#: conversations that are asked for at the same time; more would keep other pages waiting
AT_ONCE = 3
#: answers below answers are set in so far, and no further
DEEPEST = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A post of the conversation, and how it stands to the case."""

    mention: Mention
    depth: int  #: 0 to `DEEPEST`
    is_ours: bool
    is_in_case: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    posts: tuple[Shown, ...]
    left_out: str  #: what the network does not show of it, in words
    hidden: int  #: posts of people who asked us to forget them


class Conversations:
    """Asks the networks, with sources of its own that are opened when they are first needed."""

    def __init__(self, store: Store, sources: Sequence[SourceSettings]) -> None:
        self._store = store
        self._settings = {source.name: source for source in sources}
        self._opened: dict[str, Source] = {}
        self._opening = Lock()
        self._free = BoundedSemaphore(AT_ONCE)

    def around(self, page: CasePage, *, now: datetime) -> Conversation:
        """Raises `SourceError` and `ConfigurationError` in words that a person can read."""
        post = next((post.scored.mention for post in reversed(page.posts) if post.in_case and post.scored.mention.text), None)
        settings = self._settings.get(self._store.cases.heard_by(page.case.id) or "")
        if post is None or settings is None:
            raise ConfigurationError("what this case is about is gone here, or no source of the settings brought it")
        status = next((status for status in self._store.sources.statuses() if status.name == settings.name), None)
        with self._source(settings) as source:
            if not isinstance(source, Threads):
                raise ConfigurationError(f"{settings.network} shows us no conversations; open the post there")
            _require_reads(settings, source, status, reads=max(pacing.least_reads(source), source.most_around), now=now)
            try:
                with asking(settings.name, what="looking at a conversation"):
                    thread = source.around(post.native_id, thread_id=post.thread_id)
            except SourceError as err:
                self._note_closed(settings, err, now=now)
                raise
        self._store.sources.spend(settings.name, reads=thread.spent, now=now)
        wanted = self._store.forgetting.let_through(thread.mentions)
        log.info("conversation_shown", source=settings.name, case=page.case.id, posts=len(wanted))
        known = {post.scored.mention.native_id for post in page.posts if post.in_case}
        return Conversation(
            posts=tuple(_shown(wanted, account=settings.account, in_case=known)),
            left_out=thread.left_out,
            hidden=len(thread.mentions) - len(wanted),
        )

    def _note_closed(self, settings: SourceSettings, err: SourceError, *, now: datetime) -> None:
        """A network that wants no call for a while gets none, from anybody."""
        if is_closed(err):
            state, until = after_failure(settings, 0, err, now=now)
            self._store.sources.fell(settings.name, until=until, state=state, reason=str(err), closed=True)

    @contextmanager
    def _source(self, settings: SourceSettings) -> Iterator[Source]:
        if not self._free.acquire(blocking=False):
            raise SourceUnavailable("others are looking at conversations just now; try again in a few seconds")
        try:
            with self._opening:
                if settings.name not in self._opened:
                    self._opened[settings.name] = open_source(settings.model_copy(update={"stream": False}), deadline=DEADLINE)
            yield self._opened[settings.name]
        finally:
            self._free.release()


def _require_reads(settings: SourceSettings, source: Source, status: SourceStatus | None, *, reads: int, now: datetime) -> None:
    """Raises `SourceError` where the network, a person, or the month's reads stand against a call."""
    if status is None:
        return
    purse = pacing.purse(settings, source, status, now=now)
    if not purse.affords(reads):
        raise SourceUnavailable(f"{settings.name}: a conversation may cost {reads} reads, and {purse.left} are left: {purse.why}")
    if not status.may_be_asked:
        raise SourceUnavailable(f"{settings.name} is {status.state.value}: {status.reason}")


def _shown(mentions: Sequence[Mention], *, account: str, in_case: set[str]) -> Iterator[Shown]:
    depths: dict[str | None, int] = {}
    for mention in mentions:
        depth = min(depths.get(mention.parent_id, -1) + 1, DEEPEST)
        depths[mention.native_id] = depth
        yield Shown(mention=mention, depth=depth, is_ours=_is_ours(mention, account), is_in_case=mention.native_id in in_case)


def _is_ours(mention: Mention, account: str) -> bool:
    ours = account.removeprefix("u/").lstrip("@").casefold()
    return bool(ours) and mention.author is not None and mention.author.handle.casefold().lstrip("@") == ours

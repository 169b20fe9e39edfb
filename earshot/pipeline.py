"""READ FIRST: the five verbs, in order.

    hear         a source is polled; its mentions and its cursor are kept in one transaction
    understand   claimed mentions are scored by the classifiers …
    weigh        … and by influence …
    decide       … routed by the policy, and folded into cases, in one transaction
    hand over    cases of the community become offers to super-users

Each step claims its work with one statement, so that any number of processes may run the same steps side by side.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

import structlog
from msgspec.structs import replace

from earshot import pacing
from earshot.case import ROUNDS, Case, Move, Outcome, Route, State, Tier, after
from earshot.errors import (
    ConfigurationError,
    Conflict,
    ModelError,
    SourceConfused,
    SourceError,
    SourceRefused,
    SourceUnavailable,
    StorageError,
)
from earshot.mention import Mention, ScoredMention, as_seen
from earshot.rooms import Rooms
from earshot.settings import SourceSettings
from earshot.storage import Store
from earshot.storage.arrivals import Heard
from earshot.storage.backfills import PageRead
from earshot.storage.cases import WAITING
from earshot.storage.mentions import POISON_TRIES, Kept, Poll
from earshot.storage.originals import Earlier, Waiting
from earshot.storage.settling import Judged, Routed, Settled
from earshot.storage.sources import SourceState, SourceStatus
from listener.source import Page, Source, fetch_within

log = structlog.get_logger()

#: the longest pause between two tries of a source that fails
LONGEST_PAUSE = timedelta(hours=1)
#: a source whose key was refused waits for a person
UNTIL_A_PERSON_LOOKS = timedelta(days=3650)
#: what was posted before that is not matched with queries that are saved now
MATCHED_PAST = timedelta(days=31)
#: pages of one poll; the next poll, due at once, goes on behind them
MOST_PAGES = 100
#: so often a batch is written again because another worker wrote one of its mentions or cases at the same moment
_OVERTAKEN = 10

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """Who is working, and how long what it claims stays its own when it falls silent."""

    name: str
    lease: timedelta = timedelta(seconds=120)
    batch: int = 500


# ---- hear


def hear(store: Store, settings: SourceSettings, source: Source, *, worker: Worker, now: datetime, neighbours: Sequence[str] = ()) -> int:
    """Poll one source to its end, if it is due and nobody else polls it; returns how many mentions were new.

    Whatever the source does, the others go on: every failure ends in a state, a reason and a time for the next try. Only its `neighbours`,
    other sources of the same server, wait with it where the network asks for a pause.
    """
    status = store.sources.take(settings.name, worker=worker.name, now=now, lease=worker.lease)
    if status is None:
        return 0
    purse, least = pacing.purse(settings, source, status, now=now), pacing.least_reads(source)
    if not purse.affords(least):
        store.sources.done(settings.name, worker=worker.name, now=now, next_poll_at=purse.until, state=SourceState.PAUSED, reason=purse.why)
        return 0
    new = 0
    try:
        cursor = status.cursor
        for _ in range(MOST_PAGES):
            with asking(settings.name, what="reading"):
                page = fetch_within(source, cursor, now=now, reads=purse.left)
            new += _keep(store, settings, page, worker=worker, now=now)
            if page.more and page.cursor == cursor:
                raise SourceConfused(
                    f"{settings.name}: the network says that there is more and gives the same page again; it is asked later"
                )
            cursor = page.cursor
            purse = pacing.purse(settings, source, store.sources.status(settings.name), now=now)  # others read there, too
            # A stream may go on for ever: each of its pages has a time of its own, and a lease.
            is_enough = not page.more or page.again is not None or not purse.affords(least)
            if is_enough or not store.sources.extend(settings.name, worker=worker.name, now=now, lease=worker.lease):
                break
    except Conflict:
        log.info("lease_lost", source=settings.name)
        return new
    except SourceError as err:
        _note_failure(store, settings, status, err, worker=worker, now=now, neighbours=neighbours)
        return new
    pace, is_spent = pacing.pace_after(status, settings, new=new, now=now), not purse.affords(least)
    pause = timedelta(0) if page.more and not is_spent else pacing.interval(settings, pace)
    if page.again is not None and not is_spent:
        pause = min(pause, timedelta(seconds=page.again))
    # A stream stays with who reads it: most networks let nobody open a second one.
    held = None if page.again is None or is_spent else now + worker.lease
    state = SourceState.THROTTLED if page.trouble else SourceState.HEALTHY
    next_poll_at = now + pause
    store.sources.done(
        settings.name, worker=worker.name, now=now, next_poll_at=next_poll_at, state=state, reason=page.trouble, pace=pace, held_until=held
    )
    log.info("polled", source=settings.name, new=new)
    return new


@contextmanager
def asking(name: str, *, what: str) -> Iterator[None]:
    """A call to a source: a fault of ours in it makes it wait like one of the network's."""
    try:
        yield
    except SourceError:
        raise
    except Exception as err:
        log.exception("source_crashed", source=name)
        raise SourceConfused(f"{name}: our own fault while {what}; see the log") from err


def receive(store: Store, settings: SourceSettings, mentions: Sequence[Mention], *, now: datetime) -> Kept:
    """Keep what others brought to a source that is not polled. Once it returns, all of it is stored; a paused source raises `Conflict`."""
    brought = Poll(source=settings.name, worker=None, cursor=None, spent=len(mentions))
    try:
        return keep(store, mentions, source=settings.name, now=now, poll=brought)
    except Conflict:  # no worker declared the source so far, or it is paused
        store.sources.declare([(settings.name, settings.network)])
    try:
        return keep(store, mentions, source=settings.name, now=now, poll=brought)
    except Conflict as err:
        raise Conflict(f"{settings.name} is paused: send it again once somebody resumed it") from err


def keep(store: Store, mentions: Sequence[Mention], *, source: str, now: datetime, poll: Poll | PageRead | None = None) -> Kept:
    """Store mentions, to be understood later, with the keys that near copies share."""
    mentions = as_seen(mentions, now)
    heard = [Heard(mention=mention, copy_keys=keys) for mention, keys in zip(mentions, _copy_keys(mentions), strict=True)]
    return store.mentions.keep_new(heard, source=source, now=now, poll=poll, keys_of=_keys_of)


def keep_page(store: Store, mentions: Sequence[Mention], *, source: str, now: datetime, poll: Poll | PageRead) -> int:
    """Keep what a page brought; returns how many mentions were new. One that is not ours to keep any more was paid for all the same."""
    try:
        return keep(store, mentions, source=source, now=now, poll=poll).new
    except Conflict:
        store.sources.spend(source, reads=poll.spent, now=now)
        raise


def _keys_of(texts: Sequence[str]) -> list[tuple[int, ...]]:
    from listener.near_copies import copy_keys

    return copy_keys(texts)


def _copy_keys(mentions: Sequence[Mention]) -> list[tuple[int, ...]]:
    """A declared repost is nobody's original, so nothing is looked for under its words."""
    keys = _keys_of([mention.text for mention in mentions])
    return [() if mention.repost_of else own for mention, own in zip(mentions, keys, strict=True)]


def keys_of_deleted(store: Store, network: str, native_ids: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Those of the native ids that we know, with the keys by which their texts are found."""
    texts = store.mentions.texts(network, native_ids)
    return dict(zip(texts, _keys_of(list(texts.values())), strict=True))


def _keep(store: Store, settings: SourceSettings, page: Page, *, worker: Worker, now: datetime) -> int:
    gap = None if page.gap is None else (page.gap.since, page.gap.until, page.gap.why)
    deleted = keys_of_deleted(store, settings.network, page.deleted) if page.deleted else {}
    poll = Poll(source=settings.name, worker=worker.name, cursor=page.cursor, deleted=deleted, gap=gap, spent=page.spent)
    return keep_page(store, page.mentions, source=settings.name, now=now, poll=poll)


def _note_failure(
    store: Store,
    settings: SourceSettings,
    status: SourceStatus,
    err: SourceError,
    *,
    worker: Worker,
    now: datetime,
    neighbours: Sequence[str],
) -> None:
    state, next_poll_at = after_failure(settings, status.failures, err, now=now)
    closed = is_closed(err)
    store.sources.done(
        settings.name, worker=worker.name, now=now, next_poll_at=next_poll_at, state=state, reason=str(err), failed=True, closed=closed
    )
    if neighbours and closed:
        store.sources.hold(neighbours, until=next_poll_at, reason=f"the network asked {settings.name} to wait")
    log.warning("poll_failed", source=settings.name, state=state.value, error=type(err).__name__, next_poll_at=next_poll_at.isoformat())


def is_closed(err: SourceError) -> bool:
    """Did the network say itself when it may be called again?"""
    return isinstance(err, SourceUnavailable) and err.retry_at is not None


def after_failure(settings: SourceSettings, failures: int, err: SourceError, *, now: datetime) -> tuple[SourceState, datetime]:
    """What a source is in after so many failures and this one, and until when it is left alone."""
    if isinstance(err, SourceRefused):
        return SourceState.BROKEN, now + UNTIL_A_PERSON_LOOKS
    if isinstance(err, SourceUnavailable) and err.retry_at is not None:
        return SourceState.THROTTLED, pacing.after_a_reset(max(err.retry_at, now))
    pause = min(LONGEST_PAUSE, timedelta(seconds=settings.every) * 2 ** min(failures + 1, 10)) * random.uniform(0.8, 1.2)
    may_pass = isinstance(err, SourceUnavailable | SourceConfused) and failures < 2
    return SourceState.THROTTLED if may_pass else SourceState.BROKEN, now + pause


# ---- understand, weigh, decide


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """How many mentions were new, and how many of them went all the way to their cases."""

    new: int
    routed: int


def understand(store: Store, rooms: Rooms, *, worker: Worker, now: datetime) -> int:
    """Claim a batch of mentions and take them all the way to their cases; returns how many were written."""
    rooms.warm_up(now=now)  # first: loading takes seconds, and whoever is ended meanwhile should hold nothing
    rooms.use_learnt(store, now=now)
    waiting = store.mentions.claim(worker.batch, worker=worker.name, now=now, lease=worker.lease)
    if waiting:
        rooms.use_queries(store)
    return understand_claimed(store, rooms, waiting, worker=worker, now=now)


def understand_claimed(store: Store, rooms: Rooms, waiting: Sequence[Waiting], *, worker: Worker, now: datetime) -> int:
    """One claimed batch. When something in it crashes a room, halve it until the poison stands alone and the rest is through."""
    if not waiting:
        return 0
    try:
        routed = decide(store, rooms, waiting, now=now)
    except (StorageError, ModelError, ConfigurationError):  # no fault of these mentions: they wait
        raise
    except Exception:
        if len(waiting) > 1:
            half = len(waiting) // 2
            return sum(understand_claimed(store, rooms, part, worker=worker, now=now) for part in (waiting[:half], waiting[half:]))
        [poison] = waiting
        log.exception("mention_crashed_a_room", mention=poison.id, tries=poison.tries)
        put_back = store.mentions.quarantine if poison.tries >= POISON_TRIES else store.mentions.release
        put_back([poison.id], worker=worker.name)
        return 0
    written = _unless_overtaken(lambda: store.mentions.write_routed(routed, settle=settle, worker=worker.name, now=now))
    _match_again(store, rooms, routed)
    return written


def _match_again(store: Store, rooms: Rooms, written: Sequence[Routed]) -> None:
    """Match with what was saved while these were under way: a look at the past may have come by before they were written."""
    while changed := rooms.use_queries(store):
        matched = zip(written, rooms.match([item.scored for item in written]), strict=True)
        found = {item.id: (item.scored.mention.posted_at, [id_ for id_ in ids if id_ in changed]) for item, ids in matched}
        store.queries.match_again(changed, found)


def decide(store: Store, rooms: Rooms, waiting: Sequence[Waiting], *, now: datetime) -> list[Routed]:
    """Scores, weights, route, priority and original of each claimed mention."""
    mentions = [w.mention for w in waiting]
    judged = judge(rooms, mentions, now=now)
    earlier = store.mentions.earlier(waiting, {w.id: j.copy_keys for w, j in zip(waiting, judged, strict=True)})
    return _place(waiting, earlier, judged=judged)


def judge(rooms: Rooms, mentions: Sequence[Mention], *, now: datetime) -> list[Judged]:
    """What can be decided on each mention from itself alone."""
    scored = rooms.score(mentions)
    routes = rooms.triage(scored, now=now)
    priorities = rooms.prioritise(scored, routes, now=now)
    return [
        Judged(
            scored=s,
            route=route,
            priority=priority.value,
            parts=priority.parts,
            copy_keys=keys,
            matched=matched,
        )
        for s, route, priority, keys, matched in zip(scored, routes, priorities, _copy_keys(mentions), rooms.match(scored), strict=True)
    ]


def take_in(store: Store, rooms: Rooms, mentions: Sequence[Mention], *, source: str, now: datetime) -> Taken:
    """Understand mentions and store them in one go, those that are known left out.

    When something in the batch crashes a room it is kept to be understood later, where the poison is parted from the rest.
    """

    rooms.use_learnt(store, now=now)
    rooms.use_queries(store)

    def once() -> Taken:
        new = store.mentions.unknown(as_seen(mentions, now))
        try:
            judged = judge(rooms, new, now=now)
        except (StorageError, ModelError, ConfigurationError):  # no fault of these mentions
            raise
        except Exception:
            log.exception("batch_crashed_a_room", mentions=len(new))
            return Taken(new=keep(store, new, source=source, now=now).new, routed=0)
        place = partial(_place, judged=judged)
        _match_again(store, rooms, store.mentions.take_in(judged, place=place, settle=settle, source=source, now=now))
        return Taken(new=len(new), routed=len(new))

    return _unless_overtaken(once)


def match_past(store: Store, rooms: Rooms, *, now: datetime, most: int) -> int:
    """Match queries that were saved lately with up to `most` of the mentions that came before them; returns how many these were."""
    past = store.queries.past(since=now - MATCHED_PAST, most=most)
    if past is None:
        return 0
    found = rooms.match_with(past.queries, list(past.mentions.values()))
    store.queries.write_past(past, {id_: ids for id_, ids in zip(past.mentions, found, strict=True) if ids})
    return len(past.mentions)


def _unless_overtaken(write: Callable[[], _T]) -> _T:
    """Write again what another worker was quicker with: by then more of it is known."""
    for _ in range(_OVERTAKEN):
        try:
            return write()
        except Conflict:
            continue
    return write()


def _place(waiting: Sequence[Waiting], earlier: Earlier, *, judged: Sequence[Judged]) -> list[Routed]:
    """Judged mentions with their originals and their cases."""
    copies, added = _copies(waiting, earlier), _added(waiting)
    return [
        Routed(
            id=w.id,
            author_id=w.author_id,
            scored=j.scored,
            route=j.route,
            priority=j.priority,
            parts=j.parts,
            copy_keys=j.copy_keys,
            matched=j.matched,
            copy_of=copies[w.id][0] if w.id in copies else None,
            case_key=_case_key(w.mention, j.route, copies.get(w.id)) if w.id not in added else case_key(w.mention),
            added=added.get(w.id),
        )
        for w, j in zip(waiting, judged, strict=True)
    ]


def _added(waiting: Sequence[Waiting]) -> dict[int, str]:
    """What is new in edited mentions that have their case already, by their ids."""
    edited = [(w.id, (w.former, w.mention.text)) for w in waiting if w.former is not None]
    if not edited:
        return {}
    from listener.edits import added

    return dict(zip([id_ for id_, _ in edited], added([pair for _, pair in edited]), strict=True))


def _case_key(mention: Mention, route: Route, copy: tuple[int, bool] | None) -> str | None:
    """Which case a mention belongs to; None: it is counted with its original.

    A copy opens no case, but for the request of somebody else: they wait for an answer of their own. A repost spreads a request and makes
    none, whether or not we know the original.
    """
    if mention.repost_of is not None:
        return None
    if copy is not None:
        _, by_another = copy
        if not by_another or route.tier is Tier.NONE:
            return None
    return case_key(mention)


def case_key(mention: Mention) -> str:
    """One author's need in one thread; where either is unknown, each mention is its own case."""
    if mention.author is None or mention.thread_id is None:
        return f"{mention.network}:{_quoted(mention.native_id)}"
    return f"{mention.network}:{_quoted(mention.author.native_id)}:{_quoted(mention.thread_id)}"


def _quoted(part: str) -> str:
    return part.replace("%", "%25").replace(":", "%3A")


def _copies(waiting: Sequence[Waiting], earlier: Earlier) -> dict[int, tuple[int, bool]]:
    """Mention id -> (id of its original, was it written by another author). Reposts that the network declares need no look at the text."""
    from listener.near_copies import confirm

    found = {id_: (original, False) for id_, original in earlier.reposted.items()}
    pairs = [(w, original) for w in waiting for original in earlier.originals.get(w.id, ())]
    for (w, original), is_copy in zip(pairs, confirm([(w.mention.text, o.text) for w, o in pairs]), strict=True):
        if is_copy and w.id not in found:
            by_another = original.author_id is None or original.author_id != w.author_id
            first = original.copy_of or found.get(original.id, (original.id, False))[0]
            found[w.id] = (first, by_another)
    return found


def settle(case: Case | None, item: Routed) -> Settled:
    """What becomes of a case when a mention reaches it."""
    if case is None:
        return _open(item)
    if item.added is not None:
        return _hear_edit(case, item, item.added)
    if case.rounds >= ROUNDS:
        echo = f"it answers like a program: after {case.rounds} replies of ours nobody is called"
        return Settled(case=_touched(case, item), steps=((Move.JOIN, echo, {}),))
    joined: _Step = (Move.JOIN, "the author wrote again", {})
    if case.state is State.ANSWERED:
        return _hear_verdict(case, item, joined)
    if case.state in (State.SOLVED, State.CLOSED):
        return _wake(case, item, joined)
    if item.route.tier.rank > case.tier.rank and case.state is not State.SENDING:
        return _raise(case, item, joined)
    return Settled(case=_touched(case, item), steps=(joined,))


_Step = tuple[Move, str, dict[str, str]]


def _open(item: Routed) -> Settled:
    route, scored = item.route, item.scored
    move = _routing_move(route)
    case = Case(
        id=0,
        key=item.case_key or "",
        network=scored.mention.network,
        state=after(State.NEW, move),
        tier=route.tier,
        outcome=route.outcome,
        opened_at=scored.mention.posted_at,
        reason=route.reason,
        rule=route.rule,
        policy=route.policy,
        due_at=route.due_at,
        priority=item.priority,
        lang=_label(scored, "language", "unsure"),
        topics=_topics(scored),
    )
    return Settled(case=case, steps=((move, route.reason, _route_data(route)),))


def _hear_verdict(case: Case, item: Routed, joined: _Step) -> Settled:
    """The author spoke after our answer: it worked, or it did not, or something else."""
    from community_routing.verdict import Kind, judge

    [verdict] = judge([item.scored])
    if verdict.kind is Kind.SOLVED:
        return _solve(case, item, joined, verdict.reason)
    if verdict.kind is Kind.ASKS_AGAIN or item.route.tier is not Tier.NONE:
        return _reopen(case, item, joined, verdict.reason, helped=verdict.helped)
    return Settled(case=_touched(case, item), steps=(joined,))


def _hear_edit(case: Case, item: Routed, added: str) -> Settled:
    """An author who changes a post did not write again: that is noted. What they wrote anew may raise the case, or open a finished one."""
    edited: _Step = (Move.EDIT, "the author edited the post", {})
    is_harder = item.route.tier.rank > case.tier.rank
    if case.state in (State.ANSWERED, State.SOLVED) and added:
        return _hear_added(case, item, edited, added, is_harder=is_harder)
    if case.state is State.CLOSED and added:
        return _wake(case, item, edited)
    if is_harder and case.state in WAITING:
        return _raise(case, item, edited)
    return Settled(case=_touched(case, item), steps=(edited,))


def _hear_added(case: Case, item: Routed, edited: _Step, added: str, *, is_harder: bool) -> Settled:
    """The verdict that stands in what was added after our answer. The rest of the post was answered, so that its scores tell nothing."""
    from community_routing.verdict import Kind, judge

    [verdict] = judge([ScoredMention(mention=replace(item.scored.mention, text=added), scores=())])
    if verdict.kind is Kind.SOLVED and case.state is State.ANSWERED:
        return _solve(case, item, edited, verdict.reason)
    if verdict.kind is Kind.ASKS_AGAIN:
        return _reopen(case, item, edited, verdict.reason, helped=verdict.helped)
    if is_harder:
        return _reopen(case, item, edited, item.route.reason, helped=None)
    return Settled(case=_touched(case, item), steps=(edited,))


def _solve(case: Case, item: Routed, spoke: _Step, reason: str) -> Settled:
    solved = replace(_touched(case, item), state=after(case.state, Move.SOLVE))
    return Settled(case=solved, steps=(spoke, (Move.SOLVE, reason, {})), helped=True)


def _reopen(case: Case, item: Routed, spoke: _Step, reason: str, *, helped: bool | None) -> Settled:
    tier = max(case.tier, item.route.tier, key=lambda tier: tier.rank)
    reopened = replace(_routed(case, item), state=after(case.state, Move.REOPEN), tier=tier, outcome=Outcome.AUTOMATIC, assignee=None)
    return Settled(case=reopened, steps=(spoke, (Move.REOPEN, reason, {"tier": tier.value})), helped=helped)


def _wake(case: Case, item: Routed, joined: _Step) -> Settled:
    """A finished case whose author writes again is routed anew when the new mention needs somebody."""
    move = _routing_move(item.route)
    if move is Move.DISMISS:
        return Settled(case=_touched(case, item), steps=(joined,))
    woken = replace(_routed(case, item), state=after(case.state, move), tier=item.route.tier, outcome=item.route.outcome, assignee=None)
    return Settled(case=woken, steps=(joined, (move, item.route.reason, _route_data(item.route))))


def _raise(case: Case, item: Routed, joined: _Step) -> Settled:
    """The author grew angrier, or the matter harder: up it goes. A proposal stays a proposal."""
    move = Move.PROPOSE if case.state is State.REVIEW else Move.ESCALATE
    outcome = Outcome.REVIEW if move is Move.PROPOSE else Outcome.AUTOMATIC
    raised = replace(_routed(case, item), state=after(case.state, move), tier=item.route.tier, outcome=outcome, assignee=None)
    return Settled(case=raised, steps=(joined, (move, item.route.reason, _route_data(item.route))))


def _routing_move(route: Route) -> Move:
    if route.outcome is Outcome.REVIEW:
        return Move.PROPOSE
    return Move.DISMISS if route.tier is Tier.NONE else Move.QUEUE


def _route_data(route: Route) -> dict[str, str]:
    return {"tier": route.tier.value, "rule": route.rule, "policy": route.policy}


def _routed(case: Case, item: Routed) -> Case:
    """The case with what the new route says of it, its tier and state aside. While it waits, a due time that was promised earlier stays."""
    route = item.route
    is_finished = case.state in (State.ANSWERED, State.SOLVED, State.CLOSED)
    due = route.due_at if is_finished else min((d for d in (case.due_at, route.due_at) if d is not None), default=None)
    case = _touched(case, item)
    return replace(case, reason=route.reason, rule=route.rule, policy=route.policy, due_at=due)


def _touched(case: Case, item: Routed) -> Case:
    return replace(
        case,
        priority=max(case.priority, item.priority),
        lang=_label(item.scored, "language", case.lang),
        topics=tuple(dict.fromkeys((*case.topics, *_topics(item.scored)))),
    )


def _label(scored: ScoredMention, name: str, otherwise: str) -> str:
    score = scored.score(name)
    return score.label if score is not None and score.label != "unsure" else otherwise


def _topics(scored: ScoredMention) -> tuple[str, ...]:
    score = scored.score("topics")
    return () if score is None or score.label == "none" else tuple(score.label.split())


# ---- hand over


def hand_over(store: Store, rooms: Rooms, *, worker: Worker, now: datetime, minutes: float) -> int:
    """Offer cases of the community to super-users; those that nobody on the roster can take go to tier 1. Returns how many were offered."""
    claimed = store.handover.claim(worker.batch, worker=worker.name, now=now, lease=worker.lease)
    if not claimed:
        return 0
    plan = rooms.plan_offers(claimed, store.accounts.roster(now=now), now=now, minutes=minutes)
    made = store.handover.write_offers(plan.offers, worker=worker.name, now=now)
    for case in plan.beyond:
        due_at = rooms.due(Tier.TIER_1, case.lang, now)
        _escalate(store, case, tier=Tier.TIER_1, due_at=due_at, reason="no super-user writes this language on this network", now=now)
    store.handover.release(worker=worker.name)
    return made


def look_after(store: Store, rooms: Rooms, *, now: datetime) -> int:
    """Expire offers, take cases back from silent owners, raise what is overdue, refresh the order of the queue. Returns how many moved."""
    moved = store.handover.expire(now)
    for late in rooms.overdue(store.cases.overdue(now), now=now):
        moved += _escalate(store, late.case, tier=late.tier, due_at=late.due_at, reason=late.reason, now=now)
    store.cases.set_priorities(rooms.priorities_now(store.cases.waiting(), now=now))
    return moved


def grade(store: Store, rooms: Rooms, *, now: datetime) -> int:
    """Let super-users rise and fall by what became of their last answers; returns how many levels changed."""
    changed = rooms.trust_levels(store.accounts.roster(now=now), store.accounts.track_records())
    if changed:
        store.accounts.set_trust(changed)
        log.info("graded", changed=len(changed))
    return len(changed)


def _escalate(store: Store, case: Case, *, tier: Tier, due_at: datetime | None, reason: str, now: datetime) -> int:
    try:
        store.moves.escalate(case.id, tier=tier, due_at=due_at, reason=reason, now=now)
    except Conflict:  # somebody answered it at this very moment
        return 0
    return 1

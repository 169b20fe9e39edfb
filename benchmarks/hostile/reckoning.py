"""What the database says against what the networks know."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping

from sqlalchemy import func, select, text

from earshot.case import Event, IllegalMove, ReplyState, replay
from earshot.demo.networks.world import NETWORKS, World
from earshot.storage import Store
from earshot.storage.tables import GONE, HEARD, QUARANTINED, CaseRow, MentionRow, OfferRow, ReplyRow, table

_MENTION, _CASE, _REPLY, _OFFER = (table(row) for row in (MentionRow, CaseRow, ReplyRow, OfferRow))
_SETTLED = (ReplyState.SENT, ReplyState.REJECTED, ReplyState.NEEDS_PERSON)


class Cursors:
    """Watches where polls stop: no source may ever go back behind what it read."""

    def __init__(self, store: Store) -> None:
        self.store, self.seen, self.went_back = store, 0, 0
        self._last: dict[str, tuple[float, ...]] = {}

    def look(self) -> None:
        for source in self.store.sources.statuses():
            here = read_until(source.network, source.cursor)
            last = self._last.get(source.name, here)
            self.seen += here != last
            self.went_back += any(now < before for now, before in zip(here, last, strict=True))
            self._last[source.name] = here


def read_until(network: str, cursor: str | None) -> tuple[float, ...]:
    """Up to where everything was read, in the order of the network: an id on X, seconds in each of two listings on Reddit."""
    stored = json.loads(cursor) if cursor else {}
    if network == "x":
        return (stored.get("since") or 0,)
    return tuple(stored.get(listing, {}).get("done") or 0.0 for listing in ("submissions", "comments"))


def is_all_understood(store: Store, world: World) -> bool:
    if store.mentions.counts()["heard"]:
        return False
    with store.database.reading() as connection:
        stored = set(connection.execute(select(_MENTION.c.network, _MENTION.c.native_id)).tuples())
    return not posts(world) - stored


def posts(world: World, *, deleted: bool = False) -> set[tuple[str, str]]:
    """What stands on the networks, without our own; or all that ever stood there."""
    return {(n, post.native_id) for n in NETWORKS for post in world.posts(n, deleted=deleted) if post.author != world.account}


def of_mentions(store: Store, world: World) -> Mapping[str, int]:
    with store.database.reading() as connection:
        rows = connection.execute(select(_MENTION.c.network, _MENTION.c.native_id, _MENTION.c.stage)).all()
    stored = Counter((network, native_id) for network, native_id, _ in rows)
    standing, ever = posts(world), posts(world, deleted=True)
    erased = {(network, native_id) for network, native_id, stage in rows if stage == GONE}
    return {
        "posts": len(ever),
        "lost": len(standing - set(stored)),
        "doubled": sum(n - 1 for n in stored.values()) + len(set(stored) - ever),
        "not_understood": sum(stage == HEARD for *_, stage in rows),
        "put_aside": sum(stage == QUARANTINED for *_, stage in rows),
        "erased": len(erased),
        "erased_but_standing": len(erased & standing),
    }


def of_replies(store: Store, world: World) -> Mapping[str, int]:
    with store.database.reading() as connection:
        replies = connection.execute(select(_REPLY.c.network, _REPLY.c.parent_id, _REPLY.c.text, _REPLY.c.state)).all()
    standing = Counter((post.network, post.parent, _bare(post.text)) for post in world.replies())
    return {
        "replies": len(replies),
        "posted": len(standing),
        "posted_twice": sum(n - 1 for n in standing.values()),
        "said_sent_but_absent": sum(
            state == ReplyState.SENT and standing[network, parent, _bare(words)] == 0 for network, parent, words, state in replies
        ),
        "rejected": sum(state == ReplyState.REJECTED for *_, state in replies),
        "needs_person": sum(state == ReplyState.NEEDS_PERSON for *_, state in replies),
        "unsettled": sum(state not in _SETTLED for *_, state in replies),
    }


def of_cases(store: Store) -> Mapping[str, int]:
    with store.database.reading() as connection:
        cases = connection.execute(select(_CASE.c.id)).scalars().all()
        open_offers = connection.execute(
            select(_OFFER.c.case_id, func.count()).where(_OFFER.c.state == "open").group_by(_OFFER.c.case_id)
        ).all()
    logs = {case_id: store.cases.events(case_id) for case_id in cases}
    return {
        "cases": len(cases),
        "replay_mismatches": sum(not replays(store, case_id, log) for case_id, log in logs.items()),
        "two_owners": sum(changes_hands(log) for log in logs.values()) + sum(n > 1 for _, n in open_offers),
    }


def replays(store: Store, case_id: int, log: list[Event]) -> bool:
    case = store.cases.get(case_id)
    try:
        return replay(log) == (case.state, case.tier, case.assignee)
    except IllegalMove:
        return False


def changes_hands(log: list[Event]) -> bool:
    """Did a case go from one owner to another without being let go of between?"""
    owner = None
    for i in range(1, len(log) + 1):
        _, _, now = replay(log[:i])
        if None not in (owner, now) and owner != now:
            return True
        owner = now
    return False


def damage(store: Store) -> int:
    """What SQLite finds wrong in its own file."""
    if not store.database.is_sqlite:
        return 0
    with store.database.reading() as connection:
        found = connection.execute(text("PRAGMA integrity_check")).scalars().all()
    return 0 if found == ["ok"] else len(found)


def _bare(words: str) -> str:
    return " ".join(words.split())

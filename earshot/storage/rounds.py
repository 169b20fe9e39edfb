"""How often we and an author answered each other, and whether a program seems to be at the other end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter

from sqlalchemy import Connection, RowMapping, select

from earshot.case import ROUNDS, ReplyState
from earshot.storage.bulk import rows_among
from earshot.storage.columns import stored_time
from earshot.storage.tables import AuthorRow, MentionRow, ReplyRow, table

_AUTHOR, _MENTION, _REPLY = table(AuthorRow), table(MentionRow), table(ReplyRow)

#: nobody reads an answer and writes one in less, `ROUNDS` times one after the other; clocks differ by a little
QUICK, SKEW = timedelta(seconds=30), timedelta(seconds=2)
#: replies of ours to one author in one thread are counted for so long
MEMORY = timedelta(hours=1)


def rounds_of(connection: Connection, cases: Iterable[RowMapping], heard: Mapping[int, Sequence[datetime]]) -> dict[int, int]:
    """Replies of ours that stand in the thread of each case whose author seems to be a program: its network says so, or it answered the
    last ones quicker than people do. Cases with less than `ROUNDS` replies are left out.

    `heard`: case id -> when the posts were posted that reach it now.
    """
    by_id = {case["id"]: case for case in cases}
    sent = rows_among(connection, _REPLY, ("case_id", "settled_at"), "case_id", list(by_id), state=ReplyState.SENT.value)
    replies = {id_: sorted(at for _, at in rows) for id_, rows in groupby(sorted(sent), key=itemgetter(0))}
    replies = {id_: times for id_, times in replies.items() if len(times) >= ROUNDS}
    if not replies:
        return {}
    authors = [by_id[id_]["author_id"] for id_ in replies if by_id[id_]["author_id"] is not None]
    bots = {id_ for id_, is_bot in rows_among(connection, _AUTHOR, ("id", "is_bot"), "id", authors) if is_bot}
    posts = rows_among(connection, _MENTION, ("case_id", "posted_at"), "case_id", list(replies))
    spoke = {id_: [stored_time(at) or 0 for at in heard[id_]] for id_ in replies}
    for id_, at in posts:
        spoke[id_].append(at)
    return {id_: len(times) for id_, times in replies.items() if by_id[id_]["author_id"] in bots or _are_quick(times, spoke[id_])}


def replies_since_a_person_looked(connection: Connection, case_id: int, now: datetime) -> int:
    """Replies of ours to the author of a case within `MEMORY`, after the last one that a person had to look at."""
    ours = select(_REPLY.c.id, _REPLY.c.state, _REPLY.c.settled_at).where(_REPLY.c.case_id == case_id).order_by(_REPLY.c.id)
    count = 0
    for reply in connection.execute(ours):
        if reply.state == ReplyState.NEEDS_PERSON:
            count = 0
        elif reply.state == ReplyState.SENT and reply.settled_at > now - MEMORY:
            count += 1
    return count


def _are_quick(replies: Sequence[int], spoke: Sequence[int]) -> bool:
    """Whether each of the last `ROUNDS` replies was answered at once; all in microseconds."""
    quick, skew = (span // timedelta(microseconds=1) for span in (QUICK, SKEW))
    return all(any(-skew <= at - reply <= quick for at in spoke) for reply in replies[-ROUNDS:])

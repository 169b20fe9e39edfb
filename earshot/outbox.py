"""Replies on their way out, each posted at most once.

    pending ──▶ sending ──▶ sent
       ▲           ├──────▶ rejected        the network will never take it: a person must look
       │           └──────▶ unknown ──▶ look for our own reply: found ─▶ sent
       └── surely not made, or looked for twice and absent ◀──┘   after too many tries ─▶ a person must look

The attempt is committed before the network is called. A reply that was being sent when its worker died counts as unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import structlog

from earshot.errors import ReplyRefused, ReplyUnknown, SourceError, SourceRefused, SourceUnavailable
from earshot.pipeline import Worker
from earshot.storage import Store
from earshot.storage.outbox import Outgoing
from listener.source import Posted, Source

log = structlog.get_logger()

#: a network shows a post of ours in its lists only after a moment
LOOK_AFTER = timedelta(seconds=5)
#: how often we look and find nothing before absence counts as proven
LOOKS = 2
#: attempts of any kind before a person must look
TRIES = 12
#: a refused key is not refused for this reply only: wait until somebody mended it
REFUSED_PAUSE = timedelta(minutes=15)


def send_next(store: Store, sources: Mapping[str, Source], *, worker: Worker, now: datetime) -> bool:
    """Take one due reply one step further; False when there is none."""
    reply = store.outbox.claim(worker=worker.name, now=now, lease=worker.lease, sources=tuple(sources))
    if reply is None:
        return False
    if reply.tries > TRIES:
        words = "it is unclear whether our reply stands there; open the thread and look"
        store.outbox.needs_person(reply, error=words, worker=worker.name, now=now)
    elif reply.must_look:
        _look(store, sources[reply.source], reply, worker=worker, now=now)
    else:
        _send(store, sources[reply.source], reply, worker=worker, now=now)
    return True


def send_all(store: Store, sources: Mapping[str, Source], *, worker: Worker, now: datetime, most: int = 100) -> int:
    """Every reply that is due, up to `most`; returns how many steps were taken."""
    steps = 0
    while steps < most and send_next(store, sources, worker=worker, now=now):
        steps += 1
    return steps


def _send(store: Store, source: Source, reply: Outgoing, *, worker: Worker, now: datetime) -> None:
    try:
        posted = source.reply(reply.parent_id, reply.text, key=reply.key)
    except ReplyRefused as err:
        store.outbox.rejected(reply, error=str(err), worker=worker.name, now=now)
    except ReplyUnknown as err:
        store.outbox.unknown(reply, error=str(err), retry_at=now + LOOK_AFTER, worker=worker.name)
    except SourceError as err:  # surely not made
        store.outbox.postponed(reply, error=str(err), retry_at=_later(err, reply, now), worker=worker.name)
    except Exception:
        # A fault of ours in the middle of an irreversible call: nobody can tell, so it is treated as unknown.
        log.exception("reply_crashed", reply=reply.id)
        store.outbox.unknown(reply, error="our own fault; see the log", retry_at=now + LOOK_AFTER, worker=worker.name)
    else:
        _sent(store, reply, posted, worker=worker, now=now)


def _look(store: Store, source: Source, reply: Outgoing, *, worker: Worker, now: datetime) -> None:
    try:
        posted = source.find_reply(reply.parent_id, reply.text)
    except SourceError as err:
        store.outbox.postponed(reply, error=str(err), retry_at=_later(err, reply, now), worker=worker.name)
        return
    except Exception:
        log.exception("look_crashed", reply=reply.id)
        store.outbox.unknown(reply, error="our own fault; see the log", retry_at=now + REFUSED_PAUSE, worker=worker.name)
        return
    if posted is None:
        proven = reply.looked + 1 >= LOOKS
        store.outbox.absent(reply, retry_at=now + LOOK_AFTER, worker=worker.name, may_resend=proven)
    else:
        _sent(store, reply, posted, worker=worker, now=now)


def _sent(store: Store, reply: Outgoing, posted: Posted, *, worker: Worker, now: datetime) -> None:
    store.outbox.sent(reply, native_id=posted.native_id, url=posted.url, worker=worker.name, now=now)
    log.info("reply_sent", reply=reply.id, source=reply.source, tries=reply.tries)


def _later(err: SourceError, reply: Outgoing, now: datetime) -> datetime:
    if isinstance(err, SourceUnavailable) and err.retry_at is not None:
        return max(err.retry_at, now)
    return now + (REFUSED_PAUSE if isinstance(err, SourceRefused) else min(REFUSED_PAUSE, LOOK_AFTER * 2**reply.tries))

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

from earshot.case import ROUNDS
from earshot.errors import ReplyRefused, ReplyUnknown, SourceError, SourceRefused, SourceUnavailable
from earshot.pipeline import Worker
from earshot.storage import Store
from earshot.storage.outbox import Outgoing
from listener.source import Posted, Source

log = structlog.get_logger()

#: a network shows a post of ours in its lists only after a moment …
LOOK_AFTER = timedelta(seconds=5)
#: … or two: before the second look
LOOK_AGAIN_AFTER = timedelta(seconds=20)
#: how often we look after an attempt and find nothing before absence counts as proven
LOOKS = 2
#: attempts of any kind before a person must look
TRIES = 12
#: a refused key is not refused for this reply only: wait until somebody mended it
REFUSED_PAUSE = timedelta(minutes=15)


def send_next(store: Store, sources: Mapping[str, Source], *, worker: Worker, now: datetime, spacing: timedelta = timedelta(0)) -> bool:
    """Take one due reply one step further; False when there is none. `spacing`: the least time between two posts of a source."""
    reply = store.outbox.claim(worker=worker.name, now=now, lease=worker.lease, sources=tuple(sources), spacing=spacing)
    if reply is None:
        return False
    source = sources[reply.source]
    if reply.must_look:
        _look(store, source, reply, worker=worker, now=now)
    elif reply.rounds >= ROUNDS:
        words = f"it was not posted: {reply.rounds} replies went to this author here within the hour; if it is no program, answer once more"
        store.outbox.needs_person(reply, error=words, worker=worker.name, now=now)
    elif reply.tries > TRIES:
        words = f"it was not posted: the network took no reply in {TRIES} tries; answer by hand or try again later"
        store.outbox.needs_person(reply, error=words, worker=worker.name, now=now)
    else:
        _send(store, source, reply, worker=worker, now=now)
    return True


def send_all(
    store: Store, sources: Mapping[str, Source], *, worker: Worker, now: datetime, spacing: timedelta = timedelta(0), most: int = 100
) -> int:
    """Every reply that is due, up to `most`; returns how many steps were taken."""
    steps = 0
    while steps < most and send_next(store, sources, worker=worker, now=now, spacing=spacing):
        steps += 1
    return steps


def _send(store: Store, source: Source, reply: Outgoing, *, worker: Worker, now: datetime) -> None:
    if not store.outbox.holds(reply, worker=worker.name):  # we slept past our lease: what others sent is not sent again
        log.info("lease_lost", reply=reply.id)
        return
    try:
        posted = source.reply(reply.parent_id, reply.text, key=reply.key)
    except ReplyRefused as err:
        _refused(store, reply, err, worker=worker, now=now)
    except ReplyUnknown as err:
        store.outbox.unknown(reply, error=str(err), retry_at=now + LOOK_AFTER, worker=worker.name)
    except SourceError as err:  # surely not made
        _postpone(store, reply, err, worker=worker, now=now)
    except Exception:
        # A fault of ours in the middle of an irreversible call: nobody can tell, so it is treated as unknown.
        log.exception("reply_crashed", reply=reply.id)
        store.outbox.unknown(reply, error="our own fault; see the log", retry_at=now + LOOK_AFTER, worker=worker.name)
    else:
        _sent(store, reply, posted, worker=worker, now=now)


def _refused(store: Store, reply: Outgoing, err: ReplyRefused, *, worker: Worker, now: datetime) -> None:
    """Refused at first sight it will never be taken. Refused after an earlier attempt, it may be because that one stands there unseen."""
    if reply.looked == 0:
        store.outbox.rejected(reply, error=str(err), worker=worker.name, now=now)
    else:
        store.outbox.unknown(reply, error=str(err), retry_at=now + LOOK_AGAIN_AFTER, worker=worker.name, tries=TRIES)


def _look(store: Store, source: Source, reply: Outgoing, *, worker: Worker, now: datetime) -> None:
    try:
        posted = source.find_reply(reply.parent_id, reply.text)
    except SourceError as err:
        if reply.tries > TRIES:
            _give_up(store, reply, worker=worker, now=now)
        else:
            _postpone(store, reply, err, worker=worker, now=now)
    except Exception:
        log.exception("look_crashed", reply=reply.id)
        store.outbox.postponed(reply, error="our own fault; see the log", retry_at=now + REFUSED_PAUSE, worker=worker.name)
    else:
        if posted is not None:
            _sent(store, reply, posted, worker=worker, now=now)
        elif reply.tries > TRIES:
            _give_up(store, reply, worker=worker, now=now)
        else:
            proven = reply.looked + 1 >= LOOKS
            store.outbox.absent(reply, retry_at=now if proven else now + LOOK_AGAIN_AFTER, worker=worker.name, may_resend=proven)


def _give_up(store: Store, reply: Outgoing, *, worker: Worker, now: datetime) -> None:
    words = f"it is unclear whether our reply stands there; open the thread and look ({reply.error or 'a worker died while sending'})"
    store.outbox.needs_person(reply, error=words, worker=worker.name, now=now)


def _sent(store: Store, reply: Outgoing, posted: Posted, *, worker: Worker, now: datetime) -> None:
    store.outbox.sent(reply, native_id=posted.native_id, url=posted.url, worker=worker.name, now=now)
    log.info("reply_sent", reply=reply.id, source=reply.source, tries=reply.tries)


def _postpone(store: Store, reply: Outgoing, err: SourceError, *, worker: Worker, now: datetime) -> None:
    """Try again later. Where the network said when, or refused our key, the other replies of the source wait as well."""
    pause = now + min(REFUSED_PAUSE, LOOK_AFTER * 2**reply.tries)
    until = None
    if isinstance(err, SourceUnavailable) and err.retry_at is not None:
        until = max(err.retry_at, now)
    elif isinstance(err, SourceRefused):
        until = now + REFUSED_PAUSE
    store.outbox.postponed(reply, error=str(err), retry_at=until or pause, worker=worker.name)
    if until is not None:
        store.outbox.hold(reply.source, until=until)

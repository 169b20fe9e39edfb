"""When things happen: APScheduler wakes each source and each step of the pipeline on its own interval.

Any number of processes may run this side by side: polls are held by a lease in the database, and every step claims its work.
"""

from __future__ import annotations

import gc
import os
import socket
import threading
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING

import structlog

from earshot import backfilling, learning, outbox, pipeline, sweeping
from earshot.errors import ConfigurationError, StorageError
from earshot.pipeline import Worker
from earshot.queries import asked, naming
from earshot.registry import load
from earshot.rooms import Rooms
from earshot.settings import Settings, SourceSettings
from earshot.storage import Store
from earshot.storage.backfills import Backfill
from earshot.storage.queries import SavedQuery
from earshot.storage.sources import SourceState
from listener.source import Asked, Listens, Receives, Source, Streams

if TYPE_CHECKING:
    from apscheduler.schedulers.background import BackgroundScheduler

log = structlog.get_logger()

Clock = Callable[[], datetime]

#: seconds between two looks for work of each step
PACE = {"understand": 0.5, "hand_over": 2.0, "look_after": 10.0, "grade": 600.0, "match_past": 1.0}
#: the same of what is done with each source by itself, so that a network that hangs holds up nobody else
SEND, SWEEP, FILL = 1.0, 20.0, 5.0
#: so many mentions at once are matched with a query that was saved after they came
PAST = 2_000
#: seconds between two looks at the clock itself
WATCH = 1.0
LEARN = "learn"
#: when one of the workers learns from what people taught: UTC, within ten minutes, so that not all ask at once
NIGHT = {"hour": 3, "minute": 20, "jitter": 600}


def utc_now() -> datetime:
    return datetime.now(UTC)


def worker_for(settings: Settings) -> Worker:
    """A name that no other worker has, and that tells on its own machine whether it is alive."""
    name = f"{socket.gethostname()}/{os.getpid()}/{uuid.uuid4().hex[:8]}"
    return Worker(name=name, lease=timedelta(seconds=settings.lease_seconds), batch=settings.batch)


def ease_collector() -> None:
    """Let Python's collector run seldom: a batch makes many thousands of values without a cycle, and it would walk them all."""
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)


def is_dead(worker: str) -> bool:
    """Whether that worker ran on this machine and its process is gone; nothing is said of other machines."""
    host, _, rest = worker.partition("/")
    pid = rest.partition("/")[0]
    if host != socket.gethostname() or not pid.isdigit() or int(pid) == os.getpid():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def open_source(settings: SourceSettings, also: Sequence[Asked] = (), *, deadline: float | None = None) -> Source:
    """The source that `settings` describe, which listens for these queries, too. `deadline` is that of each call, where it shows threads.
    Raises `ConfigurationError` when a secret is missing, the
    network is unknown, or `wanted` cannot be asked there.
    """
    from listener import networks
    from listener.asking import AskingSource
    from listener.query import DIALECTS

    try:
        make = load(networks(), settings.network, kind="network")
    except (ImportError, AttributeError) as err:
        raise ConfigurationError(f"network {settings.network!r}: its package cannot be loaded ({err}); install it again") from err
    if deadline is not None and hasattr(make, "around"):
        make = partial(make, deadline=deadline)
    if settings.wanted or settings.network in DIALECTS:
        make = partial(AskingSource, make=make, also=also)
    source: Source = make(settings)
    if settings.stream and not (isinstance(source, Streams) and source.streams):
        raise ConfigurationError(f"source {settings.name!r}: we know no stream of {settings.network}; take stream = true away")
    return source


def _neighbours(settings: SourceSettings, sources: Sequence[SourceSettings]) -> list[str]:
    """Other sources that read the same server, and so share its limits."""
    return [other.name for other in sources if other != settings and (other.network, other.url) == (settings.network, settings.url)]


def _hurried(settings: SourceSettings, named: Sequence[SavedQuery]) -> SourceSettings:
    """The settings of a source that listens for these: for an urgent query it never waits longer than it must."""
    return settings.model_copy(update={"urgent": settings.urgent or any(query.urgent for query in named)})


class House:
    """A store, its rooms and its sources at work. Use it as a context manager, or call `step()` for one round by hand."""

    def __init__(self, settings: Settings, store: Store, rooms: Rooms, *, clock: Clock = utc_now) -> None:
        self.settings = settings
        self.store = store
        self.rooms = rooms
        self.clock = clock
        self.worker = worker_for(settings)
        self._named: dict[str, list[SavedQuery]] = {}  #: source -> the saved queries that it listens for
        self.sources = self._open_sources()
        self._stopping = threading.Event()
        self._scheduler = self._schedule()

    def _open_sources(self) -> dict[str, tuple[SourceSettings, Source]]:
        """Sources that can be opened; what is wrong with the others stands in their state, and stops nobody else."""
        self.store.sources.declare([(source.name, source.network) for source in self.settings.sources])
        saved = self.store.queries.all()
        opened: dict[str, tuple[SourceSettings, Source]] = {}
        for settings in self.settings.sources:
            named = self._named[settings.name] = naming(settings.name, saved)
            try:
                opened[settings.name] = (_hurried(settings, named), open_source(settings, asked(named, self.rooms.own_accounts)))
            except ConfigurationError as err:
                self._note_closed(settings.name, err)
        return opened

    def _note_closed(self, name: str, err: ConfigurationError) -> None:
        self.store.sources.mark(name, state=SourceState.BROKEN, reason=str(err))
        log.error("source_not_opened", source=name, reason=str(err))

    def _take_up_queries(self, name: str) -> None:
        """Let a source listen for what the saved queries ask of it by now; open it where only they give it something to ask."""
        named = naming(name, self.store.queries.all())
        if named == self._named[name]:
            return
        settings = next(settings for settings in self.settings.sources if settings.name == name)
        also, self._named[name] = asked(named, self.rooms.own_accounts), named
        try:
            source = self.sources[name][1] if name in self.sources else open_source(settings, also)
            if isinstance(source, Listens):
                source.listen_for(also)
        except ConfigurationError as err:
            self._note_closed(name, err)
        else:
            self.sources[name] = (_hurried(settings, named), source)

    def _schedule(self) -> BackgroundScheduler:
        from apscheduler.executors.pool import ThreadPoolExecutor
        from apscheduler.schedulers.background import BackgroundScheduler

        executor = ThreadPoolExecutor(4 * len(self.settings.sources) + len(PACE) + 1)
        defaults = {"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        scheduler = BackgroundScheduler(executors={"default": executor}, job_defaults=defaults, timezone=UTC)

        def repeat(job: Callable[..., int], seconds: float, *args: str) -> None:
            id_ = ":".join((job.__name__, *args))
            scheduler.add_job(self._guarded, "interval", args=[job, *args], seconds=seconds, id=id_, next_run_time=utc_now())

        for settings in self.settings.sources:
            # A tenth of the interval: the database knows when the poll is due, this only looks.
            seconds = 0.5 if settings.stream else min(max(settings.every / 10, 0.1), 5.0)
            repeat(self.listen, seconds, settings.name)
            if settings.replies:
                repeat(self.send, SEND, settings.name)
            if settings.sweep_hours:
                repeat(self.sweep, SWEEP, settings.name)
            repeat(self.fill, FILL, settings.name)
        for step, seconds in PACE.items():
            repeat(getattr(self, step), seconds)
        if self.settings.learn_nightly:
            scheduler.add_job(self._guarded, "cron", args=[self.learn], id=LEARN, **NIGHT)
        return scheduler

    def _guarded(self, job: Callable[..., int], *args: str) -> None:
        """The one loop that catches broadly: whatever happened to this round, the next one comes."""
        try:
            job(*args)
        except StorageError as err:
            log.error("database", job=job.__name__, reason=str(err))
        except Exception:
            log.exception("round_failed", job=job.__name__)

    # ---- the rounds; each returns how much it did

    def listen(self, name: str) -> int:
        self._take_up_queries(name)
        if name not in self.sources:
            return 0
        settings, source = self.sources[name]
        if isinstance(source, Receives):
            return 0
        return pipeline.hear(
            self.store, settings, source, worker=self.worker, now=self.clock(), neighbours=_neighbours(settings, self.settings.sources)
        )

    def understand(self) -> int:
        done = 0
        while not self._stopping.is_set() and (n := pipeline.understand(self.store, self.rooms, worker=self.worker, now=self.clock())):
            done += n
        return done

    def match_past(self) -> int:
        done = 0
        while not self._stopping.is_set() and (n := pipeline.match_past(self.store, self.rooms, now=self.clock(), most=PAST)):
            done += n
        return done

    def hand_over(self) -> int:
        return pipeline.hand_over(self.store, self.rooms, worker=self.worker, now=self.clock(), minutes=self.settings.offer_minutes)

    def send(self, name: str) -> int:
        if name not in self.sources:
            return 0
        sources = {name: self.sources[name][1]}
        return outbox.send_all(self.store, sources, worker=self.worker, now=self.clock(), spacing=self.rooms.sending.spacing)

    def look_after(self) -> int:
        return pipeline.look_after(self.store, self.rooms, now=self.clock())

    def sweep(self, name: str) -> int:
        if name not in self.sources:
            return 0
        settings, source = self.sources[name]
        return sweeping.sweep(self.store, settings, source, worker=self.worker, now=self.clock())

    def fill(self, name: str, shown: Callable[[Backfill], None] = lambda _: None) -> int:
        if name not in self.sources:
            return 0
        also = asked(self._named[name], self.rooms.own_accounts)
        return backfilling.fill(
            self.store,
            self.sources[name][0],
            lambda settings: open_source(settings, also),
            worker=self.worker,
            now=self.clock(),
            shown=shown,
        )

    def grade(self) -> int:
        return pipeline.grade(self.store, self.rooms, now=self.clock())

    def learn(self) -> int:
        return learning.learn_tonight(self.store, self.rooms, now=self.clock())

    def step(self) -> None:
        """One round of everything, in order: for `earshot listen --once` and for a story that is played."""
        for settings in self.settings.sources:
            self.listen(settings.name)
        self.understand()
        self.match_past()
        self.look_after()
        self.hand_over()
        for settings in self.settings.sources:
            if settings.replies:
                self.send(settings.name)
            self.sweep(settings.name)
            self.fill(settings.name)

    # ---- running by itself

    def _watch_clock(self) -> None:
        """A clock that is set back would leave every round waiting until it comes to its old time again."""
        last = utc_now()
        while not self._stopping.wait(WATCH):
            now = utc_now()
            if now < last:
                log.warning("clock_set_back", seconds=round((last - now).total_seconds()))
                self._guarded(self.begin_again)
            last = now

    def begin_again(self) -> int:
        """Every round now, and every poll that a clock ahead of ours put off; returns how many sources these were."""
        for job in self._scheduler.get_jobs():
            if job.id != LEARN:
                job.modify(next_run_time=utc_now())
        return self.store.sources.wake_early(now=self.clock())

    def __enter__(self) -> House:
        self.store.release_claims(is_dead)
        ease_collector()
        self._scheduler.start()
        threading.Thread(target=self._watch_clock, name="watch-clock", daemon=True).start()
        log.info("working", worker=self.worker.name, sources=len(self.sources))
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None) -> None:
        """Finish the round under way, then stop."""
        self._stopping.set()
        self._scheduler.shutdown(wait=True)
        self.close()

    def close(self) -> None:
        for _, source in self.sources.values():
            source.close()
        self.store.release_claims(lambda worker: worker == self.worker.name)  # a stream is held between its pages

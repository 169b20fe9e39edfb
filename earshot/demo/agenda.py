"""Who does what when, in story time while the story is played and in real time from then on."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count

Action = Callable[[], None]

#: people of the story are so much quicker once the visitor watches
LIVE_HURRY = 20


class Clock:
    """The time of the story; it only goes forward. After `go_live` it is everybody's time. Safe to read from several threads."""

    def __init__(self, at: datetime) -> None:
        self._at: datetime | None = at

    def __call__(self) -> datetime:
        return self._at or datetime.now(UTC)

    @property
    def is_live(self) -> bool:
        return self._at is None

    def move(self, to: datetime) -> None:
        if self._at is not None:
            self._at = max(self._at, to)

    def go_live(self) -> None:
        self._at = None


class Agenda:
    """Actions in the order of their time; what was noted first goes first among equals."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._noted: list[tuple[datetime, int, Action]] = []
        self._order = count()

    def note(self, at: datetime, action: Action) -> None:
        heapq.heappush(self._noted, (at, next(self._order), action))

    def after(self, minutes: float, action: Action) -> None:
        """In so many minutes of the story, in seconds once it is live."""
        self.note(self.clock() + timedelta(minutes=minutes / (LIVE_HURRY if self.clock.is_live else 1)), action)

    def go_live(self) -> None:
        """From now on it is everybody's time; what people have in mind already comes the sooner for it."""
        self.clock.go_live()
        now = self.clock()
        self._noted = [(now + (at - now) / LIVE_HURRY, number, action) for at, number, action in self._noted]
        heapq.heapify(self._noted)

    @property
    def next_at(self) -> datetime | None:
        return self._noted[0][0] if self._noted else None

    def play(self, until: datetime) -> None:
        """Everything up to `until`, as fast as it can be done: the clock jumps from one action to the next."""
        while self._noted and self._noted[0][0] <= until:
            at, _, action = heapq.heappop(self._noted)
            self.clock.move(at)
            action()
        self.clock.move(until)

    def follow(self, stop: threading.Event) -> None:
        """Everything when its time has come, until `stop`."""
        while not stop.is_set():
            wait = 1.0 if self.next_at is None else (self.next_at - self.clock()).total_seconds()
            if wait > 0:
                stop.wait(min(wait, 1.0))
                continue
            heapq.heappop(self._noted)[2]()

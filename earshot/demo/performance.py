"""The story being played: first as fast as it can be up to the present moment, then live, so that the visitor sees the queue move."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random

from earshot.demo.agenda import Agenda
from earshot.demo.audience import Audience
from earshot.demo.insiders import Insiders
from earshot.demo.stage import Stage
from earshot.demo.story import DAYS, ENDS, Happening

#: story time between two rounds of the house: the longer one where less than `BUSY` posts came since the last
ROUND, LONG_ROUND, BUSY = timedelta(minutes=30), timedelta(minutes=60), 5
LIVE_ROUND = timedelta(seconds=8)
READS_THANKS = timedelta(hours=6)
#: so much of the last day is kept for the visitor's eyes, and comes every so many seconds
HELD_BACK = 60
LIVE_GAP = (5.0, 10.0)
#: from so long before the story is live most of the work is left to the visitor
LEFT_TO_VISITOR = timedelta(hours=40)


def beginning(now: datetime) -> datetime:
    """When the story begins, so that its last day is today."""
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=DAYS - 1)


class Performance:
    """One playing of the story on a stage. `upto`: the moment of the story from which it is live."""

    def __init__(self, stage: Stage, *, began: datetime, upto: timedelta, seed: int) -> None:
        self.stage = stage
        self.began = began
        rng = Random(seed)
        self._rng = rng
        self._came = 0
        self.agenda = Agenda(stage.clock)
        self.audience = Audience(stage, self.agenda, rng)
        self.insiders = Insiders(stage, self.audience, self.agenda, rng, leaves_from=began + upto - LEFT_TO_VISITOR)
        self.upto, self.played, self.kept = upto, *_parted(stage.story.happenings, upto)
        for happening in self.played:
            self.agenda.note(began + happening.at, partial(self._post, happening))
        self.agenda.note(began + ROUND, self._round)
        self.agenda.note(began + READS_THANKS, self._read_thanks)

    def close(self) -> None:
        self.audience.close()
        self.insiders.close()

    def catch_up(self, told: Callable[[timedelta], None] = lambda _: None) -> None:
        """Play up to `upto`; `told` hears after every hour of the story how far it got."""
        at = timedelta(0)
        while at < self.upto:
            at = min(at + timedelta(hours=1), self.upto)
            self.agenda.play(self.began + at)
            told(at)
        self._work()

    def go_on(self, stop: threading.Event) -> None:
        """Play what was kept, in real time, and whatever people do about it, until `stop`. The house works by itself meanwhile."""
        self.stage.clock.go_live()
        at = self.stage.clock()
        for happening in self.kept:
            at += timedelta(seconds=self._rng.uniform(*LIVE_GAP))
            self.agenda.note(at, partial(self._post, happening))
        with self.stage.house:
            self.agenda.follow(stop)

    def _post(self, happening: Happening) -> None:
        self.audience.post(happening, at=self.stage.clock())
        self._came += 1

    def _round(self) -> None:
        is_live = self.stage.clock.is_live
        if is_live:
            for source in self.stage.settings.sources:  # networks on this machine may be asked as often as we like
                self.stage.store.sources.wake(source.name)
        else:
            self.stage.house.step()
        self._work()
        now = self.stage.clock()
        is_busy, self._came = self._came >= BUSY, 0
        self.agenda.note(now + (LIVE_ROUND if is_live else ROUND if is_busy else LONG_ROUND), self._round)

    def _read_thanks(self) -> None:
        self.insiders.read_thanks()
        self.agenda.after(READS_THANKS / timedelta(minutes=1), self._read_thanks)

    def _work(self) -> None:
        self.audience.listen()
        self.insiders.look()


def _parted(happenings: Sequence[Happening], upto: timedelta) -> tuple[Sequence[Happening], Sequence[Happening]]:
    """What is played at once, and what is kept: all that comes after `upto`, and at least `HELD_BACK`; nothing where `upto` is the end."""
    if upto >= ENDS:
        return happenings, ()
    first_kept = min(sum(h.at <= upto for h in happenings), max(len(happenings) - HELD_BACK, 0))
    return happenings[:first_kept], happenings[first_kept:]


def perform(stage: Stage, *, began: datetime, upto: timedelta, seed: int) -> closing[Performance]:
    """A performance, to be used in a `with` block."""
    return closing(Performance(stage, began=began, upto=upto, seed=seed))

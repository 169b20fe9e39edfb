"""The story being played: first as fast as it can be up to the present moment, then live, so that the visitor sees the queue move."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from random import Random

from earshot.demo.agenda import Agenda
from earshot.demo.audience import Audience
from earshot.demo.insiders import Insiders
from earshot.demo.stage import Stage
from earshot.demo.story import Happening

#: story time between two rounds of the house: the longer one where less than `BUSY` posts came since the last
ROUND, LONG_ROUND, BUSY = timedelta(minutes=30), timedelta(minutes=60), 5
LIVE_ROUND = timedelta(seconds=8)
READS_THANKS = timedelta(hours=6)
#: seconds between two posts, once it is live
LIVE_GAP = (5.0, 10.0)
#: from so long before the story is live more and more work is left to the visitor
LEFT_TO_VISITOR = timedelta(hours=12)
#: so long before it newcomers are handed questions: time enough to write about them
HANDED_OUT = timedelta(minutes=26)


class Performance:
    """One playing of the story on a stage.

    `upto`: the moment of the story until which it is played fast; `left`: how long before that the brand's own people begin to leave
    work to the visitor.
    """

    def __init__(self, stage: Stage, *, began: datetime, upto: timedelta, seed: int, left: timedelta = LEFT_TO_VISITOR) -> None:
        self.stage = stage
        self.began = began
        rng = Random(seed)
        self._rng = rng
        self._came = 0
        self.agenda = Agenda(stage.clock)
        self.audience = Audience(stage, self.agenda, rng)
        self.insiders = Insiders(stage, self.audience, self.agenda, rng, leaves=(began + upto - left, began + upto))
        self.upto = upto
        self.played = [h for h in stage.story.happenings if h.at < upto]
        self.kept = stage.story.happenings[len(self.played) :]
        for happening in self.played:
            self.agenda.note(began + happening.at, partial(self._post, happening))
        self.agenda.note(began + ROUND, self._round)
        self.agenda.note(began + READS_THANKS, self._read_thanks)
        if left:
            self.agenda.note(began + upto - HANDED_OUT, self._hand_out)

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
        self._wake_sources()
        self.stage.house.step()
        self._work()

    def go_on(self, stop: threading.Event, *, gap: tuple[float, float] = LIVE_GAP) -> None:
        """Play what was kept, in real time, and whatever people do about it, until `stop`. The house works by itself meanwhile."""
        self.agenda.go_live()
        at = self.stage.clock()
        self.agenda.note(at, self._live_round)
        for happening in self.kept:
            at += timedelta(seconds=self._rng.uniform(*gap))
            self.agenda.note(at, partial(self._post, happening))
        with self.stage.house:
            self.agenda.follow(stop)

    def _post(self, happening: Happening) -> None:
        self.audience.post(happening, at=self.stage.clock())
        self._came += 1

    def _round(self) -> None:
        if self.stage.clock.is_live:
            return
        self.stage.house.step()
        self._work()
        is_busy, self._came = self._came >= BUSY, 0
        self.agenda.note(self.stage.clock() + (ROUND if is_busy else LONG_ROUND), self._round)

    def _hand_out(self) -> None:
        self._wake_sources()
        self.stage.house.step()
        self.insiders.hand_to_newcomers()

    def _live_round(self) -> None:
        self._wake_sources()
        self._work()
        self.agenda.note(self.stage.clock() + LIVE_ROUND, self._live_round)

    def _wake_sources(self) -> None:
        """Networks on this machine may be asked as often as we like."""
        for source in self.stage.settings.sources:
            self.stage.store.sources.wake(source.name, now=self.stage.clock())

    def _read_thanks(self) -> None:
        self.insiders.read_thanks()
        self.agenda.after(READS_THANKS / timedelta(minutes=1), self._read_thanks)

    def _work(self) -> None:
        self.audience.listen()
        self.insiders.look()

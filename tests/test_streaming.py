"""A stream in the house: due at once, with one worker at a time, and said to be in trouble while polls go on."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from fake_networks.faults import answers
from fake_networks.fixtures import NOW, FakeNetwork
from houses import LEASE

from earshot import pipeline
from earshot.pipeline import Worker
from earshot.rooms import Rooms
from earshot.scheduler import House
from earshot.settings import Settings, SourceSettings
from earshot.storage import Store
from earshot.storage.sources import SourceState, SourceStatus
from escalation.policy import default_policy
from listener import live
from listener.source import Source

STREAM = "/2/tweets/search/stream$"


class Listening:
    """Workers that listen to X's stream, each with a connection of its own, as processes have."""

    def __init__(self, store: Store, network: FakeNetwork) -> None:
        self.store, self.network = store, network
        self.settings = SourceSettings(name="x", network="x", query=network.query, url=network.url, account="lumifern", stream=True)
        self.sources: dict[str, Source] = {}
        self.store.sources.declare([("x", "x")])

    def hear(self, worker: str = "one", *, now: datetime = NOW) -> int:
        source = self.sources.setdefault(worker, self.network.source(stream=True))
        return pipeline.hear(self.store, self.settings, source, worker=Worker(name=worker, lease=LEASE), now=now)

    @property
    def status(self) -> SourceStatus:
        (status,) = self.store.sources.statuses()
        return status


@pytest.fixture
def listening(store: Store, x_network: FakeNetwork, monkeypatch: pytest.MonkeyPatch) -> Listening:
    monkeypatch.setattr(live, "STRETCH_SECONDS", 0.2)
    return Listening(store, x_network)


def test_a_stream_is_due_again_at_once_and_keeps_what_comes(listening: Listening) -> None:
    before = listening.network.post("before")
    assert listening.hear() == 1
    during = [listening.network.post(f"during {n}") for n in range(3)]
    assert listening.hear() == 3
    assert listening.status.next_poll_at == NOW
    assert listening.status.state is SourceState.HEALTHY
    assert set(listening.store.mentions.texts("x", [before, *during])) == {before, *during}


def test_a_stream_stays_with_the_worker_who_reads_it_until_he_is_silent(listening: Listening) -> None:
    listening.hear("one")
    posted = listening.network.post("during")
    assert listening.hear("two") == 0
    assert "two" in listening.sources
    assert listening.network.faults.count(STREAM) == 1
    assert listening.hear("one") == 1
    listening.sources["one"].close()
    late = listening.network.post("after the first one died")
    assert listening.hear("two", now=NOW + LEASE + timedelta(seconds=1)) == 1
    assert set(listening.store.mentions.texts("x", [posted, late])) == {posted, late}


def test_a_house_that_stops_lets_go_of_its_stream_at_once(listening: Listening) -> None:
    rooms = Rooms(policy=default_policy())
    settings = Settings(sources=(listening.settings,), secret_key="s" * 40)
    for n in range(2):
        posted = listening.network.post(f"number {n}")
        house = House(settings, listening.store, rooms, clock=lambda: NOW)
        house.listen("x")
        house.close()
        assert set(listening.store.mentions.texts("x", [posted])) == {posted}


def test_without_its_stream_a_source_is_throttled_and_goes_on_by_polls(listening: Listening) -> None:
    refused = b'{"title": "ConnectionException", "detail": "This stream is currently at the maximum allowed connection limit."}'
    listening.network.faults.on(STREAM, answers(429, body=refused), forever=True)
    listening.network.post("first")
    assert listening.hear() == 1
    assert listening.status.state is SourceState.THROTTLED
    assert "maximum allowed connection limit" in listening.status.reason
    assert listening.status.next_poll_at is not None
    assert NOW < listening.status.next_poll_at <= NOW + timedelta(seconds=60)
    listening.network.post("second")
    assert listening.hear(now=NOW + timedelta(seconds=61)) == 1


def test_a_source_whose_reads_are_spent_lets_go_of_its_stream(listening: Listening) -> None:
    listening.settings = listening.settings.model_copy(update={"monthly_reads": 30, "sweep_hours": 0.0})
    for n in range(10):
        listening.network.post(f"number {n}")
    assert listening.hear() == 10
    listening.network.post("too much for today")
    assert listening.hear("two", now=NOW + timedelta(hours=1)) == 0
    assert listening.status.state is SourceState.PAUSED


def test_a_page_of_a_stream_costs_no_more_than_may_be_spent(listening: Listening) -> None:
    listening.settings = listening.settings.model_copy(update={"monthly_reads": 48, "sweep_hours": 0.0})
    listening.hear()
    for n in range(30):
        listening.network.post(f"number {n}")
    assert listening.hear() <= 12
    assert listening.status.reads <= 12

"""What every source keeps whose stream is switched on. Reddit's is a matter of pace only, so most is said of the others."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

import orjson
import pytest
import structlog
from fake_networks.faults import answers, breaks, breaks_after, drips_head, drips_messages, falls_silent_after, hangs, says_first
from fake_networks.fixtures import NOW, FakeNetwork, read_all

from earshot.errors import ConfigurationError, SourceConfused, SourceRefused, SourceUnavailable
from earshot.mention import Mention
from earshot.scheduler import open_source
from earshot.settings import SourceSettings
from listener import line, live
from listener.query import read
from listener.source import Asked, Page, Source

STREAMS = {"x": "/2/tweets/search/stream$", "mastodon": "/streaming/hashtag$"}
ENDS = {"x": b"\r\n", "mastodon": b"\n\n"}


@pytest.fixture(params=sorted(STREAMS))
def network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> FakeNetwork:
    """A network whose stretches are short, and which is asked again at once."""
    monkeypatch.setattr(live, "STRETCH_SECONDS", 0.15)
    monkeypatch.setattr(live, "REFUSED_PAUSE", 0.0)
    monkeypatch.setattr(live, "BROKEN_PAUSE", 0.0)
    found: FakeNetwork = request.getfixturevalue(f"{request.param}_network")
    return found


def ids(mentions: Any) -> list[str]:
    return [mention.native_id for mention in mentions]


def stream_of(network: FakeNetwork) -> str:
    return STREAMS[network.name]


def message(network: FakeNetwork, said: bytes) -> bytes:
    """A message in the network's own frame."""
    return (said if network.name == "x" else b"event: update\ndata: " + said) + ENDS[network.name]


class Listener:
    """Listens as a worker does: each page is kept with its cursor, and failures are waited out."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.cursor: str | None = None
        self.heard: dict[str, Mention] = {}
        self.deleted: set[str] = set()
        self.troubles: list[str] = []
        self.pages: list[Page] = []

    def fetch(self, *, now: Any = NOW) -> Page | None:
        try:
            page = self.source.fetch(self.cursor, now=now)
        except SourceUnavailable:
            return None
        if page.trouble:
            self.troubles.append(page.trouble)
            time.sleep(0.05)  # the network needs a moment to see that our last line is gone
        self.cursor = page.cursor
        self.pages.append(page)
        self.heard |= {mention.native_id: mention for mention in page.mentions}
        self.deleted |= set(page.deleted)
        return page

    def until(self, *wanted: str, most: int = 30) -> None:
        """Until all of these were heard."""
        for _ in range(most):
            if set(wanted) <= set(self.heard):
                return
            self.fetch()
        pytest.fail(f"never heard: {set(wanted) - set(self.heard)}")

    def until_trouble(self) -> str:
        for _ in range(10):
            if self.troubles:
                return self.troubles[0]
            self.fetch()
        pytest.fail("no trouble came")

    def settle(self) -> None:
        """Until the poll is over and the stream is open and silent."""
        for _ in range(30):
            page = self.fetch()
            if page is not None and not page.more:
                return
        pytest.fail("the stream never came to rest")


@pytest.fixture
def listener(network: FakeNetwork) -> Listener:
    return Listener(network.source(stream=True))


# what a stream brings


def test_what_is_posted_while_we_listen_comes_without_a_poll(network: FakeNetwork, listener: Listener) -> None:
    before = [network.post(f"before {n}") for n in range(3)]
    listener.settle()
    assert set(before) == set(listener.heard)
    polls = network.faults.count(network.reads)
    during = [network.post(f"during {n}") for n in range(3)]
    listener.until(*during)
    assert network.faults.count(network.reads) == polls
    assert network.faults.count(stream_of(network)) >= 1


def test_it_comes_while_the_page_waits_for_it(network: FakeNetwork, listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    listener.settle()
    monkeypatch.setattr(live, "STRETCH_SECONDS", 4.0)
    timer = threading.Timer(0.3, network.post, ["late"])
    timer.start()
    page = listener.fetch()
    timer.join()
    assert page is not None
    assert len(page.mentions) == 1


def test_stream_and_poll_say_the_same_of_a_post(network: FakeNetwork, listener: Listener) -> None:
    listener.settle()
    root = network.post("a question & an <answer> https://a.example/x?y=1")
    child = network.post("me too", author="bob", reply_to=root)
    listener.until(root, child)
    polled = {mention.native_id: mention for mention in read_all(network.source())[0]}
    streamed = listener.heard
    for native_id in (root, child):
        fields = {name: getattr(streamed[native_id], name) for name in streamed[native_id].__struct_fields__ if name != "replies"}
        assert fields == {name: getattr(polled[native_id], name) for name in fields}


def test_our_own_posts_never_come_by_stream(network: FakeNetwork, listener: Listener) -> None:
    listener.settle()
    network.post("our own news", author=network.world.account)
    asked = network.post("and a question")
    listener.until(asked)
    assert set(listener.heard) == {asked}


def test_a_quiet_stream_asks_nothing_between_polls_and_everything_when_one_is_due(network: FakeNetwork, listener: Listener) -> None:
    listener.settle()
    network.faults.calls.clear()
    for _ in range(3):
        assert listener.fetch(now=NOW + timedelta(seconds=30)) is not None
    assert network.faults.calls == []
    listener.fetch(now=NOW + timedelta(seconds=61))
    assert network.faults.count(network.reads) == 1


def test_a_page_of_a_stream_wants_to_be_asked_again_at_once(network: FakeNetwork, listener: Listener) -> None:
    listener.settle()
    assert {page.again for page in listener.pages} == {0.0}
    assert not listener.pages[-1].more


# nothing lost


def test_what_was_posted_between_two_lines_is_found_by_the_poll_that_follows(network: FakeNetwork, listener: Listener) -> None:
    network.faults.on(stream_of(network), breaks_after(1))
    listener.settle()
    posted = [network.post(f"number {n}") for n in range(5)]
    listener.until(*posted)
    late = [network.post(f"late {n}") for n in range(5)]
    listener.until(*late)


def test_after_a_restart_the_poll_closes_the_hole(network: FakeNetwork, listener: Listener) -> None:
    listener.settle()
    listener.source.close()
    missed = [network.post(f"while we were down {n}") for n in range(120)]
    listener.source = network.source(stream=True)
    listener.until(*missed)
    assert all(page.gap is None for page in listener.pages)


def test_a_page_that_was_never_kept_is_found_again(network: FakeNetwork, listener: Listener) -> None:
    listener.settle()
    posted = network.post("lost on the way to the database")
    lost = listener.source.fetch(listener.cursor, now=NOW)
    while not lost.mentions:
        lost = listener.source.fetch(listener.cursor, now=NOW)
    assert ids(lost.mentions) == [posted]
    listener.until(posted)


def test_a_stream_can_be_switched_on_and_off_where_polls_have_been(network: FakeNetwork) -> None:
    first = [network.post(f"first {n}") for n in range(50)]
    _, cursor, _ = read_all(network.source())
    listener = Listener(network.source(stream=True))
    listener.cursor = cursor
    listener.settle()
    assert len(listener.heard) <= len(first)
    listener.source.close()
    late = network.post("late", at=NOW + timedelta(minutes=1))
    again, _, pages = read_all(network.source(), listener.cursor, now=NOW + timedelta(minutes=2))
    assert late in ids(again)
    assert len(pages) <= 6


@pytest.mark.parametrize("seed", range(4))
def test_nothing_is_lost_whenever_the_stream_breaks(network: FakeNetwork, seed: int) -> None:
    draw = random.Random(seed)
    listener = Listener(network.source(stream=True))
    clock = NOW
    for n in range(40):
        for _ in range(draw.randrange(4)):
            network.post(f"number {n}", author=f"author{draw.randrange(5)}", at=clock)
        if draw.random() < 0.3:
            how = draw.choice([breaks(), breaks_after(draw.randrange(4)), answers(503), answers(429), says_first(b"\0garbage\n\n")])
            network.faults.on(stream_of(network), how)
        if draw.random() < 0.1:
            listener.source.close()
            listener.source = network.source(stream=True)
        if draw.random() < 0.1:
            network.faults.on(network.reads, answers(503))
        if draw.random() < 0.1:  # a page that is never kept
            with suppress(SourceUnavailable):
                listener.source.fetch(listener.cursor, now=clock)
        listener.fetch(now=clock)
        clock += timedelta(seconds=draw.choice([0, 1, 20, 90]))
    network.faults.relent()
    truth = {post.native_id for post in network.world.posts(network.name)}
    for _ in range(30):
        if truth <= set(listener.heard):
            break
        clock += timedelta(seconds=61)
        listener.fetch(now=clock)
    assert truth == set(listener.heard)


# a stream in trouble


def test_without_a_stream_polls_go_on_and_the_trouble_is_said(network: FakeNetwork, listener: Listener) -> None:
    network.faults.on(stream_of(network), answers(503, headers={"retry-after": "600"}), forever=True)
    first = network.post("first")
    trouble = listener.until_trouble()
    assert first in listener.heard
    second = network.post("second", at=NOW + timedelta(seconds=50))
    listener.fetch(now=NOW + timedelta(seconds=61))
    assert second in listener.heard
    assert "no stream just now (503)" in trouble
    assert "polls go on" in trouble
    assert {page.again for page in listener.pages if page.trouble} == {60.0}
    assert network.faults.count(stream_of(network)) == 1


def test_too_many_calls_wait_as_long_as_the_network_says(network: FakeNetwork, listener: Listener) -> None:
    network.faults.on(stream_of(network), answers(429, headers=network.reset(time.time() + 600)), forever=True)
    for _ in range(5):
        listener.fetch()
    assert network.faults.count(stream_of(network)) == 1
    assert listener.pages[-1].again == 60.0


def test_a_stream_that_is_refused_says_what_to_do(network: FakeNetwork) -> None:
    network.faults.on(stream_of(network), answers(403, body=b'{"detail": "it is not in your plan"}'), forever=True)
    with pytest.raises(SourceRefused, match="not in your plan"):
        network.source(stream=True).fetch(None, now=NOW)


def test_a_line_that_says_nothing_for_too_long_is_opened_again(
    network: FakeNetwork, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line, "QUIET_SECONDS", 0.5)
    network.faults.on(stream_of(network), falls_silent_after(0))
    listener.settle()
    posted = network.post("nobody says so")
    listener.until(posted)
    assert network.faults.count(stream_of(network)) >= 2


@pytest.mark.parametrize("fault", [hangs(), drips_head()], ids=["hangs", "drips"])
def test_a_stream_that_never_begins_holds_nobody_up(network: FakeNetwork, fault: Any) -> None:
    network.faults.on(stream_of(network), fault, forever=True)
    posted = network.post("heard by the poll")
    listener = Listener(network.source(stream=True, deadline=0.8))
    listener.until(posted, most=3)


def test_a_stream_that_drips_is_understood(network: FakeNetwork, listener: Listener) -> None:
    network.faults.on(stream_of(network), drips_messages(0.0001))
    listener.settle()
    posted = network.post("drop by drop")
    polls = network.faults.count(network.reads)
    listener.until(posted)
    assert network.faults.count(network.reads) == polls


def test_a_message_that_never_ends_breaks_the_line(network: FakeNetwork, listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "QUIET_SECONDS", 0.6)
    network.faults.on(stream_of(network), drips_messages(0.2))
    listener.settle()
    posted = network.post("so slowly that it is not waited for")
    listener.until(posted)
    assert network.faults.count(stream_of(network)) >= 2


def test_garbage_between_posts_is_left_out_with_a_warning(network: FakeNetwork, listener: Listener) -> None:
    garbage = [b"garbage", b"[]", b"7", b'"x"', b"{", b'{"data": 7}', b'{"data": {"id": []}}', b'{"id": null}']
    network.faults.on(stream_of(network), says_first(b"".join(message(network, said) for said in garbage) + ENDS[network.name]))
    with structlog.testing.capture_logs() as lines:
        listener.settle()
        posted = network.post("a real one")
        listener.until(posted)
    assert [entry for entry in lines if entry["event"] == "post_skipped"]
    assert "garbage" not in str(lines)


def test_what_we_do_not_know_is_no_reason_to_stop(network: FakeNetwork, listener: Listener) -> None:
    strange = b'{"delete": {"id": "1"}, "new": true}\r\n' if network.name == "x" else b"event: announcement\ndata: {}\nid: 7\n\n"
    network.faults.on(stream_of(network), says_first(strange))
    listener.settle()
    posted = network.post("after it")
    polls = network.faults.count(network.reads)
    listener.until(posted)
    assert network.faults.count(network.reads) == polls


def test_a_message_that_is_too_large_is_thrown_away_and_the_next_is_read(
    network: FakeNetwork, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line, "MOST_OF_A_MESSAGE", 50_000)
    network.faults.on(stream_of(network), says_first(message(network, b'{"x": "' + b"a" * 900_000 + b'"}')))
    listener.settle()
    posted = network.post("the next")
    polls = network.faults.count(network.reads)
    listener.until(posted)
    assert network.faults.count(network.reads) == polls


def test_a_page_of_a_flood_is_bounded(network: FakeNetwork, listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MOST_MESSAGES", 20)
    listener.settle()
    posted = [network.post(f"number {n}") for n in range(100)]
    listener.until(*posted)
    assert all(len(page.mentions) < 100 for page in listener.pages)


def test_a_server_whose_stream_is_none_is_said_to_be_so(network: FakeNetwork, listener: Listener) -> None:
    network.faults.on(stream_of(network), answers(404), forever=True)
    assert "there is no stream" in listener.until_trouble()


def test_a_stream_that_nobody_reads_is_left_and_costs_nothing(
    network: FakeNetwork, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "IDLE_SECONDS", 0.1)
    listener.settle()
    threads = [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]
    for thread in threads:
        thread.join(5)
    missed = network.post("while nobody read")
    listener.until(missed)
    assert network.faults.count(stream_of(network)) == 2


def test_a_cursor_that_is_not_ours_is_refused_in_words_with_a_stream(network: FakeNetwork) -> None:
    for cursor in ('{"polling": true}', orjson.dumps({"polling": 1, "poll": "x", "polled": "y", "line": 1, "taken": []}).decode()):
        with pytest.raises(SourceConfused, match="cursor"):
            network.source(stream=True).fetch(cursor, now=NOW)


def test_no_key_and_no_post_is_logged(network: FakeNetwork, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    network.faults.on(stream_of(network), breaks_after(1))
    with structlog.testing.capture_logs() as lines:
        listener = Listener(network.source(stream=True))
        listener.settle()
        listener.until(network.post("canary words"))
    said = str(lines) + caplog.text
    assert "canary" not in said
    assert not any(value in said for value in network.world.secrets(network.name).values())


# beside other searches


@pytest.fixture
def asking(x_network: FakeNetwork, monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    """X's stream for the source's own query, and searches for two saved ones."""
    monkeypatch.setattr(live, "STRETCH_SECONDS", 0.15)
    saved = [Asked("weather", read("weather")), Asked("rain", read("rain"), is_urgent=True)]
    given = {"query": "lumifern", "url": x_network.url, "account": "lumifern", "stream": True}
    listener = Listener(open_source(SourceSettings(name="x", network="x", **given), saved))
    yield listener
    listener.source.close()


def test_saved_queries_are_polled_beside_the_one_stream(x_network: FakeNetwork, asking: Listener) -> None:
    asking.settle()
    assert x_network.faults.count(STREAMS["x"]) == 1
    assert x_network.faults.count(x_network.reads) == 3
    by_stream = x_network.post("heard at once")
    asking.until(by_stream)
    for _ in range(4):
        asking.fetch(now=NOW + timedelta(seconds=30))
    assert x_network.faults.count(x_network.reads) == 3
    by_poll = x_network.world.post("x", "ann", "what a weather", at=NOW + timedelta(seconds=40))
    for _ in range(6):
        asking.fetch(now=NOW + timedelta(seconds=70))
    assert by_poll in asking.heard
    assert x_network.faults.count(x_network.reads) == 6
    assert x_network.faults.count(STREAMS["x"]) == 1


def test_between_searches_the_stream_is_asked_again_at_once(asking: Listener) -> None:
    asking.settle()
    assert {page.again for page in asking.pages if not page.more} == {0.0}


# settings


def test_a_network_without_a_stream_says_so() -> None:
    with pytest.raises(ConfigurationError, match="stream = true"):
        open_source(SourceSettings(name="hn", network="hackernews", query="lumifern", stream=True))


def test_a_query_of_ours_that_takes_several_searches_has_no_stream(x_network: FakeNetwork) -> None:
    words = " OR ".join(f'"a rather long phrase number {n}"' for n in range(200))
    with pytest.raises(ConfigurationError, match="searches on x"):
        open_source(SourceSettings(name="x", network="x", wanted=words, stream=True))

"""The stream that live pages follow."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from sites import Site

from earshot.storage.accounts import Role
from earshot.web.live import Pulse
from earshot.web.pages import live
from earshot.web.visit import SESSION_COOKIE


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "SECONDS_BETWEEN_LOOKS", 0.02)
    monkeypatch.setattr(Pulse, "newest", lambda pulse: pulse._look())


def _meanwhile(*steps: Callable[[], object]) -> threading.Thread:
    def run() -> None:
        for step in steps:
            time.sleep(0.3)
            step()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_nobody_listens_without_a_session(site: Site) -> None:
    assert site.visitor().get("/live").status_code == 401


def test_the_stream_says_that_something_moved_and_nothing_more(site: Site) -> None:
    case_id, client = site.for_community("How do I reset my very private lamp?"), site.signed_in(site.account(Role.STAFF, "Sam"))
    token = client.cookies[SESSION_COOKIE]
    meanwhile = _meanwhile(
        lambda: site.store.moves.assign(case_id, assignee=site.boss.id, by=site.boss.id, now=site.now),
        lambda: site.store.accounts.end_session(token),
    )
    answer = client.get("/live")
    meanwhile.join()
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text.count("event: changed") == 1
    assert "lamp" not in answer.text


def test_the_stream_ends_when_the_session_does(site: Site) -> None:
    client, watcher = site.signed_in(site.account(Role.STAFF, "Sam")), site.visitor()
    watcher.cookies.set(SESSION_COOKIE, client.cookies[SESSION_COOKIE])
    meanwhile = _meanwhile(lambda: client.post("/sign-out"))
    assert watcher.get("/live").status_code == 200  # returns only because the stream ended
    meanwhile.join()


def test_a_right_that_is_gone_ends_the_stream_within_five_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert live.SECONDS_BETWEEN_LOOKS * live.LOOKS_BETWEEN_CHECKS <= 4


def test_many_watchers_share_one_look_at_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    looks: list[int] = []

    def look() -> int:
        looks.append(1)
        return len(looks)

    pulse = Pulse(look, every=60)
    assert [pulse.newest() for _ in range(100)] == [1] * 100

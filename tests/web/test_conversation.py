"""The conversation on its network, shown on a case's page when somebody asks for it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from fake_networks.faults import answers, hangs
from fake_networks.fixtures import NOW, FakeNetwork, read_all
from houses import keep
from sites import WORKER, Site
from starlette.testclient import TestClient

from earshot import threads
from earshot.pipeline import understand
from earshot.settings import SourceSettings
from earshot.storage.accounts import Role
from earshot.storage.sources import SourceState

HTMX = {"hx-request": "true"}


@pytest.fixture(params=["mastodon", "reddit", "x"])
def network(request: pytest.FixtureRequest) -> FakeNetwork:
    found: FakeNetwork = request.getfixturevalue(f"{request.param}_network")
    return found


@pytest.fixture
def asked(site: Site, network: FakeNetwork) -> str:
    """The root of a conversation on the network, of which the house heard."""
    source = SourceSettings(
        name=network.name, network=network.name, query=network.query, url=network.url, account="lumifern", allow_private=True
    )
    site.settings = site.settings.model_copy(update={"sources": (source,)})
    site.now = NOW + timedelta(hours=1)
    site.store.sources.declare([(network.name, network.name)])
    root = network.post("how do I reset my hub? <b>it</b> blinks")
    for mention in read_all(network.source())[0]:
        keep(site.store, mention, source=network.name, now=site.now)
    understand(site.store, site.rooms, worker=WORKER, now=site.now)
    network.post("hold the ring", author="bob", reply_to=root, at=NOW + timedelta(minutes=5))
    network.post("we are on it", author=network.world.account, reply_to=root, at=NOW + timedelta(minutes=6))
    network.faults.calls.clear()
    return root


@pytest.fixture
def boss(site: Site) -> TestClient:
    return site.signed_in(site.boss)


def words(html: str) -> str:
    return " ".join(re.sub("<[^>]+>", " ", html).split())


def test_the_page_offers_it_and_asks_nobody_by_itself(site: Site, asked: str, boss: TestClient, network: FakeNetwork) -> None:
    assert "Show the thread on" in boss.get("/cases/1").text
    assert network.faults.calls == []


def test_it_shows_what_others_said_since_and_keeps_nothing(site: Site, asked: str, boss: TestClient) -> None:
    with site.statements() as statements:
        shown = boss.get("/cases/1/thread", headers=HTMX).text
    assert not shown.startswith("<!doctype")
    assert "lumifern: hold the ring" in words(shown)
    assert "· ours" in words(shown)
    assert "· this case" in words(shown)
    assert "depth-1" in shown
    assert "&lt;b&gt;it&lt;/b&gt;" in shown
    assert not [statement for statement in statements if "INTO mention" in statement or "INTO author" in statement]
    assert "hold the ring" not in boss.get("/cases/1").text


def test_without_scripts_it_is_a_page_of_its_own(asked: str, boss: TestClient) -> None:
    page = boss.get("/cases/1/thread").text
    assert page.lstrip().lower().startswith("<!doctype")
    assert "hold the ring" in page


def test_its_reads_are_counted(site: Site, asked: str, boss: TestClient, network: FakeNetwork) -> None:
    boss.get("/cases/1/thread", headers=HTMX)
    (status,) = site.store.sources.statuses()
    assert status.reads_in(site.now) == {"mastodon": 0, "reddit": 1, "x": 4}[network.name]


def test_without_reads_left_nobody_is_asked(site: Site, asked: str, boss: TestClient, network: FakeNetwork) -> None:
    (source,) = site.settings.sources
    site.settings = site.settings.model_copy(update={"sources": (source.model_copy(update={"monthly_reads": 100}),)})
    site.store.sources.spend(network.name, reads=100, now=site.now)
    del site.app  # made anew with these settings
    shown = words(site.signed_in(site.boss).get("/cases/1/thread", headers=HTMX).text)
    assert "reads" in shown
    assert network.faults.calls == []


def test_with_fewer_reads_left_than_it_may_cost_nobody_is_asked(site: Site, asked: str, boss: TestClient, network: FakeNetwork) -> None:
    if network.name != "x":
        pytest.skip("a conversation costs two reads at most there")
    (source,) = site.settings.sources
    site.settings = site.settings.model_copy(update={"sources": (source.model_copy(update={"monthly_reads": 200}),)})
    del site.app  # made anew with these settings
    site.store.sources.spend(network.name, reads=100, now=site.now)
    shown = words(site.signed_in(site.boss).get("/cases/1/thread", headers=HTMX).text)
    assert "may cost 102 reads" in shown
    assert network.faults.calls == []


def test_a_network_that_wants_no_call_for_a_while_gets_none(site: Site, asked: str, boss: TestClient, network: FakeNetwork) -> None:
    opens = max(site.now, datetime.now(UTC)) + timedelta(hours=1)
    network.faults.on("/", answers(429, headers=network.reset(opens.timestamp())), forever=True)
    boss.get("/cases/1/thread", headers=HTMX)
    (status,) = site.store.sources.statuses()
    assert (status.state, status.is_closed(site.now)) == (SourceState.THROTTLED, True)
    calls = len(network.faults.calls)
    boss.get("/cases/1/thread", headers=HTMX)
    assert len(network.faults.calls) == calls


def test_a_source_that_must_wait_is_not_asked(site: Site, asked: str, boss: TestClient, network: FakeNetwork) -> None:
    site.store.sources.mark(network.name, state=SourceState.BROKEN, reason="the key is refused")
    shown = words(boss.get("/cases/1/thread", headers=HTMX).text)
    assert "the key is refused" in shown
    assert network.faults.calls == []


def test_what_goes_wrong_is_said_where_the_conversation_would_stand(asked: str, boss: TestClient, network: FakeNetwork) -> None:
    network.faults.on("/", answers(503), forever=True)
    answer = boss.get("/cases/1/thread", headers=HTMX)
    assert answer.status_code == 200
    assert "cannot be shown" in words(answer.text)


def test_a_network_that_hangs_keeps_a_person_waiting_for_a_bounded_time(
    asked: str, boss: TestClient, network: FakeNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "DEADLINE", 0.3)
    network.faults.on("/", hangs(), forever=True)
    assert "cannot be shown" in words(boss.get("/cases/1/thread", headers=HTMX).text)


def test_who_was_forgotten_is_hidden(site: Site, asked: str, boss: TestClient, network: FakeNetwork) -> None:
    mention = next(mention for mention in read_all(network.source())[0] if "hold the ring" in mention.text)
    assert mention.author is not None
    site.store.forgetting.never_hear(network.name, mention.author.native_id, now=site.now)
    shown = words(boss.get("/cases/1/thread", headers=HTMX).text)
    assert "hold the ring" not in shown
    assert "1 post is hidden" in shown


def test_who_may_not_see_cases_sees_no_conversation(site: Site, asked: str, network: FakeNetwork) -> None:
    assert site.signed_in(site.account(Role.SUPER_USER)).get("/cases/1/thread").status_code == 404
    assert network.faults.calls == []


def test_a_case_of_no_source_says_so(site: Site, boss: TestClient) -> None:
    case_id = site.hear("how do I reset my lamp?")
    assert "Show the thread" not in boss.get(f"/cases/{case_id}").text
    assert "no source" in boss.get(f"/cases/{case_id}/thread", headers=HTMX).text


def test_there_is_no_conversation_of_a_case_that_never_was(boss: TestClient) -> None:
    assert boss.get("/cases/999/thread").status_code == 404

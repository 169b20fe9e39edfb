"""`/hooks/{name}`: signed, stored before it says so, and nobody else's."""

from __future__ import annotations

import ast
import base64
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from houses import sqlite_store
from sites import Site
from standardwebhooks import Webhook
from starlette.testclient import TestClient

from earshot.demo.networks.serving import serve_app
from earshot.errors import DatabaseBusy
from earshot.pipeline import Worker, understand
from earshot.rooms import Rooms
from earshot.settings import Settings, SourceSettings
from earshot.storage.accounts import Role
from earshot.storage.sources import SourceState
from earshot.web.hooks import CALLS_A_MINUTE

KEY = "whsec_" + base64.b64encode(bytes(range(32))).decode()
ROW = {"id": "42", "text": "how do I reset the lamp?", "author": {"handle": "ana"}, "thread_id": "7"}
GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "receive-by-webhook.md"


@pytest.fixture
def site(tmp_path: Path, open_rooms: Rooms, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("EARSHOT_SECRET_SHOP_SIGNING", KEY)
    sources = (
        SourceSettings(name="shop", network="webhook"),
        SourceSettings(name="bare", network="webhook"),
        SourceSettings(name="x", network="x"),
    )
    with sqlite_store(tmp_path) as store:
        yield Site(store=store, rooms=open_rooms, settings=Settings(secret_key="s" * 40, sources=sources))


@pytest.fixture
def sender(site: Site) -> TestClient:
    """A program: no cookie, no origin."""
    return TestClient(site.app, base_url="http://127.0.0.1:8000", follow_redirects=False)


def signed(body: bytes, *, key: str = KEY, at: datetime | None = None) -> dict[str, str]:
    at = at or datetime.now(UTC)
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(key).sign("msg_1", at, body.decode()),
    }


def send(sender: TestClient, rows: Any, *, name: str = "shop", **given: Any) -> Any:
    body = rows if isinstance(rows, bytes) else json.dumps(rows).encode()
    return sender.post(f"/hooks/{name}", content=body, headers=signed(body, **given))


def heard(site: Site) -> int:
    return site.store.mentions.counts()["heard"]


def test_what_was_answered_with_200_is_stored_and_becomes_a_case(site: Site, sender: TestClient) -> None:
    answer = send(sender, [ROW, ROW | {"id": "43"}])
    assert (answer.status_code, answer.json()) == (200, {"new": 2, "known": 0, "edited": 0})
    assert site.store.mentions.by_native_ids("webhook", ["shop/42", "shop/43"]).keys() == {"shop/42", "shop/43"}
    assert understand(site.store, site.rooms, worker=Worker(name="w"), now=site.now) == 2
    boss = site.signed_in(site.account(Role.MANAGER))
    assert boss.get("/api/queue?state=queued&state=review&state=closed").json()["total"] == 1


def test_the_same_delivery_is_taken_once_and_a_replay_adds_nothing(site: Site, sender: TestClient) -> None:
    """Incident 29: fifty times at once."""
    body = json.dumps(ROW).encode()
    headers = signed(body)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: sender.post("/hooks/shop", content=body, headers=headers).json(), range(50)))
    assert sum(each["new"] for each in found) == 1
    assert heard(site) == 1


def test_other_words_by_the_same_author_are_an_edit_and_an_older_delivery_changes_nothing_back(site: Site, sender: TestClient) -> None:
    """Incident 9: by another author they are not."""
    earlier = datetime.now(UTC) - timedelta(minutes=2)
    send(sender, ROW, at=earlier)
    assert send(sender, ROW | {"text": "solved, thanks"}).json() == {"new": 0, "known": 1, "edited": 1}
    assert send(sender, ROW, at=earlier).json()["edited"] == 0
    assert (
        send(sender, ROW | {"text": "I am Ana", "author": {"handle": "eve"}}, at=datetime.now(UTC) + timedelta(seconds=9)).json()["edited"]
        == 0
    )
    assert site.store.mentions.texts("webhook", ["shop/42"]) == {"shop/42": "solved, thanks"}


@pytest.mark.parametrize("headers", [{}, {"webhook-signature": "v1,QUJD"}, {"authorization": f"Bearer {KEY}"}, {"webhook-id": "msg_1"}])
def test_an_unsigned_delivery_is_refused_and_nothing_of_it_is_fetched_or_stored(
    headers: dict[str, str], site: Site, sender: TestClient
) -> None:
    """Incident 18: it carries addresses, and none of them is called."""
    called: list[str] = []

    async def strange(scope: Any, receive: Any, send: Any) -> None:
        called.append(scope["path"])

    with serve_app(strange) as served:
        row = ROW | {"url": f"{served.url}/1", "image": f"{served.url}/2", "SubscribeURL": f"{served.url}/3"}
        answer = sender.post("/hooks/shop", json=row, headers=headers)
    assert answer.status_code == 401
    assert "signed" in answer.json()["detail"]
    assert (heard(site), called, site.store.sources.statuses()) == (0, [], [])


def test_an_old_signature_and_a_wrong_key_are_refused(site: Site, sender: TestClient) -> None:
    other = "whsec_" + base64.b64encode(b"another key" * 4).decode()
    assert send(sender, ROW, at=datetime.now(UTC) - timedelta(minutes=6)).status_code == 401
    assert send(sender, ROW, key=other).status_code == 401
    assert heard(site) == 0


@pytest.mark.parametrize("name", ["x", "nobody", "SHOP", "shop%2F..", "a" * 200])
def test_only_what_is_received_has_a_hook(name: str, sender: TestClient) -> None:
    assert send(sender, ROW, name=name).status_code in (404, 422)


def test_a_hook_without_a_key_takes_nothing(site: Site, sender: TestClient) -> None:
    answer = send(sender, ROW, name="bare")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "300")
    assert "EARSHOT" not in answer.text
    assert heard(site) == 0


def test_a_field_that_is_wrong_is_named_and_nothing_is_stored(site: Site, sender: TestClient) -> None:
    answer = send(sender, [ROW, ROW | {"id": "43", "text": 7}])
    assert (answer.status_code, answer.json()["detail"]) == (422, "mention 1: text must be a string")
    assert heard(site) == 0


def test_a_delivery_has_a_size(site: Site, sender: TestClient) -> None:
    row = ROW | {"text": "x" * 30_000}
    assert send(sender, [row | {"id": str(n)} for n in range(30)]).status_code == 200
    assert send(sender, [row | {"id": str(n)} for n in range(40)]).status_code == 413

    def endless() -> Iterator[bytes]:
        yield b"["

    assert sender.post("/hooks/shop", content=endless()).status_code == 411
    assert heard(site) == 30


def test_deliveries_of_one_source_have_a_pace_that_strangers_cannot_use_up(site: Site, sender: TestClient) -> None:
    for _ in range(20):
        assert sender.post("/hooks/shop", json=ROW).status_code == 401
    for _ in range(CALLS_A_MINUTE):
        site.app.state.house.hooks.may_call("shop", now=site.now)
    answer = send(sender, ROW)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "60")
    site.now += timedelta(minutes=1)
    assert send(sender, ROW).status_code == 200


def test_a_thousand_knocks_leave_one_line_in_the_log(site: Site, sender: TestClient) -> None:
    """Incident 23."""
    with structlog.testing.capture_logs() as lines:
        for _ in range(50):
            sender.post("/hooks/shop", json=ROW)
    assert [line["event"] for line in lines] == ["delivery_refused"]
    assert "lamp" not in str(lines)


def test_a_paused_hook_asks_to_come_again(site: Site, sender: TestClient) -> None:
    send(sender, ROW)
    site.store.sources.pause("shop", reason="paused by Boss")
    answer = send(sender, ROW | {"id": "43"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "300")
    assert "paused" in answer.json()["detail"]
    site.store.sources.wake("shop", now=site.now)
    assert send(sender, ROW | {"id": "43"}).json() == {"new": 1, "known": 0, "edited": 0}


def test_a_database_that_is_busy_is_never_answered_with_200(site: Site, sender: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*_: Any, **__: Any) -> None:
        raise DatabaseBusy("locked for 30 s")

    monkeypatch.setattr(site.store.mentions, "keep_new", busy)
    assert send(sender, ROW).status_code == 503
    monkeypatch.undo()
    assert heard(site) == 0


def test_what_is_brought_shows_on_the_page_of_the_sources(site: Site, sender: TestClient) -> None:
    site.store.sources.declare([("shop", "webhook")])
    site.store.sources.mark("shop", state=SourceState.BROKEN, reason="no key so far")
    send(sender, [ROW, ROW | {"id": "43"}])
    (status,) = [each for each in site.store.sources.statuses() if each.name == "shop"]
    assert (status.state, status.reason, status.polled_at, status.reads) == (SourceState.HEALTHY, "", site.now, 2)
    page = site.signed_in(site.account(Role.MANAGER)).get("/sources").text
    assert "Brought" in page
    assert "Poll now" not in page


def test_a_session_is_no_signature(site: Site) -> None:
    boss = site.signed_in(site.account(Role.ADMIN))
    assert boss.post("/hooks/shop", json=ROW).status_code == 401


@pytest.mark.parametrize(
    "path", ["/hooks/../cases/1/close", "/hooks/%2e%2e/cases/1/close", "/hooks//cases/1/close", "/hooks/shop/../../cases/1/close"]
)
def test_no_form_of_ours_is_reached_by_way_of_the_hooks(path: str, site: Site) -> None:
    """Where hooks begin, forms need not come from this site."""
    case_id = site.hear("how do I reset the lamp?")
    boss = site.signed_in(site.account(Role.MANAGER))
    before = site.store.cases.last_event()
    assert case_id == 1
    boss.post(path, headers={"origin": "https://evil.example"})
    assert site.store.cases.last_event() == before


# the guide


def block(kind: str, holding: str) -> str:
    found = re.findall(rf"^ *```{kind}\n(.*?)^ *```", GUIDE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    (text,) = (text for text in found if holding in text)
    return re.sub(r"(?m)^   ", "", str(text))


def test_the_python_of_the_guide_sends_a_mention(site: Site) -> None:
    names: dict[str, Any] = {}
    exec(compile(ast.parse(block("python", "def send")), str(GUIDE), "exec"), names)
    with serve_app(site.app) as served:
        assert names["send"]([ROW], url=f"{served.url}/hooks/shop", key=KEY) == {"new": 1, "known": 0, "edited": 0}


@pytest.mark.skipif(not shutil.which("curl"), reason="no curl here")
def test_the_shell_of_the_guide_sends_a_mention(site: Site) -> None:
    with serve_app(site.app) as served:
        lines = f"key='{KEY}'\nurl='{served.url}/hooks/shop'\n{block('sh', 'curl')}"
        said = [subprocess.run(["sh", "-euc", lines], check=True, capture_output=True, text=True).stdout for _ in range(2)]
    assert [json.loads(each) for each in said] == [{"new": 1, "known": 0, "edited": 0}, {"new": 0, "known": 1, "edited": 0}]


def test_the_key_of_the_guide_is_strong_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    from listener.webhook import WebhookSource

    made = subprocess.run(
        ["sh", "-euc", f'{block("sh", "openssl rand").splitlines()[0]}\nprintf %s "$key"'], check=True, capture_output=True, text=True
    )
    monkeypatch.setenv("EARSHOT_SECRET_SHOP_SIGNING", made.stdout)
    WebhookSource(SourceSettings(name="shop", network="webhook")).close()

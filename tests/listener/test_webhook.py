"""Mentions that another system brings, signed, and the answers that go back to it."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fake_networks.faults import Fault, Faults, answers, breaks, hangs, hangs_after, loses_the_answer
from fake_networks.fixtures import NOW
from standardwebhooks import Webhook, WebhookVerificationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from earshot.demo.networks.serving import serve_app
from earshot.errors import BadInput, ConfigurationError, ReplyError, ReplyRefused, ReplyUnknown, SourceRefused, SourceUnavailable
from earshot.registry import load
from earshot.scheduler import open_source
from earshot.settings import SourceSettings
from listener import RECEIVED, SOURCES
from listener.source import Receives
from listener.webhook import MOST_MENTIONS, WebhookSource

KEY = "whsec_" + base64.b64encode(bytes(range(32))).decode()


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SHOP", "OTHER"):
        monkeypatch.setenv(f"EARSHOT_SECRET_{name}_SIGNING", KEY)


def source(**given: Any) -> WebhookSource:
    return WebhookSource(SourceSettings(**({"name": "shop", "network": "webhook"} | given)))


def signed(body: bytes, *, at: datetime | None = None, key: str = KEY, id_: str = "msg_1") -> dict[str, str]:
    at = at or datetime.now(UTC)
    return {
        "webhook-id": id_,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(key).sign(id_, at, body.decode("utf-8", "replace")),
    }


def bring(rows: Any, **given: Any) -> tuple[Any, ...]:
    body = rows if isinstance(rows, bytes) else json.dumps(rows).encode()
    return source(**given).receive(signed(body), body, now=NOW)


ROW = {"id": "42", "text": "the lamp is dead", "posted_at": "2026-05-04T11:00:00Z", "author": {"id": "a1", "handle": "ana", "name": "Ana"}}


def test_a_mention_is_read_under_the_name_of_its_source() -> None:
    (mention,) = bring(ROW | {"thread_id": "7", "parent_id": "41", "url": "https://shop.example/42"})
    assert (mention.network, mention.native_id, mention.thread_id, mention.parent_id) == ("webhook", "shop/42", "shop/7", "shop/41")
    assert (mention.text, mention.url, mention.posted_at) == ("the lamp is dead", "https://shop.example/42", NOW - timedelta(hours=1))
    assert (mention.author.network, mention.author.native_id, mention.author.handle) == ("webhook", "shop/a1", "ana")


def test_nobody_speaks_for_another_network_or_another_sender() -> None:
    """Incident 9: identity is the network and its immutable id, and neither is the sender's to choose."""
    (mention,) = bring(ROW | {"network": "x"})
    (other,) = bring(ROW | {"network": "x"}, name="other")
    assert {mention.network, other.network, mention.author.network} == {"webhook"}
    assert mention.native_id != other.native_id
    assert mention.author.native_id != other.author.native_id


@pytest.mark.parametrize("count", [0, 1, 99, 250, MOST_MENTIONS])
def test_a_batch_is_read_in_order(count: int) -> None:
    assert [mention.native_id for mention in bring([ROW | {"id": n} for n in range(count)])] == [f"shop/{n}" for n in range(count)]


def test_our_own_posts_never_come_back() -> None:
    """Incident 30."""
    assert bring([ROW | {"author": {"handle": "@Lumifern"}}], account="lumifern") == ()


def test_unknown_fields_are_left_and_missing_ones_missing() -> None:
    (mention,) = bring({"id": 7, "text": "", "something": {"new": [1]}, "author": None})
    assert (mention.native_id, mention.author, mention.text, mention.posted_at) == ("shop/7", None, "", NOW)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (b"", "mention 0: not JSON"),
        (b"{", "mention 0: not JSON"),
        (b"[1, ", "not JSON"),
        (b"[" * 50_000, "not JSON"),
        (b'{"a":' * 50_000, "not JSON"),
        (7, "mention 0: not a JSON object"),
        ([ROW, 7], "mention 1: not a JSON object"),
        ({"text": "x"}, "id is missing"),
        ({"id": "1"}, "text is missing"),
        ([ROW, ROW | {"text": ["x"]}], "mention 1: text must be a string"),
        (ROW | {"author": "ana"}, "author must be an object"),
        (ROW | {"author": {"handle": 7.5}}, "author.handle must be a string"),
        (ROW | {"posted_at": "yesterday"}, "'yesterday' is not a date"),
        ([ROW] * (MOST_MENTIONS + 1), "at most 1,000"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_place_and_field(rows: Any, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        bring(rows)


def test_whatever_one_field_says_reading_ends_in_mentions_or_in_words() -> None:
    draw = random.Random(1)
    wrong = (None, True, 7, -1, 2**70, "x", "", [], ["x"], {}, {"x": 7}, "\0", "\ud83d", 1e308)
    for _ in range(500):
        row = ROW | {draw.choice([*ROW, "url", "lang", "likes", "thread_id"]): draw.choice(wrong)}
        with suppress(BadInput):
            assert all(mention.native_id.startswith("shop/") for mention in bring(row))


# signed


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"webhook-id": "", "webhook-timestamp": "", "webhook-signature": ""},
        {"webhook-signature": "v1"},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v1,!!!"},
        {"webhook-signature": "v1,灯"},
        {"webhook-signature": "v2,QUJD"},
        {"webhook-signature": "v1,QUJD v1,QUJD"},
        {"webhook-timestamp": "soon"},
        {"webhook-timestamp": "nan"},
        {"webhook-timestamp": "1e400"},
        {"webhook-timestamp": str(10**30)},
        {"webhook-id": "another"},
    ],
)
def test_what_is_not_signed_is_refused_before_it_is_read(headers: dict[str, str]) -> None:
    """Incident 18: the body is no JSON, and nobody notices."""
    body = b'{"url": "http://169.254.169.254/latest", '
    with pytest.raises(SourceRefused, match="EARSHOT_SECRET_SHOP_SIGNING"):
        source().receive(signed(body) | headers if headers else {}, body, now=NOW)


def test_another_key_another_body_or_another_time_is_refused() -> None:
    body = json.dumps(ROW).encode()
    now = datetime.now(UTC)
    other = "whsec_" + base64.b64encode(b"another key" * 4).decode()
    for headers in (
        signed(body, key=other),
        signed(body + b" "),
        signed(body, at=now - timedelta(minutes=6)),
        signed(body, at=now + timedelta(minutes=6)),
    ):
        with pytest.raises(SourceRefused):
            source().receive(headers, body, now=NOW)
    assert source().receive(signed(body, at=now - timedelta(minutes=4)), body, now=NOW)


def test_one_good_signature_among_others_is_enough_so_that_keys_can_change() -> None:
    body = json.dumps(ROW).encode()
    headers = signed(body)
    headers["webhook-signature"] = f"v1a,QUJD v1,QUJD {headers['webhook-signature']}"
    assert source().receive(headers, body, now=NOW)


@pytest.mark.parametrize("weak", ["", "whsec_", "secret", "not base64 at all !!!", "whsec_QUJD", "灯" * 40])
def test_a_key_that_is_too_weak_is_refused_in_words(weak: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARSHOT_SECRET_SHOP_SIGNING", weak)
    with pytest.raises(ConfigurationError, match="EARSHOT_SECRET_SHOP_SIGNING"):
        source()


def test_a_missing_key_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EARSHOT_SECRET_SHOP_SIGNING")
    with pytest.raises(ConfigurationError, match="EARSHOT_SECRET_SHOP_SIGNING"):
        source()


# received, not polled


@pytest.mark.parametrize("network", SOURCES)
def test_what_is_received_is_listed_as_such(network: str) -> None:
    assert hasattr(load(SOURCES, network, kind="network"), "receive") == (network in RECEIVED)


def test_asking_brings_nothing_and_moves_nothing() -> None:
    page = source().fetch("here", now=NOW)
    assert (page.mentions, page.cursor, page.more, page.spent) == ((), "here", False, 0)


def test_a_query_of_ours_lets_through_what_matches() -> None:
    asking = open_source(SourceSettings(name="shop", network="webhook", wanted="lamp"))
    assert isinstance(asking, Receives)
    body = json.dumps([ROW, ROW | {"id": "43", "text": "the weather is fine"}]).encode()
    assert [mention.native_id for mention in asking.receive(signed(body), body, now=NOW)] == ["shop/42"]
    asking.close()


# answering


class Shop(Starlette):
    """The other system: takes answers that are signed, each `webhook-id` once."""

    def __init__(self) -> None:
        self.taken: dict[str, Any] = {}
        super().__init__(routes=[Route("/answers", self.take, methods=["POST"])])

    async def take(self, request: Request) -> Response:
        body = await request.body()
        try:
            Webhook(KEY).verify(body, dict(request.headers))
        except WebhookVerificationError:
            return Response(status_code=401)
        self.taken.setdefault(request.headers["webhook-id"], json.loads(body))
        return JSONResponse({"id": 99, "url": "https://shop.example/99"})


@contextmanager
def answering(**given: Any) -> Iterator[tuple[Shop, Faults, WebhookSource]]:
    shop = Shop()
    faults = Faults(shop)
    with serve_app(faults) as served:
        settings = {"name": "shop", "network": "webhook", "url": f"{served.url}/answers", "replies": True, "allow_private": True}
        ours = WebhookSource(SourceSettings(**(settings | given)), deadline=0.5)
        yield shop, faults, ours
        ours.close()


def test_an_answer_is_sent_signed_and_known_by_what_the_other_system_calls_it() -> None:
    with answering() as (shop, _, ours):
        posted = ours.reply("shop/42", "Hold the ring. 灯", key="k1")
        ((id_, taken),) = shop.taken.items()
    assert (posted.native_id, posted.url) == ("shop/99", "https://shop.example/99")
    assert (id_, taken["type"], taken["data"]) == ("reply-k1", "reply.created", {"reply_to": "42", "text": "Hold the ring. 灯"})


@pytest.mark.parametrize(
    "fault", [loses_the_answer(), hangs_after(), hangs(), breaks(), answers(503)], ids=["lost", "hang", "never", "reset", "503"]
)
def test_an_answer_that_may_have_arrived_comes_again_under_the_same_id(fault: Fault) -> None:
    """Incident 28: it stands once, since the other system takes each id once."""
    with answering() as (shop, faults, ours):
        faults.on("/answers", fault)
        with pytest.raises(ReplyUnknown):
            ours.reply("shop/42", "Hold the ring.", key="k1")
        assert ours.find_reply("shop/42", "Hold the ring.") is None
        ours.reply("shop/42", "Hold the ring.", key="k1")
    assert len(shop.taken) == 1


@pytest.mark.parametrize("status", [302, 307, 400, 404, 410, 422])
def test_an_answer_that_is_not_taken_is_refused_for_good_and_follows_no_redirect(status: int) -> None:
    with answering() as (_, faults, ours):
        faults.on("/answers", answers(status, headers={"location": "http://127.0.0.1:9/"}))
        with pytest.raises(ReplyRefused, match=str(status)):
            ours.reply("shop/42", "Hold the ring.", key="k1")
        assert len(faults.calls) == 1


@pytest.mark.parametrize(
    ("fault", "error"), [(answers(429), SourceUnavailable), (answers(401), SourceRefused), (answers(403), SourceRefused)]
)
def test_an_answer_that_was_surely_not_taken_may_be_tried_again(fault: Fault, error: type[Exception]) -> None:
    with answering() as (_, faults, ours):
        faults.on("/answers", fault)
        with pytest.raises(error):
            ours.reply("shop/42", "Hold the ring.", key="k1")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254"])
def test_an_answer_goes_to_no_private_address_unless_it_is_declared(host: str) -> None:
    """Incident 17: 0 connections, however the address is written."""
    with answering() as (_, faults, ours):
        port = ours._settings.url.rpartition(":")[2]
        with (
            answering(url=f"http://{host}:{port}", allow_private=False) as (_, _, strange),
            pytest.raises(SourceRefused, match="allow_private"),
        ):
            strange.reply("shop/42", "Hello", key="k1")
        assert faults.calls == []


def test_a_source_that_may_not_answer_does_not() -> None:
    for answer in (lambda: source().reply("shop/42", "Hello", key="1"), lambda: source().find_reply("shop/42", "Hello")):
        with pytest.raises(ReplyError, match="replies = true"):
            answer()


def test_answers_need_an_address() -> None:
    with pytest.raises(ConfigurationError, match="needs url"):
        source(replies=True)


@pytest.mark.parametrize("text", ["", "  ", "long " * 5_000])
def test_a_text_that_no_answer_has_is_refused_for_good(text: str) -> None:
    with answering() as (_, faults, ours):
        with pytest.raises(ReplyRefused):
            ours.reply("shop/42", text, key="1")
        assert faults.calls == []

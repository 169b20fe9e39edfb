"""Bluesky, against a server that speaks its stream and its interfaces."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
import structlog
from fake_networks import bluesky
from fake_networks.faults import answers, breaks, rewrites
from fake_networks.fixtures import NOW, FakeNetwork, read_all
from fake_networks.web_socket import WebSockets

from earshot.demo.networks.serving import serve_app
from earshot.errors import ConfigurationError, ReplyRefused, ReplyUnknown, SourceConfused, SourceRefused, SourceUnavailable
from earshot.settings import SourceSettings
from listener import bluesky as source_module
from listener.bluesky import BlueskySource

LATER = NOW + timedelta(minutes=5)
COLLECTION = bluesky.COLLECTION


def source_of(**given: Any) -> BlueskySource:
    return BlueskySource(SourceSettings(**({"name": "bluesky", "network": "bluesky", "query": "lumifern"} | given)))


def texts(mentions: Any) -> list[str]:
    return [mention.text for mention in mentions]


# what is heard


def test_a_query_is_needed() -> None:
    with pytest.raises(ConfigurationError, match="query"):
        source_of(query="  ")


def test_reading_needs_no_key(bluesky_network: FakeNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EARSHOT_SECRET_BLUESKY_APP_PASSWORD")
    bluesky_network.post("hello")
    assert len(read_all(bluesky_network.source(replies=False, account=""))[0]) == 1


def test_a_post_is_heard_for_one_word_or_phrase_whatever_its_capitals(bluesky_network: FakeNetwork) -> None:
    for said in ("My LUMIFERN is dark", "the lamp is so bright", "a bright lamp", "台灯坏了", "nothing of ours"):
        bluesky_network.world.post("bluesky", "ann", said, at=NOW)
    heard, _, _ = read_all(bluesky_network.source(query='lumifern "lamp is" 台灯'))
    assert texts(heard) == ["My LUMIFERN is dark", "the lamp is so bright", "台灯坏了"]


def test_posts_that_name_our_account_are_heard_without_our_words(bluesky_network: FakeNetwork) -> None:
    world = bluesky_network.world
    named = world.post("bluesky", "ann", "hey @lumi.example, is it you?", at=NOW)
    world.post("bluesky", "ann", "hey @other.example", at=NOW)
    us = world.someone("bluesky", world.account)
    assert us is not None
    features = [{"$type": "app.bsky.richtext.facet#mention", "did": us.native_id}]
    bluesky_network.app.changes[named] = {"facets": [{"index": {"byteStart": 4, "byteEnd": 17}, "features": features}]}
    assert [mention.native_id for mention in read_all(bluesky_network.source(query="nothing"))[0]] == [named]


def test_an_account_that_nobody_has_is_said(bluesky_network: FakeNetwork) -> None:
    with pytest.raises(SourceConfused, match="account"):
        bluesky_network.source(account="nobody.example").fetch(None, now=NOW)


def test_an_author_is_known_by_the_id_that_never_changes(bluesky_network: FakeNetwork) -> None:
    world = bluesky_network.world
    ann = world.person("bluesky", "ann", name="Ann", bio="lamps", followers=12, following=3)
    bluesky_network.post("hello")
    (mention,), _, _ = read_all(bluesky_network.source())
    author = mention.author
    assert author is not None
    assert (author.native_id, author.handle, author.name, author.bio) == (ann.native_id, "ann", "Ann", "lamps")
    assert (author.followers, author.following, author.posts) == (12, 3, 7)
    assert mention.url == f"{bluesky_network.url}/profile/{ann.native_id}/post/{mention.native_id.rpartition('/')[2]}"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Lumi\u202efern\u200b Sup\u2066port", "Lumifern Support"),
        ("  a \u2003\n  b\u00a0 ", "a b"),
        ("\u200b\u200d\u2060", "ann"),
        ("", "ann"),
        (7, "ann"),
    ],
)
def test_a_name_holds_nothing_unseen_and_the_handle_is_always_there(bluesky_network: FakeNetwork, name: object, shown: str) -> None:
    """Incident 7: a name of zero-width and bidi marks passes for another's."""
    bluesky_network.post("hello")
    bluesky_network.app.profiles["ann"] = {"displayName": name}
    (mention,), _, _ = read_all(bluesky_network.source())
    assert mention.author is not None
    assert (mention.author.name, mention.author.handle) == (shown, "ann")


@pytest.mark.parametrize("handle", ["handle.invalid", "", None, {"x": 1}])
def test_without_a_good_handle_the_id_stands_for_it(bluesky_network: FakeNetwork, handle: object) -> None:
    bluesky_network.post("hello")
    bluesky_network.app.profiles["ann"] = {"handle": handle, "createdAt": "long ago", "followersCount": "many"}
    (mention,), _, _ = read_all(bluesky_network.source())
    assert mention.author is not None
    assert mention.author.handle == mention.author.native_id


def test_an_author_without_a_profile_is_known_by_the_id(bluesky_network: FakeNetwork) -> None:
    bluesky_network.post("hello")
    bluesky_network.faults.on("getProfiles", answers(200, body=b'{"profiles": []}'))
    (mention,), _, _ = read_all(bluesky_network.source())
    assert mention.author is not None
    assert mention.author.handle.startswith("did:plc:")


def test_while_nobody_tells_who_wrote_it_nothing_is_passed_over(bluesky_network: FakeNetwork) -> None:
    posted = bluesky_network.post("hello")
    bluesky_network.faults.on("getProfiles", breaks())
    source = bluesky_network.source()
    with pytest.raises(SourceUnavailable):
        source.fetch(None, now=NOW)
    assert [mention.native_id for mention in read_all(source)[0]] == [posted]


def test_many_authors_cost_a_call_for_each_twenty_five(bluesky_network: FakeNetwork) -> None:
    for number in range(60):
        bluesky_network.post("hello", author=f"ann{number}")
    assert len(read_all(bluesky_network.source())[0]) == 60
    assert bluesky_network.faults.count("getProfiles") == 3


def test_link_text_that_lies_is_replaced_by_where_it_leads(bluesky_network: FakeNetwork) -> None:
    text = "lumifern: ä see bank.example/login or this page"
    posted = bluesky_network.world.post("bluesky", "ann", text, at=NOW)

    def facet(part: str, uri: str) -> dict[str, Any]:
        start = text.encode().index(part.encode())
        features = [{"$type": "app.bsky.richtext.facet#link", "uri": uri}]
        return {"index": {"byteStart": start, "byteEnd": start + len(part.encode())}, "features": features}

    facets = [facet("bank.example/login", "https://evil.example/x"), facet("this page", "https://evil.example/y")]
    bluesky_network.app.changes[posted] = {"facets": facets}
    (mention,), _, _ = read_all(bluesky_network.source())
    assert mention.text == "lumifern: ä see https://evil.example/x or this page"


def test_an_edited_post_comes_again(bluesky_network: FakeNetwork) -> None:
    posted = bluesky_network.post("dark", at=NOW - timedelta(hours=1))
    source = bluesky_network.source()
    _, cursor, _ = read_all(source)
    bluesky_network.world.edit("bluesky", posted, "lumifern: bright", at=NOW)
    assert texts(read_all(source, cursor, now=LATER)[0])[-1] == "lumifern: bright"


# what is gone


def test_a_deleted_post_is_said_to_be_gone(bluesky_network: FakeNetwork) -> None:
    posted = bluesky_network.post("hello")
    source = bluesky_network.source()
    _, cursor, _ = read_all(source)
    bluesky_network.world.delete("bluesky", posted)
    heard, _, pages = read_all(source, cursor, now=LATER)
    assert [page.deleted for page in pages] == [(posted,)]
    assert heard == []


@pytest.mark.parametrize("status", ["deactivated", "deleted", "suspended", "takendown"])
def test_with_an_account_its_posts_are_gone(bluesky_network: FakeNetwork, status: str) -> None:
    theirs = [bluesky_network.post(f"number {n}", author="eve") for n in range(2)]
    bluesky_network.post("mine", author="ann")
    source = bluesky_network.source()
    _, cursor, _ = read_all(source)
    bluesky_network.world.account_is("eve", active=False, status=status)
    _, cursor, pages = read_all(source, cursor, now=LATER)
    assert set(pages[0].deleted) == set(theirs)
    assert all(native_id not in str(cursor) for native_id in theirs)


@pytest.mark.parametrize(("active", "status"), [(True, None), (False, "throttled"), (False, "desynchronized")])
def test_an_account_that_is_back_or_only_slow_loses_nothing(bluesky_network: FakeNetwork, active: bool, status: str | None) -> None:
    bluesky_network.post("hello", author="eve")
    bluesky_network.world.account_is("eve", active=active, status=status)
    heard, _, pages = read_all(bluesky_network.source())
    assert len(heard) == 1
    assert pages[0].deleted == ()


def test_posts_can_be_asked_after(bluesky_network: FakeNetwork) -> None:
    posted = [bluesky_network.post(f"number {n}") for n in range(30)]
    source = bluesky_network.source()
    assert source.gone(posted) == ()
    assert source.gone(["nonsense", f"at://did:plc:x/{COLLECTION}/3k", posted[0]]) == (f"at://did:plc:x/{COLLECTION}/3k",)
    assert source.gone([]) == ()
    bluesky_network.faults.on("getPosts", answers(200, body=b'{"posts": []}'))
    assert source.gone(posted[:3]) == ()
    for native_id in posted[:2]:
        bluesky_network.world.delete("bluesky", native_id)
    assert source.gone(posted[:2]) == tuple(posted[:2])


@pytest.mark.parametrize("fault", [breaks(), answers(500), answers(400), answers(200, body=b'{"posts": [{}]}')])
def test_asking_after_posts_in_trouble_says_nothing_of_them(bluesky_network: FakeNetwork, fault: Any) -> None:
    posted = bluesky_network.post("hello")
    bluesky_network.faults.on("getPosts", fault)
    with pytest.raises((SourceUnavailable, SourceConfused)):
        bluesky_network.source().gone([posted])


def test_the_cursor_stays_small(bluesky_network: FakeNetwork) -> None:
    for number in range(700):
        bluesky_network.post(f"number {number}")
    _, cursor, pages = read_all(bluesky_network.source())
    assert len(pages) == 7
    assert len(json.loads(str(cursor))["heard"]) == source_module.MOST_REMEMBERED


# the stream


def test_what_the_stream_keeps_no_more_is_a_gap(bluesky_network: FakeNetwork) -> None:
    for number in range(10):
        bluesky_network.post(f"early {number}", at=NOW - timedelta(hours=3))
    source = bluesky_network.source()
    _, cursor, first = read_all(source)
    for number in range(10):
        bluesky_network.post(f"late {number}", at=NOW)
    bluesky_network.app.keeps = 4
    heard, cursor, pages = read_all(source, cursor, now=LATER)
    (gap,) = [page.gap for page in pages if page.gap]
    assert first[0].gap is None
    assert len(heard) == 4
    assert NOW - timedelta(hours=3, seconds=2) < gap.since < NOW - timedelta(hours=2)
    assert NOW - timedelta(seconds=2) < gap.until <= NOW
    assert all(page.gap is None for page in read_all(source, cursor, now=LATER)[2])


def test_a_backlog_is_read_in_pages_without_a_second_reading(bluesky_network: FakeNetwork) -> None:
    posted = [bluesky_network.post(f"number {n}") for n in range(230)]
    heard, _, pages = read_all(bluesky_network.source())
    assert [mention.native_id for mention in heard] == posted
    assert [page.more for page in pages] == [True, True, False]
    assert all(page.gap is None for page in pages)


def test_events_of_one_moment_are_never_parted(bluesky_network: FakeNetwork) -> None:
    posted = [bluesky_network.post(f"number {n}") for n in range(230)]

    def same(body: Any) -> Any:
        for event in body:
            event["time_us"] = body[0]["time_us"]
        return body

    bluesky_network.faults.on("/subscribe", rewrites(same))
    page = bluesky_network.source().fetch(None, now=NOW)
    assert [mention.native_id for mention in page.mentions] == posted


def test_a_moment_far_ahead_does_not_deafen_us(bluesky_network: FakeNetwork) -> None:
    posted = [bluesky_network.post(f"number {n}") for n in range(3)]

    def ahead(body: Any) -> Any:
        body[1]["time_us"] += 400 * 86_400 * 1_000_000
        return body

    bluesky_network.faults.on("/subscribe", rewrites(ahead))
    source = bluesky_network.source()
    heard, cursor, _ = read_all(source)
    again, _, _ = read_all(source, cursor)
    assert {mention.native_id for mention in (*heard, *again)} == set(posted)


def test_events_that_nobody_knows_are_passed_over(bluesky_network: FakeNetwork) -> None:
    posted = bluesky_network.post("hello")

    def more(body: Any) -> Any:
        now = body[0]["time_us"]
        strange = [{"kind": "sync"}, {"kind": "commit", "commit": {"collection": "app.bsky.feed.like"}}, {"kind": "account", "account": 7}]
        return [{"did": "did:plc:x", "time_us": now} | event for event in strange] + ["words", 7, None, [], {}, *body]

    bluesky_network.faults.on("/subscribe", rewrites(more))
    with structlog.testing.capture_logs() as lines:
        heard, _, _ = read_all(bluesky_network.source())
    assert [mention.native_id for mention in heard] == [posted]
    assert "hello" not in str(lines)


def test_a_stream_that_falls_silent_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "QUIET_SECONDS", 0.2)
    world = bluesky.world(lambda: NOW)
    posted = world.post("bluesky", "ann", "lumifern", at=NOW)
    with serve_app(WebSockets(bluesky.app(world), live=None)) as served:
        source = source_of(url=served.url, allow_private=True)
        heard, cursor, pages = read_all(source)
        assert [mention.native_id for mention in heard] == [posted]
        assert not pages[-1].more
        world.log.clear()
        with pytest.raises(SourceUnavailable, match="says nothing"):
            source.fetch(cursor, now=LATER)
        source.close()


def test_a_server_that_hangs_up_midway_costs_nothing() -> None:
    world = bluesky.world(lambda: NOW)
    posted = [world.post("bluesky", "ann", f"lumifern {n}", at=NOW) for n in range(3)]
    layer = WebSockets(bluesky.app(world), live=None)
    layer.ends = True
    with serve_app(layer) as served:
        source = source_of(url=served.url, allow_private=True)
        assert [mention.native_id for mention in read_all(source)[0]] == posted
        source.close()


def test_a_private_address_is_not_visited(bluesky_network: FakeNetwork) -> None:
    for url in (bluesky_network.url, bluesky_network.url.replace("http", "ws")):
        with pytest.raises(SourceRefused, match="private"):
            source_of(url=url).fetch(None, now=NOW)
    assert bluesky_network.faults.calls == []


def test_a_stream_elsewhere_is_asked_for_the_stream_alone(bluesky_network: FakeNetwork) -> None:
    source = source_of(url=bluesky_network.url.replace("http", "ws"), allow_private=True)
    assert read_all(source)[0] == []
    assert bluesky_network.faults.calls == [("GET", "/subscribe")]
    source.close()


# answering


def test_an_answer_called_for_twice_stands_once(bluesky_network: FakeNetwork) -> None:
    asked = bluesky_network.post("how?")
    posted = bluesky_network.source().reply(asked, "Hold the ring.", key="1")
    with pytest.raises(ReplyUnknown):
        bluesky_network.source().reply(asked, "Hold the ring.", key="1")
    assert bluesky_network.source().find_reply(asked, "Hold the ring.") == posted
    assert len(bluesky_network.world.replies("bluesky")) == 1


def test_the_same_answer_to_two_people_stands_twice(bluesky_network: FakeNetwork) -> None:
    source = bluesky_network.source()
    for asked in [bluesky_network.post("how?"), bluesky_network.post("how?", author="bob")]:
        source.reply(asked, "Hold the ring.", key="1")
    assert len(bluesky_network.world.replies("bluesky")) == 2


def test_an_answer_names_its_parent_and_the_root_of_the_thread(bluesky_network: FakeNetwork) -> None:
    root = bluesky_network.post("how?")
    child = bluesky_network.post("me too", author="bob", reply_to=root)
    bluesky_network.source().reply(child, "See https://lumifern.example/ä?x=1.", key="1")
    (record,) = bluesky_network.app.records
    assert record["reply"] == {"root": {"uri": root, "cid": bluesky.cid(root)}, "parent": {"uri": child, "cid": bluesky.cid(child)}}
    (facet,) = record["facets"]
    place = facet["index"]
    assert record["text"].encode()[place["byteStart"] : place["byteEnd"]].decode() == "https://lumifern.example/ä?x=1"
    assert facet["features"][0]["uri"] == "https://lumifern.example/ä?x=1"


def test_one_session_serves_many_answers(bluesky_network: FakeNetwork) -> None:
    source = bluesky_network.source()
    for number in range(3):
        source.reply(bluesky_network.post(f"number {number}"), "Hold the ring.", key=str(number))
    assert bluesky_network.faults.count("createSession") == 1


def test_a_session_that_ended_is_begun_again(bluesky_network: FakeNetwork) -> None:
    source = bluesky_network.source()
    source.reply(bluesky_network.post("one"), "Hold the ring.", key="1")
    bluesky_network.app.sessions.clear()
    asked = bluesky_network.post("two")
    with pytest.raises(SourceUnavailable, match="session"):
        source.reply(asked, "Hold the ring.", key="2")
    source.reply(asked, "Hold the ring.", key="2")
    assert len(bluesky_network.world.replies("bluesky")) == 2


def test_a_wrong_app_password_is_said_and_nothing_is_posted(bluesky_network: FakeNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARSHOT_SECRET_BLUESKY_APP_PASSWORD", "canary-wrong")
    with pytest.raises(SourceRefused, match="EARSHOT_SECRET_BLUESKY_APP_PASSWORD") as caught:
        bluesky_network.source().reply(bluesky_network.post("how?"), "Hold the ring.", key="1")
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "native_id", ["", "4711", "at://did:plc:x/app.bsky.feed.like/3k", "at://did:plc:x/../y", f"at://ann/{COLLECTION}/3k"]
)
def test_what_is_no_post_of_bluesky_is_not_answered(bluesky_network: FakeNetwork, native_id: str) -> None:
    with pytest.raises(ReplyRefused):
        bluesky_network.source().reply(native_id, "Hold the ring.", key="1")
    assert bluesky_network.faults.calls == []


def test_an_answer_has_a_key_of_the_form_that_keys_of_posts_have_a_little_after_its_parents(bluesky_network: FakeNetwork) -> None:
    asked = bluesky_network.post("how?")
    posted = bluesky_network.source().reply(asked, "Hold the ring.", key="1")
    parent, key = (native_id.rpartition("/")[2] for native_id in (asked, posted.native_id))
    assert len(key) == 13
    assert set(key) <= set("234567abcdefghijklmnopqrstuvwxyz")
    assert parent[:4] == key[:4]
    assert parent <= key


def test_an_answer_to_a_post_with_a_key_of_another_form_stands_too(bluesky_network: FakeNetwork) -> None:
    ann = bluesky_network.world.person("bluesky", "ann")
    root = bluesky_network.post("how?")
    odd = bluesky_network.world.answer_at("self", "ann", "lumifern", reply_to=root)
    assert odd == f"at://{ann.native_id}/{COLLECTION}/self"
    posted = bluesky_network.source().reply(odd, "Hold the ring.", key="1")
    assert bluesky_network.source().find_reply(odd, "Hold the ring.") == posted
    assert len(posted.native_id.rpartition("/")[2]) == 13

"""What is Mastodon's alone: tags, search, threads on many servers, visibility, edits, and authors who must belong to their posts."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
import structlog
from fake_networks import mastodon
from fake_networks.faults import answers, rewrites, says_first
from fake_networks.fixtures import NOW, FakeNetwork, read_all

from earshot.errors import ConfigurationError, ReplyRefused, SourceConfused, SourceRefused, SourceUnavailable
from listener import live
from listener.source import Source


def ids(mentions: list[Any]) -> set[str]:
    return {mention.native_id for mention in mentions}


@pytest.fixture
def anonymous(mastodon_network: FakeNetwork, monkeypatch: pytest.MonkeyPatch) -> FakeNetwork:
    monkeypatch.delenv("EARSHOT_SECRET_MASTODON_TOKEN")
    return mastodon_network


# hearing


def test_a_tag_needs_neither_key_nor_account(anonymous: FakeNetwork) -> None:
    posted = {anonymous.post(f"number {n}") for n in range(90)}
    assert ids(read_all(anonymous.source(replies=False, account=""))[0]) == posted


def test_words_need_a_token_and_are_looked_for_to_the_end(mastodon_network: FakeNetwork) -> None:
    world = mastodon_network.world
    posted = {world.post("mastodon", "ann", f"my Lumifern lamp {n}", at=NOW, place="elsewhere") for n in range(150)}
    world.post("mastodon", "bob", "my cactus", at=NOW)
    heard, _, _ = read_all(mastodon_network.source(query="lumifern lamp"))
    assert ids(heard) == posted
    assert mastodon_network.faults.count("/api/v1/timelines") == 0


def test_words_without_a_token_are_refused_before_anything_is_called(anonymous: FakeNetwork) -> None:
    with pytest.raises(ConfigurationError, match="EARSHOT_SECRET_MASTODON_TOKEN"):
        anonymous.source(query="lumifern lamp", replies=False)


def test_posts_with_any_of_several_tags_are_heard(mastodon_network: FakeNetwork) -> None:
    posted = {mastodon_network.world.post("mastodon", "ann", "x", at=NOW, place=place) for place in ("one", "two")}
    mastodon_network.world.post("mastodon", "ann", "x", at=NOW, place="three")
    assert ids(read_all(mastodon_network.source(query="#one #Two"))[0]) == posted


@pytest.mark.parametrize(("query", "words"), [("", "query"), ("#a #b #c #d #e #f", "make two")])
def test_a_query_that_mastodon_would_not_take_is_refused_in_words(mastodon_network: FakeNetwork, query: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        mastodon_network.source(query=query)


def test_who_speaks_to_us_is_heard_without_a_tag(mastodon_network: FakeNetwork) -> None:
    world = mastodon_network.world
    asked = {world.post("mastodon", "ann", f"@lumifern what about {n}?", at=NOW, place="none") for n in range(60)}
    assert ids(read_all(mastodon_network.source())[0]) == asked


def test_who_speaks_to_us_with_a_tag_is_one_mention(mastodon_network: FakeNetwork) -> None:
    asked = mastodon_network.post("@lumifern help")
    heard, _, _ = read_all(mastodon_network.source())
    assert [mention.native_id for mention in heard] == [asked]


@pytest.mark.parametrize("visibility", ["private", "direct", "limited"])
def test_what_is_not_public_is_not_heard(mastodon_network: FakeNetwork, visibility: str) -> None:
    whispered = mastodon_network.post("@lumifern between us")
    mastodon_network.app.visibility[whispered] = visibility
    unlisted = mastodon_network.post("@lumifern for all")
    mastodon_network.app.visibility[unlisted] = "unlisted"
    assert ids(read_all(mastodon_network.source())[0]) == {unlisted}


def test_a_post_that_the_server_heard_of_late_is_heard_among_those_of_its_time(mastodon_network: FakeNetwork) -> None:
    for n in range(60):
        mastodon_network.post(f"number {n}", at=NOW - timedelta(seconds=n))
    source = mastodon_network.source()
    _, cursor, _ = read_all(source)
    late = mastodon_network.post("from a slow server", at=NOW - timedelta(minutes=10))
    heard, _, _ = read_all(source, cursor, now=NOW + timedelta(minutes=1))
    assert ids(heard) == {late}


@pytest.mark.parametrize("ahead", [timedelta(hours=1), timedelta(hours=-1)])
def test_a_clock_that_goes_wrong_for_one_poll_loses_nothing(mastodon_network: FakeNetwork, ahead: timedelta) -> None:
    source = mastodon_network.source()
    mastodon_network.post("known", at=NOW - timedelta(minutes=1))
    _, cursor, _ = read_all(source, now=NOW + ahead)
    new = {mastodon_network.post(f"number {n}", at=NOW + timedelta(seconds=n)) for n in range(100)}
    heard, _, _ = read_all(source, cursor, now=NOW + timedelta(minutes=2))
    assert ids(heard) == new


def test_the_next_page_is_asked_for_as_the_server_says_but_of_that_server(mastodon_network: FakeNetwork) -> None:
    for n in range(45):
        mastodon_network.post(f"number {n}")
    link = '<http://elsewhere.example/api?max_id=1&evil=1>; rel="next"'
    mastodon_network.faults.on(mastodon_network.reads, answers(200, headers={"link": link}, body=b'[{"id": "9"}]'))
    source = mastodon_network.source()
    first = source.fetch(None, now=NOW)
    mastodon_network.faults.calls.clear()
    assert source.fetch(first.cursor, now=NOW).mentions == ()
    assert [path for _, path in mastodon_network.faults.calls] == ["/api/v1/timelines/tag/lumifern"]


def test_a_warning_stands_before_the_post_and_links_are_whole(mastodon_network: FakeNetwork) -> None:
    posted = mastodon_network.post("see https://lumifern.example/very/long?x=1\n\n@bob too")
    mastodon_network.app.warnings[posted] = "Lamps & light"
    (mention,), _, _ = read_all(mastodon_network.source())
    assert mention.text == "Lamps & light\n\nlumifern: see https://lumifern.example/very/long?x=1\n\n@bob too"


def test_hidden_counts_are_unknown_and_not_negative(mastodon_network: FakeNetwork) -> None:
    mastodon_network.post("hello")

    def hide(body: Any) -> Any:
        body[0]["account"]["followers_count"] = -1
        body[0]["favourites_count"] = "many"
        return body

    mastodon_network.faults.on(mastodon_network.reads, rewrites(hide))
    (mention,), _, _ = read_all(mastodon_network.source())
    assert mention.author is not None
    assert (mention.author.followers, mention.likes, mention.replies) == (None, None, 0)


def test_a_boost_says_whose_post_it_is(mastodon_network: FakeNetwork) -> None:
    posted = mastodon_network.post("first")

    def boost(body: Any) -> Any:
        return [body[0] | {"id": "77", "content": "", "reblog": body[0]}]

    mastodon_network.faults.on(mastodon_network.reads, rewrites(boost))
    heard = {mention.native_id: mention for mention in mastodon_network.source().fetch(None, now=NOW).mentions}
    assert (heard["77@127.0.0.1"].repost_of, heard["77@127.0.0.1"].text) == (posted, "lumifern: first")


# who wrote it


@pytest.mark.parametrize(
    ("uri", "account"),
    [
        ("https://evil.example/1", {}),
        ("", {}),
        ("tag:evil.example,2026:1", {}),
        ("https://home.example/1", {"uri": "https://other.example/users/ann"}),
        ("https://home.example/1", {"uri": None, "url": "https://other.example/@ann", "acct": "ann@other.example"}),
        ("https://home.example.evil.example/1", {"uri": "https://home.example/users/ann"}),
        ("https://home.example@evil.example/1", {"uri": "https://home.example/users/ann"}),
    ],
)
def test_a_post_whose_author_and_origin_disagree_is_refused(mastodon_network: FakeNetwork, uri: str, account: dict[str, Any]) -> None:
    """Incident 9: an account was imitated by posts that another server had made."""
    forged, honest = mastodon_network.post("I am Ann"), mastodon_network.post("so am I")

    def forge(body: Any) -> Any:
        for status in body:
            if status["id"] == forged.partition("@")[0]:
                status["uri"] = uri
                status["account"] |= account
        return body

    mastodon_network.faults.on(mastodon_network.reads, rewrites(forge))
    with structlog.testing.capture_logs() as lines:
        heard, _, _ = read_all(mastodon_network.source())
    assert ids(heard) == {honest}
    assert forged in [line.get("native_id") for line in lines]


def test_authors_are_known_by_an_address_that_outlives_their_names(mastodon_network: FakeNetwork) -> None:
    mastodon_network.post("hello")
    source = mastodon_network.source()
    (before,), cursor, _ = read_all(source)
    mastodon_network.world.person("mastodon", "Ann", name="Ann of Lamps")
    mastodon_network.post("hello again", author="Ann", at=NOW + timedelta(minutes=1))
    (after,), _, _ = read_all(source, cursor, now=NOW + timedelta(minutes=2))
    assert before.author is not None
    assert after.author is not None
    assert before.author.native_id == after.author.native_id == f"{mastodon_network.url}/users/ann"
    assert before.author.name != after.author.name


def test_an_older_server_that_tells_no_address_of_authors_is_read(mastodon_network: FakeNetwork) -> None:
    posted = mastodon_network.post("hello")
    account = {"id": "5", "acct": "ann@home.example", "url": "https://www.home.example/@ann"}
    mastodon_network.app.changes[posted] = {"uri": "https://home.example/users/ann/1", "account": account}
    (mention,), _, _ = read_all(mastodon_network.source())
    assert mention.author is not None
    assert (mention.author.native_id, mention.author.handle) == ("5@127.0.0.1", "ann@home.example")


@pytest.mark.parametrize("account", [None, {}, [], "ann"])
def test_a_post_without_an_author_is_skipped(mastodon_network: FakeNetwork, account: object) -> None:
    posted = mastodon_network.post("hello")
    mastodon_network.app.changes[posted] = {"account": account}
    assert read_all(mastodon_network.source())[0] == []


def test_a_suspended_author_is_hidden_and_told_as_deleted(mastodon_network: FakeNetwork) -> None:
    posted = mastodon_network.post("hello")
    mastodon_network.app.changes[posted] = {"account": {"id": "5", "acct": "ann", "suspended": True}}
    page = mastodon_network.source().fetch(None, now=NOW)
    assert (page.mentions, page.deleted) == ((), (posted,))


# threads


def test_a_reply_to_a_post_outside_the_tag_knows_its_thread(mastodon_network: FakeNetwork) -> None:
    world = mastodon_network.world
    root = world.post("mastodon", "ann", "which lamp?", at=NOW, place="none")
    middle = world.post("mastodon", "bob", "hm", at=NOW, reply_to=root)
    for n in range(3):
        world.post("mastodon", "cy", f"lumifern {n}", at=NOW, reply_to=middle, place="lumifern")
    heard, _, _ = read_all(mastodon_network.source())
    assert [(mention.parent_id, mention.thread_id) for mention in heard] == [(middle, root)] * 3
    assert mastodon_network.faults.count("/context") == 1


def test_a_reply_whose_parents_are_gone_begins_a_thread_below_them(mastodon_network: FakeNetwork) -> None:
    world = mastodon_network.world
    root = world.post("mastodon", "ann", "which lamp?", at=NOW, place="none")
    world.post("mastodon", "cy", "lumifern", at=NOW, reply_to=root, place="lumifern")
    world.delete("mastodon", root)
    (mention,), _, _ = read_all(mastodon_network.source())
    assert (mention.parent_id, mention.thread_id) == (root, root)


def test_a_thread_that_cannot_be_had_now_keeps_the_page_for_later(mastodon_network: FakeNetwork) -> None:
    world = mastodon_network.world
    root = world.post("mastodon", "ann", "which lamp?", at=NOW, place="none")
    posted = world.post("mastodon", "cy", "lumifern", at=NOW, reply_to=root, place="lumifern")
    source = mastodon_network.source()
    for fault in (answers(500), answers(200, body=b"[]"), answers(200, body=b'{"ancestors": [7]}')):
        mastodon_network.faults.on("/context", fault)
        with pytest.raises((SourceUnavailable, SourceConfused)):
            source.fetch(None, now=NOW)
    assert ids(read_all(source)[0]) == {posted}


# edits and deletions


def test_an_edited_post_comes_again_with_its_new_words_once(mastodon_network: FakeNetwork) -> None:
    posted = mastodon_network.post("frist")
    source = mastodon_network.source()
    _, cursor, _ = read_all(source)
    mastodon_network.world.edit("mastodon", posted, "lumifern: first", at=NOW + timedelta(minutes=1))
    (again,), cursor, _ = read_all(source, cursor, now=NOW + timedelta(minutes=2))
    assert (again.native_id, again.text, again.posted_at) == (posted, "lumifern: first", NOW)
    assert read_all(source, cursor, now=NOW + timedelta(minutes=3))[0] == []


def test_an_edit_long_after_the_post_is_found_by_looking_after_it(mastodon_network: FakeNetwork) -> None:
    posted = mastodon_network.post("frist", at=NOW - timedelta(hours=5))
    for n in range(100):
        mastodon_network.post(f"number {n}", at=NOW - timedelta(hours=4))
    source = mastodon_network.source()
    _, cursor, _ = read_all(source)
    mastodon_network.world.edit("mastodon", posted, "lumifern: first", at=NOW)
    texts: list[str] = []
    for n in range(1, 7):
        heard, cursor, _ = read_all(source, cursor, now=NOW + timedelta(minutes=n))
        texts += [mention.text for mention in heard]
    assert texts == ["lumifern: first"]


@pytest.mark.parametrize("knows_batches", [True, False])
def test_deleted_posts_are_found_by_looking_after_them(mastodon_network: FakeNetwork, knows_batches: bool) -> None:
    app = mastodon.app(mastodon_network.world, knows_batches=knows_batches)
    mastodon_network.faults.begin(app)
    posted = [mastodon_network.post(f"number {n}") for n in range(30)]
    source = mastodon_network.source()
    _, cursor, _ = read_all(source)
    gone, whispered = posted[3], posted[21]
    mastodon_network.world.delete("mastodon", gone)
    app.visibility[whispered] = "private"
    told: set[str] = set()
    for n in range(1, 9):
        _, cursor, pages = read_all(source, cursor, now=NOW + timedelta(minutes=n))
        told |= {native_id for page in pages for native_id in page.deleted}
    assert told == {gone, whispered}


def test_a_batch_that_leaves_posts_out_deletes_nothing_by_itself(mastodon_network: FakeNetwork) -> None:
    posted = [mastodon_network.post(f"number {n}") for n in range(3)]
    source = mastodon_network.source()
    for body in (b"[]", b"{}", b'[7, {"id": 1}]'):
        mastodon_network.faults.on("/api/v1/statuses", answers(200, body=body))
        assert source.gone(posted) == ()


def test_an_answer_that_is_no_post_deletes_none(mastodon_network: FakeNetwork) -> None:
    posted = mastodon_network.post("hello")
    source = mastodon_network.source()
    mastodon_network.faults.on("/api/v1/statuses", *(answers(200, body=body) for body in (b"[]", b"{}")))
    with pytest.raises(SourceConfused):
        source.gone([posted])


def test_a_network_that_does_not_let_us_look_is_still_heard(mastodon_network: FakeNetwork) -> None:
    posted = {mastodon_network.post(f"number {n}") for n in range(3)}
    mastodon_network.faults.on("/api/v1/statuses", answers(403), forever=True)
    heard, _, pages = read_all(mastodon_network.source())
    assert ids(heard) == posted
    assert [page.deleted for page in pages if page.deleted] == []


def test_a_cursor_stays_small(mastodon_network: FakeNetwork) -> None:
    for n in range(700):
        mastodon_network.post(f"number {n}", at=NOW - timedelta(seconds=n))
    heard, cursor, _ = read_all(mastodon_network.source())
    assert len(heard) == 700
    assert len(cursor or "") < 40_000


# manners


def test_no_call_is_made_before_the_window_ends_once_it_is_used_up(mastodon_network: FakeNetwork) -> None:
    mastodon_network.faults.begin(mastodon.app(mastodon_network.world, left=1))
    source = mastodon_network.source()
    source.fetch(None, now=NOW)
    for _ in range(3):
        with pytest.raises(SourceUnavailable) as caught:
            source.fetch(None, now=NOW)
        assert caught.value.retry_at is not None
    assert len(mastodon_network.faults.calls) == 1


def test_a_server_in_our_own_house_is_visited_only_when_the_settings_say_so(mastodon_network: FakeNetwork) -> None:
    with pytest.raises(SourceRefused, match="allow_private"):
        mastodon_network.source(allow_private=False).fetch(None, now=NOW)
    assert mastodon_network.faults.calls == []


# answering


def test_a_reply_names_its_reader_and_is_as_public_as_the_post(mastodon_network: FakeNetwork) -> None:
    asked = mastodon_network.post("a question")
    mastodon_network.app.visibility[asked] = "unlisted"
    posted = mastodon_network.source().reply(asked, "Hold the ring.", key="1")
    (reply,) = mastodon_network.world.replies("mastodon")
    assert reply.text == "@ann Hold the ring."
    assert mastodon_network.app.visibility[posted.native_id] == "unlisted"


def test_a_reply_that_names_its_reader_already_does_so_once(mastodon_network: FakeNetwork) -> None:
    asked = mastodon_network.post("a question")
    mastodon_network.source().reply(asked, "Hold the ring, @Ann.", key="1")
    assert mastodon_network.world.replies("mastodon")[0].text == "Hold the ring, @Ann."


def test_the_same_key_makes_one_reply(mastodon_network: FakeNetwork) -> None:
    asked = mastodon_network.post("a question")
    source = mastodon_network.source()
    assert source.reply(asked, "Hold the ring.", key="case-7") == source.reply(asked, "Hold the ring.", key="case-7")
    assert len(mastodon_network.world.replies("mastodon")) == 1


def test_a_post_that_is_private_meanwhile_is_not_answered(mastodon_network: FakeNetwork) -> None:
    asked = mastodon_network.post("a question")
    mastodon_network.app.changes[asked] = {"visibility": "direct"}
    with pytest.raises(ReplyRefused, match="public"):
        mastodon_network.source().reply(asked, "Hold the ring.", key="1")


def test_a_post_of_another_server_is_not_answered_here(mastodon_network: FakeNetwork) -> None:
    for native_id in ("1@elsewhere.example", "1", "../1@127.0.0.1"):
        with pytest.raises(ReplyRefused, match="heard"):
            mastodon_network.source().reply(native_id, "Hold the ring.", key="1")
    assert mastodon_network.faults.calls == []


def test_trouble_before_the_reply_leaves_no_doubt_about_it(mastodon_network: FakeNetwork) -> None:
    asked = mastodon_network.post("a question")
    for fault in (answers(500), answers(200, body=b"{}"), answers(200, body=b"no JSON")):
        mastodon_network.faults.on("/api/v1/statuses", fault)
        with pytest.raises(SourceUnavailable):
            mastodon_network.source().reply(asked, "Hold the ring.", key="1")
    assert [method for method, _ in mastodon_network.faults.calls] == ["GET"] * 3


def test_whether_a_reply_stands_below_a_post_that_is_gone_is_not_guessed(mastodon_network: FakeNetwork) -> None:
    asked = mastodon_network.post("a question")
    source = mastodon_network.source()
    source.reply(asked, "Hold the ring.", key="1")
    mastodon_network.world.delete("mastodon", asked)
    with pytest.raises(SourceConfused):
        source.find_reply(asked, "Hold the ring.")


# the stream


@pytest.fixture
def streaming(mastodon_network: FakeNetwork, monkeypatch: pytest.MonkeyPatch) -> Source:
    monkeypatch.setattr(live, "STRETCH_SECONDS", 0.2)
    return mastodon_network.source(stream=True)


def test_an_edit_in_the_stream_brings_the_new_words(mastodon_network: FakeNetwork, streaming: Source) -> None:
    edited = mastodon_network.post("first words")
    _, cursor, _ = read_all(streaming)
    mastodon_network.world.edit("mastodon", edited, "better words", at=NOW)
    heard, _, pages = read_all(streaming, cursor)
    assert [(mention.native_id, mention.text) for mention in heard] == [(edited, "better words")]
    assert len(pages) <= 3


def test_a_deletion_in_the_stream_is_told(mastodon_network: FakeNetwork, streaming: Source) -> None:
    gone = mastodon_network.post("regretted")
    _, cursor, _ = read_all(streaming)
    mastodon_network.world.delete("mastodon", gone)
    _, _, pages = read_all(streaming, cursor)
    assert [native_id for page in pages for native_id in page.deleted] == [gone]


def test_what_is_posted_and_deleted_within_one_page_is_gone(mastodon_network: FakeNetwork, streaming: Source) -> None:
    _, cursor, _ = read_all(streaming)
    status = {"id": "7", "visibility": "public"}
    told = f"event: update\ndata: {json.dumps(status)}\n\nevent: delete\ndata: 7\n\n"
    mastodon_network.faults.on("/streaming/hashtag", says_first(told.encode()))
    again = mastodon_network.source(stream=True)
    heard, _, pages = read_all(again, cursor)
    assert heard == []
    assert [native_id for page in pages for native_id in page.deleted] == ["7@127.0.0.1"]


def test_each_tag_has_its_line(mastodon_network: FakeNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "STRETCH_SECONDS", 0.5)
    source = mastodon_network.source(stream=True, query="#lumifern #hub")
    _, cursor, _ = read_all(source)
    mastodon_network.post("one")
    mastodon_network.post("two", place="hub")
    heard, _, _ = read_all(source, cursor)
    assert {mention.text for mention in heard} == {"lumifern: one", "lumifern: two"}
    assert mastodon_network.faults.count("/streaming/hashtag") == 2


def test_words_have_no_stream(mastodon_network: FakeNetwork) -> None:
    with pytest.raises(ConfigurationError, match="tags only"):
        mastodon_network.source(stream=True, query="lumifern")


def test_a_stream_needs_a_token(mastodon_network: FakeNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EARSHOT_SECRET_MASTODON_TOKEN")
    with pytest.raises(ConfigurationError, match="EARSHOT_SECRET_MASTODON_TOKEN"):
        mastodon_network.source(stream=True, replies=False)


@pytest.mark.parametrize("streaming_at", ["wss://stream.invalid", "http://127.0.0.1:9", 7, None, {}])
def test_the_server_says_where_it_streams_and_without_it_polls_go_on(
    mastodon_network: FakeNetwork, streaming: Source, streaming_at: object
) -> None:
    told = json.dumps({"configuration": {"urls": {"streaming": streaming_at}}}).encode()
    mastodon_network.faults.on("/api/v2/instance", answers(200, body=told))
    posted = mastodon_network.post("hello")
    heard = streaming.fetch(None, now=NOW).mentions
    assert [mention.native_id for mention in heard] == [posted]
    assert mastodon_network.faults.count("/streaming") == (0 if isinstance(streaming_at, str) else 1)

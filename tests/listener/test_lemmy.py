"""What is Lemmy's alone: communities and search, posts and comments, pages that move, errors that are codes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import structlog
from fake_networks import lemmy
from fake_networks.faults import answers, rewrites
from fake_networks.fixtures import NOW, FakeNetwork, read_all

from earshot.errors import ConfigurationError, ReplyRefused, SourceConfused, SourceRefused, SourceUnavailable


def ids(mentions: list[Any]) -> set[str]:
    return {mention.native_id for mention in mentions}


def told(pages: list[Any]) -> list[str]:
    return [native_id for page in pages for native_id in page.deleted]


# hearing


def test_a_community_needs_neither_key_nor_account(lemmy_network: FakeNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EARSHOT_SECRET_LEMMY_TOKEN")
    posted = {lemmy_network.post(f"number {n}") for n in range(60)}
    assert ids(read_all(lemmy_network.source(replies=False, account=""))[0]) == posted


def test_posts_and_comments_of_a_community_are_heard_each_in_their_own_listing(lemmy_network: FakeNetwork) -> None:
    world = lemmy_network.world
    post = world.post("lemmy", "ann", "It *blinks* red.", title="Hub 2 & me", at=NOW)
    comment = world.post("lemmy", "bob", "Same here", at=NOW, reply_to=post)
    world.post("lemmy", "cy", "elsewhere", title="Cactus", at=NOW, place="cacti")
    heard = {mention.native_id: mention for mention in read_all(lemmy_network.source())[0]}
    assert set(heard) == {post, comment}
    assert heard[post].text == "Hub 2 & me\n\nIt *blinks* red."
    assert heard[post].url == f"{lemmy_network.url}/{post.partition('@')[0]}"
    assert (heard[comment].thread_id, heard[comment].parent_id) == (post, post)
    assert (heard[post].replies, heard[post].likes) == (1, 1)


def test_a_community_of_another_server_is_named_with_it(lemmy_network: FakeNetwork) -> None:
    posted = lemmy_network.world.post("lemmy", "ann", "hello", title="t", at=NOW, place="lumifern@far.example")
    assert ids(read_all(lemmy_network.source(query="!lumifern@far.example"))[0]) == {posted}


@pytest.mark.parametrize(("query", "found"), [("lumifern lamp", {"one", "two"}), ("!one lumifern lamp", {"one"})])
def test_words_are_searched_for_everywhere_or_in_a_community(lemmy_network: FakeNetwork, query: str, found: set[str]) -> None:
    world = lemmy_network.world
    posted = {place: world.post("lemmy", "ann", "a lamp", title="Lumifern", at=NOW, place=place) for place in ("one", "two")}
    below = {place: world.post("lemmy", "bob", "my Lumifern lamp", at=NOW, reply_to=posted[place]) for place in posted}
    world.post("lemmy", "bob", "a cactus", title="Look", at=NOW, place="one")
    heard, _, _ = read_all(lemmy_network.source(query=query))
    assert ids(heard) == {made[place] for made in (posted, below) for place in found}


def test_who_answers_us_is_heard_though_no_word_fits(lemmy_network: FakeNetwork) -> None:
    asked = lemmy_network.world.post("lemmy", "ann", "my lumifern lamp blinks", title="Help", at=NOW)
    source = lemmy_network.source(query="lumifern")
    ours = source.reply(asked, "Hold the ring.", key="1")
    thanks = lemmy_network.world.post("lemmy", "ann", "thanks", at=NOW, reply_to=ours.native_id)
    assert thanks in ids(read_all(source)[0])


@pytest.mark.parametrize(("query", "words"), [(" ", "query"), ("!one !two", "one source reads one")])
def test_a_query_that_lemmy_would_not_take_is_refused_in_words(lemmy_network: FakeNetwork, query: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        lemmy_network.source(query=query)


def test_350_new_comments_and_350_new_posts_between_two_polls_are_all_heard(lemmy_network: FakeNetwork) -> None:
    world, source = lemmy_network.world, lemmy_network.source()
    root = world.post("lemmy", "ann", "", title="Big thread", at=NOW - timedelta(days=1))
    _, cursor, _ = read_all(source)
    new = {world.post("lemmy", "bob", f"comment {n}", at=NOW + timedelta(seconds=n // 5), reply_to=root) for n in range(350)}
    new |= {world.post("lemmy", "cy", f"body {n}", title="t", at=NOW + timedelta(seconds=n // 5)) for n in range(350)}
    assert new <= ids(read_all(source, cursor, now=NOW + timedelta(minutes=3))[0])


@pytest.mark.parametrize("has_cursors", [True, False])
def test_comments_that_move_up_while_pages_are_turned_are_heard(lemmy_network: FakeNetwork, has_cursors: bool) -> None:
    lemmy_network.faults.begin(lemmy.app(lemmy_network.world, has_cursors=has_cursors))
    root = lemmy_network.post("a question", at=NOW - timedelta(hours=2))
    posted = [lemmy_network.post(f"number {n}", reply_to=root, at=NOW - timedelta(minutes=120 - n)) for n in range(120)]
    source = lemmy_network.source()
    heard, cursor = ids([]), None
    while (page := source.fetch(cursor, now=NOW)).more:
        heard, cursor = heard | ids(list(page.mentions)), page.cursor
        if len(heard) == 51:  # the post and the first page of comments: those below move up now
            for purged in posted[-5:]:
                lemmy_network.world._change("lemmy", purged, deleted=True, place="purged")
    assert set(posted) <= heard


def test_when_the_post_that_a_page_hangs_on_is_purged_the_run_begins_again(lemmy_network: FakeNetwork) -> None:
    posted = {lemmy_network.post(f"number {n}") for n in range(120)}
    source = lemmy_network.source()
    first = source.fetch(None, now=NOW)
    lemmy_network.faults.on(lemmy_network.reads, answers(400, body=b'{"error": "couldnt_find_post"}'))
    second = source.fetch(first.cursor, now=NOW)
    assert not second.more
    rest, _, _ = read_all(source, second.cursor, now=NOW)
    assert ids([*first.mentions, *rest]) == posted


# who wrote it


@pytest.mark.parametrize(
    ("said", "creator"),
    [
        ({"ap_id": "https://evil.example/post/1"}, {}),
        ({"ap_id": None}, {}),
        ({}, {"actor_id": "https://home.example/u/ann"}),
        ({}, {"actor_id": "ann"}),
        ({}, {"actor_id": ["x"]}),
    ],
)
def test_a_post_whose_author_and_origin_disagree_is_refused(
    lemmy_network: FakeNetwork, said: dict[str, Any], creator: dict[str, Any]
) -> None:
    forged, honest = lemmy_network.post("I am Ann", author="mallory"), lemmy_network.post("so am I")
    lemmy_network.app.changes[forged] = said
    lemmy_network.app.people["mallory"] = creator
    with structlog.testing.capture_logs() as lines:
        heard, _, _ = read_all(lemmy_network.source())
    assert ids(heard) == {honest}
    assert forged in [line.get("native_id") for line in lines]


def test_an_author_of_another_server_is_known_by_the_address_there(lemmy_network: FakeNetwork) -> None:
    posted = lemmy_network.post("hello")
    lemmy_network.app.changes[posted] = {"ap_id": "https://far.example/post/7"}
    lemmy_network.app.people["ann"] = {"actor_id": "https://far.example/u/ann"}
    (mention,), _, _ = read_all(lemmy_network.source())
    assert mention.author is not None
    assert (mention.author.native_id, mention.author.handle) == ("https://far.example/u/ann", "ann@far.example")


def test_somebody_elsewhere_with_our_name_is_not_us(lemmy_network: FakeNetwork) -> None:
    posted = lemmy_network.post("hello", author="lumifern")
    lemmy_network.app.changes[posted] = {"ap_id": "https://far.example/post/7"}
    lemmy_network.app.people["lumifern"] = {"actor_id": "https://far.example/u/lumifern"}
    assert ids(read_all(lemmy_network.source())[0]) == {posted}


def test_a_deleted_author_is_nobody_and_the_post_stays(lemmy_network: FakeNetwork) -> None:
    posted = lemmy_network.post("still here", author="gone")
    lemmy_network.world.forget_person("lemmy", "gone")
    (mention,), _, _ = read_all(lemmy_network.source())
    assert (mention.native_id, mention.author) == (posted, None)


@pytest.mark.parametrize("change", [{"name": 7}, {"body": ["x"]}, {"published": 12}, {"id": None}, {"updated": "never"}])
def test_a_post_of_wrong_types_is_skipped_and_the_others_are_heard(lemmy_network: FakeNetwork, change: dict[str, Any]) -> None:
    spoilt, other = lemmy_network.post("spoilt"), lemmy_network.post("whole")
    lemmy_network.app.changes[spoilt] = change
    lemmy_network.faults.on("/api/v3/post", answers(500), answers(500))
    source = lemmy_network.source()
    with pytest.raises(SourceUnavailable):
        source.fetch(None, now=NOW)
    lemmy_network.faults.relent()
    assert ids(read_all(source)[0]) == {other}


def test_a_time_without_a_zone_is_utc(lemmy_network: FakeNetwork) -> None:
    posted = lemmy_network.post("hello")
    lemmy_network.app.changes[posted] = {"published": NOW.replace(tzinfo=None).isoformat()}
    (mention,), _, _ = read_all(lemmy_network.source())
    assert mention.posted_at == NOW


# edits and deletions


def test_an_edited_post_comes_again_with_its_new_words_once(lemmy_network: FakeNetwork) -> None:
    posted = lemmy_network.post("frist")
    source = lemmy_network.source()
    _, cursor, _ = read_all(source)
    lemmy_network.world.edit("lemmy", posted, "lumifern: first", at=NOW + timedelta(minutes=1))
    (again,), cursor, _ = read_all(source, cursor, now=NOW + timedelta(minutes=2))
    assert (again.native_id, again.text) == (posted, "lumifern: first")
    assert read_all(source, cursor, now=NOW + timedelta(minutes=3))[0] == []


def test_deleted_posts_are_found_by_looking_after_them_and_comments_are_told(lemmy_network: FakeNetwork) -> None:
    posted = [lemmy_network.post(f"number {n}") for n in range(12)]
    comment = lemmy_network.post("never mind", reply_to=posted[0])
    source = lemmy_network.source()
    _, cursor, _ = read_all(source)
    for gone in (posted[3], comment):
        lemmy_network.world.delete("lemmy", gone)
    lemmy_network.app.changes[posted[9]] = {"removed": True}
    found: list[str] = []
    for n in range(1, 4):
        _, cursor, pages = read_all(source, cursor, now=NOW + timedelta(minutes=n))
        found += told(pages)
    assert {posted[3], posted[9], comment} == set(found)


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"post_view": {}}', b'{"post_view": {"post": {"id": 1}}}'])
def test_an_answer_that_is_no_post_deletes_none(lemmy_network: FakeNetwork, body: bytes) -> None:
    posted = lemmy_network.post("hello")
    lemmy_network.faults.on("/api/v3/post", answers(200, body=body))
    with pytest.raises(SourceConfused):
        lemmy_network.source().gone([posted])


def test_what_is_gone_is_told_of_our_own_server_only(lemmy_network: FakeNetwork) -> None:
    here = lemmy_network.post("here")
    assert lemmy_network.source().gone([here, "post/999@127.0.0.1", "post/1@far.example", "nonsense"]) == ("post/999@127.0.0.1",)


def test_a_server_that_does_not_let_us_look_is_still_heard(lemmy_network: FakeNetwork) -> None:
    posted = {lemmy_network.post(f"number {n}") for n in range(3)}
    source = lemmy_network.source()
    heard, cursor, _ = read_all(source)
    listed = [rewrites(lambda body: body)] * lemmy_network.faults.count(lemmy_network.reads)
    lemmy_network.faults.on("/api/v3/post", *listed, answers(403))
    _, _, pages = read_all(source, cursor)
    assert ids(heard) == posted
    assert (told(pages), pages[-1].more) == ([], False)
    assert lemmy_network.faults.calls[-1] == ("GET", "/api/v3/post")


def test_a_cursor_stays_small(lemmy_network: FakeNetwork) -> None:
    for n in range(700):
        lemmy_network.post(f"number {n}", at=NOW - timedelta(seconds=700 - n))
    heard, cursor, _ = read_all(lemmy_network.source())
    assert len(heard) == 700
    assert len(cursor or "") < 40_000


# trouble told in codes


def test_too_many_calls_are_told_with_status_400(lemmy_network: FakeNetwork) -> None:
    asked = lemmy_network.post("a question")
    limited = answers(400, body=b'{"error": "rate_limit_error"}')
    source = lemmy_network.source()
    lemmy_network.faults.on(lemmy_network.reads, limited)
    with pytest.raises(SourceUnavailable):
        source.fetch(None, now=NOW)
    lemmy_network.faults.on(lemmy_network.writes, limited, method="POST")
    with pytest.raises(SourceUnavailable):
        source.reply(asked, "Hold the ring.", key="1")
    assert lemmy_network.world.replies("lemmy") == []


def test_a_token_that_ended_is_named(lemmy_network: FakeNetwork) -> None:
    asked = lemmy_network.post("a question")
    lemmy_network.faults.on(lemmy_network.writes, answers(400, body=b'{"error": "not_logged_in"}'), method="POST")
    with pytest.raises(SourceRefused, match="EARSHOT_SECRET_LEMMY_TOKEN"):
        lemmy_network.source().reply(asked, "Hold the ring.", key="1")


@pytest.mark.parametrize("code", ["locked", "person_is_banned_from_community", "deleted", "something_new"])
def test_what_lemmy_does_not_take_is_refused_for_good(lemmy_network: FakeNetwork, code: str) -> None:
    asked = lemmy_network.post("a question")
    lemmy_network.faults.on(lemmy_network.writes, answers(400, body=b'{"error": "%s"}' % code.encode()), method="POST")
    with pytest.raises(ReplyRefused, match=code):
        lemmy_network.source().reply(asked, "Hold the ring.", key="1")


# answering


def test_a_comment_is_answered_below_itself(lemmy_network: FakeNetwork) -> None:
    root = lemmy_network.post("a question")
    comment = lemmy_network.post("me too", author="bob", reply_to=root)
    source = lemmy_network.source()
    posted = source.reply(comment, "Hold the ring.", key="1")
    (reply,) = lemmy_network.world.replies("lemmy")
    assert (reply.parent, reply.thread) == (comment, root)
    assert source.find_reply(comment, "Hold the ring.") == posted
    assert source.find_reply(root, "Hold the ring.") is None


def test_trouble_before_the_reply_leaves_no_doubt_about_it(lemmy_network: FakeNetwork) -> None:
    comment = lemmy_network.post("me too", reply_to=lemmy_network.post("a question"))
    for fault in (answers(500), answers(200, body=b"{}"), answers(200, body=b"no JSON")):
        lemmy_network.faults.on("/api/v3/comment", fault)
        with pytest.raises(SourceUnavailable):
            lemmy_network.source().reply(comment, "Hold the ring.", key="1")
    assert [method for method, _ in lemmy_network.faults.calls] == ["GET"] * 3


def test_a_post_of_another_server_is_not_answered_here(lemmy_network: FakeNetwork) -> None:
    for native_id in ("post/1@far.example", "1", "user/1@127.0.0.1", "post/../1@127.0.0.1"):
        with pytest.raises(ReplyRefused, match="heard"):
            lemmy_network.source().reply(native_id, "Hold the ring.", key="1")
    assert lemmy_network.faults.calls == []


def test_a_reply_that_a_moderator_removed_is_not_found(lemmy_network: FakeNetwork) -> None:
    asked = lemmy_network.post("a question")
    source = lemmy_network.source()
    posted = source.reply(asked, "Hold the ring.", key="1")
    lemmy_network.faults.on("/api/v3/user", rewrites(lambda body: body["comments"][0]["comment"].update(removed=True) or body))
    assert source.find_reply(asked, "Hold the ring.") is None
    assert source.find_reply(asked, "Hold the ring.") == posted

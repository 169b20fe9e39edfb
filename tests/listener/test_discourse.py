"""What is Discourse's alone: topics and their places, two ways of paging, words that choose, moderators, and likes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import structlog
from fake_networks import discourse
from fake_networks.faults import answers
from fake_networks.fixtures import NOW, FakeNetwork, read_all

from earshot.errors import ConfigurationError, ReplyRefused, ReplyUnknown, SourceConfused, SourceRefused, SourceUnavailable


def ids(mentions: list[Any]) -> set[str]:
    return {mention.native_id for mention in mentions}


# hearing


def test_a_forum_needs_neither_key_nor_account_but_an_address(discourse_network: FakeNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EARSHOT_SECRET_DISCOURSE_API_KEY")
    posted = {discourse_network.post(f"number {n}") for n in range(60)}
    assert ids(read_all(discourse_network.source(replies=False, account=""))[0]) == posted
    with pytest.raises(ConfigurationError, match="url"):
        discourse_network.source(replies=False, url="")


def test_a_title_stands_before_the_first_post_of_a_topic(discourse_network: FakeNetwork) -> None:
    world = discourse_network.world
    first = world.post("discourse", "ann", "It *blinks* red.", title="Hub 2 & me", at=NOW, likes=3)
    second = world.post("discourse", "bob", "Same here", at=NOW, reply_to=first)
    heard = {mention.native_id: mention for mention in read_all(discourse_network.source())[0]}
    assert (heard[first].text, heard[second].text) == ("Hub 2 & me\n\nIt *blinks* red.", "Same here")
    assert (heard[first].likes, heard[second].likes, heard[first].replies) == (3, None, 1)
    assert heard[second].url == f"{discourse_network.url}/t/{discourse.topic_of(first).split('/')[1].split('@')[0]}/2"
    assert heard[second].parent_id == first


@pytest.mark.parametrize(
    ("query", "found"),
    [("lamp", {"topic", "below", "named", "answer"}), ('"red lamp"', {"named", "answer"}), ("cactus palm", {"other", "named", "answer"})],
)
def test_words_choose_by_text_and_title_and_who_speaks_to_us_is_heard(discourse_network: FakeNetwork, query: str, found: set[str]) -> None:
    world = discourse_network.world
    topic = world.post("discourse", "ann", "It blinks.", title="My Lamp", at=NOW)
    other = world.post("discourse", "bob", "green", title="A cactus", at=NOW)
    ours = world.post("discourse", "lumifern", "our own lamp", at=NOW, reply_to=other)
    posted = {
        "topic": topic,
        "below": world.post("discourse", "cy", "Mine too", at=NOW, reply_to=topic),
        "other": other,
        "named": world.post("discourse", "dee", "@Lumifern?", title="Hm", at=NOW),
        "answer": world.post("discourse", "bob", "thanks", at=NOW, reply_to=ours),
    }
    heard, _, _ = read_all(discourse_network.source(query=query))
    assert ids(heard) == {posted[name] for name in found}


def test_a_reply_to_a_post_that_is_not_on_the_page_knows_its_parent(discourse_network: FakeNetwork) -> None:
    root = discourse_network.post("a question", at=NOW - timedelta(days=30))
    source = discourse_network.source()
    _, cursor, _ = read_all(source, now=NOW - timedelta(days=29))
    for n in range(60):
        discourse_network.post(f"number {n}")
    replies = {discourse_network.post("me too", author=name, reply_to=root) for name in ("bob", "cy")}
    heard = {mention.native_id: mention for mention in read_all(source, cursor)[0]}
    assert {heard[reply].parent_id for reply in replies} == {root}
    assert discourse_network.faults.count("/posts/by_number") <= 1


def test_a_reply_whose_parent_is_gone_has_none(discourse_network: FakeNetwork) -> None:
    root = discourse_network.post("a question")
    reply = discourse_network.post("me too", reply_to=root)
    discourse_network.world.delete("discourse", root)
    (mention,), _, _ = read_all(discourse_network.source())
    assert (mention.native_id, mention.parent_id, mention.thread_id) == (reply, None, discourse.topic_of(root))


def test_an_older_forum_pages_by_ids_and_hides_what_is_private(discourse_network: FakeNetwork) -> None:
    app = discourse.app(discourse_network.world, spans_ids=True)
    discourse_network.faults.begin(app)
    posted = [discourse_network.post(f"number {n}", at=NOW - timedelta(seconds=400 - n)) for n in range(400)]
    app.private = set(posted[100:300])
    heard, _, _ = read_all(discourse_network.source())
    assert ids(heard) == set(posted) - app.private


def test_an_older_forum_whose_newest_posts_are_private_loses_nothing(discourse_network: FakeNetwork) -> None:
    app = discourse.app(discourse_network.world, spans_ids=True)
    discourse_network.faults.begin(app)
    source = discourse_network.source()
    early = discourse_network.post("early", at=NOW - timedelta(hours=3))
    _, cursor, _ = read_all(source, now=NOW - timedelta(hours=3))
    between = discourse_network.post("between", at=NOW - timedelta(hours=2))
    app.private = {discourse_network.post(f"private {n}") for n in range(60)}
    _, cursor, _ = read_all(source, cursor, now=NOW)
    late = discourse_network.post("late", at=NOW + timedelta(minutes=1))
    heard, _, _ = read_all(source, cursor, now=NOW + timedelta(minutes=2))
    assert {between, late} <= ids(heard) | {early}


@pytest.mark.parametrize(
    "change", [{"post_type": 4}, {"post_type": 3}, {"hidden": True}, {"user_deleted": True}, {"deleted_at": "2026-05-04T12:00:00Z"}]
)
def test_whispers_notes_and_what_moderators_hid_are_not_heard(discourse_network: FakeNetwork, change: dict[str, Any]) -> None:
    hidden, shown = discourse_network.post("hidden"), discourse_network.post("shown")
    discourse_network.app.changes[hidden] = change
    assert ids(read_all(discourse_network.source())[0]) == {shown}


def test_a_post_that_a_moderator_lets_out_again_is_heard_then(discourse_network: FakeNetwork) -> None:
    posted = discourse_network.post("looks like spam")
    discourse_network.app.changes[posted] = {"hidden": True}
    source = discourse_network.source()
    heard, cursor, _ = read_all(source)
    assert heard == []
    del discourse_network.app.changes[posted]
    assert ids(read_all(source, cursor, now=NOW + timedelta(minutes=5))[0]) == {posted}


def test_a_deleted_author_is_nobody_and_the_post_stays(discourse_network: FakeNetwork) -> None:
    posted = discourse_network.post("still here", author="gone")
    discourse_network.world.forget_person("discourse", "gone")
    (mention,), _, _ = read_all(discourse_network.source())
    assert (mention.native_id, mention.author) == (posted, None)


def test_authors_are_known_by_number_for_names_change(discourse_network: FakeNetwork) -> None:
    first, second = discourse_network.post("hello"), discourse_network.post("hello again")
    discourse_network.app.changes[second] = {"username": "ann_of_lamps", "name": None}
    heard = {mention.native_id: mention.author for mention in read_all(discourse_network.source())[0]}
    assert heard[first].native_id == heard[second].native_id
    assert (heard[first].handle, heard[second].handle) == ("ann", "ann_of_lamps")


def test_a_forum_that_tells_no_markdown_is_read_from_its_pages(discourse_network: FakeNetwork) -> None:
    posted = discourse_network.post("x")
    discourse_network.app.changes[posted] = {"raw": None, "cooked": "<p>It <em>blinks</em> &amp; beeps</p>"}
    (mention,), _, _ = read_all(discourse_network.source())
    assert mention.text == "It blinks & beeps"


@pytest.mark.parametrize("change", [{"raw": 7}, {"created_at": None}, {"post_number": "x"}, {"username": ["x"]}, {"actions_summary": [7]}])
def test_a_post_of_wrong_types_is_skipped_and_the_others_are_heard(discourse_network: FakeNetwork, change: dict[str, Any]) -> None:
    spoilt, other = discourse_network.post("spoilt"), discourse_network.post("whole")
    discourse_network.app.changes[spoilt] = change
    with structlog.testing.capture_logs() as lines:
        heard, _, _ = read_all(discourse_network.source())
    assert ids(heard) == {other}
    assert spoilt in [line.get("native_id") for line in lines]


def test_a_forum_that_lets_nobody_in_says_what_to_check(discourse_network: FakeNetwork) -> None:
    discourse_network.faults.on(discourse_network.reads, answers(403, body=b'{"errors": ["You need to be logged in"]}'))
    with pytest.raises(SourceRefused, match=r"logged in.*EARSHOT_SECRET_DISCOURSE_API_KEY"):
        discourse_network.source().fetch(None, now=NOW)


# edits and deletions


def test_an_edited_post_comes_again_with_its_new_words_once(discourse_network: FakeNetwork) -> None:
    posted = discourse_network.post("frist")
    source = discourse_network.source()
    _, cursor, _ = read_all(source)
    discourse_network.world.edit("discourse", posted, "lumifern: first", at=NOW + timedelta(minutes=1))
    (again,), cursor, _ = read_all(source, cursor, now=NOW + timedelta(minutes=2))
    assert (again.native_id, again.text) == (posted, "lumifern: first")
    assert read_all(source, cursor, now=NOW + timedelta(minutes=3))[0] == []


def test_deleted_hidden_and_late_edited_posts_are_found_by_looking_after_them(discourse_network: FakeNetwork) -> None:
    posted = [discourse_network.post(f"number {n}", at=NOW - timedelta(hours=5)) for n in range(12)]
    for n in range(60):
        discourse_network.post(f"later {n}", at=NOW - timedelta(hours=4))
    source = discourse_network.source()
    _, cursor, _ = read_all(source)
    discourse_network.world.delete("discourse", posted[3])
    discourse_network.app.changes[posted[9]] = {"hidden": True}
    discourse_network.world.edit("discourse", posted[5], "lumifern: solved", at=NOW)
    told: set[str] = set()
    texts: list[str] = []
    for n in range(1, 17):
        heard, cursor, pages = read_all(source, cursor, now=NOW + timedelta(minutes=n))
        told |= {native_id for page in pages for native_id in page.deleted}
        texts += [mention.text for mention in heard]
    assert (told, texts) == ({posted[3], posted[9]}, ["lumifern: solved"])


@pytest.mark.parametrize("body", [b"{}", b"[]", b"null", b"no JSON"])
def test_an_answer_that_is_no_post_deletes_none(discourse_network: FakeNetwork, body: bytes) -> None:
    posted = discourse_network.post("hello")
    discourse_network.faults.on(f"/posts/{posted.partition('@')[0]}.json", answers(200, body=body))
    with pytest.raises(SourceConfused):
        discourse_network.source().gone([posted])


def test_a_forum_that_does_not_let_us_look_is_still_heard(discourse_network: FakeNetwork) -> None:
    posted = discourse_network.post("hello")
    discourse_network.faults.on(f"/posts/{posted.partition('@')[0]}.json", answers(403), forever=True)
    heard, _, pages = read_all(discourse_network.source())
    assert ids(heard) == {posted}
    assert not any(page.deleted for page in pages)


def test_a_cursor_stays_small(discourse_network: FakeNetwork) -> None:
    for n in range(700):
        discourse_network.post(f"number {n}", at=NOW - timedelta(seconds=700 - n))
    heard, cursor, _ = read_all(discourse_network.source())
    assert len(heard) == 700
    assert len(cursor or "") < 40_000


# answering


def test_a_post_below_others_is_answered_at_its_place(discourse_network: FakeNetwork) -> None:
    root = discourse_network.post("a question")
    second = discourse_network.post("me too", author="bob", reply_to=root)
    source = discourse_network.source()
    posted = source.reply(second, "Hold the ring.", key="1")
    (reply,) = discourse_network.world.replies("discourse")
    assert (reply.parent, reply.thread) == (second, root)
    assert source.find_reply(second, "Hold the ring.") == posted
    assert source.find_reply(root, "Hold the ring.") is None


def test_our_reply_is_found_below_many_others(discourse_network: FakeNetwork) -> None:
    root = discourse_network.post("a question")
    for n in range(45):
        discourse_network.post(f"me too {n}", author="bob", reply_to=root)
    source = discourse_network.source()
    posted = source.reply(root, "Hold the ring.", key="1")
    assert source.find_reply(root, "Hold the ring.") == posted


def test_the_same_words_are_sent_once_though_sent_twice(discourse_network: FakeNetwork) -> None:
    asked = discourse_network.post("a question")
    source = discourse_network.source()
    assert source.reply(asked, "Hold the ring.", key="1") == source.reply(asked, "Hold the ring.", key="1")
    assert len(discourse_network.world.replies("discourse")) == 1


def test_the_same_words_elsewhere_are_refused_and_not_taken_for_this_reply(discourse_network: FakeNetwork) -> None:
    first, second = discourse_network.post("a question"), discourse_network.post("another")
    source = discourse_network.source()
    source.reply(first, "Hold the ring.", key="1")
    with pytest.raises(ReplyRefused, match="similar"):
        source.reply(second, "Hold the ring.", key="2")
    discourse_network.faults.on("/replies.json", answers(500))
    with pytest.raises(ReplyUnknown):
        source.reply(second, "Hold the ring.", key="2")


def test_a_reply_that_waits_for_a_moderator_is_not_sent_again(discourse_network: FakeNetwork) -> None:
    discourse_network.app.approves_first = True
    asked = discourse_network.post("a question")
    with pytest.raises(ReplyRefused, match="moderator"):
        discourse_network.source().reply(asked, "Hold the ring.", key="1")


def test_a_closed_topic_is_refused_for_good_and_stops_no_other_reply(discourse_network: FakeNetwork) -> None:
    closed, open_ = discourse_network.post("a question"), discourse_network.post("another")
    discourse_network.app.closed = {closed}
    source = discourse_network.source()
    with pytest.raises(ReplyRefused, match="closed"):
        source.reply(closed, "Hold the ring.", key="1")
    assert source.reply(open_, "Hold the ring.", key="2")


def test_trouble_before_the_reply_leaves_no_doubt_about_it(discourse_network: FakeNetwork) -> None:
    asked = discourse_network.post("a question")
    for fault in (answers(500), answers(200, body=b"{}"), answers(200, body=b"no JSON")):
        discourse_network.faults.on("/posts/", fault)
        with pytest.raises(SourceUnavailable):
            discourse_network.source().reply(asked, "Hold the ring.", key="1")
    assert [method for method, _ in discourse_network.faults.calls] == ["GET"] * 3


def test_a_post_of_another_forum_is_not_answered_here(discourse_network: FakeNetwork) -> None:
    for native_id in ("1@elsewhere.example", "1", "../1@127.0.0.1"):
        with pytest.raises(ReplyRefused, match="heard"):
            discourse_network.source().reply(native_id, "Hold the ring.", key="1")
    assert discourse_network.faults.calls == []

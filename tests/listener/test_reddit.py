"""What is Reddit's alone: two listings, 1,000 posts and no more, posts that vanish, pauses told in words, libraries that try again."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from fake_networks.faults import answers, garbles, rewrites
from fake_networks.fixtures import NOW, FakeNetwork, read_all

from earshot.demo.networks import reddit
from earshot.errors import ConfigurationError, ReplyRefused, SourceRefused, SourceUnavailable


def ids(mentions: list[Any]) -> set[str]:
    return {mention.native_id for mention in mentions}


def test_submissions_and_comments_are_heard_each_in_their_own_listing(reddit_network: FakeNetwork) -> None:
    world = reddit_network.world
    submission = world.post("reddit", "ann", "It blinks red.", title="Hub 2 & me", at=NOW)
    comment = world.post("reddit", "bob", "Same here", at=NOW, reply_to=submission)
    heard = {m.native_id: m for m in read_all(reddit_network.source())[0]}
    assert heard[submission].text == "Hub 2 & me\n\nIt blinks red."
    assert heard[comment].text == "Same here"
    assert heard[comment].thread_id == heard[submission].thread_id == submission
    assert heard[submission].replies == 1
    assert heard[comment].url.startswith(f"{reddit_network.url}/r/lumifern/comments/")


def test_350_new_comments_and_350_new_submissions_between_two_polls_are_all_heard(reddit_network: FakeNetwork) -> None:
    world, source = reddit_network.world, reddit_network.source()
    root = world.post("reddit", "ann", "", title="Big thread", at=NOW - timedelta(days=1))
    _, cursor, _ = read_all(source)
    new = {world.post("reddit", "bob", f"comment {n}", at=NOW + timedelta(seconds=n // 5), reply_to=root) for n in range(350)}
    new |= {world.post("reddit", "cy", f"body {n}", title="t", at=NOW + timedelta(seconds=n // 5)) for n in range(350)}
    heard, _, pages = read_all(source, cursor, now=NOW + timedelta(minutes=3))
    assert new <= ids(heard)
    assert all(page.gap is None for page in pages)


def test_more_than_reddit_lists_is_a_gap_on_record(reddit_network: FakeNetwork) -> None:
    source = reddit_network.source()
    reddit_network.post("known", at=NOW - timedelta(days=1))
    _, cursor, _ = read_all(source)
    new = [reddit_network.post(f"flood {n}", at=NOW + timedelta(seconds=n)) for n in range(1100)]
    heard, cursor, pages = read_all(source, cursor, now=NOW + timedelta(hours=1))
    assert ids(heard) == set(new[100:])
    (gap,) = [page.gap for page in pages if page.gap]
    assert gap.since == NOW - timedelta(days=1)
    assert gap.until == NOW + timedelta(seconds=100)
    _, _, pages = read_all(source, cursor, now=NOW + timedelta(hours=2))
    assert [page.gap for page in pages if page.gap] == []


def test_a_small_place_that_is_read_to_its_end_has_no_gap(reddit_network: FakeNetwork) -> None:
    source = reddit_network.source()
    old = reddit_network.post("soon gone", at=NOW - timedelta(days=1))
    _, cursor, _ = read_all(source)
    reddit_network.world.delete("reddit", old)
    reddit_network.post("new", at=NOW)
    assert all(page.gap is None for page in read_all(source, cursor)[2])


def test_when_the_post_that_a_page_hangs_on_vanishes_the_run_begins_again(reddit_network: FakeNetwork) -> None:
    posted = {reddit_network.post(f"number {n}", at=NOW + timedelta(seconds=n)) for n in range(250)}
    source = reddit_network.source()
    first = source.fetch(None, now=NOW + timedelta(hours=1))
    nothing = orjson.dumps({"kind": "Listing", "data": {"after": None, "children": []}})
    reddit_network.faults.on(reddit_network.reads, answers(200, body=nothing))
    rest, _, pages = read_all(source, first.cursor, now=NOW + timedelta(hours=1))
    assert ids([*first.mentions, *rest]) == posted
    assert all(page.gap is None for page in pages)


def test_a_listing_that_breaks_off_twice_is_a_gap_on_record(reddit_network: FakeNetwork) -> None:
    source = reddit_network.source()
    reddit_network.post("known", at=NOW - timedelta(days=1))
    _, cursor, _ = read_all(source)
    for n in range(250):
        reddit_network.post(f"number {n}", at=NOW + timedelta(seconds=n))

    def break_off(body: Any) -> Any:
        body["data"] |= {"children": [], "after": None}
        return body

    def whole(body: Any) -> Any:
        return body

    reddit_network.faults.on(reddit_network.reads, *map(rewrites, (whole, break_off, whole, break_off)))
    _, _, pages = read_all(source, cursor, now=NOW + timedelta(hours=1))
    assert [page.gap for page in pages if page.gap]


def test_a_deleted_author_is_nobody_and_the_post_stays(reddit_network: FakeNetwork) -> None:
    posted = reddit_network.post("still here", author="gone")
    reddit_network.world.forget_person("reddit", "gone")
    (mention,), _, _ = read_all(reddit_network.source())
    assert (mention.native_id, mention.author) == (posted, None)


@pytest.mark.parametrize("text", ["[deleted]", "[removed]"])
def test_a_post_whose_text_is_gone_is_told_as_deleted(reddit_network: FakeNetwork, text: str) -> None:
    posted = reddit_network.world.post("reddit", "ann", text, title="What was it?", at=NOW)
    page = reddit_network.source().fetch(None, now=NOW)
    assert page.mentions == ()
    assert page.deleted == (posted,)


def test_a_post_approved_late_is_heard_though_it_is_old(reddit_network: FakeNetwork) -> None:
    held_back = reddit_network.post("waiting for a moderator", at=NOW - timedelta(hours=1))
    for n in range(30):
        reddit_network.post(f"number {n}", at=NOW - timedelta(minutes=30) + timedelta(seconds=n))

    def hold(body: Any) -> Any:
        body["data"]["children"] = [thing for thing in body["data"]["children"] if thing["data"]["name"] != held_back]
        return body

    reddit_network.faults.on(reddit_network.reads, rewrites(hold))
    source = reddit_network.source()
    _, cursor, _ = read_all(source)
    assert held_back in ids(read_all(source, cursor)[0])


def test_words_in_a_place_choose_submissions_and_comments(reddit_network: FakeNetwork) -> None:
    world = reddit_network.world
    named = world.post("reddit", "ann", "my lumifern lamp", title="Look", at=NOW, place="houseplants")
    other = world.post("reddit", "bob", "my cactus", title="Look", at=NOW, place="houseplants")
    about = world.post("reddit", "cy", "I like Lumifern better", at=NOW, reply_to=other)
    world.post("reddit", "cy", "I like cacti better", at=NOW, reply_to=other)
    world.post("reddit", "dee", "lumifern elsewhere", title="Look", at=NOW, place="gadgets")
    heard, _, _ = read_all(reddit_network.source(query="r/houseplants lumifern"))
    assert ids(heard) == {named, about}


def test_words_alone_search_everywhere(reddit_network: FakeNetwork) -> None:
    world = reddit_network.world
    named = {world.post("reddit", "ann", "a lumifern lamp", title="Look", at=NOW, place=place) for place in ("houseplants", "gadgets")}
    world.post("reddit", "bob", "a cactus", title="Look", at=NOW, place="gadgets")
    heard, _, pages = read_all(reddit_network.source(query='lumifern OR "fern lamp"'))
    assert ids(heard) == named
    assert len(pages) == 1


def test_several_places_are_read_as_one(reddit_network: FakeNetwork) -> None:
    posted = {reddit_network.world.post("reddit", "ann", "x", title="t", at=NOW, place=place) for place in ("one", "two", "three")}
    assert ids(read_all(reddit_network.source(query="r/one+two r/three"))[0]) == posted


def test_without_place_and_words_there_is_nothing_to_look_for(reddit_network: FakeNetwork) -> None:
    with pytest.raises(ConfigurationError, match="query"):
        reddit_network.source(query="  ")


def test_a_place_that_is_not_there_is_named(reddit_network: FakeNetwork) -> None:
    reddit_network.faults.on(reddit_network.reads, answers(404))
    with pytest.raises(SourceRefused, match="subreddits in query"):
        reddit_network.source().fetch(None, now=NOW)


def test_a_pause_told_in_words_is_kept(reddit_network: FakeNetwork) -> None:
    reddit_network.faults.begin(reddit.app(reddit_network.world, spacing=300))
    first, second = reddit_network.post("a question"), reddit_network.post("another")
    source = reddit_network.source()
    source.reply(first, "Hold the ring.", key="1")
    with pytest.raises(SourceUnavailable) as caught:
        source.reply(second, "Hold the ring.", key="2")
    assert caught.value.retry_at is not None
    assert timedelta(minutes=4) < caught.value.retry_at - datetime.now(UTC) < timedelta(minutes=6)
    assert len(reddit_network.world.replies("reddit")) == 1


@pytest.mark.parametrize(
    ("told", "minutes"), [("Take a break for 2 minutes before trying again.", 2), ("Try again in 1 hour.", 60), ("Later.", None)]
)
def test_pauses_in_other_words(reddit_network: FakeNetwork, told: str, minutes: int | None) -> None:
    asked = reddit_network.post("a question")
    body = orjson.dumps({"json": {"errors": [["RATELIMIT", told, "ratelimit"]]}})
    reddit_network.faults.on(reddit_network.writes, answers(200, body=body))
    with pytest.raises(SourceUnavailable) as caught:
        reddit_network.source().reply(asked, "Hold the ring.", key="1")
    wait = None if caught.value.retry_at is None else round((caught.value.retry_at - datetime.now(UTC)).total_seconds() / 60)
    assert wait == minutes


def test_no_call_is_made_before_the_window_ends_once_it_is_used_up(reddit_network: FakeNetwork) -> None:
    reddit_network.faults.begin(reddit.app(reddit_network.world, limit=2))
    source = reddit_network.source()
    read_all(source)
    calls = len(reddit_network.faults.calls)
    for _ in range(3):
        with pytest.raises(SourceUnavailable) as caught:
            source.fetch(None, now=NOW)
        assert caught.value.retry_at is not None
    assert len(reddit_network.faults.calls) == calls


def test_a_wrong_password_is_named(reddit_network: FakeNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EARSHOT_SECRET_REDDIT_REFRESH_TOKEN")
    monkeypatch.setenv("EARSHOT_SECRET_REDDIT_PASSWORD", "canary")
    with pytest.raises(SourceRefused, match="EARSHOT_SECRET_REDDIT_PASSWORD") as caught:
        reddit_network.source().fetch(None, now=NOW)
    assert "canary" not in str(caught.value)


def test_a_wrong_application_is_named(reddit_network: FakeNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARSHOT_SECRET_REDDIT_CLIENT_SECRET", "canary")
    with pytest.raises(SourceRefused, match="EARSHOT_SECRET_REDDIT_CLIENT_SECRET"):
        reddit_network.source().fetch(None, now=NOW)
    assert len(reddit_network.faults.calls) == 1


def test_the_password_of_the_account_is_enough_to_answer(reddit_network: FakeNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EARSHOT_SECRET_REDDIT_REFRESH_TOKEN")
    asked = reddit_network.post("a question")
    assert reddit_network.source().reply(asked, "Hold the ring.", key="1")


def test_without_answering_no_account_is_needed(reddit_network: FakeNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REFRESH_TOKEN", "PASSWORD"):
        monkeypatch.delenv(f"EARSHOT_SECRET_REDDIT_{name}")
    posted = reddit_network.post("hello")
    assert ids(read_all(reddit_network.source(account="", replies=False))[0]) == {posted}


def test_trouble_while_signing_in_leaves_no_doubt_about_the_reply(reddit_network: FakeNetwork) -> None:
    asked = reddit_network.post("a question")
    for fault in (answers(500), garbles()):
        reddit_network.faults.on("/api/v1/access_token", fault)
        with pytest.raises(SourceUnavailable):
            reddit_network.source().reply(asked, "Hold the ring.", key="1")
    assert reddit_network.faults.count("/api/comment") == 0


@pytest.mark.parametrize("kind", ["THREAD_LOCKED", "DELETED_COMMENT", "TOO_OLD", "SOMETHING_NEW"])
def test_what_reddit_does_not_take_is_refused_for_good(reddit_network: FakeNetwork, kind: str) -> None:
    asked = reddit_network.post("a question")
    body = orjson.dumps({"json": {"errors": [[kind, "no", "parent"]]}})
    reddit_network.faults.on(reddit_network.writes, answers(200, body=body))
    with pytest.raises(ReplyRefused, match=kind):
        reddit_network.source().reply(asked, "Hold the ring.", key="1")


def test_a_locked_thread_is_refused_for_good(reddit_network: FakeNetwork) -> None:
    asked = reddit_network.post("a question")
    reddit_network.faults.on(reddit_network.writes, answers(403))
    with pytest.raises(ReplyRefused, match="locked"):
        reddit_network.source().reply(asked, "Hold the ring.", key="1")


# the pace of a stream


def test_a_stream_is_asked_again_soon_after_news_and_ever_later_without(reddit_network: FakeNetwork) -> None:
    source = reddit_network.source(stream=True)
    cursor, pauses = None, []
    for n in range(8):
        if n in (0, 6):
            reddit_network.post(f"number {n}", at=NOW + timedelta(minutes=n))
        _, cursor, pages = read_all(source, cursor, now=NOW + timedelta(minutes=n))
        pauses.append(pages[-1].again)
    assert pauses == [2.0, 4.0, 8.0, 16.0, 16.0, 16.0, 2.0, 4.0]


def test_without_a_stream_reddit_is_polled_as_it_was(reddit_network: FakeNetwork) -> None:
    assert reddit_network.source().fetch(None, now=NOW).again is None


@pytest.mark.parametrize("seed", range(3))
def test_bursts_late_ids_and_restarts_lose_nothing_of_a_stream(reddit_network: FakeNetwork, seed: int) -> None:
    """praw #1043: 350 new items between two looks, and ids that show up late."""
    draw = random.Random(seed)
    source, cursor, now = reddit_network.source(stream=True), None, NOW
    heard: set[str] = set()

    def withhold(body: Any) -> Any:
        children = body["data"]["children"]
        body["data"]["children"] = [child for child in children if draw.random() < 0.9]
        return body

    for _ in range(6):
        root = reddit_network.post("a thread", at=now)
        for n in range(draw.choice([0, 3, 350])):
            reddit_network.post(f"number {n}", at=now, reply_to=root)
        if draw.random() < 0.5:
            reddit_network.faults.on("/r/lumifern", rewrites(withhold))
        if draw.random() < 0.3:
            source = reddit_network.source(stream=True)
        mentions, cursor, pages = read_all(source, cursor, now=now)
        heard |= {mention.native_id for mention in mentions}
        assert pages[-1].again is not None
        now += timedelta(seconds=pages[-1].again)
    reddit_network.faults.relent()
    for _ in range(2):
        heard |= {mention.native_id for mention in read_all(source, cursor, now=now)[0]}
    assert heard == set(reddit_network.world.ids("reddit"))

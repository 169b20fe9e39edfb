"""What is X's alone: ids that are times, tokens that expire, a search that forgets after seven days, texts that X dresses up."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import orjson
import pytest
from fake_networks.faults import answers, rewrites
from fake_networks.fixtures import NOW, FakeNetwork, read_all

from earshot.demo.networks import x
from earshot.demo.networks.world import snowflake
from earshot.errors import ConfigurationError, ReplyRefused, ReplyUnknown, SourceRefused, SourceUnavailable
from earshot.mention import Author
from listener.source import Metered


def invalid(**parameters: str) -> bytes:
    errors = [{"parameters": {name: [value] for name, value in parameters.items()}, "message": "invalid"}]
    return orjson.dumps({"errors": errors, "title": "Invalid Request", "detail": "One or more parameters to your request was invalid."})


def test_a_page_token_that_expired_costs_no_post(x_network: FakeNetwork) -> None:
    posted = [x_network.post(f"number {n}") for n in range(320)]
    source = x_network.source()
    first = source.fetch(None, now=NOW)
    x_network.faults.on(x_network.reads, answers(400, body=invalid(next_token="old")))
    rest, _, pages = read_all(source, first.cursor)
    assert sorted(m.native_id for m in (*first.mentions, *rest)) == sorted([*posted, rest_overlap(first, rest)])
    assert all(page.gap is None for page in pages)


def rest_overlap(first: Any, rest: Any) -> str:
    """The one post at the edge that is read twice when a window goes on by id."""
    (twice,) = {m.native_id for m in first.mentions} & {m.native_id for m in rest}
    return twice


def test_what_search_has_forgotten_is_a_gap_on_record(x_network: FakeNetwork) -> None:
    x_network.faults.begin(x.app(x_network.world, only_recent=True))
    x_network.post("before the long weekend", at=NOW - timedelta(days=6))
    source = x_network.source(first_look=7 * 24)
    _, cursor, _ = read_all(source)
    lost = x_network.post("nobody listens", at=NOW - timedelta(days=5))
    later = NOW + timedelta(days=10)
    x_network.world.now = lambda: later
    fresh = x_network.post("somebody listens again", at=later - timedelta(days=1))
    heard, cursor, pages = read_all(source, cursor, now=later)
    assert [m.native_id for m in heard] == [fresh]
    (gap,) = [page.gap for page in pages if page.gap]
    assert gap.since <= NOW - timedelta(days=5) <= gap.until
    assert gap.until == later - timedelta(days=7)
    assert read_all(source, cursor, now=later)[2][0].gap is None
    assert int(lost) < int(fresh)


def test_words_that_x_does_not_understand_are_for_a_person_to_correct(x_network: FakeNetwork) -> None:
    with pytest.raises(SourceRefused, match="query"):
        x_network.source(query="(lumifern", account="", replies=False).fetch(None, now=NOW)


def test_without_words_and_account_there_is_nothing_to_look_for(x_network: FakeNetwork) -> None:
    with pytest.raises(ConfigurationError, match="query"):
        x_network.source(query="", account="", replies=False)


def test_late_posts_inside_the_overlap_are_heard(x_network: FakeNetwork) -> None:
    late = x_network.post("late in the index", at=NOW - timedelta(seconds=5))
    x_network.post("on time", at=NOW)

    def without_late(body: Any) -> Any:
        body["data"] = [item for item in body["data"] if item["id"] != late]
        return body

    x_network.faults.on(x_network.reads, rewrites(without_late))
    source = x_network.source()
    _, cursor, _ = read_all(source)
    assert late in [m.native_id for m in read_all(source, cursor)[0]]


def test_a_page_with_data_and_errors_is_read(x_network: FakeNetwork) -> None:
    posted = x_network.post("hello")

    def half_an_error(body: Any) -> Any:
        return body | {"errors": [{"title": "Not Found Error", "resource_type": "user", "detail": "Could not find user"}]}

    x_network.faults.on(x_network.reads, rewrites(half_an_error))
    assert [m.native_id for m in read_all(x_network.source())[0]] == [posted]


def test_an_author_x_does_not_show_is_still_somebody(x_network: FakeNetwork) -> None:
    x_network.post("hello", author="suspended")
    x_network.world.forget_person("x", "suspended")
    (mention,), _, _ = read_all(x_network.source())
    assert mention.author is not None
    assert mention.author.followers is None
    assert mention.author.native_id == mention.author.handle


def test_everything_x_tells_of_a_post_and_its_author_is_kept(x_network: FakeNetwork) -> None:
    born = NOW - timedelta(days=900)
    person = x_network.world.person(
        "x", "ann", name="Ann & Co", bio="plants <3", followers=1234, following=5, verified=True, created_at=born
    )
    posted = x_network.post("灯坏了", likes=7, reposts=2)
    x_network.world.post("x", "bob", "me too", at=NOW, reply_to=posted)
    mention = next(m for m in read_all(x_network.source())[0] if m.native_id == posted)
    assert mention.author == Author(
        network="x",
        native_id=person.native_id,
        handle="ann",
        name="Ann & Co",
        bio="plants <3",
        url=f"{x_network.url}/ann",
        followers=1234,
        following=5,
        posts=0,
        verified=True,
        created_at=born,
    )
    assert (mention.likes, mention.reposts, mention.replies, mention.lang_hint) == (7, 2, 1, "zh")
    assert mention.url == f"{x_network.url}/ann/status/{posted}"


def test_a_repost_names_its_original_and_carries_the_whole_text(x_network: FakeNetwork) -> None:
    original = x_network.post("the lamp & the hub " + "very " * 40)
    repost = x_network.world.post("x", "bob", "", at=NOW, repost_of=original)
    heard = {m.native_id: m for m in read_all(x_network.source())[0]}
    assert heard[repost].repost_of == original
    assert heard[repost].text == heard[original].text


@pytest.mark.parametrize(("said", "kept"), [("und", None), ("qme", None), ("in", "id"), ("zh-tw", "zh"), ("en", "en"), (7, None)])
def test_the_language_is_kept_where_it_is_one(x_network: FakeNetwork, said: object, kept: str | None) -> None:
    x_network.post("hello")

    def speak(body: Any) -> Any:
        body["data"][0]["lang"] = said
        return body

    x_network.faults.on(x_network.reads, rewrites(speak))
    assert read_all(x_network.source())[0][0].lang_hint == kept


def test_long_posts_come_whole(x_network: FakeNetwork) -> None:
    x_network.post("short")

    def lengthen(body: Any) -> Any:
        body["data"][0]["note_tweet"] = {"text": "a &amp; b " * 60}
        return body

    x_network.faults.on(x_network.reads, rewrites(lengthen))
    assert read_all(x_network.source())[0][0].text == "a & b " * 60


def test_words_already_posted_under_the_same_post_count_as_this_reply(x_network: FakeNetwork) -> None:
    asked, other = x_network.post("a question"), x_network.post("another question")
    source = x_network.source()
    posted = source.reply(asked, "Hold the ring.", key="1")
    assert source.reply(asked, "Hold the ring.", key="1") == posted
    with pytest.raises(ReplyRefused, match="duplicate"):
        source.reply(other, "Hold the ring.", key="2")
    assert len(x_network.world.replies("x")) == 1


def test_words_already_posted_while_x_does_not_say_where_are_unknown(x_network: FakeNetwork) -> None:
    asked = x_network.post("a question")
    source = x_network.source()
    source.reply(asked, "Hold the ring.", key="1")
    x_network.faults.on("/2/users/", answers(503), forever=True)
    with pytest.raises(ReplyUnknown):
        source.reply(asked, "Hold the ring.", key="1")


def test_our_reply_is_found_though_x_made_a_link_of_a_bare_domain(x_network: FakeNetwork) -> None:
    asked = x_network.post("a question")
    source = x_network.source()
    text = "See lumifern.example/help (or v2.1 of the guide)."
    posted = source.reply(asked, text, key="1")

    def link(body: Any) -> Any:
        item = body["data"][0]
        item["text"] = item["text"].replace("lumifern.example/help", "https://t.co/abc")
        item["entities"] = {"urls": [{"url": "https://t.co/abc", "expanded_url": "http://lumifern.example/help"}]}
        return body

    x_network.faults.on("/tweets", rewrites(link), method="GET")
    assert source.find_reply(asked, text) == posted


@pytest.mark.parametrize("problem", ["oauth1-permissions", "client-forbidden", "usage-capped"])
def test_a_fault_of_our_application_is_not_a_fault_of_the_reply(x_network: FakeNetwork, problem: str) -> None:
    asked = x_network.post("a question")
    body = orjson.dumps({"title": "Forbidden", "status": 403, "detail": "No.", "type": f"https://api.twitter.com/2/problems/{problem}"})
    x_network.faults.on(x_network.writes, answers(403, body=body), method="POST")
    with pytest.raises(SourceRefused, match="EARSHOT_SECRET_X_CONSUMER_KEY"):
        x_network.source().reply(asked, "Hold the ring.", key="1")


def test_what_is_read_counts_against_the_quota(x_network: FakeNetwork) -> None:
    for n in range(120):
        x_network.post(f"number {n}")
    assert sum(page.spent for page in read_all(x_network.source())[2]) == 120


@pytest.fixture
def a_limit_of_two(x_network: FakeNetwork) -> FakeNetwork:
    x_network.faults.begin(x.app(x_network.world, limit=2))
    return x_network


def test_when_the_limit_is_reached_the_moment_it_ends_is_told(a_limit_of_two: FakeNetwork) -> None:
    for n in range(300):
        a_limit_of_two.post(f"number {n}")
    source = a_limit_of_two.source()
    page = source.fetch(source.fetch(None, now=NOW).cursor, now=NOW)
    with pytest.raises(SourceUnavailable) as caught:
        source.fetch(page.cursor, now=NOW)
    assert caught.value.retry_at is not None
    assert a_limit_of_two.faults.count(a_limit_of_two.reads) == 2  # the last answer said that there is no third
    assert source.reply(
        a_limit_of_two.post("how do I pair the hub?"), "Hold the ring.", key="k"
    )  # other addresses have limits of their own
    a_limit_of_two.faults.begin(x.app(a_limit_of_two.world))
    rest, _, _ = read_all(a_limit_of_two.source(), page.cursor)
    assert len(rest) == 100


def test_a_post_that_is_read_again_counts_once_a_day(x_network: FakeNetwork) -> None:
    """X counts a post once in a day, UTC, however often it gives it; each poll reads the last half minute again."""
    source, tomorrow = x_network.source(), NOW + timedelta(days=1)
    x_network.post("my lamp hums", at=NOW)
    pages = [source.fetch(None, now=NOW)]
    for now in (NOW, NOW, tomorrow, tomorrow):
        pages.append(source.fetch(pages[-1].cursor, now=now))
    assert [page.spent for page in pages] == [1, 0, 0, 1, 0]


def test_a_page_costs_no_more_than_it_may(x_network: FakeNetwork) -> None:
    for n in range(120):
        x_network.post(f"number {n}")
    source = x_network.source()
    assert isinstance(source, Metered)
    page = source.fetch_within(None, now=NOW, reads=25)
    assert (page.spent, page.more) == (25, True)
    rest, _, _ = read_all(source, page.cursor)
    assert len({mention.native_id for mention in (*page.mentions, *rest)}) == 120


def test_ids_of_x_tell_the_time() -> None:
    assert len(str(snowflake(NOW))) == 19

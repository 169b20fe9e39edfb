"""What every source keeps, whatever its network. A source joins with a fixture like `x_network` and one line in `FAKES`."""

from __future__ import annotations

import logging
import random
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
import structlog
from fake_networks.faults import (
    Fault,
    answers,
    breaks,
    drips_body,
    drips_head,
    fails_after,
    garbles,
    hangs,
    hangs_after,
    loses_the_answer,
    rewrites,
    rewrites_bytes,
    unpacks_to,
)
from fake_networks.fixtures import NOW, FakeNetwork, read_all

from earshot.errors import (
    ConfigurationError,
    ReplyError,
    ReplyRefused,
    ReplyUnknown,
    SourceConfused,
    SourceError,
    SourceRefused,
    SourceUnavailable,
)
from earshot.mention import Mention
from earshot.registry import load
from listener import SOURCES, live
from listener.plain_text import MAX_TEXT
from listener.source import Posted, Source

NAMES = ("x", "reddit", "mastodon", "bluesky", "lemmy", "discourse", "stackexchange", "appstore", "youtube", "hackernews")
FAKES = {name: f"{name}_network" for name in (*NAMES, "mastodon streaming", "reddit streaming", "x streaming")}
#: sources that speak another language than JSON over HTTP keep what is promised of all, too; their faults stand in tests of their own
BEYOND_JSON = {"mailbox": "mailbox_network", "feed": "feed_network"}
#: nothing is answered there: the network takes no post from a program, or none that stands below another's
LISTENED_TO = {"stackexchange", "appstore", "youtube", "hackernews", "feed"}
everywhere = pytest.mark.parametrize("network", sorted(FAKES | BEYOND_JSON), indirect=True)
#: where people answer each other, and we answer them
where_we_answer = pytest.mark.parametrize("network", sorted(set(FAKES) - LISTENED_TO), indirect=True)
wherever_we_answer = pytest.mark.parametrize("network", sorted((set(FAKES) | set(BEYOND_JSON)) - LISTENED_TO), indirect=True)
#: where reading takes a key, if there is one
where_a_key_is_read_with = pytest.mark.parametrize("network", sorted(set(FAKES) - {"bluesky", "appstore", "hackernews"}), indirect=True)


BARE_LIST = answers(200, body=b"[]")


@pytest.fixture(params=sorted(FAKES))
def network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> FakeNetwork:
    name, _, streaming = request.param.partition(" ")
    found: FakeNetwork = request.getfixturevalue((FAKES | BEYOND_JSON)[name])
    if streaming:
        found.streams = True
        monkeypatch.setattr(live, "STRETCH_SECONDS", 0.05)
    return found


def ids(mentions: list[Any]) -> list[str]:
    return [mention.native_id for mention in mentions]


# what is listed


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_every_listed_source_loads_and_names_its_network(name: str) -> None:
    assert load(SOURCES, name, kind="source").network == name


@wherever_we_answer
def test_a_missing_secret_is_named_before_anything_is_called(network: FakeNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in network.world.environ(network.name):
        monkeypatch.delenv(name)
    with pytest.raises(ConfigurationError, match=f"EARSHOT_SECRET_{network.name.upper()}_"):
        network.source()
    assert network.faults.calls == []


@wherever_we_answer
def test_a_source_that_answers_must_know_its_account(network: FakeNetwork) -> None:
    with pytest.raises(ConfigurationError, match="account"):
        network.source(account="")


# nothing lost, nothing doubled


@everywhere
@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 250])
def test_everything_is_heard_page_by_page(network: FakeNetwork, count: int) -> None:
    posted = [network.post(f"number {n}") for n in range(count)]
    heard, _, _ = read_all(network.source())
    assert sorted(ids(heard)) == sorted(posted)


@everywhere
def test_350_new_posts_between_two_polls_are_all_heard(network: FakeNetwork) -> None:
    first = [network.post(f"early {n}", at=NOW - timedelta(hours=2)) for n in range(120)]
    source = network.source()
    before, cursor, _ = read_all(source)
    new = [network.post(f"late {n}", at=NOW) for n in range(350)]
    after, _, pages = read_all(source, cursor, now=NOW + timedelta(minutes=1))
    assert set(ids(before)) == set(first)
    assert set(new) <= set(ids(after))
    assert all(page.gap is None for page in pages)


def test_a_quiet_network_costs_one_call_a_listing_and_little_is_read_again(network: FakeNetwork) -> None:
    for n in range(150):
        network.post(f"number {n}", at=NOW - timedelta(hours=3) + timedelta(seconds=n))
    source = network.source()
    _, cursor, _ = read_all(source)
    network.faults.calls.clear()
    again, _, _ = read_all(source, cursor, now=NOW + timedelta(minutes=5))
    assert network.faults.count(network.reads) == 1
    assert len(again) <= 100


def test_a_new_source_reads_back_as_far_as_it_is_told_and_a_page_at_most_beyond(network: FakeNetwork) -> None:
    posted = [network.post(f"number {n}", at=NOW - timedelta(minutes=10 * n)) for n in reversed(range(300))]
    for hours in (1, 10, 40):
        heard = set(ids(read_all(network.source(first_look=hours))[0]))
        wanted = set(posted[-6 * hours :])
        assert wanted <= heard
        assert len(heard) <= len(wanted) + 100


@everywhere
def test_posts_of_the_same_moment_at_a_page_edge_are_all_heard(network: FakeNetwork) -> None:
    same = [network.post(f"same {n}", at=NOW) for n in range(130)]
    source = network.source()
    _, cursor, _ = read_all(source)
    late = [network.post(f"same moment, later {n}", at=NOW) for n in range(130)]
    heard, _, _ = read_all(source, cursor, now=NOW + timedelta(minutes=1))
    assert set(late) <= set(ids(heard))
    assert len(set(same + late)) == 260


@everywhere
def test_a_post_from_the_future_hides_nothing(network: FakeNetwork) -> None:
    source = network.source()
    network.post("normal", at=NOW)
    network.post("from the future", at=NOW + timedelta(days=400))
    _, cursor, _ = read_all(source)
    late = [network.post(f"late {n}", at=NOW + timedelta(minutes=1)) for n in range(150)]
    heard, _, _ = read_all(source, cursor, now=NOW + timedelta(minutes=2))
    assert set(late) <= set(ids(heard))


@everywhere
def test_after_a_crash_between_pages_the_stored_cursor_goes_on_without_a_gap(network: FakeNetwork) -> None:
    posted = [network.post(f"number {n}") for n in range(250)]
    first = network.source().fetch(None, now=NOW)
    assert first.more is not network.at_once
    network.post("while we were down", at=NOW + timedelta(minutes=1))
    rest, cursor, _ = read_all(network.source(), first.cursor, now=NOW + timedelta(minutes=2))
    after, _, _ = read_all(network.source(), cursor, now=NOW + timedelta(minutes=3))
    assert set(posted) <= {*ids(list(first.mentions)), *ids(rest)}
    assert len(set(network.world.ids(network.name)) - {*ids(list(first.mentions)), *ids(rest), *ids(after)}) == 0


def test_posts_out_of_order_and_twice_on_a_page_are_heard(network: FakeNetwork) -> None:
    posted = [network.post(f"number {n}") for n in range(230)]

    def shuffle(body: Any) -> Any:
        network.items(body).reverse()
        network.items(body).append(network.items(body)[0])
        return body

    network.faults.on(network.reads, rewrites(shuffle), rewrites(shuffle), rewrites(shuffle))
    heard, _, _ = read_all(network.source())
    assert set(ids(heard)) == set(posted)


def test_posts_that_one_answer_withholds_come_with_the_next_poll(network: FakeNetwork) -> None:
    posted = [network.post(f"number {n}", at=NOW) for n in range(20)]

    def withhold(body: Any) -> Any:
        del network.items(body)[3:9]
        return body

    network.faults.on(network.reads, rewrites(withhold))
    source = network.source()
    first, cursor, _ = read_all(source)
    second, _, _ = read_all(source, cursor, now=NOW + timedelta(minutes=2))
    assert len(first) == 14
    assert {*ids(first), *ids(second)} == set(posted)


def test_one_post_that_cannot_be_read_is_skipped_with_a_warning_and_the_others_are_kept(network: FakeNetwork) -> None:
    posted = [network.post(f"number {n}") for n in range(5)]

    def spoil(body: Any) -> Any:
        items = network.items(body)
        spoilt = network.facts(items[2])
        times = ("created_at", "created_at_i", "created_utc", "creation_date", "published", "createdAt", "updated", "publishedAt")
        spoilt |= {name: {"no": "time"} for name in times}
        items.append("not even a post")
        return body

    network.faults.on(network.reads, rewrites(spoil))
    with structlog.testing.capture_logs() as lines:
        heard, _, _ = read_all(network.source())
    assert len(heard) == 4
    skipped = [line for line in lines if line["event"] == "post_skipped"]
    assert {line["native_id"] for line in skipped} & set(posted)
    assert "lumifern: number" not in str(skipped)


ABSENT = object()
WRONG = (ABSENT, None, True, 7, -1, 2**62, "x", "", [], ["x"], [7], {}, {"x": 7})


def spoil_one_field(item: dict[str, Any], draw: random.Random) -> str:
    """One field of a post, or of what it holds, is gone or of a wrong type."""
    holder = item
    while isinstance(inner := holder[name := draw.choice(sorted(holder))], dict) and inner and draw.random() < 0.8:
        holder = inner
    wrong = draw.choice(WRONG)
    if wrong is ABSENT:
        del holder[name]
    else:
        holder[name] = wrong
    return f"{name} is {'absent' if wrong is ABSENT else wrong!r}"


@pytest.mark.parametrize("seed", range(3))
def test_whatever_one_field_of_a_post_says_the_other_posts_are_heard(network: FakeNetwork, seed: int) -> None:
    posted = [network.post(f"number {n}", author=f"author{n}") for n in range(3)]
    draw = random.Random(seed)
    source = network.source()
    spoilt: list[str] = []

    def spoil(body: Any) -> Any:
        items = network.items(body)
        spoilt[:] = [next(native_id for native_id in posted if names(items[1], native_id)), spoil_one_field(items[1], draw)]
        return body

    def names(item: Any, native_id: str) -> bool:
        return f"number {posted.index(native_id)}" in str(item)

    for _ in range(60):
        network.faults.on(network.reads, rewrites(spoil))
        page = source.fetch(None, now=NOW)
        assert {*posted} - {spoilt[0]} <= set(ids(list(page.mentions))), spoilt[1]
        for mention in page.mentions:
            assert msgspec.json.decode(msgspec.json.encode(mention), type=Mention) == mention, spoilt[1]


def test_what_we_do_not_know_of_changes_nothing(network: FakeNetwork) -> None:
    for n in range(3):
        network.post(f"number {n}", author=f"author{n}")
    plain, _, _ = read_all(network.source())

    def more(item: Any) -> Any:
        if isinstance(item, list):
            return [more(each) for each in item]
        if isinstance(item, dict):
            return {name: more(value) for name, value in item.items()} | {"new_thing": {"of": ["a", 1, None]}}
        return item

    def add(body: Any) -> Any:
        items = network.items(body)
        items[:] = [more(item) for item in items]
        return body

    network.faults.on(network.reads, rewrites(add))
    heard, _, _ = read_all(network.source())
    assert sorted(heard, key=str) == sorted(plain, key=str)


@pytest.mark.parametrize("network", sorted(set(FAKES) - {"appstore"}), indirect=True)
def test_an_author_who_deleted_the_account_stops_nobody_else(network: FakeNetwork) -> None:
    """Some networks keep such a post and name nobody, others take it away with its author. Apple says nothing of either."""
    gone, kept = network.post("how do I pair the hub?", author="gil"), network.post("my lamp hums", author="ann")
    network.world.forget_person(network.name, "gil")
    heard, _, _ = read_all(network.source())
    authors = {mention.native_id: mention.author for mention in heard}
    author = authors.pop(gone, None)
    assert author is None or (author.handle, author.name) == (author.native_id, "")
    assert [author.handle for author in authors.values() if author] == ["ann"]
    assert list(authors) == [kept]


@everywhere
def test_a_cursor_that_is_not_ours_is_refused_in_words(network: FakeNetwork) -> None:
    for cursor in ("{", "[]", '{"who": 1}', "null"):
        with pytest.raises(SourceConfused, match="cursor"):
            network.source().fetch(cursor, now=NOW)
    assert network.streams or network.faults.calls == []


# what a mention says


@everywhere
def test_text_is_as_the_author_wrote_it(network: FakeNetwork) -> None:
    text = '1 < 2 && "quoted" <script>alert(1)</script> &amp; https://a.example/p?x=1&y=2 😀 灯坏了'
    network.post(text)
    (mention,), _, _ = read_all(network.source())
    assert mention.text == network.shown(f"lumifern: {text}")


def test_hostile_names_and_broken_characters_arrive_as_plain_text(network: FakeNetwork) -> None:
    network.world.person(network.name, "eve", name='"><img src=x onerror=alert(1)>\r\nBcc: all', bio="=cmd()\0")
    network.post("with a NUL \0 inside", author="eve")
    (mention,), _, _ = read_all(network.source())
    assert mention.author is not None
    assert mention.author.handle == "eve"
    assert mention.text.split() == network.shown("lumifern: with a NUL inside").split()
    assert "\0" not in mention.author.bio


def test_ten_thousand_hashtags_and_a_name_of_a_megabyte_are_clipped(network: FakeNetwork) -> None:
    network.world.person(network.name, "eve", name="N" * 1_000_000, bio="B" * 1_000_000)
    network.post("#hub " * 10_000 + "x" * 1_000_000, author="eve")
    (mention,), _, _ = read_all(network.source())
    assert mention.author is not None
    assert len(mention.author.name) <= 200
    assert len(mention.author.bio) <= MAX_TEXT
    assert len(mention.text) <= MAX_TEXT


def test_half_a_surrogate_pair_can_be_stored(network: FakeNetwork) -> None:
    network.post("XXXX")

    network.faults.on(network.reads, rewrites_bytes(lambda body: body.replace(b"XXXX", b"\\ud83d")))
    (mention,), _, _ = read_all(network.source())
    assert mention.text.encode("utf-8")


@wherever_we_answer
def test_replies_name_their_parent_and_thread(network: FakeNetwork) -> None:
    root = network.post("a question")
    child = network.post("me too", author="bob", reply_to=root)
    grandchild = network.post("and I", author="cy", reply_to=child)
    heard = {mention.native_id: mention for mention in read_all(network.source())[0]}
    assert (heard[root].parent_id, heard[child].parent_id, heard[grandchild].parent_id) == (None, root, child)
    assert {mention.thread_id for mention in heard.values()} == {network.thread_of(root)}


@everywhere
def test_times_are_aware_and_those_of_the_network(network: FakeNetwork) -> None:
    network.post("hello", at=NOW - timedelta(minutes=7))
    (mention,), _, _ = read_all(network.source())
    assert mention.posted_at == NOW - timedelta(minutes=7)
    assert mention.posted_at.tzinfo is not None


@wherever_we_answer
def test_our_own_posts_never_come_back(network: FakeNetwork) -> None:
    asked = network.post("how do I reset the lamp?")
    source = network.source()
    source.reply(asked, "Hold the ring. lumifern", key="1")
    network.post("our own news", author=network.world.account.upper())
    assert ids(read_all(source)[0]) == [asked]


@wherever_we_answer
def test_the_author_answering_us_is_heard(network: FakeNetwork) -> None:
    asked = network.post("how do I reset the lamp?")
    source = network.source()
    ours = source.reply(asked, "Hold the ring for 12 seconds.", key="1")
    thanks = network.world.post(network.name, "ann", "thanks, that worked", at=NOW, reply_to=ours.native_id)
    heard = {mention.native_id: mention for mention in read_all(source)[0]}
    assert heard[thanks].parent_id == ours.native_id
    assert heard[thanks].thread_id == heard[asked].thread_id
    assert heard[thanks].author == heard[asked].author


# a network in trouble


def test_a_server_that_is_not_there_is_unavailable(network: FakeNetwork) -> None:
    with pytest.raises(SourceUnavailable, match=network.name):
        network.source(url="http://127.0.0.1:9").fetch(None, now=NOW)


def test_too_many_calls_wait_as_long_as_the_network_says_without_sleeping(network: FakeNetwork) -> None:
    until = int(time.time()) + 600
    network.faults.on(network.reads, answers(429, headers=network.reset(until)))
    with pytest.raises(SourceUnavailable) as caught:
        network.source().fetch(None, now=NOW)
    assert caught.value.retry_at is not None
    assert abs(caught.value.retry_at.timestamp() - until) <= 2
    assert network.faults.count(network.reads) == 1


@pytest.mark.parametrize("headers", [{}, {"retry-after": "soon"}, {"x-rate-limit-reset": "nan"}, {"retry-after": "-5"}])
def test_too_many_calls_without_a_time_that_can_be_read(network: FakeNetwork, headers: dict[str, str]) -> None:
    network.faults.on(network.reads, answers(429, headers=headers))
    with pytest.raises(SourceUnavailable) as caught:
        network.source().fetch(None, now=NOW)
    assert caught.value.retry_at is None or caught.value.retry_at <= datetime.now(UTC)


def test_a_pause_is_never_longer_than_a_day(network: FakeNetwork) -> None:
    network.faults.on(network.reads, answers(429, headers={"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}))
    with pytest.raises(SourceUnavailable) as caught:
        network.source().fetch(None, now=NOW)
    assert caught.value.retry_at is not None
    assert caught.value.retry_at <= datetime.now(UTC) + timedelta(days=1)


def test_a_key_that_is_refused_stops_after_one_call_and_says_what_to_check(network: FakeNetwork) -> None:
    network.faults.on(network.reads, answers(401), forever=True)
    with pytest.raises(SourceRefused, match=network.main_secret):
        network.source().fetch(None, now=NOW)
    assert network.faults.count(network.reads) == 1


@where_a_key_is_read_with
def test_a_wrong_key_says_what_to_check(network: FakeNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(network.main_secret, "canary-wrong-key")
    with pytest.raises(SourceRefused, match=network.main_secret) as caught:
        network.source().fetch(None, now=NOW)
    assert "canary" not in str(caught.value)
    assert len(network.faults.calls) == 1


def test_a_network_that_forbids_reading_is_not_asked_twice(network: FakeNetwork) -> None:
    network.faults.on(network.reads, answers(403), forever=True)
    with pytest.raises(SourceRefused, match="403"):
        network.source().fetch(None, now=NOW)
    assert network.faults.count(network.reads) == 1


@pytest.mark.parametrize("status", [500, 502, 503, 504, 520])
def test_trouble_at_the_network_is_not_repeated_at_once(network: FakeNetwork, status: int) -> None:
    network.faults.on(network.reads, answers(status, headers={"retry-after": "90"}), forever=True)
    with pytest.raises(SourceUnavailable) as caught:
        network.source().fetch(None, now=NOW)
    assert caught.value.retry_at is not None
    assert network.faults.count(network.reads) == 1


@pytest.mark.parametrize(
    "fault", [hangs(), drips_head(), drips_body(), breaks()], ids=["hang", "drip in the head", "drip in the body", "reset"]
)
def test_a_network_that_gives_no_whole_answer_in_time_is_unavailable(network: FakeNetwork, fault: Fault) -> None:
    source = network.source(deadline=0.4)
    network.faults.on(network.reads, fault, forever=True)
    with pytest.raises(SourceUnavailable):
        source.fetch(None, now=NOW)
    assert network.faults.count(network.reads) == 1


@pytest.mark.parametrize(
    "fault",
    [answers(200, body=body) for body in (b"", b"<html>hello</html>", b"null", b"{}", b'{"data": 7}', b'{"data": {"children": 3}}', b'"x"')]
    + [BARE_LIST, garbles(), answers(302, headers={"location": "http://127.0.0.1:9/"}), answers(418)],
)
def test_an_answer_that_is_none_of_the_network_confuses_and_moves_no_cursor(network: FakeNetwork, fault: Fault) -> None:
    if network.empty is not None and fault is BARE_LIST:
        pytest.skip("a bare list is how this network says that there is nothing")
    posted = [network.post("hello")]
    source = network.source()
    network.faults.on(network.reads, fault)
    with pytest.raises((SourceConfused, SourceRefused)):
        source.fetch(None, now=NOW)
    assert ids(read_all(source)[0]) == posted


def test_an_answer_that_unpacks_to_too_much_is_thrown_away(network: FakeNetwork) -> None:
    network.faults.on(network.reads, unpacks_to(48 * 2**20))
    with pytest.raises(SourceConfused, match="32 MiB"):
        network.source().fetch(None, now=NOW)


# answering


ANSWER = "Hold the ring for 12 seconds, see https://lumifern.example/help?a=1&b=2 <3 & tell us."


def answer_like_an_outbox(source: Source, parent: str, text: str) -> Posted | None:
    """What the outbox does: never send again before it looked for what may stand there already."""
    for _ in range(12):
        try:
            return source.reply(parent, text, key=f"reply to {parent}")
        except ReplyUnknown:
            posted = look_until_told(source, parent, text)
            if posted is not None:
                return posted
        except SourceUnavailable:
            continue
        except ReplyRefused:
            return None
    return None


def look_until_told(source: Source, parent: str, text: str) -> Posted | None:
    for _ in range(20):
        try:
            return source.find_reply(parent, text)
        except SourceError:
            continue
    raise AssertionError("the network never told")


@where_we_answer
def test_a_reply_stands_on_the_network_below_its_parent(network: FakeNetwork) -> None:
    asked = network.post("how do I reset the lamp?")
    posted = network.source().reply(asked, ANSWER, key="1")
    (reply,) = network.world.replies(network.name)
    said = reply.text.removeprefix("@ann ")  # where a network tells nobody of a reply but who is named in it
    assert (reply.native_id, reply.parent, said) == (posted.native_id, asked, ANSWER)
    assert posted.url.startswith(network.url)


@where_we_answer
def test_our_own_reply_is_found_below_its_parent_only(network: FakeNetwork) -> None:
    asked, other = network.post("how do I reset the lamp?"), network.post("and the strip?")
    source = network.source()
    posted = source.reply(asked, ANSWER, key="1")
    assert source.find_reply(asked, f"  {ANSWER}\n") == posted
    assert source.find_reply(other, ANSWER) is None
    assert source.find_reply(asked, "something else") is None


@where_we_answer
@pytest.mark.parametrize("fault", [loses_the_answer(), fails_after(503), hangs_after(), garbles()], ids=["reset", "503", "hang", "garbled"])
def test_a_reply_whose_answer_is_lost_is_unknown_and_stands_once(network: FakeNetwork, fault: Fault) -> None:
    asked = network.post("how do I reset the lamp?")
    source = network.source(deadline=0.5)
    network.faults.on(network.writes, fault, method="POST")
    with pytest.raises(ReplyUnknown):
        source.reply(asked, ANSWER, key="1")
    assert len(network.world.replies(network.name)) == 1
    posted = source.find_reply(asked, ANSWER)
    assert posted is not None
    assert posted.native_id == network.world.replies(network.name)[0].native_id


@where_we_answer
@pytest.mark.parametrize("fault", [breaks(), answers(500), hangs()], ids=["reset", "500", "hang"])
def test_a_reply_that_never_arrived_is_unknown_until_we_look(network: FakeNetwork, fault: Fault) -> None:
    asked = network.post("how do I reset the lamp?")
    source = network.source(deadline=0.5)
    network.faults.on(network.writes, fault, method="POST")
    with pytest.raises(ReplyUnknown):
        source.reply(asked, ANSWER, key="1")
    assert source.find_reply(asked, ANSWER) is None
    assert network.world.replies(network.name) == []


@where_we_answer
def test_a_reply_that_was_surely_not_made_may_be_tried_again(network: FakeNetwork) -> None:
    asked = network.post("how do I reset the lamp?")
    until = time.time() + 60
    network.faults.on(network.writes, answers(429, headers=network.reset(until)), method="POST")
    source = network.source()
    with pytest.raises(SourceUnavailable) as caught:
        source.reply(asked, ANSWER, key="1")
    assert caught.value.retry_at is not None
    with pytest.raises(SourceUnavailable):
        network.source(url="http://127.0.0.1:9").reply(asked, ANSWER, key="1")
    source.reply(asked, ANSWER, key="1")
    assert len(network.world.replies(network.name)) == 1


@where_we_answer
def test_a_reply_with_a_refused_key_asks_for_a_person_after_one_call(network: FakeNetwork) -> None:
    asked = network.post("how do I reset the lamp?")
    network.faults.on(network.writes, answers(401), method="POST", forever=True)
    with pytest.raises(SourceRefused, match="EARSHOT_SECRET_"):
        network.source().reply(asked, ANSWER, key="1")
    assert sum(method == "POST" and network.writes in path for method, path in network.faults.calls) == 1


@wherever_we_answer
def test_a_reply_to_a_post_that_is_gone_is_refused_for_good(network: FakeNetwork) -> None:
    asked = network.post("never mind")
    network.world.delete(network.name, asked)
    with pytest.raises(ReplyRefused):
        network.source().reply(asked, ANSWER, key="1")


@wherever_we_answer
@pytest.mark.parametrize("text", ["", "   ", "long " * 5000], ids=["empty", "blank", "long"])
def test_a_text_that_the_network_does_not_take_is_refused_for_good(network: FakeNetwork, text: str) -> None:
    asked = network.post("a question")
    with pytest.raises(ReplyRefused):
        network.source().reply(asked, text, key="1")
    assert network.world.replies(network.name) == []


@wherever_we_answer
def test_a_source_that_may_not_answer_does_not(network: FakeNetwork) -> None:
    asked = network.post("a question")
    source = network.source(replies=False)
    for answer in (lambda: source.reply(asked, ANSWER, key="1"), lambda: source.find_reply(asked, ANSWER)):
        with pytest.raises(ReplyRefused, match="replies = true"):
            answer()
    assert network.faults.calls == []


@where_we_answer
@pytest.mark.parametrize("seed", range(2))
def test_no_reply_stands_twice_however_the_network_fails(network: FakeNetwork, seed: int) -> None:
    faults = [loses_the_answer(), fails_after(500), fails_after(502), breaks(), answers(503), answers(429), garbles()]
    network.faults.by_lot(faults, seed=seed, share=0.6, method="POST")
    source = network.source(deadline=2.0)
    asked = [network.post(f"question {n}", author=f"asker{n}") for n in range(20)]
    sent = [answer_like_an_outbox(source, parent, f"Answer {n} for you") for n, parent in enumerate(asked)]
    replies = network.world.replies(network.name)
    assert len({reply.parent for reply in replies}) == len(replies)
    assert {posted.native_id for posted in sent if posted} == {reply.native_id for reply in replies}
    assert len(replies) >= 19


# what must not leak


@where_we_answer
def test_neither_keys_nor_posts_reach_the_log(network: FakeNetwork, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    asked = network.post("a very private question")
    source = network.source()
    read_all(source)
    source.reply(asked, "a very private answer", key="1")
    network.faults.on(network.reads, answers(401))
    with pytest.raises(SourceRefused):
        source.fetch(None, now=NOW)
    for canary in ("very private", *network.world.environ(network.name).values()):
        assert canary not in caplog.text


SENSELESS = [
    breaks(),
    garbles(),
    loses_the_answer(),
    answers(400, body=b"[]"),
    answers(400, body=b'{"errors": 7}'),
    answers(403, body=b"[]"),
    answers(404),
    answers(200, body=b'{"data": [[]], "meta": {}}'),
    answers(200, body=b'{"json": {"errors": [7]}}'),
]


@where_we_answer
@pytest.mark.parametrize("fault", SENSELESS)
def test_a_source_fails_only_in_the_ways_it_promises(network: FakeNetwork, fault: Fault) -> None:
    asked = network.post("a question")
    source = network.source(deadline=1.0)
    network.faults.on("/", fault)
    with suppress(SourceError):
        source.fetch(None, now=NOW)
    network.faults.on("/", fault)
    with suppress(SourceUnavailable, SourceRefused, ReplyError):
        source.reply(asked, "An answer", key="1")
    network.faults.on("/", fault)
    with suppress(SourceError):
        source.find_reply(asked, "An answer")

"""What is Stack Exchange's alone: tags and words, the day's quota, the pauses that it asks for, and that nobody is answered."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fake_networks import stackexchange
from fake_networks.faults import answers, rewrites
from fake_networks.fixtures import NOW, FakeNetwork, read_all

from earshot.errors import ConfigurationError, ReplyRefused, SourceError, SourceRefused, SourceUnavailable


def ids(mentions: list[Any]) -> set[str]:
    return {mention.native_id for mention in mentions}


def test_a_question_is_its_title_and_its_body(stackexchange_network: FakeNetwork) -> None:
    posted = stackexchange_network.post('why "red"?\n\nIt <blinks> & beeps.', title='Hub 2 & "me"')
    (mention,), _, _ = read_all(stackexchange_network.source())
    assert mention.text == 'Hub 2 & "me"\n\nlumifern: why "red"?\n\nIt <blinks> & beeps.'
    assert (mention.native_id, mention.thread_id, mention.parent_id) == (posted, posted, None)
    assert mention.url == f"https://a.example/questions/{posted.partition('@')[0]}"
    assert mention.author is not None
    assert mention.author.native_id.endswith("@stackoverflow")


def test_no_key_is_needed(stackexchange_network: FakeNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EARSHOT_SECRET_STACKEXCHANGE_KEY")
    posted = {stackexchange_network.post(f"number {n}") for n in range(120)}
    assert ids(read_all(stackexchange_network.source())[0]) == posted


def test_all_tags_of_a_query_must_fit_and_words_are_searched_for(stackexchange_network: FakeNetwork) -> None:
    named = stackexchange_network.post("the hub blinks", title="Red light")
    stackexchange_network.post("the lamp blinks", title="Red light")
    assert ids(read_all(stackexchange_network.source(query="[lumifern] hub red"))[0]) == {named}
    assert read_all(stackexchange_network.source(query="[lumifern] [other]"))[0] == []


def test_another_site_is_named_in_the_query(stackexchange_network: FakeNetwork) -> None:
    with pytest.raises(SourceRefused, match=r"No site found.*query"):
        stackexchange_network.source(query="[lumifern] site:superuser").fetch(None, now=NOW)


def test_a_query_of_nothing_is_refused(stackexchange_network: FakeNetwork) -> None:
    with pytest.raises(ConfigurationError, match="query"):
        stackexchange_network.source(query=" site:superuser ")


@pytest.mark.parametrize("account", ["Lumifern", "own number"])
def test_our_own_questions_are_not_heard(stackexchange_network: FakeNetwork, account: str) -> None:
    world = stackexchange_network.world
    stackexchange_network.post("our own", author=world.account)
    someone = world.someone("stackexchange", world.account)
    assert someone is not None
    number = str(int(someone.native_id, 36) % 10**9)
    assert read_all(stackexchange_network.source(account=number if account == "own number" else account))[0] == []


def test_a_deleted_author_is_nobody_and_the_question_stays(stackexchange_network: FakeNetwork) -> None:
    posted = stackexchange_network.post("still here", author="gone")
    stackexchange_network.world.forget_person("stackexchange", "gone")
    (mention,), _, _ = read_all(stackexchange_network.source())
    assert (mention.native_id, mention.author) == (posted, None)


@pytest.mark.parametrize(
    "change", [{"title": None}, {"body": 7}, {"creation_date": "1"}, {"creation_date": True}, {"owner": {"user_id": []}}]
)
def test_a_question_of_wrong_types_is_skipped_and_the_others_are_heard(stackexchange_network: FakeNetwork, change: dict[str, Any]) -> None:
    posted = [stackexchange_network.post(f"number {n}") for n in range(3)]

    def spoil(body: Any) -> Any:
        body["items"][1] |= change
        return body

    stackexchange_network.faults.on(stackexchange_network.reads, rewrites(spoil))
    assert ids(read_all(stackexchange_network.source())[0]) == {posted[0], posted[2]}


def test_counts_and_links_of_wrong_types_are_left_out(stackexchange_network: FakeNetwork) -> None:
    stackexchange_network.post("hello")

    def spoil(body: Any) -> Any:
        body["items"][0] |= {"score": -3, "answer_count": "many", "link": "javascript:alert(1)"}
        return body

    stackexchange_network.faults.on(stackexchange_network.reads, rewrites(spoil))
    (mention,), _, _ = read_all(stackexchange_network.source())
    assert (mention.likes, mention.replies, mention.url) == (None, None, "")


# manners


def test_a_pause_that_is_asked_for_is_kept_by_every_process(stackexchange_network: FakeNetwork) -> None:
    posted = {stackexchange_network.post(f"number {n}", at=NOW - timedelta(minutes=n)) for n in range(120)}
    stackexchange_network.app.backoff = [30]
    first = stackexchange_network.source().fetch(None, now=NOW)
    with pytest.raises(SourceUnavailable) as caught:
        stackexchange_network.source().fetch(first.cursor, now=NOW + timedelta(seconds=29))
    assert caught.value.retry_at is not None
    assert NOW + timedelta(seconds=30) <= caught.value.retry_at <= NOW + timedelta(seconds=32)
    assert len(stackexchange_network.faults.calls) == 1
    rest, _, _ = read_all(stackexchange_network.source(), first.cursor, now=caught.value.retry_at)
    assert {*ids(list(first.mentions)), *ids(rest)} == posted


def test_when_the_quota_of_the_day_is_spent_no_call_is_made_before_midnight(stackexchange_network: FakeNetwork) -> None:
    app = stackexchange.app(stackexchange_network.world, quota=1)
    stackexchange_network.faults.begin(app)
    source = stackexchange_network.source()
    _, cursor, _ = read_all(source)
    with pytest.raises(SourceUnavailable) as caught:
        source.fetch(cursor, now=NOW + timedelta(minutes=5))
    assert caught.value.retry_at == datetime(2026, 5, 5, tzinfo=UTC)
    assert len(stackexchange_network.faults.calls) == 1


def test_a_throttle_told_in_words_is_kept(stackexchange_network: FakeNetwork) -> None:
    stackexchange_network.faults.begin(stackexchange.app(stackexchange_network.world, quota=0))
    with pytest.raises(SourceUnavailable) as caught:
        stackexchange_network.source().fetch(None, now=NOW)
    assert caught.value.retry_at == NOW + timedelta(seconds=4321)


@pytest.mark.parametrize(
    ("kind", "error"),
    [(500, SourceUnavailable), (502, SourceUnavailable), (503, SourceUnavailable), (401, SourceRefused), (400, SourceRefused)],
)
def test_what_a_refusal_means_stands_in_its_body(stackexchange_network: FakeNetwork, kind: int, error: type[SourceError]) -> None:
    refusal = bytes(stackexchange.refusal(kind, "some_error", "later").body)
    stackexchange_network.faults.on(stackexchange_network.reads, answers(400, body=refusal))
    with pytest.raises(error):
        stackexchange_network.source().fetch(None, now=NOW)


def test_an_absurd_pause_ends_after_a_day(stackexchange_network: FakeNetwork) -> None:
    stackexchange_network.app.backoff = [2**30]
    page = stackexchange_network.source().fetch(None, now=NOW)
    with pytest.raises(SourceUnavailable) as caught:
        stackexchange_network.source().fetch(page.cursor, now=NOW)
    assert caught.value.retry_at is not None
    assert caught.value.retry_at <= NOW + timedelta(days=1, seconds=2)


# edits and deletions


def test_edits_and_deletions_are_found_within_hours_by_one_call(stackexchange_network: FakeNetwork) -> None:
    posted = [stackexchange_network.post(f"number {n}", at=NOW - timedelta(hours=1) - timedelta(minutes=n)) for n in range(20)]
    source = stackexchange_network.source()
    _, cursor, _ = read_all(source)
    stackexchange_network.world.delete("stackexchange", posted[3])
    stackexchange_network.world.edit("stackexchange", posted[5], "solved", at=NOW + timedelta(hours=1))
    soon, cursor, pages = read_all(source, cursor, now=NOW + timedelta(hours=2))
    assert (soon, [page.deleted for page in pages]) == ([], [()])
    stackexchange_network.faults.calls.clear()
    (edited,), _, pages = read_all(source, cursor, now=NOW + timedelta(hours=7))
    assert (edited.native_id, edited.text) == (posted[5], "solved")
    assert pages[0].deleted == (posted[3],)
    assert len(stackexchange_network.faults.calls) == 2


@pytest.mark.parametrize("body", [b'{"items": [], "has_more": false}', b"{}", b"[]", b"no JSON"])
def test_an_answer_that_tells_nothing_deletes_nothing(stackexchange_network: FakeNetwork, body: bytes) -> None:
    posted = [stackexchange_network.post(f"number {n}") for n in range(3)]
    source = stackexchange_network.source()
    _, cursor, _ = read_all(source)
    stackexchange_network.faults.on("/2.3/questions/", answers(200, body=body))
    new = stackexchange_network.post("new", at=NOW + timedelta(hours=6))
    heard, _, pages = read_all(source, cursor, now=NOW + timedelta(hours=7))
    assert ids(heard) == {new}
    assert not {native_id for page in pages for native_id in page.deleted} & set(posted)


def test_a_cursor_stays_small(stackexchange_network: FakeNetwork) -> None:
    for n in range(700):
        stackexchange_network.post(f"number {n}", at=NOW - timedelta(seconds=700 - n))
    heard, cursor, _ = read_all(stackexchange_network.source())
    assert len(heard) == 700
    assert len(cursor or "") < 20_000


@pytest.mark.parametrize("ahead", [timedelta(hours=1), timedelta(hours=-1)])
def test_a_clock_that_goes_wrong_for_one_poll_loses_nothing(stackexchange_network: FakeNetwork, ahead: timedelta) -> None:
    source = stackexchange_network.source()
    stackexchange_network.post("known", at=NOW - timedelta(minutes=1))
    _, cursor, _ = read_all(source, now=NOW + ahead)
    new = {stackexchange_network.post(f"number {n}", at=NOW + timedelta(seconds=n)) for n in range(150)}
    assert ids(read_all(source, cursor, now=NOW + timedelta(minutes=3))[0]) == new


# answering


def test_nobody_is_answered_from_here(stackexchange_network: FakeNetwork) -> None:
    asked = stackexchange_network.post("a question")
    source = stackexchange_network.source()
    with pytest.raises(ReplyRefused, match="by hand"):
        source.reply(asked, "Hold the ring.", key="1")
    assert source.find_reply(asked, "Hold the ring.") is None
    assert stackexchange_network.faults.calls == []


def test_neither_keys_nor_questions_reach_the_log(stackexchange_network: FakeNetwork, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    stackexchange_network.post("a very private question")
    read_all(stackexchange_network.source())
    for canary in ("very private", *stackexchange_network.world.environ("stackexchange").values()):
        assert canary not in caplog.text

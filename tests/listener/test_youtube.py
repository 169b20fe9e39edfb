"""Comments on YouTube, against a server that speaks its Data API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from fake_networks import youtube
from fake_networks.faults import answers, rewrites
from fake_networks.fixtures import NOW, FakeNetwork, read_all

from earshot.errors import ConfigurationError, ReplyRefused, SourceConfused, SourceRefused, SourceUnavailable
from earshot.settings import SourceSettings
from listener.youtube import YouTubeSource

LATER = NOW + timedelta(minutes=5)


@pytest.mark.parametrize("query", ["", "lumifern", "UCshort", "video:short", "https://www.youtube.com/@lumifern"])
def test_a_query_that_names_no_place_is_refused_in_words(query: str) -> None:
    with pytest.raises(ConfigurationError, match="id of a channel"):
        YouTubeSource(SourceSettings(name="youtube", network="youtube", query=query))


def test_too_many_places_are_refused() -> None:
    query = " ".join(f"video:lumifern-{number}" for number in range(10, 31))
    with pytest.raises(ConfigurationError, match="make two"):
        YouTubeSource(SourceSettings(name="youtube", network="youtube", query=query))


def test_a_key_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EARSHOT_SECRET_YOUTUBE_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="EARSHOT_SECRET_YOUTUBE_KEY"):
        YouTubeSource(SourceSettings(name="youtube", network="youtube", query=youtube.CHANNEL))


def test_channels_videos_and_words_are_asked_for(youtube_network: FakeNetwork) -> None:
    dark, _ = youtube_network.post("it is dark"), youtube_network.post("it is bright")
    other = youtube_network.post("dark here, too", place="UCanother_another_anothe")
    heard, _, _ = read_all(youtube_network.source(query=f"video:{youtube.VIDEO} dark UCanother_another_anothe"))
    assert {mention.native_id for mention in heard} == {dark, other}


def test_replies_that_a_thread_shows_are_heard_with_their_thread(youtube_network: FakeNetwork) -> None:
    asked = youtube_network.post("how do I reset it?", at=NOW - timedelta(hours=3))
    source = youtube_network.source()
    _, cursor, _ = read_all(source)
    answered = youtube_network.world.post("youtube", "bob", "hold the ring", at=NOW, reply_to=asked)
    (mention,), cursor, _ = read_all(source, cursor, now=LATER)
    assert (mention.native_id, mention.parent_id, mention.thread_id) == (answered, asked, asked)
    assert read_all(source, cursor, now=LATER)[0] == []


def test_an_author_is_known_by_the_channel(youtube_network: FakeNetwork) -> None:
    youtube_network.post("hello", author="@ann", likes=4)
    (mention,), _, _ = read_all(youtube_network.source())
    assert mention.author is not None
    assert mention.author.native_id.startswith("UC")
    assert (mention.author.handle, mention.likes) == ("ann", 4)
    assert mention.url == f"https://www.youtube.com/watch?v={youtube.VIDEO}&lc={mention.native_id}"


def test_a_comment_of_a_deleted_channel_is_heard_without_an_author(youtube_network: FakeNetwork) -> None:
    youtube_network.post("hello", author="eve")
    youtube_network.world.forget_person("youtube", "eve")
    (mention,), _, _ = read_all(youtube_network.source())
    assert mention.author is None


@pytest.mark.parametrize("account", ["@Lumifern", "lumifern"])
def test_our_own_comments_never_come_back(youtube_network: FakeNetwork, account: str) -> None:
    asked = youtube_network.post("how?")
    youtube_network.post("like this", author="lumifern")
    youtube_network.world.post("youtube", "lumifern", "hold the ring", at=NOW, reply_to=asked)
    assert [mention.native_id for mention in read_all(youtube_network.source(account=account))[0]] == [asked]


def test_an_edited_comment_comes_again(youtube_network: FakeNetwork) -> None:
    posted = youtube_network.post("dark", at=NOW - timedelta(hours=2))
    source = youtube_network.source()
    _, cursor, _ = read_all(source)
    youtube_network.world.edit("youtube", posted, "lumifern: bright", at=NOW)
    assert [mention.text for mention in read_all(source, cursor, now=LATER)[0]] == ["lumifern: bright"]


def test_a_deleted_comment_is_said_to_be_gone(youtube_network: FakeNetwork) -> None:
    posted = [youtube_network.post(f"number {n}", at=NOW - timedelta(hours=2)) for n in range(3)]
    source = youtube_network.source()
    _, cursor, _ = read_all(source)
    youtube_network.world.delete("youtube", posted[1])
    _, cursor, pages = read_all(source, cursor, now=LATER)
    assert [page.deleted for page in pages if page.deleted] == [(posted[1],)]
    assert posted[1] not in str(cursor)


def test_an_empty_answer_alone_is_no_proof_that_all_are_gone(youtube_network: FakeNetwork) -> None:
    posted = [youtube_network.post(f"number {n}") for n in range(3)]
    youtube_network.faults.on("/comments", answers(200, body=b'{"items": []}'))
    assert youtube_network.source().gone(posted) == ()
    assert youtube_network.source().gone([posted[0], "Ugnowhere"]) == ("Ugnowhere",)
    assert youtube_network.source().gone([]) == ()
    for native_id in posted:
        youtube_network.world.delete("youtube", native_id)
    assert youtube_network.source().gone(posted) == tuple(posted)


def test_trouble_while_looking_after_comments_keeps_nobody_from_hearing(youtube_network: FakeNetwork) -> None:
    posted = youtube_network.post("hello")
    youtube_network.faults.on("/comments", answers(500), answers(400), answers(200, body=b"[]"), forever=False)
    source = youtube_network.source()
    cursor = None
    heard = []
    for _ in range(4):
        mentions, cursor, _ = read_all(source, cursor)
        heard += [mention.native_id for mention in mentions]
    assert heard == [posted]


def test_each_call_counts_as_one_unit(youtube_network: FakeNetwork) -> None:
    for number in range(150):
        youtube_network.post(f"number {number}")
    _, _, pages = read_all(youtube_network.source())
    assert sum(page.spent for page in pages) == 10_000 - youtube_network.app.units == 4


def test_when_the_quota_is_spent_the_source_waits_for_the_next_day(youtube_network: FakeNetwork) -> None:
    youtube_network.app.units = 0
    with pytest.raises(SourceUnavailable, match="quota") as caught:
        youtube_network.source().fetch(None, now=NOW)
    assert caught.value.retry_at == datetime(2026, 5, 5, 7, tzinfo=UTC)
    with pytest.raises(SourceUnavailable, match="quota"):
        youtube_network.source().gone(["Ugx1"])


def test_too_many_calls_at_once_are_no_refusal(youtube_network: FakeNetwork) -> None:
    body = orjson.dumps({"error": {"errors": [{"reason": "rateLimitExceeded"}]}})
    youtube_network.faults.on(youtube_network.reads, answers(403, body=body))
    with pytest.raises(SourceUnavailable):
        youtube_network.source().fetch(None, now=NOW)


def test_a_place_where_nobody_may_comment_does_not_hide_the_others(youtube_network: FakeNetwork) -> None:
    posted = youtube_network.post("hello")
    youtube_network.app.closed.add("closed-0001")
    heard, _, _ = read_all(youtube_network.source(query=f"video:closed-0001 {youtube.CHANNEL}"))
    assert [mention.native_id for mention in heard] == [posted]


def test_a_page_whose_token_is_too_old_is_read_from_the_beginning(youtube_network: FakeNetwork) -> None:
    posted = [youtube_network.post(f"number {n}") for n in range(150)]

    def expire(body: Any) -> Any:
        return body | {"nextPageToken": "expired"}

    youtube_network.faults.on(youtube_network.reads, rewrites(expire))
    source = youtube_network.source()
    first, cursor, _ = read_all(source)
    rest, _, _ = read_all(source, cursor)
    assert {mention.native_id for mention in (*first, *rest)} == set(posted)


def test_a_wrong_key_is_no_mistake_in_the_query(youtube_network: FakeNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARSHOT_SECRET_YOUTUBE_KEY", "canary-wrong")
    with pytest.raises(SourceRefused, match="EARSHOT_SECRET_YOUTUBE_KEY"):
        youtube_network.source().fetch(None, now=NOW)


def test_what_youtube_says_is_wrong_is_told(youtube_network: FakeNetwork) -> None:
    body = orjson.dumps({"error": {"code": 404, "message": "The channel cannot be found.", "errors": []}})
    youtube_network.faults.on(youtube_network.reads, answers(404, body=body))
    with pytest.raises(SourceConfused, match=r"\(404: The channel cannot be found\.\)"):
        youtube_network.source().fetch(None, now=NOW)


def test_youtube_is_not_answered_from_here(youtube_network: FakeNetwork) -> None:
    source = youtube_network.source()
    with pytest.raises(ReplyRefused, match="YouTube Studio"):
        source.reply("Ugx1", "Hold the ring.", key="1")
    assert source.find_reply("Ugx1", "Hold the ring.") is None
    assert youtube_network.faults.calls == []

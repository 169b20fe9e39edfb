"""Reviews of the App Store, against a server that gives them as Apple's feed does."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from fake_networks import appstore
from fake_networks.faults import answers
from fake_networks.fixtures import NOW, FakeNetwork, read_all

from earshot.demo.networks.serving import serve_app
from earshot.errors import ConfigurationError, ReplyRefused, SourceConfused
from earshot.settings import SourceSettings
from listener.appstore import AppStoreSource


@pytest.mark.parametrize("query", ["", "lumifern", "12", "1234567890 usa", "1234567890 us, de", "us 1234567890"])
def test_a_query_that_names_no_app_is_refused_in_words(query: str) -> None:
    with pytest.raises(ConfigurationError, match="1234567890 us de"):
        AppStoreSource(SourceSettings(name="reviews", network="appstore", query=query))


def test_too_many_countries_are_refused() -> None:
    countries = " ".join(f"a{letter}" for letter in "abcdefghijklmnopqrstuvwxyz")
    with pytest.raises(ConfigurationError, match="make two"):
        AppStoreSource(SourceSettings(name="reviews", network="appstore", query=f"1234567890 {countries}"))


def test_each_country_is_read(appstore_network: FakeNetwork) -> None:
    posted = {country: appstore_network.post("dark", place=country) for country in ("us", "de", "jp")}
    heard, _, _ = read_all(appstore_network.source(query=f"id{appstore.APP} US de"))
    assert {mention.native_id for mention in heard} == {posted["us"], posted["de"]}
    assert [mention.url.split("/")[3] for mention in heard] == ["us", "de"]


@pytest.mark.parametrize(
    ("rating", "text"),
    [
        ({"label": "1"}, "★☆☆☆☆ Too dark\n\nlumifern: never on"),
        ({"label": "5"}, "★★★★★ Too dark\n\nlumifern: never on"),
        ({"label": "9"}, "Too dark\n\nlumifern: never on"),
        ({"label": ["x"]}, "Too dark\n\nlumifern: never on"),
        (None, "Too dark\n\nlumifern: never on"),
    ],
)
def test_the_rating_stands_before_the_title(appstore_network: FakeNetwork, rating: Any, text: str) -> None:
    posted = appstore_network.post("never on", title="Too dark", likes=3)
    appstore_network.app.changes[posted] = {"im:rating": rating}
    (mention,), _, _ = read_all(appstore_network.source())
    assert (mention.text, mention.likes) == (text, 3)


def test_an_author_is_known_by_the_number_in_the_address(appstore_network: FakeNetwork) -> None:
    appstore_network.post("hello", author="ann")
    (mention,), _, _ = read_all(appstore_network.source())
    assert mention.author is not None
    assert mention.author.native_id.isdigit()
    assert (mention.author.handle, mention.author.name) == ("ann", "ann")


@pytest.mark.parametrize(
    "author", [None, {}, {"name": {"label": "ann"}}, {"name": {"label": "ann"}, "uri": {"label": "javascript:/id7"}}, 7]
)
def test_a_review_of_nobody_is_heard_without_an_author(appstore_network: FakeNetwork, author: object) -> None:
    posted = appstore_network.post("hello")
    appstore_network.app.changes[posted] = {"author": author}
    (mention,), _, _ = read_all(appstore_network.source())
    assert mention.author is None


def test_an_edited_review_comes_again(appstore_network: FakeNetwork) -> None:
    posted = appstore_network.post("dark", at=NOW - timedelta(hours=2))
    source = appstore_network.source()
    _, cursor, _ = read_all(source)
    appstore_network.world.edit("appstore", posted, "lumifern: bright", at=NOW)
    heard, _, _ = read_all(source, cursor, now=NOW + timedelta(minutes=5))
    assert [mention.text for mention in heard] == ["★★☆☆☆\n\nlumifern: bright"]


def test_more_reviews_than_the_feed_shows_are_a_gap(appstore_network: FakeNetwork) -> None:
    source = appstore_network.source()
    appstore_network.post("first", at=NOW - timedelta(hours=12))
    _, cursor, first = read_all(source)
    assert all(page.gap is None for page in first)
    for number in range(620):
        appstore_network.post(f"number {number}", at=NOW - timedelta(hours=6) + timedelta(seconds=number))
    heard, cursor, pages = read_all(source, cursor, now=NOW + timedelta(minutes=1))
    (gap,) = [page.gap for page in pages if page.gap]
    assert len(heard) == 500
    assert len(pages) == 10
    assert gap.since == NOW - timedelta(hours=12)
    assert gap.until == NOW - timedelta(hours=6) + timedelta(seconds=120)
    assert all(page.gap is None for page in read_all(source, cursor, now=NOW + timedelta(minutes=2))[2])


def test_a_feed_that_begins_with_the_app_itself_is_read() -> None:
    world = appstore.world(lambda: NOW)
    posted = world.post("appstore", "ann", "dark", at=NOW)
    with serve_app(appstore.app(world, shows_app=True)) as served:
        source = AppStoreSource(SourceSettings(name="reviews", network="appstore", query=appstore.APP, url=served.url, allow_private=True))
        assert [mention.native_id for mention in read_all(source)[0]] == [posted]
        source.close()


@pytest.mark.parametrize("body", [b'{"feed": []}', b'{"feed": {"entry": 7}}', b'{"feed": {"entry": "x"}}'])
def test_a_feed_of_another_shape_confuses(appstore_network: FakeNetwork, body: bytes) -> None:
    appstore_network.faults.on(appstore_network.reads, answers(200, body=body))
    with pytest.raises(SourceConfused):
        appstore_network.source().fetch(None, now=NOW)


def test_an_app_that_is_not_there_says_what_to_check(appstore_network: FakeNetwork) -> None:
    with pytest.raises(SourceConfused, match="query"):
        appstore_network.source(query="99999999 us").fetch(None, now=NOW)


def test_reviews_are_not_answered_from_here(appstore_network: FakeNetwork) -> None:
    source = appstore_network.source()
    with pytest.raises(ReplyRefused, match="App Store Connect"):
        source.reply("1", "Hold the ring.", key="1")
    assert source.find_reply("1", "Hold the ring.") is None
    assert appstore_network.faults.calls == []

"""A feed is asked only for what changed, and read as far as it can be."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from earshot.demo.networks.serving import serve_app
from earshot.errors import ConfigurationError, ReplyRefused, SourceConfused, SourceRefused, SourceUnavailable
from earshot.settings import SourceSettings
from listener.feed import FeedSource

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)


@dataclass
class Blog:
    """A server of one document: what it holds, and what it was asked."""

    document: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    url: str = ""
    asked: list[dict[str, str]] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        self.asked.append(dict(request.headers))
        unchanged = "etag" in self.headers and request.headers.get("if-none-match") == self.headers["etag"]
        answer = Response(b"" if unchanged else self.document, status_code=304 if unchanged else 200, headers=self.headers)
        await answer(scope, receive, send)

    def source(self) -> FeedSource:
        return FeedSource(SourceSettings(name="blog", network="feed", query=f"{self.url}/feed.xml", allow_private=True))


@contextmanager
def blog(document: str | bytes, **headers: str) -> Iterator[Blog]:
    one = Blog(document.encode() if isinstance(document, str) else document, headers)
    with serve_app(one) as served:
        one.url = served.url
        yield one


def rss(*items: str) -> str:
    return f'<?xml version="1.0"?><rss version="2.0"><channel><title>Blog</title><language>en-us</language>{"".join(items)}</channel></rss>'


def item(number: int, title: str = "", body: str = "", more: str = "") -> str:
    return f"<item><guid>g{number}</guid><title>{title or f'Entry {number}'}</title><description>{body}</description>{more}</item>"


ATOM = """<?xml version="1.0" encoding="utf-8"?><feed xmlns="http://www.w3.org/2005/Atom"><title>News</title>
<entry><id>tag:a,1</id><title>My hub is offline</title><link href="https://a.example/1"/><updated>2026-05-03T10:00:00+02:00</updated>
<author><name>Ann  Lee</name><uri>https://a.example/ann</uri></author>
<content type="html">&lt;p&gt;It &lt;b&gt;blinks&lt;/b&gt; red.&lt;/p&gt;
&lt;p&gt;Help?&lt;/p&gt;&lt;script&gt;x()&lt;/script&gt;</content></entry></feed>"""


def test_an_entry_becomes_a_mention() -> None:
    with blog(ATOM) as one:
        (mention,) = one.source().fetch(None, now=NOW).mentions
    assert mention.network == "feed"
    assert mention.text == "My hub is offline\n\nIt blinks red.\n\nHelp?"
    assert mention.url == "https://a.example/1"
    assert mention.posted_at == datetime(2026, 5, 3, 8, tzinfo=UTC)
    assert mention.thread_id is None
    assert mention.author is not None
    assert (mention.author.name, mention.author.url) == ("Ann Lee", "https://a.example/ann")


def test_what_a_feed_leaves_out_is_left_open() -> None:
    items = ["<item><title>No id, no date</title></item>", "<item><description>Only a body</description></item>", "<item></item>"]
    with blog(rss(*items)) as one:
        first, second = one.source().fetch(None, now=NOW).mentions, one.source().fetch(None, now=NOW).mentions
    assert [mention.text for mention in first] == ["Only a body", "No id, no date"]
    assert [mention.native_id for mention in first] == [mention.native_id for mention in second]
    assert all(mention.author is None and mention.posted_at == NOW for mention in first)


def test_a_date_of_the_future_counts_as_now_and_an_impossible_one_too() -> None:
    dates = ["Mon, 04 May 2037 12:00:00 GMT", "Mon, 99 May 9999999 12:00:00 GMT", "soon"]
    with blog(rss(*(item(n, more=f"<pubDate>{date}</pubDate>") for n, date in enumerate(dates)))) as one:
        assert [mention.posted_at for mention in one.source().fetch(None, now=NOW).mentions] == [NOW] * 3


def test_a_feed_that_did_not_change_is_not_read_again() -> None:
    with blog(rss(item(1)), etag='"v1"', **{"last-modified": "Mon, 04 May 2026 11:00:00 GMT"}) as one:
        first = one.source().fetch(None, now=NOW)
        second = one.source().fetch(first.cursor, now=NOW)
        assert one.asked[1]["if-none-match"] == '"v1"'
        assert one.asked[1]["if-modified-since"] == "Mon, 04 May 2026 11:00:00 GMT"
    assert len(first.mentions) == 1
    assert (second.mentions, second.cursor, second.more) == ((), first.cursor, False)


def test_a_server_without_conditions_repeats_itself_and_nothing_comes_twice() -> None:
    with blog(rss(item(2), item(1))) as one:
        first = one.source().fetch(None, now=NOW)
        same = one.source().fetch(first.cursor, now=NOW)
        one.document = rss(item(3), item(2), item(1, body="edited")).encode()
        second = one.source().fetch(same.cursor, now=NOW)
    assert [mention.text for mention in first.mentions] == ["Entry 1", "Entry 2"]
    assert same.mentions == ()
    assert [mention.text for mention in second.mentions] == ["Entry 1\n\nedited", "Entry 3"]
    assert second.mentions[0].native_id == first.mentions[0].native_id


def test_ids_of_two_hosts_never_meet() -> None:
    """A feed may claim any id; it cannot speak for an entry of another host."""
    with blog(rss(item(1))) as one:
        here = one.source().fetch(None, now=NOW).mentions[0]
        one.url = one.url.replace("127.0.0.1", "localhost")
        there = one.source().fetch(None, now=NOW).mentions[0]
    assert here.native_id != there.native_id


def test_a_broken_document_gives_the_entries_before_the_break() -> None:
    with blog(rss(item(1), item(2)).replace("</channel></rss>", "<item><title>half & <b")) as one:
        assert {"Entry 1", "Entry 2"} <= {mention.text for mention in one.source().fetch(None, now=NOW).mentions}


@pytest.mark.parametrize("document", [b"", b"<html><body>Not found</body></html>", b"\x00\xff\xfe" * 50, b"{}", b"<rss><channel><item>"])
def test_what_is_no_feed_is_said_to_be_none(document: bytes) -> None:
    with blog(document) as one, pytest.raises(SourceConfused, match=r"127\.0\.0\.1 cannot be read"):
        one.source().fetch(None, now=NOW)


def test_an_empty_feed_is_a_feed() -> None:
    with blog(rss()) as one:
        assert one.source().fetch(None, now=NOW).mentions == ()


def test_entities_neither_explode_nor_read_our_files() -> None:
    names = "abcdefghij"
    doubling = "".join(f'<!ENTITY {later} "{f"&{sooner};" * 10}">' for sooner, later in pairwise(names))
    for entities in (f'<!ENTITY a "laugh">{doubling}', '<!ENTITY j SYSTEM "file:///etc/passwd">'):
        document = f'<?xml version="1.0"?><!DOCTYPE x [{entities}]>' + rss(item(1, title="Hi &j;")).partition("?>")[2]
        with blog(document) as one:
            (mention,) = one.source().fetch(None, now=NOW).mentions
        assert len(mention.text) < 100
        assert "root:" not in mention.text


def test_a_thousand_entries_come_at_once_and_the_cursor_stays_small() -> None:
    with blog(rss(*(item(number) for number in range(6_000)))) as one:
        page = one.source().fetch(None, now=NOW)
    assert len({mention.native_id for mention in page.mentions}) == 6_000
    assert page.cursor is not None
    assert len(page.cursor) < 200_000


def test_addresses_that_run_programs_and_mail_addresses_are_left_behind() -> None:
    with blog(rss(item(1, more="<link>javascript:alert(1)</link><author>ann@example.org</author>"))) as one:
        (mention,) = one.source().fetch(None, now=NOW).mentions
    assert (mention.url, mention.author) == ("", None)


def test_a_feed_that_hangs_is_unavailable_and_one_that_is_private_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/feed"
        with pytest.raises(SourceRefused, match="allow_private"):
            FeedSource(SourceSettings(name="blog", network="feed", query=address)).fetch(None, now=NOW)
    with pytest.raises(SourceUnavailable):
        FeedSource(SourceSettings(name="blog", network="feed", query=address, allow_private=True)).fetch(None, now=NOW)


@pytest.mark.parametrize("cursor", ["{", "[]", "[1", '{"who": 1}', "null", '{"document": "", "seen": 5}'])
def test_a_foreign_cursor_is_named(cursor: str) -> None:
    with blog(rss(item(1))) as one, pytest.raises(SourceConfused, match="cursor"):
        one.source().fetch(cursor, now=NOW)


def test_a_feed_without_an_address_says_what_to_set() -> None:
    with pytest.raises(ConfigurationError, match="set query"):
        FeedSource(SourceSettings(name="blog", network="feed"))


def test_a_feed_cannot_be_answered() -> None:
    source = FeedSource(SourceSettings(name="blog", network="feed", query="https://a.example/feed"))
    with pytest.raises(ReplyRefused, match="cannot be answered"):
        source.reply("a", "thanks", key="k")
    assert source.find_reply("a", "thanks") is None

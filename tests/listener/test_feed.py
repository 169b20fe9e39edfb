"""A feed is asked only for what changed, and read as far as it can be.

What `test_every_source.py` says of every source and tells by spoiling JSON is said here under the same names, of XML.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import msgspec
import pytest
from fake_networks.faults import Fault, answers, breaks, drips_body, drips_head, garbles, hangs, rewrites_bytes, unpacks_to
from fake_networks.fixtures import FakeNetwork, read_all
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from earshot.demo.networks.serving import serve_app
from earshot.errors import ConfigurationError, ReplyRefused, SourceConfused, SourceRefused, SourceUnavailable
from earshot.mention import Mention
from earshot.settings import SourceSettings
from listener.feed import FeedSource
from listener.plain_text import MAX_TEXT

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


# what every source keeps, of XML


def test_posts_out_of_order_and_twice_on_a_page_are_heard() -> None:
    with blog(rss(item(2), item(3), item(1), item(2))) as one:
        heard = one.source().fetch(None, now=NOW).mentions
    assert sorted(mention.text for mention in heard) == ["Entry 1", "Entry 2", "Entry 3"]


def test_posts_that_one_answer_withholds_come_with_the_next_poll() -> None:
    with blog(rss(item(3), item(1))) as one:
        first = one.source().fetch(None, now=NOW)
        one.document = rss(item(3), item(2), item(1)).encode()
        second = one.source().fetch(first.cursor, now=NOW)
    assert [mention.text for mention in second.mentions] == ["Entry 2"]


WRONG = ("", "<x/>", "<a><b/></a>text", "7", "-1", "9" * 500, "&amp;lt;", "&#xD83D;", "http://[", "<![CDATA[<p>]]>", " " * 1_000)
FIELDS = ("guid", "title", "description", "link", "pubDate", "author", "category", "comments", "enclosure", "source")


@pytest.mark.parametrize("field_name", FIELDS)
def test_whatever_one_field_of_a_post_says_the_other_posts_are_heard(field_name: str) -> None:
    with blog("") as one:
        source = one.source()
        for wrong in WRONG:
            for spoilt in (
                f"<{field_name}>{wrong}</{field_name}>",
                f'<{field_name} type="{len(wrong)}" href="x" xml:lang="7">{wrong}</{field_name}>',
            ):
                one.document = rss(item(1), f"<item><guid>g2</guid><title>Entry 2</title>{spoilt}{spoilt}</item>", item(3)).encode()
                heard = source.fetch(None, now=NOW).mentions
                assert {"Entry 1", "Entry 3"} <= {mention.text for mention in heard}, spoilt
                for mention in heard:
                    assert msgspec.json.decode(msgspec.json.encode(mention), type=Mention) == mention, spoilt


def test_what_we_do_not_know_of_changes_nothing(feed_network: FakeNetwork) -> None:
    for n in range(3):
        feed_network.post(f"number {n}", author=f"author{n}")
    plain, _, _ = read_all(feed_network.source())

    def add(body: bytes) -> bytes:
        new = b'<new:thing xmlns:new="https://a.example/new" of="a"><new:part>1</new:part></new:thing>'
        return body.replace(b"</entry>", new + b"</entry>").replace(b"<entry>", b'<entry new="1">' + new)

    feed_network.faults.on(feed_network.reads, rewrites_bytes(add))
    heard, _, _ = read_all(feed_network.source())
    assert len(heard) == 3
    assert heard == plain


def test_an_author_who_deleted_the_account_stops_nobody_else(feed_network: FakeNetwork) -> None:
    gone, kept = feed_network.post("how do I pair the hub?", author="gil"), feed_network.post("my lamp hums", author="ann")
    feed_network.world.forget_person("feed", "gil")
    heard, _, _ = read_all(feed_network.source())
    authors = {mention.native_id: mention.author and mention.author.handle for mention in heard}
    assert authors == {gone: None, kept: "ann"}


def test_hostile_names_and_broken_characters_arrive_as_plain_text() -> None:
    name = "<author><name>&quot;&gt;&lt;img src=x onerror=alert(1)&gt;&#13;&#10;Bcc: all &#0;&#xD83D;</name><uri>https://a.example/&#0;&#55357;</uri></author>"
    hostile = ATOM[: ATOM.index("<author>")] + name + ATOM[ATOM.index("<content") :].replace("blinks", "bl&#0;in&#xD83Dks")
    with blog(hostile) as one:
        (mention,) = one.source().fetch(None, now=NOW).mentions
    assert mention.author is not None
    for words in (mention.text, mention.author.name, mention.author.handle, mention.author.url):
        assert words.encode("utf-8")
        assert not {"\0", "\r", "\n"} & set(words.replace("\n\n", ""))
    assert "img src" in mention.author.name
    assert "blin" in mention.text


def test_half_a_surrogate_pair_can_be_stored() -> None:
    with blog(rss(item(1, body="so &#xD83D; it &#55357;&#56832; is &#128512;"), item(2))) as one:
        other, mention = one.source().fetch(None, now=NOW).mentions
    assert mention.text == "Entry 1\n\nso \ufffd it \ufffd\ufffd is 😀"
    assert other.text == "Entry 2"


def test_ten_thousand_hashtags_and_a_name_of_a_megabyte_are_clipped(feed_network: FakeNetwork) -> None:
    feed_network.world.person("feed", "eve", name="N" * 1_000_000)
    feed_network.post("#hub " * 10_000 + "x" * 1_000_000, author="eve", title="T" * 1_000_000)
    (mention,), _, _ = read_all(feed_network.source())
    assert mention.author is not None
    assert len(mention.author.name) <= 200
    assert len(mention.text) <= MAX_TEXT


@pytest.mark.parametrize("name", ["author", "dc:creator", "managingEditor", "itunes:author"])
def test_an_author_of_a_megabyte_without_a_mail_address_is_read_in_one_pass(name: str) -> None:
    """Were it quadratic, it would take hours."""
    document = rss(item(1, more=f"<{name}>{'a.' * 500_000}</{name}>"), item(2))
    with blog(document.replace("<rss ", '<rss xmlns:dc="http://purl.org/dc/elements/1.1/" ')) as one:
        assert len(one.source().fetch(None, now=NOW).mentions) == 2


def test_a_network_that_knows_what_we_have_sends_nothing_again(feed_network: FakeNetwork) -> None:
    posted = feed_network.post("hello")
    source = feed_network.source()
    heard, cursor, _ = read_all(source)
    again = source.fetch(cursor, now=NOW)
    assert [mention.native_id for mention in heard] == [posted]
    assert (again.mentions, again.cursor) == ((), cursor)


# a network in trouble


def test_a_server_that_is_not_there_is_unavailable(feed_network: FakeNetwork) -> None:
    with pytest.raises(SourceUnavailable, match="cannot be reached"):
        feed_network.source(query="http://127.0.0.1:9/news.atom").fetch(None, now=NOW)


@pytest.mark.parametrize(
    ("headers", "wait"), [({"retry-after": "600"}, timedelta(minutes=10)), ({"retry-after": "soon"}, None), ({}, None)]
)
def test_too_many_calls_wait_as_long_as_the_network_says_without_sleeping(
    feed_network: FakeNetwork, headers: dict[str, str], wait: timedelta | None
) -> None:
    feed_network.faults.on(feed_network.reads, answers(429, headers=headers))
    with pytest.raises(SourceUnavailable) as caught:
        feed_network.source().fetch(None, now=NOW)
    assert caught.value.retry_at == (NOW + wait if wait else None)
    assert feed_network.faults.count(feed_network.reads) == 1


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, SourceRefused), (403, SourceRefused), (404, SourceConfused), (500, SourceUnavailable), (503, SourceUnavailable)],
)
def test_a_network_that_refuses_is_not_asked_twice(feed_network: FakeNetwork, status: int, error: type[Exception]) -> None:
    feed_network.faults.on(feed_network.reads, answers(status), forever=True)
    with pytest.raises(error, match=str(status)):
        feed_network.source().fetch(None, now=NOW)
    assert feed_network.faults.count(feed_network.reads) == 1


@pytest.mark.parametrize(
    "fault", [hangs(), drips_head(), drips_body(), breaks()], ids=["hang", "drip in the head", "drip in the body", "reset"]
)
def test_a_network_that_gives_no_whole_answer_in_time_is_unavailable(feed_network: FakeNetwork, fault: Fault) -> None:
    source = feed_network.source(deadline=0.4)
    feed_network.faults.on(feed_network.reads, fault, forever=True)
    with pytest.raises(SourceUnavailable):
        source.fetch(None, now=NOW)
    assert feed_network.faults.count(feed_network.reads) == 1


@pytest.mark.parametrize(
    "fault",
    [answers(200, body=body) for body in (b"", b"null", b"{}", b'<?xml version="1.0" encoding="utf-8\0"?><feed/>')]
    + [garbles(), answers(418)],
)
def test_an_answer_that_is_none_of_the_network_confuses_and_moves_no_cursor(feed_network: FakeNetwork, fault: Fault) -> None:
    posted = feed_network.post("hello")
    source = feed_network.source()
    feed_network.faults.on(feed_network.reads, fault)
    with pytest.raises(SourceConfused):
        source.fetch(None, now=NOW)
    assert [mention.native_id for mention in read_all(source)[0]] == [posted]


def test_an_answer_that_unpacks_to_too_much_is_thrown_away(feed_network: FakeNetwork) -> None:
    feed_network.faults.on(feed_network.reads, unpacks_to(8 * 2**20))
    with pytest.raises(SourceConfused, match="4 MiB"):
        feed_network.source().fetch(None, now=NOW)


def test_a_feed_cannot_be_answered() -> None:
    source = FeedSource(SourceSettings(name="blog", network="feed", query="https://a.example/feed"))
    with pytest.raises(ReplyRefused, match="cannot be answered"):
        source.reply("a", "thanks", key="k")
    assert source.find_reply("a", "thanks") is None

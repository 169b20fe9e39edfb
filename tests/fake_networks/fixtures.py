"""The fake networks as fixtures, such as `x_network`, each with its world, its faults and a source that listens to it.

A network that joins gives its own fixture with the methods of `FakeNetwork`, and one line in `tests/listener/test_every_source.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import orjson
import pytest
from fake_networks import appstore, bluesky, discourse, feed, hackernews, lemmy, mailbox, mastodon, stackexchange, youtube
from fake_networks.faults import Faults
from fake_networks.web_socket import WebSockets
from starlette.types import ASGIApp

from earshot.demo.networks import reddit, x
from earshot.demo.networks.serving import serve_app
from earshot.demo.networks.world import World
from earshot.mention import Mention
from earshot.registry import load
from earshot.settings import SourceSettings
from listener import SOURCES
from listener.source import Page, Source

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
#: network -> the address of its server, and what goes wrong there
Servers = Callable[[str], tuple[str, Faults]]


@dataclass
class FakeNetwork:
    name: str
    url: str
    world: World
    faults: Faults
    reads: str  #: part of the path that reading calls
    writes: str  #: part of the path that answering calls
    query: str
    items: Callable[[Any], list[Any]]  #: the list of posts inside an answer
    reset: Callable[[float], dict[str, str]]  #: headers that ask to wait until then, in the network's own way; given seconds since 1970
    main_secret: str  #: the variable that a 401 while reading must name
    app: Any = None  #: the server behind the faults, for what only this network has
    has_titles: bool = False  #: a post of its own has a title, which may be empty
    empty: bytes | None = None  #: a sound answer that holds nothing, where a bare list says so
    thread_of: Callable[[str], str] = lambda root: root  #: what a source calls the thread that this post began
    shown: Callable[[str], str] = lambda text: text  #: what a source makes of the words of a post
    facts: Callable[[Any], dict[str, Any]] = lambda item: item  #: what an item of an answer says of the post itself
    at_once: bool = False  #: one page of its sources holds hundreds of posts
    streams: bool = False  #: its sources listen to the stream, too
    _open: list[Source] = field(default_factory=list)

    def source(self, *, deadline: float = 5.0, **changes: Any) -> Source:
        given = {
            "name": self.name,
            "network": self.name,
            "query": self.query,
            "url": self.url,
            "account": self.world.account,
            "replies": True,
            "allow_private": True,
            "stream": self.streams,
        }
        source: Source = load(SOURCES, self.name, kind="source")(SourceSettings(**(given | changes)), deadline=deadline)
        self._open.append(source)
        return source

    def post(self, text: str, *, author: str = "ann", at: datetime = NOW, **more: Any) -> str:
        """A post that the source must hear."""
        title = {"title": ""} if self.has_titles and "reply_to" not in more else {}
        return self.world.post(self.name, author, f"lumifern: {text}", at=at, **(title | more))

    def close(self) -> None:
        for source in self._open:
            source.close()


def read_all(
    source: Source, cursor: str | None = None, *, now: datetime = NOW, most: int = 60
) -> tuple[list[Mention], str | None, list[Page]]:
    """Fetch until the source says that nothing waits: all mentions, the last cursor, and the pages."""
    pages: list[Page] = []
    while not pages or pages[-1].more:
        assert len(pages) < most, "the source never comes to an end"
        pages.append(source.fetch(cursor, now=now))
        cursor = pages[-1].cursor
    return [mention for page in pages for mention in page.mentions], cursor, pages


def _retry_after(epoch: float) -> dict[str, str]:
    return {"retry-after": str(int(epoch - datetime.now(UTC).timestamp()) + 1)}


def _x(url: str, faults: Faults, world: World) -> FakeNetwork:
    return FakeNetwork(
        name="x",
        url=url,
        world=world,
        faults=faults,
        reads="/2/tweets/search/recent",
        writes="/2/tweets",
        query="lumifern",
        items=lambda body: body["data"],
        reset=lambda epoch: {"x-rate-limit-reset": str(int(epoch))},
        main_secret="EARSHOT_SECRET_X_BEARER_TOKEN",
    )


def _reddit(url: str, faults: Faults, world: World) -> FakeNetwork:
    return FakeNetwork(
        name="reddit",
        url=url,
        world=world,
        faults=faults,
        reads="/r/lumifern/new",
        writes="/api/comment",
        query="r/lumifern",
        items=lambda body: body["data"]["children"],
        has_titles=True,
        facts=lambda item: item["data"],
        reset=_retry_after,
        main_secret="EARSHOT_SECRET_REDDIT_REFRESH_TOKEN",
    )


def _mastodon(url: str, faults: Faults, world: World) -> FakeNetwork:
    return FakeNetwork(
        name="mastodon",
        url=url,
        world=world,
        faults=faults,
        reads="/api/v1/timelines/tag",
        writes="/api/v1/statuses",
        query="#lumifern",
        items=lambda body: body,
        reset=lambda epoch: {"X-RateLimit-Reset": datetime.fromtimestamp(epoch, UTC).isoformat()},
        main_secret="EARSHOT_SECRET_MASTODON_TOKEN",
        app=faults.app,
        empty=b"[]",
    )


def _stackexchange(url: str, faults: Faults, world: World) -> FakeNetwork:
    return FakeNetwork(
        name="stackexchange",
        url=url,
        world=world,
        faults=faults,
        reads="/2.3/questions",
        writes="nowhere",
        query="[lumifern]",
        items=lambda body: body["items"],
        reset=_retry_after,
        main_secret="EARSHOT_SECRET_STACKEXCHANGE_KEY",
        app=faults.app,
        has_titles=True,
    )


def _lemmy(url: str, faults: Faults, world: World) -> FakeNetwork:
    return FakeNetwork(
        name="lemmy",
        url=url,
        world=world,
        faults=faults,
        reads="/api/v3/post/list",
        writes="/api/v3/comment",
        query="!lumifern",
        items=lambda body: body["posts"],
        reset=_retry_after,
        main_secret="EARSHOT_SECRET_LEMMY_TOKEN",
        app=faults.app,
        has_titles=True,
        facts=lambda item: item["post"],
    )


def _discourse(url: str, faults: Faults, world: World) -> FakeNetwork:
    return FakeNetwork(
        name="discourse",
        url=url,
        world=world,
        faults=faults,
        reads="/posts.json",
        writes="/posts.json",
        query="",
        items=lambda body: body["latest_posts"],
        reset=_retry_after,
        main_secret="EARSHOT_SECRET_DISCOURSE_API_KEY",
        app=faults.app,
        has_titles=True,
        thread_of=discourse.topic_of,
    )


def _bluesky(url: str, faults: Faults, world: World) -> FakeNetwork:
    return FakeNetwork(
        name="bluesky",
        url=url,
        world=world,
        faults=faults,
        reads="/subscribe",
        writes="/xrpc/com.atproto.repo.createRecord",
        query="lumifern",
        items=lambda body: body,
        facts=lambda item: item["commit"]["record"],
        reset=lambda epoch: {"RateLimit-Reset": str(int(epoch))},
        main_secret="url of the source",
        app=faults.app,
        empty=b"[]",
    )


def _appstore(url: str, faults: Faults, world: World) -> FakeNetwork:
    return FakeNetwork(
        name="appstore",
        url=url,
        world=world,
        faults=faults,
        reads="/rss/customerreviews",
        writes="nowhere",
        query=f"{appstore.APP} us",
        items=lambda body: body["feed"]["entry"],
        reset=_retry_after,
        main_secret="url of the source",
        app=faults.app,
        has_titles=True,
        shown=lambda text: f"★★☆☆☆\n\n{text}",
    )


def _youtube(url: str, faults: Faults, world: World) -> FakeNetwork:
    return FakeNetwork(
        name="youtube",
        url=url,
        world=world,
        faults=faults,
        reads="/youtube/v3/commentThreads",
        writes="nowhere",
        query=youtube.CHANNEL,
        items=lambda body: body["items"],
        facts=lambda item: item["snippet"]["topLevelComment"]["snippet"],
        reset=_retry_after,
        main_secret="EARSHOT_SECRET_YOUTUBE_KEY",
        app=faults.app,
    )


def _hackernews(url: str, faults: Faults, world: World) -> FakeNetwork:
    return FakeNetwork(
        name="hackernews",
        url=url,
        world=world,
        faults=faults,
        reads="/api/v1/search_by_date",
        writes="nowhere",
        query="lumifern",
        items=lambda body: body["hits"],
        reset=_retry_after,
        main_secret="url of the source",
        app=faults.app,
        at_once=True,
    )


def _feed(url: str, faults: Faults, world: World) -> FakeNetwork:
    return FakeNetwork(
        name="feed",
        url=url,
        world=world,
        faults=faults,
        reads=feed.PATH,
        writes="nowhere",
        query=url + feed.PATH,
        items=lambda body: body,
        reset=_retry_after,
        main_secret="address",
        app=faults.app,
        at_once=True,
    )


async def _nobody_home(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError("a call outside a test")


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """A server for each network that a test asks for, kept for the tests that follow."""
    with ExitStack() as open_ones:

        @cache
        def server_of(network: str) -> tuple[str, Faults]:
            faults = Faults(_nobody_home)
            app = WebSockets(faults, live=orjson.dumps(bluesky.live(NOW + timedelta(hours=12)))) if network == "bluesky" else faults
            return open_ones.enter_context(serve_app(app)).url, faults

        yield server_of


def _now() -> datetime:
    return NOW


def _network(
    name: str,
    servers: Servers,
    app: Callable[[Any], ASGIApp],
    describe: Callable[[str, Faults, World], FakeNetwork],
    monkeypatch: pytest.MonkeyPatch,
    *,
    world: World,
) -> Iterator[FakeNetwork]:
    url, faults = servers(name)
    faults.begin(app(world))
    network = describe(url, faults, world)
    for variable, value in world.environ(name).items():
        monkeypatch.setenv(variable, value)
    yield network
    network.close()


@pytest.fixture
def x_network(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeNetwork]:
    yield from _network("x", servers, x.app, _x, monkeypatch, world=World(clock=_now))


@pytest.fixture
def reddit_network(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeNetwork]:
    yield from _network("reddit", servers, reddit.app, _reddit, monkeypatch, world=World(clock=_now))


@pytest.fixture
def mastodon_network(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeNetwork]:
    yield from _network("mastodon", servers, mastodon.app, _mastodon, monkeypatch, world=mastodon.world(_now))


@pytest.fixture
def stackexchange_network(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeNetwork]:
    yield from _network("stackexchange", servers, stackexchange.app, _stackexchange, monkeypatch, world=stackexchange.world(_now))


@pytest.fixture
def lemmy_network(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeNetwork]:
    yield from _network("lemmy", servers, lemmy.app, _lemmy, monkeypatch, world=lemmy.world(_now))


@pytest.fixture
def discourse_network(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeNetwork]:
    yield from _network("discourse", servers, discourse.app, _discourse, monkeypatch, world=discourse.world(_now))


@pytest.fixture
def bluesky_network(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeNetwork]:
    yield from _network("bluesky", servers, bluesky.app, _bluesky, monkeypatch, world=bluesky.world(_now))


@pytest.fixture
def appstore_network(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeNetwork]:
    yield from _network("appstore", servers, appstore.app, _appstore, monkeypatch, world=appstore.world(_now))


@pytest.fixture
def youtube_network(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeNetwork]:
    yield from _network("youtube", servers, youtube.app, _youtube, monkeypatch, world=youtube.world(_now))


@pytest.fixture
def hackernews_network(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeNetwork]:
    yield from _network("hackernews", servers, hackernews.app, _hackernews, monkeypatch, world=hackernews.world(_now))


@pytest.fixture
def feed_network(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeNetwork]:
    yield from _network("feed", servers, feed.app, _feed, monkeypatch, world=feed.world(_now))


@pytest.fixture
def mailbox_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeNetwork]:
    """Two servers that speak no HTTP: `app` is the mail house behind both, with its own faults."""
    house = mailbox.MailHouse(mailbox.world(_now))
    for variable, value in house.world.environ("mailbox").items():
        monkeypatch.setenv(variable, value)
    with mailbox.serve(house) as url:
        network = FakeNetwork(
            name="mailbox",
            url=url,
            world=house.world,
            faults=Faults(_nobody_home),
            reads="nowhere",
            writes="nowhere",
            query="",
            items=lambda body: body,
            reset=_retry_after,
            main_secret="EARSHOT_SECRET_MAILBOX_PASSWORD",
            app=house,
        )
        yield network
        network.close()

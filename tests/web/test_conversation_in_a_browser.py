"""The conversation on its network, opened by keyboard, on a phone and in the dark, and read by axe."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from browsers import PHONE, chromium, enter, serving
from fake_networks.fixtures import NOW, FakeNetwork, read_all
from houses import keep, sqlite_store
from playwright.sync_api import Browser, expect
from sites import PASSWORD, WORKER, Site

from earshot.pipeline import understand
from earshot.rooms import Rooms
from earshot.settings import Settings, SourceSettings
from earshot.storage.accounts import Role

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture
def served(tmp_path: Path, open_rooms: Rooms, reddit_network: FakeNetwork) -> Iterator[tuple[Site, str]]:
    """A case whose thread went on, on Reddit, behind a real server."""
    root = reddit_network.post("How do I reset the hub? It blinks red since the update.", title="Hub blinks")
    source = SourceSettings(name="reddit", network="reddit", query="r/lumifern", url=reddit_network.url, account="lumifern")
    with sqlite_store(tmp_path) as store:
        site = Site(store=store, rooms=open_rooms, settings=Settings(secret_key="s" * 40, sources=(source,)), now=NOW + timedelta(hours=1))
        store.sources.declare([("reddit", "reddit")])
        for mention in read_all(reddit_network.source())[0]:
            keep(store, mention, source="reddit", now=site.now)
        understand(store, site.rooms, worker=WORKER, now=site.now)
        parent = root
        for n in range(6):
            author = "lumifern" if n == 2 else f"author{n}"
            parent = reddit_network.post(
                f"answer {n}: " + "hold the ring " * 12, author=author, reply_to=parent, at=NOW + timedelta(minutes=n)
            )
        reddit_network.world.delete("reddit", parent)
        with serving(site.app) as address:
            yield site, address


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_thread_is_opened_by_keyboard_on_a_phone(browser: Browser, served: tuple[Site, str], theme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    site, address = served
    page = enter(browser, address, site.account(Role.MANAGER, "Mia", password=PASSWORD), size=PHONE)
    page.context.add_cookies([{"name": "earshot_theme", "value": theme, "url": address}])
    page.goto("/cases/1")
    link = page.get_by_role("link", name="Show the thread on Reddit")
    link.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".conversation .post")).to_have_count(7)
    expect(page.locator(".conversation")).to_contain_text("Deleted on the network.")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert Axe().run(page).response["violations"] == []

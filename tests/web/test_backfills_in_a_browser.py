"""Reading back in Chromium: asked for, seen to grow by itself, cancelled; on a phone nothing runs off the page."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from browsers import PHONE, chromium, enter, serving
from houses import LEASE, sqlite_store
from playwright.sync_api import Browser, expect
from sites import PASSWORD, Site

from earshot.rooms import Rooms
from earshot.settings import Settings, SourceSettings
from earshot.storage.accounts import Role
from earshot.storage.backfills import PageRead, after_page
from earshot.storage.mentions import Poll

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


def test_progress_is_seen_live_and_ends_when_it_is_cancelled(browser: Browser, tmp_path: Path, open_rooms: Rooms) -> None:
    with sqlite_store(tmp_path) as store:
        settings = Settings(secret_key="s" * 40, sources=(SourceSettings(name="x", network="x", query="lumifern"),))
        site = Site(store=store, rooms=open_rooms, settings=settings)
        store.sources.declare([("x", "x")])
        store.sources.take("x", worker="w", now=site.now, lease=LEASE)
        gap = (site.now - timedelta(days=9), site.now - timedelta(days=8), "it was down")
        store.mentions.keep_new([], source="x", now=site.now, poll=Poll(source="x", worker="w", cursor=None, gap=gap))
        with serving(site.app) as address:
            page = enter(browser, address, site.account(Role.MANAGER, "Mia", password=PASSWORD))
            page.goto("/sources")
            page.get_by_label("Read x back").select_option("7")
            page.get_by_role("button", name="Read back").click()
            expect(page.locator(".back-fill")).to_contain_text("under way, 0 %")
            asked = store.backfills.claim("x", worker="w", now=site.now, lease=LEASE)
            assert asked is not None
            for days, percent in ((1, 14), (5, 71)):
                posted = [site.now, site.now - timedelta(days=days)]
                read = PageRead(backfill=asked, worker="w", lease=LEASE, cursor="c", is_last=False, posted=posted)
                store.mentions.keep_new([], source="x", now=site.now, poll=read)
                asked = after_page(read, site.now)
                expect(page.locator(".back-fill")).to_contain_text(f"under way, {percent} %")
            page.set_viewport_size(PHONE)
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
            page.get_by_role("button", name="Cancel").click()
            expect(page.locator(".back-fill")).to_contain_text("cancelled")
            assert page.faults == []  # type: ignore[attr-defined]

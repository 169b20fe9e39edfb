"""The whole way of a question: asked on X, corrected and offered here, answered on a phone, approved, posted there, and solved."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest
from browsers import PHONE, chromium, enter, serving
from houses import NOW, sqlite_store
from playwright.sync_api import expect
from sites import PASSWORD, Site

import earshot.demo
from earshot.case import State
from earshot.demo.networks import x
from earshot.demo.networks.world import World
from earshot.rooms import Rooms
from earshot.scheduler import House
from earshot.settings import Settings, SourceSettings
from earshot.storage.accounts import Role

pytestmark = pytest.mark.browser

BRAND = Path(earshot.demo.__file__).parent / "story" / "brand.toml"


@dataclass
class Town:
    """A network, a house that listens to it, and its pages; time is ours."""

    site: Site
    house: House
    world: World
    network: str  #: address of its server
    pages: str  #: address of ours

    def round(self) -> None:
        """A minute later the house looks around once."""
        self.site.now += timedelta(minutes=1)
        self.house.step()

    def says(self, who: str, text: str, *, reply_to: str) -> None:
        """Somebody answers on the network, over HTTP."""
        answer = httpx2.post(
            f"{self.network}/2/tweets",
            headers={"authorization": f"Bearer {self.world.token('x', who)}"},
            json={"text": text, "reply": {"in_reply_to_tweet_id": reply_to}},
        )
        assert answer.status_code == 201


@pytest.fixture
def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Town]:
    with sqlite_store(tmp_path) as store:
        world = World(clock=lambda: site.now)
        for name, value in world.environ("x").items():
            monkeypatch.setenv(name, value)
        with x.serve(world) as network:
            source = SourceSettings(name="x", network="x", query="lumifern", url=network.url, account=world.account, replies=True, every=1)
            settings = Settings(secret_key="s" * 40, brand=BRAND, sources=(source,), undo_seconds=0, reply_spacing=0, session_hours=1)
            site = Site(store=store, rooms=Rooms.open(store, settings, now=NOW), settings=settings)
            with closing(House(settings, store, site.rooms, clock=lambda: site.now)) as house, serving(site.app) as address:
                yield Town(site, house, world, network.url, address)


def test_a_question_goes_the_whole_way_and_is_answered_once(town: Town) -> None:
    manager = town.site.account(Role.MANAGER, "Mia", password=PASSWORD)
    newcomer = town.site.account(Role.SUPER_USER, "Nia", trust=0, password=PASSWORD)
    asked = town.world.post("x", "ann", "@lumifern my hub drops my two lamps every night. Broken or by design?", at=town.site.now)
    town.round()

    with chromium() as browser:
        mia = enter(browser, town.pages, manager)
        mia.goto("/queue")
        mia.get_by_role("link", name="my hub drops my two lamps").click()
        mia.get_by_label("Another tier").select_option("community")
        mia.get_by_role("button", name="Change tier").click()
        expect(mia.locator(".notice")).to_contain_text("Sent to community.")
        case_id = int(re.findall(r"/cases/(\d+)$", mia.url)[0])
        town.round()

        nia = enter(browser, town.pages, newcomer, size=PHONE)
        expect(nia.locator(".offer")).to_contain_text("two lamps every night")
        nia.get_by_role("button", name="I'll take it").click()
        nia.get_by_label("Your answer").fill("Set the hub's night mode to off: it rests two lamps at ten.")
        nia.get_by_role("button", name="Hand in").click()
        expect(nia.locator(".notice")).to_contain_text("Somebody looks at it first.")
        town.round()
        assert town.world.replies() == []

        mia.goto(f"/cases/{case_id}")
        expect(mia.get_by_role("heading", name="Draft by Nia")).to_be_visible()
        mia.get_by_role("button", name="Approve and send").click()
        expect(mia.locator(".notice")).to_contain_text("Approved")
        town.round()
        town.round()
        [reply] = town.world.replies()
        assert (reply.parent, reply.text) == (asked, "Set the hub's night mode to off: it rests two lamps at ten.")
        assert town.site.store.cases.get(case_id).state is State.ANSWERED

        town.says("ann", "@lumifern thanks, that worked!", reply_to=reply.native_id)
        town.round()
        mia.goto(f"/cases/{case_id}")
        expect(mia.locator(".case-head .state")).to_contain_text("solved")
        expect(mia.locator(".post.ours")).to_contain_text("it helped")
        nia.goto("/desk")
        expect(nia.locator(".recent")).to_contain_text("it helped")
        assert mia.faults == nia.faults == []  # type: ignore[attr-defined]
    assert len(town.world.replies()) == 1

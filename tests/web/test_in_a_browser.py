"""The pages in Chromium: by keyboard, on a phone, live, and read by axe."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsers import DESKTOP, PHONE, chromium, enter, serving
from houses import person, sqlite_store
from playwright.sync_api import Browser, Page, expect
from sites import PASSWORD, Site

from earshot.case import State, Tier
from earshot.rooms import Rooms
from earshot.settings import Settings
from earshot.storage.accounts import Role
from earshot.storage.queries import Draft

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture
def served(tmp_path: Path, open_rooms: Rooms) -> Iterator[tuple[Site, str]]:
    """A site behind a real server on a free port."""
    with sqlite_store(tmp_path) as store:
        site = Site(store=store, rooms=open_rooms, settings=Settings(secret_key="s" * 40))
        with serving(site.app) as address:
            yield site, address


def test_a_manager_works_the_queue_by_keyboard(browser: Browser, served: tuple[Site, str]) -> None:
    site, address = served
    manager = site.account(Role.MANAGER, "Mia", password=PASSWORD)
    proposal = site.hear("Bonjour, ma lampe ne marche plus du tout, que faire ?")
    easy = site.for_community("How do I reset my lamp?")
    page = enter(browser, address, manager)
    page.goto("/queue")
    expect(page.locator("#queue .row")).to_have_count(2)
    order = [int(row.get_attribute("data-case") or 0) for row in page.locator("#queue .row").all()]
    here = page.locator(".row.here")
    for _ in range(3):
        page.keyboard.press("j")
    expect(here).to_have_attribute("data-case", str(order[1]))
    page.keyboard.press("k")
    expect(here).to_have_attribute("data-case", str(order[0]))
    page.keyboard.press("j" if order[1] == proposal else "k")
    expect(here).to_have_attribute("data-case", str(proposal))
    page.keyboard.press("a")
    expect(page.locator(".notice")).to_contain_text("Sent to")
    assert site.store.cases.get(proposal).state is State.QUEUED
    page.keyboard.press("u")
    expect(page.locator(".notice")).to_contain_text("Taken back")
    assert site.store.cases.get(proposal).state is State.REVIEW
    page.keyboard.press("j" if order[1] == easy else "k")
    expect(here).to_have_attribute("data-case", str(easy))
    page.keyboard.press("e")
    expect(page.locator(".notice")).to_contain_text("Sent to tier 1")
    assert site.store.cases.get(easy).tier is Tier.TIER_1
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/cases/\d+$"))
    assert page.faults == []  # type: ignore[attr-defined]


def test_a_manager_teaches_by_keyboard_quicker_than_the_page(browser: Browser, served: tuple[Site, str]) -> None:
    site, address = served
    for text in ("How do I reset my lamp?", "My hub is dead since the update and I want it fixed"):
        site.hear(text)
    page = enter(browser, address, site.account(Role.MANAGER, "Mia", password=PASSWORD))
    page.goto("/teach")
    expect(page.locator(".ask.here")).to_contain_text("What is it, mainly?")
    first = page.locator(".lesson").get_attribute("data-lesson")
    page.keyboard.type("1112")
    expect(page.locator(".progress")).to_contain_text("1 of 2 today")
    expect(page.locator(".lesson")).not_to_have_attribute("data-lesson", first or "")
    taught = {(t.question, t.label) for t in site.store.labels.taught()}
    assert taught == {("intent", "question"), ("needs", "common"), ("anger", "calm"), ("asks", "no")}
    page.keyboard.press("u")
    expect(page.locator(".progress")).to_contain_text("0 of 2 today")
    page.keyboard.press("s")
    expect(page.locator(".taught")).to_contain_text("Skipped by Mia")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    assert page.faults == []  # type: ignore[attr-defined]


def test_teaching_works_with_a_thumb(browser: Browser, served: tuple[Site, str]) -> None:
    site, address = served
    site.hear("How do I reset my lamp?")
    page = enter(browser, address, site.account(Role.MANAGER, "Mia", password=PASSWORD), size=PHONE)
    page.goto("/teach")
    for answer in ("question", "an experienced customer", "calm", "yes"):
        page.get_by_role("button", name=answer, exact=True).click()
    expect(page.get_by_text("That is all for today.")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_the_queue_is_live(browser: Browser, served: tuple[Site, str]) -> None:
    site, address = served
    page = enter(browser, address, site.account(Role.STAFF, "Sam", password=PASSWORD))
    page.goto("/queue")
    expect(page.get_by_text("Nothing waits here.")).to_be_visible()
    site.for_community("How do I reset my lamp?")
    expect(page.locator("#queue .row")).to_have_count(1)


def test_a_manager_corrects_a_tier_and_approves_an_answer(browser: Browser, served: tuple[Site, str]) -> None:
    site, address = served
    nia = site.account(Role.SUPER_USER, "Nia", trust=0)
    case_id = site.for_community("How do I reset my lamp?")
    other = site.for_community("My hub is broken since the update")
    site.store.handover.accept(site.offer(case_id, nia), by=nia.id, now=site.now, lease=site.rooms.policy.silence.lease)
    site.store.moves.answer(
        case_id, by=nia.id, text="Hold the ring.", now=site.now, needs_approval=True, sending=site.rooms.sending
    )  # fmt: skip
    page = enter(browser, address, site.account(Role.MANAGER, "Mia", password=PASSWORD))
    page.goto(f"/cases/{other}")
    page.get_by_label("Another tier").select_option("tier_2")
    page.get_by_role("button", name="Change tier").click()
    expect(page.locator(".notice")).to_contain_text("Sent to tier 2.")
    page.locator(".notice").get_by_role("button", name="Undo").click()
    expect(page.locator(".notice")).to_contain_text("Taken back.")
    page.goto(f"/cases/{case_id}")
    page.get_by_label("The draft").fill("Hold the ring for 12 seconds.")
    page.get_by_role("button", name="Approve and send").click()
    expect(page.locator(".notice")).to_contain_text("Approved")
    assert site.store.cases.get(case_id).state is State.SENDING
    assert page.faults == []  # type: ignore[attr-defined]


def test_an_article_goes_into_the_answer_and_the_length_is_counted(browser: Browser, served: tuple[Site, str]) -> None:
    from earshot.storage.articles import Article

    site, address = served
    case_id = site.for_community("How do I reset my hub?")
    article = Article(slug="reset", title="Reset your hub", lang="en", topic="hub", body="Hold the pin hole.", words=("reset my hub",))
    site.store.articles.put([article], now=site.now)
    page = enter(browser, address, site.account(Role.STAFF, "Sam", password=PASSWORD))
    page.goto(f"/cases/{case_id}")
    page.get_by_role("button", name="Put into the answer").click()
    expect(page.get_by_label("Your answer")).to_have_value("Hold the pin hole.")
    expect(page.locator("output.counter")).to_have_text("18 of 280")
    page.get_by_label("Your answer").fill("灯" * 150)
    expect(page.locator("output.counter")).to_have_text("300 of 280")
    expect(page.locator("output.counter")).to_have_class(re.compile("over"))


def test_a_super_user_takes_and_answers_on_her_phone(browser: Browser, served: tuple[Site, str]) -> None:
    site, address = served
    uma = site.account(Role.SUPER_USER, "Uma", trust=2, password=PASSWORD)
    case_id = site.for_community("How do I reset my lamp? Mail me at jo.doe@example.com")
    page = enter(browser, address, uma, size=PHONE)
    expect(page.get_by_text("A post that fits you appears here by itself.")).to_be_visible()
    site.offer(case_id, uma)
    expect(page.locator(".offer")).to_contain_text("[e-mail]")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    take = page.get_by_role("button", name="I'll take it")
    assert (take.bounding_box() or {"height": 0})["height"] >= 44
    take.click()
    page.get_by_label("Your answer").fill("Rest a finger on the ring for 12 seconds.")
    page.get_by_role("button", name="Send answer").click()
    expect(page.locator(".notice")).to_contain_text("on its way")
    assert site.store.cases.get(case_id).state is State.SENDING


def draft_of_a_newcomer(site: Site, *, given_back: str = "") -> int:
    nia, case_id = site.account(Role.SUPER_USER, "Nia", trust=0), site.for_community("How do I reset it? Mail me at jo.doe@example.com")
    site.store.handover.accept(site.offer(case_id, nia), by=nia.id, now=site.now, lease=site.rooms.policy.silence.lease)
    for text in ("Hold it.", "Rest a finger on the ring for 12 seconds.")[0 if given_back else 1 :]:
        site.store.moves.answer(case_id, by=nia.id, text=text, now=site.now, needs_approval=True, sending=site.rooms.sending)
        if text == "Hold it.":
            site.store.moves.reject_answer(case_id, by=site.boss.id, now=site.now, note=given_back)
    return case_id


def test_a_trusted_super_user_looks_a_draft_over_on_her_phone(browser: Browser, served: tuple[Site, str]) -> None:
    site, address = served
    page = enter(browser, address, site.account(Role.SUPER_USER, "Vera", trust=3, password=PASSWORD), size=PHONE)
    expect(page.get_by_text("No draft waits.")).to_be_visible()
    case_id = draft_of_a_newcomer(site)
    look = page.get_by_role("link", name="Look over the draft by Nia")
    assert (look.bounding_box() or {"height": 0})["height"] >= 44
    look.click()
    expect(page.locator(".thread")).to_contain_text("Mail me at [e-mail]")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    approve = page.get_by_role("button", name="Approve and send")
    assert (approve.bounding_box() or {"height": 0})["height"] >= 44
    approve.click()
    expect(page.locator(".notice")).to_contain_text("Approved")
    assert site.store.cases.get(case_id).state is State.SENDING
    page.locator(".notice").get_by_role("button", name="Undo").click()
    expect(page.locator(".notice")).to_contain_text("Taken back.")
    assert site.store.cases.get(case_id).state is State.APPROVAL
    assert page.faults == []  # type: ignore[attr-defined]


def test_a_trusted_super_user_gives_a_draft_back_by_keyboard(browser: Browser, served: tuple[Site, str]) -> None:
    site, address = served
    case_id = draft_of_a_newcomer(site)
    page = enter(browser, address, site.account(Role.SUPER_USER, "Vera", trust=3, password=PASSWORD))
    page.get_by_role("link", name="Look over the draft by Nia").focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Approve and send").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.type("Say hello first, please.")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".notice")).to_contain_text("Given back with your note.")
    case = site.store.cases.page(case_id)
    assert case is not None
    assert (case.case.state, case.answers[-1].note) == (State.ASSIGNED, "Say hello first, please.")


def test_a_marketer_writes_a_query_by_keyboard_and_takes_its_deletion_back(browser: Browser, served: tuple[Site, str]) -> None:
    site, address = served
    site.hear("My lamp is broken, what now?")
    site.hear("I love my chair")
    page = enter(browser, address, site.account(Role.MARKETER, "Max", password=PASSWORD))
    page.goto("/queries/new")
    page.keyboard.type("lamp AND AND")
    expect(page.locator(".mistake")).to_contain_text("column 10: AND needs a word before it")
    expect(page.locator(".pointed")).to_contain_text("^")
    for _ in range(4):
        page.keyboard.press("Backspace")
    page.keyboard.type(" broken")
    expect(page.locator(".tried-sum")).to_contain_text("50 % of the last 2 posts")
    expect(page.locator(".tried").first).to_contain_text("My lamp is broken")
    page.get_by_label("Name").fill("Broken lamps")
    page.keyboard.press("Enter")
    expect(page.locator(".notice")).to_contain_text("Broken lamps is saved.")
    page.get_by_role("button", name="Delete Broken lamps").click()
    expect(page.get_by_text("No query is saved yet.")).to_be_visible()
    page.locator(".notice").get_by_role("button", name="Undo").click()
    expect(page.locator(".notice")).to_contain_text("Broken lamps is back.")
    expect(page.locator(".saved-query")).to_have_count(1)
    assert page.faults == []  # type: ignore[attr-defined]


def test_a_query_is_written_on_a_phone(browser: Browser, served: tuple[Site, str]) -> None:
    site, address = served
    site.hear("我的台灯坏了，怎么办？ " + "a" * 300)
    page = enter(browser, address, site.account(Role.MANAGER, "Mia", password=PASSWORD), size=PHONE)
    page.goto("/queries/new")
    page.get_by_label("What to look for").fill("台灯 NEAR/4 坏了")
    expect(page.locator(".tried-sum")).to_contain_text("100 %")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.get_by_label("What to look for").fill(f"({'lamp OR ' * 60}")
    expect(page.locator(".pointed")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_dark_is_chosen_with_a_button_and_stays(browser: Browser, served: tuple[Site, str]) -> None:
    site, address = served
    page = enter(browser, address, site.account(Role.STAFF, "Sam", password=PASSWORD))
    background = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(background)
    page.get_by_role("button", name="Dark").click()
    page.goto("/queue")
    assert page.evaluate(background) != light


#: Rules that a change of colours or of width can break; those of the page itself are read once, in light colours on a desktop.
OF_COLOURS = ("color-contrast", "link-in-text-block")
LOOKS = {
    "light": ("light", DESKTOP, ()),
    "dark": ("dark", DESKTOP, OF_COLOURS),
    "phone": ("light", PHONE, (*OF_COLOURS, "target-size", "scrollable-region-focusable")),
}


def serious_faults(page: Page, rules: tuple[str, ...]) -> list[str]:
    """What axe finds against `rules`, or against all of its rules where none are named."""
    from axe_playwright_python.sync_playwright import Axe

    only = {"runOnly": {"type": "rule", "values": list(rules)}} if rules else {}
    found = Axe().run(page, options={"resultTypes": ["violations"], **only}).response["violations"]
    return [f"{v['id']}: {v['nodes'][0]['html'][:160]}" for v in found if v["impact"] in ("serious", "critical")]


def test_axe_finds_no_serious_fault(browser: Browser, served: tuple[Site, str]) -> None:
    site, address = served
    uma = site.account(Role.SUPER_USER, "Uma", password=PASSWORD)
    furious = site.hear("I am FURIOUS, you liars! Give me my money back or I call my lawyer!", by=person("rage", followers=90_000))
    site.offer(site.for_community("How do I reset my lamp?"), uma)
    mine = site.for_community("Which cable does the strip need?")
    site.store.handover.accept(site.offer(mine, uma), by=uma.id, now=site.now, lease=site.rooms.policy.silence.lease)
    site.hear("I love my new lamp, thank you all!")
    draft = draft_of_a_newcomer(site, given_back="For how long?")
    site.store.queries.add(Draft(name="lamps", text="lamp NOT broken", urgent=True, not_saying=("win",)), by=None, now=site.now)
    manager = enter(browser, address, site.account(Role.MANAGER, "Mia", password=PASSWORD))
    mentor = enter(browser, address, site.account(Role.SUPER_USER, "Vera", trust=3, password=PASSWORD))
    her = enter(browser, address, uma)
    marketer = enter(browser, address, site.account(Role.MARKETER, "Max", password=PASSWORD))
    admin = enter(browser, address, site.account(Role.ADMIN, "Ada", password=PASSWORD))
    nobody = browser.new_context(base_url=address).new_page()
    walk = [
        (manager, path)
        for path in (
            "/",
            "/queue",
            f"/cases/{furious}",
            "/teach",
            "/queries",
            "/queries/1",
            "/blind-spots",
            "/models",
            "/authors",
            "/authors/1",
        )
    ]
    walk += [(manager, path) for path in ("/policy", "/nothing")]
    walk += [(mentor, "/desk"), (mentor, f"/desk/drafts/{draft}")]
    walk += [(her, "/desk"), (her, f"/desk/cases/{mine}"), (marketer, "/"), (admin, "/"), (nobody, "/sign-in")]
    faults = {}
    for page, path in walk:
        page.goto(path)
        if path.startswith("/cases"):
            page.locator("details.score").first.locator("summary").click()
            page.locator("#assign select").wait_for()
        for look, (scheme, size, rules) in LOOKS.items():
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            page.set_viewport_size(size)  # type: ignore[arg-type]
            if found := serious_faults(page, rules):
                faults[path, look] = found
            assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], (path, look)
    assert faults == {}

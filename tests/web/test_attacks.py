"""What somebody would try who wants in, wants more, or wants to break something. What is tried at one page alone is tested beside it."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from sites import Site
from starlette.testclient import TestClient

from earshot.mention import Author
from earshot.rooms import Rooms
from earshot.settings import Settings
from earshot.storage import Store
from earshot.storage.accounts import Role

NUL = "\x00"


@pytest.fixture
def boss(site: Site) -> TestClient:
    return site.signed_in(site.boss)


def test_what_nobody_sees_never_leaves_the_house(site: Site, boss: TestClient) -> None:
    case_id = site.for_community()
    boss.post(f"/cases/{case_id}/answer", data={"text": "Hold\x00 it\x1b[31m\u202e for\r\nten\u2066 seconds."})
    page = site.store.cases.page(case_id)
    assert page is not None
    assert [answer.text for answer in page.answers] == ["Hold it[31m for\nten seconds."]


def test_an_answer_of_nothing_that_can_be_seen_is_empty(site: Site, boss: TestClient) -> None:
    answer = boss.post(f"/cases/{site.for_community()}/answer", data={"text": "\x00\u202e \u2066"})
    assert answer.status_code == 422
    assert "The answer is empty" in answer.text


@pytest.mark.postgres
def test_a_nul_is_no_trouble_for_a_database_that_knows_none(postgres_store: Store, open_rooms: Rooms) -> None:
    site = Site(store=postgres_store, rooms=open_rooms, settings=Settings(secret_key="s" * 40))
    case_id, client = site.for_community(), site.signed_in(site.boss)
    assert site.visitor().post("/sign-in", data={"email": f"boss{NUL}@lumifern.example", "password": NUL}).status_code == 401
    assert client.get("/queue", params={"network": NUL, "state": NUL, "mine": NUL}).status_code == 200
    assert client.post(f"/cases/{case_id}/tier", data={"tier": "tier_2", "note": f"up{NUL}"}).status_code == 303
    assert client.post(f"/cases/{case_id}/label", data={"mention": "1", "question": NUL, "now_is": NUL}).status_code == 422
    assert client.post(f"/cases/{case_id}/answer", data={"text": f"Hold it.{NUL}"}).status_code == 303


@pytest.mark.parametrize("then", ["/\r\nset-cookie: a=b", "/%0d%0aset-cookie: a=b", "/\u2028x", "/ x\r\n\r\n<script>"])
def test_no_header_is_smuggled_in(site: Site, boss: TestClient, then: str) -> None:
    for answer in (
        boss.get("/sign-in", params={"then": then}),
        boss.post("/theme", data={"choice": then}, headers={"referer": f"http://127.0.0.1:8000{then}".encode().replace(b"\r\n", b" ")}),
        boss.get(f"/nothing{quote(then)}"),
    ):
        assert "a" not in answer.cookies
        assert not {"\r", "\n"} & set("".join(answer.headers.values()))


def test_a_super_user_reads_no_case_but_her_own_through_any_address(site: Site) -> None:
    case_id, her = site.hear("My order number is 4711, write to jo.doe@example.com"), site.signed_in(site.account(Role.SUPER_USER))
    for path in (f"/cases/{case_id}", f"/api/cases/{case_id}", f"/cases/{case_id}/suggestions", f"/desk/cases/{case_id}", "/api/queue"):
        assert her.get(path).status_code == 404
    assert her.get("/api/desk").json() == []


def test_a_masked_post_is_masked_for_programs_too(site: Site) -> None:
    uma = site.account(Role.SUPER_USER)
    site.offer(site.for_community("How do I reset my lamp? Write to jo.doe@example.com"), uma)
    [case] = site.signed_in(uma).get("/api/desk").json()
    assert "jo.doe" not in case["text"]


def test_a_name_that_hides_itself_is_shown_with_its_handle(site: Site, boss: TestClient) -> None:
    """Elsewhere such names passed for those of others: Bluesky #5703."""
    hidden = Author(
        network="x", native_id="id-eve", handle="eve\u202e", name="\u202e\u200b \u2066 Lumifern \u00a0\u3000 Support\u2069\u200d"
    )
    case_id = site.hear("How do I pair my hub?", by=hidden)
    for page in (boss.get("/queue").text, boss.get(f"/cases/{case_id}").text):
        assert '<bdi class="name">Lumifern Support</bdi>' in page
        assert '<bdi class="handle">@eve</bdi>' in page
        assert not set("\u202e\u200b\u2066\u2069\u200d") & set(page)
    for nobody in ("\u200b", "\u2800\u3164", " "):
        case_id = site.hear(f"How do I pair my lamp {ord(nobody[0])}?", by=Author(network="x", native_id=nobody, handle="ann", name=nobody))
        assert "@ann</bdi>" in boss.get(f"/cases/{case_id}").text

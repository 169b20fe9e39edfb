"""Coming in: passwords, sessions, links, and the limit on tries."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from httpx2 import Response
from sites import PASSWORD, Site
from starlette.testclient import TestClient

from earshot.settings import Settings
from earshot.storage.accounts import Account, Role
from earshot.web.sign_in import entry_link
from earshot.web.visit import SESSION_COOKIE


@pytest.fixture
def mia(site: Site) -> Account:
    return site.account(Role.MANAGER, "Mia", password=PASSWORD)


def _sign_in(client: TestClient, email: str, password: str = PASSWORD, **data: str) -> Response:
    return client.post("/sign-in", data={"email": email, "password": password, **data})


def test_the_right_password_opens_a_session_that_scripts_cannot_read(site: Site, mia: Account) -> None:
    answer = _sign_in(site.visitor(), mia.email.upper())
    cookie = answer.headers["set-cookie"]
    assert answer.status_code == 303
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie


def test_over_https_the_session_never_travels_in_the_clear(site: Site, mia: Account) -> None:
    client = site.visitor()
    client.base_url, client.headers["origin"] = "https://testserver", "https://testserver"
    assert "Secure" in _sign_in(client, mia.email).headers["set-cookie"]


def test_a_wrong_password_and_an_unknown_account_sound_the_same(site: Site, mia: Account) -> None:
    wrong = _sign_in(site.visitor(), mia.email, "wrong")
    unknown = _sign_in(site.visitor(), "nobody@lumifern.example", "wrong")
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.text.replace(mia.email, "") == unknown.text.replace("nobody@lumifern.example", "")


def test_an_account_without_a_password_cannot_be_entered_with_an_empty_one(site: Site) -> None:
    account = site.account(Role.STAFF, "Sam")
    assert _sign_in(site.visitor(), account.email, "").status_code in (401, 422)
    assert _sign_in(site.visitor(), account.email, "a password that opens nothing").status_code == 401


def test_after_too_many_tries_even_the_right_password_waits(site: Site, mia: Account) -> None:
    client = site.visitor()
    assert [_sign_in(client, mia.email, "wrong").status_code for _ in range(6)] == [401] * 5 + [429]
    assert _sign_in(client, mia.email).status_code == 429
    assert "Wait fifteen minutes" in _sign_in(client, mia.email).text
    site.now += timedelta(minutes=16)
    assert _sign_in(client, mia.email).status_code == 303


def test_trying_one_password_on_many_accounts_is_limited_too(site: Site) -> None:
    client = site.visitor()
    answers = [_sign_in(client, f"person{n}@lumifern.example", "summer").status_code for n in range(7)]
    assert answers == [401] * 5 + [429] * 2


def test_each_sign_in_is_a_new_session_and_ends_the_old_one(site: Site, mia: Account) -> None:
    client = site.visitor()
    _sign_in(client, mia.email)
    first = client.cookies[SESSION_COOKIE]
    _sign_in(client, mia.email)
    assert client.cookies[SESSION_COOKIE] != first
    old = site.visitor()
    old.cookies.set(SESSION_COOKIE, first)
    assert old.get("/").status_code == 303


def test_signing_out_ends_the_session_for_good(site: Site, mia: Account) -> None:
    client = site.visitor()
    _sign_in(client, mia.email)
    token = client.cookies[SESSION_COOKIE]
    client.post("/sign-out")
    client.cookies.set(SESSION_COOKIE, token)
    assert client.get("/").headers["location"].startswith("/sign-in")


def test_a_silent_session_ends(site: Site, mia: Account) -> None:
    client = site.signed_in(mia)
    assert client.get("/").status_code == 200
    site.now += timedelta(hours=13)
    assert client.get("/").status_code == 303


def test_an_account_that_is_switched_off_is_nobody_whichever_way_it_comes(site: Site, mia: Account) -> None:
    inside, link = site.signed_in(mia), entry_link(site.settings, mia.id).removeprefix("http://127.0.0.1:8000")
    site.store.accounts.switch_off(mia.id, now=site.now)
    assert inside.get("/").headers["location"].startswith("/sign-in")
    assert _sign_in(site.visitor(), mia.email).status_code == 401
    assert site.visitor().get(link).status_code == 410
    site.store.accounts.switch_on(mia.id)
    assert inside.get("/").headers["location"].startswith("/sign-in")
    assert _sign_in(site.visitor(), mia.email).status_code == 303


@pytest.mark.parametrize("token", ["", "x", "x" * 5000, "é", "' OR 1=1 --"])
def test_an_invented_session_is_nobody(site: Site, token: str) -> None:
    answer = site.visitor().get("/", headers={"cookie": f"{SESSION_COOKIE}={token}".encode()})
    assert answer.status_code == 303


def test_one_gets_where_one_wanted_to_go(site: Site, mia: Account) -> None:
    client = site.visitor()
    there = client.get("/queue?tier=tier_1").headers["location"]
    page = client.get(there)
    assert 'value="/queue?tier=tier_1"' in page.text
    assert _sign_in(client, mia.email, then="/queue?tier=tier_1").headers["location"] == "/queue?tier=tier_1"


@pytest.mark.parametrize("then", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/\tx", "\\\\evil"])
def test_nobody_is_sent_to_another_site(site: Site, mia: Account, then: str) -> None:
    assert _sign_in(site.visitor(), mia.email, then=then).headers["location"] == "/"


# ---- links


def _token(settings: Settings, account_id: int, **options: Any) -> str:
    return entry_link(settings, account_id, **options).rpartition("/")[2]


def test_a_link_signs_in_with_a_button_and_only_once(site: Site, mia: Account) -> None:
    token, client = _token(site.settings, mia.id), site.visitor()
    page = client.get(f"/enter/{token}")
    assert "Welcome, Mia" in page.text
    assert SESSION_COOKIE not in client.cookies
    assert client.post(f"/enter/{token}").headers["location"] == "/"
    assert client.get("/queue").status_code == 200
    assert site.visitor().post(f"/enter/{token}").status_code == 410


def test_a_link_may_be_made_for_many_visits(site: Site, mia: Account) -> None:
    token = _token(site.settings, mia.id, once=False)
    assert [site.visitor().post(f"/enter/{token}").status_code for _ in range(2)] == [303, 303]


def test_an_old_or_forged_link_opens_nothing(site: Site, mia: Account) -> None:
    old = _token(site.settings, mia.id, minutes=-1)
    forged = _token(Settings(secret_key="z" * 40), mia.id)
    nobodys = _token(site.settings, 999)
    for token in (old, forged, nobodys, "x", "x" * 3000):
        assert site.visitor().get(f"/enter/{token}").status_code == 410
        assert site.visitor().post(f"/enter/{token}").status_code == 410


# ---- dark and light


def test_dark_or_light_is_remembered_and_leads_back(site: Site) -> None:
    client = site.visitor()
    answer = client.post("/theme", data={"choice": "dark"}, headers={"referer": "http://127.0.0.1:8000/sign-in?then=%2F"})
    assert answer.headers["location"] == "/sign-in?then=%2F"
    assert 'data-theme="dark"' in client.get("/sign-in").text
    client.cookies.set("earshot_theme", '"><script>')
    assert "<script>" not in client.get("/sign-in").text.replace("<script src", "")

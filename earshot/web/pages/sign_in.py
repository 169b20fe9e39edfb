"""Coming in, going out, and dark or light."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Form, HTTPException
from fastapi.responses import RedirectResponse, Response
from pydantic import AfterValidator

from earshot.storage.accounts import Account
from earshot.web import words
from earshot.web.sign_in import TooManyTries, check_password, read_link
from earshot.web.visit import SESSION_COOKIE, THEME_COOKIE, Notice, Visit, Visiting, local_path

YEAR = 365 * 24 * 3600
_WRONG = "That e-mail address and password do not belong together."
_ENOUGH = "Too many wrong passwords. Wait fifteen minutes, then try again."


def form(visit: Visiting, then: str = "/") -> Response:
    if visit.account is not None:
        return RedirectResponse(local_path(then), status_code=303)
    return visit.page("sign_in.html", then=local_path(then), email="")


def sign_in(
    visit: Visiting,
    email: Annotated[str, Form(), AfterValidator(words.plain)],
    password: Annotated[str, Form()],
    then: Annotated[str, Form()] = "/",
) -> Response:
    client = visit.request.client
    try:
        account = check_password(
            visit.store, visit.settings, email=email, password=password, address=client.host if client else "unknown", now=visit.now
        )
    except TooManyTries:
        return _again(visit, email, then, _ENOUGH, status=429)
    if account is None:
        return _again(visit, email, then, _WRONG, status=401)
    return _signed_in(visit, account, then)


def _again(visit: Visit, email: str, then: str, said: str, *, status: int) -> Response:
    notice = Notice(words=said, kind="problem")
    return visit.page("sign_in.html", status=status, notice=notice, then=local_path(then), email=email[:200])


def entry(visit: Visiting, token: str) -> Response:
    """A link may be opened by a mail scanner or a preview: only the button signs in."""
    account, _ = _of_link(visit, token)
    return visit.page("enter.html", who=account, token=token)


def enter(visit: Visiting, token: str) -> Response:
    account, once = _of_link(visit, token)
    if once:
        visit.house.used_links.add(token)
    return _signed_in(visit, account, "/")


def _of_link(visit: Visit, token: str) -> tuple[Account, bool]:
    found = None if token in visit.house.used_links else read_link(visit.settings, token)
    account = visit.store.accounts.get(found[0]) if found else None
    if found is None or account is None or not account.active:
        raise HTTPException(410, "This link was used already or is too old. Ask for a new one, or sign in with your password.")
    return account, found[1]


def _signed_in(visit: Visit, account: Account, then: str) -> Response:
    old = visit.request.cookies.get(SESSION_COOKIE)
    if old:
        visit.store.accounts.end_session(old)
    token = visit.store.accounts.start_session(account.id, now=visit.now)
    response = RedirectResponse(local_path(then), status_code=303)
    response.set_cookie(SESSION_COOKIE, token, httponly=True, samesite="lax", secure=visit.house.is_https(visit.request))
    return response


def sign_out(visit: Visiting) -> Response:
    token = visit.request.cookies.get(SESSION_COOKIE)
    if token:
        visit.store.accounts.end_session(token)
    response = RedirectResponse("/sign-in", status_code=303)
    response.delete_cookie(SESSION_COOKIE)
    return response


def theme(visit: Visiting, choice: Annotated[str, Form()]) -> Response:
    """`choice`: "dark", "light", or anything else for what the system says."""
    came_from = urlsplit(visit.request.headers.get("referer", ""))
    response = RedirectResponse(local_path(came_from.path + (f"?{came_from.query}" if came_from.query else "")), status_code=303)
    if choice in ("dark", "light"):
        response.set_cookie(THEME_COOKIE, choice, max_age=YEAR, httponly=True, samesite="lax", secure=visit.house.is_https(visit.request))
    else:
        response.delete_cookie(THEME_COOKIE)
    return response

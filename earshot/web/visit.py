"""One visit to one page: who comes, when, and the ways to answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hmac import compare_digest
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from itsdangerous import BadSignature, URLSafeTimedSerializer
from jinja2 import Environment

from earshot.settings import Settings
from earshot.storage import Store
from earshot.storage.accounts import Account
from earshot.threads import Conversations
from earshot.web.hooks import Hooks
from earshot.web.live import Pulse
from earshot.web.site import NAVIGATION, may_enter

if TYPE_CHECKING:
    from earshot.rooms import Rooms

SESSION_COOKIE, THEME_COOKIE, NOTICE_COOKIE = "earshot_session", "earshot_theme", "earshot_notice"
NOTICE_SECONDS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """What every page may use; made once in `create_app`."""

    store: Store
    rooms: Rooms
    settings: Settings
    clock: Callable[[], datetime]
    pages: Environment
    pulse: Pulse
    conversations: Conversations
    hooks: Hooks
    #: one-time links that brought somebody in. Each process remembers its own: links are few and short-lived, and whoever
    #: holds one is in anyway, so a second process or a restart is worth no table of theirs.
    used_links: set[str] = field(default_factory=set)

    def who(self, request: Request) -> Account | None:
        """Whose session the request carries."""
        token = request.cookies.get(SESSION_COOKIE)
        if not token or len(token) > 100:
            return None
        return self.store.accounts.session(token, now=self.clock(), lasts=timedelta(hours=self.settings.session_hours))

    def is_scraper(self, request: Request) -> bool:
        """Does the request carry the token for metrics? Nobody does where none is set."""
        token = self.settings.metrics_token.get_secret_value()
        return bool(token) and compare_digest(request.headers.get("authorization", "").encode(), f"Bearer {token}".encode())

    def may_approve(self, account: Account) -> bool:
        """May this super-user approve what others write?"""
        membership = self.store.accounts.membership(account.id)
        return membership is not None and self.rooms.may_approve(membership.trust_level)

    def notices(self) -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(self.settings.secret_key.get_secret_value(), salt="notice")

    def is_https(self, request: Request) -> bool:
        return request.url.scheme == "https" or self.settings.public_url.startswith("https://")


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A sentence shown once, with the way back where there is one."""

    words: str
    kind: str = "done"  #: done, problem
    undo: str = ""  #: address that takes it back


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    request: Request
    house: House
    account: Account | None
    now: datetime

    @property
    def me(self) -> Account:
        """The account, on pages that nobody enters without one."""
        if self.account is None:
            raise HTTPException(401, "sign in first")
        return self.account

    @property
    def store(self) -> Store:
        return self.house.store

    @property
    def rooms(self) -> Rooms:
        return self.house.rooms

    @property
    def settings(self) -> Settings:
        return self.house.settings

    @property
    def is_partial(self) -> bool:
        """Asked by htmx for a piece of a page."""
        return self.request.headers.get("hx-request") == "true"

    def page(self, template: str, *, status: int = 200, notice: Notice | None = None, **values: Any) -> HTMLResponse:
        told = notice or self._told()
        account = self.account
        html = self.house.pages.get_template(template).render(
            me=account,
            now=self.now,
            notice=told,
            theme=self.theme,
            path=self.request.url.path,
            navigation=[(href, label) for href, label in NAVIGATION if account and may_enter(account.role, href)],
            **values,
        )
        response = HTMLResponse(html, status_code=status)
        if NOTICE_COOKIE in self.request.cookies:
            response.delete_cookie(NOTICE_COOKIE)
        return response

    @property
    def theme(self) -> str:
        theme = self.request.cookies.get(THEME_COOKIE, "")
        return theme if theme in ("dark", "light") else ""

    def done(self, words: str, *, to: str, undo: str = "") -> Response:
        """Say that it worked: to htmx as an event, to a browser as the next page."""
        if self.is_partial:
            told = {"notice": {"words": words, "kind": "done", "undo": undo}, "changed": ""}
            return Response(status_code=204, headers={"HX-Trigger": json.dumps(told)})
        response = RedirectResponse(to, status_code=303)
        value = self.house.notices().dumps([words, "done", undo])
        response.set_cookie(
            NOTICE_COOKIE,
            value if isinstance(value, str) else value.decode(),
            max_age=NOTICE_SECONDS,
            httponly=True,
            samesite="lax",
            secure=self.house.is_https(self.request),
        )
        return response

    def _told(self) -> Notice | None:
        value = self.request.cookies.get(NOTICE_COOKIE)
        if value is None or self.is_partial:
            return None
        try:
            words, kind, undo = self.house.notices().loads(value, max_age=NOTICE_SECONDS)
        except (BadSignature, ValueError):
            return None
        return Notice(words=words, kind=kind, undo=undo)


def local_path(target: str | None) -> str:
    """`target` when it is a path on this site, "/" otherwise: nobody is sent elsewhere by a link of ours."""
    is_local = bool(target) and target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable()  # type: ignore[union-attr]
    return target if is_local and target else "/"


def _visit(request: Request) -> Visit:
    house: House = request.app.state.house
    return Visit(request=request, house=house, account=request.state.account, now=house.clock())


#: what a page function takes
Visiting = Annotated[Visit, Depends(_visit)]

"""What stands before every page: who may enter, where forms may come from, and what a browser may load."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

from fastapi import HTTPException, Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from earshot.web.site import SIGNED, Address
from earshot.web.visit import House

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
#: larger than any form of ours
MOST_BODY = 64 * 1024
#: of what another system brings
MOST_SIGNED = 2**20

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


class SignInFirst(Exception):
    """Nobody is signed in; `then` is where they wanted to go."""

    def __init__(self, then: str) -> None:
        super().__init__("sign in first")
        self.then = then


def gate(address: Address) -> Callable[[Request], None]:
    """The check that stands before one address. Whoever may not enter is told that there is nothing."""

    def enter(request: Request) -> None:
        house: House = request.app.state.house
        account = request.state.account = house.who(request)
        if address.who is None or (address.is_for_scrapers and house.is_scraper(request)):
            return
        if account is None:
            if address.is_data or request.headers.get("hx-request") == "true":
                raise HTTPException(401, "sign in first")
            raise SignInFirst(_here(request) if address.method == "GET" else "/")
        if account.role not in address.who:
            raise HTTPException(404)
        if address.is_for_trusted and not house.may_approve(account):
            raise HTTPException(403, "Looking over what others write takes a higher trust level. It grows with answers that help.")

    return enter


def _here(request: Request) -> str:
    query = f"?{request.url.query}" if request.url.query else ""
    return quote(request.url.path + query, safe="")


class Guard:
    """Refuses forms from elsewhere, unless they are signed, and oversized ones; adds the headers that keep a page to itself."""

    def __init__(self, app: ASGIApp, *, public_url: str) -> None:
        self._app, self._public_url = app, public_url.rstrip("/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        refusal = self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, send_guarded)
        else:
            await refusal(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        if scope["method"] in SAFE_METHODS:
            return None
        headers = Headers(scope=scope)
        is_signed = scope["path"].startswith(SIGNED)
        if not is_signed and not self._is_ours(scope["scheme"], headers):
            return PlainTextResponse("This form did not come from this site; open the page again and retry.", status_code=403)
        length = headers.get("content-length", "")
        if not length.isdecimal() and headers.get("transfer-encoding"):
            return PlainTextResponse("Say how long the form is.", status_code=411)
        if length.isdecimal() and int(length) > (MOST_SIGNED if is_signed else MOST_BODY):
            words = (
                f"This is longer than {MOST_SIGNED >> 20} MiB: send less at once."
                if is_signed
                else "This is too long to be a form of ours."
            )
            return PlainTextResponse(words, status_code=413)
        return None

    def _is_ours(self, scheme: str, headers: Headers) -> bool:
        site = headers.get("sec-fetch-site")
        if site is not None:
            return site == "same-origin"
        return headers.get("origin") in {f"{scheme}://{headers.get('host', '')}", self._public_url or None} - {None}

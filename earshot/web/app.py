"""The web application, built from the table of addresses."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from fastapi.sse import EventSourceResponse
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.staticfiles import StaticFiles

from earshot import __version__
from earshot.errors import BadInput, Conflict, EarshotError, NotAllowed, StorageError
from earshot.settings import Settings
from earshot.storage import Store
from earshot.threads import Conversations
from earshot.web.guard import HEADERS, Guard, SignInFirst, gate
from earshot.web.hooks import Hooks
from earshot.web.live import Pulse
from earshot.web.rendering import environment
from earshot.web.site import SIGNED, SITE, Address
from earshot.web.visit import THEME_COOKIE, House

if TYPE_CHECKING:
    from earshot.rooms import Rooms

STATIC = Path(__file__).parent / "static"


def create_app(store: Store, rooms: Rooms, settings: Settings, clock: Callable[[], datetime]) -> FastAPI:
    """The site over one store. `clock` gives business time, aware; nothing is opened before the first request."""
    app = FastAPI(title="earshot", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.house = House(
        store=store,
        rooms=rooms,
        settings=settings,
        clock=clock,
        pages=environment(STATIC),
        pulse=Pulse(store.cases.last_event),
        conversations=Conversations(store, settings.sources),
        hooks=Hooks(settings),
    )
    for address in SITE:
        _add(app, address)
    app.mount("/static", _Static(directory=STATIC), name="static")
    app.add_middleware(Guard, public_url=settings.public_url)
    app.add_exception_handler(SignInFirst, _sign_in_first)
    app.add_exception_handler(StarletteHTTPException, _http_problem)
    app.add_exception_handler(RequestValidationError, _bad_form)
    app.add_exception_handler(EarshotError, _expected)
    app.add_exception_handler(Exception, _unexpected)
    return app


def page_of(address: Address) -> Callable[..., Any]:
    """The function behind an address."""
    module, _, name = address.page.partition(":")
    page: Callable[..., Any] = getattr(import_module(f"earshot.web.pages.{module}"), name)
    return page


def _add(app: FastAPI, address: Address) -> None:
    page = page_of(address)
    app.add_api_route(
        address.path,
        page,
        methods=[address.method],
        dependencies=[Depends(gate(address))],
        summary=address.what,
        name=address.page,
        include_in_schema=address.path.startswith("/api/"),
        response_class=_kind(address, page),
    )


def _kind(address: Address, page: Callable[..., Any]) -> type[Response]:
    if inspect.isasyncgenfunction(page):
        return EventSourceResponse
    return JSONResponse if address.is_data else HTMLResponse


class _Static(StaticFiles):
    """Files that change their address (`?v=…`) when they change: a browser may keep them."""

    async def get_response(self, path: str, scope: Any) -> Response:
        response = await super().get_response(path, scope)
        keep = "public, max-age=31536000, immutable" if b"v=" in scope.get("query_string", b"") else "no-cache"
        response.headers["cache-control"] = keep
        return response


async def _sign_in_first(request: Request, err: Any) -> Response:  # noqa: ARG001
    return RedirectResponse(f"/sign-in?then={err.then}", status_code=303)


async def _http_problem(request: Request, err: Any) -> Response:
    words = {404: "There is nothing here, or it is not for you.", 405: "That address does not take this kind of request."}
    return _problem(request, err.status_code, words.get(err.status_code, str(err.detail)))


async def _bad_form(request: Request, err: Any) -> Response:
    if any(e["loc"][0] == "path" for e in err.errors()):
        return _problem(request, 404, "There is nothing here, or it is not for you.")
    fields = ", ".join(sorted({str(e["loc"][-1]) for e in err.errors()}))
    return _problem(request, 422, f"The form cannot be read: look at {fields} and send it again.")


async def _expected(request: Request, err: Exception) -> Response:
    return _problem(request, status_of(err), str(err))


async def _unexpected(request: Request, err: Exception) -> Response:  # noqa: ARG001 - the server logs it
    response = _problem(request, 500, "Something went wrong on our side. It was noted; try again in a minute.")
    response.headers.update(HEADERS)  # this handler stands outside the guard
    return response


def status_of(err: Exception) -> int:
    """The HTTP status that an error of ours means."""
    table = ((BadInput, 422), (Conflict, 409), (NotAllowed, 403), (StorageError, 503))
    return next((status for kind, status in table if isinstance(err, kind)), 500)


def _problem(request: Request, status: int, words: str) -> Response:
    if request.url.path.startswith(("/api/", *SIGNED)):
        return JSONResponse({"detail": words}, status_code=status)
    if request.headers.get("hx-request") == "true" or request.url.path in ("/live", "/metrics"):
        return PlainTextResponse(words, status_code=status)
    house: House = request.app.state.house
    theme = request.cookies.get(THEME_COOKIE, "")
    html = house.pages.get_template("problem.html").render(
        status=status, words_said=words, me=None, notice=None, navigation=[], path="", now=house.clock(),
        theme=theme if theme in ("dark", "light") else "",
    )  # fmt: skip
    return HTMLResponse(html, status_code=status)

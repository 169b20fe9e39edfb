"""Is the server up, and does the database answer?"""

from __future__ import annotations

from fastapi.responses import PlainTextResponse

from earshot.web.visit import Visiting


def health(visit: Visiting) -> PlainTextResponse:
    visit.store.cases.last_event()
    return PlainTextResponse("ok\n")

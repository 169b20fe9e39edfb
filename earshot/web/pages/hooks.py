"""Where other systems bring mentions. The signature stands in place of a session: without it nothing is read, fetched or stored."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, HTTPException, Path, Request
from fastapi.responses import JSONResponse, Response

from earshot import pipeline
from earshot.errors import BadInput, ConfigurationError, Conflict, SourceRefused
from earshot.web.visit import Visiting

#: seconds after which a sender may try again
SOON, LATER = 60, 300

Name = Annotated[str, Path(max_length=40)]


async def _body(request: Request) -> bytes:
    return await request.body()


def receive(visit: Visiting, name: Name, body: Annotated[bytes, Depends(_body)]) -> Response:
    """Answers 200 only once everything is stored; a sender who hears anything else sends it again."""
    hooks = visit.house.hooks
    settings = hooks.find(name)
    if settings is None:
        raise HTTPException(404)
    try:
        mentions = hooks.source(name).receive(dict(visit.request.headers), body, now=visit.now)
    except SourceRefused as err:
        hooks.note_refusal(name, str(err), now=visit.now)
        return _told(401, "This is not signed with the key of this hook, or was signed more than five minutes ago.")
    except ConfigurationError as err:
        hooks.note_refusal(name, str(err), now=visit.now)
        return _told(503, "This hook is not set up; its admin finds out why with `earshot sources`.", again=LATER)
    except BadInput as err:
        return _told(422, str(err))
    if not hooks.may_call(name, now=visit.now):
        return _told(429, "Too many deliveries in this minute: send several mentions at once.", again=SOON)
    try:
        kept = pipeline.receive(visit.store, settings, mentions, now=visit.now)
    except Conflict as err:
        return _told(503, str(err), again=LATER)
    return JSONResponse({"new": kept.new, "known": kept.known, "edited": kept.edited})


def _told(status: int, words: str, *, again: int | None = None) -> Response:
    return JSONResponse({"detail": words}, status_code=status, headers={} if again is None else {"retry-after": str(again)})

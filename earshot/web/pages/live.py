"""Server-sent events: the stream says only that something moved; the page asks again for what it shows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from fastapi.concurrency import run_in_threadpool
from fastapi.sse import ServerSentEvent

from earshot.web.visit import Visiting

SECONDS_BETWEEN_LOOKS = 1.0
LOOKS_BETWEEN_CHECKS = 3  #: a right that was taken away ends the stream within so many looks


async def live(visit: Visiting) -> AsyncIterator[ServerSentEvent]:
    """Ends when the session does."""
    house, looks = visit.house, 0
    seen = await run_in_threadpool(house.pulse.newest)
    yield ServerSentEvent(comment="listening", retry=5_000)
    while looks % LOOKS_BETWEEN_CHECKS or await run_in_threadpool(house.who, visit.request) is not None:
        looks += 1
        await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
        newest = await run_in_threadpool(house.pulse.newest)
        if newest != seen:
            seen = newest
            yield ServerSentEvent(event="changed", raw_data=str(newest))

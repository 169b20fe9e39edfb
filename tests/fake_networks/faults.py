"""A layer of faults over a server: which call goes wrong, and how. Ordered by hand, or by lot with a seed."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import random
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

Fault = Callable[[ASGIApp, Scope, Receive, Send], Awaitable[None]]


@dataclass
class _Order:
    path: str
    method: str | None
    faults: list[Fault]
    forever: bool

    def matches(self, scope: Scope) -> bool:
        return bool(self.faults) and _is_at(self.path, scope["path"]) and self.method in (None, scope["method"])

    def next(self) -> Fault:
        return self.faults[0] if self.forever else self.faults.pop(0)


class Faults:
    """Stands before `app`, which may be exchanged while the server runs. `calls` are (method, path) of everything that arrived."""

    def __init__(self, app: ASGIApp) -> None:
        self.begin(app)

    def begin(self, app: ASGIApp) -> None:
        self.app = app
        self.calls: list[tuple[str, str]] = []
        self._orders: list[_Order] = []
        self._lots: dict[str, Callable[[], Fault | None]] = {}

    def on(self, path: str, *faults: Fault, method: str | None = None, forever: bool = False) -> None:
        """The next calls whose path contains `path` go wrong, one fault each; `forever` repeats the first. "$" is the end of a path."""
        self._orders.append(_Order(path, method, list(faults), forever))

    def by_lot(self, faults: Sequence[Fault], *, seed: int, share: float, method: str) -> None:
        """This share of the calls of a method goes wrong, each with a fault that is drawn."""
        draw = random.Random(seed)
        self._lots[method] = lambda: draw.choice(faults) if draw.random() < share else None

    def relent(self) -> None:
        """From now on all goes well."""
        self._orders, self._lots = [], {}

    def count(self, path: str) -> int:
        return sum(_is_at(path, called) for _, called in self.calls)

    def _drawn(self, method: str) -> Fault | None:
        return self._lots[method]() if method in self._lots else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.calls.append((scope["method"], scope["path"]))
        fault = next((order.next() for order in self._orders if order.matches(scope)), None) or self._drawn(scope["method"])
        await (fault(self.app, scope, receive, send) if fault else self.app(scope, receive, send))


def _is_at(part: str, path: str) -> bool:
    return path.endswith(part[:-1]) if part.endswith("$") else part in path


def answers(status: int, *, headers: Mapping[str, str] | None = None, body: bytes = b"{}") -> Fault:
    """This answer, and nothing else happens."""

    async def fault(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        await _answer(send, status, body, headers or {})

    return fault


def hangs() -> Fault:
    """No answer until the caller gives up."""

    async def fault(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        await _until_gone(receive)

    return fault


def drips_head(every: float = 0.05) -> Fault:
    """The head of an answer, byte by byte, for ever."""

    async def fault(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        transport = _transport(send)
        transport.write(b"HTTP/1.1 200 OK\r\nx-slow: ")
        while not transport.is_closing():
            transport.write(b"a")
            await asyncio.sleep(every)

    return fault


def drips_body(every: float = 0.05) -> Fault:
    """The body of an answer, byte by byte, for ever."""

    async def fault(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        transport = _transport(send)
        transport.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n")
        while not transport.is_closing():
            transport.write(b"1\r\n \r\n")
            await asyncio.sleep(every)

    return fault


def breaks() -> Fault:
    """The connection is reset before anything happened."""

    async def fault(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        _reset(send)

    return fault


def loses_the_answer() -> Fault:
    """All that was asked for happens, then the connection is reset."""

    async def fault(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        await _act(app, scope, receive)
        _reset(send)

    return fault


def hangs_after() -> Fault:
    """All that was asked for happens, then no answer comes."""

    async def fault(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        await _act(app, scope, receive)
        await _until_gone(receive)

    return fault


def fails_after(status: int = 503) -> Fault:
    """All that was asked for happens, then the answer says that it did not."""

    async def fault(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        await _act(app, scope, receive)
        await _answer(send, status, b"{}", {})

    return fault


def garbles() -> Fault:
    """The right answer, cut off in the middle of its JSON."""
    return rewrites_bytes(lambda body: body[: len(body) // 2])


def unpacks_to(size: int) -> Fault:
    """A small answer that unpacks to `size` bytes."""

    async def fault(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        await _answer(send, 200, _bomb(size), {"content-encoding": "gzip"})

    return fault


def rewrites(change: Callable[[Any], Any]) -> Fault:
    """The right answer after `change`, which gets its JSON and returns another."""
    return rewrites_bytes(lambda body: orjson.dumps(change(orjson.loads(body))))


def rewrites_bytes(change: Callable[[bytes], bytes]) -> Fault:
    """The right answer after `change` of its bytes."""

    async def fault(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        status, body = await _act(app, scope, receive)
        await _answer(send, status, change(body), {})

    return fault


def breaks_after(messages: int) -> Fault:
    """A stream that is reset behind so many messages."""

    async def fault(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        left = messages

        async def count(message: Message) -> None:
            nonlocal left
            if message["type"] == "http.response.body":
                if left == 0:
                    _reset(send)
                left -= 1
            await send(message)

        await app(scope, receive, count)

    return fault


def falls_silent_after(messages: int) -> Fault:
    """A stream on which nothing comes behind so many messages, though nobody hangs up."""

    async def fault(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        left = messages + 1  # the head

        async def swallow(message: Message) -> None:
            nonlocal left
            if left > 0:
                await send(message)
            left -= 1

        await app(scope, receive, swallow)

    return fault


def says_first(data: bytes) -> Fault:
    """A stream that begins with these bytes."""

    async def fault(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        async def insert(message: Message) -> None:
            await send(message)
            if message["type"] == "http.response.start":
                await send({"type": "http.response.body", "body": data, "more_body": True})

        await app(scope, receive, insert)

    return fault


def drips_messages(every: float = 0.005) -> Fault:
    """A stream byte by byte."""

    async def fault(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        async def drip(message: Message) -> None:
            if message["type"] != "http.response.body":
                await send(message)
                return
            for byte in message.get("body", b""):
                await send({"type": "http.response.body", "body": bytes([byte]), "more_body": True})
                await asyncio.sleep(every)

        await app(scope, receive, drip)

    return fault


async def _act(app: ASGIApp, scope: Scope, receive: Receive) -> tuple[int, bytes]:
    """Let the network do what it was asked for, and keep its answer."""
    status, body = 0, b""

    async def keep(message: Message) -> None:
        nonlocal status, body
        status = message.get("status", status)
        body += message.get("body", b"")

    await app(scope, receive, keep)
    return status, body


async def _answer(send: Send, status: int, body: bytes, headers: Mapping[str, str]) -> None:
    head = {"content-type": "application/json", "content-length": str(len(body))} | dict(headers)
    raw = [(name.encode(), value.encode()) for name, value in head.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _transport(send: Send) -> asyncio.Transport:
    """The connection below uvicorn's `send`: only there can an answer break off before it begins."""
    return send.__self__.transport  # type: ignore[attr-defined,no-any-return]


def _reset(send: Send) -> None:
    transport = _transport(send)
    with contextlib.suppress(OSError):
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


@lru_cache
def _bomb(size: int) -> bytes:
    return gzip.compress(bytes(size), 1)

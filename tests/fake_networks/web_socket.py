"""A layer that makes a WebSocket of an answer: what a server gives as a JSON list, travels as one message each.

It stands before the faults, so that they do to a stream what they do to any answer.
"""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Sequence

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.http11 import Request
from websockets.protocol import OPEN
from websockets.server import ServerProtocol


class WebSockets:
    """`live` is the message that comes behind all others, as on a network that never rests; None: silence. `ends`: the server hangs up."""

    def __init__(self, app: ASGIApp, *, live: bytes | None) -> None:
        self.app = app
        self.live = live
        self.ends = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        if headers.get(b"upgrade", b"").lower() != b"websocket":
            await self.app(scope, receive, send)
            return
        answer = _Answer(send)
        await self.app(scope, receive, answer.send)
        if answer.status != 200 or not answer.body:
            await answer.forward()
        elif answer.packed:
            _converse(scope, answer.hand_over(), [gzip.decompress(answer.body)], ends=True)
        elif not answer.body.startswith(b"["):
            await answer.forward()
        else:
            self._stream(scope, answer)

    def _stream(self, scope: Scope, answer: _Answer) -> None:
        try:
            messages = [json.dumps(item).encode() for item in json.loads(answer.body)]  # takes half a surrogate pair, too
        except ValueError:
            _converse(scope, answer.hand_over(), [answer.body], ends=True)
        else:
            _converse(scope, answer.hand_over(), [*messages, *([self.live] if self.live else [])], ends=self.ends)


class _Answer:
    """What the server behind says, kept until it is clear whether a stream becomes of it. Its `send` shows the connection, as uvicorn's."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message = {}
        self._cycle = send.__self__  # type: ignore[attr-defined]
        self.transport: asyncio.Transport = self._cycle.transport
        self.body = b""

    @property
    def status(self) -> int:
        return int(self._start.get("status", 0))

    @property
    def packed(self) -> bool:
        return any(name == b"content-encoding" for name, _ in self._start["headers"])

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
        else:
            self.body += message.get("body", b"")

    def hand_over(self) -> asyncio.Transport:
        """The connection, of which uvicorn thinks that it is gone."""
        self._cycle.disconnected = True
        return self.transport

    async def forward(self) -> None:
        if self._start and not self.transport.is_closing():
            await self._send(self._start)
            await self._send({"type": "http.response.body", "body": self.body})


def _converse(scope: Scope, transport: asyncio.Transport, messages: Sequence[bytes], *, ends: bool) -> None:
    """Switch the connection over to WebSocket, say everything, and listen until the other side leaves."""
    conversation = _Conversation(transport)
    transport.set_protocol(conversation)
    query = f"?{scope['query_string'].decode()}" if scope["query_string"] else ""
    head = [f"GET {scope['path']}{query} HTTP/1.1", *(f"{name.decode()}: {value.decode()}" for name, value in scope["headers"])]
    conversation.begin("\r\n".join([*head, "", ""]).encode(), messages, ends=ends)


class _Conversation(asyncio.Protocol):
    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._protocol = ServerProtocol(extensions=[ServerPerMessageDeflateFactory()])

    def begin(self, head: bytes, messages: Sequence[bytes], *, ends: bool) -> None:
        self._protocol.receive_data(head)
        (request,) = self._protocol.events_received()
        assert isinstance(request, Request)
        self._protocol.send_response(self._protocol.accept(request))
        for message in messages:
            self._protocol.send_text(message)
        if ends:
            self._protocol.send_close(1001)
        self._flush()
        self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        self._protocol.receive_data(data)
        self._protocol.events_received()
        self._flush()

    def eof_received(self) -> None:
        self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """The other side left."""

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data and not self._transport.is_closing():
                self._transport.write(data)
        if self._protocol.state is not OPEN and self._protocol.close_expected():
            self._transport.close()

    def pause_writing(self) -> None:
        """A slow reader; what was said waits in memory."""

    def resume_writing(self) -> None:
        """It goes on."""

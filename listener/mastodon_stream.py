"""Mastodon's stream of tags: server-sent events, one line for each tag, with what is posted, edited and deleted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import orjson
import structlog

from earshot.errors import SourceConfused
from earshot.mention import Mention
from earshot.settings import SourceSettings
from listener.json_api import UNREADABLE, JsonApi, Rejected
from listener.line import Line
from listener.source import Page

log = structlog.get_logger(__name__)

#: statuses -> mentions, and the ids of those that are hidden
Understand = Callable[[Sequence[Mapping[str, Any]]], tuple[tuple[Mention, ...], tuple[str, ...]]]


class MastodonStream:
    """`name_post` makes a native id of a server's own."""

    def __init__(
        self,
        settings: SourceSettings,
        *,
        api: JsonApi,
        token: str,
        tags: Sequence[str],
        understand: Understand,
        name_post: Callable[[object], str],
        deadline: float,
    ) -> None:
        self._name = settings.name
        self._only_public = not settings.allow_private
        self._api = api
        self._headers = {"authorization": f"Bearer {token}", "accept": "text/event-stream"}
        self._tags = tags
        self._understand = understand
        self._name_post = name_post
        self._deadline = deadline
        self._server = ""

    def open(self) -> Sequence[Line]:
        self._server = self._server or self._find_server()
        lines: list[Line] = []
        try:
            for tag in self._tags:
                url = f"{self._server}/api/v1/streaming/hashtag?{urlencode({'tag': tag})}"
                lines.append(
                    Line(url, headers=self._headers, ends=b"\n\n", name=self._name, only_public=self._only_public, deadline=self._deadline)
                )
        except BaseException:
            for line in lines:
                line.close()
            raise
        return lines

    def read(self, messages: Sequence[bytes]) -> Page:
        statuses: dict[str, Mapping[str, Any]] = {}
        deleted: dict[str, None] = {}
        read = 0
        for message in messages:
            try:
                kind, said = _event(message)
                if kind in ("update", "status.update"):
                    status = orjson.loads(said)
                    native_id = self._name_post(status["id"])
                    deleted.pop(native_id, None)
                    statuses[native_id] = status
                elif kind == "delete":
                    native_id = self._name_post(said.decode())
                    statuses.pop(native_id, None)
                    deleted[native_id] = None
                read += 1
            except UNREADABLE as err:
                log.warning("post_skipped", source=self._name, native_id="", why=type(err).__name__)
        if messages and not read:
            raise SourceConfused(f"{self._name}: a stream that is not Mastodon's; check url of the source")
        mentions, hidden = self._understand(list(statuses.values()))
        return Page(mentions=mentions, cursor=None, deleted=(*deleted, *hidden), spent=len(statuses))

    def close(self) -> None:
        """Its lines belong to who opened them."""

    def _find_server(self) -> str:
        """Where the server streams: another host on large ones. It is believed as far as it keeps to TLS."""
        try:
            with self._api.reading():
                named = str(self._api.get("/api/v2/instance")["configuration"]["urls"]["streaming"])
        except (Rejected, SourceConfused):
            return self._api.url
        address = named.replace("ws", "http", 1).rstrip("/") if named.startswith(("ws://", "wss://")) else named.rstrip("/")
        is_safe = address.startswith("https://") or (address.startswith("http://") and not self._api.url.startswith("https://"))
        return address if is_safe else self._api.url


def _event(message: bytes) -> tuple[str, bytes]:
    """(what happened, to what) of a server-sent event. Raises `ValueError` for anything else."""
    said: dict[bytes, bytes] = {}
    for line in message.splitlines():
        name, colon, value = line.partition(b":")
        if name and colon:
            value = value.removeprefix(b" ")
            said[name] = said[name] + b"\n" + value if name == b"data" and name in said else value
    if b"event" not in said:
        raise ValueError("not an event")
    return said[b"event"].decode(), said.get(b"data", b"")

"""The sources to which other systems bring mentions: opened when first called, and how often they may be called."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from threading import Lock

import structlog

from earshot.errors import ConfigurationError
from earshot.scheduler import open_source
from earshot.settings import Settings, SourceSettings
from listener import RECEIVED
from listener.source import Receives

log = structlog.get_logger()

#: deliveries of one source in a minute, in this process: each may bring a thousand mentions
CALLS_A_MINUTE = 600


class Hooks:
    def __init__(self, settings: Settings) -> None:
        self._settings = {source.name: source for source in settings.sources if source.network in RECEIVED}
        self._sources: dict[str, Receives] = {}
        self._lock = Lock()
        self._minute = 0
        self._calls: Counter[tuple[str, str]] = Counter()

    def find(self, name: str) -> SourceSettings | None:
        return self._settings.get(name)

    def source(self, name: str) -> Receives:
        """The source of that name. Raises `ConfigurationError` where it cannot be opened."""
        with self._lock:
            if name not in self._sources:
                source = open_source(self._settings[name])
                if not isinstance(source, Receives):
                    raise ConfigurationError(f"source {name!r} takes no deliveries")
                self._sources[name] = source
            return self._sources[name]

    def may_call(self, name: str, *, now: datetime) -> bool:
        """Count one more delivery; False when this minute has had enough of them."""
        return self._count("call", name, now) <= CALLS_A_MINUTE

    def note_refusal(self, name: str, reason: str, *, now: datetime) -> None:
        """Into the log, once a minute: whoever knocks a thousand times shall not fill it."""
        if self._count("refusal", name, now) == 1:
            log.warning("delivery_refused", source=name, reason=reason)

    def _count(self, kind: str, name: str, now: datetime) -> int:
        with self._lock:
            minute = int(now.timestamp()) // 60
            if minute != self._minute:
                self._minute, self._calls = minute, Counter()
            self._calls[kind, name] += 1
            return self._calls[kind, name]

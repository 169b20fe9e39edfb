"""The pulse that live pages follow: one look at the newest event a second, however many people watch."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Pulse:
    """Shares one bounded poll among all streams. `look` asks the store for the newest event."""

    def __init__(self, look: Callable[[], int], *, every: float = 1.0) -> None:
        self._look, self._every = look, every
        self._lock = threading.Lock()
        self._seen, self._looked_at = 0, float("-inf")

    def newest(self) -> int:
        with self._lock:
            if time.monotonic() - self._looked_at >= self._every:
                self._seen, self._looked_at = self._look(), time.monotonic()
            return self._seen

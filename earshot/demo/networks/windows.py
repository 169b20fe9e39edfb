"""How networks count calls."""

from __future__ import annotations

import time
from collections.abc import Hashable


class Windows:
    """Calls in windows of so many seconds, one after the other for each caller, as the networks count them."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._open: dict[Hashable, tuple[int, float]] = {}

    def count(self, caller: Hashable) -> tuple[int, float]:
        """Note a call; returns the number it has in its window, from 1, and when that ends, in seconds since 1970."""
        calls, ends = self._open.get(caller, (0, 0.0))
        if time.time() >= ends:
            calls, ends = 0, time.time() + self.seconds
        self._open[caller] = (calls + 1, ends)
        return calls + 1, ends

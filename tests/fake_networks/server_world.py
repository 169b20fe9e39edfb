"""A world of one network that runs on a server of somebody's own, whose ids and keys are made as that network makes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from earshot.demo.networks.world import World, base36


class ServerWorld(World):
    """`name_post` makes a native id of a number that only grows, `number` that number of a moment and of the last one."""

    def __init__(
        self,
        network: str,
        *,
        keys: Sequence[str],
        name_post: Callable[[int, bool], str],
        number: Callable[[datetime, int], int] = lambda _, last: last + 1,
        **given: Any,
    ) -> None:
        self.network = network
        self._keys = keys
        self._name_post = name_post
        self._number = number
        super().__init__(networks=(network,), **given)

    def secrets(self, network: str) -> dict[str, str]:
        return {name: self.token(network, self.account) for name in self._keys}

    def _next_id(self, network: str, at: datetime, *, is_comment: bool) -> str:
        here = self._networks[network]
        here.newest = self._number(at, here.newest)
        return self._name_post(here.newest, is_comment)

    def _person_id(self, network: str, handle: str) -> str:
        return base36(int.from_bytes(self._hash(network, "person", handle.lower())[:6], "big"))

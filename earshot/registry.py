"""Registries are dicts of `"module:name"` strings, so that heavy libraries load only when they are used."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from earshot.errors import UnknownName


def load(registry: Mapping[str, str], key: str, *, kind: str) -> Any:
    """The object that `registry[key]` names. Raises `UnknownName`, which lists the known keys, for a key that is not there."""
    try:
        module, _, name = registry[key].partition(":")
    except KeyError:
        raise UnknownName(f"no {kind} called {key!r}; known: {', '.join(sorted(registry))}") from None
    return getattr(import_module(module), name)

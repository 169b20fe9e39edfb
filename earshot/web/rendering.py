"""Jinja, with the words and filters that every template may use. Everything is escaped; nothing is marked safe."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from earshot.case import State, Tier
from earshot.storage.accounts import Role
from earshot.web import words


def environment(static: Path) -> Environment:
    """The templates of `earshot/web/templates`; a name that nobody gave is an error."""
    pages = Environment(
        loader=PackageLoader("earshot.web", "templates"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters |= {
        name: getattr(words, name)
        for name in ("span", "ago", "due", "exact", "standing", "count", "noun", "many", "clean_name", "clean_post", "clip", "outward")
    }
    pages.globals |= {"words": words, "Tier": Tier, "State": State, "Role": Role, "asset": _asset(static)}
    return pages


def _asset(static: Path) -> Callable[[str], str]:
    """The address of a static file, which changes when the file does."""
    known: dict[str, str] = {}

    def address(name: str) -> str:
        if name not in known:
            known[name] = hashlib.sha256((static / name).read_bytes()).hexdigest()[:12]
        return f"/static/{name}?v={known[name]}"

    return address

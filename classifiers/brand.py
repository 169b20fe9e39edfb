"""What a brand is called, what it sells, and what people ask about it: the catalogue that the topics come from."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import Any

from earshot.errors import BadInput


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    key: str
    name: str
    name_zh: str = ""
    aliases: tuple[str, ...] = ()
    topic: str = ""  #: key of the topic it belongs to


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    key: str
    name: str
    name_zh: str = ""
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Brand:
    name: str
    names: tuple[str, ...] = ()  #: every spelling and handle
    products: tuple[Product, ...] = ()
    topics: tuple[Topic, ...] = ()


def read_brand(text: str) -> Brand:
    """A brand from the text of its TOML file. Raises `BadInput`, naming the entry, when it is no TOML or lacks a field."""
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as err:
        raise BadInput(f"brand file: not valid TOML ({err})") from err
    products = tuple(_entry(Product, "products", entry) for entry in _entries(content, "products"))
    topics = tuple(_entry(Topic, "topics", entry) for entry in _entries(content, "topics"))
    if not isinstance(content.get("name"), str) or not content["name"].strip():
        raise BadInput('brand file: needs a name (name = "…")')
    _check(products, topics)
    return Brand(name=content["name"], names=tuple(content.get("names", ())), products=products, topics=topics)


def _entries(content: dict[str, Any], section: str) -> list[dict[str, Any]]:
    entries = content.get(section, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise BadInput(f"brand file: write each entry of {section} as [[{section}]]")
    return entries


def _entry(kind: type[Any], section: str, entry: dict[str, Any]) -> Any:
    known = kind.__dataclass_fields__
    given = {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items() if key in known}
    if not all(isinstance(given.get(field), str) and str(given[field]).strip() for field in ("key", "name")):
        raise BadInput(f"brand file: an entry of [[{section}]] needs a key and a name: {entry}")
    if " " in given["key"]:
        raise BadInput(f"brand file: the key {given['key']!r} of [[{section}]] must not hold a space")
    return kind(**given)


def _check(products: tuple[Product, ...], topics: tuple[Topic, ...]) -> None:
    keys = [topic.key for topic in topics]
    if len(set(keys)) != len(keys):
        raise BadInput(f"brand file: two [[topics]] of one key among {', '.join(sorted(keys))}")
    unknown = {product.topic for product in products if product.topic} - set(keys)
    if unknown:
        raise BadInput(f"brand file: products name topics that are not listed: {', '.join(sorted(unknown))}")

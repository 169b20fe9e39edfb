"""Who somebody is: passwords, the limit on tries, and signed links that bring a person in."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cache
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from itsdangerous import BadSignature, URLSafeTimedSerializer

from earshot.settings import Settings
from earshot.storage import Store
from earshot.storage.accounts import Account

WINDOW = timedelta(minutes=15)
LONGEST_PASSWORD = 1_000
_HASHER = PasswordHasher()


class TooManyTries(Exception):
    """Wrong passwords beyond the limit, for this account or this address."""


def check_password(store: Store, settings: Settings, *, email: str, password: str, address: str, now: datetime) -> Account | None:
    """The account, or None. Takes the same time whether the account exists or not; raises `TooManyTries` beyond the limit."""
    keys = (f"account {email.strip().lower()[:300]}", f"address {address}")
    if any(store.accounts.failed_tries(key, since=now - WINDOW) >= settings.sign_in_tries for key in keys):
        raise TooManyTries
    found = store.accounts.by_email(email)
    stored = found[1] if found and found[0].active else None
    if _fits(stored or _nobodys_hash(), password[:LONGEST_PASSWORD]) and found and stored:
        return found[0]
    store.accounts.note_failed_try(keys, now=now)
    return None


def _fits(stored: str, password: str) -> bool:
    try:
        return _HASHER.verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False


@cache
def _nobodys_hash() -> str:
    return _HASHER.hash("a password that opens nothing")


def entry_link(settings: Settings, account_id: int, *, minutes: float = 60, once: bool = True) -> str:
    """A signed link that signs this account in. `minutes` are the wall clock's, whatever the story's clock says."""
    base = settings.public_url.rstrip("/") or f"http://{settings.host}:{settings.port}"
    return f"{base}/enter/{_links(settings).dumps([account_id, int(minutes * 60), once])}"


def read_link(settings: Settings, token: str) -> tuple[int, bool] | None:
    """(account id, does it work only once) of a link of ours that is still good, else None."""
    try:
        links = _links(settings)
        account_id, seconds, once = _checked(links.loads(token))
        links.loads(token, max_age=seconds)
    except (BadSignature, ValueError, TypeError):
        return None
    return account_id, once


def _checked(value: Any) -> tuple[int, int, bool]:
    account_id, seconds, once = value
    return int(account_id), int(seconds), bool(once)


def _links(settings: Settings) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(settings.secret_key.get_secret_value(), salt="entry")

"""Accounts, from the command line."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeVar

from earshot.case import Tier
from earshot.errors import BadInput
from earshot.scheduler import utc_now
from earshot.storage import Store
from earshot.storage.accounts import Account, Membership, Role

_Choice = TypeVar("_Choice", bound=StrEnum)

#: shorter passwords are guessed
SHORTEST_PASSWORD = 10


def add_account(store: Store, *, email: str, role: str, name: str, tier: str, languages: str, topics: str, password: str) -> Account:
    """Create an account. Raises `BadInput` for an unknown role or tier, an address without "@", or a short password."""
    from argon2 import PasswordHasher

    if "@" not in email or any(character.isspace() for character in email):
        raise BadInput(f"{email!r} is not an e-mail address")
    if len(password) < SHORTEST_PASSWORD:
        raise BadInput(f"the password needs at least {SHORTEST_PASSWORD} characters")
    now, wanted = utc_now(), _one_of(Role, role, "role")
    return store.accounts.add(
        email=email,
        name=name or email.partition("@")[0],
        role=wanted,
        tier=_one_of(Tier, tier, "tier") if wanted is Role.STAFF else None,
        languages=_words(languages),
        topics=_words(topics),
        membership=Membership(consent_at=now) if wanted is Role.SUPER_USER else None,
        password_hash=PasswordHasher().hash(password),
        now=now,
    )


def switch_off(store: Store, email: str) -> tuple[Account, int]:
    """Switch an account off; returns it with how many cases went back to their queues. Raises `BadInput` when there is none."""
    account = _known(store, email)
    return account, store.accounts.switch_off(account.id, now=utc_now())


def switch_on(store: Store, email: str) -> Account:
    """Let an account sign in again. Raises `BadInput` when there is none."""
    account = _known(store, email)
    store.accounts.switch_on(account.id)
    return account


def _known(store: Store, email: str) -> Account:
    found = store.accounts.by_email(email)
    if found is None:
        raise BadInput(f"there is no account for {email!r}; the page of an admin lists all")
    return found[0]


def _one_of(kind: type[_Choice], text: str, what: str) -> _Choice:
    try:
        return kind(text)
    except ValueError as err:
        raise BadInput(f"there is no {what} {text!r}; choose one of {', '.join(kind)}") from err


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())

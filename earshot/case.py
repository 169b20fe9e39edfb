"""The unit of work, its states, and the moves between them. Imports nothing of ours but `mention`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from msgspec import Struct

from earshot.mention import require_aware


class Tier(StrEnum):
    """Who should answer, from nobody to specialists. `rank` orders them for escalation."""

    NONE = "none"
    COMMUNITY = "community"
    TIER_1 = "tier_1"
    TIER_2 = "tier_2"

    @property
    def rank(self) -> int:
        return list(Tier).index(self)

    def above(self) -> Tier:
        """The next tier up; tier 2 stays tier 2."""
        return list(Tier)[min(self.rank + 1, len(Tier) - 1)]


class Outcome(StrEnum):
    AUTOMATIC = "automatic"
    REVIEW = "review"  #: the tier is a proposal that nothing acts on until a person confirms it


class State(StrEnum):
    NEW = "new"  #: opened, not yet triaged
    REVIEW = "review"  #: a person must confirm the proposed tier
    QUEUED = "queued"  #: waits for somebody of its tier
    OFFERED = "offered"  #: proposed to one super-user
    ASSIGNED = "assigned"  #: one person owns it
    APPROVAL = "approval"  #: a draft waits for a more trusted person
    SENDING = "sending"  #: the answer is in the outbox
    ANSWERED = "answered"  #: the reply stands on the network; the author has the word
    SOLVED = "solved"  #: the author or a manager said it helped
    CLOSED = "closed"  #: nobody needs to answer


class Move(StrEnum):
    OPEN = "open"
    PROPOSE = "propose"  #: triage was unsure
    QUEUE = "queue"  #: triage was sure, or a person confirmed
    DISMISS = "dismiss"  #: nobody needs to answer
    JOIN = "join"  #: a later mention joined; the state stays
    EDIT = "edit"  #: the author changed a post; the state stays
    ESCALATE = "escalate"  #: one tier up, back to the queue
    RETIER = "retier"  #: a person chose another tier
    OFFER = "offer"
    EXPIRE = "expire"  #: the offer was not taken in time
    PASS = "pass"  # noqa: S105 - a super-user passes, no password
    ACCEPT = "accept"
    ASSIGN = "assign"  #: given to a person by a person
    RELEASE = "release"  #: the owner lets go, or was silent too long
    DRAFT = "draft"  #: an answer that needs approval
    REJECT = "reject"  #: the draft goes back to its author
    APPROVE = "approve"  #: the answer goes to the outbox
    SENT = "sent"
    FAIL = "fail"  #: the network refused the reply for good, or a person must look
    SOLVE = "solve"
    REOPEN = "reopen"
    LABEL = "label"  #: a person said what a score should be; the state stays
    UNLABEL = "unlabel"  #: and took it back
    UNDO = "undo"  #: takes the last person's move back; leads where that move came from, not by the table


#: what happens beside the life of a case: the state stays, and there is nothing to go back to
BESIDE = frozenset({Move.JOIN, Move.EDIT, Move.LABEL, Move.UNLABEL})

_LIVE = (State.REVIEW, State.QUEUED, State.OFFERED, State.ASSIGNED, State.APPROVAL)
_DONE = (State.ANSWERED, State.SOLVED, State.CLOSED)


def _table() -> Mapping[tuple[State, Move], State]:
    table: dict[tuple[State, Move], State] = {
        (State.NEW, Move.OPEN): State.NEW,
        (State.QUEUED, Move.OFFER): State.OFFERED,
        (State.OFFERED, Move.ACCEPT): State.ASSIGNED,
        (State.OFFERED, Move.PASS): State.QUEUED,
        (State.OFFERED, Move.EXPIRE): State.QUEUED,
        (State.ASSIGNED, Move.PASS): State.QUEUED,
        (State.ASSIGNED, Move.RELEASE): State.QUEUED,
        (State.ASSIGNED, Move.DRAFT): State.APPROVAL,
        (State.ASSIGNED, Move.APPROVE): State.SENDING,
        (State.APPROVAL, Move.APPROVE): State.SENDING,
        (State.APPROVAL, Move.REJECT): State.ASSIGNED,
        (State.SENDING, Move.SENT): State.ANSWERED,
        (State.SENDING, Move.FAIL): State.QUEUED,
        (State.ANSWERED, Move.SOLVE): State.SOLVED,
        (State.REVIEW, Move.PROPOSE): State.REVIEW,
    }
    for state in (State.NEW, *_DONE):
        table[state, Move.PROPOSE] = State.REVIEW
        table[state, Move.QUEUE] = State.QUEUED
    table[State.NEW, Move.DISMISS] = State.CLOSED
    table[State.REVIEW, Move.QUEUE] = State.QUEUED
    for state in _LIVE:
        table[state, Move.DISMISS] = State.CLOSED
        table[state, Move.SOLVE] = State.SOLVED
        table[state, Move.RETIER] = State.QUEUED
        table[state, Move.ESCALATE] = State.QUEUED
    for state in (State.QUEUED, State.OFFERED, State.ASSIGNED):
        table[state, Move.ASSIGN] = State.ASSIGNED
    for state in _DONE:
        table[state, Move.REOPEN] = State.QUEUED
        table[state, Move.RETIER] = State.QUEUED
    table[State.ANSWERED, Move.ESCALATE] = State.QUEUED
    for state in State:
        table |= {(state, move): state for move in BESIDE}
    return MappingProxyType(table)


#: (state, move) -> next state. A pair that is not here is refused.
MOVES: Mapping[tuple[State, Move], State] = _table()


class IllegalMove(ValueError):
    """A move that the table does not allow; says which moves are open instead."""


def after(state: State, move: Move) -> State:
    """The state that follows; raises `IllegalMove` when the table has no such pair."""
    try:
        return MOVES[state, move]
    except KeyError:
        possible = ", ".join(sorted(m for s, m in MOVES if s is state and m not in BESIDE)) or "nothing"
        raise IllegalMove(f"a case that is {state} cannot {move}; possible: {possible}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One step in the life of a case: who did what, when and why. Append-only; folding them replays the case."""

    case_id: int
    at: datetime
    actor: str  #: "account:7", or the part of the house that acted: "triage", "assign", "overdue", "outbox", "accounts", "author"
    move: Move
    reason: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)  #: what replay needs besides: tier, rule, assignee, mention

    def __post_init__(self) -> None:
        require_aware(self.at, "Event.at")


#: replies of ours to one author in one thread, after which nobody is called where a program seems to answer us
ROUNDS = 3


class Case(Struct, frozen=True, kw_only=True):
    """One author's need in one thread. `key` is unique: "network:author:thread", or "network:mention" where either is unknown."""

    id: int
    key: str
    network: str
    state: State
    tier: Tier
    outcome: Outcome
    opened_at: datetime
    reason: str = ""
    rule: str = ""
    policy: str = ""
    due_at: datetime | None = None
    priority: float = 0.0  #: 0..1, higher first
    assignee: int | None = None  #: account id of the one owner
    lang: str = "unsure"
    topics: tuple[str, ...] = ()
    rounds: int = 0  #: replies of ours that a program seems to answer; known only where there are `ROUNDS` or more


#: states in which a case keeps the name of its owner
OWNED = frozenset({State.ASSIGNED, State.APPROVAL, State.SENDING, State.ANSWERED, State.SOLVED})


def replay(events: Iterable[Event]) -> tuple[State, Tier, int | None]:
    """Fold events, oldest first, into (state, tier, assignee): the same log gives the same case."""
    state, tier, assignee = State.NEW, Tier.NONE, None
    for event in events:
        tier = Tier(event.data.get("tier", tier))
        if event.move is Move.UNDO:
            state, assignee = State(event.data["state"]), event.data["assignee"]
            continue
        state = after(state, event.move)
        assignee = event.data.get("assignee", assignee) if state in OWNED else None
    return state, tier, assignee


class Route(Struct, frozen=True, kw_only=True):
    """The decision on a case. Deciding twice on the same inputs gives the same route."""

    tier: Tier
    outcome: Outcome
    reason: str  #: in words that a person reads
    rule: str  #: key of the policy row that matched
    policy: str  #: version of the policy
    due_at: datetime | None  #: None where nobody needs to answer
    reads: tuple[str, ...] = ()  #: names of the scores that decided


class OfferState(StrEnum):
    OPEN = "open"
    ACCEPTED = "accepted"
    PASSED = "passed"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"  #: the case was taken elsewhere meanwhile, or the account switched off


class PassReason(StrEnum):
    TOO_TECHNICAL = "too technical"
    TOO_ANGRY = "too angry"
    NOT_MY_TOPIC = "not my topic"
    NO_TIME = "no time"


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A case proposed to one super-user; may be accepted, passed, or expire."""

    case_id: int
    super_user: int  #: account id
    offered_at: datetime
    expires_at: datetime
    reason: str  #: why she: "knows hub, speaks zh, 1 of 4 open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """A case with a name on it."""

    case_id: int
    assignee: int
    assigned_at: datetime
    lease_until: datetime  #: a silent owner loses the case then


class AnswerState(StrEnum):
    DRAFT = "draft"  #: waits for approval
    APPROVED = "approved"  #: in the outbox
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one of ours wrote for a case."""

    case_id: int
    by: int  #: account id
    text: str
    written_at: datetime


class ReplyState(StrEnum):
    """Life of a post of ours. `unknown` is never resent before we looked for our own reply."""

    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    NEEDS_PERSON = "needs person"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """How replies leave the house."""

    sources: frozenset[str]  #: names of the sources that may answer
    after: timedelta = timedelta(seconds=10)  #: time to take it back
    spacing: timedelta = timedelta(seconds=30)  #: between two replies of one source

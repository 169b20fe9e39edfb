"""The queue and the cases as JSON, for programs of the house."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import HTTPException, Query
from fastapi.responses import JSONResponse, Response

from earshot.case import Outcome, State, Tier
from earshot.storage.cases import WAITING
from earshot.web.pages.case import CaseId
from earshot.web.visit import Visiting


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedCase:
    id: int
    network: str
    state: State
    tier: Tier
    outcome: Outcome
    reason: str
    due_at: datetime | None
    priority: float
    lang: str
    handle: str
    text: str
    url: str
    posted_at: datetime
    assignee: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuePage:
    total: int
    cases: list[QueuedCase]


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    native_id: str
    handle: str
    text: str
    url: str
    posted_at: datetime
    scores: dict[str, dict[str, Any]]  #: question -> label, value, confidence, by


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    at: datetime
    actor: str
    move: str
    reason: str
    data: Mapping[str, Any]  #: what replay needs besides: tier, rule, super_user, assignee …


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeCase:
    id: int
    state: State
    tier: Tier
    outcome: Outcome
    reason: str
    rule: str
    policy: str
    due_at: datetime | None
    assignee: int | None
    posts: list[Post]
    events: list[Step]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskCase:
    id: int
    offer: int | None  #: the open offer; None where the case is hers
    state: State
    network: str
    url: str
    text: str  #: personal data masked
    reason: str
    expires_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskDraft:
    """A draft of another super-user, with the post that it answers; personal data masked."""

    id: int
    case: int
    lang: str
    by: str
    asked: str
    text: str


def openapi(visit: Visiting) -> Response:
    return JSONResponse(visit.request.app.openapi())


def queue(
    visit: Visiting,
    state: Annotated[list[State], Query(max_length=20)] = [],  # noqa: B006 - FastAPI copies it
    tier: Annotated[list[Tier], Query(max_length=20)] = [],  # noqa: B006
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    offset: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
) -> QueuePage:
    found = visit.store.cases.queue(states=state or WAITING, tiers=tier, limit=limit, offset=offset)
    cases = [
        QueuedCase(
            id=item.case.id, network=item.case.network, state=item.case.state, tier=item.case.tier, outcome=item.case.outcome,
            reason=item.case.reason, due_at=item.case.due_at, priority=item.case.priority, lang=item.case.lang,
            handle=item.handle, text=item.text, url=item.url, posted_at=item.posted_at, assignee=item.case.assignee,
        )
        for item in found.items
    ]  # fmt: skip
    return QueuePage(total=found.total, cases=cases)


def case(visit: Visiting, case_id: CaseId) -> WholeCase:
    page = visit.store.cases.page(case_id)
    if page is None:
        raise HTTPException(404)
    found = page.case
    posts = [
        Post(
            native_id=post.scored.mention.native_id,
            handle=post.scored.mention.author.handle if post.scored.mention.author else "",
            text=post.scored.mention.text,
            url=post.scored.mention.url,
            posted_at=post.scored.mention.posted_at,
            scores={s.name: {"label": s.label, "value": s.value, "confidence": s.confidence, "by": s.by} for s in post.scored.scores},
        )
        for post in page.posts
    ]
    events = [
        Step(at=e.event.at, actor=e.event.actor, move=e.event.move.value, reason=e.event.reason, data=e.event.data) for e in page.events
    ]
    return WholeCase(
        id=found.id, state=found.state, tier=found.tier, outcome=found.outcome, reason=found.reason, rule=found.rule,
        policy=found.policy, due_at=found.due_at, assignee=found.assignee, posts=posts, events=events,
    )  # fmt: skip


def desk(visit: Visiting) -> list[DeskCase]:
    return [
        DeskCase(
            id=item.case.id, offer=item.offer_id, state=item.case.state, network=item.network, url=item.url,
            text=visit.rooms.mask(item.text), reason=item.reason, expires_at=item.expires_at,
        )
        for item in visit.store.handover.desk(visit.me.id)
    ]  # fmt: skip


def drafts(visit: Visiting) -> list[DeskDraft]:
    mask = visit.rooms.mask
    return [
        DeskDraft(id=draft.id, case=draft.case.id, lang=draft.case.lang, by=draft.by_name, asked=mask(draft.asked), text=mask(draft.text))
        for draft in visit.store.drafts.waiting(approver=visit.me.id, languages=visit.me.languages)
    ]

"""A super-user's desk: what is offered to her, what is hers, and what came of her answers. Personal data is masked."""

from __future__ import annotations

from typing import Annotated

from fastapi import Form, HTTPException, Path
from fastapi.responses import Response

from earshot.case import AnswerState, Case, PassReason, State, Tier
from earshot.errors import Conflict
from earshot.storage.accounts import Membership
from earshot.storage.cases import CasePage, WrittenAnswer
from earshot.storage.handover import DeskItem
from earshot.web import drafts
from earshot.web.pages.case import CaseId
from earshot.web.pages.moves import REFUSALS, Words, sentence
from earshot.web.visit import Notice, Visit, Visiting


def desk(visit: Visiting) -> Response:
    return desk_page(visit)


def desk_page(visit: Visit, *, status: int = 200, notice: Notice | None = None) -> Response:
    items, membership = visit.store.handover.desk(visit.me.id), _membership(visit)
    looks_over = visit.rooms.may_approve(membership.trust_level)
    template = "desk_list.html" if visit.is_partial else "desk.html"
    return visit.page(
        template,
        status=status,
        notice=notice,
        offers=[item for item in items if item.offer_id is not None],
        cases=[item for item in items if item.offer_id is None],
        looks_over=looks_over,
        drafts=visit.store.drafts.waiting(approver=visit.me.id, languages=visit.me.languages) if looks_over else [],
        recent=visit.store.handover.answers_of(visit.me.id, limit=10),
        membership=membership,
        checked_first=visit.rooms.needs_approval(membership.trust_level),
        reasons=tuple(PassReason),
        mask=visit.rooms.mask,
    )


def show(visit: Visiting, case_id: CaseId) -> Response:
    return own_case(visit, case_id)


def own_case(visit: Visit, case_id: int, *, status: int = 200, notice: Notice | None = None, draft: str = "") -> Response:
    item = _with_her(visit, case_id)
    page = visit.store.cases.conversation(case_id)
    if page is None:
        raise HTTPException(404)
    return visit.page(
        "desk_case.html",
        status=status,
        notice=notice,
        item=item,
        case=item.case,
        page=page,
        answers=[answer for answer in page.answers if _shows(answer, visit.me.id)],
        draft=draft or _given_back(page, visit.me.id),
        is_hers=item.case.assignee == visit.me.id and item.case.state is State.ASSIGNED,
        checked_first=visit.rooms.needs_approval(_membership(visit).trust_level),
        longest=drafts.LONGEST.get(item.case.network, drafts.LONGEST_ELSEWHERE),
        reasons=tuple(PassReason),
        mask=visit.rooms.mask,
    )


def accept(visit: Visiting, offer_id: Annotated[int, Path(ge=1, le=2**63 - 1)]) -> Response:
    offered = next((item.case for item in visit.store.handover.desk(visit.me.id) if item.offer_id == offer_id), None)
    if offered is None:
        return refused(visit, Conflict("this offer is gone: it expired or the case went to somebody else"))
    lease = visit.rooms.lease_until(offered, visit.now) - visit.now
    try:
        case = visit.store.handover.accept(offer_id, by=visit.me.id, now=visit.now, lease=lease)
    except tuple(REFUSALS) as err:
        return refused(visit, err)
    return visit.done("It is yours. Thank you!", to=f"/desk/cases/{case.id}", undo=f"/desk/cases/{case.id}/undo")


def pass_on(visit: Visiting, case_id: CaseId, reason: Annotated[PassReason, Form()]) -> Response:
    case = _with_her(visit, case_id).case
    tier = visit.rooms.pass_tier(reason, case.tier)
    due_at = case.due_at if tier is case.tier else visit.rooms.due(tier, case.lang, visit.now)
    try:
        visit.store.handover.pass_on(case_id, by=visit.me.id, reason=reason, now=visit.now, tier=tier, due_at=due_at)
    except tuple(REFUSALS) as err:
        return refused(visit, err)
    goes_to = "Somebody else will be asked." if tier is Tier.COMMUNITY else "Staff take it from here."
    return visit.done(f"Passed. {goes_to}", to="/desk")


def answer(visit: Visiting, case_id: CaseId, text: Words) -> Response:
    _with_her(visit, case_id)
    try:
        case = _answered(visit, case_id, text)
    except tuple(REFUSALS) as err:
        return own_case(visit, case_id, status=REFUSALS[type(err)], notice=Notice(words=sentence(err), kind="problem"), draft=text)
    told = "Thank you! Somebody looks at it first." if case.state is State.APPROVAL else "Thank you! Your answer is on its way."
    return visit.done(told, to="/desk", undo=f"/desk/cases/{case_id}/undo")


def _answered(visit: Visit, case_id: int, text: str) -> Case:
    case = visit.store.cases.get(case_id)
    checked = drafts.check_draft(text, case.network, visit.rooms)
    return visit.store.moves.answer(
        case_id,
        by=visit.me.id,
        text=checked,
        now=visit.now,
        needs_approval=visit.rooms.needs_approval(_membership(visit).trust_level),
        sending=visit.rooms.sending,
    )


def undo(visit: Visiting, case_id: CaseId) -> Response:
    _with_her(visit, case_id)
    try:
        visit.store.moves.undo(case_id, by=visit.me.id, now=visit.now)
    except tuple(REFUSALS) as err:
        return refused(visit, err)
    return visit.done("Taken back.", to="/desk")


def pause(visit: Visiting, paused: Annotated[bool, Form()]) -> Response:
    visit.store.accounts.set_paused(visit.me.id, paused=paused)
    return visit.done("No new offers until you come back." if paused else "Welcome back.", to="/desk")


def _with_her(visit: Visit, case_id: int) -> DeskItem:
    """The case, when it is offered to her or hers; what is with somebody else does not exist for her."""
    item = next((i for i in visit.store.handover.desk(visit.me.id) if i.case.id == case_id), None)
    if item is None:
        raise HTTPException(404)
    return item


def _membership(visit: Visit) -> Membership:
    return visit.store.accounts.membership(visit.me.id) or Membership()


def _shows(answer: WrittenAnswer, account_id: int) -> bool:
    return answer.state is AnswerState.APPROVED or (answer.by == account_id and answer.state is not AnswerState.WITHDRAWN)


def _given_back(page: CasePage, account_id: int) -> str:
    """Her last draft that was given back, to be improved."""
    last = page.answers[-1] if page.answers else None
    return last.text if last is not None and last.by == account_id and last.state is AnswerState.REJECTED else ""


def refused(visit: Visit, err: Exception) -> Response:
    if visit.is_partial:
        raise err
    return desk_page(visit, status=REFUSALS[type(err)], notice=Notice(words=sentence(err), kind="problem"))  # type: ignore[index]

"""Drafts that a trusted super-user looks over: what others wrote, in her languages, below the post and its thread. All masked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import Form, HTTPException
from fastapi.responses import Response

from earshot.case import AnswerState
from earshot.errors import BadInput, Conflict, NotAllowed
from earshot.storage.drafts import Draft
from earshot.web.drafts import check_draft
from earshot.web.pages.case import CaseId
from earshot.web.pages.desk import refused
from earshot.web.pages.moves import REFUSALS, Note, sentence
from earshot.web.visit import Notice, Visit, Visiting

#: the draft that she read, not whatever waits in the case by now
DraftId = Annotated[int, Form(ge=1, le=2**63 - 1)]


def show(visit: Visiting, case_id: CaseId) -> Response:
    try:
        return _page(visit, _for_her(visit, case_id))
    except (Conflict, NotAllowed) as err:
        return refused(visit, err)


def approve(visit: Visiting, case_id: CaseId, draft: DraftId) -> Response:
    def move(waiting: Draft) -> None:
        check_draft(waiting.text, waiting.case.network, visit.rooms)
        visit.store.moves.approve_answer(case_id, by=visit.me.id, now=visit.now, sending=visit.rooms.sending, draft_id=draft)

    return _moved(visit, case_id, move, "Approved; the answer goes out.")


def give_back(visit: Visiting, case_id: CaseId, draft: DraftId, note: Note = "") -> Response:
    def move(waiting: Draft) -> None:
        if not note.strip():
            raise BadInput("say in a few words what should be different, so that the next draft is better")
        lease_until = visit.rooms.lease_until(waiting.case, visit.now)
        visit.store.moves.reject_answer(
            case_id, by=visit.me.id, now=visit.now, note=note.strip(), lease_until=lease_until, draft_id=draft
        )  # fmt: skip

    return _moved(visit, case_id, move, "Given back with your note.", note=note)


def undo(visit: Visiting, case_id: CaseId) -> Response:
    if not any(event.actor == f"account:{visit.me.id}" for event in visit.store.cases.events(case_id)):
        raise HTTPException(404)
    try:
        visit.store.moves.undo(case_id, by=visit.me.id, now=visit.now)
    except tuple(REFUSALS) as err:
        return refused(visit, err)
    return visit.done("Taken back.", to=f"/desk/drafts/{case_id}")


def _moved(visit: Visit, case_id: int, move: Callable[[Draft], None], told: str, *, note: str = "") -> Response:
    try:
        move(_for_her(visit, case_id))
    except tuple(REFUSALS) as err:
        waiting = visit.store.drafts.of_case(case_id)
        if visit.is_partial or waiting is None or _refusal(visit, waiting):
            return refused(visit, err)
        return _page(visit, waiting, status=REFUSALS[type(err)], notice=Notice(words=sentence(err), kind="problem"), note=note)
    return visit.done(told, to="/desk", undo=f"/desk/drafts/{case_id}/undo")


def _page(visit: Visit, draft: Draft, *, status: int = 200, notice: Notice | None = None, note: str = "") -> Response:
    page = visit.store.cases.conversation(draft.case.id)
    if page is None:
        raise HTTPException(404)
    return visit.page(
        "desk_draft.html",
        status=status,
        notice=notice,
        draft=draft,
        case=draft.case,
        page=page,
        answers=[answer for answer in page.answers if answer.state in (AnswerState.APPROVED, AnswerState.REJECTED)],
        note=note,
        is_refused=notice is not None,
        mask=visit.rooms.mask,
    )


def _for_her(visit: Visit, case_id: int) -> Draft:
    """The draft that waits in a case. Raises `Conflict` when none does, `NotAllowed` when it is not for her."""
    draft = visit.store.drafts.of_case(case_id)
    if draft is None:
        raise Conflict("this draft does not wait any more: it was approved, given back or taken back")
    if refusal := _refusal(visit, draft):
        raise NotAllowed(refusal)
    return draft


def _refusal(visit: Visit, draft: Draft) -> str:
    if draft.by == visit.me.id:
        return "somebody else has to approve your own draft"
    return "" if draft.case.lang in visit.me.languages else "this draft is in a language that is not among yours"

"""What a person does with a case. Each is one change; what cannot be done is said on the page, and nothing written is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import Form
from fastapi.responses import Response
from pydantic import AfterValidator

from earshot.case import Case, State, Tier
from earshot.errors import BadInput, Conflict, NotAllowed
from earshot.web import words
from earshot.web.drafts import check_draft
from earshot.web.pages.case import CaseId, MentionId, case_page
from earshot.web.visit import Notice, Visit, Visiting

Words = Annotated[str, Form(max_length=20_000)]
Note = Annotated[str, Form(max_length=500), AfterValidator(words.plain)]
REFUSALS = {BadInput: 422, Conflict: 409, NotAllowed: 403}


def agree(visit: Visiting, case_id: CaseId) -> Response:
    def move() -> Case:
        case = visit.store.cases.get(case_id)
        if case.state is State.APPROVAL:
            return visit.store.moves.approve_answer(case_id, by=visit.me.id, now=visit.now, sending=visit.rooms.sending)
        return visit.store.moves.confirm(case_id, tier=case.tier, by=visit.me.id, now=visit.now, due_at=case.due_at)

    return _moved(visit, case_id, move, lambda case: "Approved; the answer goes out." if case.state is State.SENDING else _sent_to(case))


def tier(visit: Visiting, case_id: CaseId, tier: Annotated[Tier, Form()], note: Note = "") -> Response:
    return _moved(visit, case_id, lambda: _to_tier(visit, case_id, tier, note), _sent_to)


def escalate(visit: Visiting, case_id: CaseId) -> Response:
    def move() -> Case:
        case = visit.store.cases.get(case_id)
        if case.tier is Tier.TIER_2:
            raise Conflict("there is nobody above tier 2")
        return _to_tier(visit, case_id, case.tier.above(), "")

    return _moved(visit, case_id, move, _sent_to)


def _to_tier(visit: Visit, case_id: int, tier: Tier, note: str) -> Case:
    case = visit.store.cases.get(case_id)
    due_at = case.due_at if tier is case.tier else visit.rooms.due(tier, case.lang, visit.now)
    choose = visit.store.moves.confirm if case.state is State.REVIEW else visit.store.moves.retier
    return choose(case_id, tier=tier, by=visit.me.id, now=visit.now, due_at=due_at, note=note.strip())


def _sent_to(case: Case) -> str:
    return "Closed: nobody needs to answer." if case.tier is Tier.NONE else f"Sent to {words.TIERS[case.tier]}."


def take(visit: Visiting, case_id: CaseId) -> Response:
    return assign(visit, case_id, visit.me.id)


def assign(visit: Visiting, case_id: CaseId, assignee: Annotated[int, Form(ge=1, le=2**63 - 1)]) -> Response:
    def move() -> Case:
        account = visit.store.accounts.get(assignee)
        if account is None or not account.active:
            raise BadInput("there is no such person; choose one from the list")
        case = visit.store.cases.get(case_id)
        if case.state is State.REVIEW:
            _to_tier(visit, case_id, case.tier, "confirmed by assigning")
        return visit.store.moves.assign(case_id, assignee=assignee, by=visit.me.id, now=visit.now)

    return _moved(visit, case_id, move, lambda _: "Yours now." if assignee == visit.me.id else "Assigned.")


def release(visit: Visiting, case_id: CaseId) -> Response:
    return _moved(visit, case_id, lambda: visit.store.moves.release(case_id, by=visit.me.id, now=visit.now), lambda _: "Back in its queue.")


def answer(visit: Visiting, case_id: CaseId, text: Words) -> Response:
    def move() -> Case:
        network = visit.store.cases.get(case_id).network
        checked = check_draft(text, network, visit.rooms)
        return visit.store.moves.answer(
            case_id, by=visit.me.id, text=checked, now=visit.now, needs_approval=False, sending=visit.rooms.sending
        )

    return _moved(visit, case_id, move, lambda _: "Your answer is on its way.", draft=text)


def approve(visit: Visiting, case_id: CaseId, text: Words) -> Response:
    def move() -> Case:
        network = visit.store.cases.get(case_id).network
        checked = check_draft(text, network, visit.rooms)
        return visit.store.moves.approve_answer(case_id, by=visit.me.id, now=visit.now, text=checked, sending=visit.rooms.sending)

    return _moved(visit, case_id, move, lambda _: "Approved; the answer goes out.", draft=text)


def reject(visit: Visiting, case_id: CaseId, note: Note) -> Response:
    def move() -> Case:
        if not note.strip():
            raise BadInput("say in a few words what should be different, so that the next draft is better")
        lease_until = visit.rooms.lease_until(visit.store.cases.get(case_id), visit.now)
        return visit.store.moves.reject_answer(case_id, by=visit.me.id, now=visit.now, note=note.strip(), lease_until=lease_until)

    return _moved(visit, case_id, move, lambda _: "Given back with your note.")


def solve(visit: Visiting, case_id: CaseId) -> Response:
    return _moved(visit, case_id, lambda: visit.store.moves.solve(case_id, by=visit.me.id, now=visit.now), lambda _: "Marked as solved.")


def close(visit: Visiting, case_id: CaseId, note: Note = "") -> Response:
    def move() -> Case:
        reason = note.strip() or "nobody needs to answer"
        return visit.store.moves.dismiss(case_id, by=visit.me.id, now=visit.now, reason=reason)

    return _moved(visit, case_id, move, lambda _: "Closed.")


def reopen(visit: Visiting, case_id: CaseId) -> Response:
    def move() -> Case:
        case = visit.store.cases.get(case_id)
        tier = case.tier if case.tier is not Tier.NONE else Tier.TIER_1
        return visit.store.moves.reopen(case_id, by=visit.me.id, now=visit.now, due_at=visit.rooms.due(tier, case.lang, visit.now))

    return _moved(visit, case_id, move, lambda _: "Opened again.")


def undo(visit: Visiting, case_id: CaseId) -> Response:
    return _moved(visit, case_id, lambda: visit.store.moves.undo(case_id, by=visit.me.id, now=visit.now), lambda _: "Taken back.", undo="")


def label(
    visit: Visiting,
    case_id: CaseId,
    mention: Annotated[int, Form(ge=1, le=2**63 - 1)],
    question: Annotated[str, Form()],
    now_is: Annotated[str, Form()],
) -> Response:
    def move() -> Case:
        if now_is not in words.LABELS.get(question, ()):
            raise BadInput(f"{question[:40]!r} cannot be {now_is[:40]!r}")
        visit.store.labels.keep(mention, {question: now_is}, by=visit.me.id, now=visit.now, case_id=case_id)
        return visit.store.cases.get(case_id)

    said = f"Noted: {words.QUESTIONS.get(question, question).lower()} is {now_is}. The next model learns from it."
    return _moved(visit, case_id, move, lambda _: said, undo=f"label/{mention}/undo")


def unlabel(visit: Visiting, case_id: CaseId, mention_id: MentionId) -> Response:
    def move() -> Case:
        visit.store.labels.take_back(mention_id, by=visit.me.id, now=visit.now)
        return visit.store.cases.get(case_id)

    return _moved(visit, case_id, move, lambda _: "Taken back.", undo="")


def _moved(
    visit: Visit, case_id: int, move: Callable[[], Case], told: Callable[[Case], str], *, draft: str = "", undo: str = "undo"
) -> Response:
    """Make the move and say so; a refusal becomes a message on the page, with the draft still in its box. `undo`: what takes it back."""
    try:
        case = move()
    except tuple(REFUSALS) as err:
        if visit.is_partial:
            raise
        notice = Notice(words=sentence(err), kind="problem")
        return case_page(visit, case_id, status=REFUSALS[type(err)], notice=notice, draft=draft)
    return visit.done(told(case), to=f"/cases/{case_id}", undo=f"/cases/{case_id}/{undo}" if undo else "")


def sentence(err: Exception) -> str:
    text = str(err)
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?", "!")) else ".")

"""The case page: the thread, what was understood, who wrote it, why it stands where it stands, and what can be done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import HTTPException, Path
from fastapi.responses import PlainTextResponse, Response

from earshot.case import BESIDE, MOVES, AnswerState, Move, State
from earshot.errors import ConfigurationError, SourceError
from earshot.storage.accounts import Role
from earshot.storage.cases import CasePage, LoggedEvent, ThreadPost
from earshot.web import drafts, words
from earshot.web.visit import Notice, Visit, Visiting
from listener import shows_threads

if TYPE_CHECKING:
    from classifiers.panel import Weighed
    from influence.weigh import Factor

CaseId = Annotated[int, Path(ge=1, le=2**63 - 1)]
MentionId = Annotated[int, Path(ge=1, le=2**63 - 1)]

#: a long thread is not explained post by post: these many of the author's latest are
EXPLAINED = 3
#: parts of a post that are marked in it, the heaviest first
MARKED = 8
#: what weighs less is not worth a mark
LEAST_WEIGHT = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Understood:
    """A post of the thread with the words that weighed, per question, the heaviest first."""

    post: ThreadPost
    weighed: Mapping[str, Sequence[Weighed]]

    @property
    def spans(self) -> list[tuple[int, int]]:
        """Where the post is marked. What tells a language is no news to a reader."""
        heavy = [w for question, found in self.weighed.items() if question != "language" for w in found if w.weight >= LEAST_WEIGHT]
        return [(w.start, w.end) for w in sorted(heavy, key=lambda w: -w.weight)[:MARKED]]


def show(visit: Visiting, case_id: CaseId) -> Response:
    return case_page(visit, case_id)


def case_page(visit: Visit, case_id: int, *, status: int = 200, notice: Notice | None = None, draft: str = "") -> Response:
    """The page; `draft` keeps what a person wrote when it could not be sent."""
    page = _known(visit, case_id)
    waiting = next((a for a in reversed(page.answers) if a.state is AnswerState.DRAFT), None)
    return visit.page(
        "case.html",
        status=status,
        notice=notice,
        page=page,
        case=page.case,
        thread=_understood(visit, page),
        factors=_factors(visit, page),
        possible={move for state, move in MOVES if state is page.case.state},
        waiting=waiting if page.case.state is State.APPROVAL else None,
        draft=draft,
        shows_thread=shows_threads(page.case.network) and any(s.network == page.case.network for s in visit.settings.sources),
        longest=drafts.LONGEST.get(page.case.network, drafts.LONGEST_ELSEWHERE),
        undoable=_last_step_of(visit, page.events),
        stamp=page.events[-1].id if page.events else 0,
    )


def suggestions(visit: Visiting, case_id: CaseId) -> Response:
    """Loaded after the page: looking for similar cases must not keep anybody waiting."""
    page = visit.store.cases.glance(case_id)
    if page is None:
        raise HTTPException(404)
    text = "\n\n".join(post.scored.mention.text for post in page.posts if post.in_case)
    return visit.page(
        "suggestions.html",
        similar=visit.rooms.similar(visit.store, page),
        articles=visit.rooms.articles(visit.store, text, page.case.lang, page.case.topics),
        people=visit.store.accounts.everyone(roles=(Role.ADMIN, Role.MANAGER, Role.STAFF, Role.SUPER_USER)),
        case=page.case,
    )


def thread(visit: Visiting, case_id: CaseId) -> Response:
    """Asked for by a person: it costs reads, and the network may take its time."""
    page = visit.store.cases.glance(case_id)
    if page is None:
        raise HTTPException(404)
    conversation, problem = None, ""
    try:
        conversation = visit.house.conversations.around(page, now=visit.now)
    except (SourceError, ConfigurationError) as err:
        problem = str(err)
    template = "case_conversation.html" if visit.is_partial else "case_thread.html"
    return visit.page(template, case=page.case, conversation=conversation, problem=problem)


def stamp(visit: Visiting, case_id: CaseId) -> Response:
    """Moves whenever the case does, so that an open page can say that it is out of date."""
    return PlainTextResponse(str(len(visit.store.cases.events(case_id))))


def _known(visit: Visit, case_id: int) -> CasePage:
    page = visit.store.cases.page(case_id)
    if page is None:
        raise HTTPException(404)
    return page


def _understood(visit: Visit, page: CasePage) -> list[Understood]:
    visit.rooms.use_learnt(visit.store, now=visit.now)
    latest = {post.id for post in [p for p in page.posts if p.in_case][-EXPLAINED:]}
    return [Understood(post=post, weighed=_explain(visit, post) if post.id in latest else {}) for post in page.posts]


def _explain(visit: Visit, post: ThreadPost) -> Mapping[str, Sequence[Weighed]]:
    return visit.rooms.explain(post.scored.mention.text[: words.LONGEST_POST])


def _factors(visit: Visit, page: CasePage) -> Sequence[Factor]:
    """What the author's influence is made of, by their latest mention here."""
    latest = next((post.scored.mention for post in reversed(page.posts) if post.in_case), None)
    return visit.rooms.influence_factors(latest) if latest is not None and latest.author is not None else ()


def _last_step_of(visit: Visit, events: Sequence[LoggedEvent]) -> LoggedEvent | None:
    """The last step where it was this person's own and can be tried to take back."""
    last = next((e for e in reversed(events) if e.event.move not in BESIDE), None)
    mine = last is not None and last.event.actor == f"account:{visit.me.id}" and last.event.move is not Move.UNDO
    return last if mine else None

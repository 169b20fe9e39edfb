"""Saved queries: what is looked for, what each brings, and an editor that tries a query before it is saved."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, TypeAlias

from fastapi import Depends, Form, HTTPException, Path
from fastapi import Query as Asked
from fastapi.responses import Response

from earshot.errors import BadInput, Conflict
from earshot.mention import ScoredMention
from earshot.storage.queries import Draft, SavedQuery, Volume
from earshot.web import words
from earshot.web.pages.moves import REFUSALS, sentence
from earshot.web.site import WORKERS
from earshot.web.visit import Notice, Visit, Visiting

if TYPE_CHECKING:
    from listener.trial import Trial

#: a query is tried on so many of the latest mentions, as long as that takes no longer than so many seconds
SAMPLE, SECONDS = 3_000, 1.5
DAYS = 30
LONGEST_NAME, MOST_EXCLUDED, LONGEST_EXCLUDED = 60, 200, 100

QueryId = Annotated[int, Path(ge=1, le=2**63 - 1)]
_NOTHING = Volume(days=(0,) * DAYS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """The form as somebody filled it in, whatever stands in it."""

    name: str = ""
    text: str = ""
    sources: tuple[str, ...] = ()
    not_by: str = ""
    not_saying: str = ""
    urgent: bool = False
    version: int = 0  #: that was opened; 0: a new query

    def draft(self) -> Draft:
        """Raises `BadInput` naming the field that cannot be saved."""
        return Draft(
            name=_name(self.name),
            text=self.text.strip(),
            sources=self.sources,
            not_by=_listed(self.not_by, "authors"),
            not_saying=_listed(self.not_saying, "words"),
            urgent=self.urgent,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What became of trying it: the posts, or why it cannot be read."""

    trial: Trial | None = None
    posts: Mapping[int, ScoredMention] = field(default_factory=dict)  #: place -> those that are shown
    is_empty: bool = False
    mistake: str = ""  #: what to write instead …
    pointed: str = ""  #: … and the line with a caret below the place


def _filled(
    name: Annotated[str, Form(max_length=500)] = "",
    text: Annotated[str, Form(max_length=40_000)] = "",
    source: Annotated[list[str], Form(max_length=200)] = [],  # noqa: B006 - FastAPI copies it
    not_by: Annotated[str, Form(max_length=30_000)] = "",
    not_saying: Annotated[str, Form(max_length=30_000)] = "",
    urgent: Annotated[str, Form(max_length=10)] = "",
    version: Annotated[int, Form(ge=0, le=2**31 - 1)] = 0,
) -> Filled:
    return Filled(
        name=name,
        text=words.plain(text),
        sources=tuple(dict.fromkeys(source)),
        not_by=words.plain(not_by),
        not_saying=words.plain(not_saying),
        urgent=bool(urgent),
        version=version,
    )


FilledIn: TypeAlias = Annotated[Filled, Depends(_filled)]


# ---- to read


def queries(visit: Visiting) -> Response:
    volumes = visit.store.queries.volumes(until=visit.now, days=DAYS)
    saved = visit.store.queries.all()
    return visit.page(
        "queries_list.html" if visit.is_partial else "queries.html",
        saved=[(query, volumes.get(query.id, _NOTHING), _why_unread(visit, query)) for query in saved],
        may_work=visit.me.role in WORKERS,
    )


def new(visit: Visiting, text: Annotated[str, Asked(max_length=2_000)] = "") -> Response:
    return _editor(visit, Filled(text=words.plain(text)))


def show(visit: Visiting, query_id: QueryId) -> Response:
    query = visit.store.queries.get(query_id)
    if query is None:
        raise HTTPException(404)
    filled = Filled(
        name=query.name,
        text=query.text,
        sources=query.sources,
        not_by="\n".join(query.not_by),
        not_saying="\n".join(query.not_saying),
        urgent=query.urgent,
        version=query.version,
    )
    return _editor(visit, filled, query_id=query_id)


def check(
    visit: Visiting,
    filled: FilledIn,
    add: Annotated[str, Form(max_length=10)] = "",
    query_id: Annotated[int, Form(ge=0, le=2**63 - 1)] = 0,
) -> Response:
    """Try what is written, without saving it; `add`: with the names of the brand."""
    if visit.is_partial:
        return visit.page("query_tried.html", tried=_tried(visit, filled))
    if add:
        filled = replace(filled, text=visit.rooms.with_names(filled.text))
    return _editor(visit, filled, query_id=query_id)


# ---- to change


def save(visit: Visiting, filled: FilledIn) -> Response:
    return _saved(visit, filled, 0)


def change(visit: Visiting, filled: FilledIn, query_id: QueryId) -> Response:
    return _saved(visit, filled, query_id)


def _saved(visit: Visit, filled: Filled, query_id: int) -> Response:
    known = {source.name for source in visit.settings.sources}
    filled = replace(filled, sources=tuple(name for name in filled.sources if name in known))
    try:
        draft = filled.draft()
        visit.rooms.check_query(draft)
        if query_id:
            visit.store.queries.change(query_id, draft, version=filled.version, by=visit.me.id, now=visit.now)
        else:
            visit.store.queries.add(draft, by=visit.me.id, now=visit.now)
    except (BadInput, Conflict) as err:
        problem = Notice(words=sentence(err).partition("\n")[0], kind="problem")
        return _editor(visit, filled, query_id=query_id, status=REFUSALS[type(err)], notice=problem)
    return visit.done(f"{draft.name} is saved.", to="/queries")


def delete(visit: Visiting, query_id: QueryId) -> Response:
    visit.store.queries.delete(query_id, by=visit.me.id, now=visit.now)
    return visit.done("Deleted. For a day it can be brought back.", to="/queries", undo=f"/queries/{query_id}/undo")


def undo(visit: Visiting, query_id: QueryId) -> Response:
    name = visit.store.queries.restore(query_id, by=visit.me.id, now=visit.now)
    return visit.done(f"{name} is back.", to="/queries")


# ---- the editor


def _editor(visit: Visit, filled: Filled, *, query_id: int = 0, status: int = 200, notice: Notice | None = None) -> Response:
    return visit.page(
        "query.html",
        status=status,
        notice=notice,
        filled=filled,
        query_id=query_id,
        sources=visit.settings.sources,
        has_brand=visit.rooms.brand is not None,
        own=visit.rooms.own_accounts,
        tried=_tried(visit, filled),
    )


def _tried(visit: Visit, filled: Filled) -> Tried:
    """The query on the latest mentions. However heavy it is, the page answers: fewer mentions are looked at then."""
    if not filled.text.strip():
        return Tried(is_empty=True)
    sample = visit.store.queries.sample(SAMPLE)
    until = time.monotonic() + SECONDS
    try:
        draft = replace(filled, name="new").draft()
        sources = [source for source in visit.settings.sources if source.name in filled.sources]
        trial = visit.rooms.try_query(draft, sample, sources, is_enough=lambda: time.monotonic() > until)
    except BadInput as err:
        mistake, _, pointed = str(err).partition("\n")
        return Tried(mistake=mistake, pointed=pointed)
    shown = (*trial.found[:5], *(miss.post for miss in trial.nearly))
    return Tried(trial=trial, posts={place: sample[place] for place in shown})


def _why_unread(visit: Visit, query: SavedQuery) -> str:
    try:
        visit.rooms.check_query(query)
    except BadInput as err:
        return str(err).partition("\n")[0]
    return ""


# ---- what a form may hold


def _name(text: str) -> str:
    name = " ".join(words.plain(text).split())
    if not words.clean_name(name):
        raise BadInput("the query needs a name: write what it looks for in a few words, such as broken lamps")
    if len(name) > LONGEST_NAME:
        raise BadInput(f"the name has {len(name)} characters: {LONGEST_NAME} at most")
    return name


def _listed(text: str, what: str) -> tuple[str, ...]:
    """One to a line, or parted by commas."""
    listed = tuple(dict.fromkeys(filter(None, map(str.strip, re.split(r"[\n,]", text)))))
    if len(listed) > MOST_EXCLUDED:
        raise BadInput(f"{len(listed)} {what} are left out: {MOST_EXCLUDED} at most")
    if too_long := next((each for each in listed if len(each) > LONGEST_EXCLUDED), None):
        raise BadInput(f"among the {what} to leave out, one is too long: {words.clip(too_long, 40)}")
    return listed

"""One author erased, within one transaction.

What others need stays as a skeleton without words, names or ids: the cases with their events, which replay as before, and the posts that
these stand on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Integer,
    RowMapping,
    String,
    Table,
    Text,
    and_,
    any_,
    cast,
    delete,
    exists,
    func,
    literal,
    null,
    or_,
    select,
    type_coerce,
    update,
)

from earshot.case import AnswerState, Move, OfferState, ReplyState, State, Tier
from earshot.errors import BadInput
from earshot.mention import Author
from earshot.storage.bulk import update_rows
from earshot.storage.cases import WAITING
from earshot.storage.columns import stored_json
from earshot.storage.forgotten import author_hash, keep_arrivals_out, name_hash, post_hash, remember
from earshot.storage.learnt import ChangeState
from earshot.storage.queries import purge
from earshot.storage.rows import author_of
from earshot.storage.steps import lock_case, step
from earshot.storage.tables import (
    GONE,
    AnswerRow,
    AuthorRow,
    CaseRow,
    CopyKeyRow,
    EventRow,
    LabelRow,
    LearntRow,
    LessonRow,
    MentionRow,
    OfferRow,
    QueryMatchRow,
    ReplyRow,
    SavedQueryRow,
    VersionRow,
    table,
)
from earshot.storage.traces import Traces, is_telling

_AUTHOR, _MENTION, _COPY_KEY, _CASE, _EVENT = table(AuthorRow), table(MentionRow), table(CopyKeyRow), table(CaseRow), table(EventRow)
_OFFER, _ANSWER, _REPLY, _LABEL, _LESSON = table(OfferRow), table(AnswerRow), table(ReplyRow), table(LabelRow), table(LessonRow)
_LEARNT, _MATCH, _QUERY, _VERSION = table(LearntRow), table(QueryMatchRow), table(SavedQueryRow), table(VersionRow)

_WHY = "the author was forgotten"
_ON_ITS_WAY = "the author was forgotten while this was on its way: it may stand on the network"
#: what the events of a case keep: all that replay and undo read, and the numbers of rows
_KEPT = ("tier", "state", "assignee", "mention", "answer", "super_user", "undoes")
#: the skeleton of a post: whatever else there is, or comes to be, is emptied
_KEPT_OF_A_POST = ("id", "network", "native_id", "posted_at", "seen_at", "case_id")
_OPEN = (ReplyState.PENDING.value, ReplyState.SENDING.value, ReplyState.UNKNOWN.value)
_DAY = 86_400_000_000

#: where others may name an author in their own words
_SPOKEN = (
    _MENTION.c.text, _MENTION.c.url, _VERSION.c.text, _AUTHOR.c.name, _AUTHOR.c.bio, _CASE.c.reason, _EVENT.c.reason, _OFFER.c.reason,
    _ANSWER.c.text, _ANSWER.c.note, _REPLY.c.text, _REPLY.c.error, _LABEL.c.note,
)  # fmt: skip

_Among = Callable[[ColumnElement[Any]], ColumnElement[bool]]


class Erased(Struct, frozen=True, kw_only=True):
    """What went with an author. It holds their names and words, for the proof: look with it, then let it go."""

    author: Author
    names: Mapping[str, str]  #: kind -> what they are called, as `Traces` takes it
    texts: Sequence[str]
    counts: Mapping[str, int]  #: what -> how many
    standing: Sequence[str] = ()  #: addresses of replies of ours that stand on the network
    on_its_way: int = 0  #: replies that were being posted at this moment


def network_of(rows: Table) -> ColumnElement[Any]:
    """The network that a row belongs to, itself or through its case or mention; NULL where it belongs to none."""
    if "network" in rows.c:
        return rows.c.network
    for link, owner in (("case_id", _CASE), ("mention_id", _MENTION)):
        if link in rows.c:
            return select(owner.c.network).where(owner.c.id == rows.c[link]).scalar_subquery()
    return null()


class Erasing:
    """Begin by locking all that is theirs, in the order in which everybody locks; then `erase`, and `remember`.

    Raises `BadInput` when there is no such author.
    """

    def __init__(self, connection: Connection, author_id: int, now: datetime) -> None:
        self._on, self._now, self._author_id = connection, now, author_id
        keep_arrivals_out(connection)
        posts, reposts = self._lock_posts()
        authors = self._locked(_AUTHOR.c.id == author_id, *_AUTHOR.c)
        if not authors:
            raise BadInput("that author was forgotten a moment ago")
        self._author = author_of(authors[0])
        self._texts = [text for text in (self._author.bio, *(post["text"] for post in posts)) if text]
        self._native_ids = [post["native_id"] for post in posts]
        self._posts, self._reposts = (self._among([post["id"] for post in these]) for these in (posts, reposts))
        self._all_posts = self._among([post["id"] for post in (*posts, *reposts)])  #: that hold their words
        theirs = or_(_CASE.c.author_id == author_id, self._posts(_CASE.c.mention_id))
        self._replies = self._locked(_REPLY.c.case_id.in_(select(_CASE.c.id).where(theirs)), *_REPLY.c)  # before cases, as the outbox does
        cases = self._locked(theirs, _CASE.c.id, _CASE.c.state)
        self._open = [case["id"] for case in cases if State(case["state"]) in (State.NEW, *WAITING, State.SENDING)]
        self._cases = self._among([case["id"] for case in cases])
        former = self._on.execute(select(_VERSION.c.text).where(self._all_posts(_VERSION.c.mention_id))).scalars()
        self._texts += [text for text in former if text]
        self._names = self._called()
        self._counts = Counter({"posts": len(posts), "reposts of them by others": len(reposts), "cases": len(cases)})

    def erase(self) -> None:
        """All but the hashes. Afterwards nobody works on their cases, and no reply to them leaves."""
        self._stop_replies()
        self._withdraw_what_was_learnt()
        self._delete_what_hangs_on_posts()
        self._empty_cases()
        self._close_cases()
        self._part_copies()
        self._empty_posts()
        self._on.execute(delete(_AUTHOR).where(_AUTHOR.c.id == self._author_id))
        self._mask_in_words_of_others()

    def remember(self, *, never_again: bool) -> None:
        """Their posts do not come back with an overlapping poll, nor our own replies to them; `never_again`: nothing of theirs does."""
        network = self._author.network
        ours = [reply["native_id"] for reply in self._replies if reply["native_id"]]
        hashes = [post_hash(network, native_id) for native_id in (*self._native_ids, *ours)]
        hashes += [name_hash(network, name) for name in (self._author.handle, self._author.native_id)]
        remember(self._on, hashes + [author_hash(network, self._author.native_id)] * never_again, now=self._now)

    def result(self) -> Erased:
        return Erased(
            author=self._author,
            names=self._names,
            texts=self._texts,
            counts={what: n for what, n in self._counts.items() if n},
            standing=[reply["url"] for reply in self._replies if reply["state"] == ReplyState.SENT and reply["url"]],
            on_its_way=sum(reply["state"] in _OPEN[1:] for reply in self._replies),
        )

    # ---- what is theirs

    def _locked(self, wanted: ColumnElement[bool], *columns: Column[Any]) -> Sequence[RowMapping]:
        """`columns`, led by the id, of rows that stay locked until the transaction ends."""
        statement = select(*columns).where(wanted).order_by(columns[0])
        return self._on.execute(statement if self._on.dialect.name == "sqlite" else statement.with_for_update()).mappings().all()

    def _among(self, values: Sequence[Any]) -> _Among:
        """Column -> whether its value is one of these, however many they are: both databases bound the number of parameters."""
        if self._on.dialect.name == "sqlite":
            listed = func.json_each(stored_json(values)).table_valued("value")
            return lambda column: column.in_(select(listed.c.value))
        kind = ARRAY(Text if any(isinstance(value, str) for value in values) else BigInteger)
        return lambda column: column == any_(literal(values, kind))

    def _lock_posts(self) -> tuple[Sequence[RowMapping], Sequence[RowMapping]]:
        """Their posts, and what the network itself calls a repost of one; all at once, for whoever locks several does so by id."""
        theirs, post = _MENTION.alias(), _MENTION.c
        is_reposted = exists().where(
            theirs.c.author_id == self._author_id, theirs.c.network == post.network, theirs.c.native_id == post.repost_of
        )
        wanted = or_(post.author_id == self._author_id, and_(post.repost_of.is_not(None), is_reposted))
        posts = self._locked(wanted, post.id, post.author_id, post.native_id, post.text)
        return [p for p in posts if p["author_id"] == self._author_id], [p for p in posts if p["author_id"] != self._author_id]

    def _called(self) -> dict[str, str]:
        """What they are called; a display name counts where it is telling, and nobody else goes by it."""
        author = self._author
        names = {"handle": author.handle, "native id": author.native_id}
        namesake = select(_AUTHOR.c.id).where(_AUTHOR.c.name == author.name, _AUTHOR.c.id != self._author_id).limit(1)
        if is_telling(author.name) and author.name != author.handle and self._on.execute(namesake).first() is None:
            names["display name"] = author.name
        return names

    def _count(self, what: str, statement: Any) -> None:
        self._counts[what] += self._on.execute(statement).rowcount

    # ---- step by step

    def _stop_replies(self) -> None:
        """Whoever is posting one at this moment finds, afterwards, that it is settled."""
        self._counts["replies stopped"] = sum(reply["state"] in _OPEN for reply in self._replies)
        ours, state = self._cases(_REPLY.c.case_id), _REPLY.c.state
        emptied = {"text": "", "parent_id": "", "native_id": None, "url": "", "error": "", "claimed_by": None, "claimed_until": None}
        self._count("replies", update(_REPLY).where(ours).values(emptied))
        for before, after, error in ((_OPEN[:1], ReplyState.REJECTED, _WHY), (_OPEN[1:], ReplyState.NEEDS_PERSON, _ON_ITS_WAY)):
            settled = {"state": after.value, "error": error, "settled_at": self._now}
            self._on.execute(update(_REPLY).where(ours, state.in_(before)).values(settled))

    def _withdraw_what_was_learnt(self) -> None:
        """Every change learnt since a person first worked on a post of theirs may hold its words. The newest before is in use again."""
        days = self._on.execute(select(_LESSON.c.day).where(self._all_posts(_LESSON.c.mention_id))).scalars()
        taught = [datetime.fromisoformat(day).replace(tzinfo=UTC) for day in days]
        by_people = and_(self._cases(_EVENT.c.case_id), _EVENT.c.actor.startswith("account:"))
        for first in (
            select(func.min(_LABEL.c.at)).where(self._all_posts(_LABEL.c.mention_id)),
            select(func.min(_EVENT.c.at)).where(by_people),
            select(func.min(_ANSWER.c.written_at)).where(self._cases(_ANSWER.c.case_id)),
        ):
            taught += [moment for moment in self._on.execute(first).scalars() if moment is not None]
        if not taught:
            return
        if self._on.dialect.name != "sqlite":
            self._on.exec_driver_sql(f"LOCK TABLE {_LEARNT.name} IN SHARE ROW EXCLUSIVE MODE")
        gone = self._on.execute(delete(_LEARNT).where(_LEARNT.c.at >= min(taught)).returning(_LEARNT.c.base, _LEARNT.c.state)).all()
        self._counts["learnt changes"] = len(gone)
        for base in {base for base, state in gone if state == ChangeState.CURRENT.value}:
            newest = select(func.max(_LEARNT.c.id)).where(_LEARNT.c.base == base, _LEARNT.c.state == ChangeState.KEPT.value)
            again = update(_LEARNT).where(_LEARNT.c.id == newest.scalar_subquery())
            self._on.execute(again.values(state=ChangeState.CURRENT.value))

    def _delete_what_hangs_on_posts(self) -> None:
        hang = {
            "former versions": _VERSION,
            "labels": _LABEL,
            "lessons": _LESSON,
            "near-copy keys": _COPY_KEY,
            "matches of queries": _MATCH,
        }
        for what, rows in hang.items():
            self._count(what, delete(rows).where(self._all_posts(rows.c.mention_id)))
        purge(self._on, _QUERY.c.deleted_at.is_not(None))  # nobody could take their name out of these

    def _empty_cases(self) -> None:
        offers, answers = self._cases(_OFFER.c.case_id), self._cases(_ANSWER.c.case_id)
        self._count("offers", update(_OFFER).where(offers).values(reason="", pass_reason=""))
        is_open = and_(offers, _OFFER.c.state == OfferState.OPEN.value)
        self._on.execute(update(_OFFER).where(is_open).values(state=OfferState.WITHDRAWN.value, closed_at=self._now))
        self._count("answers", update(_ANSWER).where(answers).values(text="", note=""))
        is_draft = and_(answers, _ANSWER.c.state == AnswerState.DRAFT.value)
        self._on.execute(update(_ANSWER).where(is_draft).values(state=AnswerState.WITHDRAWN.value))
        self._empty_events()
        emptied = {
            "author_id": None, "reason": _WHY, "rule": "", "parts": None, "topics": None, "lang": "unsure", "anger": "", "intent": "",
            "priority": 0.0, "claimed_by": None, "claimed_until": None,
        }  # fmt: skip
        key = literal("forgotten:").concat(cast(_CASE.c.id, String))
        self._on.execute(update(_CASE).where(self._cases(_CASE.c.id)).values(key=key, opened_at=_day(_CASE.c.opened_at), **emptied))

    def _empty_events(self) -> None:
        events = self._on.execute(select(_EVENT.c.id, _EVENT.c.data).where(self._cases(_EVENT.c.case_id)).order_by(_EVENT.c.id)).all()
        update_rows(self._on, _EVENT, ("reason", "data"), [("", stored_json(_kept(event.data or {})), event.id) for event in events])
        self._counts["steps of cases"] = len(events)

    def _close_cases(self) -> None:
        for case_id in self._open:
            case = lock_case(self._on, case_id)
            if case["state"] == State.SENDING:
                case = step(self._on, case, Move.FAIL, actor="forget", at=self._now, reason=_WHY)
            step(self._on, case, Move.DISMISS, actor="forget", at=self._now, reason=_WHY, data={"tier": Tier.NONE.value}, due_at=None)
        self._counts["cases closed"] = len(self._open)

    def _part_copies(self) -> None:
        """Others who wrote the same keep their posts: the first of them becomes the original of the rest."""
        wanted = select(_MENTION.c.id, _MENTION.c.copy_of).where(self._all_posts(_MENTION.c.copy_of), ~self._all_posts(_MENTION.c.id))
        first: dict[int, int] = {}
        for copy in (copies := self._on.execute(wanted.order_by(_MENTION.c.id)).all()):
            first.setdefault(copy.copy_of, copy.id)
        originals = [first[copy.copy_of] for copy in copies]
        update_rows(
            self._on,
            _MENTION,
            ("copy_of",),
            [(None if original == copy.id else original, copy.id) for copy, original in zip(copies, originals, strict=True)],
        )

    def _empty_posts(self) -> None:
        if self._native_ids:
            answered = and_(_MENTION.c.network == self._author.network, self._among(self._native_ids)(_MENTION.c.parent_id))
            self._on.execute(update(_MENTION).where(answered).values(parent_id=None))
        emptied = {column.name: _nothing(column) for column in _MENTION.c if column.name not in _KEPT_OF_A_POST} | {"stage": GONE}
        reposted = {name: value for name, value in emptied.items() if name not in ("author_id", "thread_id")}
        self._on.execute(update(_MENTION).where(self._reposts(_MENTION.c.id)).values(reposted))
        unnamed = {
            "native_id": literal("forgotten-").concat(cast(_MENTION.c.id, String)),
            "posted_at": _day(_MENTION.c.posted_at),
            "seen_at": _day(_MENTION.c.seen_at),
        }
        self._on.execute(update(_MENTION).where(self._posts(_MENTION.c.id)).values(**emptied, **unnamed))

    def _mask_in_words_of_others(self) -> None:
        traces = Traces(self._names)
        written = {form for forms in traces.written.values() for form in forms}
        for column in _SPOKEN if written else ():
            rows = column.table
            may_name = or_(*(_contains(self._on, column, form) for form in sorted(written)))
            here = and_(may_name, network_of(rows) == self._author.network)
            if rows is _REPLY:  # what is on its way is looked for by its words
                here = and_(here, _REPLY.c.state.not_in(_OPEN))
            found = self._on.execute(select(rows.c.id, column.label("words")).where(here).order_by(rows.c.id)).all()
            masked = [(mask, row.id) for row in found if (mask := traces.mask(row.words)) != row.words]
            update_rows(self._on, rows, (column.name,), masked)
            self._counts["places where others named them"] += len(masked)


def _kept(data: Mapping[str, Any]) -> dict[str, Any]:
    """The data of an event without words: it still replays, and may still be taken back."""
    kept = {name: data[name] for name in _KEPT if name in data}
    return kept | {"was": {**data["was"], "reason": ""}} if "was" in data else kept


def _nothing(column: Column[Any]) -> Any:
    return None if column.nullable else 0 if isinstance(column.type, Integer | BigInteger) else ""


def _day(column: Column[Any]) -> ColumnElement[Any]:
    """A time to the day: to the second, it would find the post on its network again."""
    number = type_coerce(column, BigInteger)
    return type_coerce(number - number % _DAY, BigInteger)


def _contains(connection: Connection, column: ColumnElement[Any], words: str) -> ColumnElement[bool]:
    position = func.instr if connection.dialect.name == "sqlite" else func.strpos
    return position(func.lower(column), words) > 0

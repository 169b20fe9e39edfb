"""What pages call things: glossary words for values, times relative to now, and hostile names made harmless."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from math import inf
from typing import TYPE_CHECKING

from earshot.case import AnswerState, Move, Outcome, ReplyState, State, Tier
from earshot.storage.backfills import BackfillState
from earshot.storage.cases import LoggedEvent

if TYPE_CHECKING:
    from classifiers.drift import Share, Strayed
    from earshot.storage.reports import Freshness
    from listener.trial import Range

TIERS = {Tier.NONE: "nobody", Tier.COMMUNITY: "community", Tier.TIER_1: "tier 1", Tier.TIER_2: "tier 2"}
STATES = {
    State.NEW: "new",
    State.REVIEW: "review",
    State.QUEUED: "waiting",
    State.OFFERED: "offered",
    State.ASSIGNED: "assigned",
    State.APPROVAL: "to approve",
    State.SENDING: "sending",
    State.ANSWERED: "answered",
    State.SOLVED: "solved",
    State.CLOSED: "closed",
}
OUTCOMES = {Outcome.AUTOMATIC: "decided", Outcome.REVIEW: "proposed"}
NETWORKS = {
    "x": "X",
    "reddit": "Reddit",
    "hackernews": "Hacker News",
    "mastodon": "Mastodon",
    "bluesky": "Bluesky",
    "lemmy": "Lemmy",
    "discourse": "Discourse",
    "stackexchange": "Stack Exchange",
    "youtube": "YouTube",
    "appstore": "App Store",
    "feed": "Feed",
    "mailbox": "Mail",
    "webhook": "Webhook",
    "archive": "File",
}
LANGUAGES = {
    "en": "English",
    "zh": "中文",
    "de": "German",
    "es": "Spanish",
    "fr": "French",
    "it": "Italian",
    "ja": "Japanese",
    "ko": "Korean",
    "nl": "Dutch",
    "other": "another language",
    "pt": "Portuguese",
    "ru": "Russian",
    "unsure": "language unsure",
}

#: what a person may say instead, per question
LABELS = {
    "sentiment": ("negative", "neutral", "positive"),
    "anger": ("calm", "annoyed", "angry"),
    "intent": ("question", "problem", "complaint", "praise", "suggestion", "purchase", "cancel", "spam", "other"),
    "asks": ("yes", "no"),
    "needs": ("common", "specialist", "account", "none"),
    "urgent": ("yes", "no"),
    "toxicity": ("yes", "no"),
    "spam": ("yes", "no"),
    "risk": ("none", "safety", "legal", "press", "privacy"),
    "language": ("en", "zh", "unsure"),
}
QUESTIONS = {
    "sentiment": "Sentiment",
    "anger": "Anger",
    "intent": "Intent",
    "asks": "Wants an answer",
    "needs": "Help needed",
    "urgent": "Urgent",
    "risk": "Risk",
    "toxicity": "Toxicity",
    "spam": "Spam",
    "tier": "Who answers",
    "language": "Language",
    "personal_data": "Personal data",
    "topics": "Topics",
    "products": "Products",
    "influence": "Influence",
}
#: the questions of a lesson as a person is asked, and answers that need more than their label
ASKED = {
    "intent": "What is it, mainly?",
    "needs": "Who could help?",
    "anger": "How does the author feel?",
    "asks": "Does the author want an answer?",
}
ANSWERED = {
    ("needs", "common"): "an experienced customer",
    ("needs", "specialist"): "a specialist",
    ("needs", "account"): "only we, in their account",
    ("needs", "none"): "no help needed",
}

_STEPS = {
    Move.OPEN: "opened the case",
    Move.PROPOSE: "proposed {tier}",
    Move.QUEUE: "sent it to {tier}",
    Move.DISMISS: "closed it: nobody needs to answer",
    Move.JOIN: "added another mention",
    Move.EDIT: "edited a post",
    Move.ESCALATE: "raised it to {tier}",
    Move.RETIER: "chose {tier}",
    Move.OFFER: "offered it to a super-user",
    Move.EXPIRE: "took the offer back",
    Move.PASS: "passed",
    Move.ACCEPT: "took the offer",
    Move.ASSIGN: "assigned it",
    Move.RELEASE: "let go of it",
    Move.DRAFT: "wrote a draft",
    Move.REJECT: "gave the draft back",
    Move.APPROVE: "approved the answer",
    Move.SENT: "posted the reply",
    Move.FAIL: "could not post the reply",
    Move.SOLVE: "called it solved",
    Move.REOPEN: "opened it again",
    Move.LABEL: "corrected a score",
    Move.UNLABEL: "took back a label",
    Move.UNDO: "took back a step",
}
BACKFILLS = {
    BackfillState.OPEN: "under way",
    BackfillState.DONE: "done",
    BackfillState.STOPPED: "stopped",
    BackfillState.CANCELLED: "cancelled",
    BackfillState.FAILED: "failed",
}
#: moves whose reason only says them again
_SAY_ENOUGH = frozenset({Move.UNDO, Move.DRAFT, Move.ACCEPT, Move.ASSIGN, Move.SENT, Move.EDIT, Move.APPROVE, Move.EXPIRE})
_ACTORS = {
    "triage": "Triage",
    "assign": "The matcher",
    "overdue": "The clock",
    "outbox": "The outbox",
    "author": "The author",
    "pass": "Triage",
    "accounts": "The house",
    "forget": "The house",
}
REPLIES = {
    ReplyState.PENDING: "goes out soon",
    ReplyState.SENDING: "is being posted",
    ReplyState.SENT: "stands on the network",
    ReplyState.REJECTED: "was refused by the network",
    ReplyState.UNKNOWN: "may or may not stand there; we look",
    ReplyState.NEEDS_PERSON: "needs a person to look",
}
#: of one mention, and of several
STAGES = {
    "heard": ("mention to understand", "mentions to understand"),
    "understood": ("understood", "understood"),
    "gone": ("deleted on its network", "deleted on their network"),
    "quarantined": ("set aside: no room could read it", "set aside: no room could read them"),
}
ANSWERS = {
    AnswerState.DRAFT: "waits for approval",
    AnswerState.APPROVED: "approved",
    AnswerState.REJECTED: "given back",
    AnswerState.WITHDRAWN: "withdrawn",
}
#: of a draft, with who did it before
DECISIONS = {AnswerState.APPROVED: _STEPS[Move.APPROVE], AnswerState.REJECTED: _STEPS[Move.REJECT]}


def actor(logged: LoggedEvent) -> str:
    return logged.actor_name or _ACTORS.get(logged.event.actor, logged.event.actor)


def why(logged: LoggedEvent) -> str:
    """The reason of an event, where it says more than the step itself."""
    says_it_again = logged.event.move in _SAY_ENOUGH or logged.event.reason == "the author wrote again"
    return "" if says_it_again else logged.event.reason


def step(logged: LoggedEvent) -> str:
    """An event in words, without its actor."""
    tier = logged.event.data.get("tier")
    return _STEPS[logged.event.move].format(tier=TIERS[Tier(tier)] if tier else "its queue")


# ---- times


def span(length: timedelta) -> str:
    """ "now", "12 min", "3 h", "2 d": as exact as a glance needs."""
    minutes = int(abs(length).total_seconds() // 60)
    if minutes < 1:
        return "under a minute"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        hours, rest = divmod(minutes, 60)
        return f"{hours} h {rest} min" if hours < 4 and rest else f"{hours} h"
    return f"{minutes // (24 * 60)} d"


def ago(moment: datetime, now: datetime) -> str:
    return f"{span(now - moment)} ago" if moment <= now else f"in {span(moment - now)}"


def due(moment: datetime | None, now: datetime) -> str:
    if moment is None:
        return "nobody waits"
    return f"due in {span(moment - now)}" if moment > now else f"{span(now - moment)} late"


def exact(moment: datetime) -> str:
    return f"{moment:%a %d %b %Y, %H:%M} UTC"


# ---- numbers


def standing(influence: float | None) -> str:
    """A percentile 0..1 as people say it."""
    if influence is None:
        return "influence unknown"
    top = (1.0 - influence) * 100
    return f"top {max(1, round(top))} %" if top < 50 else "lower half"


def count(number: int | None) -> str:
    """1234 -> "1.2k"; unknown -> "–"."""
    if number is None:
        return "–"
    for size, letter in ((1_000_000, "M"), (1_000, "k")):
        if number >= size:
            return f"{number / size:.1f}".removesuffix(".0") + letter
    return str(number)


def percent(share: float) -> str:
    """0.123 -> "12 %"; what is there is never "0 %"."""
    return "under 1 %" if 0 < share < 0.005 else f"{share:.0%}".replace("%", " %")


def about(number: float) -> str:
    """A number that is only an estimate, in two digits: 328.5 -> "330"."""
    if number < 1:
        return "0" if number < 0.05 else "under 1"
    size = 10 ** max(0, len(str(round(number))) - 2)
    return f"{round(number / size) * size:,}"


def in_toml(text: str) -> str:
    """A text as TOML writes it; what would end the line or the string is escaped."""
    return json.dumps(plain(text), ensure_ascii=False)


def label(question: str, name: str) -> str:
    """The label of a question as pages say it."""
    if question == "language":
        return LANGUAGES.get(name, name)
    return name.replace("_", " ") if question == "tier" else ANSWERED.get((question, name), name)


def strayed(question: str, found: Strayed) -> str:
    shares = f"{percent(found.now)}, {percent(found.before)} in the first weeks"
    said = {"unsure": "Unsure more often", "agreement": "People agree less often"}
    return f"{said.get(found.what, 'More ' + repr(label(question, found.label)))}: {shares}."


def within(freshness: Freshness) -> str:
    """How late posts were heard: "95 % within 2 min of being posted"."""
    if not freshness.mentions:
        return "nothing"
    seconds = freshness.within(0.95)
    if seconds == inf:
        return "some more than a day late"
    return f"95 % within {f'{seconds:.0f} s' if seconds < 60 else span(timedelta(seconds=seconds))} of being posted"


def between(share: Share) -> str:
    """A share with its interval: "12 % (9 to 15)"."""
    return f"{percent(share.value)} ({share.low * 100:.0f} to {share.high * 100:.0f})" if share.of else "–"


def noun(number: int | None, one: str, more: str = "") -> str:
    """What so many are called: "reply" for 1, "replies" for others and where nobody knows how many."""
    return one if number == 1 else more or one + "s"


def many(number: int, one: str, more: str = "") -> str:
    return f"{number:,} {noun(number, one, more)}"


# ---- queries

#: the language at a glance: what is written, and what it means
QUERY_LANGUAGE = (
    ("lumifern lamp", "both words, anywhere"),
    ("lamp OR shade", "one of them, or both"),
    ("lamp -giveaway", "the one without the other"),
    ('"does not work"', "these words, one behind the other"),
    ("lamp NEAR/5 broken", "at most five words between them"),
    ("lamp*", "words that begin so"),
    ("~lumifern", "the word, also misspelt"),
    ('"Apple"c', "with these capitals"),
    ("author:jane lang:en network:x", "who wrote it, in which language, where"),
    ("followers>1000 is:question sentiment:negative", "what is known of it"),
)


def ranging(found: Range) -> str:
    """ "12 to 30"; "under 1" where both ends are that."""
    low, high = about(found.low), about(found.high)
    return high if low == high else f"{low} to {high}"


def costing(cost: Range) -> str:
    """A cost in whatever money the price is in: "costs 1.20 to 3.00"."""
    return f"costs {cost.low:,.2f} to {cost.high:,.2f}"


def days(number: float) -> str:
    """A span in days, or in hours where it is short: "12 days"."""
    return span(timedelta(days=number)) if number < 2 else many(round(number), "day")


def day_before(moment: datetime, number: int) -> str:
    """The day so many days before: "12 Nov"."""
    return (moment - timedelta(days=number)).strftime("%d %b")


# ---- hostile text

#: changes the direction of what follows; isolation in the page does the honest part of their work
_BIDI = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufeff\ufff9-\uffff]")
_HIDDEN = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})
#: letters that look like nothing
_BLANK = re.compile("[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\uffa0]")
_MARK = "[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
_MARKS = re.compile(f"({_MARK}{{3}}){_MARK}+")
LONGEST_NAME, LONGEST_POST = 60, 12_000


def clean_name(name: str) -> str:
    """A name of a stranger without what cannot be seen, on one line, clipped. The handle must stand beside it."""
    seen = "".join(c for c in _BLANK.sub("", name[:400]) if c.isspace() or unicodedata.category(c) not in _HIDDEN)
    return clip(" ".join(_MARKS.sub(r"\1", seen).split()), LONGEST_NAME)


def plain(text: str) -> str:
    """Without control characters and direction overrides: what a person sees of it is what it is."""
    return _CONTROL.sub("", _BIDI.sub("", text))


def clean_post(text: str) -> str:
    """A post in plain characters, clipped."""
    return clip(_MARKS.sub(r"\1", plain(text[: LONGEST_POST * 2])), LONGEST_POST)


def clip(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def excerpt(text: str, term: str, most: int = 160) -> Iterator[tuple[str, bool]]:
    """What stands around `term` in a post, as `highlight` gives it; the beginning where the term is not found."""
    line = " ".join(text[:LONGEST_POST].split())
    at = max(0, line.casefold().find(term))
    start = 0 if at < most // 2 else at - most // 3
    shown = clip(line[start:], most)
    pieces = highlight(shown, [(at - start, at - start + len(term))] if term in line.casefold() else [])
    return ((f"…{piece}" if start and i == 0 else piece, is_term) for i, (piece, is_term) in enumerate(pieces))


def outward(url: str) -> str:
    """`url` where it is a plain web address, "" otherwise: nothing else becomes a link."""
    return url if re.match(r"https?://[^\s/]", url, re.IGNORECASE) and len(url) <= 2_000 else ""


def highlight(text: str, spans: Iterable[tuple[int, int]]) -> Iterator[tuple[str, bool]]:
    """Cut a post at `spans` (start, end) of what weighed: (piece made harmless, did it weigh). Overlaps become one."""
    text, at = text[:LONGEST_POST], 0
    for start, end in sorted(spans):
        start, end = max(start, at), min(end, len(text))
        if start < end:
            yield clean_post(text[at:start]), False
            yield clean_post(text[start:end]), True
            at = end
    yield clean_post(text[at:]), False

"""Does the author, in a later mention, say that it worked, or ask again?

Rules over the words, English and Chinese, then over the scores. What neither settles stays "unclear": a person or a later mention decides.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from earshot.mention import ScoredMention

LONGEST = 2_000  #: what follows says nothing new, and hostile texts are long


class Kind(StrEnum):
    SOLVED = "solved"
    ASKS_AGAIN = "asks_again"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    kind: Kind
    reason: str  #: in words that a person reads


_STILL = re.compile(
    r"\b(?:still|again)\b.{0,30}\b(?:not|no|nothing|same|broken|stuck|down|fail\w*|wait\w*|happen\w*|can'?t|won'?t|doesn'?t|isn'?t)\b"
    r"|\b(?:did\s?n[o']?t|does\s?n[o']?t|has\s?n[o']?t|is\s?n[o']?t|not|never|won'?t|can'?t)\s+(?:\w+\s+){0,2}?(?:work\w*|help\w*|fix\w*|solve\w*|change\w*)\b"
    r"|\bno\s+(?:luck|difference|joy|change)\b|\bsame\s+(?:problem|issue|error|thing|result)\b|\bthanks?\s+for\s+nothing\b"
    r"|\bback\s+to\s+square\s+one\b|\btried\s+(?:that|it|this|everything)\b"
    r"|还是(?:不|没|老样子|一样|有问题)|仍(?:然|旧)?(?:不|没|有)|依然(?:不|没|有)|没(?:有)?(?:用|解决|效果|反应|变化|修好)|不(?:行|管用|起作用|能用)|又(?:坏|断|不|出)|试过了?",
    re.IGNORECASE | re.DOTALL,
)
_WORKED = re.compile(
    r"\b(?:that|it|this|which|all|everything|yep|yes|now)\b.{0,20}\b(?:work(?:s|ed|ing)|did\s+(?:it|the\s+trick)|fixed|solved|helped|sorted)\b"
    r"|\b(?:work(?:s|ed)\s+(?:now|again|fine|great|perfectly|like\s+a\s+charm|for\s+me)|problem\s+solved|all\s+(?:good|set|sorted|fixed)|sorted\s+(?:now|it|out)"
    r"|fixed\s+(?:it|now)|solved\s+(?:it|now)|got\s+it\s+(?:work\w*|fixed|sorted)|up\s+and\s+running|you(?:'re|\s+are)\s+a\s+life\s?saver)\b"
    r"|(?<![没不未])(?:解决了|搞定|修好了|管用|有用|可以了|能用了|恢复了|正常了|好了)|成功了",
    re.IGNORECASE | re.DOTALL,
)
_THANKS = re.compile(r"\b(?:thanks|thank\s+you|thx|ty|cheers|much\s+appreciated|appreciate\s+it)\b|谢谢|多谢|感谢|谢啦|谢了", re.IGNORECASE)
_QUESTION = re.compile(r"[?？]|\b(?:but|however)\b|但是?|不过|可是|怎么办|为什么|吗(?:[。.!！~\s]|$)", re.IGNORECASE)


def judge(batch: Sequence[ScoredMention]) -> list[Verdict]:
    """One verdict per later mention of an author whose case was answered, in order."""
    return [_judge(scored) for scored in batch]


def _judge(scored: ScoredMention) -> Verdict:
    text = scored.mention.text[:LONGEST].replace("\u2019", "'")
    if _STILL.search(text):
        return Verdict(kind=Kind.ASKS_AGAIN, reason="the author says that it did not help")
    worked, asks = _WORKED.search(text), _asks(scored)
    if worked and not _QUESTION.search(text):
        return Verdict(kind=Kind.SOLVED, reason="the author says that it worked")
    if worked:
        return Verdict(kind=Kind.UNCLEAR, reason="the author says that it worked, and something more")
    if _THANKS.search(text) and not _QUESTION.search(text) and not asks:
        return Verdict(kind=Kind.SOLVED, reason="the author says thanks and asks nothing more")
    if asks:
        return Verdict(kind=Kind.ASKS_AGAIN, reason="the author asks again")
    return Verdict(kind=Kind.UNCLEAR, reason="the author says neither that it worked nor that it did not")


def _asks(scored: ScoredMention) -> bool:
    asks = scored.score("asks")
    return asks is not None and asks.label == "yes"

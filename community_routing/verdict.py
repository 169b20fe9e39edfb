"""Does the author, in a later mention, say that it worked, or ask again?

Phrases (`verdict.toml`), English and Chinese, then the scores. What neither settles stays "unclear": a person or a later mention decides.
A wrong "solved" closes somebody's case, so thanks alone count only where nothing speaks against them.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files

from earshot.mention import ScoredMention

LONGEST = 800  #: of a longer text only its beginning and its end are read: hostile texts are long
_BRIEF = 200  #: signs; whoever writes more than that beside thanks has something else to say
#: sentiment, -1..1: below these even "it worked", a hint, thanks alone are no good news
_FURIOUS, _SOUR, _COOL = -0.85, -0.5, -0.25
#: words that settle nothing, in such a mood and so probably a request, are bad news
_SULLEN, _RATHER = -0.3, 0.3


class Kind(StrEnum):
    SOLVED = "solved"
    ASKS_AGAIN = "asks_again"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    kind: Kind
    reason: str  #: in words that a person reads
    helped: bool | None = None  #: did our answer help, where the author tells; whoever asks something new may say that it did


_HELPED = Verdict(kind=Kind.SOLVED, reason="the author says that it worked", helped=True)
_THANKED = Verdict(kind=Kind.SOLVED, reason="the author says thanks and asks nothing more", helped=True)
_FAILED = Verdict(kind=Kind.ASKS_AGAIN, reason="the author says that it did not help", helped=False)
_SOUNDS_BAD = Verdict(kind=Kind.ASKS_AGAIN, reason="the author does not sound as if it helped", helped=False)
_ASKED = Verdict(kind=Kind.ASKS_AGAIN, reason="the author asks again", helped=False)
_ASKED_MORE = Verdict(kind=Kind.ASKS_AGAIN, reason="the author says that it worked, and asks something more", helped=True)
_DOUBTED = Verdict(kind=Kind.UNCLEAR, reason="the author says that it worked, and something more")
_WAITS = Verdict(kind=Kind.UNCLEAR, reason="the author has yet to try it")
_UNCLEAR = Verdict(kind=Kind.UNCLEAR, reason="the author says neither that it worked nor that it did not")


def judge(batch: Sequence[ScoredMention]) -> list[Verdict]:
    """One verdict per later mention of an author whose case was answered, in order."""
    return [_judge(scored) for scored in batch]


def _judge(scored: ScoredMention) -> Verdict:
    last = _last_said(scored.mention.text)
    return _by_words(last, mood=_value(scored, "sentiment")) or _by_scores(scored, last)


def _by_words(last: Mapping[str, int], *, mood: float) -> Verdict | None:
    """What the phrases settle; `last` holds each kind that was found with where it was said last."""
    worked = max(last.get("overcame", -1), last.get("worked", -1))
    if last.get("failed", -1) > last.get("overcame", -1):
        return _FAILED
    if "asks" in last:
        return _ASKED_MORE if worked >= 0 else _ASKED
    hopeful = max(worked, last.get("hints", -1))
    if last.get("trouble", -1) > hopeful or ("tried" in last and hopeful < 0):
        return _UNCLEAR if last.get("thanks", -1) > last.get("trouble", -1) else _FAILED
    if worked >= 0:
        return _DOUBTED if last.get("turns", -1) > worked or mood < _FURIOUS else _HELPED
    return _WAITS if "waits" in last else None


def _by_scores(scored: ScoredMention, last: Mapping[str, int]) -> Verdict:
    asks, mood = scored.score("asks"), _value(scored, "sentiment")
    if asks is not None and asks.label == "yes":
        return _ASKED
    if not last.keys() & {"hints", "thanks"}:
        sour = ("doubt" in last and mood < 0) or (mood < _SULLEN and _value(scored, "asks") > _RATHER)
        return _SOUNDS_BAD if sour else _UNCLEAR
    if last.keys() & {"doubt", "turns"} or mood < _SOUR or len(scored.mention.text) > _BRIEF:
        return _UNCLEAR
    if "hints" in last:
        return _HELPED
    return _THANKED if mood >= _COOL else _UNCLEAR


def _value(scored: ScoredMention, name: str) -> float:
    score = scored.score(name)
    return score.value if score is not None else 0.0


def _last_said(text: str) -> dict[str, int]:
    return {found.lastgroup: found.start() for found in _phrases().finditer(_plain(text)) if found.lastgroup}


# ---- reading the phrases

_LINK_OR_HANDLE = re.compile(r"https?://\S+|[@#]\w+")
_STRETCH = re.compile(r"([a-z?!])\1{2,}")
_NOT = re.compile(r"\b(did|does|do|is|was|are|were|has|have|had|wo|ca|could|would|should)(?:n'?t|'nt)\b|\bcannot\b")
_FULL = {None: "can", "ca": "can", "wo": "will"}
_SIMPLIFIED = str.maketrans(
    "謝還沒問題決樣無過試換現後東買這個請麼為裡裏哪幾點時間會開關連線網聽說話嗎係啲對錯報壞斷閃黃紅綠藍燈顯應變動應終於經給幫當機個產項頁誰懶慘緊靜單處興學識復覺亂費錢賣條樓車門電腦頭臉長級",
    "谢还没问题决样无过试换现后东买这个请么为里里哪几点时间会开关连线网听说话吗系啲对错报坏断闪黄红绿蓝灯显应变动应终于经给帮当机个产项页谁懒惨紧静单处兴学识复觉乱费钱卖条楼车门电脑头脸长级",
)


def _plain(text: str) -> str:
    if len(text) > LONGEST:
        text = f"{text[: LONGEST // 2]} {text[-LONGEST // 2 :]}"
    text = unicodedata.normalize("NFKC", text)[: 2 * LONGEST].translate(_SIMPLIFIED).lower()
    text = _LINK_OR_HANDLE.sub(" ", text.replace("\u2019", "'").replace("。", "."))
    text = _STRETCH.sub(r"\1", " ".join(text.split()))
    return _NOT.sub(lambda found: f"{_FULL.get(found[1], found[1])} not", text)


#: not within a word
_EDGE = "(?:(?<![a-z0-9])|(?![a-z0-9]))"


@cache
def _phrases() -> re.Pattern[str]:
    """One pattern with a group for each kind: a text is read once, whatever the number of phrases."""
    kinds = tomllib.loads(files("community_routing").joinpath("verdict.toml").read_text(encoding="utf-8"))
    return re.compile("|".join(f"(?P<{kind}>{'|'.join(map(_pattern, phrases))})" for kind, phrases in kinds.items()))


def _pattern(phrase: str) -> str:
    pattern = phrase.replace(" … ", "(?: [\\w']+){0,3} ").replace("…", "[^,.!?;\\s]{0,6}").replace("~", "\\w*")
    return f"{_EDGE}(?:{pattern}){_EDGE}" if pattern.isascii() else f"(?:{pattern})"

"""The story of two weeks: who is there, what they post and when, and what would be right to do about it.

About a thousand posts are written. `read_story` grows them, by chance but the same for the same seed, to more than two thousand happenings
on the networks: people repost, copy and reword, and reply below one another's posts.
"""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from earshot.case import PassReason, Tier
from earshot.storage.accounts import Role
from earshot.storage.articles import Article

FOLDER = Path(__file__).parent / "story"
BRAND = FOLDER / "brand.toml"
DAYS = 14
ENDS = timedelta(days=DAYS)

REPOSTS, NEAR_COPIES, REPLIES = 450, 200, 450
#: so many posts are kept for the visitor's eyes
HELD_BACK = 60
#: what happens in so long a time before that happens so many times faster
RUSH, RUSH_HURRY = timedelta(hours=60), 15
_MOST_USES_OF_A_REPLY = 4
#: when the cloud is down
OUTAGE = (timedelta(days=8, hours=18, minutes=40), timedelta(days=8, hours=22, minutes=15))
#: what everybody who names the brand on X writes in one of its forms
NAMES = ("lumifern", "流萤蕨", "流螢蕨")


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """What a careful reader would say of a post."""

    intent: str = "other"
    needs: str = "none"  #: common, specialist, account, none
    anger: int = 0  #: 0 calm, 1 annoyed, 2 angry
    risk: str = "none"

    @property
    def tier(self) -> Tier:
        """Who should answer."""
        if self.risk in ("safety", "legal", "press"):
            return Tier.TIER_1
        if self.needs == "none":
            return Tier.NONE
        if self.needs == "specialist":
            return Tier.TIER_2
        if self.needs == "account" or self.anger == 2 or self.intent == "cancel" or self.risk == "privacy":
            return Tier.TIER_1
        return Tier.COMMUNITY

    @property
    def pass_reason(self) -> PassReason:
        """Why a super-user would rather not."""
        if self.anger:
            return PassReason.TOO_ANGRY
        return PassReason.TOO_TECHNICAL if self.needs == "specialist" else PassReason.NOT_MY_TOPIC


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One post of the story."""

    key: str
    network: str
    author: str  #: handle
    at: timedelta  #: since the story began
    text: str
    title: str | None = None  #: only submissions on Reddit have one
    lang: str = "en"
    reply_to: str | None = None  #: key of an earlier happening
    repost_of: str | None = None
    likes: int = 0
    reposts: int = 0
    labels: Labels = Labels()
    answer: str | None = None  #: what a helpful customer would write, where one could
    verdict: str | None = None  #: what the author posts after that answer
    helped: bool = False  #: the verdict is a good one


@dataclass(frozen=True, slots=True, kw_only=True)
class Character:
    """Somebody on a network."""

    network: str
    handle: str
    name: str
    bio: str
    followers: int
    following: int
    lang: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Insider:
    """Somebody who signs in: staff or super-user, with what she chose and earned."""

    name: str
    email: str
    role: Role
    tier: Tier | None
    languages: tuple[str, ...]
    topics: tuple[str, ...]
    chosen: Mapping[str, Any]
    skills: Mapping[str, tuple[int, int]]  #: topic -> (answered, accepted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    characters: tuple[Character, ...]
    written: tuple[Happening, ...]
    happenings: tuple[Happening, ...]  #: the written ones and what grew from them, in the order of time
    insiders: tuple[Insider, ...]
    articles: tuple[Article, ...]
    staff_answers: Mapping[tuple[str, str], tuple[str, ...]]  #: (language, occasion) -> texts


def read_story(*, seed: int = 7) -> Story:
    """The whole story. The same seed gives the same story."""
    characters = tuple(_character(line) for line in _lines("authors_*.jsonl"))
    written = sorted((_happening(line) for line in _lines("posts_*.jsonl")), key=lambda h: (h.at, h.key))
    growth = _Growth(Random(seed), characters)
    liked = tuple(growth.liked(happening) for happening in written)
    grown = (*growth.reposts(liked), *growth.near_copies(liked), *growth.replies(liked, list(_lines("replies.jsonl"))))
    return Story(
        characters=characters,
        written=liked,
        happenings=tuple(sorted((*liked, *grown), key=lambda h: (h.at, h.key))),
        insiders=tuple(_insiders()),
        articles=tuple(Article(**{**article, "words": tuple(article.get("words", ()))}) for article in _toml("articles.toml")["articles"]),
        staff_answers=_staff_answers(),
    )


def live_from(story: Story) -> timedelta:
    """The moment when the visitor comes: whatever the time of day is, just so much is still to come."""
    return story.happenings[-HELD_BACK].at


def with_a_rush(story: Story) -> Story:
    """The same story, so hurried just before the visitor comes that there is something to do."""
    until, saved = live_from(story), RUSH - RUSH / RUSH_HURRY
    begins = until - RUSH

    def hurried(at: timedelta) -> timedelta:
        if at <= begins:
            return at
        return begins + (at - begins) / RUSH_HURRY if at < until else at - saved

    return replace(story, happenings=tuple(replace(h, at=hurried(h.at)) for h in story.happenings))


def names_the_brand(text: str) -> bool:
    return any(name in text.lower() for name in NAMES)


# ---- reading


def _lines(pattern: str) -> Iterator[dict[str, Any]]:
    for file in sorted(FOLDER.glob(pattern)):
        yield from (json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip())


def _toml(name: str) -> dict[str, Any]:
    return tomllib.loads((FOLDER / name).read_text(encoding="utf-8"))


def _character(line: Mapping[str, Any]) -> Character:
    return Character(**{name: line[name] for name in Character.__slots__})


def _happening(line: Mapping[str, Any]) -> Happening:
    clock = datetime.strptime(line["time"], "%H:%M")  # noqa: DTZ007 - a time of day
    as_written = ("key", "network", "author", "text", "lang", "reply_to")
    return Happening(
        **{name: line[name] for name in as_written},
        at=timedelta(days=line["day"] - 1, hours=clock.hour, minutes=clock.minute),
        title=line.get("title"),
        labels=Labels(intent=line["intent"], needs=line["needs"], anger=line["anger"], risk=line["risk"]),
        answer=line.get("answer"),
        verdict=line.get("verdict"),
        helped=line.get("verdict_solved", False),
    )


def _insiders() -> Iterator[Insider]:
    people = _toml("people.toml")
    for staff in people["staff"]:
        yield _insider(staff, Role(staff["role"]), Tier(f"tier_{staff['tier']}") if "tier" in staff else None)
    for super_user in people["super_users"]:
        yield _insider(super_user, Role.SUPER_USER, None)


def _insider(line: Mapping[str, Any], role: Role, tier: Tier | None) -> Insider:
    topics = tuple(line["topics"])
    share = max(len(topics), 1)
    chosen = ("hours_per_week", "open_posts", "quiet_from", "quiet_to", "timezone", "trust_level", "about")
    return Insider(
        name=line["name"],
        email=line["email"],
        role=role,
        tier=tier,
        languages=tuple(line["languages"]),
        topics=topics,
        chosen={name: line[name] for name in chosen if name in line},
        skills=dict.fromkeys(topics, (line["answered"] // share, line["accepted"] // share)) if "answered" in line else {},
    )


def _staff_answers() -> dict[tuple[str, str], tuple[str, ...]]:
    answers: dict[tuple[str, str], list[str]] = {}
    for line in _lines("staff_answers.jsonl"):
        answers.setdefault((line["lang"], line["needs"]), []).append(line["text"])
    return {occasion: tuple(texts) for occasion, texts in answers.items()}


# ---- growing


_MOODS = {
    "problem": ("same", "same", "helpful", "joke"),
    "complaint": ("same", "against_brand", "support_brand", "joke"),
    "question": ("same", "helpful"),
    "praise": ("support_brand", "joke", "offtopic"),
    "suggestion": ("support_brand", "same"),
    "purchase": ("helpful", "support_brand", "against_brand"),
    "cancel": ("same", "against_brand", "support_brand"),
}
_OTHER_MOODS = ("joke", "offtopic", "joke")


class _Growth:
    """What people make of one another's posts."""

    def __init__(self, rng: Random, characters: Sequence[Character]) -> None:
        self.rng = rng
        self.followers = {(c.network, c.handle): c.followers for c in characters}
        self.handles: dict[tuple[str, str], list[str]] = {}
        for character in characters:
            self.handles.setdefault((character.network, character.lang), []).append(character.handle)

    def liked(self, happening: Happening) -> Happening:
        """With the likes and reposts that it has drawn when it is heard: few draw many."""
        reach = self._spread(happening) * self.followers[happening.network, happening.author] ** 0.5 / 40
        likes = min(int(reach * self.rng.paretovariate(1.2)), 60_000)
        return replace(happening, likes=likes, reposts=likes // self.rng.randint(5, 14))

    def reposts(self, written: Sequence[Happening]) -> Iterator[Happening]:
        done: set[tuple[str, str]] = set()
        sources = [h for h in written if h.network == "x" and h.reply_to is None]
        for number, source in enumerate(self._drawn(sources, REPOSTS)):
            handle = self._somebody_else(source)
            if (handle, source.key) in done:
                continue
            done.add((handle, source.key))
            at = self._later(source, typical=timedelta(minutes=25))
            yield replace(
                source, key=f"r{number:03}", author=handle, at=at, repost_of=source.key, labels=Labels(),
                answer=None, verdict=None, likes=0, reposts=0,
            )  # fmt: skip

    def near_copies(self, written: Sequence[Happening]) -> Iterator[Happening]:
        """Somebody else posts nearly the same words; whoever copies a request asks it, too."""
        sources = [h for h in written if h.network == "x" and h.reply_to is None and len(h.text) > 40]
        for number, source in enumerate(self._drawn(sources, NEAR_COPIES)):
            text = self.rng.choice(_REWORDINGS)(source.text)
            yield replace(
                source, key=f"n{number:03}", author=self._somebody_else(source), at=self._later(source, typical=timedelta(hours=2)),
                text=text if names_the_brand(text) else f"{text} #lumifern", verdict=None, likes=source.likes // 20, reposts=0,
            )  # fmt: skip

    def replies(self, written: Sequence[Happening], texts: Sequence[Mapping[str, str]]) -> Iterator[Happening]:
        """Bystanders say what fits the mood and the language of the post; on X their reply names whom the post names."""
        fitting: dict[tuple[str, str], list[str]] = {}
        for line in texts:
            fitting.setdefault((line["lang"], line["mood"]), []).extend([line["text"]] * _MOST_USES_OF_A_REPLY)
        for left in fitting.values():
            self.rng.shuffle(left)
        sources = [h for h in written if h.lang in ("en", "zh") and h.labels.intent != "spam"]
        for number, source in enumerate(self._drawn(sources, REPLIES)):
            mood = self.rng.choice(_MOODS.get(source.labels.intent, _OTHER_MOODS))
            left = fitting[source.lang, mood]
            if not left:
                continue
            yield Happening(
                key=f"t{number:03}",
                network=source.network,
                author=self._somebody_else(source),
                at=self._later(source, typical=timedelta(minutes=18)),
                text=left.pop() if source.network != "x" else f"@lumifern {left.pop()}",
                lang=source.lang,
                reply_to=source.key,
            )

    def _drawn(self, sources: Sequence[Happening], count: int) -> Iterable[Happening]:
        return self.rng.choices(sources, weights=[self._spread(h) for h in sources], k=count)

    def _spread(self, happening: Happening) -> float:
        """How readily people pass it on: danger and the outage most, spam hardly ever."""
        weight = {"safety": 6.0, "press": 5.0}.get(happening.labels.risk, 1.0)
        weight *= {"spam": 0.1, "question": 0.6, "complaint": 1.5}.get(happening.labels.intent, 1.0)
        if OUTAGE[0] <= happening.at <= OUTAGE[1]:
            weight *= 4
        return weight * math.log10(self.followers[happening.network, happening.author] + 10)

    def _somebody_else(self, source: Happening) -> str:
        """Another author who writes that language; where there is none, somebody who reads it."""
        among = self.handles.get((source.network, source.lang), [])
        others = [handle for handle in among if handle != source.author]
        return self.rng.choice(others or self.handles[source.network, "en"])

    def _later(self, source: Happening, *, typical: timedelta) -> timedelta:
        """After the source, mostly soon and now and then much later, and before the story ends."""
        wait = typical * self.rng.lognormvariate(0, 1.2)
        left = ENDS - source.at - timedelta(minutes=1)
        return source.at + timedelta(minutes=1) + (wait if wait < left else left * self.rng.random())


def _shortened(text: str) -> str:
    return text[: int(len(text) * 0.8)].rstrip() + "…"


def _tagged(text: str) -> str:
    return f"{text} #lumifern #smarthome"


def _moved(text: str) -> str:
    return f"{text} 👀💡"


def _careless(text: str) -> str:
    return text.lower().rstrip(".!?。！？") + "!!"


def _passed_on(text: str) -> str:
    return f"this 👇 {text}"


_REWORDINGS: tuple[Callable[[str], str], ...] = (_shortened, _tagged, _moved, _careless, _passed_on)

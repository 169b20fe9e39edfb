"""The rooms, opened once and ready to work: models loaded, policy read, brand known.

Rooms know neither one another nor the database; here their values are turned into each other's. Each library loads when its
room is first used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from earshot.case import Case, Offer, PassReason, Route, Sending, Tier
from earshot.errors import ConfigurationError, ModelError
from earshot.mention import Mention, ScoredMention
from earshot.queries import SavedQueries, asked, naming, own_accounts, read_query
from earshot.settings import Settings, SourceSettings

if TYPE_CHECKING:  # scoring a file needs no database, so it must not load one
    from pathlib import Path

    from classifiers.accurate import Encoder
    from classifiers.brand import Brand
    from classifiers.drift import Trend
    from classifiers.model import Model
    from classifiers.panel import Panel, Weighed
    from community_routing.roster import SuperUser
    from earshot.knowledge.suggest import Suggestion
    from earshot.storage import Store
    from earshot.storage.accounts import Member, TrackRecord
    from earshot.storage.articles import Article
    from earshot.storage.cases import CasePage, SolvedCase, WaitingCase
    from earshot.storage.handover import ToOffer
    from earshot.storage.queries import Draft, SavedQuery
    from earshot.storage.reports import HeardPost
    from escalation.policy import Policy
    from escalation.priority import Priority
    from influence.weigh import Factor
    from listener.blind_spots import Proposals
    from listener.trial import Trial

#: minutes that an answer takes, for the hours a super-user gives in a week
MINUTES_PER_ANSWER = 10
#: how often to look whether people's labels brought a change
LOOK_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferPlan:
    offers: tuple[Offer, ...]
    beyond: tuple[Case, ...]  #: what nobody on the roster could ever take


@dataclass(frozen=True, slots=True, kw_only=True)
class Late:
    """An overdue case and where it goes."""

    case: Case
    tier: Tier
    reason: str
    due_at: datetime


class Rooms:
    """Everything that decides, for one policy and one brand."""

    def __init__(
        self,
        *,
        policy: Policy,
        brand: Brand | None = None,
        sending: Sending | None = None,
        accurate_model: Path | None = None,
        accurate_share: float = 0.2,
        own_accounts: Sequence[str] = (),
    ) -> None:
        self.policy = policy
        self.brand = brand
        self.accurate_model = accurate_model
        self.accurate_share = accurate_share
        self.sending = sending or Sending(sources=frozenset())
        self.own_accounts = own_accounts
        self._queries = SavedQueries(own_accounts)
        self._is_warm = False
        self._learnt: int | None = None  #: the change in use, or refused
        self._looked_at: datetime | None = None

    @classmethod
    def open(cls, store: Store, settings: Settings, *, now: datetime) -> Rooms:
        """Rooms for a database: its newest policy (the shipped one in a new database), the brand of the settings.

        Raises `ConfigurationError` when a rule needs a score that nobody gives.
        """
        rooms = cls(
            policy=_current_policy(store, settings, now),
            brand=_brand(settings),
            sending=sending_from(settings),
            accurate_model=settings.accurate_model,
            accurate_share=settings.accurate_share,
            own_accounts=own_accounts(settings.sources),
        )
        rooms.check()
        return rooms

    def check(self) -> None:
        """Raise `ConfigurationError` when the policy asks for a score that nobody gives."""
        from classifiers import CLASSIFIERS, OF_A_BRAND
        from escalation.policy import check

        asked = set(CLASSIFIERS) - (OF_A_BRAND if self.brand is None else set())
        check(self.policy, asked | {"influence"})

    # ---- understand and weigh

    def score(self, mentions: Sequence[Mention]) -> list[ScoredMention]:
        """Every question asked of every mention."""
        from influence.weigh import default_population, weigh

        answers = self._panel.answers(mentions)
        weights = weigh(mentions, default_population())
        return [
            ScoredMention(mention=mention, scores=(*scores, weight))
            for mention, scores, weight in zip(mentions, answers, weights, strict=True)
        ]

    def warm_up(self, *, now: datetime) -> None:
        """Load what scoring needs, unless it was. Raises `ModelError` when the weights are not as they shipped."""
        if not self._is_warm:
            self.score([Mention(network="earshot", native_id="0", author=None, text="hello", url="", posted_at=now)])
            self._is_warm = True

    def use_learnt(self, store: Store, *, now: datetime) -> None:
        """Take up what was learnt from people since the last look, or the way back from it. Looks at most once a minute."""
        if self._looked_at is None or not timedelta(0) <= now - self._looked_at < LOOK_EVERY:
            self.take_up(store)
            self._looked_at = now

    def take_up(self, store: Store) -> None:
        """The same at once, with one statement where nothing changed. A change that belongs to other weights or cannot be understood is
        refused in the log, and the weights go on as they ship.
        """
        from classifiers.model import shipped

        current = store.learnt.current()
        wanted = current.get(shipped().sha256, max(current.values(), default=None))
        if wanted != self._learnt:
            self._panel = self._panel_over(_with_change(shipped(), store, wanted))
            self._learnt = wanted

    @cached_property
    def _panel(self) -> Panel:
        from classifiers.model import shipped

        return self._panel_over(shipped())

    def _panel_over(self, model: Model) -> Panel:
        from classifiers.panel import Panel

        return Panel(brand=self.brand, model=model, accurate=self._accurate, share=self.accurate_share)

    @cached_property
    def _accurate(self) -> Encoder | None:
        from classifiers.accurate import load

        return None if self.accurate_model is None else load(self.accurate_model)

    def explain(self, text: str) -> Mapping[str, Sequence[Weighed]]:
        """Per question the words that weighed, strongest first, with their sign and place."""
        return self._panel.explain(text)

    def informative(self, scored: Sequence[ScoredMention], *, questions: Sequence[str], most: int) -> list[int]:
        """Places of the mentions from whose labels the models would learn most."""
        return self._panel.informative(scored, questions=questions, most=most)

    def drift(self, store: Store, *, questions: Sequence[str], now: datetime) -> list[Trend]:
        """Week by week, for each question that was asked: how often we were unsure, the labels, and how often people agreed."""
        from classifiers.drift import UNSURE_BELOW, Seen, trend

        seen: dict[str, list[Seen]] = {}
        for tally in store.drift.weeks(questions=questions, unsure_below=UNSURE_BELOW, now=now):
            week = Seen(
                week=tally.week,
                mentions=tally.mentions,
                unsure=tally.unsure,
                labels=tally.labels,
                judged=tally.judged,
                agreed=tally.agreed,
            )
            seen.setdefault(tally.question, []).append(week)
        return [trend(question, seen[question]) for question in questions if question in seen]

    def blind_spots(
        self, heard: Sequence[HeardPost], sources: Sequence[SourceSettings], *, weeks: float, saved: Sequence[SavedQuery] = ()
    ) -> Proposals:
        """The words that the searches of `sources`, and the saved queries that name them, miss, by what came in during `weeks`."""
        from listener.blind_spots import Post, propose

        posts = [Post(id=h.id, text=h.text, source=h.source, author=h.author_id, names_topic=h.names_topic) for h in heard]
        asked_of = {source.name: [each.query for each in asked(naming(source.name, saved), self.own_accounts)] for source in sources}
        return propose(posts, sources, weeks=weeks, saved=asked_of)

    def query_with(self, source: SourceSettings, term: str) -> str | None:
        """The query of a source that searches, with one more term; None where a further source is needed, or it hears everything."""
        from listener.blind_spots import search_terms, with_term

        return with_term(source, term) if search_terms(source) else None

    def mask(self, text: str) -> str:
        """The text with personal data replaced by what kind it was."""
        from classifiers.personal_data import mask

        return mask(text)

    def influence_factors(self, mention: Mention) -> tuple[Factor, ...]:
        """The factors of the author's influence as this mention shows it, in words."""
        from influence.weigh import default_population, explain

        return explain(mention, default_population())

    # ---- saved queries

    def use_queries(self, store: Store) -> frozenset[int]:
        """Match with the saved queries as they stand now; returns the ids of those that changed since. One statement."""
        return self._queries.use(store.queries.all())

    def match(self, scored: Sequence[ScoredMention]) -> list[tuple[int, ...]]:
        """For each mention the ids of the saved queries that it matches."""
        return self._queries.match(scored)

    def match_with(self, saved: Sequence[SavedQuery], scored: Sequence[ScoredMention]) -> list[tuple[int, ...]]:
        """The same for these queries alone."""
        return SavedQueries(self.own_accounts, saved).match(scored)

    def try_query(
        self, draft: Draft, posts: Sequence[ScoredMention], sources: Sequence[SourceSettings], *, is_enough: Callable[[], bool]
    ) -> Trial:
        """What a query would find in `posts`, and what it would ask of `sources`. Raises `BadInput` pointing at what cannot be read."""
        from listener.trial import try_out

        return try_out(read_query(draft, self.own_accounts), posts, sources, is_enough=is_enough)

    def check_query(self, draft: Draft) -> None:
        """Raise `BadInput` pointing at what cannot be read."""
        read_query(draft, self.own_accounts)

    def with_names(self, text: str) -> str:
        """The text of a query that asks for the names of the brand besides; as it is where no brand is known."""
        from listener.query import names_query

        names = "" if self.brand is None else names_query((self.brand.name, *self.brand.names))
        return f"({names}) ({text})" if names and text.strip() else names or text

    # ---- decide

    def triage(self, scored: Sequence[ScoredMention], *, now: datetime) -> list[Route]:
        from escalation.triage import triage

        return triage(scored, self.policy, now=now)

    def prioritise(self, scored: Sequence[ScoredMention], routes: Sequence[Route], *, now: datetime) -> list[Priority]:
        from escalation.priority import prioritise

        return prioritise(scored, routes, self.policy, now=now)

    def priorities_now(
        self, waiting: Sequence[WaitingCase], *, now: datetime
    ) -> dict[int, tuple[float, tuple[tuple[str, float, str], ...]]]:
        """Case id -> its priority and parts as time left weighs now; only those that changed."""
        from escalation.priority import time_left, time_pressure

        fresh = {}
        for case in waiting:
            pressure = round(self.policy.weights.time * time_pressure(case.due_at, now=now), 3)
            parts = tuple(
                ("time", pressure, time_left(case.due_at, now=now)) if name == "time" else (name, amount, words)
                for name, amount, words in case.parts
            )
            value = min(1.0, sum(amount for _, amount, _ in parts))
            if abs(value - case.priority) >= 0.005:
                fresh[case.id] = (value, parts)
        return fresh

    def due(self, tier: Tier, lang: str, now: datetime) -> datetime | None:
        """When a case that reaches `tier` now must have an answer; None where nobody needs to answer."""
        from escalation.sla import due

        within = self.policy.within(tier)
        return None if within is None else due(now, within, self.policy.hours_of(tier, lang))

    def overdue(self, cases: Sequence[Case], *, now: datetime) -> list[Late]:
        from escalation.overdue import overdue

        by_id = {case.id: case for case in cases}
        return [Late(case=by_id[e.case_id], tier=e.tier, reason=e.reason, due_at=e.due_at) for e in overdue(cases, self.policy, now=now)]

    def lease_until(self, case: Case, now: datetime) -> datetime:
        """How long a new owner of `case` may be silent."""
        from escalation.overdue import lease_until

        return lease_until(now, case.due_at, self.policy)

    # ---- hand over

    def plan_offers(self, claimed: Sequence[ToOffer], roster: Sequence[Member], *, now: datetime, minutes: float) -> OfferPlan:
        from community_routing.match import OpenCase
        from community_routing.offers import beyond_the_roster, make_offers

        cases = {to_offer.case.id: to_offer.case for to_offer in claimed}
        open_cases = [
            OpenCase(
                id=c.case.id,
                lang=c.case.lang,
                network=c.case.network,
                topics=c.case.topics,
                due_at=c.case.due_at,
                priority=c.case.priority,
                excluded=c.asked_before,
            )
            for c in claimed
        ]
        people = [_super_user(member) for member in roster]
        beyond = {case.id for case in beyond_the_roster(open_cases, people)}
        offers = make_offers([case for case in open_cases if case.id not in beyond], people, now=now, minutes=minutes)
        return OfferPlan(offers=tuple(offers), beyond=tuple(cases[id_] for id_ in sorted(beyond)))

    def needs_approval(self, trust_level: int) -> bool:
        from community_routing.trust import needs_approval

        return needs_approval(trust_level)

    def may_approve(self, trust_level: int) -> bool:
        from community_routing.trust import may_approve

        return may_approve(trust_level)

    def trust_levels(self, roster: Sequence[Member], records: Mapping[int, TrackRecord]) -> dict[int, int]:
        """Account -> her new trust level, for those whose level changes. A level is lost only on as much evidence as it took to earn."""
        from community_routing.trust import LEVELS, Record, level_after

        changed = {}
        for member in roster:
            record, level = records.get(member.account.id), member.membership.trust_level
            if record is None or record.judged < LEVELS[level].answers:
                continue
            now_is = level_after(
                level, Record(judged=record.judged, accepted=record.accepted, reviewed=record.reviewed, agreed=record.agreed)
            )
            if now_is != level:
                changed[member.account.id] = now_is
        return changed

    def pass_tier(self, reason: PassReason, tier: Tier) -> Tier:
        """Where a pass sends a case: too technical to the specialists, too angry to the front line, otherwise nowhere new."""
        wanted = {PassReason.TOO_TECHNICAL: Tier.TIER_2, PassReason.TOO_ANGRY: Tier.TIER_1}.get(reason, tier)
        return max(wanted, tier, key=lambda t: t.rank)

    # ---- knowledge

    def similar(self, store: Store, page: CasePage) -> list[Suggestion[SolvedCase]]:
        """Past cases that ask the same, with the answers that helped."""
        from earshot.knowledge.suggest import Candidate, suggest

        past = store.cases.solved(topics=page.case.topics, lang=page.case.lang)
        candidates = [Candidate(of=p, phrases=(p.text,), lang=p.lang, topics=frozenset(p.topics)) for p in past if p.id != page.case.id]
        return suggest(_asked(page), lang=page.case.lang, topics=page.case.topics, candidates=candidates, most=3)

    def articles(self, store: Store, text: str, lang: str, topics: Sequence[str]) -> list[Suggestion[Article]]:
        """Two articles that fit."""
        from earshot.knowledge.suggest import Candidate, suggest

        candidates = [
            Candidate(of=a, phrases=(a.title, *a.words), lang=a.lang, topics=frozenset({a.topic} - {""}), background=a.body)
            for a in store.articles.all()
        ]
        return suggest(text, lang=lang, topics=topics, candidates=candidates, most=2)


def sending_from(settings: Settings) -> Sending:
    sources = frozenset(source.name for source in settings.sources if source.replies)
    return Sending(sources=sources, spacing=timedelta(seconds=settings.reply_spacing), after=timedelta(seconds=settings.undo_seconds))


def read_policy(settings: Settings) -> Policy:
    """The routing rules that the settings name, or those that ship."""
    from escalation.policy import default_policy, parse_policy

    return default_policy() if settings.policy is None else parse_policy(_text(settings, "policy"))


def _with_change(model: Model, store: Store, change: int | None) -> Model:
    """The model with a learnt change over it; as it is where there is none, or none that fits."""
    import structlog

    from classifiers.learn import changed

    content = None if change is None else store.learnt.content(change)
    if content is None:
        return model
    try:
        return changed(model, content, version=f"{model.version}.{change}")
    except ModelError as err:
        structlog.get_logger().error("learnt_change_refused", change=change, weights=model.version, reason=str(err))
        return model


def _current_policy(store: Store, settings: Settings, now: datetime) -> Policy:
    from escalation.policy import parse_policy

    stored = store.policies.current()
    if stored is not None:
        return parse_policy(stored.toml)
    policy = read_policy(settings)
    version = f"{policy.version}-{hashlib.sha256(policy.text.encode()).hexdigest()[:8]}"
    store.policies.add(version, policy.text, now=now, note="the policy that this database started with")
    return policy


def _brand(settings: Settings) -> Brand | None:
    if settings.brand is None:
        return None
    from classifiers.brand import read_brand

    return read_brand(_text(settings, "brand"))


def _text(settings: Settings, name: str) -> str:
    path = getattr(settings, name)
    try:
        return str(path.read_text(encoding="utf-8"))
    except OSError as err:
        raise ConfigurationError(f"setting {name}: {path} cannot be read: {err.strerror}") from err
    except UnicodeDecodeError as err:
        raise ConfigurationError(f"setting {name}: {path} is not UTF-8 text") from err


def _super_user(member: Member) -> SuperUser:
    from community_routing.roster import Skill, SuperUser

    chosen = member.membership
    quiet = (time.fromisoformat(chosen.quiet_from), time.fromisoformat(chosen.quiet_to)) if chosen.quiet_from and chosen.quiet_to else None
    return SuperUser(
        account=member.account.id,
        name=member.account.name,
        languages=member.account.languages,
        topics=member.account.topics,
        trust=chosen.trust_level,
        open_now=member.open_now + member.offers_now,
        open_posts=chosen.open_posts,
        hours_used=member.answers_this_week * MINUTES_PER_ANSWER / 60,
        hours_per_week=chosen.hours_per_week,
        quiet=quiet,
        zone=chosen.timezone,
        offered_at=member.last_offered_at,
        skills=tuple(Skill(topic=topic, answered=answered, accepted=accepted) for topic, (answered, accepted) in chosen.skills.items()),
        away=chosen.paused or chosen.consent_at is None,
    )


def _asked(page: CasePage) -> str:
    return next((post.scored.mention.text for post in page.posts if post.in_case), "")

"""The brand's own people: they sign in to the pages and work there, through the same addresses as everybody."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from random import Random
from typing import Any

import httpx2

from earshot.case import Move, PassReason, State, Tier
from earshot.demo.agenda import Agenda
from earshot.demo.audience import Audience
from earshot.demo.stage import PASSWORD, Stage
from earshot.demo.story import OUTAGE, Happening, Insider
from earshot.errors import EarshotError
from earshot.storage.accounts import Role
from earshot.web.drafts import counted

#: cases that one of the staff looks at in half an hour
PACE = {State.REVIEW: 10, State.APPROVAL: 10, State.QUEUED: 3}
_WATCHED = (State.REVIEW, State.APPROVAL, State.QUEUED, State.OFFERED)
#: chance that a super-user looks at her desk in time when something is offered to her
LOOKS = 0.7
#: chance that a trusted super-user comes to a draft before a manager does
MENTORS = 0.5
#: chance that a draft is given back
GIVES_BACK = 0.08
KINDER = "Good advice. Say hello first, please, and use their name."
#: share that is left to the visitor just before the story is live: of proposals, of queued cases, of drafts, of offers
LEFT = {State.REVIEW: 0.45, State.QUEUED: 0.6, State.APPROVAL: 0.9, State.OFFERED: 0.7}
#: so many questions in each language newcomers are handed then; what they write about them is left to the visitor
HANDED = {"en": 2, "zh": 2}
#: of the cases that staff take then, so many they do not answer
TAKEN_ONLY = 0.5

_MOVED_MEANWHILE = (404, 409, 422)


class Visitor:
    """One person with her browser. She signs in when she first needs to, and stays signed in."""

    def __init__(self, stage: Stage, insider: Insider, transport: httpx2.HTTPTransport) -> None:
        self.insider = insider
        self._http = httpx2.Client(base_url=stage.site, transport=transport, headers={"origin": stage.site}, timeout=60)
        self._is_signed_in = False

    @property
    def first_name(self) -> str:
        return self.insider.name.split()[0]

    def read(self, path: str, **params: Any) -> Any:
        self._sign_in()
        response = self._http.get(path, params=params)
        if response.status_code >= 400:
            raise EarshotError(f"the demo's pages answered {response.status_code} to {path}")
        return response.json()

    def do(self, path: str, **form: str) -> bool:
        """Send a form; False when the case moved meanwhile or the house would not have it."""
        self._sign_in()
        response = self._http.post(path, data=form, headers={"hx-request": "true"})
        if response.status_code >= 400 and response.status_code not in _MOVED_MEANWHILE:
            raise EarshotError(f"the demo's pages answered {response.status_code} to {path}")
        return response.is_success

    def _sign_in(self) -> None:
        if not self._is_signed_in:
            response = self._http.post("/sign-in", data={"email": self.insider.email, "password": PASSWORD})
            if response.status_code != 303:
                raise EarshotError(f"{self.insider.email} cannot sign in to the demo ({response.status_code})")
            self._is_signed_in = True


class Insiders:
    """Everybody of the brand's, at work."""

    def __init__(self, stage: Stage, audience: Audience, agenda: Agenda, rng: Random, *, leaves: tuple[datetime, datetime]) -> None:
        self.stage = stage
        self.audience = audience
        self.agenda = agenda
        self.rng = rng
        self._leaves = leaves
        self._transport = httpx2.HTTPTransport(verify=False)  # plain HTTP on this machine
        people = [Visitor(stage, insider, self._transport) for insider in stage.story.insiders]
        self.managers = [p for p in people if p.insider.role is Role.MANAGER]
        self.staff = {tier: [p for p in people if p.insider.tier is tier] for tier in (Tier.TIER_1, Tier.TIER_2)}
        self.super_users = {stage.accounts[p.insider.email].id: p for p in people if p.insider.role is Role.SUPER_USER}
        self._handed: set[int] = set()  #: cases that newcomers were handed for the visitor's sake
        self._rung: set[tuple[int, str]] = set()
        self._seen: set[tuple[int, State]] = set()  #: cases that somebody has in mind, or leaves
        self._names = {(c.network, c.handle): c.name for c in stage.story.characters}

    def close(self) -> None:
        self._transport.close()

    def leave_alone(self, account_id: int) -> None:
        """From now on the visitor answers for this super-user."""
        self.super_users.pop(account_id, None)

    def look(self) -> None:
        """Everybody looks at what waits for them; what they do about it they do in the minutes that follow."""
        waiting = self.managers[0].read("/api/queue", state=_WATCHED, limit=200)["cases"]
        in_state = {state: [case for case in waiting if case["state"] == state] for state in _WATCHED}
        self._plan(in_state[State.REVIEW], self._review, most=PACE[State.REVIEW] * len(self.managers))
        self._plan(in_state[State.APPROVAL], self._approve, most=PACE[State.APPROVAL])
        for tier, staff in self.staff.items():
            queue = [case for case in in_state[State.QUEUED] if case["tier"] == tier]
            self._plan(queue, self._take, most=PACE[State.QUEUED] * len(staff))
        self._ring(case["id"] for case in in_state[State.OFFERED])

    def _plan(self, cases: Iterable[Mapping[str, Any]], act: Any, *, most: int) -> None:
        """Plan what comes first; at night little is done, and at the end of the story a part is left to the visitor."""
        most = most if 7 <= self.agenda.clock().hour < 22 else most // 8 + 1
        for case in cases:
            mark = (case["id"], State(case["state"]))
            if mark in self._seen or most <= 0:
                continue
            self._seen.add(mark)
            if not self._is_left(LEFT[mark[1]]):
                most -= 1
                self.agenda.after(self.rng.uniform(1, 25), partial(self._act, act, case, mark))

    def _act(self, act: Any, case: Mapping[str, Any], mark: tuple[int, State]) -> None:
        self._seen.discard(mark)
        if mark[1] is State.ASSIGNED or case["id"] not in self._handed:
            act(case)

    def _is_left(self, most: float) -> bool:
        """Is this left to the visitor? The more likely the nearer the moment when the visitor comes."""
        since, until = self._leaves
        nearness = min(max((self.agenda.clock() - since) / (until - since), 0.0), 1.0) if since < until else 0.0
        return nearness > 0 and self.rng.random() < most * nearness

    # managers

    def _review(self, case: Mapping[str, Any]) -> None:
        manager = self._speaker(self.managers, case["lang"])
        asked = self.audience.behind(case["url"])
        tier = asked.labels.tier if asked else Tier(case["tier"])
        if tier == case["tier"]:
            manager.do(f"/cases/{case['id']}/agree")
        else:
            manager.do(f"/cases/{case['id']}/tier", tier=tier, note="")

    def hand_to_newcomers(self) -> None:
        """Give newcomers questions that they can answer, so that drafts wait when the visitor comes."""
        untaken = self.managers[0].read("/api/queue", state=[State.REVIEW, State.QUEUED, State.OFFERED], limit=200)["cases"]
        untaken.sort(key=lambda case: (case["tier"] != Tier.COMMUNITY, case["due_at"] or ""), reverse=True)  # what lasts longest first
        for lang, number in HANDED.items():
            newcomers = [account for account in self.super_users if self._is_newcomer(account, lang)]
            easy = [case for case in untaken if case["lang"] == lang and self._is_easy(case)]
            for case, account in zip(easy[:number], self.rng.sample(newcomers, min(number, len(newcomers))), strict=False):
                self._hand_to(account, case)

    def _is_newcomer(self, account_id: int, lang: str) -> bool:
        membership = self.stage.store.accounts.membership(account_id)
        speaks = lang in self.super_users[account_id].insider.languages
        return speaks and membership is not None and self.stage.house.rooms.needs_approval(membership.trust_level)

    def _is_easy(self, case: Mapping[str, Any]) -> bool:
        asked = self.audience.behind(case["url"])
        return asked is not None and asked.answer is not None and asked.lang == case["lang"] and asked.labels.tier is Tier.COMMUNITY

    def _hand_to(self, account_id: int, case: Mapping[str, Any]) -> None:
        manager = self._speaker(self.managers, case["lang"])
        if case["tier"] != Tier.COMMUNITY:
            manager.do(f"/cases/{case['id']}/tier", tier=Tier.COMMUNITY, note="")
        if manager.do(f"/cases/{case['id']}/assign", assignee=str(account_id)):
            self._handed.add(case["id"])
            self._help(self.super_users[account_id], case, self.audience.behind(case["url"]), politely=False)

    def _approve(self, case: Mapping[str, Any]) -> None:
        mentors = [p for p in self.super_users.values() if case["lang"] in p.insider.languages and self._is_trusted(p)]
        if mentors and self.rng.random() < MENTORS:
            self._look_over(self.rng.choice(mentors), case["id"])
            return
        manager = self._speaker(self.managers, case["lang"])
        if self.rng.random() < GIVES_BACK:
            manager.do(f"/cases/{case['id']}/reject", note=KINDER)
        else:
            manager.do(f"/cases/{case['id']}/agree")

    def _is_trusted(self, super_user: Visitor) -> bool:
        return self.stage.may_approve(self.stage.accounts[super_user.insider.email])

    def _look_over(self, mentor: Visitor, case_id: int) -> None:
        for draft in mentor.read("/api/desk/drafts"):
            if draft["case"] == case_id and self.rng.random() < GIVES_BACK:
                mentor.do(f"/desk/drafts/{case_id}/give-back", draft=str(draft["id"]), note=KINDER)
            elif draft["case"] == case_id:
                mentor.do(f"/desk/drafts/{case_id}/approve", draft=str(draft["id"]))

    def read_thanks(self) -> None:
        """A manager reads what came of our answers; what the house could not tell for sure she marks as solved."""
        manager = self.managers[0]
        for case in manager.read("/api/queue", state=State.ANSWERED, limit=200)["cases"]:
            last = self.audience.behind(case["url"])
            if last is not None and self._says_thanks(last):
                manager.do(f"/cases/{case['id']}/solve")

    # staff

    def _take(self, case: Mapping[str, Any]) -> None:
        tier = Tier(case["tier"])
        somebody = self._speaker(self.staff[tier], case["lang"])
        asked = self.audience.behind(case["url"])
        wanted = asked.labels.tier if asked else tier
        if asked is not None and self._says_thanks(asked):
            somebody.do(f"/cases/{case['id']}/solve")
        elif wanted is Tier.NONE:
            somebody.do(f"/cases/{case['id']}/close", note="Nothing to answer here.")
        elif wanted.rank > tier.rank:
            somebody.do(f"/cases/{case['id']}/tier", tier=wanted, note="")
        elif self._is_left(TAKEN_ONLY):
            somebody.do(f"/cases/{case['id']}/take")
        else:
            self._answer(somebody, case, asked)

    def _answer(self, somebody: Visitor, case: Mapping[str, Any], asked: Happening | None) -> None:
        lang = "zh" if case["lang"] == "zh" else "en"
        words = self.rng.choice(self.stage.story.staff_answers[lang, self._occasion(asked)])
        if asked is not None and asked.answer:
            words = asked.answer
        text = f"{words} – {somebody.first_name}"
        somebody.do(f"/cases/{case['id']}/answer", text=self._greeting(case["network"], case["handle"], text, lang))

    def _occasion(self, asked: Happening | None) -> str:
        if asked is None:
            return "complaint"
        if asked.labels.risk == "safety":
            return "safety"
        if OUTAGE[0] <= asked.at <= OUTAGE[1] + timedelta(hours=12) and asked.labels.needs == "account":
            return "outage"
        return asked.labels.needs if asked.labels.needs in ("account", "specialist") else "complaint"

    # super-users

    def _ring(self, offered: Iterable[int]) -> None:
        """Tell super-users that something is offered to them, as their phones would; some hear it too late."""
        for case_id in offered:
            last = self.managers[0].read(f"/api/cases/{case_id}")["events"][-1]
            mark = (case_id, last["at"])
            if last["move"] == Move.OFFER and mark not in self._rung:
                self._rung.add(mark)
                asked = self.super_users.get(last["data"]["super_user"])
                if asked and self.rng.random() < LOOKS and not self._is_left(LEFT[State.OFFERED]):
                    self.agenda.after(self.rng.uniform(1, 14), partial(self._look_at_desk, asked))

    def _look_at_desk(self, super_user: Visitor) -> None:
        for case in super_user.read("/api/desk"):
            asked = self.audience.behind(case["url"])
            if case["offer"] is not None:
                self._consider(super_user, case, asked)
            elif case["state"] == State.ASSIGNED and (case["id"], State.ASSIGNED) not in self._seen:
                self._help(super_user, case, asked, politely=True)

    def _consider(self, super_user: Visitor, case: Mapping[str, Any], asked: Happening | None) -> None:
        if asked is None or asked.answer is None:
            reason = asked.labels.pass_reason if asked else PassReason.NOT_MY_TOPIC
            super_user.do(f"/desk/cases/{case['id']}/pass", reason=reason)
        elif super_user.do(f"/desk/offers/{case['offer']}/accept"):
            self._help(super_user, case, asked, politely=asked.key.startswith("n"))

    def _help(self, super_user: Visitor, case: Mapping[str, Any], asked: Happening | None, *, politely: bool) -> None:
        """Answer in a while; a case that she cannot answer any more she passes on."""
        if asked is None or asked.answer is None:
            super_user.do(f"/desk/cases/{case['id']}/pass", reason=PassReason.TOO_TECHNICAL)
            return
        text = self._greeting(case["network"], asked.author, asked.answer, asked.lang) if politely else asked.answer
        mark = (case["id"], State.ASSIGNED)
        self._seen.add(mark)
        self.agenda.after(self.rng.uniform(4, 25), partial(self._act, partial(self._send, super_user, text=text), case, mark))

    def _send(self, super_user: Visitor, case: Mapping[str, Any], *, text: str) -> None:
        super_user.do(f"/desk/cases/{case['id']}/answer", text=text)

    # all

    def _says_thanks(self, happening: Happening) -> bool:
        """It is a verdict, and a good one."""
        return happening.helped and happening.verdict is None

    def _speaker(self, people: Sequence[Visitor], lang: str) -> Visitor:
        return self.rng.choice([p for p in people if lang in p.insider.languages] or list(people))

    def _greeting(self, network: str, handle: str, text: str, lang: str) -> str:
        name = self._names.get((network, handle), handle)
        greeted = f"{name}您好,{text}" if lang == "zh" else f"Hi {name.split()[0]}! {text}"
        return greeted if network != "x" or counted(greeted, network) <= 280 else text

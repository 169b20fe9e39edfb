"""What came of a playing, counted where the truth is: on the networks themselves and in the database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from earshot.case import Move, State, Tier
from earshot.demo.networks.world import NETWORKS, World
from earshot.demo.performance import Performance
from earshot.errors import EarshotError
from earshot.pipeline import case_key
from earshot.storage import Store

#: fewer solved cases than this in the whole story mean that something does not work
LEAST_SOLVED = 40
_ALL = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    posted: int  #: on the networks, by others than us
    heard: int
    lost: int
    invented: int  #: heard, and on no network
    cases: Mapping[tuple[State, Tier], int]
    offers: Mapping[str, int]
    replies: int
    doubled: int  #: replies to a post that has one of ours already
    angry: int  #: cases with an angry post, as a careful reader sees it
    angry_to_community: int  #: … and went to super-users without a person looking

    @property
    def solved(self) -> int:
        return sum(n for (state, _), n in self.cases.items() if state is State.SOLVED)

    def rows(self) -> list[tuple[str, str]]:
        """The table that is printed."""
        by_state = Counter[State]()
        for (state, _), n in self.cases.items():
            by_state[state] += n
        tiers = {s: ", ".join(f"{t.value.replace('_', ' ')} {n}" for (of, t), n in sorted(self.cases.items()) if of is s) for s in by_state}
        return [
            ("posts on the networks", f"{self.posted:,}"),
            ("mentions stored", f"{self.heard:,}  (lost {self.lost}, invented {self.invented})"),
            *((f"cases {s.value}", f"{by_state[s]:,}  ({tiers[s]})") for s in State if by_state[s]),
            ("offers", ", ".join(f"{name} {n}" for name, n in self.offers.items())),
            ("replies on the networks", f"{self.replies:,}  (doubled {self.doubled})"),
            ("angry cases", f"{self.angry}  (to super-users without a look: {self.angry_to_community})"),
        ]

    def check(self, *, least_solved: int) -> None:
        """Raise `EarshotError` when the playing shows that something is wrong."""
        wrong = {
            "mentions were lost": self.lost,
            "mentions are on no network": self.invented,
            "replies stand there twice": self.doubled,
            f"solved cases are missing to {least_solved}": max(least_solved - self.solved, 0),
        }
        found = [f"{n} {what}" for what, n in wrong.items() if n]
        if found:
            raise EarshotError(f"the demo did not go well: {'; '.join(found)}")


def result_of(performance: Performance) -> Result:
    """Count. Call it when nothing is under way any more."""
    stage = performance.stage
    theirs = {network: _theirs(stage.world, network) for network in NETWORKS}
    kept = {network: set(stage.store.mentions.by_native_ids(network, ids)) for network, ids in theirs.items()}
    heard, posted = sum(stage.store.mentions.counts().values()), sum(map(len, theirs.values()))
    known = sum(map(len, kept.values()))
    answered = Counter((reply.network, reply.parent) for reply in stage.world.replies())
    cases = stage.store.cases.queue(states=tuple(State), limit=_ALL).items
    moves = Counter(event.move for item in cases for event in stage.store.cases.events(item.case.id))
    offers = {"made": Move.OFFER, "accepted": Move.ACCEPT, "passed": Move.PASS, "expired": Move.EXPIRE}
    angry = _angry(performance) & {item.case.key for item in cases}
    return Result(
        posted=posted,
        heard=heard,
        lost=posted - known,
        invented=heard - known,
        cases=Counter((item.case.state, item.case.tier) for item in cases),
        offers={name: moves[move] for name, move in offers.items()},
        replies=sum(answered.values()),
        doubled=sum(n - 1 for n in answered.values()),
        angry=len(angry),
        angry_to_community=sum(_went_to_community(stage.store, item.case.id) for item in cases if item.case.key in angry),
    )


def _theirs(world: World, network: str) -> list[str]:
    ours = {reply.native_id for reply in world.replies(network)}
    return [native_id for native_id in world.ids(network) if native_id not in ours]


def _angry(performance: Performance) -> set[str]:
    """Keys of the cases of angry posts."""
    mentions = (scored.mention for scored in performance.stage.store.mentions.understood())
    return {case_key(m) for m in mentions if (h := performance.audience.behind(m.url)) and h.labels.anger == 2}


def _went_to_community(store: Store, case_id: int) -> bool:
    first = next((e for e in store.cases.events(case_id) if e.actor == "triage" and e.move is not Move.JOIN), None)
    return first is not None and first.move is Move.QUEUE and first.data.get("tier") == Tier.COMMUNITY

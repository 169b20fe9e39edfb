"""People correct us, and the next posts are read better: learning over a real database and the weights that ship."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from command_line import CommandLine
from houses import NOW, post, sqlite_store, staff
from structlog.testing import capture_logs

from classifiers.model import shipped
from earshot.errors import BadInput, Conflict
from earshot.learning import Learning, go_back, learn_now, learn_tonight, use, versions
from earshot.mention import Score
from earshot.pipeline import take_in
from earshot.rooms import LOOK_EVERY, Rooms
from earshot.scheduler import House
from earshot.settings import Settings
from earshot.storage import Store
from escalation.policy import default_policy

CORRECTIONS = 200
#: at this brand an order that was cancelled is called "zibbed", and only the brand can mend it
ZIBBED = ("got zibbed", "was zibbed again", "is zibbed", "just zibbed itself", "has been zibbed", "went zibbed")
THINGS = ("my lamp", "the blue lamp", "that hub", "my new bulb", "the garden set", "a birthday present", "our starter kit", "the whole box")
WHEN = ("today", "last night", "on monday", "before lunch", "an hour ago", "twice this week", "out of nowhere", "this morning")
ENDS = ("what now", "any idea", "so sad", "how come", "lovely", "not again", "is that normal", "please help", "hm", "somebody else")
ORDINARY = (
    "How do I reset my lamp?",
    "I love my lamp, thank you!",
    "My hub is broken and I am FURIOUS, you liars!",
    "Can I dim the bulb at night without the app?",
    "Where is my parcel? It was due on Monday.",
    "The lamp smells burnt and sparks flew, is it safe?",
    "It would be great if the app had a dark mode",
    "请问怎么把灯连接到路由器？",
)


def zibbed_posts() -> list[str]:
    """Some of what these words can say."""
    texts = [f"{thing} {what} {when}, {end}" for thing in THINGS for what in ZIBBED for when in WHEN for end in ENDS]
    return random.Random(7).sample(texts, 800)


def answers(rooms: Rooms, texts: Sequence[str]) -> list[dict[str, Score]]:
    scored = rooms.score([post(str(number), text) for number, text in enumerate(texts)])
    return [{score.name: score for score in each.scores} for each in scored]


def said(scores: dict[str, Score], *, beside: str = "") -> dict[str, tuple[str, float, float]]:
    """Question -> answer, whichever version gave it."""
    return {name: (score.label, score.value, score.confidence) for name, score in scores.items() if name != beside}


def new_rooms() -> Rooms:
    return Rooms(policy=default_policy())


def install(store: Store, content: bytes, *, base: str = "") -> int:
    return store.learnt.install(content, base=base or shipped().sha256, labels=CORRECTIONS, judged=[], now=NOW)


def correct(store: Store, texts: Sequence[str]) -> None:
    """The posts come in, and each time a person says that it needs us."""
    manager = staff(store, "Manu")
    take_in(store, new_rooms(), [post(f"zibbed-{n}", text, by=f"author{n}") for n, text in enumerate(texts)], source="x", now=NOW)
    found = store.lessons.candidates(day=NOW.date(), since=NOW - timedelta(days=1), until=NOW)  # no near copies
    for mention_id, _ in found[:CORRECTIONS]:
        store.labels.keep(mention_id, {"needs": "account"}, by=manager.id, now=NOW)


@dataclass(frozen=True)
class World:
    """A brand that was corrected, before and after learning from it."""

    corrected: Path
    learnt: Path
    learning: Learning
    change: bytes  #: what was installed
    unseen: Sequence[str]  #: posts with its word that nobody labelled

    @contextmanager
    def before(self, folder: Path) -> Iterator[Store]:
        with opened(self.corrected, folder) as store:
            yield store

    @contextmanager
    def after(self, folder: Path) -> Iterator[Store]:
        with opened(self.learnt, folder) as store:
            yield store


@contextmanager
def opened(database: Path, folder: Path) -> Iterator[Store]:
    path = folder / "earshot.db"
    path.write_bytes(database.read_bytes())
    with closing(Store(f"sqlite:///{path}", busy_seconds=10)) as store:
        yield store


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    corrected, learnt = tmp_path_factory.mktemp("corrected"), tmp_path_factory.mktemp("learnt")
    texts = zibbed_posts()
    misread = [text for text, scores in zip(texts, answers(new_rooms(), texts), strict=True) if scores["needs"].label != "account"]
    misread = misread[: CORRECTIONS + 150]
    if len(misread) < CORRECTIONS + 150:
        pytest.skip("the weights that ship read nearly all of these posts as needing us: there is nothing to correct")
    with sqlite_store(corrected) as store:
        correct(store, misread[:-100])
    with opened(corrected / "earshot.db", learnt) as store:
        learning = learn_now(store, new_rooms(), now=NOW + timedelta(hours=1))
        change = store.learnt.content(1) or b""
    return World(corrected / "earshot.db", learnt / "earshot.db", learning, change, misread[-100:])


# two hundred corrections


def test_two_hundred_corrections_make_corrections_that_were_held_back_right(world: World) -> None:
    [judged] = world.learning.judged
    assert (judged.question, judged.labels, judged.corrections, judged.kept) == ("needs", CORRECTIONS, CORRECTIONS, True)
    assert judged.judged > 20
    assert judged.right_after > judged.right_before + 0.3
    assert judged.rehearsed_after > judged.rehearsed_before - 0.02
    assert world.learning.version == f"{shipped().version}.1"


def test_posts_that_nobody_labelled_are_read_better_too(world: World, tmp_path: Path) -> None:
    with world.after(tmp_path) as store:
        rooms = new_rooms()
        rooms.take_up(store)
        right = [scores["needs"].label == "account" for scores in answers(rooms, world.unseen)]
    assert sum(right) > 0.5 * len(right)


def test_no_other_question_is_answered_otherwise(world: World, tmp_path: Path) -> None:
    texts = [*ORDINARY, *world.unseen]
    before = answers(new_rooms(), texts)
    with world.after(tmp_path) as store:
        rooms = new_rooms()
        rooms.take_up(store)
        after = answers(rooms, texts)
    assert [said(scores, beside="needs") for scores in after] == [said(scores, beside="needs") for scores in before]
    assert [said(scores) for scores in after] != [said(scores) for scores in before]


def test_scores_say_which_version_gave_them(world: World, tmp_path: Path) -> None:
    with world.after(tmp_path) as store:
        rooms = new_rooms()
        rooms.take_up(store)
        [scores] = answers(rooms, ["my lamp got zibbed today, what now"])
    assert scores["needs"].by == f"needs-{shipped().version}.1"


def test_the_way_back_gives_the_old_answers_exactly(world: World, tmp_path: Path) -> None:
    texts = [*ORDINARY, *world.unseen]
    before = answers(new_rooms(), texts)
    with world.after(tmp_path) as store:
        rooms = new_rooms()
        rooms.take_up(store)
        assert answers(rooms, texts) != before
        assert go_back(store, rooms).name == shipped().version
        assert answers(rooms, texts) == before
        with pytest.raises(Conflict, match="the weights that ship are in use"):
            go_back(store, rooms)


def test_learning_anew_undoes_the_way_back(world: World, tmp_path: Path) -> None:
    with world.after(tmp_path) as store:
        rooms = new_rooms()
        rooms.take_up(store)
        learnt = answers(rooms, world.unseen)
        go_back(store, rooms)
        again = learn_now(store, rooms, now=NOW)
        assert again.judged == world.learning.judged
        assert [said(scores) for scores in answers(rooms, world.unseen)] == [said(scores) for scores in learnt]


def test_any_version_that_is_kept_can_be_put_in_use(world: World, tmp_path: Path) -> None:
    with world.after(tmp_path) as store:
        rooms = new_rooms()
        install(store, world.change)
        first, ship = f"{shipped().version}.1", shipped().version
        assert [version.name for version in versions(store)] == [f"{ship}.2", first, ship]
        version, before = use(store, rooms, 1)
        assert (version.name, before) == (first, 2)
        assert [version.is_in_use for version in versions(store)] == [False, True, False]
        version, before = use(store, rooms, None)
        assert (version.name, before) == (ship, 1)
        with pytest.raises(BadInput, match="no learnt change 9"):
            use(store, rooms, 9)


def test_without_labels_there_is_nothing_to_learn(tmp_path: Path) -> None:
    with sqlite_store(tmp_path) as store:
        assert learn_now(store, new_rooms(), now=NOW) == Learning(judged=(), version=None)
        assert [version.name for version in versions(store)] == [shipped().version]


# workers


@dataclass
class Shift:
    """A worker that goes on while others learn; its clock is set by hand."""

    store: Store
    now: datetime = NOW

    def __post_init__(self) -> None:
        self.house = House(Settings(), self.store, new_rooms(), clock=lambda: self.now)
        self.heard = 0

    def reads(self, text: str) -> Score:
        """A post comes in and is understood in the worker's next round."""
        from houses import keep

        self.heard += 1
        keep(self.store, post(f"new-{self.heard}", text, by=f"new{self.heard}"), now=self.now)
        assert self.house.understand() == 1
        stored = max(self.store.lessons.candidates(day=NOW.date(), since=NOW - timedelta(days=1), until=NOW))
        return next(score for score in stored[1].scores if score.name == "needs")


def test_a_running_worker_takes_up_what_was_learnt_and_the_way_back_within_a_minute(world: World, tmp_path: Path) -> None:
    fresh = iter(world.unseen)
    with world.before(tmp_path) as store:
        shift, elsewhere = Shift(store), new_rooms()
        assert shift.reads(next(fresh)).by == f"needs-{shipped().version}"
        install(store, world.change)
        shift.now += LOOK_EVERY - timedelta(seconds=1)
        assert shift.reads(next(fresh)).by == f"needs-{shipped().version}"
        shift.now += timedelta(seconds=1)
        read = shift.reads(next(fresh))
        assert (read.by, read.label) == (f"needs-{shipped().version}.1", "account")
        go_back(store, elsewhere)
        shift.now += LOOK_EVERY
        assert shift.reads(next(fresh)).by == f"needs-{shipped().version}"


def test_of_many_workers_one_learns_in_a_night_and_only_when_there_is_something_new(world: World, tmp_path: Path) -> None:
    night = NOW + timedelta(hours=15)
    with world.after(tmp_path) as store:
        assert learn_tonight(store, new_rooms(), now=night) == 0
        mention_id = store.labels.taught()[0].mention_id
        store.labels.keep(mention_id, {"anger": "annoyed"}, by=1, now=night + timedelta(hours=1))
        night += timedelta(days=1)
        assert [learn_tonight(store, new_rooms(), now=night) for _ in range(3)] == [1, 0, 0]
        assert len(store.learnt.listed()) == 2


@pytest.mark.parametrize("wanted", [True, False])
def test_workers_learn_at_night_unless_the_settings_forbid_it(wanted: bool, tmp_path: Path) -> None:
    with sqlite_store(tmp_path) as store:
        house = House(Settings(learn_nightly=wanted), store, new_rooms())
        assert (house._scheduler.get_job("learn") is not None) is wanted


# changes that must not be used


def refused(store: Store, rooms: Rooms) -> str:
    """What the log says while a worker looks twice: it complains once."""
    with capture_logs() as logs:
        rooms.take_up(store)
        rooms.take_up(store)
    [line] = logs
    assert (line["event"], line["log_level"]) == ("learnt_change_refused", "error")
    return str(line["reason"])


@pytest.mark.parametrize("content", [b"", b"zibbed", b"\x00" * 64, b"\xff" * 9], ids=repr)
def test_a_change_that_cannot_be_read_is_refused_and_the_weights_that_ship_go_on(content: bytes, tmp_path: Path) -> None:
    with sqlite_store(tmp_path) as store:
        rooms = new_rooms()
        install(store, content)
        reason = refused(store, rooms)
        assert "earshot learn" in reason
        assert "zibbed" not in reason
        assert answers(rooms, ORDINARY) == answers(new_rooms(), ORDINARY)


def test_a_change_for_other_weights_is_refused(world: World, tmp_path: Path) -> None:
    with world.after(tmp_path) as store:
        store.learnt.use(None, base=shipped().sha256)
        install(store, world.change.replace(shipped().sha256.encode(), b"0" * 64), base="0" * 64)
        rooms = new_rooms()
        assert "other weights" in refused(store, rooms)
        assert answers(rooms, ORDINARY) == answers(new_rooms(), ORDINARY)


# the command line


@pytest.fixture
def earshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    return CommandLine(tmp_path, monkeypatch)


def test_learn_without_labels_says_how_to_give_some(earshot: CommandLine) -> None:
    answer = earshot("learn")
    assert answer.status == 0
    assert answer.out.startswith("nobody taught anything yet: correct scores")


def test_learn_prints_what_became_better_and_the_way_back_is_a_command(earshot: CommandLine, world: World, tmp_path: Path) -> None:
    with world.before(tmp_path):
        pass
    learnt = earshot("learn")
    assert learnt.status == 0
    title, needs, _, told = learnt.out.splitlines()
    assert title.split()[:3] == ["question", "labels", "corrections"]
    assert needs.split()[:3] == ["needs", "200", "200"]
    assert needs.endswith("kept: better on the labels held back")
    assert told.startswith(f"version {shipped().version}.1 is in use")
    title, first, ship = earshot("learn", "--list").out.splitlines()
    assert first.startswith(f"{shipped().version}.1  ")
    assert first.endswith("in use")
    assert ship.split() == [shipped().version, "as", "shipped"]
    assert f"version {shipped().version} is in use again" in earshot("learn", "--back").out
    nothing = earshot("learn", "--back")
    assert (nothing.status, nothing.err) == (2, "earshot: the weights that ship are in use: there is nothing to go back from\n")
    assert earshot("learn", "--back", "--list").status == 2

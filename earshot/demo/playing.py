"""`earshot demo`: the story on the visitor's own machine."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta

import structlog
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Table

from earshot.demo.agenda import Clock
from earshot.demo.performance import Performance
from earshot.demo.result import LEAST_SOLVED, Result, result_of
from earshot.demo.stage import PASSWORD, Stage, set_stage
from earshot.demo.story import ENDS, live_from, read_story, with_a_rush
from earshot.scheduler import utc_now
from earshot.storage.accounts import Account, Role
from earshot.web.words import many

PORT = 8000
LINK_MINUTES = 7 * 24 * 60.0

_DAYS = (
    "an ordinary Monday",
    "version 5.0 of the app comes out",
    "where are my scenes?",
    "a sale on the Canopy",
    "firmware 3.2 for the Hub 2",
    "some hubs stay amber",
    "a quiet Sunday",
    "an adapter gets hot, and a reporter asks",
    "18:40: the cloud goes down",
    "the day after, and refunds",
    "the subscription gets dearer",
    "calmer",
    "thanks, and plants",
    "today",
)


def play(*, port: int | None = None, check: bool = False, days: int = 14, database_url: str | None = None, seed: int = 7) -> None:
    """Play the story and show it, until stopped. `check`: play `days` of it at once without a visitor, print what came of it, and stop.

    Raises `EarshotError` when the port is taken, the database is in use, or the check finds that something went wrong.
    """
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    console, story = Console(highlight=False), with_a_rush(read_story(seed=seed))
    began = utc_now() - live_from(story)
    port = (0 if check else PORT) if port is None else port
    upto = min(timedelta(days=days), ENDS) if check else live_from(story)
    with (
        _interruptible(),
        set_stage(story, Clock(began), port=port, database_url=database_url, seed=seed) as stage,
        closing(Performance(stage, began=began, upto=upto, seed=seed)) as performance,
    ):
        if check:
            _check(console, performance, least_solved=LEAST_SOLVED * upto // ENDS)
        else:
            _show(console, stage, performance)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C ends the demo without a word of trouble, and so does being asked to end."""
    before = signal.getsignal(signal.SIGTERM)
    is_main = threading.current_thread() is threading.main_thread()
    if is_main:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        Console().print("\nThe demo ends.")
    finally:
        if is_main:
            signal.signal(signal.SIGTERM, before)


def _check(console: Console, performance: Performance, *, least_solved: int) -> None:
    _catch_up(console, performance)
    result = result_of(performance)
    _print_result(console, result)
    result.check(least_solved=least_solved)


def _show(console: Console, stage: Stage, performance: Performance) -> None:
    console.print(f"\n[bold]Lumifern[/bold], an invented brand, is at [bold]{stage.site}[/bold]")
    console.print("The pages are open already; the last two weeks are being played now, in a minute or three.\n")
    _print_links(console, stage)
    _catch_up(console, performance)
    console.print(
        "\nFrom here on it is live: " + f"{len(performance.kept)} more posts come within the next minutes. Sign in and work along:\n"
    )
    _print_links(console, stage)
    for account in (_busiest(stage), _mentor(stage)):
        performance.insiders.leave_alone(account.id)
    console.print("Ctrl-C ends the demo.")
    performance.go_on(threading.Event())


def _catch_up(console: Console, performance: Performance) -> None:
    if not console.is_terminal:
        performance.catch_up(lambda at: console.print(_day(at)) if at % timedelta(days=1) == timedelta(hours=1) else None)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(_day(timedelta(0)), total=performance.upto.total_seconds())
        performance.catch_up(lambda at: progress.update(task, completed=at.total_seconds(), description=_day(at)))


def _day(at: timedelta) -> str:
    day = min(at, ENDS - timedelta(seconds=1)).days
    return f"day {day + 1:2}: {_DAYS[day]}"


def _print_links(console: Console, stage: Stage) -> None:
    """One link for each role; a link may be used as often as one likes."""
    from earshot.web.sign_in import entry_link

    for what, account in guests_of(stage):
        console.print(f"  {what:42}", entry_link(stage.settings, account.id, minutes=LINK_MINUTES, once=False), soft_wrap=True)
    console.print(f'  (or with anybody\'s e-mail address and the password "{PASSWORD}")\n')


def guests_of(stage: Stage) -> Iterator[tuple[str, Account]]:
    """Whom the visitor may sign in as: who that is in words, and the account."""
    accounts = list(stage.accounts.values())
    for role in (Role.ADMIN, Role.MANAGER):
        yield role.value, next(a for a in accounts if a.role is role)
    for tier in sorted({a.tier for a in accounts if a.tier}):
        staff = next(a for a in accounts if a.tier is tier)
        yield f"staff, {tier.value.replace('_', ' ')}", staff
    busiest = _busiest(stage)
    yield f"super-user ({many(_offers(stage, busiest), 'open offer')})", busiest
    mentor = _mentor(stage)
    yield f"trusted super-user ({many(_drafts(stage, mentor), 'draft')} to look over)", mentor
    yield "marketer", next(a for a in accounts if a.role is Role.MARKETER)


def _busiest(stage: Stage) -> Account:
    return max((a for a in stage.accounts.values() if a.role is Role.SUPER_USER), key=lambda a: _offers(stage, a))


def _mentor(stage: Stage) -> Account:
    """Of those who may approve what others write, whoever has most to look over; she speaks most languages while that is the same."""
    trusted = [a for a in stage.accounts.values() if stage.may_approve(a) and a != _busiest(stage)]
    return max(trusted, key=lambda a: (_drafts(stage, a), len(a.languages)))


def _drafts(stage: Stage, account: Account) -> int:
    return len(stage.store.drafts.waiting(approver=account.id, languages=account.languages))


def _offers(stage: Stage, account: Account) -> int:
    return sum(item.offer_id is not None for item in stage.store.handover.desk(account.id))


def _print_result(console: Console, result: Result) -> None:
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in result.rows():
        table.add_row(name, value)
    console.print(table)

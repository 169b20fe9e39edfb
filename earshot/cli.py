"""The command line. Everything heavy is imported inside the command that needs it, so that `--help` answers at once."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earshot import __version__

if TYPE_CHECKING:
    from earshot.scheduler import House
    from earshot.settings import Settings
    from earshot.storage import Store
    from earshot.storage.backfills import Backfill

app = typer.Typer(
    name="earshot",
    help="Hear what people say about a brand, and let those who know answer.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich costs a third of a second, and help must be instant
)
account_app = typer.Typer(help="People who may sign in.", no_args_is_help=True)
db_app = typer.Typer(help="The database.", no_args_is_help=True)
report_app = typer.Typer(help="Reports as tables.", no_args_is_help=True)
app.add_typer(account_app, name="account")
app.add_typer(db_app, name="db")
app.add_typer(report_app, name="report")


def main() -> None:
    """Run the command line; errors that we expect become one clear line and exit status 2."""
    from earshot.errors import EarshotError

    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # workers stand side by side: one core each
    try:
        app()
    except EarshotError as err:
        _say(f"earshot: {err}", error=True)
        sys.exit(2)


def _say(text: str, *, error: bool = False) -> None:
    typer.echo(text, err=error)


def _version(wanted: bool) -> None:
    if wanted:
        _say(f"earshot {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")] = False,
) -> None:
    pass


@app.command()
def demo(
    port: Annotated[int | None, typer.Option(help="Port of the pages; 0 takes a free one.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Play the whole story without pages, print what came of it, and stop.")] = False,
    days: Annotated[int, typer.Option(min=1, max=14, help="With --check: play only so many of its days.")] = 14,
    database_url: Annotated[str | None, typer.Option(help="Keep the demo's database here instead of a temporary file.")] = None,
    seed: Annotated[int, typer.Option(help="Another seed, other chances.")] = 7,
) -> None:
    """Show the whole product on an invented brand: local networks, invented people, real pages."""
    from earshot.demo import play

    play(port=port, check=check, days=days, database_url=database_url, seed=seed)


@app.command()
def serve(
    work: Annotated[bool, typer.Option("--work", help="Also poll, understand and send in this process.")] = False,
) -> None:
    """Serve the pages."""
    import contextlib

    from earshot.rooms import Rooms
    from earshot.scheduler import House, utc_now
    from earshot.web.serve import serve_until_stopped

    settings, store = _open()
    rooms = Rooms.open(store, settings, now=utc_now())
    with House(settings, store, rooms) if work else contextlib.nullcontext():
        serve_until_stopped(store, rooms, settings, clock=utc_now)


@app.command()
def work() -> None:
    """Poll the networks, understand, hand over and send, until stopped. Any number may run side by side."""
    from earshot.rooms import Rooms
    from earshot.scheduler import House, utc_now

    settings, store = _open()
    stop = threading.Event()
    for wanted in (signal.SIGINT, signal.SIGTERM):
        signal.signal(wanted, lambda *_: stop.set())
    with House(settings, store, Rooms.open(store, settings, now=utc_now())):
        stop.wait()


@app.command()
def listen(
    once: Annotated[bool, typer.Option("--once", help="Poll every source one time, understand what came, and stop.")] = False,
    network: Annotated[str, typer.Option(help="Look at this network instead, print what stands there, and keep nothing.")] = "",
    query: Annotated[str, typer.Option(help="With --network: what to look for.")] = "",
    since: Annotated[str, typer.Option(help="With --network: how far back, as 90m, 12h, 1d or 2w.")] = "1d",
    most: Annotated[int, typer.Option(min=1, help="With --network: show at most so many posts.")] = 200,
    url: Annotated[str, typer.Option(help="With --network: another address of the network's API.")] = "",
    allow_private: Annotated[bool, typer.Option("--allow-private", help="With --network and --url: a server in your own house.")] = False,
) -> None:
    """Poll the networks: as `earshot work` does, once, or one that nothing is set up for."""
    if network:
        _preview(network, query, since=since, most=most, url=url, allow_private=allow_private)
        return
    if not once:
        work()
        return
    from earshot.rooms import Rooms
    from earshot.scheduler import House, is_dead, utc_now

    settings, store = _open()
    store.release_claims(is_dead)
    for source in settings.sources:
        store.sources.wake(source.name, now=utc_now())
    house = House(settings, store, Rooms.open(store, settings, now=utc_now()))
    house.step()
    for status in store.sources.statuses():
        _say(f"{status.name}: {status.state.value}" + (f" ({status.reason})" if status.reason else ""))
    _say(f"mentions: {sum(store.mentions.counts().values())}")
    house.close()


@app.command()
def sources() -> None:
    """Show each source: whether its keys are there, how it does, when it polls, what it read and what that cost, and its gaps."""
    from earshot.reporting import sources_report
    from earshot.scheduler import utc_now

    settings, store = _open()
    _say(sources_report(settings, store, now=utc_now()).rstrip("\n"))
    store.close()


@app.command()
def backfill(
    source: Annotated[str, typer.Argument(help="Its name in earshot.toml.")],
    since: Annotated[str, typer.Option(help="From when: so long ago, as 12h, 7d or 2w, or a date, as 2026-11-01.")] = "7d",
    until: Annotated[str, typer.Option(help="Until when, written alike; now where left out.")] = "",
    cancel: Annotated[bool, typer.Option("--cancel", help="End the one that is under way; what it brought stays.")] = False,
) -> None:
    """Read a span of time of a source again, without moving its polls. One that was broken off goes on where it was."""
    from earshot.backfilling import in_words, moment_of
    from earshot.errors import BadInput
    from earshot.rooms import Rooms
    from earshot.scheduler import House, utc_now

    settings, store = _open()
    if source not in (names := [each.name for each in settings.sources]):
        raise BadInput(f"there is no source {source!r} in earshot.toml; there are: {', '.join(names) or 'none yet'}")
    now, under_way = utc_now(), store.backfills.open_one(source)
    if cancel:
        if under_way is None or not store.backfills.cancel(under_way.id, now=now):
            raise BadInput(f"no back-fill of {source} is under way")
        _say(f"{source}: cancelled")
        return
    house = House(settings, store, Rooms.open(store, settings, now=now))
    if under_way is None:
        until_then = moment_of(until, now=now) if until else now
        under_way = store.backfills.ask(source, since=moment_of(since, now=now), until=until_then, now=now)
    else:
        _say("one is under way, and goes on here", error=True)
    ended, why = _follow(house, under_way)
    house.close()
    _say(in_words(ended))
    if why:
        _say(f"it waits: {why}\nIt goes on by itself while earshot work runs, or with this command again.", error=True)
    if ended.state != "done":
        raise typer.Exit(1)


def _follow(house: House, backfill: Backfill) -> tuple[Backfill, str]:
    """Work on a back-fill, or watch who does, until it ends or has to wait; returns it, and for what it waits."""
    from earshot.backfilling import waits_for
    from earshot.forgetting import progress_bar

    name, store, stop = backfill.source, house.store, threading.Event()
    with progress_bar(show=sys.stderr.isatty()) as progress:

        def show(now: Backfill) -> None:
            progress(f"{name}: back to {now.oldest or now.until:%Y-%m-%d %H:%M}", round(now.covered * 1000), 1000)

        show(backfill)
        while backfill.state == "open":
            if why := waits_for(backfill, store.sources.status(name), now=house.clock()):
                return backfill, why
            before = backfill
            house.fill(name, show)
            backfill = store.backfills.get(backfill.id)
            show(backfill)
            if backfill == before:  # somebody else has it
                stop.wait(0.5)
    return backfill, ""


def _preview(network: str, query: str, *, since: str, most: int, url: str, allow_private: bool) -> None:
    from collections import Counter

    from earshot.preview import as_lines, in_short, look, source_of
    from earshot.scheduler import utc_now

    settings = source_of(network, query, since=since, url=url, allow_private=allow_private)
    seen = Counter[str]()
    for scored in look(settings, now=utc_now(), most=most):
        _say(as_lines(scored))
        seen += Counter(score.label for score in scored.scores if score.name == "sentiment")
    _say(in_short(seen, settings))


@app.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(help="JSONL or CSV, also gzipped.")],
    network: Annotated[str, typer.Option(help="Network of rows that name none.")] = "file",
    columns: Annotated[
        str, typer.Option(help="Which CSV column is what, as text=body,id=key; guessed from usual names where left out.")
    ] = "",
    encoding: Annotated[str, typer.Option(help="Encoding of the file.")] = "utf-8",
    understand: Annotated[bool, typer.Option(help="Also understand and route what was imported.")] = True,
) -> None:
    """Import posts from a file and route them. Importing twice adds nothing; a stopped import goes on where it was."""
    from earshot.importing import import_archive, parse_columns

    settings, store = _open()
    report = import_archive(
        settings,
        store,
        file,
        network=network,
        columns=parse_columns(columns),
        encoding=encoding,
        route=understand,
        show=sys.stderr.isatty(),
    )
    for bad in report.bad:
        _say(bad, error=True)
    _say(f"read {report.read}, new {report.new}, known {report.read - report.new}, routed {report.routed}, bad lines {report.bad_count}")
    if report.bad_count:
        raise typer.Exit(1)


@app.command()
def score(
    file: Annotated[Path | None, typer.Argument(help="JSON lines; standard input where left out.")] = None,
    policy: Annotated[Path | None, typer.Option(help="Routing rules to use instead of those that ship.")] = None,
) -> None:
    """Score and route JSON lines, without a database. A bad line is reported on standard error and gives no output line."""
    from earshot.scoring import score_lines

    with _opened(file) as lines:
        bad = score_lines(lines, sys.stdout.buffer, sys.stderr, policy=policy)
    if bad:
        raise typer.Exit(1)


def _opened(file: Path | None):  # type: ignore[no-untyped-def]
    import contextlib

    from earshot.errors import BadInput

    if file is None:
        return contextlib.nullcontext(sys.stdin.buffer)
    try:
        return file.open("rb")
    except OSError as err:
        raise BadInput(f"{file} cannot be read: {err.strerror}") from err


@app.command()
def learn(
    back: Annotated[bool, typer.Option("--back", help="Go back to the version before the one in use.")] = False,
    listed: Annotated[bool, typer.Option("--list", help="Print the versions that are kept.")] = False,
) -> None:
    """Learn from what people taught, and use what is better. Workers do it each night by themselves."""
    from earshot.errors import BadInput
    from earshot.learning import go_back, learn_now, versions
    from earshot.reporting import learning_report, versions_report
    from earshot.rooms import Rooms
    from earshot.scheduler import utc_now

    if back and listed:
        raise BadInput("choose one of --back and --list")
    settings, store = _open()
    rooms, now = Rooms.open(store, settings, now=utc_now()), utc_now()
    if back:
        _say(f"version {go_back(store, rooms).name} is in use again: workers have it within a minute; to undo, run earshot learn")
    elif listed:
        sys.stdout.write(versions_report(versions(store)))
    else:
        sys.stdout.write(learning_report(learn_now(store, rooms, now=now)))


@app.command()
def forget(
    author: Annotated[str, typer.Argument(help="As network:handle (x:ana) or network:id:NATIVE_ID (x:id:12345).")],
    show: Annotated[bool, typer.Option("--show", help="Print what would be erased, and change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    and_never_again: Annotated[bool, typer.Option("--and-never-again", help="Also drop what they post from now on.")] = False,
) -> None:
    """Erase all that came from an author or tells of them, and prove it. Exit status 1 when something is left."""
    from earshot.errors import BadInput
    from earshot.forgetting import erased_report, find, look_again, parse_author, progress_bar, proof_report
    from earshot.forgetting import forget as forget_author
    from earshot.scheduler import utc_now

    named = parse_author(author)
    _, store = _open()
    known, now, is_terminal = find(store, named), utc_now(), sys.stderr.isatty()
    if known is None:
        _say(f"{named} was forgotten before: there is nothing to erase")
    elif show or not yes:
        _say(erased_report(store.forgetting.preview(known.id, now=now), title=f"{named}, to be erased:"))
    if show:
        return
    if known is not None and not yes:
        if not sys.stdin.isatty():
            raise BadInput("nobody can be asked here: add --yes to erase this, or --show to see it only")
        typer.confirm("Erase all this for good?", abort=True)
    with progress_bar(show=is_terminal) as progress:
        if known is None:
            proof = look_again(store, named, now=now, never_again=and_never_again, progress=progress)
        else:
            erased, proof = forget_author(store, known, now=now, never_again=and_never_again, progress=progress)
    if known is not None:
        _say(erased_report(erased, title=f"{named}, erased:"))
    _say(proof_report(proof))
    _say("Backups that were made before now still hold all of it.")
    store.close()
    if proof.found:
        raise typer.Exit(1)


@report_app.command("influence")
def report_influence(
    output: Annotated[str, typer.Option("--format", help="text or csv")] = "text",
    limit: Annotated[int, typer.Option(min=1, help="How many authors.")] = 50,
) -> None:
    """Who matters: authors by influence, with what their mentions add up to."""
    from earshot.errors import BadInput
    from earshot.reporting import influence_report

    if output not in ("text", "csv"):
        raise BadInput(f"--format {output!r}: choose text or csv")
    _, store = _open()
    sys.stdout.write(influence_report(store, limit=limit, output=output))


@account_app.command("add")
def account_add(
    email: Annotated[str, typer.Argument(help="What the person signs in with.")],
    role: Annotated[str, typer.Option(help="admin, manager, staff, super-user or marketer")] = "staff",
    name: Annotated[str, typer.Option(help="How the person is called on the pages.")] = "",
    tier: Annotated[str, typer.Option(help="For staff: tier_1 or tier_2.")] = "tier_1",
    languages: Annotated[str, typer.Option(help="As en,zh.")] = "en",
    topics: Annotated[str, typer.Option(help="Topics of the brand, as hub,lamps.")] = "",
) -> None:
    """Create an account. The password is asked for, or read from standard input."""
    from earshot.people import add_account

    password = (
        typer.prompt("Password", hide_input=True, confirmation_prompt=True) if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    )
    _, store = _open()
    account = add_account(store, email=email, role=role, name=name, tier=tier, languages=languages, topics=topics, password=password)
    _say(f"account {account.id}: {account.email} ({account.role.value})")


@account_app.command("off")
def account_off(email: Annotated[str, typer.Argument(help="What the person signs in with.")]) -> None:
    """Switch an account off: it is signed out at once and cannot sign in; its offers and cases go back to their queues."""
    from earshot.people import switch_off

    _, store = _open()
    account, given_back = switch_off(store, email)
    _say(f"account {account.id}: {account.email} is off; cases that went back to their queues: {given_back}")


@account_app.command("on")
def account_on(email: Annotated[str, typer.Argument(help="What the person signs in with.")]) -> None:
    """Let an account that was switched off sign in again, with the password it had."""
    from earshot.people import switch_on

    _, store = _open()
    account = switch_on(store, email)
    _say(f"account {account.id}: {account.email} may sign in")


@db_app.command("upgrade")
def db_upgrade() -> None:
    """Bring the database to the newest schema; creates it where there is none."""
    _open()
    _say("the database is up to date")


@app.command("settings")
def show_settings() -> None:
    """Print every setting with its value, its default and what it is for. Secrets are not printed."""
    from earshot.settings import Settings, load_settings

    settings = load_settings()
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        shown = ", ".join(source.name for source in value) or "none" if name == "sources" else value
        _say(f"{name} = {shown}\n    {field.description}\n    default: {field.default}; environment: EARSHOT_{name.upper()}")


def _open() -> tuple[Settings, Store]:
    """Settings from the environment, and their store at the newest schema."""
    from earshot.logs import configure
    from earshot.settings import load_settings
    from earshot.storage import Store

    settings = load_settings()
    configure(settings)
    store = Store(settings.database_url, busy_seconds=settings.busy_seconds)
    store.upgrade()
    return settings, store

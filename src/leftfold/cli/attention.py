"""`leftfold parked`, `retry`, `skip` and `cancel`: what has stopped, and the verbs that deal with it."""

import shlex
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any

import msgspec
import typer

from leftfold.app import App
from leftfold.cli.arguments import AppName, Json, LogUrl, ModelsUrl, argument, option
from leftfold.cli.kept import Kept
from leftfold.cli.names import key_of
from leftfold.cli.opening import load_app, open_app_for_writing, open_app_to_work, open_log, reading
from leftfold.cli.outcome import Outcome, command
from leftfold.cli.output import activity, show_list, stderr, stdout
from leftfold.cli.plain import counted, visible
from leftfold.live import LiveApp
from leftfold.model.metadata import recording
from leftfold.parked import Parked, Subject, parked_rows, subject_named, subjects_of
from leftfold.passwords import without_password

Name = Annotated[str, argument("NAME", "What has stopped, by its name in `leftfold parked`.")]
Keys = Annotated[list[str] | None, argument("KEY", "The key of the row or instance, a position, or a ticket id.")]
Actor = Annotated[str | None, option("--actor", "Who does it; the log records it.", "NAME")]
Reason = Annotated[str, option("--reason", "Why; the log records it.", "TEXT")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation on a terminal.")]


@command
async def parked(
    url: LogUrl,
    app: AppName,
    name: Annotated[str | None, argument("NAME", "Only this read model, process, reactor, or `commands`.")] = None,
    models: ModelsUrl = None,
    json: Json = False,
) -> Outcome:
    """List the work that has stopped and needs attention.

    That is: parked keys of read models, SQL projections and process instances, parked events of reactors, and
    submitted commands that failed. `retry`, `skip` and `cancel` take the listed name and key. The kind may be left out
    of a name that only one thing has: Balance for "projection Balance".

    Examples:
      leftfold parked --app bank:bank sqlite:///bank.db
      leftfold parked --app bank:bank sqlite:///bank.db "projection Balance"
      leftfold parked --app bank:bank sqlite:///bank.db commands --json
    """
    loaded = load_app(app)
    subject = None if name is None else _subject(loaded, name)
    found: list[Parked] = []
    async with reading(loaded, url) as live:
        if subject is None or subject.kind == "projection":
            found += parked_rows(await Kept.of(loaded, url, models).parked(live.store))
        if subject is None or subject.kind != "projection":
            found += await live.parked(subject and subject.name)
    found = [each for each in found if subject is None or each.name == subject.name]
    show_list(found, _row, none=f"nothing is parked{f' of {subject.name}' if subject else ''}", json=json)
    return Outcome.FINE


@command
async def retry(
    url: LogUrl,
    name: Name,
    app: AppName,
    key: Keys = None,
    reason: Annotated[str | None, option("--reason", "Why; the log records it.", "TEXT")] = None,
    actor: Actor = None,
    models: ModelsUrl = None,
    json: Json = False,
) -> Outcome:
    """Try parked work again: one key, or all that is parked under a name; a process needs a key.

    A read model folds the events that wait, in order, before this command ends. For a process, a reactor and submitted
    commands the log records the request, and a running worker carries it out; an event or a command that waits for its
    next attempt may be retried too. Exit code 1 if something is still parked.

    Examples:
      leftfold retry --app bank:bank sqlite:///bank.db "projection Balance"
      leftfold retry --app shop:orders sqlite:///shop.db Fulfilment o-1 --reason "address corrected"
      leftfold retry --app bank:bank sqlite:///bank.db "welcome mail" 17
      leftfold retry --app bank:bank sqlite:///bank.db commands 5f2c…
    """
    async with _opened(app, url, name, models, reason, actor) as (live, subject):
        values = key_of(subject, key or ())
        asked = len(values) if values or subject.kind == "process" else len(await live.parked(subject.name))
        left = await live.retry(subject.name, *values)
    if subject.kind == "projection":
        return _report(left, f"{_words(subject.name, key)}: nothing is parked", json=json)
    done, retried = f"{_words(subject.name, key)}: a worker will retry", asked - len(left)
    if not values:
        done = f"{done} {counted(retried, 'item')}" if retried else f"{subject.name}: nothing is parked"
    return _report(left, done, json=json)


@command
def skip(
    url: LogUrl,
    name: Name,
    app: AppName,
    reason: Reason,
    key: Keys = None,
    actor: Actor = None,
    yes: Yes = False,
    models: ModelsUrl = None,
    json: Json = False,
) -> Any:
    """Leave the event that is parked under a key out for good, and go on with the events behind it.

    The log records who skipped it and why, and a rebuild leaves it out too. Submitted commands are cancelled instead.
    `leftfold projections` and `leftfold reactors` show the events first. Exit code 1 if the key is still parked.

    Examples:
      leftfold skip --app bank:bank sqlite:///bank.db Balance a-1 --reason "typing error" --actor ann
      leftfold skip --app shop:orders sqlite:///shop.db Fulfilment o-1 --reason "a test order"
      leftfold skip --app bank:bank sqlite:///bank.db "welcome mail" 17 --reason "the address is gone"
    """
    if not _confirmed(f"Skip the event that is parked for {_words(name, key)}, for good?", yes=yes):
        return Outcome.FOUND
    return _skip(url, name, app, reason, key or (), actor, models, json=json)


async def _skip(
    url: str, name: str, app: str, reason: str, key: Sequence[str], actor: str | None, models: str | None, *, json: bool
) -> Outcome:
    async with _opened(app, url, name, models, reason, actor) as (live, subject):
        left = await live.skip(subject.name, *key_of(subject, key), reason=reason)
    return _report(left, f"{_words(subject.name, key)}: skipped", json=json)


@command
def cancel(
    url: LogUrl,
    name: Name,
    app: AppName,
    reason: Reason,
    key: Keys = None,
    actor: Actor = None,
    yes: Yes = False,
) -> Any:
    """Cancel a process instance with its open commands, or a submitted command that has not been handled yet.

    It need not be parked. A recurring command ends. The log records who cancelled it and why.

    Examples:
      leftfold cancel --app shop:orders sqlite:///shop.db Fulfilment o-1 --reason "shipped by hand"
      leftfold cancel --app bank:bank sqlite:///bank.db commands 5f2c… --reason "sent twice" --actor ann
    """
    if not _confirmed(f"Cancel {_words(name, key)}, for good?", yes=yes):
        return Outcome.FOUND
    return _cancel(url, name, app, reason, key or (), actor)


async def _cancel(url: str, name: str, app: str, reason: str, key: Sequence[str], actor: str | None) -> Outcome:
    async with _opened(app, url, name, None, reason, actor) as (live, subject):
        await live.cancel(subject.name, *key_of(subject, key), reason=reason)
    stdout().put(f"{_words(subject.name, key)}: cancelled")
    return Outcome.FINE


# ---


def _subject(app: App, name: str) -> Subject:
    return subject_named(subjects_of(app.kept, app.processes.values(), app.reactors.values()), without_password(name))


@asynccontextmanager
async def _opened(
    app: str, url: str, name: str, models: str | None, reason: str | None, actor: str | None
) -> AsyncGenerator[tuple[LiveApp, Subject]]:
    """Open the app for a verb: only a read model is opened to be folded, and no other work is done here."""
    loaded = load_app(app)
    subject = _subject(loaded, name)
    opening = open_app_for_writing(loaded, url)
    if subject.kind == "projection":
        async with open_log(url):  # report what is wrong with the log before its read models
            place = Kept.of(loaded, url, models).place_of(subject.definition)
        opening = open_app_to_work(loaded, url, ["projections"], [subject.definition.handle], models_url=place)
    with activity("working"), recording(actor=actor, reason=reason):
        async with opening as live:
            yield live, subject


def _confirmed(question: str, *, yes: bool) -> bool:
    """Ask on a terminal; a script is not asked."""
    if yes or not sys.stdin.isatty() or typer.confirm(question, err=True):
        return True
    stderr().put("nothing was changed")
    return False


def _report(left: Sequence[Parked], done: str, *, json: bool) -> Outcome:
    if json:
        for each in left:
            stdout().json(each)
    elif not left:
        stdout().put(done)
    for each in () if json else left:
        place = "" if each.position is None else f" at position {each.position}"
        stderr().put(f"{_words(each.name, each.key)} is parked{place}: {each.problem}")
    return Outcome.FOUND if left else Outcome.FINE


def _row(each: Parked) -> dict[str, Any]:
    return msgspec.structs.asdict(each) | {"key": shlex.join(map(str, each.key)) or None}


def _words(name: str, key: Sequence[Any] | None) -> str:
    return visible(without_password(" ".join((name, *map(str, key or ())))))

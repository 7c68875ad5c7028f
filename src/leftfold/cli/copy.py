"""`leftfold copy`: move a log to another backend, or to another place."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import Annotated, Any

import msgspec
import typer
from rich.text import Text

from leftfold.cli.arguments import Json, OptionalAppName, time
from leftfold.cli.consoles import Console, stderr, stdout
from leftfold.cli.opening import load_app, open_log
from leftfold.cli.outcome import Outcome, command
from leftfold.cli.plain import counted
from leftfold.cli.waiting import progress_of_steps
from leftfold.errors import InvalidUrl, SameLog, StoreUnavailable
from leftfold.store import EventStore, open_store
from leftfold.store.copying import Copied, clock_for, compare_logs, copy_log
from leftfold.store.inspection import KeyedLog
from leftfold.store.open import split_url


@command
async def copy(
    source: Annotated[
        str, typer.Argument(metavar="FROM", show_default=False, help="The log to copy; it is only read.")
    ],
    target: Annotated[
        str,
        typer.Argument(metavar="TO", show_default=False, help="Where to: a new log, or one that a copy has begun."),
    ],
    verify_only: Annotated[
        bool, typer.Option("--verify-only", help="Compare the two, and write nothing; exit code 1 when they differ.")
    ] = False,
    retag: Annotated[
        bool, typer.Option("--retag", help="Give each event the tags that its class gives today; needs --app.")
    ] = False,
    app: OptionalAppName = None,
    latest: Annotated[
        Any,
        typer.Option(
            parser=time, metavar="TIME", show_default=False, help="Give events that have a later time this one."
        ),
    ] = None,
    json: Json = False,
) -> Outcome:
    """Copy a log to another file, database or backend, and compare the two.

    Positions, times, types, versions, data and metadata byte for byte, tags and idempotency keys are kept; the copy has
    an identity of its own, so read models are folded again. What is appended meanwhile is not copied: run it again. So
    does one that was interrupted go on.

    Examples:
      leftfold copy sqlite:///bank.db "postgresql://user@host/db?log=bank"
      leftfold copy "postgresql://user@host/db?log=bank" sqlite:///bank.db
      leftfold copy sqlite:///bank.db sqlite:///other.db --verify-only
      leftfold copy sqlite:///bank.db sqlite:///tagged.db --retag --app bank:bank
      leftfold copy sqlite:///bank.db sqlite:///repaired.db --latest 2026-12-24T18:00:00Z
    """
    if retag != bool(app):
        raise typer.BadParameter("--retag and --app go together: the tags are those of the app's classes")
    present_tags = load_app(app).registry.present_tags if app else None
    _check_kept(source, target)
    async with open_log(source) as read:
        await _check_another(read, target)
        written = open_log(target) if verify_only else open_store(target, clock=await clock_for(read, latest))
        async with written:
            change = partial(compare_logs if verify_only else copy_log, retag=present_tags, latest=latest)
            found = await _work(_keyed(read), _keyed(written), change)
    if json:
        stdout().json(msgspec.to_builtins(found))
    else:
        _show(stdout(), found, retagged=retag, latest=latest)
    return Outcome.FOUND if found.difference else Outcome.FINE


async def _work(read: KeyedLog, written: KeyedLog, copy_or_compare: Callable[..., Awaitable[Copied]]) -> Copied:
    try:
        with progress_of_steps() as told:
            return await copy_or_compare(read, written, on_progress=told)
    except asyncio.CancelledError:
        stderr().put("interrupted; run it again to go on")
        raise


def _check_kept(source: str, target: str) -> None:
    for url in (source, target):
        if split_url(url).scheme == "memory":
            raise InvalidUrl(url, "a log in memory ends with the command")
    if source == target:
        raise SameLog(source)


async def _check_another(read: EventStore, target: str) -> None:
    """Before it is opened for writing, which lifts a log of an older format."""
    try:
        there = open_log(target)
    except StoreUnavailable:  # not there yet; anything else is told when it is opened to be written
        return
    async with there:
        if there.log_id == read.log_id:
            raise SameLog(read.log_id)


def _keyed(log: EventStore) -> KeyedLog:
    assert isinstance(log, KeyedLog), f"{log!r} cannot list its keys"
    return log


def _show(out: Console, found: Copied, *, retagged: bool, latest: datetime | None) -> None:
    if found.copied:
        out.put(f"{counted(found.copied, 'event')} copied, through position {found.position}")
    if found.difference is not None:
        problem = f"the logs differ at position {found.difference.position}: {found.difference.problem}"
        out.put(Text.assemble(("✗ ", "bold red"), problem))
        return
    same = "positions, times, bytes, tags and keys are the same"
    if retagged:
        same = "positions, times, bytes and keys are the same, the tags are those of the app's classes"
    if latest is not None:
        same = f"{same}; times after {latest.isoformat()} became it"
    out.put(f"{counted(found.position, 'event')} and {counted(found.keys, 'idempotency key')} compared: {same}")
    out.put(f"the copy is the log {found.target}; read models are rebuilt from it")

"""`leftfold copy`: move a log to another backend, or to another place."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
import typer
from rich.text import Text

from leftfold.cli.arguments import Json, OptionalAppName, argument, option, time
from leftfold.cli.opening import load_app, open_log
from leftfold.cli.outcome import Outcome, command, resumable
from leftfold.cli.output import Console, progress_of_steps, stdout
from leftfold.cli.plain import counted
from leftfold.errors import InvalidUrl, SameLog, StoreUnavailable
from leftfold.store import EventStore, open_store
from leftfold.store.copying import Copied, clock_for, compare_logs, copy_log
from leftfold.store.inspection import KeyedLog
from leftfold.store.open import split_url


@command
async def copy(
    source: Annotated[str, argument("FROM", "The log to copy. It is only read.")],
    target: Annotated[str, argument("TO", "The copy: a new log, or one that an earlier copy of this log has begun.")],
    verify_only: Annotated[
        bool, typer.Option("--verify-only", help="Compare the two, and write nothing; exit code 1 if they differ.")
    ] = False,
    retag: Annotated[
        bool, typer.Option("--retag", help="Give each event the tags that its class gives today; needs --app.")
    ] = False,
    app: OptionalAppName = None,
    latest: Annotated[
        Any, option("--latest", "Give each event with a later time this time.", "TIME", parser=time)
    ] = None,
    json: Json = False,
) -> Outcome:
    """Copy a log to another file, database or backend, and compare the two.

    The copy keeps positions, times, types, versions, tags, idempotency keys, and data and metadata byte for byte. It
    has its own identity, so read models are folded again. Run the command again to copy what was appended meanwhile.
    An interrupted copy resumes the same way.

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
    _check_persistent(source, target)
    async with open_log(source) as read:
        await _check_another(read, target)
        written = open_log(target) if verify_only else open_store(target, clock=await clock_for(read, latest))
        async with written:
            copy_or_compare = compare_logs if verify_only else copy_log
            with resumable(), progress_of_steps() as report:
                found = await copy_or_compare(
                    _keyed(read), _keyed(written), retag=present_tags, latest=latest, on_progress=report
                )
    if json:
        stdout().json(msgspec.to_builtins(found))
    else:
        _show(stdout(), found, retagged=retag, latest=latest)
    return Outcome.FOUND if found.difference else Outcome.FINE


def _check_persistent(source: str, target: str) -> None:
    for url in (source, target):
        if split_url(url).scheme == "memory":
            raise InvalidUrl(url, "a log in memory ends with this command, so it cannot be copied from or to")
    if source == target:
        raise SameLog(source)


async def _check_another(read: EventStore, target: str) -> None:
    """Compare the identities before the target is opened for writing, which lifts a log of an older format."""
    try:
        there = open_log(target)
    except StoreUnavailable:  # not there yet; opening it for writing reports anything else
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
        same = f"{same}; later times are now {latest.isoformat()}"
    out.put(f"{counted(found.position, 'event')} and {counted(found.keys, 'idempotency key')} compared: {same}")
    out.put(f"the copy is the log {found.target}; rebuild the read models from it")

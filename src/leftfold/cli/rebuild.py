"""`leftfold rebuild`: fold a read model again from the log, and show what that changes."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
import typer
from rich.text import Text

from leftfold.cli.arguments import AppName, Json, LogUrl, ModelsUrl, argument
from leftfold.cli.kept import Kept
from leftfold.cli.opening import load_app, open_log
from leftfold.cli.outcome import Outcome, command, resumable
from leftfold.cli.output import Console, progress, stdout
from leftfold.cli.plain import counted, shown_fields
from leftfold.query import Rebuilt
from leftfold.query.rebuild import drop_old as drop_old_table
from leftfold.query.rebuild import rebuild as rebuild_model


@command
async def rebuild(
    url: LogUrl,
    model: Annotated[str, argument("MODEL", "The read model, by its class name, or the SQL projection.")],
    app: AppName,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")] = False,
    drop_old: Annotated[
        bool, typer.Option("--drop-old", help="Drop the table that the last rebuild replaced.")
    ] = False,
    models: ModelsUrl = None,
    json: Json = False,
) -> Outcome:
    """Build the table of a read model, or the tables of an SQL projection, again; compare the rows, and swap.

    The present table answers queries until then, and applications may go on running. The former table is kept until
    --drop-old or the next rebuild.

    Examples:
      leftfold rebuild --app bank:bank sqlite:///bank.db Balance --dry-run
      leftfold rebuild --app bank:bank sqlite:///bank.db Balance
      leftfold rebuild --app bank:bank sqlite:///bank.db Balance --drop-old
      leftfold rebuild --app bank:bank sqlite:///bank.db "daily totals"
    """
    loaded = load_app(app)
    kept = Kept.of(loaded, url, models)
    definition = kept.named(model)
    async with open_log(url) as log:
        place = kept.place_of(definition)
        if drop_old:
            dropped = drop_old_table(definition, place)
            stdout().put("the former table is dropped" if dropped else "there is no former table")
            return Outcome.FINE
        with resumable(), progress("folding") as report:
            found = await rebuild_model(
                definition,
                log,
                loaded.registry,
                place,
                dry_run=dry_run,
                on_progress=lambda at: report(at.position, at.upto),
            )
    if json:
        stdout().json(msgspec.to_builtins(found, enc_hook=str))
    else:
        _show(stdout(), found)
    return Outcome.FINE


def _show(out: Console, found: Rebuilt) -> None:
    rows = found.differences
    out.put(f"{found.model} through position {found.position}, folded in {found.seconds:.1f} s")
    counts = f"{rows.added:,} added, {rows.removed:,} removed, {rows.changed:,} changed"
    out.put(Text("the rows are the same" if rows.none else f"rows: {counts}", "bold"))
    for sign, samples in (("+", rows.added_samples), ("-", rows.removed_samples)):
        for fields in samples:
            out.put(f"{sign} {_shown(fields)}", indent=2)
    for before, after in rows.changed_samples:
        out.put(f"- {_shown(before)}", indent=2)
        out.put(f"+ {_shown(after)}", indent=2)
    left = rows.added + rows.removed + rows.changed
    left -= len(rows.added_samples) + len(rows.removed_samples) + len(rows.changed_samples)
    if left:
        out.put(f"and {counted(left, 'row')} more", indent=2)
    out.put("swapped; the former table is kept until --drop-old" if found.swapped else "dry run: nothing was changed")


def _shown(fields: Mapping[str, Any]) -> str:
    return shown_fields(dict(fields))

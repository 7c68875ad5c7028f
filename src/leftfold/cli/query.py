"""`leftfold query`: what a query handler of the app answers."""

from typing import Annotated, Any

import typer

from leftfold.app import App
from leftfold.cli.answers import show_answer
from leftfold.cli.arguments import AppName, AsOf, Json, LogUrl
from leftfold.cli.consoles import stderr, stdout
from leftfold.cli.models import query_named
from leftfold.cli.opening import load_app, open_log, read_only
from leftfold.cli.outcome import Outcome, command


@command
async def query(
    url: LogUrl,
    name: Annotated[str, typer.Argument(metavar="QUERY", show_default=False, help="The query, by its class name.")],
    app: AppName,
    fields: Annotated[
        list[str] | None,
        typer.Argument(metavar="FIELD=VALUE…", show_default=False, help="The query's fields; a list as JSON."),
    ] = None,
    as_of: AsOf = None,
    timeout: Annotated[float, typer.Option(metavar="SECONDS", help="How long read models may take to come up.")] = 60.0,
    json: Json = False,
) -> Outcome:
    """Ask a query of the app.

    The answer includes every event that is in the log when the command starts. It comes from the read models kept
    beside the log where they are those of this app, else they are folded in memory for this one answer.

    \b
    Examples:
      leftfold query --app bank:bank sqlite:///bank.db Richest limit=3
      leftfold query --app bank:bank sqlite:///bank.db Richest --as-of 2026-01-31T09:30:00Z --json
    """
    loaded = load_app(app)
    asked = query_named(loaded, name, _fields(fields or []))

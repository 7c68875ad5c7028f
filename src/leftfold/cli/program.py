"""The program: its commands, and the options that it has without one."""

from importlib.metadata import version
from typing import Annotated

import typer

from leftfold.cli.demo import demo
from leftfold.cli.events import events
from leftfold.cli.explain import explain
from leftfold.cli.info import info
from leftfold.cli.query import query
from leftfold.cli.state import state
from leftfold.cli.verify import verify

program = typer.Typer(name="leftfold", no_args_is_help=True, rich_markup_mode="rich", pretty_exceptions_enable=False)
for command in (info, events, explain, state, query, verify, demo):
    program.command()(command)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"leftfold {version('leftfold')}")
        raise typer.Exit


@program.callback()
def leftfold(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Look into an event log: what happened, why a state is as it is, and whether the log is sound.

    \b
    A log is named by its URL, sqlite:///bank.db for a file in this directory.
    Commands that compute states need your app too: --app module:attribute.

    \b
    Examples:
      leftfold info sqlite:///bank.db
      leftfold events sqlite:///bank.db --tag account:a-1
      leftfold explain --app bank:bank sqlite:///bank.db Account a-1
      leftfold verify sqlite:///bank.db

    \b
    Nothing here writes to a log. Exit codes: 0 fine, 1 a check found something,
    2 wrong usage, 3 an error that says what to do, 130 interrupted.
    """

"""The program: its commands, and the options that it has without one."""

import inspect
from collections.abc import Callable, Generator
from contextlib import contextmanager
from importlib.metadata import entry_points, version
from typing import Annotated, Any

import typer
from rich.markup import escape
from typer.core import TyperGroup

from leftfold.cli.commands import commands
from leftfold.cli.copy import copy
from leftfold.cli.demo import demo
from leftfold.cli.events import events
from leftfold.cli.explain import explain
from leftfold.cli.info import info
from leftfold.cli.init import init
from leftfold.cli.outcome import Outcome
from leftfold.cli.outcome import command as runnable
from leftfold.cli.processes import processes
from leftfold.cli.projections import projections
from leftfold.cli.query import query
from leftfold.cli.reactors import reactors
from leftfold.cli.rebuild import rebuild
from leftfold.cli.state import state
from leftfold.cli.status import status
from leftfold.cli.verify import verify
from leftfold.cli.work import work
from leftfold.errors import MissingExtra
from leftfold.passwords import without_passwords


class Commands(TyperGroup):
    """The commands. What is said of wrong usage quotes arguments, so the passwords of URLs are hidden in it."""

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        """Read the options that stand before a command."""
        with _without_passwords():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: Any) -> Any:
        """Read the arguments of a command, and run it."""
        with _without_passwords():
            return super().invoke(ctx)


@contextmanager
def _without_passwords() -> Generator[None]:
    try:
        yield
    except USAGE_ERROR as error:
        error.message = without_passwords(error.message)
        raise


USAGE_ERROR: Any = typer.BadParameter.__base__


def help_of(function: Callable[..., Any]) -> str:
    """Return a command's docstring as its help: paragraphs are filled, examples keep their lines."""
    paragraphs = escape(inspect.getdoc(function) or "").split("\n\n")
    return "\n\n".join(f"\b\n{each}" if "\n  " in each else each.replace("\n", " ") for each in paragraphs)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"leftfold {version('leftfold')}")
        raise typer.Exit


def leftfold(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Look into an event log: what happened, why a state is as it is, whether the log is sound.

    A log is named by its URL: sqlite:///bank.db is a file in this directory, postgresql://user@host/db?log=bank is a
    schema of a database. Commands that compute states need your app too: --app module:attribute. Nothing writes to a
    log but init, copy, work, torture, demo, --retry, --cancel, reactors where it retries or skips an event, and
    projections where it skips one.

    Examples:
      leftfold info sqlite:///bank.db
      leftfold events sqlite:///bank.db --tag account:a-1
      leftfold explain --app bank:bank sqlite:///bank.db Account a-1
      leftfold verify sqlite:///bank.db

    Exit codes: 0 fine, 1 a check found something, 2 wrong usage, 3 an error that says what to do, 130 interrupted.
    """


@runnable
async def torture() -> Outcome:
    """Name the package that has this command."""
    raise MissingExtra("leftfold-torture", "torture")


program = typer.Typer(cls=Commands, no_args_is_help=True, rich_markup_mode="rich", pretty_exceptions_enable=False)
program.callback(help=help_of(leftfold))(leftfold)
COMMANDS = (
    init,
    info,
    status,
    events,
    explain,
    state,
    query,
    commands,
    processes,
    reactors,
    projections,
    rebuild,
    verify,
    copy,
    work,
    demo,
)
for command in COMMANDS:
    program.command(help=help_of(command))(command)

# Other packages add commands by entry points: `torture = "leftfold_torture.cli:torture"`.
ADDED = {each.name: each.load() for each in entry_points(group="leftfold.commands")}
for name, command in ADDED.items():
    program.command(name, help=help_of(command))(command)
if "torture" not in ADDED:
    program.command(hidden=True, context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(torture)

"""The program: its commands, and the options that it has without one."""

import inspect
from collections.abc import Callable, Generator
from contextlib import contextmanager
from importlib.metadata import entry_points, version
from typing import Annotated, Any

import typer
from rich.markup import escape
from typer.core import TyperGroup

from leftfold.cli.arguments import VERBS, what_moved
from leftfold.cli.attention import cancel, parked, retry, skip
from leftfold.cli.copy import copy
from leftfold.cli.demo import demo
from leftfold.cli.events import events
from leftfold.cli.info import info
from leftfold.cli.init import init
from leftfold.cli.listings import commands, processes, projections, reactors
from leftfold.cli.outcome import Outcome
from leftfold.cli.outcome import command as runnable
from leftfold.cli.rebuild import rebuild
from leftfold.cli.states import explain, query, state
from leftfold.cli.status import status
from leftfold.cli.trace import trace
from leftfold.cli.verify import verify
from leftfold.cli.work import work
from leftfold.errors import MissingExtra
from leftfold.passwords import without_passwords


class Commands(TyperGroup):
    """The commands. A usage error quotes arguments, so it hides the passwords of URLs; it names what has moved."""

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        """Read the options that stand before a command."""
        with _usage_errors():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: Any) -> Any:
        """Read the arguments of a command, and run it."""
        with _usage_errors():
            return super().invoke(ctx)


@contextmanager
def _usage_errors() -> Generator[None]:
    try:
        yield
    except USAGE_ERROR as error:
        error.message = without_passwords(error.message)
        if hint := _moved(error):
            error.message, error.possibilities = f"{error.message}. {hint}", ()
        raise


def _moved(error: Any) -> str:
    """Return what to write instead of a former option or verb of a listing command."""
    given = {getattr(error, "option_name", "").lstrip("-"), *map(str, error.ctx.params.values() if error.ctx else ())}
    verb = next((each for each in (*VERBS, "show") if each in given), "")
    return what_moved(verb) if verb else ""


USAGE_ERROR: Any = typer.BadParameter.__base__
NARROW = 76  # columns of an example on a terminal of 80


def help_of(function: Callable[..., Any]) -> str:
    """Return a command's docstring as its help: paragraphs are filled, examples keep their lines."""
    paragraphs = escape(inspect.getdoc(function) or "").split("\n\n")
    return "\n\n".join(f"\b\n{_examples(each)}" if "\n  " in each else each.replace("\n", " ") for each in paragraphs)


def _examples(text: str) -> str:
    """Continue long lines as a shell does, so that an example fits on a narrow terminal."""
    return "\n".join(
        line
        if len(line) <= NARROW or (end := line.rfind(" --", 0, NARROW)) < 0
        else f"{line[:end]} \\\n     {line[end:]}"
        for line in text.splitlines()
    )


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
    schema of a database. Commands that compute states also need your app: --app module:attribute.

    These commands write to a log: init, copy, work, retry, skip, cancel, demo and torture. All others only read.

    Examples:
      leftfold info sqlite:///bank.db
      leftfold events sqlite:///bank.db --tag account:a-1
      leftfold explain --app bank:bank sqlite:///bank.db Account a-1
      leftfold verify sqlite:///bank.db

    Exit codes: 0 success, 1 a check found something, 2 wrong usage, 3 an error, 130 interrupted.
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
    trace,
    state,
    query,
    projections,
    processes,
    reactors,
    commands,
    parked,
    retry,
    skip,
    cancel,
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

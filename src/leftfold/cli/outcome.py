"""How a command ends: its exit code, and what is said when it could not do its work."""

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from enum import IntEnum
from functools import partial, wraps
from typing import Any, ParamSpec

import typer
from rich.text import Text

from leftfold.cli.consoles import stderr
from leftfold.errors import LeftfoldError

P = ParamSpec("P")


class Outcome(IntEnum):
    """The exit codes. 2, for wrong usage, is typer's."""

    FINE = 0
    FOUND = 1
    FAILED = 3
    INTERRUPTED = 130
    PIPE_CLOSED = 141


Work = Callable[[], Outcome | Coroutine[Any, Any, Outcome]]


def command(work: Callable[P, Outcome | Coroutine[Any, Any, Outcome]]) -> Callable[P, None]:
    """Make a command of a function, async or not, that returns its outcome."""

    @wraps(work)
    def run(*args: P.args, **options: P.kwargs) -> None:
        raise typer.Exit(_outcome_of(partial(work, *args, **options)))

    return run


def _outcome_of(work: Work) -> Outcome:
    try:
        begun = work()
        outcome = begun if isinstance(begun, Outcome) else asyncio.run(begun)
        sys.stdout.flush()
        return outcome
    except LeftfoldError as error:
        _say(error)
        return Outcome.FAILED
    except KeyboardInterrupt:
        _end_line()
        return Outcome.INTERRUPTED
    except BrokenPipeError:
        _turn_away_output()
        return Outcome.PIPE_CLOSED


def _say(error: LeftfoldError) -> None:
    err = stderr()
    err.put(Text.assemble(("error: ", "bold red"), error.found))
    err.put(Text.assemble(("expected: ", "bold"), error.expected), indent=2)
    err.put(Text.assemble(("to do: ", "bold"), error.remedy), indent=2)


def _end_line() -> None:
    """End the line on which the terminal printed ^C."""
    if sys.stderr.isatty():
        sys.stderr.write("\n")


def _turn_away_output() -> None:
    """Drop buffered output whose reader has gone, so that it does not fail at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

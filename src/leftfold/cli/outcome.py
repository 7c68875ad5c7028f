"""How a command ends: its exit code, what it prints if it failed, and how signals stop it."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from enum import IntEnum
from functools import partial, wraps
from typing import Any, ParamSpec

import typer
from rich.text import Text

from leftfold.cli.output import stderr
from leftfold.errors import LeftfoldError

P = ParamSpec("P")
SIGNALS = (signal.SIGINT, signal.SIGTERM)


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
        _show_error(error)
        return Outcome.FAILED
    except (KeyboardInterrupt, typer.Abort):
        _show_interrupted("interrupted")
        return Outcome.INTERRUPTED
    except BrokenPipeError:
        _drop_output()
        return Outcome.PIPE_CLOSED


def _show_error(error: LeftfoldError) -> None:
    err = stderr()
    err.put(Text.assemble(("error: ", "bold red"), error.found))
    err.put(Text.assemble(("expected: ", "bold"), error.expected), indent=2)
    err.put(Text.assemble(("to do: ", "bold"), error.remedy), indent=2)


def _show_interrupted(text: str) -> None:
    """Print one line; on a terminal in place of the ^C that it has printed."""
    sys.stderr.write(f"\r{text}\n" if sys.stderr.isatty() else f"{text}\n")


def _drop_output() -> None:
    """Drop buffered output whose reader has gone, so that it does not fail at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def resumable() -> Generator[None]:
    """If Ctrl-C interrupts this, say that the same command goes on from there."""
    try:
        yield
    except asyncio.CancelledError:
        _show_interrupted("interrupted; run the same command again to finish")
        raise typer.Exit(Outcome.INTERRUPTED) from None


@contextmanager
def stopping() -> Generator[asyncio.Event]:
    """Yield an event that SIGTERM or Ctrl-C sets; a second signal exits immediately."""
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    for each in SIGNALS:
        loop.add_signal_handler(each, _stop, asked)
    try:
        yield asked
    finally:
        for each in SIGNALS:
            loop.remove_signal_handler(each)


def _stop(asked: asyncio.Event) -> None:
    if asked.is_set():
        _show_interrupted("stopped immediately; unfinished work is redone on the next start")
        sys.stderr.flush()
        os._exit(Outcome.INTERRUPTED)  # nothing that is stored depends on an orderly exit
    asked.set()
    _show_interrupted("stopping after the current batch; a second signal exits immediately")
    sys.stderr.flush()

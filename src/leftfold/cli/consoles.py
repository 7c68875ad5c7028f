"""Where output goes: what was asked for to stdout, everything else to stderr."""

import sys
from typing import Any, NoReturn

import rich.console
from rich.padding import Padding
from rich.text import Text

from leftfold.cli.plain import json_line
from leftfold.passwords import without_passwords

UNBROKEN = 10_000  # columns of an output that is not a terminal: its readers want whole lines

HANGING = 2


class Console(rich.console.Console):
    """Prints what it is given, brackets and numbers too, as it is; a closed pipe is told, not swallowed."""

    def __init__(self, *, error: bool = False) -> None:
        super().__init__(stderr=error, highlight=False, markup=False, emoji=False)
        if not self.is_terminal:
            self.width = UNBROKEN

    def on_broken_pipe(self) -> NoReturn:
        """Leave it to the caller of the command."""
        raise BrokenPipeError

    def put(self, text: Text | str, indent: int = 0) -> None:
        """Print one line; on a terminal a long one goes on below, a little further in.

        What is said of the work, unlike what was asked for, shows no password of a URL.
        """
        if self.stderr and isinstance(text, str):
            text = without_passwords(text)
        if not (text and self.is_terminal):  # nothing to wrap, nothing to colour: thirty times as fast
            self.file.write(f"{' ' * indent}{text}\n")
            return
        line = Text(text) if isinstance(text, str) else text
        first, *more = line.wrap(self, self.width - indent - HANGING)
        self.print(Padding(first, (0, 0, 0, indent), expand=False))
        for each in more:
            self.print(Padding(each, (0, 0, 0, indent + HANGING), expand=False))

    def json(self, value: Any) -> None:
        """Print a value as JSON on one line."""
        sys.stdout.write(json_line(value) + "\n")


def stdout() -> Console:
    """Return the console for what was asked for."""
    return Console()


def stderr() -> Console:
    """Return the console for everything else."""
    return Console(error=True)

"""Where output goes: what was asked for to stdout, everything else to stderr."""

import sys
from typing import Any, NoReturn

import rich.console
from rich.padding import Padding
from rich.text import Text

from leftfold.cli.plain import json_line

UNBROKEN = 10_000  # columns of an output that is not a terminal: whoever reads it wants whole lines


class Console(rich.console.Console):
    """Prints what it is given, brackets and numbers too, as it is; a closed pipe is told, not swallowed."""

    def __init__(self, *, error: bool = False) -> None:
        super().__init__(stderr=error, highlight=False, markup=False, emoji=False)
        if not self.is_terminal:
            self.width = UNBROKEN

    def on_broken_pipe(self) -> NoReturn:
        """Leave it to whoever runs the command."""
        raise BrokenPipeError

    def put(self, text: Text | str, indent: int = 0) -> None:
        """Print one line; on a terminal a long one goes on below its own beginning."""
        if self.is_terminal and text:
            self.print(Padding(text, (0, 0, 0, indent), expand=False))
        else:  # nothing to wrap and no colours: thirty times as fast
            self.file.write(f"{' ' * indent}{text}\n")

    def json(self, value: Any) -> None:
        """Print a value as JSON on one line."""
        sys.stdout.write(json_line(value) + "\n")


def stdout() -> Console:
    """The console for what was asked for."""
    return Console()


def stderr() -> Console:
    """The console for everything else."""
    return Console(error=True)

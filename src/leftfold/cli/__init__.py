"""The command line `leftfold`; needs the extra `cli`."""

import sys
from collections.abc import Callable
from typing import Any

from leftfold.errors import MissingExtra


def main() -> None:
    """Run the command that the arguments name, and leave with its exit code."""
    try:
        _program()()
    except KeyboardInterrupt:  # while the program is still being imported
        sys.exit(130)


def _program() -> Callable[[], Any]:
    try:
        from leftfold.cli.program import program
    except ModuleNotFoundError as error:
        missing = str(error.name).partition(".")[0]
        if missing not in ("typer", "rich"):
            raise
        sys.stderr.write(f"error: {MissingExtra(missing, 'cli')}\n")
        sys.exit(3)
    return program

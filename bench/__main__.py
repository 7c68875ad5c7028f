"""`python -m bench`: measure, and print what came of it."""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from bench import appending, deciding, loading, projecting, table
from bench.figure import Figure, Row
from bench.rounds import Effort, measure

FIGURES: Sequence[Figure] = (*deciding.FIGURES, *appending.FIGURES, *loading.FIGURES, *projecting.FIGURES)
THOROUGH = Effort(rounds=9, seconds=1.0)
QUICK = Effort(rounds=3, seconds=0.3)


def main() -> None:
    arguments = _arguments()
    console = Console(stderr=True, highlight=False)
    chosen = [figure for figure in FIGURES if not arguments.only or figure.name in arguments.only]
    rows: list[Row] = []
    with console.status("") as status:
        for figure in chosen:
            rows += measure(figure, QUICK if arguments.quick else THOROUGH, arguments.directory, status.update)
    lines = [table.line_of(row) for row in rows]
    Console(highlight=False, width=None if sys.stdout.isatty() else 180).print(
        table.terminal("", table.HEADINGS, lines)
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", action="append", metavar="NAME", choices=[figure.name for figure in FIGURES])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--directory", type=Path, default=Path(tempfile.gettempdir()))
    return parser.parse_args()


if __name__ == "__main__":
    main()

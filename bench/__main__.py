"""`python -m bench`: measure leftfold beside its peer and a bare sqlite3 loop, then how its costs grow with the log."""

import argparse
import asyncio
import fnmatch
import shlex
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from bench import (
    consistency,
    flatness,
    gate,
    instructions,
    latency,
    limits,
    machine,
    percentiles,
    profiling,
    reading,
    rounds,
    searching,
    table,
    wakeups,
)
from bench.document import PAGE, Page
from bench.figures import BY_NAME, FIGURES
from bench.rounds import Effort

NAMES = list(BY_NAME)
CONSISTENCY, LATENCY, WAKEUPS, FLAT, TAGS, READING, LIMITS = (
    "consistency",
    "latency",
    "wakeups",
    "flat",
    "tags",
    "reading",
    "limits",
)
TABLES = [CONSISTENCY, LATENCY, WAKEUPS, FLAT, TAGS, READING, LIMITS]
THOROUGH = Effort(rounds=9, seconds=1.0)
QUICK = Effort(rounds=3, seconds=0.3)
GATE = Effort(rounds=20, seconds=0.5)


def main() -> None:
    arguments = _arguments()
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 200)
    if arguments.profile:
        for profile in profiling.profile(BY_NAME[arguments.profile], arguments.directory).tables(profiling.SHOWN):
            console.print(profile)
        return
    if arguments.gate is not None:
        _compare(arguments, console)
        return
    page = Page(arguments.markdown) if arguments.markdown else None
    tables = _measured(arguments)
    for measured in tables:
        console.print(measured.terminal())
    about = machine.description(arguments.directory)
    console.print("\n".join(f"{what}: {which}" for what, which in about.items()))
    if page:
        page.write(f"python -m bench {shlex.join(sys.argv[1:])}", about, tables)
        console.print(f"written to {page.path}")


def _compare(arguments: argparse.Namespace, console: Console) -> None:
    """Compare two commits, and exit with 1 if a figure is too slow."""
    names = [name for only in arguments.only or gate.USUAL for name in _named(only)]
    figures = [figure for figure in FIGURES if figure.name in names and figure.ours is not None]
    effort, directory = QUICK if arguments.quick else GATE, arguments.directory
    with Console(stderr=True, highlight=False).status("") as status:
        try:
            with gate.opened_sides(arguments.gate, directory) as sides:
                found = list(gate.measure(figures, sides, effort, arguments.least, directory, status.update))
        except gate.GitFailed as error:
            raise SystemExit(f"--gate {arguments.gate}: {error}") from error
        except KeyboardInterrupt:
            raise SystemExit(130) from None
    console.print(table.of_gate(found, sides.names).terminal())
    if not all(each.passes for each in found):
        raise SystemExit(1)


def _measured(arguments: argparse.Namespace) -> list[table.Table]:
    wanted = [name for only in arguments.only or ["*"] for name in _named(only)]
    console = Console(stderr=True, highlight=False)
    with console.status("") as status:
        effort = QUICK if arguments.quick else THOROUGH
        if arguments.instructions:
            names = [name for name in instructions.NAMES if name in wanted]
            counted = list(instructions.measure(names, arguments.directory, status.update))
            return [table.of_instructions(counted, BY_NAME)]
        chosen = [figure for figure in FIGURES if figure.name in wanted]
        rows = [row for figure in chosen for row in rounds.measure(figure, effort, arguments.directory, status.update)]
        tables = [table.of_rows(rows)] if rows else []
        if CONSISTENCY in wanted:
            with tempfile.TemporaryDirectory(dir=arguments.directory) as fresh, consistency.opened(Path(fresh)) as ways:
                tables.append(table.of_latencies(list(latency.measure(ways, effort, status.update))))
        if LATENCY in wanted:
            with tempfile.TemporaryDirectory(dir=arguments.directory) as fresh:
                tables.append(table.of_percentiles(percentiles.measure(Path(fresh), effort, status.update)))
        if WAKEUPS in wanted:
            with tempfile.TemporaryDirectory(dir=arguments.directory) as fresh:
                tables.append(table.of_wakeups(wakeups.measure(Path(fresh), effort, status.update)))
        if FLAT in wanted:
            sizes = flatness.QUICK_SIZES if arguments.quick else flatness.SIZES
            with tempfile.TemporaryDirectory(dir=arguments.directory) as fresh:
                costs = asyncio.run(flatness.measure(sizes, Path(fresh), status.update))
            tables.append(table.of_costs(costs, sizes))
        if TAGS in wanted:
            events = arguments.events or (searching.QUICK_EVENTS if arguments.quick else searching.EVENTS)
            with tempfile.TemporaryDirectory(dir=arguments.directory) as fresh:
                searches = asyncio.run(searching.measure(events, Path(fresh), status.update))
            tables.append(table.of_searches(searches, events))
        if READING in wanted:
            rows_read = arguments.events or (reading.QUICK_ROWS if arguments.quick else reading.ROWS)
            with tempfile.TemporaryDirectory(dir=arguments.directory) as fresh:
                costs_read = asyncio.run(reading.measure(rows_read, Path(fresh), status.update))
            tables.append(table.of_reading(costs_read, rows_read))
        if LIMITS in wanted:
            with tempfile.TemporaryDirectory(dir=arguments.directory) as fresh:
                tables.append(table.of_limits(asyncio.run(limits.measure(Path(fresh), status.update))))
    return tables


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    names = ", ".join([*NAMES, *TABLES])
    parser.add_argument("--only", action="append", metavar="NAME", help=f"may be repeated, and be a pattern: {names}")
    parser.add_argument("--quick", action="store_true", help="few and short rounds: for trying out, not for citing")
    parser.add_argument("--events", type=int, metavar="N", help=f"how long the log of {TAGS!r} or {READING!r} is")
    parser.add_argument(
        "--gate",
        nargs="?",
        const="",
        metavar="COMMIT",
        help="compare the working tree with a commit, by default where the branch left main, or BEFORE..AFTER",
    )
    parser.add_argument(
        "--least", type=float, default=0.95, metavar="RATIO", help="below which ratio of rates --gate fails (0.95)"
    )
    parser.add_argument(
        "--instructions",
        action="store_true",
        help=f"count the instructions of a command with valgrind instead: {', '.join(instructions.NAMES)}",
    )
    parser.add_argument(
        "--profile", metavar="NAME", choices=NAMES, help="where the time of leftfold's part of a figure goes"
    )
    parser.add_argument(
        "--markdown", nargs="?", type=Path, const=PAGE, metavar="FILE", help=f"write the tables to {PAGE} as well"
    )
    parser.add_argument(
        "--directory", type=Path, default=Path(tempfile.gettempdir()), help="where the databases are made"
    )
    arguments = parser.parse_args()
    for only in arguments.only or ():
        if not _named(only):
            parser.error(f"--only {only}: there is no such name; the names are {names}")
    if arguments.gate is not None:
        alone = [figure.name for figure in FIGURES if figure.ours]
        if not any(name in alone for only in arguments.only or gate.USUAL for name in _named(only)):
            parser.error(f"--gate measures only these figures: {', '.join(alone)}")
    return arguments


def _named(pattern: str) -> list[str]:
    """Figures and tables by name, or by a pattern such as `pg-*`."""
    return fnmatch.filter([*NAMES, *TABLES], pattern)


if __name__ == "__main__":
    main()

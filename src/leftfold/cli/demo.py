"""`leftfold demo`: the flights example, on real data."""

import importlib
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import typer

from leftfold.cli import arguments
from leftfold.cli.arguments import option
from leftfold.cli.outcome import Outcome, command
from leftfold.cli.output import stdout
from leftfold.errors import MissingExtra

PLACES = ("leftfold._demo.flights.demo", "examples.flights.demo")  # in an installation, in a checkout


@command
def demo(
    months: Annotated[
        Any, typer.Option(parser=arguments.months, metavar="MONTHS", help="The months to load: 1,2 or 1-12.")
    ] = "1,2",
    year: Annotated[int, typer.Option(metavar="YEAR", help="The year of the flights.")] = 2013,
    directory: Annotated[
        Path, typer.Option("--dir", metavar="FOLDER", help="The folder for the log and the read models.")
    ] = Path(".demo"),
    database: Annotated[
        str | None, option("--database", "Keep both in this PostgreSQL database instead of a folder.", "URL")
    ] = None,
) -> Outcome:
    """Load real flights, decide on each of them, and query the past.

    Every departure from New York's airports is a command, which is decided against the flight and the aircraft. What
    the data contradicts is rejected and counted. A second run adds nothing.

    Examples:
      leftfold demo
      leftfold demo --months 1-12 --dir /tmp/flights
      leftfold demo --database postgresql://me@localhost/flights
    """
    code: int = _example().run_demo(months, year, directory, stdout(), database=database)
    return Outcome(code)


def _example() -> ModuleType:
    for place in PLACES:
        try:
            return importlib.import_module(place)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{place}.".startswith(f"{error.name}."):
                raise
    raise MissingExtra(PLACES[0], "demo")

"""`python -m examples.flights` runs the demo; with `watch` it shows an airport's board while reports come in."""

import argparse
from pathlib import Path

from rich.console import Console

from leftfold import LeftfoldError

from .demo import AIRPORT, DIRECTORY, INTERRUPTED, Selection, run_demo
from .watch import run_watch


def main() -> int:
    """Run the demo with what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m examples.flights", description="Load real flights and ask.")
    parser.add_argument("what", nargs="?", choices=["demo", "watch"], default="demo")
    parser.add_argument("--airport", default=AIRPORT, help="whose board to watch")
    parser.add_argument("--months", default="1", help="such as 1,3 (February always comes along)")
    parser.add_argument("--year", type=int, default=2013)
    parser.add_argument("--dir", type=Path, default=DIRECTORY, help="where the log is kept")
    parser.add_argument("--days", type=int, help="only the first few days of them")
    chosen = parser.parse_args()
    months = [int(month) for month in chosen.months.split(",")]
    try:
        if chosen.what == "watch":
            run_watch(Selection(chosen.year, months, chosen.days).read(), chosen.airport, Console())
            return 0
        return run_demo(months, chosen.year, chosen.dir, days=chosen.days)
    except KeyboardInterrupt:
        return INTERRUPTED
    except LeftfoldError as error:
        Console(stderr=True).print(str(error), style="red", markup=False)
        return 1


if __name__ == "__main__":
    raise SystemExit(main())

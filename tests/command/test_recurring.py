"""Recurring commands: once for each time that is due, over restarts and steps of the clock, until cancelled."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pytest

from leftfold import App, Backoff, Command, Daily, Event, EventStore, LiveApp, Rejected, recording
from leftfold.command.submitted.events import CommandSubmitted
from leftfold.command.submitted.schedule import Recurrence
from leftfold.errors import AlreadyEnded, KeyReused, NaiveDatetime, UsageError
from leftfold.model.metadata import decode_metadata
from leftfold.store import MemoryStore
from leftfold.testing import FakeClock
from leftfold.testing.clock import START

HOUR = timedelta(hours=1)


class Report(Command):
    name: str = "daily"


class Reported(Event):
    name: str


class Reports:
    """An app whose reports fail or are rejected when a test says so."""

    def __init__(self) -> None:
        self.trouble: Exception | None = None
        self.app = App("reports")
        self.app.handles(self.report)

    def report(self, command: Report) -> Reported:
        if self.trouble is not None:
            raise self.trouble
        return Reported(command.name)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store(clock: FakeClock) -> EventStore:
    return MemoryStore(clock)


@pytest.fixture
def reports() -> Reports:
    return Reports()


@pytest.fixture
async def live(reports: Reports, store: EventStore, clock: FakeClock) -> AsyncIterator[LiveApp]:
    async with reports.app.open(store, clock=clock, work=False, backoff=Backoff(1, 1, attempts=2)) as live:
        yield live


async def times(live: LiveApp, kind: str = "Reported") -> list[datetime]:
    return [event.time async for batch in live.store.read() for event in batch.events if event.type == kind]


async def due(live: LiveApp) -> list[datetime | None]:
    return [each.due for each in await live.commands(["pending", "scheduled"])]


async def test_a_recurring_command_is_handled_at_each_of_its_times(live: LiveApp, clock: FakeClock) -> None:
    await live.submit(Report(), key="hourly", every=HOUR, at=START + HOUR)
    for _ in range(8):
        await live.run_until_quiet()
        clock.advance(minutes=30)

    assert await times(live) == [START + number * HOUR for number in (1, 2, 3)]
    assert await due(live) == [START + 4 * HOUR]


async def test_without_a_time_the_first_is_due_at_once(live: LiveApp) -> None:
    await live.submit(Report(), key="hourly", every=HOUR)

    await live.run_until_quiet()

    assert await times(live) == [START]
    assert await due(live) == [START + HOUR]


async def test_a_late_wake_up_handles_what_is_due_once_and_goes_on_with_the_schedule(
    live: LiveApp, clock: FakeClock
) -> None:
    await live.submit(Report(), key="hourly", every=HOUR)
    await live.run_until_quiet()
    late = clock.advance(hours=9, minutes=20)

    await live.run_until_quiet()
    await live.run_until_quiet()

    assert await times(live) == [START, late]
    assert await due(live) == [START + 10 * HOUR]


async def test_recurring_commands_survive_restarts(tmp_path: Path, clock: FakeClock, reports: Reports) -> None:
    url = f"sqlite:///{tmp_path}/reports.db"
    async with reports.app.open(url, clock=clock, work=False) as live:
        await live.submit(Report(), key="hourly", every=HOUR, at=START + HOUR)
    for hours in (1, 1, 5, 0):
        clock.advance(hours=hours)
        async with reports.app.open(url, clock=clock, work=False) as live:
            await live.run_until_quiet()
            handled = await times(live)

    assert handled == [START + number * HOUR for number in (1, 2, 7)]


async def test_a_clock_that_is_put_back_runs_nothing_twice_and_one_that_is_put_on_runs_once(
    live: LiveApp, clock: FakeClock
) -> None:
    await live.submit(Report(), key="hourly", every=HOUR)
    await live.run_until_quiet()
    clock.advance(hours=-3)
    await live.run_until_quiet()
    assert len(await times(live)) == 1

    clock.advance(hours=13)
    await live.run_until_quiet()
    clock.advance(hours=-3)
    await live.run_until_quiet()

    assert len(await times(live)) == 2
    assert await due(live) == [START + 11 * HOUR]


async def test_each_is_a_command_of_its_own_said_of_as_the_first(live: LiveApp, clock: FakeClock) -> None:
    with recording(actor="ann"):
        first = await live.submit(Report(), key="hourly", every=HOUR)
    await live.run_until_quiet()
    clock.advance(HOUR)
    await live.run_until_quiet()

    [batch] = [batch async for batch in live.store.read()]
    said = [decode_metadata(event.metadata) for event in batch.events if event.type == "Reported"]
    assert [each.actor for each in said] == ["ann", "ann"]
    assert said[0].command == first.id != said[1].command
    assert (await live.ticket(said[1].command or "").result()).events == (Reported("daily"),)


async def test_a_rejection_does_not_end_it(live: LiveApp, clock: FakeClock, reports: Reports) -> None:
    reports.trouble = Rejected("closed")
    ticket = await live.submit(Report(), key="hourly", every=HOUR)
    await live.run_until_quiet()
    reports.trouble = None
    clock.advance(HOUR)
    await live.run_until_quiet()

    assert (await ticket.state()).state == "rejected"
    assert await times(live) == [START + HOUR]


async def test_a_final_failure_does_not_end_it_and_its_retry_does_not_double_it(
    live: LiveApp, clock: FakeClock, reports: Reports
) -> None:
    reports.trouble = ConnectionError("no line")
    ticket = await live.submit(Report(), key="hourly", every=HOUR)
    for _ in range(3):
        await live.run_until_quiet()
        clock.advance(seconds=1)
    assert [each.ticket for each in await live.commands("failed")] == [ticket.id]
    assert await due(live) == [START + HOUR]

    reports.trouble = None
    await ticket.retry()
    await live.run_until_quiet()

    assert len(await times(live)) == 1
    assert await due(live) == [START + HOUR]


async def test_an_attempt_that_is_postponed_keeps_the_schedule(
    live: LiveApp, clock: FakeClock, reports: Reports
) -> None:
    reports.trouble = ConnectionError("no line")
    await live.submit(Report(), key="hourly", every=HOUR)
    await live.run_until_quiet()
    reports.trouble = None
    clock.advance(seconds=5)
    await live.run_until_quiet()

    assert await due(live) == [START + HOUR]


# --- the end


@pytest.mark.parametrize("chosen", ["first", "newest"])
async def test_cancelling_any_ticket_of_the_series_ends_it(live: LiveApp, clock: FakeClock, chosen: str) -> None:
    first = await live.submit(Report(), key="hourly", every=HOUR)
    await live.run_until_quiet()
    clock.advance(HOUR)
    await live.run_until_quiet()
    [newest] = await live.commands("scheduled")

    await (first if chosen == "first" else live.ticket(newest.ticket)).cancel()
    clock.advance(days=1)
    await live.run_until_quiet()

    assert len(await times(live)) == 2
    assert [each.ticket for each in await live.commands("cancelled")] == [newest.ticket]
    with pytest.raises(AlreadyEnded):
        await first.cancel()


async def test_cancelling_one_that_failed_ends_the_series_too(
    live: LiveApp, clock: FakeClock, reports: Reports
) -> None:
    reports.trouble = ConnectionError("no line")
    ticket = await live.submit(Report(), key="hourly", every=HOUR)
    for _ in range(3):
        await live.run_until_quiet()
        clock.advance(seconds=1)

    await ticket.cancel()

    assert await live.commands() == []
    assert len(await live.commands("cancelled")) == 2


async def test_a_series_that_is_cancelled_while_it_is_handled_ends() -> None:
    for _ in range(20):
        clock = FakeClock()
        async with Reports().app.open(MemoryStore(clock), clock=clock, work=False) as live:
            ticket = await live.submit(Report(), key="hourly", every=HOUR)
            await asyncio.gather(live.run_until_quiet(), ticket.cancel())
            assert await live.commands() == []


async def test_two_workers_submit_the_next_once(store: EventStore, clock: FakeClock) -> None:
    async with (
        Reports().app.open(store, clock=clock, work=False) as live,
        Reports().app.open(store, clock=clock, work=False) as other,
    ):
        await live.submit(Report(), key="hourly", every=HOUR)
        for _ in range(10):
            await asyncio.gather(live.run_until_quiet(), other.run_until_quiet())
            clock.advance(HOUR)

        assert await times(live) == [START + number * HOUR for number in range(10)]
        assert len(await live.commands(["pending", "scheduled"])) == 1


# --- what is asked for


async def test_a_program_that_submits_it_at_each_start_submits_it_once(live: LiveApp, clock: FakeClock) -> None:
    tickets = set[str]()
    for _ in range(3):
        tickets.add((await live.submit(Report(), key="hourly", every=HOUR, at=clock.now() + HOUR)).id)
        clock.advance(minutes=5)

    assert len(tickets) == 1
    assert await due(live) == [START + HOUR]


@pytest.mark.parametrize("other", [timedelta(hours=2), Daily(time(3)), None])
async def test_the_same_key_with_another_schedule_is_refused(live: LiveApp, other: timedelta | Daily | None) -> None:
    await live.submit(Report(), key="hourly", every=HOUR)

    with pytest.raises(KeyReused):
        await live.submit(Report(), key="hourly", every=other)
    with pytest.raises(KeyReused):
        await live.submit(Report("other"), key="hourly", every=HOUR)


@pytest.mark.parametrize(
    ("key", "every"),
    [
        (None, HOUR),
        ("k", timedelta()),
        ("k", -HOUR),
        ("k", Daily(time(3), zone="Middle/Earth")),
        ("k", Daily(time(3, tzinfo=UTC))),
    ],
)
async def test_a_schedule_that_makes_no_sense_is_refused(
    live: LiveApp, key: str | None, every: timedelta | Daily
) -> None:
    with pytest.raises(UsageError):
        await live.submit(Report(), key=key, every=every)


async def test_the_first_time_needs_a_zone(live: LiveApp) -> None:
    with pytest.raises(NaiveDatetime):
        await live.submit(Report(), key="k", every=HOUR, at=datetime(2026, 1, 1))  # noqa: DTZ001


def test_a_submission_of_an_older_log_is_read() -> None:
    from msgspec import Raw
    from msgspec.structs import replace

    app = Reports().app
    stored = b'{"ticket":"t","command":"Report","command_version":1,"data":{},"due":null}'
    record = app.registry.encode(CommandSubmitted("t", "Report", 1, Raw(b"{}")), b"{}")

    assert app.registry.decode_new(replace(record, data=stored)) == CommandSubmitted("t", "Report", 1, Raw(b"{}"))


# --- by the clock on the wall


async def test_a_daily_command_keeps_its_time_of_day_when_clocks_change(live: LiveApp, clock: FakeClock) -> None:
    vienna = ZoneInfo("Europe/Vienna")
    clock.set(datetime(2026, 3, 27, 12, tzinfo=UTC))
    await live.submit(Report(), key="nightly", every=Daily(time(3), zone="Europe/Vienna"))
    for _ in range(4 * 24):
        await live.run_until_quiet()
        clock.advance(HOUR)

    handled = [each.astimezone(vienna).isoformat() for each in await times(live)]
    assert handled == [
        "2026-03-28T03:00:00+01:00",
        "2026-03-29T03:00:00+02:00",
        "2026-03-30T03:00:00+02:00",
        "2026-03-31T03:00:00+02:00",
    ]


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (datetime(2026, 3, 29, tzinfo=UTC), ["2026-03-29T01:30", "2026-03-30T00:30"]),
        (datetime(2026, 10, 24, 12, tzinfo=UTC), ["2026-10-25T00:30", "2026-10-26T01:30"]),
    ],
    ids=["a time that the day does not have", "a time that the day has twice"],
)
def test_a_time_that_a_day_does_not_have_or_has_twice_comes_once(day: datetime, expected: list[str]) -> None:
    nightly = Daily(time(2, 30), zone="Europe/Vienna")
    first = nightly.after(day)

    assert [each.isoformat()[:16] for each in (first, nightly.after(first))] == expected


def test_a_daily_schedule_is_stored_as_data_and_read_back() -> None:
    import msgspec

    daily = Recurrence(START, Daily(time(3), zone="Europe/Vienna"))
    period = Recurrence(START, timedelta(hours=24))

    assert msgspec.json.encode(daily.every) == b'{"at":"03:00:00","zone":"Europe/Vienna"}'
    for each in (daily, period):
        assert msgspec.json.decode(msgspec.json.encode(each), type=Recurrence) == each


async def test_where_the_time_zone_is_unknown_a_command_fails_and_goes_on_once_it_is_retried_elsewhere(
    live: LiveApp, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket = await live.submit(Report(), key="nightly", every=Daily(time(3), zone="Europe/Vienna"), at=START)
    clock.advance(hours=2)
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr("leftfold.command.submitted.schedule._zone", unknown_zone)
        for _ in range(3):
            await live.run_until_quiet()
            clock.advance(seconds=1)
        assert [each.error for each in await live.commands("failed")] == ["ZoneInfoNotFoundError: 'no such zone'"]
        assert await times(live) == []

    await ticket.retry()
    await live.run_until_quiet()

    assert len(await times(live)) == 1
    assert await due(live) == [datetime(2026, 1, 2, 2, tzinfo=UTC)]


def unknown_zone(name: str) -> ZoneInfo:
    raise ZoneInfoNotFoundError("no such zone")

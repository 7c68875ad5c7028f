"""Commands that are submitted now and handled later: the outcome, the time, failures, retries, cancellation."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from leftfold import App, Backoff, Command, Context, Event, EventStore, LiveApp, Metadata, Rejected, recording
from leftfold.errors import (
    AlreadyEnded,
    KeyReused,
    NaiveDatetime,
    NotHandled,
    TicketCancelled,
    TicketFailed,
    TicketOpen,
    UnknownTicket,
    UsageError,
    WireNameTaken,
)
from leftfold.model.metadata import decode_metadata
from leftfold.store import MemoryStore
from leftfold.testing import FakeClock
from tests.accounts import Account, Deposit, Deposited, Freeze, Transfer, Withdraw, accounts_app
from tests.patience import PATIENCE


class Call(Command):
    number: int = 0


class Called(Event):
    number: int


class Line:
    """A line that is down until a test repairs it."""

    def __init__(self) -> None:
        self.down = True
        self.app = App("line")
        self.app.handles(self.call)

    def call(self, command: Call) -> Called:
        if self.down:
            raise ConnectionError("no line")
        return Called(command.number)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store(clock: FakeClock) -> EventStore:
    return MemoryStore(clock)


@pytest.fixture
async def live(store: EventStore, clock: FakeClock) -> AsyncIterator[LiveApp]:
    async with accounts_app().open(store, clock=clock, work=False) as live:
        yield live


async def test_a_submitted_command_is_handled_and_its_receipt_awaited(live: LiveApp) -> None:
    ticket = await live.submit(Deposit("a", 5))
    assert (await ticket.state()).state_at(datetime.now(UTC)) == "pending"

    await live.run_until_quiet()

    receipt = await ticket.result(timeout=PATIENCE)
    assert (receipt.position, receipt.events, receipt.command_id) == (2, (Deposited("a", 5),), ticket.id)
    assert (await live.state(Account, "a")).balance == 5


async def test_a_command_that_makes_nothing_happen_is_handled(live: LiveApp) -> None:
    await live.execute(Freeze("a"))
    ticket = await live.submit(Freeze("a"))

    await live.run_until_quiet()

    assert (await ticket.result()).events == ()


async def test_a_rejection_is_raised_with_its_details(live: LiveApp) -> None:
    ticket = await live.submit(Withdraw("a", 5))

    await live.run_until_quiet()

    with pytest.raises(Rejected) as rejected:
        await ticket.result()
    assert rejected.value == Rejected("insufficient funds", balance=0)


async def test_commands_are_decided_in_the_order_of_their_submission(live: LiveApp) -> None:
    submitted = [Deposit("a", 5), Transfer("a", "b", 5), Withdraw("b", 5), Withdraw("a", 1), Deposit("a", 1)]
    tickets = [await live.submit(command) for command in submitted]

    await live.run_until_quiet()

    assert [(await ticket.state()).state for ticket in tickets] == ["handled"] * 3 + ["rejected", "handled"]


async def test_the_same_key_is_the_same_ticket(live: LiveApp) -> None:
    first = await live.submit(Deposit("a", 5), key="k")
    again = await live.submit(Deposit("a", 5), key="k")
    await live.run_until_quiet()

    assert first.id == again.id
    assert (await live.state(Account, "a")).balance == 5
    with pytest.raises(KeyReused):
        await live.submit(Deposit("a", 6), key="k")


async def test_what_was_said_at_submission_is_said_of_the_events(live: LiveApp, store: EventStore) -> None:
    with recording(actor="ann", reason="salary"):
        ticket = await live.submit(Deposit("a", 5))
    await live.run_until_quiet()

    [batch] = [batch async for batch in store.read()]
    said = decode_metadata(batch.events[1].metadata)
    assert said == Metadata(
        command=ticket.id, command_type="Deposit", correlation=ticket.id, actor="ann", reason="salary"
    )


async def test_a_command_nobody_handles_is_refused_at_submission(live: LiveApp) -> None:
    with pytest.raises(NotHandled):
        await live.submit(Call())


# --- time


async def test_a_scheduled_command_is_handled_when_its_time_has_come(live: LiveApp, clock: FakeClock) -> None:
    ticket = await live.submit(Deposit("a", 5), delay=timedelta(minutes=15))
    clock.advance(minutes=14)
    await live.run_until_quiet()
    assert [each.ticket for each in await live.commands("scheduled")] == [ticket.id]

    clock.advance(minutes=1)
    await live.run_until_quiet()

    assert (await ticket.result()).events == (Deposited("a", 5),)
    assert await live.commands() == []


async def test_scheduled_commands_are_handled_once_by_whoever_opens_the_log_late(
    store: EventStore, clock: FakeClock
) -> None:
    async with accounts_app().open(store, clock=clock, work=False) as live:
        for minutes in (30, 10, 20):
            await live.submit(Deposit("a", minutes), at=clock.now() + timedelta(minutes=minutes))
        await live.run_until_quiet()
    clock.advance(days=1)

    for _ in range(2):
        async with accounts_app().open(store, clock=clock, work=False) as live:
            await live.run_until_quiet()
            assert (await live.state(Account, "a")).balance == 60


async def test_a_clock_that_is_put_back_makes_nothing_happen_twice(live: LiveApp, clock: FakeClock) -> None:
    await live.submit(Deposit("a", 5), delay=timedelta(minutes=1))
    clock.advance(minutes=2)
    await live.run_until_quiet()
    clock.advance(hours=-1)
    await live.run_until_quiet()
    clock.advance(hours=2)
    await live.run_until_quiet()

    assert (await live.state(Account, "a")).balance == 5


async def test_a_time_that_is_past_is_due_at_once(live: LiveApp, clock: FakeClock) -> None:
    await live.submit(Deposit("a", 5), at=clock.now() - timedelta(days=1))

    await live.run_until_quiet()

    assert (await live.state(Account, "a")).balance == 5


async def test_a_time_needs_a_zone_and_comes_without_a_delay(live: LiveApp, clock: FakeClock) -> None:
    with pytest.raises(NaiveDatetime):
        await live.submit(Deposit("a", 5), at=datetime(2026, 1, 1))  # noqa: DTZ001
    with pytest.raises(UsageError):
        await live.submit(Deposit("a", 5), at=clock.now(), delay=timedelta(1))


# --- failure


async def test_a_failing_command_is_tried_again_with_growing_pauses_and_then_failed(
    store: EventStore, clock: FakeClock
) -> None:
    line = Line()
    async with line.app.open(store, clock=clock, work=False, backoff=Backoff(1, 100, attempts=4)) as live:
        ticket = await live.submit(Call())
        pauses: list[float] = []
        await live.run_until_quiet()
        while due := (await ticket.state()).due:
            pauses.append((due - clock.now()).total_seconds())
            clock.set(due)
            await live.run_until_quiet()
            if (await ticket.state()).state == "failed":
                break

        assert [full / 2 <= pause <= full for pause, full in zip(pauses, (1, 2, 4), strict=True)] == [True] * 3
        [failed] = await live.commands("failed")
        assert (failed.attempts, failed.error) == (4, "ConnectionError: no line")
        with pytest.raises(TicketFailed, match="ConnectionError"):
            await ticket.result()


async def test_a_failed_command_is_retried_and_says_who_wanted_it(store: EventStore, clock: FakeClock) -> None:
    line = Line()
    async with line.app.open(store, clock=clock, work=False, backoff=Backoff(attempts=1)) as live:
        ticket = await live.submit(Call(7))
        await live.run_until_quiet()
        line.down = False

        with recording(actor="ann", reason="line repaired"):
            await ticket.retry()
        await live.run_until_quiet()

        assert (await ticket.result()).events == (Called(7),)
        [batch] = [batch async for batch in store.read()]
        [retried] = [event for event in batch.events if event.type == "leftfold.command.retried"]
        assert decode_metadata(retried.metadata).actor == "ann"


async def test_a_failing_command_does_not_hold_up_the_others(store: EventStore, clock: FakeClock) -> None:
    line = Line()
    app = accounts_app()
    app.handles(line.call)
    async with app.open(store, clock=clock, work=False) as live:
        tickets = [await live.submit(command) for command in (Deposit("a", 5), Call(), Deposit("a", 6))]

        await live.run_until_quiet()

        assert [(await ticket.state()).state for ticket in tickets] == ["handled", "open", "handled"]
        assert (await live.state(Account, "a")).balance == 11


async def test_a_cancelled_command_is_not_handled(live: LiveApp, clock: FakeClock) -> None:
    ticket = await live.submit(Deposit("a", 5), delay=timedelta(minutes=1))
    await live.run_until_quiet()

    await ticket.cancel()
    clock.advance(minutes=2)
    await live.run_until_quiet()

    assert (await live.state(Account, "a")).balance == 0
    assert [each.ticket for each in await live.commands("cancelled")] == [ticket.id]
    with pytest.raises(TicketCancelled):
        await ticket.result()


async def test_what_is_settled_can_be_neither_cancelled_nor_retried(live: LiveApp) -> None:
    ticket = await live.submit(Deposit("a", 5))
    await live.run_until_quiet()

    for change in (ticket.cancel, ticket.retry):
        with pytest.raises(AlreadyEnded, match="handled"):
            await change()


async def test_without_a_worker_the_result_is_open_and_an_unknown_ticket_is_told(live: LiveApp) -> None:
    ticket = await live.submit(Deposit("a", 5))

    with pytest.raises(TicketOpen):
        await ticket.result(timeout=0.01)
    with pytest.raises(UnknownTicket):
        await live.ticket("nonsense").state()


# --- what the log's own events are to others


async def test_events_of_the_inbox_are_known_and_not_among_the_apps_own(live: LiveApp) -> None:
    await live.submit(Deposit("a", 5))
    await live.run_until_quiet()

    [verified] = await live.verify()

    assert (verified.ok, verified.unknown) == (True, {})
    assert [known.wire for known in accounts_app().registry.types if known.wire.startswith("leftfold.")] == []


def test_a_users_event_is_not_named_like_the_logs_own() -> None:
    class Mine(Event, wire="leftfold.mine"):
        pass

    with pytest.raises(WireNameTaken):
        App("mine").event(Mine)


async def test_a_waiting_command_of_an_older_version_is_upcast(store: EventStore, clock: FakeClock) -> None:
    class CallV2(Command, wire="Call", version=2):
        number: str

    async with Line().app.open(store, clock=clock, work=False) as live:
        ticket = await live.submit(Call(7))
    app = App("line")

    @app.handles
    def call(command: CallV2, context: Context) -> Called:
        return Called(int(command.number) * 10)

    app.upcasts("Call", 1)(lambda fields: {"number": str(fields["number"])})
    async with app.open(store, clock=clock, work=False) as live:
        await live.run_until_quiet()
        assert (await live.ticket(ticket.id).result()).events == (Called(70),)


async def test_a_command_that_the_app_does_not_know_is_left_to_one_that_does(
    store: EventStore, clock: FakeClock
) -> None:
    async with accounts_app().open(store, clock=clock, work=False) as live:
        ticket = await live.submit(Deposit("a", 5))
    async with Line().app.open(store, clock=clock, work=False) as other:
        await other.run_until_quiet()
        assert [each.ticket for each in await other.commands("pending")] == [ticket.id]
    async with accounts_app().open(store, clock=clock, work=False) as live:
        await live.run_until_quiet()
        assert (await live.ticket(ticket.id).state()).state == "handled"

"""Several apps on one log, and two versions of one app during a deployment: none keeps another from its work."""

import asyncio
import logging
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Annotated, Self

import pytest

from leftfold import App, Backoff, Command, DecisionModel, Event, EventStore, LiveApp, ProcessManager, Reaction, Tag
from leftfold.command import lease_name
from leftfold.follow.lease import Lease, LeaseTerms
from leftfold.follow.lease_store import LeaseEntry
from leftfold.follow.process_identity import ProcessIdentity
from leftfold.model.message import MessageType
from leftfold.store import MemoryStore
from leftfold.testing import FakeClock
from leftfold_torture.postgres_server import PostgresServer
from tests.patience import PATIENCE
from tests.postgres import DATABASE

numbers = count(1)
OrderId = Annotated[str, Tag("order")]


class Sold(Event):
    order: OrderId


class Billed(Event):
    order: OrderId
    gift: bool = False


class Reminded(Event):
    order: OrderId


class Sell(Command):
    order: OrderId


class Bill(Command):
    order: OrderId


class BillWithGift(Command, wire="Bill", version=2):
    order: OrderId
    gift: bool


class Remind(Command):
    order: OrderId


class Order(DecisionModel):
    order: OrderId
    billed: int = 0

    def evolve(self, event: Billed) -> Self:
        return type(self)(self.order, self.billed + 1)


def sales() -> App:
    """An app that sells."""
    app = App("sales")

    @app.handles
    def sell(command: Sell) -> Sold:
        return Sold(command.order)

    return app


def billing() -> App:
    """Another app, which bills."""
    app = App("billing")

    @app.handles
    def bill(command: Bill, order: Order) -> Billed:
        return Billed(command.order)

    return app


def new_billing() -> App:
    """The next version of the second app: a command has one field more, and there is a new command."""
    app = App("billing")

    @app.handles
    def bill(command: BillWithGift, order: Order) -> Billed:
        return Billed(command.order, command.gift)

    @app.handles
    def remind(command: Remind) -> Reminded:
        return Reminded(command.order)

    app.upcasts("Bill", 1)(lambda fields: {**fields, "gift": False})
    return app


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/shop.db"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.url(DATABASE, log=f"apps_{next(numbers)}")


async def state_of(live: LiveApp, ticket: str) -> str:
    return (await live.ticket(ticket).state()).state


# --- commands


async def test_two_apps_on_one_log_handle_their_commands_beside_each_other(url: str) -> None:
    async with sales().open(url) as one, billing().open(url) as two:
        sold = await one.submit(Sell("o-1"))
        billed = await two.submit(Bill("o-1"))

        assert (await sold.result(PATIENCE)).events == (Sold("o-1"),)
        assert (await billed.result(PATIENCE)).events == (Billed("o-1"),)
        assert sorted(entry.name.rpartition(" ")[0] for entry in await one.leases()) == [
            "commands of billing",
            "commands of sales",
        ]


async def test_apps_do_not_warn_of_what_the_other_knows(url: str, caplog: pytest.LogCaptureFixture) -> None:
    async with sales().open(url) as one, billing().open(url) as two:
        await one.execute(Sell("o-1"))
        await two.execute(Bill("o-1"))

    with caplog.at_level(logging.INFO, "leftfold.app"):
        for app in (sales(), billing()):
            for work in (True, False):
                async with app.open(url, work=work) as live:
                    assert (await live.status()).mismatches == ()
                    assert [each for each in await live.leases() if each.name.startswith("types")] == []
    said = [(each.levelno, each.getMessage().partition("on this log do: ")[2]) for each in of_apps(caplog)]
    assert said == [(logging.INFO, "'Billed' (billing)"), (logging.INFO, "'Sold' (sales)")]


async def test_an_app_is_warned_of_what_only_it_knew_under_another_name(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with billing().open(url) as old, sales().open(url):
        await old.execute(Bill("o-1"))
        renamed = App("billing")
        renamed.event(Reminded)
        async with renamed.open(url) as live:
            assert [each.type for each in (await live.status()).mismatches] == ["Billed"]
    assert [each.levelno for each in of_apps(caplog)] == [logging.WARNING]


async def test_an_app_vouches_for_what_it_knew_when_it_was_opened_last(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with billing().open(url) as live:
        await live.execute(Bill("o-1"))
    without = App("billing")

    @without.handles
    def remind(command: Remind) -> Reminded:
        return Reminded(command.order)

    for app, warned in ((sales(), []), (without, ["Billed"]), (sales(), ["Billed"])):
        async with app.open(url) as live:
            assert [each.type for each in (await live.status()).mismatches] == warned


def of_apps(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [each for each in caplog.records if each.name == "leftfold.app"]


async def test_two_versions_of_an_app_each_handle_what_they_know(url: str) -> None:
    async with billing().open(url) as old, new_billing().open(url) as new:
        known_to_both = await old.submit(Bill("o-1"))
        in_a_newer_version = await new.submit(BillWithGift("o-2", gift=True))
        known_to_one = await new.submit(Remind("o-1"))

        assert len((await known_to_both.result(PATIENCE)).events) == 1
        assert (await in_a_newer_version.result(PATIENCE)).events == (Billed("o-2", gift=True),)
        assert (await known_to_one.result(PATIENCE)).events == (Reminded("o-1"),)
        assert (await in_a_newer_version.state()).attempts == 0
        assert [(await old.state(Order, each)).billed for each in ("o-1", "o-2")] == [1, 1]


async def test_versions_that_race_for_the_same_commands_handle_each_once() -> None:
    store = MemoryStore()
    async with billing().open(store, work=False) as old, new_billing().open(store, work=False) as new:
        for number in range(100):
            await old.submit(Bill(f"o-{number % 7}"))

        await asyncio.gather(old.run_until_quiet(), new.run_until_quiet())

        assert sum([(await new.state(Order, f"o-{number}")).billed for number in range(7)]) == 100
        assert await new.commands() == []


async def test_a_command_of_another_app_counts_no_failed_attempts_when_that_app_fails_or_it_is_retried() -> None:
    clock = FakeClock()
    store: EventStore = MemoryStore(clock)
    failing = App("billing")

    @failing.handles
    def bill(command: Bill) -> Billed:
        raise OSError("the printer is off")

    options = {"clock": clock, "backoff": Backoff(first=1, attempts=3)}
    async with sales().open(store, work=False, **options) as one:  # type: ignore[arg-type]
        async with failing.open(store, work=False, **options) as two:  # type: ignore[arg-type]
            ticket = (await two.submit(Bill("o-1"))).id
            await two.run_until_quiet()
        clock.advance(hours=1)
        await one.run_until_quiet()
        await one.ticket(ticket).retry()
        await one.run_until_quiet()

        assert (await state_of(one, ticket), (await one.ticket(ticket).state()).attempts) == ("open", 0)
    async with billing().open(store, work=False, **options) as mended:  # type: ignore[arg-type]
        await mended.run_until_quiet()
        assert await state_of(mended, ticket) == "handled"


async def test_a_command_that_waits_for_another_app_is_named_once_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore()
    async with sales().open(store, work=False) as one, new_billing().open(store, work=False) as two:
        for number in range(3):
            await two.submit(Remind(f"o-{number}"))
        with caplog.at_level(logging.WARNING, "leftfold.commands"):
            await one.run_until_quiet()

    [record] = caplog.records
    assert record.getMessage() == (
        "command 'Remind', version 1, waits for an app that handles it; this app knows no such command"
    )


async def test_a_worker_that_starts_from_a_checkpoint_of_another_app_misses_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("leftfold.command.submitted.follower.EVENTS_PER_CHECKPOINT", 10)
    store = MemoryStore()
    async with sales().open(store, work=False) as one, billing().open(store, work=False) as two:
        waiting = await two.submit(Bill("o-1"))
        for number in range(20):
            await one.submit(Sell(f"o-{number}"))
        await one.run_until_quiet()
        types = [event.type async for batch in store.read() for event in batch.events]
        assert "leftfold.command.checkpoint" in types

        await two.run_until_quiet()

        assert (await waiting.state()).state == "handled"


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (("sales", [Sell, Bill]), True),
        (("sales", [Bill, Sell]), True),
        (("sales", [Sell]), False),
        (("billing", [Sell, Bill]), False),
        (("sales", [Sell, BillWithGift]), False),
    ],
)
def test_the_lease_of_commands_is_shared_by_those_who_handle_the_same(
    other: tuple[str, list[type]], same: bool
) -> None:
    name = lease_name("sales", map(MessageType, (Sell, Bill)))
    app, commands = other

    assert (lease_name(app, map(MessageType, commands)) == name) is same


def test_the_lease_of_commands_can_be_written_whatever_an_app_is_called() -> None:
    name = lease_name("größe\n\ud800 " + "x" * 1000, [MessageType(Sell)])

    assert name.isascii()
    assert name.isprintable()
    assert len(name) < 200


# --- processes and reactors


class Chase(ProcessManager, wire="chase"):
    """The process manager as it is before a deployment."""

    order: OrderId

    def evolve(self, event: Sold) -> Self:
        return self

    def react(self, event: Sold) -> Reaction:
        return Bill(self.order)


class NewChase(ProcessManager, wire="chase"):
    """The process manager as it is after it."""

    order: OrderId

    def evolve(self, event: Sold | Billed) -> Self:
        return self

    def react(self, event: Sold | Billed) -> Reaction:
        return Bill(self.order) if isinstance(event, Sold) else Remind(self.order)


def chasing(process: type[ProcessManager], name: str = "shop") -> App:
    """An app with this version of the process manager."""
    app = App(name)

    @app.handles
    def sell(command: Sell) -> Sold:
        return Sold(command.order)

    @app.handles
    def bill(command: Bill) -> Billed:
        return Billed(command.order)

    @app.handles
    def remind(command: Remind) -> Reminded:
        return Reminded(command.order)

    app.process(process)
    return app


async def until_stored(store: EventStore, wire: str) -> None:
    """Wait until an event of this type is in the log."""
    position = 0
    while True:
        async for batch in store.read(after=position):
            if any(event.type == wire for event in batch.events):
                return
            position = batch.through
        await store.wait(position)


async def test_of_two_versions_of_a_process_the_one_that_takes_more_events_answers(url: str) -> None:
    async with chasing(Chase).open(url, lease=timedelta(seconds=0.5)) as old:
        await (await old.submit(Sell("o-1"))).result(PATIENCE)
        async with chasing(NewChase).open(url, lease=timedelta(seconds=0.5)) as new:
            await until_held_by(new, "process chase", 2)
            await new.submit(Sell("o-2"))

            await until_stored(new.store, "Reminded")


async def until_held_by(live: LiveApp, name: str, types: int) -> None:
    """Wait until the lease is held by code that takes so many event types."""
    head = await live.store.head()
    while True:
        held = {entry.name: ProcessIdentity.parse(entry.holder) for entry in await live.leases()}
        holder = held.get(name)
        if holder is not None and holder.types == types:
            return
        head = await live.store.wait(head, 0.05)


def terms_of(app: str) -> LeaseTerms:
    return LeaseTerms.present(5.0, app)


@pytest.mark.parametrize(
    ("theirs", "mine", "taken"),
    [
        (("shop", 1), ("shop", 2), True),
        (("shop", 2), ("shop", 2), False),
        (("shop", 3), ("shop", 2), False),
        (("other", 1), ("shop", 2), False),
        (("shop", 0), ("shop", 2), False),
        (("", 0), ("shop", 2), False),
    ],
)
def test_a_lease_passes_to_code_of_the_same_app_that_takes_more_events(
    theirs: tuple[str, int], mine: tuple[str, int], taken: bool
) -> None:
    holder = Lease("work", terms_of(theirs[0]), types=theirs[1]).me
    lease = Lease("work", terms_of(mine[0]), types=mine[1])

    assert lease.may_be_taken(LeaseEntry("work", holder, 1)) is taken


def test_a_holder_that_was_written_before_apps_were_named_is_understood() -> None:
    before = "17@host boot namespace 99 abc"

    assert ProcessIdentity.parse(before) == ProcessIdentity(17, "host", "boot", "namespace", "99", "abc")
    assert str(ProcessIdentity.parse(before)) == before


@pytest.mark.parametrize("app", ["sales", "two words", "größe", "a@b c d e f", "\ud800", ""])
def test_a_holder_reads_back_equal_whatever_its_app_is_called(app: str) -> None:
    holder = ProcessIdentity(17, "host", "boot", "namespace", "99", "abc", app, 3 if app else 0)

    assert ProcessIdentity.parse(str(holder)) == holder


def test_a_name_that_two_apps_share_is_said_once_and_kept_as_trouble(caplog: pytest.LogCaptureFixture) -> None:
    lease = Lease("process chase", terms_of("sales"))
    other = Lease("process chase", terms_of("billing")).me

    with caplog.at_level(logging.WARNING, "leftfold.leases"):
        for beat in range(3):
            lease.may_be_taken(LeaseEntry("process chase", other, beat))
    in_between = lease.trouble
    lease.may_be_taken(None)

    [record] = caplog.records
    assert (
        "'process chase' of the app 'sales' waits: the app 'billing' uses the same name on this log"
        in record.getMessage()
    )
    assert in_between is not None
    assert in_between.holder == "billing"
    assert lease.trouble is None


async def test_the_status_of_an_app_shows_that_another_one_has_its_worker_s_name(url: str) -> None:
    async with chasing(Chase, "sales").open(url) as one:
        await until_held_by(one, "process chase", 1)
        async with chasing(Chase, "billing").open(url, lease=timedelta(seconds=0.5)) as two:
            while not any("uses the same name on this log" in str(each.trouble) for each in two.workers()):
                await two.store.wait(await two.store.head(), 0.05)
            assert [each.trouble for each in one.workers()] == [None, None]

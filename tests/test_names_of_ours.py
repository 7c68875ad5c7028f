"""Names and keys that leftfold makes for itself are out of users' reach, and two different things never have one."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Self

import pytest

from leftfold import App, Command, DecisionModel, EndProcess, Event, LiveApp, ProcessManager, Reaction, Tag, replace
from leftfold.errors import InvalidMessage, ReservedKey
from leftfold.store import MemoryStore, NewEvent
from leftfold.store.bounds import TAG_LIMIT
from leftfold.store.contract import EventStore, OwnKey
from leftfold.testing import FakeClock
from tests.formats.shop import Account, Deposit, shop
from tests.test_older_formats import FORMATS

OrderId = Annotated[str, Tag("order")]
LineId = Annotated[str, Tag("line")]
RESERVED = ["leftfold.submit/nightly", "leftfold.process/Booking", "leftfold.reactor/mail", "leftfold."]


class Asked(Event):
    order: OrderId
    line: LineId


class Booked(Event):
    order: OrderId
    line: LineId


class Ask(Command):
    order: OrderId
    line: LineId


class Book(Command):
    order: OrderId
    line: LineId


class Books(DecisionModel):
    order: OrderId
    line: LineId
    count: int = 0

    def evolve(self, event: Booked) -> Self:
        return replace(self, count=self.count + 1)


class Booking(ProcessManager):
    order: OrderId
    line: LineId

    def evolve(self, event: Asked) -> Self:
        return self

    def react(self, event: Asked) -> Reaction:
        return [Book(self.order, self.line), EndProcess()]


class ByOrder(ProcessManager):
    order: OrderId

    def evolve(self, event: Asked) -> Self:
        return self

    def react(self, event: Asked) -> Reaction:
        return Book(self.order, f"{self.order[:20]} by order")


booking = App("booking")
booking.process(Booking)
by_order = App("by order")
by_order.process(from_now=True)(ByOrder)


for each in (booking, by_order):

    @each.handles
    def ask(command: Ask) -> Asked:
        return Asked(command.order, command.line)

    @each.handles
    def book(command: Book, books: Books) -> Booked:
        return Booked(command.order, command.line)


@pytest.fixture
def store() -> EventStore:
    return MemoryStore(FakeClock())


@pytest.fixture
async def live(store: EventStore) -> AsyncIterator[LiveApp]:
    async with booking.open(store, work=False) as live:
        yield live


async def instances(live: LiveApp) -> list[str]:
    return [each.instance for each in await live.processes()]


@pytest.mark.parametrize("key", RESERVED)
async def test_a_key_like_leftfolds_own_is_refused_by_name_wherever_a_key_is_given(live: LiveApp, key: str) -> None:
    command = Ask("o", "l")
    for call in (live.execute(command, key=key), live.execute_many([command], key=key), live.submit(command, key=key)):
        with pytest.raises(ReservedKey, match=r"leftfold\."):
            await call
    with pytest.raises(ReservedKey):
        await live.submit(command, key=key, every=timedelta(days=1))
    with pytest.raises(ReservedKey):
        await live.store.append([NewEvent("noted", b"")], key=key)

    assert await live.store.head() == 0


async def test_a_key_that_only_looks_like_it_is_a_users(live: LiveApp) -> None:
    first = await live.execute(Ask("o", "l"), key="leftfold")
    again = await live.execute(Ask("o", "l"), key="leftfold")

    assert (first.position, again.position) == (1, 1)


async def test_no_client_can_stop_a_process_by_the_key_under_which_it_begins(store: EventStore) -> None:
    async with by_order.open(store, work=False) as live:
        with pytest.raises(ReservedKey):
            await live.execute(Ask("o", "l"), key="leftfold.process/ByOrder")
        await live.run_until_quiet()
        await live.execute(Ask("o", "l"))
        await live.run_until_quiet()

        assert (await live.state(Books, "o", "o by order")).count == 1


async def test_no_client_gets_the_ticket_of_a_process_or_of_a_series(live: LiveApp) -> None:
    asked = await live.execute(Ask("o", "l"))
    await live.submit(Ask("o", "other"), key=f"Booking/o/l/{asked.position}/0")
    await live.run_until_quiet()

    assert (await live.state(Books, "o", "l")).count == 1
    assert len({each.ticket for each in await live.commands(["handled"])}) == 3


async def test_instances_whose_keys_differ_in_where_a_slash_lies_are_two(live: LiveApp) -> None:
    keys = [("x/y", "z"), ("x", "y/z"), ("x%2Fy", "z"), ("x", "y%2Fz"), ("x/", "/z")]
    for key in keys:
        await live.execute(Ask(*key))
    await live.run_until_quiet()

    assert [(await live.state(Books, *key)).count for key in keys] == [1] * len(keys)
    assert len(set(await instances(live))) == len(keys)
    assert [(await live.process(Booking, *key)).progress.standing for key in keys] == ["done"] * len(keys)


async def test_an_instance_of_the_longest_keys_is_answered_like_any_other(live: LiveApp) -> None:
    longest = TAG_LIMIT - len("order:")
    keys = [("é" * longest, "l"), ("é" * (longest - 1), "l"), ("o", "%" * longest)]
    for key in [*keys, ("o", "l")]:
        await live.execute(Ask(*key))
    await live.run_until_quiet()

    assert [(await live.state(Books, *key)).count for key in [*keys, ("o", "l")]] == [1] * 4
    assert await instances(live) == list(dict.fromkeys(await instances(live)))
    assert [(await live.process(Booking, *key)).progress.standing for key in keys] == ["done"] * 3


async def test_a_parked_instance_of_a_long_key_needs_attention_as_any_other(store: EventStore) -> None:
    async with booking.open(store, work=False) as live:
        await store.append([NewEvent("Asked", b"no JSON", (f"order:{'p' * 500}", "line:l"))])
        await live.run_until_quiet()

        assert (await live.status()).attention.parked_instances == {"Booking": 1}


async def former(store: EventStore, instance: str, position: int, *, kind: str = "reacted") -> None:
    """What an older leftfold wrote about an instance."""
    fields = {"reacted": b'"tickets":[],"names":{},"done":true', "parked": b'"error":"as it was"'}[kind]
    data = b'{"instance":"%s","position":%d,%s}' % (instance.encode(), position, fields)
    record = NewEvent(f"leftfold.process.{kind}", data, (f"leftfold.process:{instance}",))
    suffix = "/parked/0" if kind == "parked" else ""
    await store.append([record], key=OwnKey(f"leftfold.process/{instance}/{position}{suffix}", b""))


async def test_an_instance_that_began_under_its_former_name_goes_on_under_it(live: LiveApp, store: EventStore) -> None:
    for key in (("x/y", "z"), ("x", "y/z"), ("v/w", "z")):
        await live.execute(Ask(*key))
    await former(store, "Booking/x/y/z", 1)
    await former(store, "Booking/v/w/z", 3, kind="parked")
    await live.run_until_quiet()

    assert [(await live.state(Books, *key)).count for key in (("x/y", "z"), ("x", "y/z"))] == [0, 1]
    assert (await live.process(Booking, "v/w", "z")).progress.parked == 3
    await live.retry(Booking, "v/w", "z")
    await live.run_until_quiet()

    assert (await live.state(Books, "v/w", "z")).count == 1
    assert await instances(live) == ["Booking/x/y/z", "Booking/v/w/z", "Booking/x/y%2Fz"]


async def test_an_old_log_goes_on_with_its_processes_and_its_pending_submissions(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        connection.executescript((FORMATS / "bytecode.log.sql").read_text())
    async with shop.open(f"sqlite:///{tmp_path}/shop.db", work=False) as live:
        pending = await live.submit(Deposit("c", 5), key="by an older one")
        await live.run_until_quiet()
        again = await live.submit(Deposit("c", 5), key="by an older one")

        assert again.id == pending.id
        assert (await live.state(Account, "c")).balance == 17
        assert {each.instance for each in await live.processes()} >= {"Thanks/a", "Thanks/c"}
        assert await live.commands() == []
        assert len(await live.commands(["handled"])) >= 3


class Ordered(Event):
    order: OrderId


class Line(Event):
    line: Annotated[str, Tag("order:line")]


async def test_a_value_that_would_have_the_tag_of_another_one_is_refused_by_name() -> None:
    app = App("overlapping")
    app.event(Ordered, Line)

    assert app.registry.encode(Line("1"), b"{}").tags == ("order:line:1",)
    assert app.registry.encode(Ordered("lines:1"), b"{}").tags == ("order:lines:1",)
    with pytest.raises(InvalidMessage, match="order:line") as caught:
        app.registry.encode(Ordered("line:1"), b"{}")
    assert (caught.value.field, caught.value.given) == ("order", "line:1")


async def test_a_colon_in_a_value_is_fine_where_no_tag_has_one() -> None:
    app = App("alone")
    app.event(Ordered)

    assert app.registry.encode(Ordered("line:1"), b"{}").tags == ("order:line:1",)

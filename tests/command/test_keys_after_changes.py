"""Keys across deployments: a payload that today's class decodes as the same command is the same payload."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Any, Self

import attrs
import msgspec
import pydantic
import pytest

from leftfold import App, Command, DecisionModel, Event, EventStore, LiveApp, Tag, message, replace
from leftfold.errors import KeyReused
from leftfold.model.record import NewEvent
from leftfold.store import MemoryStore, open_store
from leftfold.store.contract import IdempotencyKey
from leftfold_torture.postgres_server import PostgresServer
from tests.postgres import fresh_schema

OrderId = Annotated[str, Tag("order")]
HOUR = timedelta(hours=1)


class Placed(Event, wire="placed"):
    order: OrderId


class Order(DecisionModel):
    order: OrderId
    placed: int = 0

    def evolve(self, event: Placed) -> Self:
        return replace(self, placed=self.placed + 1)


class Line(msgspec.Struct, frozen=True):
    price: int


class GiftLine(msgspec.Struct, frozen=True):
    price: int
    wrapped: bool = False


class Before(Command, wire="place"):
    order: OrderId
    lines: tuple[Line, ...] = ()


class After(Command, wire="place"):
    order: OrderId
    gift: bool = False
    lines: tuple[GiftLine, ...] = ()
    notes: dict[str, str] = {}  # noqa: RUF012 msgspec copies it


class OtherDefault(Command, wire="place"):
    order: OrderId
    gift: bool = True
    lines: tuple[GiftLine, ...] = ()
    notes: dict[str, str] = {}  # noqa: RUF012 msgspec copies it


class Renamed(Command, wire="place.order"):
    order: OrderId
    lines: tuple[Line, ...] = ()


class Purchase(Command, wire="place", version=2):
    number: OrderId
    priority: int


@message(wire="place")
@dataclasses.dataclass(frozen=True)
class DataclassBefore:
    order: OrderId


@message(wire="place")
@dataclasses.dataclass(frozen=True)
class DataclassAfter:
    order: OrderId
    notes: list[str] = dataclasses.field(default_factory=list[str])


@message(wire="place")
@attrs.frozen
class AttrsBefore:
    order: OrderId


@message(wire="place")
@attrs.frozen
class AttrsAfter:
    order: OrderId
    gift: bool = False


@message(wire="place")
class PydanticBefore(pydantic.BaseModel):
    order: OrderId


@message(wire="place")
class PydanticAfter(pydantic.BaseModel):
    order: OrderId
    gift: bool = False
    notes: list[str] = pydantic.Field(default_factory=list)


def app_of(command: type) -> App:
    """The version of the app that knows this class of the command."""
    app = App("shop")

    def place(command: Any, order: Order) -> Placed:
        return Placed(order.order)

    place.__annotations__["command"] = command
    app.handles(place)
    if command is Renamed:
        app.renamed("place", "place.order")
    if command is Purchase:

        @app.upcasts("place", 1)
        def with_priority(data: dict[str, Any]) -> dict[str, Any]:
            return {"number": data["order"], "priority": 0}

    return app


CHANGES: list[tuple[Any, Any]] = [
    (Before("o"), After("o")),
    (Before("o", (Line(1), Line(2))), After("o", lines=(GiftLine(1), GiftLine(2)))),
    (Before("o"), Renamed("o")),
    (DataclassBefore("o"), DataclassAfter("o")),
    (AttrsBefore("o"), AttrsAfter("o")),
    (PydanticBefore(order="o"), PydanticAfter(order="o")),
]
OTHERS: list[tuple[Any, Any]] = [
    (Before("o"), After("p")),
    (Before("o"), After("o", gift=True)),
    (Before("o", (Line(1),)), After("o", lines=(GiftLine(1, wrapped=True),))),
    (Before("o", (Line(1),)), After("o")),
    (After("o"), OtherDefault("o")),
    (Before("o"), Renamed("p")),
    (DataclassBefore("o"), DataclassAfter("o", ["fragile"])),
    (PydanticBefore(order="o"), PydanticAfter(order="o", gift=True)),
]


@pytest.fixture(params=["memory", "sqlite", "postgres"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[EventStore]:
    async with AsyncExitStack() as opened:
        if request.param == "memory":
            yield MemoryStore()
        elif request.param == "sqlite":
            yield await opened.enter_async_context(open_store(f"sqlite:///{tmp_path / 'shop.db'}"))
        else:
            server: PostgresServer = request.getfixturevalue("postgres")
            url = fresh_schema(server).replace("schema=", "log=")
            yield await opened.enter_async_context(open_store(url))


async def execute(store: EventStore, *commands: Any) -> Any:
    """What a version of the app that knows these commands says to them, with the key `k`."""
    async with app_of(type(commands[0])).open(store, work=False) as live:
        if len(commands) > 1:
            return await live.execute_many(commands, key="k")
        return await live.execute(commands[0], key="k")


async def test_a_key_is_recognised_after_a_field_with_a_default_was_added(store: EventStore) -> None:
    first = await execute(store, Before("o"))

    again = await execute(store, After("o"))

    assert (again.position, again.events, again.duplicate) == (first.position, first.events, True)
    assert await store.head() == 1
    with pytest.raises(KeyReused):
        await execute(store, After("o", gift=True))


@pytest.mark.parametrize(("before", "after"), CHANGES)
async def test_the_same_command_of_a_newer_class_is_carried_out_once(before: Any, after: Any) -> None:
    store = MemoryStore()
    first = await execute(store, before)

    again = await execute(store, after)

    assert (again.duplicate, again.command_id, await store.head()) == (True, first.command_id, 1)


@pytest.mark.parametrize(("before", "after"), OTHERS)
async def test_another_command_of_a_newer_class_is_refused(before: Any, after: Any) -> None:
    store = MemoryStore()
    await execute(store, before)

    with pytest.raises(KeyReused):
        await execute(store, after)


async def test_a_batch_of_a_newer_class_is_carried_out_once() -> None:
    store = MemoryStore()
    await execute(store, Before("o"), Before("p", (Line(1),)))

    again = await execute(store, After("o"), After("p", lines=(GiftLine(1),)))

    assert (again.duplicate, await store.head()) == (True, 2)
    with pytest.raises(KeyReused):
        await execute(store, After("o"), After("p", lines=(GiftLine(1, wrapped=True),)))


async def test_commands_of_a_newer_class_that_come_together_are_each_recognised() -> None:
    store = MemoryStore()
    async with app_of(Before).open(store, work=False) as live:
        for key in "abc":
            await live.execute(Before("o"), key=key)

    async with app_of(After).open(store, work=False) as newer:
        commands = [newer.execute(After("o"), key=key) for key in "abcd"]
        receipts = await asyncio.gather(*commands)

    assert [receipt.duplicate for receipt in receipts] == [True, True, True, False]
    assert await store.head() == 4


async def test_a_key_that_was_stored_with_the_digest_of_its_command_is_known(store: EventStore) -> None:
    digest = blake2b(b'place\0{"order":"o","lines":[{"price":1}]}\0', digest_size=16).digest()
    event = NewEvent("placed", b'{"order":"o"}', ("order:o",))
    await store.append([event], key=IdempotencyKey("k", digest))

    assert (await execute(store, Before("o", (Line(1),)))).duplicate
    assert (await execute(store, After("o", lines=(GiftLine(1),)))).duplicate


async def submit(store: EventStore, command: Any, **options: Any) -> str:
    async with app_of(type(command)).open(store, work=False) as live:
        return (await live.submit(command, key="k", **options)).id


@pytest.mark.parametrize(("before", "after"), [*CHANGES, (Before("o"), Purchase("o", 0))])
async def test_a_submission_of_a_newer_class_is_the_same_ticket(before: Any, after: Any) -> None:
    store = MemoryStore()
    first = await submit(store, before)

    assert await submit(store, after) == first
    assert await store.head() == 1


@pytest.mark.parametrize(("before", "after"), [*OTHERS, (Before("o"), Purchase("o", 1))])
async def test_a_submission_of_another_command_of_a_newer_class_is_refused(before: Any, after: Any) -> None:
    store = MemoryStore()
    await submit(store, before)

    with pytest.raises(KeyReused):
        await submit(store, after)


async def test_a_program_of_a_newer_version_goes_on_with_a_recurring_command(store: EventStore) -> None:
    first = await submit(store, Before("o"), every=HOUR)

    assert await submit(store, After("o"), every=HOUR) == first
    with pytest.raises(KeyReused):
        await submit(store, After("o"), every=2 * HOUR)
    with pytest.raises(KeyReused):
        await submit(store, After("o"))
    assert await store.head() == 1


async def test_a_recurring_command_of_an_older_class_is_handled_by_the_newer_one() -> None:
    store = MemoryStore()
    await submit(store, Before("o"), every=HOUR)

    async with app_of(After).open(store, work=False) as live:
        await live.submit(After("o"), key="k", every=HOUR)
        await live.run_until_quiet()

        assert await placed(live) == 1


async def placed(live: LiveApp) -> int:
    return (await live.state(Order, "o")).placed

"""The codec, and the classes of other libraries, end to end through an app."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Self
from uuid import UUID

import attrs
import msgspec
import pydantic
import pytest

from leftfold import App, Command, DecisionModel, Event, JsonCodec, Rejected, Tag, message, replace
from leftfold.errors import CannotDecode, CannotEncode, NotAMessage
from leftfold.store import MemoryStore

Sku = Annotated[str, Tag("sku")]


# --- events


@message(wire="stock.received")
@dataclass(frozen=True)
class Received:
    sku: Sku
    count: int


@message(wire="stock.shipped", version=2)
@attrs.frozen
class Shipped:
    sku: Sku
    count: int


@message(wire="stock.counted")
class Counted(pydantic.BaseModel, frozen=True):
    sku: Sku
    count: int


# --- commands


@message()
@dataclass(frozen=True)
class Receive:
    sku: Sku
    count: int


@message()
@attrs.frozen
class Ship:
    sku: Sku
    count: int


@message()
class Count(pydantic.BaseModel, frozen=True):
    sku: Sku
    count: int


class Stock(DecisionModel):
    sku: Sku
    count: int = 0

    def evolve(self, event: Received | Shipped | Counted) -> Self:
        match event:
            case Received():
                return replace(self, count=self.count + event.count)
            case Shipped():
                return replace(self, count=self.count - event.count)
            case Counted():
                return replace(self, count=event.count)


shop = App("shop")


@shop.handles
def receive(command: Receive, stock: Stock) -> Received:
    return Received(command.sku, command.count)


@shop.handles
def ship(command: Ship, stock: Stock) -> Shipped:
    if stock.count < command.count:
        raise Rejected("out of stock", count=stock.count)
    return Shipped(command.sku, command.count)


@shop.handles
def count(command: Count, stock: Stock) -> Counted | None:
    return None if command.count == stock.count else Counted(sku=command.sku, count=command.count)


@shop.upcasts("stock.shipped", 1)
def shipped_had_a_quantity(data: dict[str, Any]) -> dict[str, Any]:
    return {"sku": data["sku"], "count": data["quantity"]}


@pytest.mark.parametrize(
    ("command", "events"),
    [
        (Receive("s", 2), (Received("s", 2),)),
        (Ship("s", 3), (Shipped("s", 3),)),
        (Count(sku="s", count=9), (Counted(sku="s", count=9),)),
        (Count(sku="s", count=5), ()),
    ],
)
async def test_commands_and_events_of_other_libraries_are_decided(command: Any, events: tuple[Any, ...]) -> None:
    async with shop.open("memory:") as live:
        await live.execute(Receive("s", 5))

        receipt = await live.execute(command)

    assert receipt.events == events


async def test_their_states_are_folded_again_from_the_log() -> None:
    store = MemoryStore()
    async with shop.open(store) as live:
        await live.execute_many([Receive("s", 5), Ship("s", 2), Count(sku="s", count=4)])

    async with shop.open(store) as reopened:
        assert await reopened.state(Stock, "s") == Stock("s", 4)
        with pytest.raises(Rejected, match="out of stock"):
            await reopened.execute(Ship("s", 5))
        events = [step.event for step in await reopened.explain(Stock, "s")]

    assert events == [Received("s", 5), Shipped("s", 2), Counted(sku="s", count=4)]


@pytest.mark.parametrize(
    ("event", "wire", "version"),
    [
        (Received("s", 1), "stock.received", 1),
        (Shipped("s", 1), "stock.shipped", 2),
        (Counted(sku="s", count=1), "stock.counted", 1),
    ],
)
def test_they_are_stored_as_json_with_tags(event: Any, wire: str, version: int) -> None:
    record = shop.registry.encode(event, b"{}")

    assert (record.type, record.version, record.tags) == (wire, version, ("sku:s",))
    assert msgspec.json.decode(record.data) == {"sku": "s", "count": 1}


def test_their_older_forms_are_upcast() -> None:
    record = shop.registry.encode(Shipped("s", 1), b"{}")

    older = msgspec.structs.replace(record, version=1, data=b'{"sku":"s","quantity":7}')

    assert shop.registry.decode_new(older) == Shipped("s", 7)


@pytest.mark.parametrize("command", [Receive("s", 1), Ship("s", 1), Count(sku="s", count=1)])
async def test_their_keys_are_recognised(command: Any) -> None:
    async with shop.open("memory:") as live:
        await live.execute(Receive("s", 3))
        first = await live.execute(command, key="k")

        again = await live.execute(command, key="k")

    assert (again.events, again.duplicate) == (first.events, True)


@pytest.mark.parametrize(
    ("owner", "data"),
    [(Received, b'{"sku":"s"}'), (Shipped, b'{"sku":"s","count":"x"}'), (Counted, b'{"sku":"s","count":"x"}')],
)
def test_data_that_does_not_fit_cannot_be_decoded(owner: type, data: bytes) -> None:
    event = owner(sku="s", count=1)
    record = msgspec.structs.replace(shop.registry.encode(event, b"{}"), data=data)

    with pytest.raises(CannotDecode) as refused:
        shop.registry.decode_new(record)

    assert refused.value.wire == record.type


def test_a_class_that_is_not_marked_itself_is_no_message() -> None:
    class Derived(Received):
        pass

    with pytest.raises(NotAMessage):
        App("shop").event(Derived)


def test_a_class_without_a_wire_name_has_its_own() -> None:
    @message(version=3)
    @dataclass
    class Renamed:
        sku: Sku

    record = App("shop").registry.encode(Renamed("s"), b"{}")

    assert (record.type, record.version) == ("Renamed", 3)


# --- values


class Everything(Event):
    sku: Sku
    amount: Decimal
    id: UUID
    moment: datetime
    numbers: tuple[int, ...]
    names: frozenset[str]
    prices: dict[str, float]
    note: str | None = None


def test_values_come_back_as_what_they_were() -> None:
    event = Everything(
        sku="ü/1 – 🙂",
        amount=Decimal("12.30"),
        id=UUID(int=7),
        moment=datetime(2026, 1, 1, 12, 30, 0, 123456, tzinfo=UTC),
        numbers=(1, 2**63 - 1, -5),
        names=frozenset({"a", "b"}),
        prices={"x": 0.1},
    )
    registry = App("shop").registry

    assert registry.decode_new(registry.encode(event, b"{}")) == event


@pytest.mark.parametrize("value", [object(), {(1, 2): 3}, lambda: None, "\ud800"])
def test_a_value_without_a_json_form_cannot_be_encoded(value: object) -> None:
    with pytest.raises(CannotEncode) as refused:
        JsonCodec().encode(Received("s", value))  # type: ignore[arg-type]

    assert "Received" in refused.value.found


class Size(Enum):
    SMALL = "small"
    LARGE = "large"


class Labelled(Event):
    sku: Sku
    names: frozenset[str]


class Grouped(Event):
    """Its sets have no order by themselves, and msgspec does not say so."""

    sku: Sku
    groups: set[frozenset[str]]


class Sized(Event):
    sku: Sku
    sizes: set[Size]


def with_sets() -> list[Event]:
    """An event for each kind of sets: where msgspec refuses one field, the whole event is sorted in another way."""
    names = [f"name-{number}" for number in range(20)]
    groups = {frozenset([name]) for name in names}
    return [Labelled("s", frozenset(names)), Grouped("s", groups), Sized("s", set(Size))]


@pytest.mark.parametrize("seed", ["1", "2", "3"])
def test_equal_messages_have_equal_bytes_in_every_process(seed: str) -> None:
    here = list(map(JsonCodec().encode, with_sets()))

    environment = {**os.environ, "PYTHONHASHSEED": seed}
    command = (sys.executable, "-c", ENCODE_SETS)
    there = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=True).stdout

    assert there.splitlines() == here


ROOT = Path(__file__).resolve().parent.parent
ENCODE_SETS = """
import sys
from leftfold import JsonCodec
from tests.test_codec import with_sets
for event in with_sets():
    sys.stdout.buffer.write(JsonCodec().encode(event) + b"\\n")
"""


# --- another codec


class ShoutingCodec:
    """JSON in capitals: enough to see that an app uses the codec it is given."""

    def __init__(self) -> None:
        self._json = JsonCodec()

    def encode(self, message: object) -> bytes:
        return self._json.encode(message).upper()

    def decoder(self, owner: type) -> Callable[[bytes], Any]:
        decode = self._json.decoder(owner)
        return lambda data: decode(data.lower())

    def fields(self, data: bytes) -> dict[str, Any]:
        return self._json.fields(data.lower())


class Note(Command):
    sku: Sku


class Noted(Event):
    sku: Sku


async def test_an_app_stores_what_its_codec_makes() -> None:
    app = App("loud", codec=ShoutingCodec())

    @app.handles
    def note(command: Note) -> Noted:
        return Noted(command.sku)

    async with app.open("memory:") as live:
        receipt = await live.execute(Note("s"))
        [batch] = [batch async for batch in live.store.read()]

    assert receipt.events == (Noted("s"),)
    assert batch.events[0].data == b'{"SKU":"S"}'
    assert repr(JsonCodec()) == "<JsonCodec>"

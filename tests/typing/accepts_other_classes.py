# pyright: strict
"""Events as dataclasses, attrs classes and pydantic models: they keep their types, and handlers may return them."""

from dataclasses import dataclass
from typing import Annotated, Self, assert_type

import attrs
import pydantic

from leftfold import App, Command, DecisionModel, Tag, message, replace

Sku = Annotated[str, Tag("sku")]


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


class Receive(Command):
    sku: Sku
    count: int


class Ship(Command):
    sku: Sku
    count: int


class Count(Command):
    sku: Sku
    count: int


stock = App("stock")


@stock.handles
def receive(command: Receive, stock: Stock) -> Received:
    return Received(command.sku, command.count)


@stock.handles
def ship(command: Ship, stock: Stock) -> list[Shipped]:
    return [Shipped(command.sku, command.count)]


@stock.handles
def count(command: Count, stock: Stock) -> Counted | None:
    return None if command.count == stock.count else Counted(sku=command.sku, count=command.count)


def marked_classes_keep_their_types() -> None:
    assert_type(Received("s-1", 1), Received)
    assert_type(Shipped("s-1", 1).count, int)
    assert_type(Counted(sku="s-1", count=1).sku, str)
    assert_type(receive(Receive("s-1", 1), Stock("s-1")), Received)

# pyright: strict
"""Reactors as a user writes them: they may ask the live app, in either form."""

from typing import Annotated, Self, assert_type

from leftfold import (
    App,
    Command,
    Delivery,
    EndProcess,
    Event,
    LiveApp,
    ProcessManager,
    Query,
    Reaction,
    Receipt,
    SyncLive,
    Tag,
)

OrderId = Annotated[str, Tag("order")]


class Placed(Event):
    order: OrderId


class Confirm(Command):
    order: OrderId


class Total(Query[int]):
    order: OrderId


shop = App("shop")


@shop.reactor("mail", start="from_now")
async def mail(event: Placed, live: LiveApp, delivery: Delivery) -> None:
    assert_type(await live.query(Total(event.order), after=delivery.position), int)
    assert_type(await live.execute(Confirm(event.order), key=delivery.key), Receipt)


@shop.reactor("print", start="from_start")
def print_out(event: Placed, delivery: Delivery, live: SyncLive) -> None:
    assert_type(live.query(Total(event.order), as_of=delivery.position), int)
    assert_type(live.execute(Confirm(event.order), key=delivery.key), Receipt)


@shop.process(after_end="reopen")
class Confirming(ProcessManager):
    order: OrderId

    def evolve(self, event: Placed) -> Self:
        return self

    def react(self, event: Placed) -> Reaction:
        return [Confirm(self.order), EndProcess()]


shop.process(from_now=True, after_end="park")(Confirming)

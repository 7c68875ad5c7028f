"""What a handler raises goes to its caller only if it was decided on the present state, as with a rejection."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Self

import pytest

from leftfold import (
    App,
    Backoff,
    Command,
    DecisionModel,
    Event,
    EventContext,
    Many,
    NonKey,
    Receipt,
    Rejected,
    Tag,
    Via,
    replace,
)
from leftfold.errors import EvolveFailed
from leftfold.store import Appended, MemoryStore
from leftfold.testing import FakeClock

RateId = Annotated[str, Tag("rate")]
OrderId = Annotated[str, Tag("order")]
ProductId = Annotated[str, Tag("product")]


class RateSet(Event, wire="rate.set"):
    rate: RateId
    value: int


class Converted(Event, wire="converted"):
    rate: RateId
    amount: int


class Rate(DecisionModel):
    rate: RateId
    value: int = 0

    def evolve(self, event: RateSet) -> Self:
        return replace(self, value=event.value)


class SetRate(Command):
    rate: RateId
    value: int


class Convert(Command):
    rate: RateId
    amount: int


class Disturb(Command):
    rate: RateId


bank = App("bank")
disturbing: list[Coroutine[Any, Any, object]] = []


@bank.handles
def set_rate(command: SetRate) -> RateSet:
    return RateSet(command.rate, command.value)


@bank.handles
def convert(command: Convert, rate: Rate) -> Converted:
    return Converted(command.rate, command.amount // rate.value)


@bank.handles
def disturb(command: Disturb, rate: Rate) -> Converted:
    """Decide, while another process appends."""
    if disturbing:
        with suppress(StopIteration):
            disturbing.pop().send(None)  # a log in memory appends at once
    return Converted(command.rate, 0)


async def test_an_error_that_follows_from_a_stale_state_is_decided_again() -> None:
    async with bank.open("memory:") as live:
        with pytest.raises(ZeroDivisionError):
            await live.execute(Convert("eur", 10))
        await live.execute(SetRate("eur", 2))

        assert (await live.execute(Convert("eur", 10))).events == (Converted("eur", 5),)
        [outcome] = (await live.execute_many([Convert("eur", 8)])).outcomes
        assert isinstance(outcome, Receipt)
        assert outcome.events == (Converted("eur", 4),)


async def test_an_error_on_the_present_state_goes_to_the_caller_each_time() -> None:
    async with bank.open("memory:") as live:
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                await live.execute(Convert("eur", 10))
            with pytest.raises(ZeroDivisionError):
                await live.execute_many([Convert("eur", 10)])


async def test_a_submitted_command_does_not_fail_for_a_stale_state() -> None:
    clock = FakeClock()
    async with bank.open(MemoryStore(clock), clock=clock, work=False, backoff=Backoff(attempts=1)) as live:
        with pytest.raises(ZeroDivisionError):
            await live.execute(Convert("eur", 10))
        await live.execute(SetRate("eur", 2))
        ticket = await live.submit(Convert("eur", 10))
        await live.run_until_quiet()

        assert (await ticket.result(0)).events == (Converted("eur", 5),)


class GatedStore(MemoryStore):
    """Holds each append until its gate is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()

    async def append(self, *events: Any, **options: Any) -> Appended:
        await self.gate.wait()
        return await super().append(*events, **options)


async def test_an_error_among_commands_that_share_an_append_is_decided_again_if_that_has_a_conflict() -> None:
    store = GatedStore()
    async with bank.open(store, work=False) as live:
        commands = (Disturb("eur"), Convert("eur", 10), Disturb("eur"))
        first, *others = [asyncio.create_task(live.execute(each)) for each in commands]
        await asyncio.sleep(0)  # the first is decided, the others wait for it
        store.gate.set()
        disturbing.append(MemoryStore.append(store, [bank.registry.encode(RateSet("eur", 2), b"{}")]))
        await first
        converted, disturbed = await asyncio.gather(*others)

    assert disturbing == []
    assert converted.events == (Converted("eur", 5),)
    assert disturbed.events == (Converted("eur", 0),)


async def test_a_command_whose_key_was_used_before_gets_the_first_receipt_although_its_handler_now_raises() -> None:
    async with bank.open("memory:") as live:
        await live.execute(SetRate("eur", 2))
        first = await live.execute(Convert("eur", 10), key="k")
        await live.execute(SetRate("eur", 0))

        again = await live.execute(Convert("eur", 10), key="k")

    assert (again.position, again.duplicate) == (first.position, True)


# --- states that were found by way of others


class Ordered(Event, wire="ordered"):
    order: OrderId
    products: tuple[ProductId, ...]


class Packed(Event, wire="packed"):
    order: OrderId
    packed: str


class Sent(Event, wire="sent"):
    order: OrderId
    complete: bool


class Order(DecisionModel):
    order: OrderId
    products: tuple[Annotated[ProductId, NonKey], ...] = ()

    def evolve(self, event: Ordered) -> Self:
        return replace(self, products=self.products + event.products)


class Parcel(DecisionModel):
    order: OrderId
    packed: tuple[str, ...] = ()

    def evolve(self, event: Packed) -> Self:
        return replace(self, packed=(*self.packed, event.packed))


class Product(DecisionModel):
    product: ProductId
    ordered: int = 0

    def evolve(self, event: Ordered) -> Self:
        return replace(self, ordered=self.ordered + 1)


class Add(Command):
    order: OrderId
    product: ProductId


class Pack(Command):
    order: OrderId
    packed: str


class Send(Command):
    order: OrderId


shop = App("shop")


@shop.handles
def add(command: Add, order: Order) -> Ordered:
    return Ordered(command.order, (command.product,))


@shop.handles
def pack(command: Pack, order: Order, parcel: Parcel) -> Packed:
    if command.packed not in order.products:
        raise Rejected("it was not ordered")
    return Packed(command.order, command.packed)


@shop.handles
def send(
    command: Send, order: Order, parcel: Parcel, products: Annotated[Many[Product], Via("order", "products")]
) -> Sent:
    return Sent(command.order, all(products[each].ordered > 0 for each in parcel.packed))  # each was ordered


async def test_a_handler_is_not_blamed_for_states_that_were_never_true_together(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/log.db"
    async with shop.open(url) as one, shop.open(url) as other:
        await one.execute(Add("o", "tea"))  # this one has the order in memory
        await other.execute(Add("o", "milk"))
        await other.execute(Pack("o", "milk"))

        assert (await one.execute(Send("o"))).events == (Sent("o", complete=True),)


# --- contexts


class Put(Event, wire="put"):
    order: OrderId


class Noted(Event, wire="noted"):
    order: OrderId
    last: int


class Cart(DecisionModel):
    order: OrderId
    last: int = -1

    def evolve(self, event: Put, context: EventContext) -> Self:
        return replace(self, last=context.position)


class PutIn(Command):
    order: OrderId


class Note(Command):
    order: OrderId


carts = App("carts")


@carts.handles
def put_in(command: PutIn) -> Put:
    return Put(command.order)


@carts.handles
def note(command: Note, cart: Cart) -> Noted:
    return Noted(command.order, cart.last)


async def test_submitted_commands_see_the_context_of_events_of_handlers_that_do_not_take_the_model() -> None:
    clock = FakeClock()
    async with carts.open(MemoryStore(clock), clock=clock, work=False) as live:
        for _ in range(3):
            await live.submit(PutIn("c"))
            await live.submit(Note("c"))
        await live.run_until_quiet()
        stored = [event async for batch in live.store.read() for event in batch.events]

    puts = [event.position for event in stored if event.type == "put"]
    assert [carts.registry.decode(event).last for event in stored if event.type == "noted"] == puts


# --- a state that cannot be read


class Placed(Event, wire="placed"):
    order: OrderId
    product: str


class Hit(Event, wire="hit"):
    product: ProductId


class Done(Event, wire="done"):
    order: OrderId


class Basket(DecisionModel):
    order: OrderId
    product: Annotated[ProductId, NonKey] | None = None

    def evolve(self, event: Placed) -> Self:
        return replace(self, product=event.product)


class Fragile(DecisionModel):
    product: ProductId
    hits: int = 0

    def evolve(self, event: Hit) -> Self:
        if self.hits == 2:
            raise KeyError("the third cannot be folded")
        return replace(self, hits=self.hits + 1)


class Place(Command):
    order: OrderId
    product: str


class Strike(Command):
    product: ProductId


class Do(Command):
    order: OrderId


glass = App("glass")


@glass.handles
def place(command: Place, basket: Basket) -> Placed:
    return Placed(command.order, command.product)


@glass.handles
def strike(command: Strike) -> Hit:
    return Hit(command.product)


@glass.handles
def do(command: Do, basket: Basket, fragile: Annotated[Fragile | None, Via("basket", "product")]) -> Done:
    return Done(command.order)


@pytest.mark.parametrize("cached", [False, True])
async def test_a_found_state_that_cannot_be_folded_fails_only_the_command_that_looks_at_it(
    cached: bool, tmp_path: Path
) -> None:
    commands = [Place("a", "x"), Place("a", "x"), Place("a", "y"), Do("a"), Place("a", "z"), Do("a")]
    async with glass.open(f"sqlite:///{tmp_path}/log.db") as live:
        await live.execute(Place("c", "y"))
        if cached:
            await live.execute(Do("c"))
        for _ in range(3):
            await live.execute(Strike("y"))
        found = await asyncio.gather(*map(live.execute, commands), return_exceptions=True)

    assert [type(each) for each in found if isinstance(each, Exception)] == [EvolveFailed]
    assert isinstance(found[3], EvolveFailed)

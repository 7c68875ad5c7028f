"""Models that may be None, and models whose keys stand in others: `Voucher | None`, `Annotated[Customer, Via(...)]`."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from random import Random
from typing import Annotated, Any, Self

import pytest

from leftfold import (
    App,
    Command,
    DecisionModel,
    Event,
    EventContext,
    EventStore,
    LiveApp,
    Many,
    NonKey,
    Receipt,
    Rejected,
    Tag,
    Via,
    replace,
)
from leftfold.errors import EvolveFailed, InvalidKey, TooManyConflicts
from leftfold.store import MemoryStore
from leftfold.testing import given
from tests.accounts import Calls
from tests.patience import PATIENCE
from tests.shop import (
    Block,
    Blocked,
    Customer,
    Order,
    Place,
    Placed,
    Product,
    Reassign,
    Reassigned,
    Ship,
    ShipAll,
    Shipped,
    Stock,
    Stocked,
    Voucher,
    shop_app,
)

SHOP = shop_app()
ALONE: Any = {"work": False, "models": "memory:"}


class Watched(MemoryStore):
    """A memory store that keeps the conditions of its last append."""

    conditions: Any = ()

    async def append(self, events, *, condition=None, key=None):  # type: ignore[no-untyped-def, override]
        self.conditions = condition
        await asyncio.sleep(0)  # so that other callers come while this one commits
        return await super().append(events, condition=condition, key=key)

    @property
    def tags(self) -> list[str]:
        """The tags that the last append's conditions name."""
        return sorted(tag for each in self.conditions for item in each.criteria.items for tag in item.tags)


@pytest.fixture
def log() -> Watched:
    return Watched()


@pytest.fixture
async def live(log: Watched, calls: Calls) -> AsyncIterator[LiveApp]:
    async with shop_app(calls).open(log) as live:
        yield live


@pytest.fixture
async def other(log: Watched) -> AsyncIterator[LiveApp]:
    async with SHOP.open(log, work=False) as live:
        yield live


def order(name: str, customer: str, *products: str) -> Place:
    return Place(name, customer, [*products])


# --- a model that may be None


async def test_a_model_is_none_if_the_command_has_no_key_for_it(live: LiveApp, log: Watched, calls: Calls) -> None:
    await live.execute(order("o", "ann"))
    without = log.tags
    await live.execute(Place("p", "ann", [], "v"))

    assert [call[3] for call in calls] == [None, Voucher("v")]
    assert without == ["order:o"]
    assert log.tags == ["order:p", "voucher:v"]


async def test_an_optional_model_decides_like_any_other(live: LiveApp, other: LiveApp) -> None:
    await live.execute(Place("o", "ann", [], "v"))

    with pytest.raises(Rejected, match="the voucher is used"):
        await other.execute(Place("p", "ann", [], "v"))
    await other.execute(Place("p", "ann", [], None))


async def test_of_sixteen_callers_one_uses_the_voucher(shared: EventStore) -> None:
    async with AsyncExitStack() as opened:
        apps = [await opened.enter_async_context(SHOP.open(shared, **ALONE)) for _ in range(4)]
        outcomes = await asyncio.gather(
            *(apps[n % 4].execute(Place(f"o-{n}", "ann", [], "v")) for n in range(16)), return_exceptions=True
        )

    assert [type(each) for each in outcomes].count(Receipt) == 1
    assert outcomes.count(Rejected("the voucher is used")) == 15


# --- a model whose key stands in another


async def test_a_model_is_found_by_the_key_in_another(live: LiveApp, log: Watched, calls: Calls) -> None:
    await live.execute_many([order("o", "ann"), order("p", "bob"), Block("bob")])

    receipt = await live.execute(Ship("o"))
    with pytest.raises(Rejected, match="customer='bob'"):
        await live.execute(Ship("p"))

    assert receipt.events == (Shipped("o", "ann"),)
    assert log.tags == ["customer:ann", "order:o"]
    assert next(call[2] for call in calls if isinstance(call[0], Ship)) == Customer("ann")


async def test_a_model_whose_key_is_not_known_yet_is_none(live: LiveApp) -> None:
    with pytest.raises(Rejected, match="no such order"):
        await live.execute(Ship("o"))


async def test_the_condition_covers_the_model_that_has_the_key(live: LiveApp, other: LiveApp, log: Watched) -> None:
    await live.execute_many([order("o", "ann"), Block("ann"), Stock("a", 1)])
    with pytest.raises(Rejected):
        await live.execute(Ship("o"))

    await other.execute(Reassign("o", "bob"))
    receipt = await live.execute(Ship("o"))

    assert receipt.events == (Shipped("o", "bob"),)
    assert log.tags == ["customer:bob", "order:o"]  # and not that of a customer whom nothing depends on


async def test_after_a_conflict_the_model_of_the_new_key_is_loaded(
    live: LiveApp, other: LiveApp, log: Watched, calls: Calls
) -> None:
    await live.execute_many([order("o", "ann"), order("p", "bob")])
    await other.execute(Reassign("o", "bob"))
    calls.clear()

    receipt = await live.execute(Ship("o"))

    assert [call[2].customer for call in calls] == ["ann", "bob"]
    assert receipt.events == (Shipped("o", "bob"),)
    assert log.tags == ["customer:bob", "order:o"]


async def test_a_change_of_the_model_that_was_found_conflicts(live: LiveApp, other: LiveApp, calls: Calls) -> None:
    await live.execute_many([order("o", "ann"), order("p", "ann")])
    await live.execute(Ship("p"))
    await other.execute(Block("ann"))
    calls.clear()

    with pytest.raises(Rejected, match="the customer is blocked"):
        await live.execute(Ship("o"))

    assert [call[2].blocked for call in calls][-1]


async def test_a_change_of_a_model_that_nothing_depends_on_any_more_conflicts_with_nothing(
    live: LiveApp, other: LiveApp, calls: Calls
) -> None:
    await live.execute_many([order("o", "ann"), order("p", "bob"), order("q", "bob")])
    await live.execute(Ship("q"))  # bob is in memory
    await live.execute(Reassign("o", "bob"))
    await other.execute(Block("ann"))
    calls.clear()

    await live.execute(Ship("o"))

    assert len(calls) == 1


async def test_commands_of_a_batch_find_what_those_before_them_have_changed(live: LiveApp, log: Watched) -> None:
    batch = await live.execute_many(
        [
            Ship("o"),
            order("o", "ann"),
            Block("bob"),
            Reassign("o", "bob"),
            Ship("o"),
            Reassign("o", "eve"),
            Ship("o"),
            Ship("o"),
        ]
    )

    assert [each.reason for each in batch.rejections] == ["no such order", "the customer is blocked"]
    shipped = batch.outcomes[-2]
    assert isinstance(shipped, Receipt)
    assert shipped.events == (Shipped("o", "eve"),)
    assert log.tags == ["customer:bob", "customer:eve", "order:o"]


async def test_a_long_batch_of_lookups_is_decided_a_few_times_only(live: LiveApp, calls: Calls) -> None:
    commands = [each for n in range(100) for each in (order(f"o-{n}", f"c-{n}"), Ship(f"o-{n}"))]

    batch = await live.execute_many(commands)

    assert not batch.rejections
    assert len(calls) <= 2 * len(commands)
    assert (await live.state(Customer, "c-99")).shipped == 1


async def test_of_sixteen_callers_one_ships(shared: EventStore) -> None:
    async with AsyncExitStack() as opened:
        apps = [await opened.enter_async_context(SHOP.open(shared, **ALONE)) for _ in range(4)]
        for n in range(5):
            await apps[0].execute(order(f"o-{n}", f"c-{n}"))
            receipts = await asyncio.gather(*(apps[each % 4].execute(Ship(f"o-{n}")) for each in range(16)))

            assert sum(len(receipt.events) for receipt in receipts) == 1
            assert (await apps[1].state(Customer, f"c-{n}")).shipped == 1


async def test_callers_whose_models_lead_to_each_other_do_not_wait_for_ever(shared: EventStore) -> None:
    random = Random(5)
    names = [f"o-{n}" for n in range(4)]
    async with SHOP.open(shared, attempts=100, **ALONE) as live, SHOP.open(shared, attempts=100, **ALONE) as other:
        await live.execute_many([order(name, f"c-{name}") for name in names])

        def any_command() -> Command:
            name, customer = random.choice(names), f"c-{random.choice(names)}"
            return random.choice([Ship(name), Reassign(name, customer), ShipAll(random.sample(names, 2))])

        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*(random.choice([live, other]).execute(any_command()) for _ in range(200)))

        shipped = [(await live.state(Order, name)).shipped for name in names]
    assert shipped == [True] * 4


async def test_a_decision_depends_on_exactly_what_it_has_found(shared: EventStore) -> None:
    calls, random = Calls(), Random(11)
    async with shop_app(calls).open(shared, **ALONE) as live, SHOP.open(shared, **ALONE) as other:
        for round_ in range(30):
            orders = {f"{round_}-{n}": f"c-{round_}-{random.randrange(3)}" for n in range(4)}
            await live.execute_many([order(name, customer) for name, customer in orders.items()])
            chosen = random.sample([*orders], random.randint(1, 3))
            await live.execute(ShipAll([*chosen]))
            changed = random.choice([*orders.values()])
            await other.execute(Block(changed))
            calls.clear()

            outcome = await asyncio.gather(live.execute(ShipAll([*chosen])), return_exceptions=True)

            depends = changed in {orders[name] for name in chosen}
            assert isinstance(outcome[0], Rejected) == depends
            assert {each.customer for each in calls[-1][2]} == {orders[name] for name in chosen}


# --- many by way of others, and chains


async def test_many_models_are_found_by_way_of_many(live: LiveApp, calls: Calls) -> None:
    await live.execute_many([Stock(product, 9) for product in "abc"])
    await live.execute_many([order("o", "ann", "a", "b"), order("p", "bob", "b", "c"), order("q", "ann")])

    receipt = await live.execute(ShipAll(["q", "p", "o", "unknown"]))

    _, _, customers, products = calls[-1]
    assert [customer.customer for customer in customers] == ["ann", "bob"]
    assert [product.product for product in products] == ["b", "c", "a"]
    assert receipt.events == (
        Shipped("q", "ann"),
        Shipped("p", "bob"),
        Shipped("o", "ann"),
        Shipped("unknown", None),
    )


async def test_many_models_are_none_if_there_is_nothing_to_find_them_by(live: LiveApp, calls: Calls) -> None:
    await live.execute(ShipAll([]))

    _, orders, customers, products = calls[-1]
    assert (len(orders), len(customers), len(products)) == (0, 0, 0)


BoxId = Annotated[str, Tag("box")]


class Put(Event):
    box: BoxId
    into: BoxId


class Box(DecisionModel):
    box: BoxId
    into: Annotated[BoxId | None, NonKey] = None
    puts: int = 0

    def evolve(self, event: Put) -> Self:
        return replace(self, into=event.into, puts=self.puts + 1) if event.box == self.box else self


class PutInto(Command):
    box: BoxId
    into: BoxId


class Open(Command):
    box: BoxId


def boxes_app(called: Any) -> App:
    app = App("boxes")

    @app.handles
    def put(command: PutInto, box: Box) -> Put:
        return Put(command.box, command.into)

    @app.handles
    def open_box(
        command: Open,
        third: Annotated[Box | None, Via("second", "into")],
        second: Annotated[Box, Via("box", "into")] | None,
        box: Box,
    ) -> Put | None:
        called(box, second, third)
        return None if third is None else Put(command.box, third.box)

    return app


async def test_a_chain_of_keys_is_followed_to_its_end(log: Watched, calls: Calls) -> None:
    async with boxes_app(calls).open(log) as live:
        await live.execute(Open("a"))
        await live.execute_many([PutInto("a", "b"), PutInto("b", "c")])
        await live.execute(Open("a"))
        await live.execute(Open("c"))
        await live.execute_many([PutInto("x", "x"), Open("x")])

    boxes = [[each and each.box for each in call] for call in calls]
    assert boxes == [["a", None, None], ["a", "b", "c"], ["c", None, None], ["x", "x", "x"]]


async def test_a_chain_that_changes_in_its_middle_is_followed_again(log: Watched, calls: Calls) -> None:
    app = boxes_app(calls)
    async with app.open(log, work=False) as live, boxes_app(Calls()).open(log, work=False) as other:
        await live.execute_many([PutInto("a", "b"), PutInto("b", "c")])
        await live.execute(PutInto("c", "c"))
        await live.execute(Open("a"))
        await live.execute(PutInto("a", "b"))
        await other.execute(PutInto("b", "d"))

        receipt = await live.execute(Open("a"))

    assert receipt.events == (Put("a", "d"),)
    assert log.tags == ["box:a", "box:b", "box:d"]


async def test_a_chain_that_changes_at_every_attempt_ends_with_an_error(calls: Calls) -> None:
    class Busy(MemoryStore):
        number = 0
        busy = False

        async def append(self, events, *, condition=None, key=None):  # type: ignore[no-untyped-def, override]
            if self.busy:
                self.number += 1
                put = app.registry.encode(Put("b", f"c-{self.number}"), b"{}")
                await super().append([put])
            return await super().append(events, condition=condition, key=key)

    app, log = boxes_app(calls), Busy()
    async with app.open(log, attempts=3) as live:
        await live.execute_many([PutInto("a", "b"), PutInto("b", "c")])
        log.busy = True

        with pytest.raises(TooManyConflicts):
            await live.execute(Open("a"))

        log.busy = False
        assert (await live.execute(Open("a"))).events == (Put("a", "c-3"),)


async def test_a_key_that_does_not_fit_is_refused_when_it_is_found() -> None:
    class Odd(DecisionModel):
        box: BoxId
        into: Annotated[BoxId, NonKey] = ""

        def evolve(self, event: Put) -> Self:
            return replace(self, into=None)

    app = App("odd")

    @app.handles
    def open_box(command: Open, box: Odd, inner: Annotated[Box, Via("box", "into")]) -> None: ...

    @app.handles
    def put(command: PutInto, box: Box) -> Put:
        return Put(command.box, command.into)

    async with app.open("memory:") as live:
        await live.execute(Open("a"))
        await live.execute(PutInto("a", "b"))
        with pytest.raises(InvalidKey, match="Box"):
            await live.execute(Open("a"))


# --- wherever commands are executed


async def test_submitted_commands_look_models_up_in_the_order_of_their_submission(live: LiveApp) -> None:
    await live.execute_many([order("o", "ann"), order("p", "ann")])

    tickets = [await live.submit(command) for command in (Ship("o"), Block("ann"), Ship("p"), Reassign("p", "bob"))]
    outcomes = await asyncio.gather(*(ticket.result(timeout=PATIENCE) for ticket in tickets), return_exceptions=True)

    assert [type(each) for each in outcomes] == [Receipt, Receipt, Rejected, Receipt]
    assert outcomes[2] == Rejected("the customer is blocked", customer="ann")


@pytest.mark.parametrize(
    "submitted", [("Ship o", "Block ann", "Ship p"), ("Block ann", "Ship p"), ("Ship o", "Block ann")]
)
async def test_submitted_commands_keep_their_order_when_one_of_them_fails(submitted: Sequence[str]) -> None:
    class Slow(MemoryStore):
        async def append(self, events, *, condition=None, key=None):  # type: ignore[no-untyped-def, override]
            if events[0].type in ("Shipped", "Blocked") and events[0].type.startswith(submitted[0][:4]):
                for _ in range(100):  # so that those behind it would overtake it
                    await asyncio.sleep(0)
            return await super().append(events, condition=condition, key=key)

    def called(command: Any, *arguments: Any) -> None:
        if command == Place("broken", "ann", []):
            raise RuntimeError("out of order")

    async with shop_app(called).open(Slow(), work=False, models="memory:") as live:
        await live.execute_many([order("o", "ann"), order("p", "ann")])
        for each in ("Place broken", *submitted):
            verb, name = each.split()
            await live.submit(order(name, "ann") if verb == "Place" else Ship(name) if verb == "Ship" else Block(name))

        await live.run_until_quiet()

        assert (await live.state(Order, "o")).shipped == ("Ship o" in submitted)
        assert not (await live.state(Order, "p")).shipped
        assert (await live.state(Customer, "ann")).blocked


async def test_a_submitted_lookup_waits_for_all_commands_before_it() -> None:
    class Ban(Command):
        order: Annotated[str, Tag("order")]
        customer: Annotated[str, Tag("customer")]

    class Slow(MemoryStore):
        async def append(self, events, *, condition=None, key=None):  # type: ignore[no-untyped-def, override]
            for _ in range(100 if events[0].type == "Reassigned" else 0):
                await asyncio.sleep(0)
            return await super().append(events, condition=condition, key=key)

    def called(command: Any, *arguments: Any) -> None:
        if command == Place("broken", "ann", []):
            raise RuntimeError("out of order")

    app = shop_app(called)

    @app.handles
    def ban(command: Ban, order: Order, customer: Customer) -> Blocked:
        return Blocked(command.customer)

    async with app.open(Slow(), work=False, models="memory:") as live:
        await live.execute_many([order("o", "ann"), order("p", "ann")])
        for each in (order("broken", "ann"), Reassign("o", "bob"), Ban("o", "ann"), Ship("p")):
            await live.submit(each)

        await live.run_until_quiet()

        assert not (await live.state(Order, "p")).shipped


async def test_what_one_command_of_several_has_found_and_cannot_read_fails_that_one_alone(log: Watched) -> None:
    class Fragile(DecisionModel):
        customer: Annotated[str, Tag("customer")]

        def evolve(self, event: Blocked) -> Self:
            raise RuntimeError("cannot be folded")

    class Look(Command):
        order: Annotated[str, Tag("order")]
        twice: bool = False

    app = shop_app()

    @app.handles
    def look(command: Look, order: Order, customer: Annotated[Fragile | None, Via("order", "customer")]) -> Reassigned:
        return Reassigned(command.order, "bob")

    async with app.open(log) as live:
        await live.execute_many([Block("ann"), order("o", "ann")])
        outcomes = await asyncio.gather(
            *(live.execute(each) for each in (Reassign("o", "ann"), Look("o"), Reassign("o", "eve"), Look("o"))),
            return_exceptions=True,
        )

    assert [type(each) for each in outcomes] == [Receipt, EvolveFailed, Receipt, Receipt]


async def test_a_key_that_does_not_fit_fails_no_other_command(log: Watched) -> None:
    class Misread(DecisionModel):
        order: Annotated[str, Tag("order")]
        customer: Annotated[str, Tag("customer"), NonKey] = ""

        def evolve(self, event: Placed) -> Self:
            return replace(self, customer=3)

    class Look(Command):
        order: Annotated[str, Tag("order")]

    class Tidy(Command):
        order: Annotated[str, Tag("order")]

    app = shop_app()

    @app.handles
    def tidy(command: Tidy, order: Misread) -> Reassigned:
        return Reassigned(command.order, "bob")

    @app.handles
    def look(command: Look, order: Misread, customer: Annotated[Customer, Via("order", "customer")]) -> Shipped:
        return Shipped(command.order, customer.customer) if customer.customer else Shipped(command.order, None)

    async with app.open(log) as live:
        await live.execute(order("o", "ann"))
        commands = [Tidy("o"), Look("o"), Tidy("o"), Look("o")]
        outcomes = await asyncio.gather(*map(live.execute, commands), return_exceptions=True)

    assert [type(each) for each in outcomes] == [Receipt, InvalidKey, Receipt, InvalidKey]


async def test_an_error_on_what_is_not_loaded_yet_does_not_count(live: LiveApp, log: Watched) -> None:
    class Confirm(Command):
        order: Annotated[str, Tag("order")]

    app = shop_app()

    @app.handles
    def confirm(command: Confirm, order: Order) -> Reassigned:
        if not order.shipped:
            raise RuntimeError("decided too early")
        return Reassigned(command.order, "bob")

    await live.execute(order("o", "ann"))
    async with app.open(log, work=False) as fresh:
        batch = await fresh.execute_many([Ship("o"), Confirm("o")])

    assert [type(each) for each in batch.outcomes] == [Receipt, Receipt]


async def test_nobody_else_in_the_process_changes_what_was_found_until_it_is_decided() -> None:
    gathered, looking, looked = asyncio.Event(), asyncio.Event(), asyncio.Event()

    class Slow(MemoryStore):
        async def append(self, events, *, condition=None, key=None):  # type: ignore[no-untyped-def, override]
            if events[0].type == "Reassigned":
                await gathered.wait()
            return await super().append(events, condition=condition, key=key)

        async def lookup(self, key: Any) -> Any:
            looking.set()
            await looked.wait()
            return await super().lookup(key)

    class Look(Command):
        order: Annotated[str, Tag("order")]

    app = shop_app()

    @app.handles
    def look(command: Look, order: Order) -> Shipped | None:
        return None

    async with app.open(Slow(), work=False, models="memory:") as live:
        await live.execute(order("o", "ann"))
        first = asyncio.create_task(live.execute(Reassign("o", "ann")))
        await asyncio.sleep(0)  # it commits, and those that come meanwhile are decided together
        shipping = asyncio.create_task(live.execute(Ship("o")))
        keyed = asyncio.create_task(live.execute(Look("o"), key="k"))
        await asyncio.sleep(0)
        gathered.set()
        await looking.wait()  # the two are decided, and wait for the look at the key
        blocking = asyncio.create_task(live.execute(Block("ann")))
        for _ in range(20):
            await asyncio.sleep(0)
        looked.set()
        await asyncio.gather(first, keyed, shipping, blocking)
        types = [event.type async for batch in live.store.read() for event in batch.events]

    assert types == ["Placed", "Reassigned", "Shipped", "Blocked"]


def test_a_scenario_finds_models_by_way_of_others() -> None:
    happened = [Placed("o", "ann", ()), Blocked("bob"), Placed("p", "bob", ())]

    given(SHOP, *happened).when(Ship("o")).then(Shipped("o", "ann"))
    given(SHOP, *happened).when(Ship("p")).then_rejected("the customer is blocked", customer="bob")
    given(SHOP, *happened).when(Ship("q")).then_rejected("no such order")
    given(SHOP, *happened, Reassigned("p", "ann")).when(ShipAll(["p", "o"])).then(
        Shipped("p", "ann"), Shipped("o", "ann")
    )
    with pytest.raises(AssertionError, match="customer=None"):
        given(SHOP).when(Ship("q")).then_nothing()


def test_a_scenario_takes_no_voucher_for_none() -> None:
    given(SHOP, Stocked("a", 1)).when(Place("o", "ann", ["a"])).then(Placed("o", "ann", ("a",)))
    given(SHOP, Placed("o", "ann", (), "v")).when(Place("p", "ann", [], "v")).then_rejected("the voucher is used")


def test_a_handler_can_be_called_with_models() -> None:
    ship = SHOP.command_handlers[Ship].function

    assert ship(Ship("o"), Order("o", "ann"), Customer("ann"), None) == Shipped("o", "ann")
    assert Many([Product("a")])["a"] == Product("a")


async def test_a_found_model_that_takes_contexts_is_decided_on_as_it_was_stored(log: Watched, calls: Calls) -> None:
    class Visits(DecisionModel):
        customer: Annotated[str, Tag("customer")]
        last: int = 0

        def evolve(self, event: Shipped, context: EventContext) -> Self:
            return replace(self, last=context.position)

    class Visit(Command):
        order: Annotated[str, Tag("order")]

    app = shop_app()

    @app.handles
    def visit(command: Visit, order: Order, visits: Annotated[Visits | None, Via("order", "customer")]) -> Shipped:
        calls(visits and visits.last)
        return Shipped(command.order, order.customer)

    async with app.open(log) as live:
        start = (await live.execute(order("o", "ann"))).position
        await asyncio.gather(*(live.execute(Visit("o")) for _ in range(4)))
        for _ in range(2):
            await live.submit(Visit("o"))
        await live.run_until_quiet()
        positions = [
            event.position
            async for batch in live.store.read(after=start)
            for event in batch.events
            if event.type == "Shipped"
        ]

    decided_on = dict.fromkeys(last for (last,) in calls)
    assert list(decided_on) == [0, *positions[:-1]]

"""One decision over a number of entities that only the command knows: `Many`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from copy import copy, deepcopy
from datetime import date
from enum import Enum
from pathlib import Path
from random import Random
from typing import Annotated, Any, Self
from uuid import UUID

import msgspec
import pytest

from leftfold import App, Command, DecisionModel, Event, EventStore, LiveApp, Many, Receipt, Rejected, Tag
from leftfold.command import parameters
from leftfold.command.states import STATES_PER_READ
from leftfold.errors import ArgumentMutated, NotLoaded, TooManyEntities
from leftfold.store import MemoryStore
from leftfold.testing import given
from tests.accounts import Calls
from tests.patience import PATIENCE
from tests.shop import Count, Order, Place, Placed, Product, Stock, Stocked, shop_app

SHOP = shop_app()
ALONE: Any = {"work": False, "models": "memory:"}


class Watched(MemoryStore):
    """A memory store that counts its reads, and keeps the conditions of its last append."""

    reads = 0
    conditions: Any = ()

    def read(self, *arguments, **options):  # type: ignore[no-untyped-def, override]
        self.reads += 1
        return super().read(*arguments, **options)

    async def append(self, events, *, condition=None, key=None):  # type: ignore[no-untyped-def, override]
        self.conditions = condition
        return await super().append(events, condition=condition, key=key)


def products_of(calls: Calls) -> list[list[str]]:
    """The products that each call of a handler got."""
    return [[model.product for model in next(each for each in call if isinstance(each, Many))] for call in calls]


@pytest.fixture
def log() -> Watched:
    return Watched()


@pytest.fixture
async def live(log: Watched, calls: Calls) -> AsyncIterator[LiveApp]:
    async with shop_app(calls).open(log) as live:
        yield live


async def stocked(live: LiveApp, *products: str, amount: int = 9) -> None:
    await live.execute_many([Stock(product, amount) for product in products])


# --- what the handler gets


async def test_models_come_in_the_order_of_the_command_each_key_once(live: LiveApp, calls: Calls) -> None:
    await stocked(live, "a", "b", "c")

    receipt = await live.execute(Place("o", "ann", ["c", "a", "c", "b", "a"]))

    assert products_of(calls) == [["c", "a", "b"]]
    assert receipt.events == (Placed("o", "ann", ("c", "a", "c", "b", "a")),)
    assert [(await live.state(Product, each)).stock for each in "abc"] == [8, 8, 8]


async def test_models_of_a_set_come_in_the_order_of_their_text(live: LiveApp, calls: Calls) -> None:
    await live.execute(Count(frozenset({"b", "ä", "a", "10", "9"})))

    assert products_of(calls) == [["10", "9", "a", "b", "ä"]]


async def test_a_command_may_name_no_entity_at_all(live: LiveApp, log: Watched, calls: Calls) -> None:
    receipt = await live.execute(Place("o", "ann", []))

    assert products_of(calls) == [[]]
    assert receipt.events == (Placed("o", "ann", ()),)
    assert len(log.conditions) == 1  # that of the order


async def test_a_handler_of_many_alone_decides_on_nothing_if_there_are_none(live: LiveApp, calls: Calls) -> None:
    await live.execute(Count(frozenset()))

    assert products_of(calls) == [[]]


async def test_each_model_is_as_the_log_says_that_it_is(live: LiveApp, calls: Calls) -> None:
    await stocked(live, "a", "b")
    await live.execute(Place("o", "ann", ["a", "b"]))
    with pytest.raises(Rejected) as rejected:
        await live.execute(Place("p", "ann", ["b", "new"]))

    assert rejected.value.details == {"products": ["new"]}
    assert [(each.product, each.stock) for each in calls[-1][2]] == [("b", 8), ("new", 0)]


# --- what is read, and what the append depends on


@pytest.mark.parametrize("number", [1, STATES_PER_READ, 1_000])
async def test_many_entities_are_loaded_with_few_reads(number: int, tmp_path: Path) -> None:
    log = Watched()
    async with SHOP.open(log) as first:
        await stocked(first, *(f"p-{each}" for each in range(number)))
    async with SHOP.open(log) as live:
        log.reads = 0

        await live.execute(Place("o", "ann", [f"p-{each}" for each in range(number)]))
        reads, log.reads = log.reads, 0
        await live.execute(Place("o", "ann", [f"p-{each}" for each in reversed(range(number))]))

    assert reads <= number // STATES_PER_READ + 2
    assert log.reads == 0


async def test_the_condition_is_about_each_entity_once(live: LiveApp, log: Watched) -> None:
    await stocked(live, "a", "b")

    await live.execute(Place("o", "ann", ["a", "b", "a"]))

    tags = [sorted(item.tags) for condition in log.conditions for item in condition.criteria.items]
    assert sorted(tags) == [["order:o"], ["product:a"], ["product:b"]]


async def test_a_decision_conflicts_exactly_when_one_of_its_entities_has_changed(shared: EventStore) -> None:
    calls, random = Calls(), Random(7)
    app = shop_app(calls)
    async with app.open(shared, **ALONE) as live, SHOP.open(shared, **ALONE) as other:
        for round_ in range(40):
            names = [f"{round_}-{each}" for each in range(random.choice([1, 2, 5, 30]))]
            await stocked(live, *names)
            chosen = random.sample(names, random.randint(0, len(names)))
            await live.execute(Place(f"o-{round_}", "ann", chosen))  # from here on the states are in memory
            changed = random.sample(names, random.randint(0, min(2, len(names))))
            for name in changed:
                await other.execute(Stock(name, 1))
            calls.clear()

            receipt = await live.execute(Place(f"o-{round_}", "ann", chosen))

            assert len(calls) == 1 + bool({*chosen} & {*changed})
            seen = {product.product: product.stock for product in calls[-1][2]}
            assert seen == {name: 8 + (name in changed) for name in chosen}
            assert receipt.position == await shared.head()


async def test_of_sixteen_callers_one_gets_the_last_of_several_products(shared: EventStore) -> None:
    async with AsyncExitStack() as opened:
        apps = [await opened.enter_async_context(SHOP.open(shared, **ALONE)) for _ in range(4)]
        for round_ in range(3):
            names = [f"{round_}-{each}" for each in range(20)]
            await stocked(apps[0], *names, amount=1)
            last = names[round_]
            commands = [Place(f"o-{round_}-{n}", "ann", [last, f"{round_}-{n + 3}"]) for n in range(16)]

            outcomes = await asyncio.gather(
                *(apps[n % 4].execute(command) for n, command in enumerate(commands)), return_exceptions=True
            )

            assert sum(isinstance(each, Receipt) for each in outcomes) == 1
            assert all(each.details == {"products": [last]} for each in outcomes if isinstance(each, Rejected))
            assert sum(isinstance(each, Rejected) for each in outcomes) == 15
            stocks = [(await apps[1].state(Product, name)).stock for name in names]
            assert sorted(stocks) == [0, 0, *[1] * 18]


async def test_callers_on_entities_that_overlap_all_get_their_turn(live: LiveApp) -> None:
    await stocked(live, *"abcdef", amount=100)
    random = Random(3)
    carts = [random.sample("abcdef", random.randint(1, 6)) for _ in range(100)]

    await asyncio.gather(*(live.execute(Place(f"o-{n}", "ann", cart)) for n, cart in enumerate(carts)))

    stocks = {name: (await live.state(Product, name)).stock for name in "abcdef"}
    assert stocks == {name: 100 - sum(name in cart for cart in carts) for name in "abcdef"}


async def test_more_entities_than_the_app_holds_in_memory_are_decided_on_all_the_same(log: Watched) -> None:
    async with SHOP.open(log, states=2) as live:
        names = [f"p-{each}" for each in range(30)]
        await stocked(live, *names, amount=2)

        await live.execute(Place("o", "ann", names))
        await live.execute(Place("p", "ann", [*names, *names]))

        with pytest.raises(Rejected):
            await live.execute(Place("q", "ann", names[:1]))


# --- limits


async def test_more_entities_than_a_decision_may_have_are_refused_before_anything_is_read(
    live: LiveApp, log: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parameters, "MANY_LIMIT", 3)
    await live.execute(Count(frozenset("abc")))
    head, log.reads = await log.head(), 0

    with pytest.raises(TooManyEntities) as refused:
        await live.execute(Place("o", "ann", ["a", "b", "c", "d", "a"]))

    assert (refused.value.parameter, refused.value.model, refused.value.number) == ("products", "Product", 4)
    assert (await log.head(), log.reads) == (head, 0)


async def test_the_limit_is_as_the_documents_say() -> None:
    names = frozenset(str(each) for each in range(parameters.MANY_LIMIT))
    calls = Calls()
    async with shop_app(calls).open("memory:") as live:
        await live.execute(Count(names))
        with pytest.raises(TooManyEntities):
            await live.execute(Count(names | {"one more"}))

    assert [len(each) for each in products_of(calls)] == [5_000]


# --- wherever commands are executed


async def test_commands_of_a_batch_see_what_those_before_them_took(live: LiveApp) -> None:
    await stocked(live, "a", "b", amount=1)

    batch = await live.execute_many(
        [Place("o", "ann", ["a"]), Place("p", "ann", ["b", "a"]), Place("q", "ann", ["b"]), Place("r", "ann", [])]
    )

    assert [isinstance(each, Rejected) for each in batch.outcomes] == [False, True, False, False]
    assert batch.rejections == (Rejected("sold out", products=["a"]),)


async def test_a_command_with_a_key_is_executed_once(live: LiveApp) -> None:
    await stocked(live, "a")

    first = await live.execute(Place("o", "ann", ["a"]), key="k")
    again = await live.execute(Place("o", "ann", ["a"]), key="k")

    assert again.duplicate
    assert again.position == first.position == await live.store.head()


async def test_submitted_commands_are_handled_with_many(live: LiveApp) -> None:
    await stocked(live, "a", "b", amount=2)

    tickets = [await live.submit(Place(f"o-{n}", "ann", ["a", "b"])) for n in range(3)]
    outcomes = await asyncio.gather(*(ticket.result(timeout=PATIENCE) for ticket in tickets), return_exceptions=True)

    assert [type(each) for each in outcomes] == [Receipt, Receipt, Rejected]


async def test_a_submitted_command_with_too_many_entities_fails_alone(
    live: LiveApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parameters, "MANY_LIMIT", 2)
    await stocked(live, "a", "b")

    wrong = await live.submit(Place("o", "ann", ["a", "b", "c"]))
    right = await live.submit(Place("p", "ann", ["a", "b"]))

    assert (await right.result(timeout=PATIENCE)).events[0] == Placed("p", "ann", ("a", "b"))
    assert (await wrong.state()).error == "parameter 'products' would take 3 models Product"


def test_a_scenario_decides_on_many() -> None:
    given(SHOP, Stocked("a", 1), Stocked("b", 1)).when(Place("o", "ann", ["b", "a", "b"])).then(
        Placed("o", "ann", ("b", "a", "b"))
    )
    given(SHOP, Stocked("a", 1)).when(Place("o", "ann", ["b", "a"])).then_rejected("sold out", products=["b"])
    with pytest.raises(AssertionError, match=r"products=?.*Many\(\[Product\(product='a', stock=1\)\]\)"):
        given(SHOP, Stocked("a", 1)).when(Place("o", "ann", ["a"])).then_nothing()


def test_a_scenario_names_a_handler_that_changes_one_of_many() -> None:
    app = App("lists")

    class Filled(Event):
        basket: Annotated[str, Tag("basket")]

    class Basket(DecisionModel):
        basket: Annotated[str, Tag("basket")]
        items: list[str] = msgspec.field(default_factory=list[str])

        def evolve(self, event: Filled) -> Self:
            return self

    class Fill(Command):
        baskets: list[Annotated[str, Tag("basket")]]

    @app.handles
    def fill(command: Fill, baskets: Many[Basket]) -> list[Filled]:
        for basket in baskets:
            basket.items.append("more")
        return []

    with pytest.raises(ArgumentMutated, match="baskets"):
        given(app).when(Fill(["b"]))


# --- keys of all types, and of several parts


class Kind(Enum):
    NEW = "new"
    OLD = "old"


class Happened(Event):
    number: Annotated[int, Tag("number")] | None = None
    id: Annotated[UUID, Tag("id")] | None = None
    kind: Annotated[Kind, Tag("kind")] | None = None
    day: Annotated[date, Tag("day")] | None = None
    text: Annotated[str, Tag("text")] | None = None


def model_of(name: str, tag: str, kind: Any) -> Any:
    """A model that counts the events with one tag."""

    def evolve(self: Any, event: Happened) -> Any:
        return type(self)(getattr(self, tag), self.count + 1)

    hints = {tag: Annotated[kind, Tag(tag)], "count": int}
    return type(DecisionModel)(name, (DecisionModel,), {"__annotations__": hints, "count": 0, "evolve": evolve})


@pytest.mark.parametrize(
    ("tag", "kind", "values"),
    [
        ("number", int, [3, 1, 2**60, 1, -1]),
        ("id", UUID, [UUID(int=2), UUID(int=1), UUID(int=2)]),
        ("kind", Kind, [Kind.OLD, Kind.NEW, Kind.OLD]),
        ("day", date, [date(2026, 1, 2), date(1, 1, 1), date(2026, 1, 2)]),
        ("text", str, ["ü", "", " ", "a:b", "ü"]),
    ],
)
async def test_keys_may_be_of_every_type_that_can_be_tagged(tag: str, kind: Any, values: list[Any]) -> None:
    model, app, calls = model_of("Counted", tag, kind), App("keys"), Calls()
    command = type(Command)("Look", (Command,), {"__annotations__": {"chosen": list[Annotated[kind, Tag(tag)]]}})

    def look(command: Any, chosen: Any) -> Any:
        calls(*chosen)

    look.__annotations__.update({"command": command, "chosen": Many[model], "return": Happened | None})
    app.handles(look)
    async with app.open("memory:") as live:
        live_events = [Happened(**{tag: value}) for value in values]
        await live.store.append([app.registry.encode(each, b"{}") for each in live_events if values != [""]])
        await live.execute(command(values))

    expected = {value: values.count(value) for value in values}
    assert {getattr(each, tag): each.count for each in calls[0]} == expected
    assert [getattr(each, tag) for each in calls[0]] == list(dict.fromkeys(values))


async def test_keys_that_are_equal_by_their_tag_are_one_in_the_order_of_the_command(calls: Calls) -> None:
    Email = Annotated[str, Tag("email", by=str.casefold)]

    class Invited(Event):
        emails: list[Email]

    class Person(DecisionModel):
        email: Email
        invited: int = 0

        def evolve(self, event: Invited) -> Self:
            return type(self)(self.email, self.invited + 1)

    class Invite(Command):
        emails: list[Email]

    app = App("guests")

    def invite(command: Invite, people: Many[Person]) -> Invited:
        calls(*people)
        assert people["BOB"] is people["bob"]
        return Invited(command.emails)

    invite.__annotations__.update(command=Invite, people=Many[Person], **{"return": Invited})
    app.handles(invite)
    async with app.open("memory:") as live:
        for _ in range(2):
            await live.execute(Invite(["Bob", "Ann", "BOB", "ann"]))

    assert calls == [(Person("bob"), Person("ann")), (Person("bob", 1), Person("ann", 1))]


class Joined(Event):
    club: Annotated[str, Tag("club")]
    member: Annotated[str, Tag("member")]


class Membership(DecisionModel):
    club: Annotated[str, Tag("club")]
    member: Annotated[str, Tag("member")]
    joined: bool = False

    def evolve(self, event: Joined) -> Self:
        return type(self)(self.club, self.member, joined=True)


class JoinAll(Command):
    club: Annotated[str, Tag("club")]
    members: list[Annotated[str, Tag("member")]]


async def test_a_key_of_two_parts_takes_one_from_the_collection() -> None:
    app = App("clubs")

    @app.handles
    def join(command: JoinAll, memberships: Many[Membership]) -> list[Joined]:
        assert [each.member for each in memberships] == command.members
        return [
            Joined(command.club, member) for member in command.members if not memberships[command.club, member].joined
        ]

    async with app.open("memory:") as live:
        await live.execute(JoinAll("chess", ["ann", "bob"]))
        receipt = await live.execute(JoinAll("chess", ["bob", "eve"]))
        other = await live.execute(JoinAll("go", ["bob"]))

    assert receipt.events == (Joined("chess", "eve"),)
    assert other.events == (Joined("go", "bob"),)


# --- Many itself


def test_many_is_looked_up_by_key() -> None:
    many = Many([Product("a", 1), Product("b")])

    assert many["a"] == Product("a", 1)
    assert ("a" in many, "c" in many, Product("a", 1) in many) == (True, False, False)
    assert [*many] == [Product("a", 1), Product("b")]
    assert len(many) == 2
    assert bool(many)
    assert not Many[Product]()


def test_a_key_that_many_does_not_have_is_named_with_those_that_it_has() -> None:
    with pytest.raises(NotLoaded, match="'c' among these 2") as refused:
        Many([Product("a", 1), Product("b")])["c"]

    assert refused.value.known == ("a", "b")
    assert isinstance(refused.value, LookupError)
    with pytest.raises(NotLoaded, match="…"):
        Many([Product(str(each)) for each in range(1_000)])[7]
    with pytest.raises(NotLoaded, match=r"\['a'\] among these 1"):
        Many([Product("a", 1)])[["a"]]
    assert ["a"] not in Many([Product("a", 1)])


def test_many_shows_its_models_and_compares_by_them() -> None:
    many = Many([Product("a", 1)])

    assert repr(many) == "Many([Product(product='a', stock=1)])"
    assert many == Many([Product("a", 1)]) == copy(many) == deepcopy(many)
    assert many != Many([Product("a", 2)])
    assert many != [Product("a", 1)]


def test_a_handler_can_be_called_with_many_models() -> None:
    place = shop_app().command_handlers[Place].function
    decided = place(Place("o", "ann", ["a"]), Order("o"), Many([Product("a", 1)]), None)

    assert decided == Placed("o", "ann", ("a",))

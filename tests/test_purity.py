"""Handlers and folds leave what they are given as it is, and are named where they do not."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Self

import msgspec
import pytest

from leftfold import App, Command, DecisionModel, Event, NewEvent, Query, ReadModel, ReadModels, Tag, replace
from leftfold.errors import ArgumentMutated, ProjectionFailed, Rejected
from leftfold.testing import given

CartId = Annotated[str, Tag("cart")]


class Added(Event):
    cart: CartId
    items: list[str]


class Add(Command):
    cart: CartId
    items: list[str]


class Check(Command):
    cart: CartId


class Sort(Command):
    cart: CartId
    items: list[str]


class Line(msgspec.Struct):
    item: str
    count: int = 1


class Cart(DecisionModel):
    cart: CartId
    items: list[str] = msgspec.field(default_factory=list[str])
    lines: dict[str, Line] = msgspec.field(default_factory=dict[str, Line])

    def evolve(self, event: Added) -> Self:
        return replace(self, items=[*self.items, *event.items])


class Careless(DecisionModel):
    cart: CartId
    lines: dict[str, Line] = msgspec.field(default_factory=dict[str, Line])

    def evolve(self, event: Added) -> Self:
        for item in event.items:
            self.lines.setdefault(item, Line(item)).count += 1
        return self


class Greedy(DecisionModel):
    cart: CartId
    items: list[str] = msgspec.field(default_factory=list[str])

    def evolve(self, event: Added) -> Self:
        event.items.clear()
        return self


class Shown(ReadModel):
    cart: CartId
    items: list[str] = msgspec.field(default_factory=list[str])

    def evolve(self, event: Added) -> Self:
        self.items.extend(event.items)
        return self


class All(Query[list[Shown]]):
    """Every cart."""


shop = App("shop")


@shop.handles
def add(command: Add, cart: Cart) -> Added:
    cart.items.extend(command.items)
    return Added(command.cart, cart.items)


@shop.handles
def check(command: Check, cart: Careless) -> None:
    raise Rejected("nothing in it")


@shop.handles
def arrange(command: Sort, cart: Cart) -> list[Added]:
    command.items.sort()
    return [Added(command.cart, command.items)]


class Refuse(Command):
    cart: CartId


@shop.handles
def refuse(command: Refuse, cart: Cart) -> None:
    cart.items.append("x")
    raise Rejected("no")


class Take(Command):
    cart: CartId


@shop.handles
def take(command: Take, cart: Greedy) -> None: ...


shop.read_model(Shown)


@shop.answers
def everything(query: All, models: ReadModels) -> list[Shown]:
    return models.select(Shown)


@pytest.mark.parametrize(
    ("command", "function", "place"),
    [
        (Add("c", ["b"]), "add", "cart.items"),
        (Sort("c", ["b", "a"]), "arrange", "command.items[0]"),
        (Refuse("c"), "refuse", "cart.items"),
        (Check("c"), "Careless.evolve", "self.lines"),
        (Take("c"), "Greedy.evolve", "event.items"),
    ],
)
def test_a_handler_or_an_evolve_that_changes_its_argument_is_named_by_a_scenario(
    command: Command, function: str, place: str
) -> None:
    with pytest.raises(ArgumentMutated) as named:
        given(shop, Added("c", ["a"])).when(command)

    assert (named.value.function, named.value.place) == (function, place)


def test_a_read_model_that_changes_its_row_is_named_by_a_scenario() -> None:
    named = re.escape("Shown.evolve changed its argument self.items: [] became ['a']")

    with pytest.raises((ArgumentMutated, ProjectionFailed), match=named):
        given(shop, Added("c", ["a"])).then_row(Shown("c", ["a"]))
    with pytest.raises((ArgumentMutated, ProjectionFailed), match=named):
        given(shop, Added("c", ["a"])).when(All())


IN_DEVELOPMENT = """
import asyncio
from leftfold import ProcessManager
from leftfold.errors import ArgumentMutated
from tests.test_purity import *

class Counted(Event):
    cart: CartId

class Counting(ProcessManager):
    cart: CartId
    items: list[str] = msgspec.field(default_factory=list[str])
    def evolve(self, event: Added) -> Self:
        return self
    def react(self, event: Added):
        self.items.append("x")

class Put(Command):
    cart: CartId

@shop.handles
def put(command: Put, cart: Cart) -> Added:
    if len(cart.items) > 1:
        cart.items.clear()
    return Added(command.cart, ["a"])

async def main():
    process = App("counting")
    process.process(Counting)
    process.event(Added)
    async with shop.open("memory:", work=False) as live:
        await live.execute(Put("c"))
        await live.execute(Put("c"))
        for function in ("put", "add"):
            try:
                await live.execute(Put("c") if function == "put" else Add("c", ["b"]))
            except ArgumentMutated as error:
                print(error.function, error.place)
        print(len((await live.state(Cart, "c")).items))
        async with process.open(live.store) as other:
            await other.run_until_quiet()
            [parked] = await other.processes()
            print(parked.error)

asyncio.run(main())
"""


def test_the_live_app_names_them_in_pythons_development_mode_and_its_states_stay_right() -> None:
    ended = subprocess.run(
        [sys.executable, "-X", "dev", "-c", IN_DEVELOPMENT],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent.parent,
    )

    assert ended.returncode == 0, ended.stderr
    put, added, items, parked = ended.stdout.splitlines()
    assert (put, added, items) == ("put cart.items", "add cart.items", "2")
    assert "Counting.react changed its argument self.items" in parked


class Basket(DecisionModel):
    cart: CartId
    items: tuple[str, ...] = ()

    def evolve(self, event: Added) -> Self:
        return replace(self, items=(*self.items, *event.items))


async def test_a_state_that_was_asked_for_may_be_changed_and_nobody_else_sees_it() -> None:
    async with shop.open("memory:") as live:
        await live.store.append([NewEvent("Added", b'{"cart": "c", "items": ["a"]}', tags=["cart:c"])])
        state = await live.state(Cart, "c")
        state.items.append("b")
        state.lines["b"] = Line("b")

        assert await live.state(Cart, "c") == Cart("c", ["a"])
        assert await live.state(Basket, "c") is await live.state(Basket, "c")  # nothing in it can be changed

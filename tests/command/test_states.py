"""States held in memory: bounded, brought up to date by the tail alone, honest because of the append's condition."""

from functools import partial
from typing import Annotated, Self

import pytest

from leftfold import App, Command, DecisionModel, Event, EventStore, LiveApp, Tag, replace
from leftfold.command import Snapshots, States
from leftfold.command.states import State
from leftfold.errors import InvalidKey
from leftfold.model.fold import fold_of
from leftfold.model.record import NewEvent
from leftfold.model.registry import Registry
from leftfold.model.sizes import size_of
from leftfold.store import MemoryStore
from leftfold.store.identity import identity_at
from leftfold.store.sqlite.snapshots import SQLiteSnapshots
from tests.accounts import Account, Calls, Deposit, Deposited, Transfer, accounts_app

FOLD = fold_of(Account)


def deposited(registry: Registry, account: str, amount: int) -> NewEvent:
    return registry.encode(Deposited(account, amount), b"{}")


async def test_at_most_so_many_states_are_held_and_the_longest_unused_goes_first(store: EventStore) -> None:
    registry = Registry()
    snapshots = Snapshots(SQLiteSnapshots(":memory:", store.log_id), registry.codec, partial(identity_at, store))
    states = States(store, registry, snapshots, capacity=2, most_bytes=1_000_000)

    first, second = states.of(FOLD, ("a",)), states.of(FOLD, ("b",))
    assert states.of(FOLD, ("a",)) is first
    states.of(FOLD, ("c",))

    assert len(states) == 2
    assert repr(states) == "<States 2 of 2>"
    assert states.of(FOLD, ("a",)) is first
    assert states.of(FOLD, ("b",)) is not second
    await snapshots.close()


class Noted(Event):
    note: Annotated[str, Tag("note")]
    text: str


class Notes(DecisionModel):
    note: Annotated[str, Tag("note")]
    texts: tuple[str, ...] = ()

    def evolve(self, event: Noted) -> Self:
        return replace(self, texts=(*self.texts, event.text))


class Write(Command):
    note: Annotated[str, Tag("note")]
    length: int


def notes_app() -> App:
    app = App("notes")

    @app.handles
    def write(command: Write, notes: Notes) -> Noted:
        return Noted(command.note, "x" * command.length)

    return app


@pytest.mark.parametrize("how", ["decided", "read", "together"])
async def test_the_states_that_are_held_take_no_more_bytes_than_they_may(store: EventStore, how: str) -> None:
    app = notes_app()
    async with app.open(store, state_bytes=500_000) as writer, app.open(store, state_bytes=500_000) as reader:
        for number in range(40):
            await writer.execute(Write(f"n-{number}", 100_000))
        held = writer
        if how == "read":
            held = reader
            for number in range(40):
                await reader.state(Notes, f"n-{number}")
        elif how == "together":
            held = reader
            await reader.execute_many([Write(f"n-{number}", 1) for number in range(40)])

        states = states_of(held)
        assert 2 <= len(states) <= 5
        assert len((await held.state(Notes, "n-0")).texts) == (2 if how == "together" else 1)


async def test_a_state_that_grows_is_measured_again(store: EventStore) -> None:
    async with notes_app().open(store, state_bytes=500_000) as live:
        await live.execute(Write("other", 1))
        for _ in range(90):
            await live.execute(Write("n", 10_000))

        assert len(states_of(live)) == 1


def states_of(live: LiveApp) -> States:
    states: States = vars(live)["_states"]
    return states


def test_the_size_of_a_value_counts_everything_in_it_once() -> None:
    text = "x" * 10_000

    assert 10_000 < size_of([text, text, {"a": (text,)}, Notes("n", (text,))]) < 12_000
    assert size_of({"a": ["y" * 5_000], "b": {"z" * 5_000}}) > 10_000


async def test_a_state_says_where_it_is_true(store: EventStore) -> None:
    registry = Registry()
    snapshots = Snapshots(SQLiteSnapshots(":memory:", store.log_id), registry.codec, partial(identity_at, store))
    states = States(store, registry, snapshots, capacity=2, most_bytes=1_000_000)
    await store.append([deposited(registry, "a", 1), deposited(registry, "b", 1)])
    state = states.of(FOLD, ("a",))
    await snapshots.close()

    changed = await states.refresh(state)

    assert changed
    assert repr(state) == "<State Account(account='a', balance=1, frozen=False) at 2>"


def test_an_older_state_than_the_one_that_is_held_is_left_aside() -> None:
    state = State(FOLD, ("a",), Registry())
    state.advance(Account("a", 5), 7, 1)

    state.advance(Account("a", 4), 6, 1)

    assert (state.value, state.position) == (Account("a", 5), 7)


async def test_a_state_that_was_let_go_is_loaded_again(store: EventStore) -> None:
    calls = Calls()
    async with accounts_app(calls).open(store, states=1) as live:
        for account in ("a", "b", "a", "b"):
            await live.execute(Deposit(account, 1))

    assert calls.balances == [0, 0, 1, 1]


async def test_two_models_in_one_command_are_decided_although_one_state_is_held(store: EventStore) -> None:
    async with accounts_app().open(store, states=1) as live:
        await live.execute(Deposit("a", 5))
        await live.execute(Transfer("a", "b", 2))
        await live.execute(Transfer("a", "b", 2))

        assert (await live.state(Account, "a")).balance == 1


async def test_a_state_is_strongly_consistent(live: LiveApp, other: LiveApp) -> None:
    await live.state(Account, "a")
    await other.execute(Deposit("a", 5))

    assert await live.state(Account, "a") == Account("a", 5)


async def test_the_state_of_a_key_without_events_is_the_start(live: LiveApp) -> None:
    assert await live.state(Account, "nobody") == Account("nobody")


@pytest.mark.parametrize("key", [(), ("a", "b"), (None,)])
async def test_a_key_that_does_not_fit_the_model_is_refused(live: LiveApp, key: tuple[object, ...]) -> None:
    with pytest.raises(InvalidKey) as refused:
        await live.state(Account, *key)

    assert refused.value.fields == ("account",)


async def test_only_the_tail_is_read_again() -> None:
    store = ReadPositions()
    async with accounts_app().open(store, work=False) as live, accounts_app().open(store, work=False) as other:
        for _ in range(3):
            await live.execute(Deposit("a", 1))
        await other.execute(Deposit("a", 1))
        store.asked.clear()

        await live.execute(Deposit("a", 1))

    assert store.asked == [3]


async def test_a_state_that_is_the_newest_needs_no_read_at_all() -> None:
    store = ReadPositions()
    async with accounts_app().open(store, work=False) as live:
        await live.execute(Deposit("a", 1))
        store.asked.clear()

        await live.execute(Deposit("a", 1))

    assert store.asked == []


class ReadPositions(MemoryStore):
    """A memory store that notes after which positions it was read."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []

    def read(self, *arguments, after: int = 0, **options):  # type: ignore[no-untyped-def, override]
        self.asked.append(after)
        return super().read(*arguments, after=after, **options)

"""An event that a process cannot decode parks the instances that its tags name, and no others."""

import uuid
from collections.abc import AsyncIterator
from typing import Annotated, Self

import pytest

from leftfold import App, Command, DecisionModel, Event, LiveApp, ProcessManager, Reaction, Tag, replace
from leftfold.errors import CannotDecode, NotParked
from leftfold.store import MemoryStore, NewEvent, StoredEvent
from leftfold.store.contract import EventStore
from leftfold.testing import FakeClock

OrderId = Annotated[str, Tag("order")]
Number = Annotated[int, Tag("number")]


class Asked(Event, version=2):
    order: OrderId
    number: Number


class Booked(Event):
    order: OrderId
    asked: int


class Book(Command):
    order: OrderId
    asked: int


class Books(DecisionModel):
    order: OrderId
    asked: tuple[int, ...] = ()

    def evolve(self, event: Booked) -> Self:
        return replace(self, asked=(*self.asked, event.asked))


class Booking(ProcessManager):
    order: OrderId
    number: Number
    asked: int = 0

    def evolve(self, event: Asked) -> Self:
        return replace(self, asked=self.asked + 1)

    def react(self, event: Asked) -> Reaction:
        return Book(self.order, self.asked)


app = App("booking")
app.process(Booking)


@app.handles
def book(command: Book, books: Books) -> Booked:
    return Booked(command.order, command.asked)


def asked(order: str, number: int = 1) -> NewEvent:
    return app.registry.encode(Asked(order, number), b"{}")


def unreadable(order: str, number: int = 1) -> NewEvent:
    return NewEvent("Asked", b'{"order"', (f"order:{order}", f"number:{number}"), 2)


UNREADABLE = {
    "cut off": NewEvent("Asked", b'{"order"', ("order:a", "number:1"), 2),
    "of a later version": NewEvent("Asked", b"{}", ("order:a", "number:1"), 3),
    "of a version without an upcaster": NewEvent("Asked", b"{}", ("order:a", "number:1"), 1),
    "with another type": NewEvent("Asked", b'{"order":"a","number":"one"}', ("order:a", "number:1"), 2),
    "with metadata that is none, either": NewEvent("Asked", b"{", ("order:a", "number:1"), 2, b"\xff"),
}


@pytest.fixture
def store() -> EventStore:
    return MemoryStore(FakeClock())


@pytest.fixture
async def live(store: EventStore) -> AsyncIterator[LiveApp]:
    async with app.open(store, work=False) as live:
        yield live


async def booked(live: LiveApp, order: str) -> tuple[int, ...]:
    return (await live.state(Books, order)).asked


@pytest.mark.parametrize("event", UNREADABLE.values(), ids=UNREADABLE)
async def test_an_event_that_cannot_be_decoded_parks_the_instance_that_its_tags_name(
    live: LiveApp, event: NewEvent
) -> None:
    await live.store.append([asked("a"), event, asked("a"), asked("a", 2), asked("b")])

    await live.run_until_quiet()

    [parked, *others] = await live.processes()
    assert (parked.instance, parked.standing, parked.parked) == ("Booking/a/1", "parked", 2)
    assert "cannot be read" in str(parked.error)
    assert [each.standing for each in others] == ["running", "running"]
    assert (await booked(live, "a"), await booked(live, "b")) == ((1, 1), (1,))
    assert (await live.status()).attention.parked_instances == {"Booking": 1}


async def test_an_instance_that_is_parked_so_goes_on_when_it_is_retried_and_the_event_can_be_decoded(
    live: LiveApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    await live.store.append([unreadable("a"), asked("a"), asked("b")])
    await live.run_until_quiet()
    await live.retry(Booking, "a", 1)
    await live.run_until_quiet()
    assert (await live.process(Booking, "a", 1)).progress.retries == 1
    assert (await live.process(Booking, "a", 1)).progress.parked == 1

    decode = app.registry.decode

    def repaired(stored: StoredEvent) -> object:
        return Asked("a", 1) if stored.data == b'{"order"' else decode(stored)

    monkeypatch.setattr(app.registry, "decode", repaired)
    await live.retry(Booking, "a", 1)
    await live.run_until_quiet()

    assert await booked(live, "a") == (1, 2)
    assert (await live.process(Booking, "a", 1)).progress.standing == "running"


@pytest.mark.parametrize("restarted", [False, True])
async def test_an_instance_whose_event_is_skipped_goes_on_without_it(store: EventStore, *, restarted: bool) -> None:
    async with app.open(store, work=False) as live:
        await store.append([asked("a"), unreadable("a"), asked("a"), unreadable("b")])
        await live.run_until_quiet()
        await live.skip(Booking, "a", 1, reason="a test order")
        if not restarted:
            await live.run_until_quiet()
    async with app.open(store, work=False) as live:
        await live.run_until_quiet()
        await store.append([asked("a")])
        await live.run_until_quiet()
        instance = await live.process(Booking, "a", 1)

        assert await booked(live, "a") == (1, 2, 3)
        assert instance.progress.skipped == {2}
        assert [step.position for step in instance.history][:2] == [1, 3]
        assert instance.state == Booking("a", 1, 3)
        assert (await live.status()).attention.parked_instances == {"Booking": 1}
        with pytest.raises(NotParked):
            await live.skip(Booking, "a", 1, reason="again")


async def test_an_instance_whose_past_cannot_be_decoded_any_more_is_parked_alone(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with app.open(store, work=False) as live:
        await store.append([asked("a"), asked("b")])
        await live.run_until_quiet()
    decode = app.registry.decode

    def without_an_upcaster(stored: StoredEvent) -> object:
        if stored.position == 1:
            raise CannotDecode(stored.type, stored.version, 1, "there is no upcaster")
        return decode(stored)

    monkeypatch.setattr(app.registry, "decode", without_an_upcaster)
    async with app.open(store, work=False) as live:
        await store.append([asked("a"), asked("b")])
        await live.run_until_quiet()

        assert (await booked(live, "a"), await booked(live, "b")) == ((1,), (1, 2))
        assert [each.standing for each in await live.processes()] == ["parked", "running"]


async def test_the_log_says_who_skipped_an_event_and_why(live: LiveApp) -> None:
    await live.store.append([unreadable("a")])
    await live.run_until_quiet()
    await live.skip(Booking, "a", 1, reason="a test order")

    skipped = [event async for batch in live.store.read() for event in batch.events][-1]
    assert (skipped.type, b"a test order" in skipped.metadata) == ("leftfold.process.skipped", True)


async def test_an_event_whose_tags_name_no_instance_stops_the_process_loudly(live: LiveApp) -> None:
    await live.store.append([NewEvent("Asked", b"{", ("order:a",), 2)])

    with pytest.raises(CannotDecode):
        await live.run_until_quiet()


def test_keys_by_tags_are_of_the_fields_types_also_where_a_tags_name_has_a_colon() -> None:
    class Seen(Event):
        user: Annotated[uuid.UUID, Tag("user:id")]

    class Seeing(ProcessManager):
        user: Annotated[uuid.UUID, Tag("user:id")]

        def evolve(self, event: Seen) -> Self:
            return self

        def react(self, event: Seen) -> Reaction:
            return None

    other = App("other")
    other.process(Seeing)
    [definition] = other.processes.values()

    assert definition.fold.keys_by_tags([f"user:id:{uuid.UUID(int=7)}"]) == [(uuid.UUID(int=7),)]
    assert definition.fold.keys_by_tags(["user:id:no"]) is None
    assert definition.fold.keys_by_tags(["user:7"]) is None

"""An upcaster may ask for the context of the event: whatever reads the event gives it the same one."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Self

import pytest

from leftfold import (
    App,
    Command,
    DecisionModel,
    Delivery,
    Event,
    EventContext,
    Metadata,
    NewEvent,
    ProcessManager,
    Query,
    Reaction,
    ReadModel,
    ReadModels,
    Tag,
    open_store,
    replace,
)
from leftfold.errors import CannotDecode, DefinitionError
from leftfold.model.metadata import encode_metadata
from leftfold.model.record import StoredColumns
from leftfold.model.registry import Registry
from leftfold.testing import FakeClock

AccountId = Annotated[str, Tag("account")]
START = datetime(2026, 1, 5, 9, tzinfo=UTC)


class Deposited(Event, version=4):
    account: AccountId
    amount: int
    by: str
    on: str
    number: int = 0
    cents: int = 0


class Account(DecisionModel):
    account: AccountId
    seen: tuple[tuple[str, str, int], ...] = ()

    def evolve(self, event: Deposited) -> Self:
        return replace(self, seen=(*self.seen, (event.by, event.on, event.number)))


class Row(ReadModel):
    account: AccountId
    seen: str = ""

    def evolve(self, event: Deposited) -> Self:
        return replace(self, seen=f"{self.seen}{event.by} {event.on} {event.number};")


class Note(Command):
    account: AccountId
    text: str


class Noted(Event):
    account: AccountId
    text: str


class Watching(ProcessManager):
    account: AccountId

    def evolve(self, event: Deposited) -> Self:
        return self

    def react(self, event: Deposited) -> Reaction:
        return Note(event.account, f"process {event.by} {event.on} {event.number}")


class Seen(Query[str]):
    account: str


def add_actor(data: dict[str, Any], context: EventContext) -> dict[str, Any]:
    return {**data, "by": context.actor or "nobody", "on": context.time.date().isoformat()}


def add_number(data: dict[str, Any], context: EventContext) -> dict[str, Any]:
    return {**data, "number": context.position}


def in_cents(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "cents": 100 * data["amount"]}


def bank(reacted: list[str]) -> App:
    app = App("bank")

    @app.handles
    def note(command: Note, account: Account) -> Noted:
        return Noted(command.account, f"{command.text} {len(account.seen)}")

    app.read_model(Row)
    app.process(Watching)

    @app.answers
    def seen(query: Seen, models: ReadModels) -> str:
        return (models.get(Row, query.account) or Row(query.account)).seen

    @app.reactor("mail", start="from_start")
    async def mail(event: Deposited, delivery: Delivery) -> None:
        reacted.append(f"{event.by} {event.on} {event.number} {delivery.position}")

    app.upcasts("Deposited", 1)(add_actor)
    app.upcasts("Deposited", 2)(add_number)
    app.upcasts("Deposited", 3)(in_cents)
    return app


EXPECTED = [("ann", "2026-01-05", 1), ("nobody", "2026-01-05", 2), ("nobody", "2026-01-05", 3)]
OLD = [
    NewEvent("Deposited", b'{"account":"a","amount":1}', ("account:a",), 1, encode_metadata(Metadata(actor="ann"))),
    NewEvent("Deposited", b'{"account":"a","amount":2,"by":"nobody","on":"2026-01-05"}', ("account:a",), 2),
    NewEvent("Deposited", b'{"account":"a","amount":3}', ("account:a",), 1),
]


@pytest.fixture(params=["sqlite", "memory", "postgres"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "postgres":
        from tests.postgres import fresh_log

        yield fresh_log(request.getfixturevalue("postgres"))
    elif request.param == "memory":
        yield "memory:"
    else:
        yield f"sqlite:///{tmp_path / 'bank.db'}"


async def test_each_reader_of_old_events_gets_their_context(log: str) -> None:
    reacted: list[str] = []
    async with bank(reacted).open(log, clock=FakeClock(START), work=("projections",)) as live:
        await live.store.append(OLD)
        await live.run_until_quiet()

        texts = [f"{by} {on} {number}" for by, on, number in EXPECTED]
        assert (await live.state(Account, "a")).seen == tuple(EXPECTED)
        assert (await live.state(Account, "a", as_of=2)).seen == tuple(EXPECTED[:2])
        assert await live.query(Seen("a"), after=3) == "".join(f"{text};" for text in texts)
        assert await live.query(Seen("a"), as_of=1) == f"{texts[0]};"
        assert [
            (step.event.by, step.event.on, step.event.number) for step in await live.explain(Account, "a")
        ] == EXPECTED
        assert reacted == [f"{text} {at}" for at, text in enumerate(texts, 1)]
        events = [event async for batch in live.store.read() for event in batch.events]
        notes = [each.data.decode() for each in events if each.type == "Noted"]
        assert notes == [f'{{"account":"a","text":"process {text} 3"}}' for text in texts]
        assert all(each.ok for each in await live.verify())


async def test_a_long_log_of_old_events_is_folded_with_their_contexts(tmp_path: Path) -> None:
    log = f"sqlite:///{tmp_path / 'bank.db'}"
    async with open_store(log, clock=FakeClock(START)) as store:
        for _ in range(3):
            await store.append([OLD[2]] * 1_500)

    async with bank([]).open(log, work=("projections",)) as live:
        state = await live.state(Account, "a")
        row = await live.query(Seen("a"), after=4_500, wait_timeout=60)

    assert [number for _, _, number in state.seen] == list(range(1, 4_501))
    assert row.count(";") == 4_500
    assert row.endswith("nobody 2026-01-05 4500;")


def test_events_that_were_read_for_their_data_alone_are_refused() -> None:
    registry = Registry()
    registry.add(Deposited)
    registry.upcast("Deposited", 1, add_actor)
    registry.upcast("Deposited", 2, lambda data: {**data, "number": 1})
    registry.upcast("Deposited", 3, in_cents)
    columns = StoredColumns([1], [("Deposited", 1)], OLD[0].data)

    assert registry.needs_records
    with pytest.raises(CannotDecode, match="read for its data alone"):
        registry.decode_all(columns)
    with pytest.raises(CannotDecode, match="read for its data alone"):
        registry.decode_new(OLD[0])


def test_upcasters_of_data_need_no_records() -> None:
    registry = Registry()
    registry.upcast("Deposited", 1, lambda data, by="ann": {**data, "by": by})

    assert not registry.needs_records


def no_hint(data: Any, context): ...  # type: ignore[no-untyped-def]
def two(data: Any, context: EventContext, other: EventContext) -> Any: ...
def another(data: Any, context: Metadata) -> Any: ...
def late(data: Any, name: str = "", context: EventContext | None = None, *, more: int = 0) -> Any: ...
def swapped(data: Any, name: str, context: EventContext) -> Any: ...


@pytest.mark.parametrize("upcaster", [no_hint, two, another, swapped])
def test_other_parameters_are_refused(upcaster: Any) -> None:
    with pytest.raises(DefinitionError, match=r"the upcaster of 'Deposited' from version 1 takes data"):
        App("bank").upcasts("Deposited", 1)(upcaster)


def test_parameters_with_defaults_are_left_alone() -> None:
    App("bank").upcasts("Deposited", 1)(late)

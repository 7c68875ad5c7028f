"""Free-form projections: handled exactly once, whatever their form, and read in the consistency that is asked for."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncConnection

from leftfold import EventContext, recording
from leftfold.errors import ReadModelBehind, UnknownName, UsageError
from leftfold.model.metadata import encode_metadata
from leftfold.query import SqlProjection
from leftfold.query.shard import Shard
from leftfold.query.tables.models_database import ModelsDatabase
from leftfold.store import EventStore, MemoryStore
from leftfold.store.contract import Batch
from leftfold.testing.rows import UnstoredLog
from tests.patience import PATIENCE, examples
from tests.query.bank import Audited, Deposited, Opened, Transferred, append, ask, registry_of
from tests.query.places import place, url
from tests.query.sql_bank import (
    HANDLERS,
    expected_positions,
    expected_totals,
    ledger,
    metadata,
    projecting,
    rows,
    total,
    totals,
    totals_of,
)

__all__ = ["place", "url"]

EVENTS = [Opened("a"), Deposited("a", 5), Deposited("b", 7), Transferred("a", "b", 2), Audited("a"), Deposited("c", 1)]
AFTER = [("a", 3), ("b", 9), ("c", 1)]


@pytest.fixture
async def store() -> AsyncIterator[MemoryStore]:
    async with MemoryStore() as store:
        yield store


@pytest.mark.parametrize("handler", HANDLERS)
async def test_each_form_of_handler_writes_the_same_tables(
    store: MemoryStore, url: str, handler: Callable[..., Any]
) -> None:
    async with projecting(store, totals_of(handler), url=url) as read_side:
        position = await append(store, *EVENTS)

        assert await rows(read_side, after=position) == AFTER
        assert [row[0] for row in await rows(read_side, ledger)] == [2, 3, 4, 6]
        assert await rows(read_side, as_of=3) == [("a", 5), ("b", 7)]
        assert await rows(read_side) == AFTER


async def test_a_query_waits_for_the_projections_whose_tables_it_reads(store: MemoryStore) -> None:
    async with projecting(store, totals_of()) as read_side:
        position = await append(store, Deposited("a", 1), Deposited("a", 13))
        await read_side.catch_up(position)
        joined = sa.select(sa.func.count()).select_from(ledger.alias().join(totals.alias(), sa.true()))
        within = sa.select(sa.literal(1)).where(sa.exists(sa.select(totals.c.amount)))

        for statement in (joined, within, sa.text("SELECT 1")):
            with pytest.raises(ReadModelBehind):
                await ask(read_side, lambda models, it=statement: models.execute(it), after=position, timeout=0.05)
        assert await ask(read_side, lambda models: models.execute(sa.select(sa.literal(1))), after=position) == [(1,)]
        assert await ask(read_side, lambda models: models.position("account totals")) == 1


async def test_a_projection_is_asked_by_its_tables_not_as_a_read_model(store: MemoryStore) -> None:
    async with projecting(store, totals_of()) as read_side:
        for question in (lambda models: models.select("account totals"), lambda models: models.table("account totals")):
            with pytest.raises(UsageError, match="was queried like a read model"):
                await ask(read_side, question)
        with pytest.raises(UnknownName, match="account totals"):
            await ask(read_side, lambda models: models.position("account total"))


async def test_a_handler_is_told_where_when_and_why(store: MemoryStore) -> None:
    told: list[EventContext] = []
    table = sa.Table("told", sa.MetaData(), sa.Column("n", sa.Integer))

    def tell(event: Deposited, connection: sa.Connection, at: EventContext) -> None:
        told.append(at)

    with recording(actor="ann", reason="gift") as said:
        record = registry_of().encode(Deposited("a", 1), encode_metadata(said))
    async with projecting(store, SqlProjection(tell, "told", [table])) as read_side:
        await store.append([record])
        await read_side.wait("told", 1)

    stored = [event async for batch in store.read() for event in batch.events]
    assert told == [EventContext(1, stored[0].time, said)]


async def test_a_write_that_fails_midway_leaves_nothing_and_is_made_once_later(store: MemoryStore, url: str) -> None:
    failing = [True]

    def handle(event: Deposited, connection: sa.Connection, at: EventContext) -> None:
        total(event, connection, at)
        if event.account == "c" and failing[0]:
            raise ConnectionError("midway")

    definition = SqlProjection(handle, "account totals", metadata)
    async with projecting(store, definition, url=url) as read_side:
        position = await append(store, Deposited("a", 1), Deposited("b", 2), Deposited("c", 3), Deposited("a", 4))
        await read_side.catch_up(position)
        assert await rows(read_side) == [("a", 1), ("b", 2)]
        failing[0] = False
        assert await read_side.parked_keys("account totals").retry(()) == []

        assert await rows(read_side, after=position) == [("a", 5), ("b", 2), ("c", 3)]
        assert [row[0] for row in await rows(read_side, ledger)] == [1, 2, 3, 4]


@pytest.mark.parametrize("verb", ["commit", "rollback"])
@pytest.mark.parametrize("is_async", [False, True])
async def test_a_handler_cannot_end_the_transaction(store: MemoryStore, verb: str, is_async: bool) -> None:
    def plain(event: Deposited, connection: sa.Connection, at: EventContext) -> None:
        total(event, connection, at)
        getattr(connection, verb)()

    async def waiting(event: Deposited, connection: AsyncConnection, at: EventContext) -> None:
        await connection.run_sync(lambda real: total(event, real, at))
        await getattr(connection, verb)()

    async with projecting(store, totals_of(waiting if is_async else plain)) as read_side:
        await read_side.catch_up(await append(store, Deposited("a", 1)))

        [parked] = await read_side.parked()
        assert parked.problem == "the handler of account totals tried to end the transaction"
        assert await rows(read_side) == []


async def test_an_async_handler_has_what_a_connection_has(store: MemoryStore, url: str) -> None:
    seen: list[Any] = []

    async def handle(event: Deposited, connection: AsyncConnection, at: EventContext) -> None:
        await asyncio.sleep(0)
        async with connection.begin_nested() as undone:
            await connection.execute(sa.insert(totals).values(account="never", amount=0))
            await undone.rollback()
        savepoint = await connection.begin_nested()
        await connection.exec_driver_sql("INSERT INTO totals VALUES ('driver', 1)")
        await savepoint.commit()
        await connection.run_sync(lambda real: real.execute(sa.insert(totals).values(account="sync", amount=2)))
        seen.append(await connection.scalar(sa.select(sa.func.count()).select_from(totals)))
        seen.extend(await connection.scalars(sa.select(totals.c.account).order_by(totals.c.account)))
        seen.append(connection.in_transaction())

    async with projecting(store, totals_of(handle), url=url) as read_side:
        await read_side.wait("account totals", await append(store, Deposited("a", 1)))

    assert seen == [2, "driver", "sync", True]


async def test_an_async_handler_runs_on_the_loop_that_opened_the_app(store: MemoryStore) -> None:
    loops: list[asyncio.AbstractEventLoop] = []

    async def handle(event: Deposited, connection: AsyncConnection) -> None:
        loops.append(asyncio.get_running_loop())

    async with projecting(store, totals_of(handle)) as read_side:
        await read_side.wait("account totals", await append(store, Deposited("a", 1)))

    assert loops == [asyncio.get_running_loop()]


async def test_what_an_async_handler_raises_parks_as_any_other(store: MemoryStore, url: str) -> None:
    async def handle(event: Deposited, connection: AsyncConnection) -> None:
        await connection.execute(sa.insert(totals).values(account=event.account, amount=1))

    async with projecting(store, totals_of(handle), url=url) as read_side:
        await read_side.catch_up(await append(store, Deposited("a", 1), Deposited("a", 2)))

        [parked] = await read_side.parked()
        assert parked.position == 2
        assert "unique" in parked.problem.lower()
        assert await rows(read_side) == [("a", 1)]


async def test_a_batch_is_handled_at_once(store: MemoryStore) -> None:
    sizes: list[int] = []
    table = sa.Table("sizes", sa.MetaData(), sa.Column("n", sa.Integer))

    def handle(events: Sequence[Deposited], connection: sa.Connection) -> None:
        sizes.append(len(events))

    position = await append(store, *(Deposited("a", n) for n in range(50)))
    async with projecting(store, SqlProjection(handle, "sizes", [table])) as read_side:
        await read_side.wait("sizes", position)
        await read_side.wait("sizes", await append(store, Audited("a")))

    assert sizes == [50]


async def test_slow_handlers_are_given_shorter_transactions(store: MemoryStore, monkeypatch: Any) -> None:
    monkeypatch.setattr("leftfold.query.tables.sql_target.SLOW_SECONDS", 0.0)
    sizes: list[int] = []
    table = sa.Table("sizes", sa.MetaData(), sa.Column("n", sa.Integer))

    def handle(events: Sequence[Deposited], connection: sa.Connection) -> None:
        sizes.append(len(events))

    position = await append(store, *(Deposited("a", n) for n in range(1_000)))
    async with projecting(store, SqlProjection(handle, "sizes", [table])) as read_side:
        await read_side.wait("sizes", position)

    assert sizes[:4] == [500, 250, 125, 62]
    assert sum(sizes) == 1_000


async def test_several_read_sides_on_one_database_handle_each_event_once(url: str) -> None:
    events = [Deposited(f"{n % 7}", n) if n != 13 else Opened("13") for n in range(500)]
    async with (
        MemoryStore() as store,
        projecting(store, totals_of(), url=url) as first,
        projecting(store, totals_of(), url=url) as second,
        projecting(store, totals_of(), url=url) as third,
    ):
        for start in range(0, len(events), 100):
            position = await append(store, *events[start : start + 100])
        found = [await rows(each, after=position, timeout=PATIENCE) for each in (first, second, third)]
        positions = [row[0] for row in await rows(first, ledger)]

    assert found == [expected_totals(events)] * 3
    assert positions == expected_positions(events)


async def test_it_goes_on_where_it_was_when_opened_again(store: MemoryStore, url: str) -> None:
    for n in range(3):
        async with projecting(store, totals_of(), url=url) as read_side:
            position = await append(store, Deposited("a", n + 1))
            assert (await rows(read_side, after=position))[0] == ("a", sum(range(n + 2)))


async def test_the_past_is_shown_by_temporary_tables_that_leave_no_trace(store: MemoryStore, url: str) -> None:
    async with projecting(store, totals_of(), url=url) as read_side:
        position = await append(store, *EVENTS)
        await read_side.wait("account totals", position)
        text = sa.text("SELECT account, amount FROM totals ORDER BY account")

        past = [
            await ask(read_side, lambda models: models.execute(text), as_of=moment) for moment in range(position + 1)
        ]

        assert [len(each) for each in past] == [0, 0, 1, 2, 2, 2, 3]
        assert await rows(read_side) == AFTER


events_of = st.lists(
    st.one_of(
        st.builds(Deposited, st.sampled_from("abc"), st.integers(0, 12)),
        st.builds(Transferred, st.sampled_from("abc"), st.sampled_from("abc"), st.integers(0, 9)),
        st.builds(Opened, st.sampled_from("abc")),
    ),
    max_size=12,
)


@settings(
    max_examples=examples(30),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(events=events_of, cuts=st.lists(st.integers(1, 11)), handler=st.sampled_from(HANDLERS[::2]))
def test_neither_the_size_of_batches_nor_restarts_change_the_tables(
    events: list[Any], cuts: list[int], handler: Callable[..., Any], tmp_path: Path
) -> None:
    path = tmp_path / "law.db"
    for file in tmp_path.iterdir():
        file.unlink()
    definition, log = totals_of(handler), UnstoredLog(MemoryStore(), registry_of())
    stored = asyncio.run(_stored(events))
    for start, end in _pieces(cuts, len(stored)):
        database = ModelsDatabase(f"sqlite:///{path}", [definition], log)  # each piece by another process, as it were
        database.checkpoints()
        projector = database.open()[Shard(definition)]
        projector.step(Batch(stored[start:end], end))
        database.close()

    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        names = sa.inspect(connection).get_table_names()
        found = connection.execute(sa.select(totals).order_by("account")).all() if "totals" in names else []
        positions = connection.execute(sa.select(ledger.c.position)).scalars().all() if "ledger" in names else []
    engine.dispose()
    assert [tuple(row) for row in found] == expected_totals(events)
    assert positions == expected_positions(events)


async def _stored(events: Sequence[Any]) -> list[Any]:
    async with MemoryStore() as store:
        if events:
            await append(store, *events)
        return [event async for batch in _read(store) for event in batch.events]


def _read(store: EventStore) -> AsyncIterator[Batch]:
    return store.read()


def _pieces(cuts: list[int], length: int) -> list[tuple[int, int]]:
    ends = sorted({cut for cut in cuts if cut < length} | {length})
    return [(start, end) for start, end in zip([0, *ends], ends, strict=False) if end > start]

"""An event that a handler cannot handle holds up its projection, and no other; retry and skip let it go on."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import sqlalchemy as sa

from leftfold.errors import ModelsUnavailable, NotParked, ProjectionParked, ReadModelBehind
from leftfold.model.metadata import Metadata
from leftfold.query import ParkedKey, SqlProjection
from leftfold.query.rebuild import rebuild
from leftfold.query.tables.projector import Projector
from leftfold.store import MemoryStore
from tests.patience import PATIENCE
from tests.query.bank import Balance, Deposited, Opened, append, ask, reading, registry_of
from tests.query.places import place, url
from tests.query.sql_bank import add, metadata, projecting, rows, totals_of

__all__ = ["place", "url"]

NAME = "account totals"
lines = sa.Table("lines", sa.MetaData(), sa.Column("amount", sa.Integer))
BAD: set[int] = set()


def write_line(event: Deposited, connection: sa.Connection) -> None:
    if event.amount in BAD:
        raise ValueError(f"{event.amount} is bad")
    connection.execute(sa.insert(lines).values(amount=event.amount))


LINES = SqlProjection(write_line, "lines", [lines])


@pytest.fixture(autouse=True)
def bad() -> set[int]:
    BAD.clear()
    return BAD


@pytest.fixture
async def store() -> AsyncIterator[MemoryStore]:
    async with MemoryStore() as store:
        yield store


async def amounts(read_side: Any, **options: Any) -> list[int]:
    statement = sa.select(lines.c.amount).order_by(lines.c.amount)
    return [row.amount for row in await ask(read_side, lambda models: models.execute(statement), **options)]


async def test_it_stops_before_the_event_and_others_go_on(store: MemoryStore, url: str, bad: set[int]) -> None:
    bad.add(2)
    async with projecting(store, LINES, totals_of(), url=url) as read_side:
        position = await append(store, *(Deposited("a", n) for n in (1, 2, 3, 4)))
        await read_side.catch_up(position)

        assert await read_side.parked() == [ParkedKey("lines", "lines", (), 2, "ValueError: 2 is bad", 3)]
        assert [event.position for event in await read_side.parked_keys("lines").events((), 10)] == [2, 3, 4]
        [status] = [each for each in await read_side.status() if each.name == "lines"]
        assert (status.position, status.lag, status.parked, status.failed) == (1, 3, 1, False)
        assert isinstance(status.problem, ProjectionParked)
        assert await amounts(read_side) == [1]
        assert await rows(read_side, after=position) == [("a", 10)]


async def test_a_task_that_waits_for_more_learns_why_it_does_not_come(store: MemoryStore, bad: set[int]) -> None:
    bad.add(1)
    async with projecting(store, LINES) as read_side:
        position = await append(store, Deposited("a", 1))
        await read_side.catch_up(position)

        with pytest.raises(ReadModelBehind) as caught:
            await amounts(read_side, after=position, timeout=0.05)

    assert isinstance(caught.value.__cause__, ProjectionParked)
    assert "lines is parked at position 1: ValueError: 1 is bad" in str(caught.value.__cause__)


async def test_a_retry_after_the_cause_is_gone_lets_it_catch_up(store: MemoryStore, url: str, bad: set[int]) -> None:
    bad.update((2, 4))
    async with projecting(store, LINES, url=url) as read_side:
        position = await append(store, *(Deposited("a", n) for n in (1, 2, 3, 4, 5)))
        await read_side.catch_up(position)
        assert [each.position for each in await read_side.parked_keys("lines").retry(())] == [2]
        bad.discard(2)
        [stuck] = await read_side.parked_keys("lines").retry(())
        assert (stuck.position, stuck.queued) == (4, 2)
        assert await amounts(read_side) == [1, 2, 3]
        bad.discard(4)
        assert await read_side.parked_keys("lines").retry(()) == []

        assert await amounts(read_side, after=position) == [1, 2, 3, 4, 5]
        assert await amounts(read_side, after=await append(store, Deposited("a", 6))) == [1, 2, 3, 4, 5, 6]


async def test_a_database_that_is_unavailable_when_it_may_go_on_is_waited_out(
    store: MemoryStore, bad: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    away = [ModelsUnavailable("lines", "away"), ModelsUnavailable("lines", "still away")]
    reload = Projector.reload

    def reload_later(projector: Projector) -> None:
        if away:
            raise away.pop()
        reload(projector)

    monkeypatch.setattr(Projector, "reload", reload_later)
    bad.add(2)
    async with projecting(store, LINES) as read_side:
        position = await append(store, *(Deposited("a", n) for n in (1, 2, 3)))
        await read_side.catch_up(position)
        bad.discard(2)
        await read_side.parked_keys("lines").retry(())

        assert await amounts(read_side, after=position, timeout=PATIENCE) == [1, 2, 3]
    assert away == []


async def test_a_skip_is_in_the_log_and_holds_in_rebuilds_and_in_the_past(
    store: MemoryStore, url: str, bad: set[int]
) -> None:
    bad.add(2)
    registry = registry_of()
    async with projecting(store, LINES, url=url, registry=registry) as read_side:
        position = await append(store, *(Deposited("a", n) for n in (1, 2, 3)))
        await read_side.catch_up(position)
        assert await read_side.parked_keys("lines").skip((), Metadata(actor="ann", reason="typing error")) == []

        assert await amounts(read_side, after=position) == [1, 3]
        assert await amounts(read_side, as_of=position) == [1, 3]
    [skipped] = [event async for batch in store.read(after=position) for event in batch.events]
    assert skipped.type == "leftfold.event_skipped"
    assert registry.decode(skipped).position == 2
    assert registry.decode(skipped).key == []
    assert b'"reason":"typing error"' in skipped.metadata
    assert (await rebuild(LINES, store, registry, url)).differences.none


async def test_what_is_not_parked_cannot_be_retried_or_skipped(store: MemoryStore) -> None:
    async with projecting(store, LINES) as read_side:
        for acting in (
            read_side.parked_keys("lines").retry(()),
            read_side.parked_keys("lines").retry(("a",)),
            read_side.parked_keys("lines").skip((), Metadata()),
        ):
            with pytest.raises(NotParked):
                await acting


async def test_it_is_still_parked_when_opened_again(store: MemoryStore, url: str, bad: set[int]) -> None:
    bad.add(1)
    async with projecting(store, LINES, url=url) as read_side:
        await read_side.catch_up(await append(store, Deposited("a", 1)))
    bad.clear()

    async with projecting(store, LINES, url=url) as read_side:
        await read_side.catch_up(await append(store, Deposited("a", 2)))

        assert [each.position for each in await read_side.parked()] == [1]
        assert await amounts(read_side) == []


async def test_another_process_releases_it_and_it_goes_on(store: MemoryStore, url: str, bad: set[int]) -> None:
    bad.add(1)
    async with projecting(store, LINES, url=url) as folding:
        position = await append(store, Deposited("a", 1), Deposited("a", 2))
        await folding.catch_up(position)
        async with projecting(store, LINES, url=url, folds=()) as other:
            bad.clear()
            assert await other.parked_keys("lines").retry(()) == []

        assert await amounts(folding, after=position) == [1, 2]
        assert await amounts(folding, after=await append(store, Deposited("a", 3))) == [1, 2, 3]


async def test_an_event_that_cannot_be_read_holds_it_up(store: MemoryStore) -> None:
    async with projecting(store, LINES) as read_side:
        [record] = [registry_of().encode(Deposited("a", 1), b"{}")]
        await store.append([type(record)(record.type, b'{"account": 7}', record.tags)])
        await read_side.catch_up(1)

        [parked] = await read_side.parked()
        assert parked.problem.startswith("deposited v1 at position 1 cannot be read: ")


async def test_the_past_beyond_an_event_that_cannot_be_handled_is_refused(store: MemoryStore, bad: set[int]) -> None:
    bad.add(2)
    async with projecting(store, LINES) as read_side:
        await read_side.catch_up(await append(store, Deposited("a", 1), Deposited("a", 2), Deposited("a", 3)))

        assert await amounts(read_side, as_of=1) == [1]
        with pytest.raises(ProjectionParked):
            await amounts(read_side, as_of=3)


async def test_read_models_beside_it_are_not_held_up(store: MemoryStore, url: str, bad: set[int]) -> None:
    bad.add(1)
    async with projecting(store, LINES, url=url) as sql, reading(store, Balance, url=url) as keyed:
        position = await append(store, Opened("a"), Deposited("a", 1))
        await sql.catch_up(position)

        balance = await ask(keyed, lambda models: models.get(Balance, "a"), after=position)

    assert balance.amount == 1


async def test_a_corrected_handler_of_the_next_version_is_rebuilt_and_goes_on(store: MemoryStore, url: str) -> None:
    async with projecting(store, totals_of(), url=url) as read_side:
        await read_side.catch_up(await append(store, Deposited("a", 1), Deposited("a", 13), Deposited("a", 2)))
        assert len(await read_side.parked()) == 1

    def corrected(event: Deposited, connection: sa.Connection) -> None:
        amount = 0 if event.amount == 13 else event.amount
        connection.execute(add(event.account, amount))

    async with projecting(store, SqlProjection(corrected, NAME, metadata, version=2), url=url) as read_side:
        assert await rows(read_side, after=3) == [("a", 3)]
        assert await read_side.parked() == []

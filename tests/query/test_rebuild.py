"""Rebuilding read models: beside the present table, compared, swapped in one transaction."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Self

import pytest
import sqlalchemy as sa
from msgspec.structs import astuple

from leftfold import replace
from leftfold.errors import NotKept, ReadModelBehind, ReadModelChanged, ReadModelsChanged
from leftfold.query import ReadModel, ReadModelDefinition, ReadSide
from leftfold.query.rebuild import drop_old, rebuild
from leftfold.query.tables.own_tables import checkpoint
from leftfold.store import EventStore, MemoryStore, open_store
from tests.query.bank import AccountId, Deposited, append, ask, reading, registry_of
from tests.query.places import outside, place, url

__all__ = ["place", "url"]


@pytest.fixture
async def store() -> AsyncIterator[MemoryStore]:
    async with MemoryStore() as store:
        yield store


def total(factor: int, *, wider: bool = False) -> type[ReadModel]:
    """Versions of one model: they differ in what they add up, the wider one in its columns too."""
    if wider:

        class Total(ReadModel):
            account: AccountId
            amount: int = 0
            deposits: int = 0

            def evolve(self, event: Deposited) -> Self:
                return replace(self, amount=self.amount + factor * event.amount, deposits=self.deposits + 1)

        return Total

    class Total(ReadModel):  # type: ignore[no-redef]
        account: AccountId
        amount: int = 0

        def evolve(self, event: Deposited) -> Self | None:
            return replace(self, amount=self.amount + factor * event.amount) if event.amount else None

    return Total


def count(step: int) -> type[ReadModel]:
    class Count(ReadModel):
        account: AccountId
        times: int = 0

        def evolve(self, event: Deposited) -> Self:
            return replace(self, times=self.times + step)

    return Count


class Steady(ReadModel):
    account: AccountId

    def evolve(self, event: Deposited) -> Self:
        return self


FIRST, DOUBLE, WIDER = total(1), total(2), total(1, wider=True)
COUNT, OTHER_COUNT, STEADY = count(1), count(2), Steady


async def rows(read_side: ReadSide, model: type[ReadModel], **options: Any) -> list[tuple[Any, ...]]:
    return [
        astuple(row) for row in await ask(read_side, lambda models: models.select(model, order_by="account"), **options)
    ]


async def keep(store: EventStore, url: str, model: type[ReadModel], *amounts: int, **options: Any) -> int:
    """Fold deposits into the first version's table."""
    async with reading(store, model, url=url, **options) as read_side:
        position = await append(store, *(Deposited(f"a{n}", amount) for n, amount in enumerate(amounts)))
        await read_side.wait(model, position)
    return position


def tables_in(url: str) -> list[str]:
    with outside(url) as connection:
        names = sorted(sa.inspect(connection).get_table_names())
    return [name for name in names if name.startswith("total")]


async def test_changed_code_without_another_version_is_refused(store: MemoryStore, url: str) -> None:
    await keep(store, url, FIRST, 1, 2)

    with pytest.raises(ReadModelChanged) as caught:
        async with reading(store, DOUBLE, url=url):
            pass

    assert (caught.value.model, caught.value.stored, caught.value.version) == ("Total", 1, 1)
    assert "write @app.read_model(version=2), or run `leftfold rebuild" in caught.value.remedy
    assert await keep(store, url, FIRST, 3) == 3


async def test_history_that_is_given_up_is_changed_code_too(store: MemoryStore, url: str) -> None:
    await keep(store, url, FIRST, 1, history=True)

    with pytest.raises(ReadModelChanged):
        async with reading(store, FIRST, url=url):
            pass


async def test_one_error_names_every_model_that_has_changed(store: MemoryStore, url: str) -> None:
    await keep(store, url, FIRST, 1)
    async with reading(store, COUNT, STEADY, url=url):
        pass

    with pytest.raises(ReadModelsChanged) as folding:
        async with reading(store, DOUBLE, OTHER_COUNT, STEADY, url=url):
            pass
    with pytest.raises(ReadModelsChanged) as following:
        async with reading(store, DOUBLE, OTHER_COUNT, STEADY, url=url, folds=()):
            pass

    assert [each.model for each in folding.value.changed] == ["Total", "Count"]
    assert folding.value.model == "Total"
    assert "Total is version 1" in folding.value.found
    assert "Count is version 1" in folding.value.found
    assert [each.model for each in following.value.changed] == ["Total", "Count"]


@pytest.mark.parametrize("history", [False, True])
async def test_while_developing_changed_code_is_rebuilt(store: MemoryStore, url: str, history: bool) -> None:
    await keep(store, url, FIRST, 1, 2, history=history)
    position = await append(store, Deposited("a0", 3))

    async with reading(store, DOUBLE, url=url, history=history, on_change="rebuild") as read_side:
        assert await rows(read_side, DOUBLE, after=position) == [("a0", 8), ("a1", 4)]
        assert await rows(read_side, DOUBLE, as_of=1) == [("a0", 2)]
    async with reading(store, DOUBLE, url=url, history=history) as read_side:
        assert await rows(read_side, DOUBLE, after=position) == [("a0", 8), ("a1", 4)]


async def test_while_developing_a_lower_version_is_rebuilt_too(store: MemoryStore, url: str) -> None:
    await keep(store, url, FIRST, 1, version=2)
    position = await append(store, Deposited("a0", 3))

    async with reading(store, DOUBLE, url=url, on_change="rebuild") as read_side:
        assert await rows(read_side, DOUBLE, after=position) == [("a0", 8)]


async def test_who_follows_while_developing_waits_for_the_rebuild(store: MemoryStore, url: str) -> None:
    await keep(store, url, FIRST, 1, 2)
    position = await append(store, Deposited("a0", 3))

    async with reading(store, DOUBLE, url=url, folds=(), on_change="rebuild") as following:
        assert await rows(following, DOUBLE) == [("a0", 1), ("a1", 2)]
        async with reading(store, DOUBLE, url=url, on_change="rebuild"):
            assert await rows(following, DOUBLE, after=position) == [("a0", 8), ("a1", 4)]


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("stored", ["0123456789abcdef0123456789abcdef", "without its source"])
async def test_tables_whose_fingerprint_tells_nothing_are_taken_over_once(
    store: MemoryStore, url: str, shards: int, stored: str, caplog: pytest.LogCaptureFixture
) -> None:
    await keep(store, url, FIRST, 1, 2, shards=shards)
    code = str(ReadModelDefinition(FIRST).fingerprint())
    with outside(url) as connection:
        unknown = stored if len(stored) == 32 else str(ReadModelDefinition(FIRST).fingerprint()._replace(code=""))
        connection.execute(sa.update(checkpoint).values(fingerprint=unknown))
        connection.execute(sa.text("UPDATE total SET amount = 7 WHERE account = 'a1'"))
        connection.commit()

    for _ in range(2):
        async with reading(store, FIRST, url=url, shards=shards) as read_side:
            assert await rows(read_side, FIRST) == [("a0", 1), ("a1", 7)]
    with outside(url) as connection:
        assert set(connection.execute(sa.select(checkpoint.c.fingerprint)).scalars()) == {code}
    assert [record.name for record in caplog.records if "assumed to be" in record.getMessage()] == ["leftfold.models"]


async def test_tables_of_an_old_fingerprint_that_lack_a_column_are_of_other_code(store: MemoryStore, url: str) -> None:
    await keep(store, url, FIRST, 1)
    with outside(url) as connection:
        connection.execute(sa.update(checkpoint).values(fingerprint="0" * 32))
        connection.commit()

    with pytest.raises(ReadModelChanged):
        async with reading(store, WIDER, url=url):
            pass


async def test_an_older_version_does_not_undo_a_newer_one(store: MemoryStore, url: str) -> None:
    await keep(store, url, FIRST, 1, version=2)

    with pytest.raises(ReadModelChanged, match=r"Total is version 1 in the code, but its table was built .* version 2"):
        async with reading(store, FIRST, url=url):
            pass


@pytest.mark.parametrize("history", [False, True])
async def test_a_higher_version_is_rebuilt_as_the_app_is_opened(store: MemoryStore, url: str, history: bool) -> None:
    await keep(store, url, FIRST, 1, 2, history=history)
    position = await append(store, Deposited("a0", 3))

    async with reading(store, DOUBLE, url=url, version=2, history=history) as read_side:
        assert await rows(read_side, DOUBLE, after=position) == [("a0", 8), ("a1", 4)]
        await read_side.wait(DOUBLE, await append(store, Deposited("a1", 1)))
        assert await rows(read_side, DOUBLE) == [("a0", 8), ("a1", 6)]
        assert await rows(read_side, DOUBLE, as_of=1) == [("a0", 2)]
    await keep(store, url, DOUBLE, 5, version=2, history=history)

    assert "total__old" in tables_in(url)


def whole(step: int) -> type[ReadModel]:
    class Whole(ReadModel):
        amount: int = 0

        def evolve(self, event: Deposited) -> Self:
            return replace(self, amount=self.amount + step * event.amount)

    return Whole


@pytest.mark.parametrize("history", [False, True])
async def test_a_model_without_a_key_is_rebuilt_and_its_one_row_is_compared(
    store: MemoryStore, url: str, history: bool
) -> None:
    first, second = whole(1), whole(2)
    await keep(store, url, first, 1, 2, history=history)

    changed = ReadModelDefinition(second, history=history)
    found = await rebuild(changed, store, registry_of(), url, dry_run=True)
    assert (found.differences.added, found.differences.removed, found.differences.changed) == (0, 0, 1)
    assert found.differences.changed_samples == (({"amount": 3}, {"amount": 6}),)

    async with reading(store, second, url=url, version=2, history=history) as read_side:
        position = await append(store, Deposited("a", 1))
        found_rows = await ask(read_side, lambda models: models.select(second), after=position)
    assert [astuple(row) for row in found_rows] == [(8,)]


async def test_a_version_of_the_same_code_is_rebuilt_too(store: MemoryStore, url: str) -> None:
    await keep(store, url, FIRST, 1)

    async with reading(store, FIRST, url=url, version=2) as read_side:
        await read_side.wait(FIRST, await append(store, Deposited("a0", 1)))
        assert await rows(read_side, FIRST) == [("a0", 2)]


async def test_queries_are_answered_from_the_present_table_until_the_swap(store: MemoryStore, url: str) -> None:
    position = await keep(store, url, FIRST, *range(1, 2_000))
    seen: list[int] = []

    async with reading(store, DOUBLE, url=url, version=2) as read_side:
        while not seen or seen[-1] == 1_999_000:
            seen.append(sum(row[1] for row in await rows(read_side, DOUBLE, after=position)))

    assert set(seen) == {1_999_000, 3_998_000}
    assert seen == sorted(seen)


async def test_queries_of_other_columns_wait_for_the_swap(store: MemoryStore, url: str) -> None:
    await keep(store, url, FIRST, 1, 2)

    async with reading(store, WIDER, url=url, version=2) as read_side:
        [status] = await read_side.status()
        assert (status.position, status.lag) == (0, 2)
        with pytest.raises(ReadModelBehind):
            await rows(read_side, WIDER, timeout=0)

        assert await rows(read_side, WIDER) == [("a0", 1, 1), ("a1", 2, 1)]


async def test_a_dry_run_tells_the_differences_and_keeps_nothing(store: MemoryStore, url: str) -> None:
    position = await keep(store, url, FIRST, 1, 2, 3)
    await append(store, Deposited("a9", 1))
    changed = ReadModelDefinition(DOUBLE)
    before = tables_in(url)

    found = await rebuild(changed, store, registry_of(), url, dry_run=True)

    assert (found.model, found.position, found.swapped) == ("Total", position, False)
    assert (found.differences.added, found.differences.removed, found.differences.changed) == (0, 0, 3)
    assert found.differences.changed_samples[0] == ({"account": "a0", "amount": 1}, {"account": "a0", "amount": 2})
    assert tables_in(url) == before == ["total"]
    await keep(store, url, FIRST, 1)


async def test_rows_that_came_and_went_are_told_apart(store: MemoryStore, url: str) -> None:
    await keep(store, url, FIRST, 1, 2)
    with outside(url) as connection:
        connection.exec_driver_sql("DELETE FROM total WHERE account = 'a0'")
        connection.exec_driver_sql("INSERT INTO total VALUES ('zz', 7)")

    found = (await rebuild(ReadModelDefinition(FIRST), store, registry_of(), url)).differences

    assert (found.added, found.removed, found.changed) == (1, 1, 0)
    assert found.added_samples == ({"account": "a0", "amount": 1},)
    assert found.removed_samples == ({"account": "zz", "amount": 7},)
    assert not found.none
    assert (await rebuild(ReadModelDefinition(FIRST), store, registry_of(), url)).differences.none


async def test_a_rebuild_keeps_up_while_an_app_goes_on(tmp_path: Path, url: str) -> None:
    async with open_store(f"sqlite:///{tmp_path}/bank.db") as store, reading(store, FIRST, url=url) as read_side:
        await append(store, *(Deposited(f"a{n % 50}", 1) for n in range(5_000)))
        await read_side.wait(FIRST, 5_000)
        rebuilding = asyncio.create_task(rebuild(ReadModelDefinition(FIRST), store, registry_of(), url))
        position = 5_000
        while not rebuilding.done():
            position = await append(store, Deposited("a1", 1))
            assert len(await rows(read_side, FIRST)) == 50
        found = await rebuilding

        position = await append(store, Deposited("a1", 1))
        await read_side.wait(FIRST, position)
        assert found.swapped
        assert found.differences.none
        assert sum(row[1] for row in await rows(read_side, FIRST)) == position


async def test_an_interrupted_rebuild_goes_on_from_where_it_was(store: MemoryStore, url: str) -> None:
    await keep(store, url, FIRST, *range(1, 5_000))
    told: list[int] = []

    def interrupt(progress: Any) -> None:
        told.append(progress.position)
        raise KeyError("interrupted")

    with pytest.raises(KeyError):
        await rebuild(ReadModelDefinition(DOUBLE, version=2), store, registry_of(), url, on_progress=interrupt)
    assert len(tables_in(url)) == 2
    await rebuild(
        ReadModelDefinition(DOUBLE, version=2),
        store,
        registry_of(),
        url,
        on_progress=lambda at: told.append(at.position),
    )

    assert told == sorted(set(told))
    async with reading(store, DOUBLE, url=url, version=2) as read_side:
        assert sum(row[1] for row in await rows(read_side, DOUBLE)) == 2 * sum(range(1, 5_000))


async def test_the_old_table_is_kept_until_it_is_dropped(store: MemoryStore, url: str) -> None:
    await keep(store, url, FIRST, 1, history=True)
    definition = ReadModelDefinition(FIRST, history=True)
    await rebuild(definition, store, registry_of(), url)
    await rebuild(definition, store, registry_of(), url)
    assert tables_in(url) == ["total", "total__old", "total__old_history", "total_history"]

    assert drop_old(definition, url)

    assert tables_in(url) == ["total", "total_history"]
    assert not drop_old(definition, url)


async def test_what_is_not_kept_cannot_be_rebuilt(store: MemoryStore, url: str) -> None:
    with pytest.raises(NotKept, match="Total has no table that was built from this log"):
        await rebuild(ReadModelDefinition(FIRST), store, registry_of(), url)


async def test_a_table_of_before_versions_is_of_version_one(store: MemoryStore, url: str) -> None:
    await keep(store, url, FIRST, 1)
    with outside(url) as connection:
        connection.exec_driver_sql("ALTER TABLE leftfold_checkpoint DROP COLUMN version")

    assert await keep(store, url, FIRST, 2) == 2


def strict(bad: int) -> type[ReadModel]:
    """Versions of one model that refuse different amounts."""

    class Strict(ReadModel):
        account: AccountId
        amount: int = 0

        def evolve(self, event: Deposited) -> Self:
            if event.amount == bad:
                raise ValueError(f"{bad} is bad luck")
            return replace(self, amount=self.amount + event.amount)

    return Strict


async def test_a_rebuild_parks_by_its_own_code(store: MemoryStore, url: str) -> None:
    first, fixed, stricter = strict(13), strict(0), strict(7)
    await keep(store, url, first, 13, 7)
    async with reading(store, first, url=url) as read_side:
        assert [parked.key for parked in await read_side.parked()] == [("a0",)]

    async with reading(store, fixed, url=url, version=2) as read_side:
        await read_side.wait(fixed, await append(store, Deposited("a0", 1)))
        assert await rows(read_side, fixed) == [("a0", 14), ("a1", 7)]
        assert await read_side.parked() == []

    async with reading(store, stricter, url=url, version=3) as read_side:
        await read_side.wait(stricter, await append(store, Deposited("a1", 1)))
        assert await rows(read_side, stricter) == [("a0", 14)]
        [parked] = await read_side.parked()
        assert (parked.table, parked.key, parked.position, parked.queued) == ("strict", ("a1",), 2, 2)


async def test_two_processes_that_rebuild_the_same_version_swap_once(tmp_path: Path, url: str) -> None:
    log = f"sqlite:///{tmp_path}/bank.db"
    async with open_store(log) as one, open_store(log) as other:
        position = await keep(one, url, FIRST, *range(1, 3_000))
        async with (
            reading(one, DOUBLE, url=url, version=2) as first,
            reading(other, DOUBLE, url=url, version=2) as second,
        ):
            position = await append(one, Deposited("a0", 1))
            await asyncio.gather(first.wait(DOUBLE, position), second.wait(DOUBLE, position))

            assert sum(row[1] for row in await rows(first, DOUBLE)) == 2 * (sum(range(1, 3_000)) + 1)
            assert [status.problem for status in (*await first.status(), *await second.status())] == [None, None]
    assert tables_in(url) == ["total", "total__old"]

"""Events that a read model cannot fold: they hold up their key, in order, and nothing else."""

import random
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any, Self

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from leftfold import App, Command, DecisionModel, Metadata, recording, replace
from leftfold.errors import NotParked, UnknownName
from leftfold.model.message import Event
from leftfold.model.metadata import decode_metadata
from leftfold.query import ParkedKey, ReadModel, ReadSide
from leftfold.store import Batch, MemoryStore, NewEvent, SQLiteStore, open_store
from tests.patience import examples
from tests.query.bank import AccountId, Balance, Deposited, Opened, Transferred, append, ask, reading, sorted_rows
from tests.query.places import place, url
from tests.query.test_folding import Kept, stored

__all__ = ["place", "url"]

BAD = {13}
"""The amounts that cannot be folded. What a set comes to hold is no part of a fingerprint: emptying it is a fix."""
PROBLEM = "ValueError: 13 is bad luck"


@pytest.fixture(autouse=True)
def thirteen_is_bad() -> None:
    BAD.add(13)


class Strict(ReadModel):
    """The amounts of an account, in order."""

    account: AccountId
    amounts: list[int] = []  # noqa: RUF012 - msgspec copies it

    def evolve(self, event: Deposited | Transferred) -> Self:
        if event.amount in BAD:
            raise ValueError(f"{event.amount} is bad luck")
        return replace(self, amounts=[*self.amounts, event.amount])


@pytest.fixture
async def store() -> AsyncIterator[MemoryStore]:
    async with MemoryStore() as store:
        yield store


async def rows(read_side: ReadSide, **options: Any) -> dict[str, list[int]]:
    found = await ask(read_side, lambda models: models.select(Strict), **options)
    return {row.account: row.amounts for row in found}


async def test_a_key_is_parked_with_its_queue_and_a_thousand_others_flow(store: MemoryStore) -> None:
    names = [f"{n}" for n in range(1_000)]
    async with reading(store, Strict) as read_side:
        await append(store, *(Deposited(name, 1) for name in names))
        poison = await append(store, Deposited("7", 13))
        head = await append(store, *(Deposited(name, 2) for name in names), Deposited("7", 3))
        await read_side.wait(Strict, head)

        assert await rows(read_side) == {name: [1, 2] for name in names} | {"7": [1]}
        assert await read_side.parked() == [ParkedKey("Strict", "strict", ("7",), poison, PROBLEM, 3)]
        assert [(status.parked, status.lag, status.failed) for status in await read_side.status()] == [(1, 0, False)]

        BAD.clear()
        assert await read_side.parked_keys(Strict).retry(("7",)) == []

        assert await rows(read_side) == {name: [1, 2] for name in names} | {"7": [1, 13, 2, 3]}
        assert await read_side.parked() == []


async def test_after_a_retry_the_key_goes_on_live(store: MemoryStore) -> None:
    async with reading(store, Strict) as read_side:
        await read_side.wait(Strict, await append(store, Deposited("a", 13), Deposited("a", 1)))
        BAD.clear()
        await read_side.parked_keys(Strict).retry(("a",))

        await read_side.wait(Strict, await append(store, Deposited("a", 2), Deposited("a", 3)))

        assert await rows(read_side) == {"a": [13, 1, 2, 3]}


async def test_a_retry_in_another_process_is_seen_by_the_one_that_folds(tmp_path: Path, url: str) -> None:
    log = f"sqlite:///{tmp_path}/bank.db"
    async with open_store(log) as one, open_store(log) as other, reading(one, Strict, url=url) as folding:
        await folding.wait(Strict, await append(one, Deposited("a", 1), Deposited("a", 13)))
        BAD.clear()
        async with reading(other, Strict, url=url) as retrying:
            await retrying.parked_keys(Strict).retry(("a",))

        await folding.wait(Strict, await append(one, Deposited("a", 2)))

        assert await rows(folding) == {"a": [1, 13, 2]}


async def test_a_retry_that_fails_again_tells_where_and_keeps_the_rest(store: MemoryStore) -> None:
    async with reading(store, Strict) as read_side:
        amounts = [1, 13, 2, 14, 3]
        BAD.add(14)
        await read_side.wait(Strict, await append(store, *(Deposited("a", n) for n in amounts)))
        BAD.remove(13)

        stuck = ParkedKey("Strict", "strict", ("a",), 4, "ValueError: 14 is bad luck", 2)
        assert await read_side.parked_keys(Strict).retry(("a",)) == [stuck]
        assert await read_side.parked_keys(Strict).retry(("a",)) == [stuck]

        assert await read_side.parked() == [stuck]
        assert await rows(read_side) == {"a": [1, 13, 2]}
        BAD.clear()


async def test_a_retry_without_a_key_is_one_of_every_parked_key(store: MemoryStore) -> None:
    async with reading(store, Strict) as read_side:
        BAD.add(14)
        await append(store, Deposited("a", 13), Deposited("b", 14), Transferred("c", "d", 13))
        await read_side.wait(Strict, 3)
        assert len(await read_side.parked()) == 4
        BAD.remove(13)

        assert [stuck.key for stuck in await read_side.parked_keys(Strict).retry(())] == [("b",)]

        assert await rows(read_side) == {"a": [13], "c": [13], "d": [13]}
        BAD.clear()


async def test_a_queue_longer_than_one_retry_takes_at_once_is_folded_to_its_end(store: MemoryStore) -> None:
    async with reading(store, Strict) as read_side:
        await append(store, Deposited("a", 13), *[Deposited("a", 1)] * 1_200)
        await read_side.wait(Strict, 1_201)
        BAD.clear()

        assert await read_side.parked_keys(Strict).retry(("a",)) == []

        assert await rows(read_side) == {"a": [13] + [1] * 1_200}


async def test_history_after_a_retry_is_as_if_nothing_had_been_parked(store: MemoryStore) -> None:
    async with reading(store, Strict, history=True) as read_side:
        await append(store, Deposited("a", 1), Deposited("a", 13), Deposited("b", 2), Deposited("a", 3))
        await read_side.wait(Strict, 4)
        assert await rows(read_side, as_of=3) == {"a": [1], "b": [2]}
        BAD.clear()
        await read_side.parked_keys(Strict).retry(("a",))

        assert await rows(read_side, as_of=2) == {"a": [1, 13]}
        assert await rows(read_side, as_of=4) == {"a": [1, 13, 3], "b": [2]}


async def test_the_past_of_a_parked_key_is_its_row_before_the_event(store: MemoryStore) -> None:
    async with reading(store, Strict) as read_side:
        await append(store, Deposited("a", 1), Deposited("a", 13), Deposited("b", 2), Deposited("a", 3))

        assert await rows(read_side, as_of=4) == {"a": [1], "b": [2]}
        assert await ask(read_side, lambda models: models.get(Strict, "a"), as_of=4) == Strict("a", [1])


async def test_an_event_in_a_long_log_that_cannot_be_decoded_parks_the_keys_of_its_tags(tmp_path: Path) -> None:
    amounts = {f"{n}": [1, 2] for n in range(200)}
    async with SQLiteStore(tmp_path / "log.db") as store:
        await append(store, *(Deposited(name, 1) for name in amounts))
        bad = (await store.append([NewEvent("deposited", b"{}", ("account:7",))])).last
        head = await append(store, *(Deposited(name, 2) for name in amounts))
        async with reading(store, Strict) as read_side:
            await read_side.wait(Strict, head)

            assert await rows(read_side) == amounts | {"7": [1]}
            assert [(each.key, each.position, each.queued) for each in await read_side.parked()] == [(("7",), bad, 2)]


async def test_an_event_that_cannot_be_decoded_parks_the_keys_of_its_tags(store: MemoryStore) -> None:
    async with reading(store, Strict) as read_side:
        await store.append([NewEvent("deposited", b'{"account": "a", "amount": "many"}', ("account:a",))])
        await read_side.wait(Strict, await append(store, Deposited("a", 1), Deposited("b", 2)))

        [parked] = await read_side.parked()

        assert (parked.key, parked.position, parked.queued) == (("a",), 1, 2)
        assert parked.problem.startswith("deposited v1 at position 1 cannot be read: Expected `int`")
        assert await rows(read_side) == {"b": [2]}


async def test_such_an_event_parks_its_keys_where_projections_read_the_data_of_events_alone(tmp_path: Path) -> None:
    async with SQLiteStore(tmp_path / "log.db") as store, reading(store, Strict) as read_side:
        await append(store, Deposited("a", 1), Deposited("b", 1))
        await store.append([NewEvent("deposited", b'{"account": "a", "amount": "many"}', ("account:a",))])
        await read_side.wait(Strict, await append(store, Deposited("a", 2), Deposited("b", 2)))

        [parked] = await read_side.parked()

        assert (parked.key, parked.position, parked.queued) == (("a",), 3, 2)
        assert await rows(read_side) == {"a": [1], "b": [1, 2]}
        assert await rows(read_side, as_of=5) == {"a": [1], "b": [1, 2]}
        assert await ask(read_side, lambda models: models.get(Strict, "a"), as_of=5) == Strict("a", [1])


async def test_what_waits_can_be_shown(store: MemoryStore) -> None:
    async with reading(store, Strict) as read_side:
        await append(store, Deposited("a", 13), Deposited("b", 1), Deposited("a", 2), Deposited("a", 3))
        await read_side.wait(Strict, 4)

        shown = await read_side.parked_keys(Strict).events(("a",), 2)

        assert [event.position for event in shown] == [1, 3]


async def test_a_key_that_is_not_parked_cannot_be_retried_or_skipped(store: MemoryStore) -> None:
    async with reading(store, Strict, Balance) as read_side:
        await read_side.wait(Strict, await append(store, Deposited("a", 13), Deposited("b", 1)))

        with pytest.raises(NotParked, match="projection Strict has nothing parked under the key 'b'") as refused:
            await read_side.parked_keys(Strict).retry(("b",))
        assert refused.value.parked == 1
        with pytest.raises(NotParked, match="projection Balance has nothing parked"):
            await read_side.parked_keys(Balance).skip(("b",), Metadata())
        assert await store.head() == 2


async def test_a_skip_is_recorded_in_the_log_and_lets_the_key_go_on(store: MemoryStore) -> None:
    async with reading(store, Strict) as read_side:
        await read_side.wait(Strict, await append(store, Deposited("a", 1), Deposited("a", 13), Deposited("a", 2)))

        said = Metadata(actor="ann", reason="a typing error")
        assert await read_side.parked_keys(Strict).skip(("a",), said) == []

        assert await rows(read_side) == {"a": [1, 2]}
        [skip] = (await anext(store.read(after=3))).events
        assert (skip.type, skip.tags) == ("leftfold.event_skipped", ("leftfold.read_model:strict",))
        assert skip.data == b'{"table":"strict","key":["a"],"position":2,"problem":"ValueError: 13 is bad luck"}'
        assert decode_metadata(skip.metadata) == Metadata(actor="ann", reason="a typing error", cause=2)


async def test_a_skip_holds_in_every_rebuild_and_in_the_past(store: MemoryStore) -> None:
    async with reading(store, Strict) as read_side:
        await read_side.wait(Strict, await append(store, Deposited("a", 1), Deposited("a", 13), Deposited("a", 2)))
        await read_side.parked_keys(Strict).skip(("a",), Metadata(reason="wrong"))

    async with reading(store, Strict) as rebuilt:
        await rebuilt.wait(Strict, 4)

        assert await rebuilt.parked() == []
        assert await rows(rebuilt) == await rows(rebuilt, as_of=4) == {"a": [1, 2]}
        assert await ask(rebuilt, lambda models: models.get(Strict, "a"), as_of=4) == Strict("a", [1, 2])


async def test_a_skip_whose_process_died_before_the_key_went_on_is_done_by_a_retry(tmp_path: Path, url: str) -> None:
    log = f"sqlite:///{tmp_path}/bank.db"
    async with open_store(log) as store, reading(store, Strict, url=url) as read_side:
        await read_side.wait(Strict, await append(store, Deposited("a", 13), Deposited("a", 2)))
        await store.append(
            [NewEvent("leftfold.event_skipped", b'{"table":"strict","key":["a"],"position":1,"problem":""}')]
        )

        assert await read_side.parked_keys(Strict).retry(("a",)) == []

        assert await rows(read_side) == {"a": [2]}


def plainly(events: Iterable[Any]) -> dict[str, list[int]]:
    """What is in the rows when each key stops at its first bad event."""
    found: dict[str, list[int]] = {}
    stuck = set[str]()
    for event in events:
        for account in [event.account] if isinstance(event, Deposited) else {event.source, event.target}:
            if event.amount == 13:
                stuck.add(account)
            if account not in stuck:
                found.setdefault(account, []).append(event.amount)
    return found


deposits = st.builds(Deposited, st.sampled_from("abc"), st.sampled_from([1, 2, 13]))
transfers = st.builds(Transferred, st.sampled_from("abc"), st.sampled_from("abc"), st.sampled_from([1, 2, 13]))


@settings(deadline=None, max_examples=examples(60))
@given(st.lists(deposits | transfers, max_size=30), st.sets(st.integers(1, 30)), st.randoms())
def test_any_batches_park_the_same_events_and_retries_in_any_order_give_the_plain_fold(
    events: list[Event], ends: set[int], randomness: random.Random
) -> None:
    BAD.add(13)
    kept, log, after = Kept(Strict), stored(events), 0
    projector = kept.projector()
    for end in [*sorted(end for end in ends if end < len(log)), len(log)]:
        projector.step(Batch(log[after:end], end))
        after = end
    assert {row.account: row.amounts for row in kept.rows()} == plainly(events)

    BAD.clear()
    parked = kept.parked()
    randomness.shuffle(parked)
    for each in parked:
        projector.release(each.key, [log[position - 1] for position in kept.queue(each.key)])

    whole = Kept(Strict)
    whole.projector().step(Batch(log, len(log)))
    assert kept.rows() == sorted_rows(whole.rows())
    assert kept.parked() == []


# --- through the app


class Account(DecisionModel):
    account: AccountId
    balance: int = 0

    def evolve(self, event: Deposited) -> Self:
        return replace(self, balance=self.balance + event.amount)


class Deposit(Command):
    account: AccountId
    amount: int


def bank() -> App:
    app = App("bank")

    @app.handles
    def deposit(command: Deposit, account: Account) -> Deposited:
        return Deposited(command.account, command.amount)

    app.read_model(Strict)
    return app


async def test_the_live_app_lists_shows_retries_and_skips() -> None:
    async with bank().open("memory:") as live:
        for amount in (13, 1, 13):
            await live.execute(Deposit("a", amount))
        await live.execute(Deposit("b", 13))
        await live.run_until_quiet()
        assert [(each.key, each.queued) for each in await live.parked()] == [(("a",), 3), (("b",), 1)]
        assert [event.position for event in await live.parked_events(Strict, "a")] == [1, 2, 3]

        with recording(actor="ann"):
            [next_one] = await live.skip(Strict, "a", reason="a test")
        assert next_one.position == 3
        BAD.clear()
        assert await live.retry(Strict) == []

        assert await live.parked() == []
        skip = await anext(live.store.read(after=4))
        assert decode_metadata(skip.events[0].metadata) == Metadata(actor="ann", reason="a test", cause=1)
        with pytest.raises(UnknownName):
            await live.retry(Balance, "a")


def test_the_sync_facade_has_the_same_verbs() -> None:
    with bank().open_sync("memory:") as live:
        live.execute(Deposit("a", 13))
        live.run_until_quiet()

        assert [each.key for each in live.parked()] == [("a",)]
        assert [event.position for event in live.parked_events(Strict, "a")] == [1]
        assert [each.key for each in live.retry(Strict, "a")] == [("a",)]
        assert live.skip(Strict, "a", reason="a test") == []


def test_the_tables_of_a_parked_key_can_be_read_by_people(url: str) -> None:
    kept = Kept(Strict, url=url)
    kept.projector().step(Batch(stored([Opened("a"), Deposited("a", 13)]), 2))

    with kept.database.reading() as connection:
        row = connection.execute(sa.text("SELECT model, key, position, problem FROM leftfold_parked")).one()
    assert tuple(row) == ("strict", '["a"]', 2, PROBLEM)

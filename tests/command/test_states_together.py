"""States that are brought up to date together: with few reads, each to what it would be by itself."""

from collections.abc import AsyncIterator
from functools import partial

import pytest

from leftfold import EventStore
from leftfold.command import Snapshots, States
from leftfold.command.states import LONG_HISTORY, STATES_PER_READ
from leftfold.model.fold import fold_of
from leftfold.model.registry import Registry
from leftfold.store import MemoryStore
from leftfold.store.identity import identity_at
from leftfold.store.sqlite.snapshots import SQLiteSnapshots
from tests.accounts import Account, Deposited, Transferred

FOLD = fold_of(Account)
REGISTRY = Registry()


class CountsReads(MemoryStore):
    """A memory store that counts how often it was read."""

    reads = 0

    def read(self, *arguments, **options):  # type: ignore[no-untyped-def, override]
        self.reads += 1
        return super().read(*arguments, **options)


@pytest.fixture
def store() -> CountsReads:
    return CountsReads()


@pytest.fixture
async def states(store: CountsReads) -> AsyncIterator[States]:
    snapshots = Snapshots(SQLiteSnapshots(":memory:", store.log_id), REGISTRY.codec, partial(identity_at, store))
    yield States(store, REGISTRY, snapshots, capacity=100, most_bytes=1_000_000)
    await snapshots.close()


async def append(store: EventStore, *events: object) -> None:
    await store.append([REGISTRY.encode(event, b"{}") for event in events])


async def test_several_states_are_loaded_with_one_read(store: CountsReads, states: States) -> None:
    await append(store, Deposited("a", 5), Deposited("b", 1), Transferred("a", "b", 2), Deposited("elsewhere", 9))
    loaded = [states.of(FOLD, (account,)) for account in ("a", "b", "nobody")]

    changed = await states.refresh_all(loaded)

    assert changed
    assert [state.value.balance for state in loaded] == [3, 3, 0]
    assert [state.position for state in loaded] == [4, 4, 4]
    assert store.reads == 1


async def test_states_at_different_positions_fold_only_what_is_new_to_each(store: CountsReads, states: States) -> None:
    await append(store, Deposited("a", 5), Deposited("b", 1))
    ahead, behind = states.of(FOLD, ("a",)), states.of(FOLD, ("b",))
    await states.refresh(ahead)
    await append(store, Transferred("a", "b", 2))

    await states.refresh_all([ahead, behind])

    assert (ahead.value.balance, behind.value.balance) == (3, 3)
    assert not await states.refresh_all([ahead, behind])


async def test_many_states_take_some_reads_and_none_is_forgotten(store: CountsReads, states: States) -> None:
    names = [f"account {number}" for number in range(2 * STATES_PER_READ + 1)]
    await append(store, *(Deposited(name, number) for number, name in enumerate(names)))
    loaded = [states.of(FOLD, (name,)) for name in names]

    await states.refresh_all(loaded)

    assert [state.value.balance for state in loaded] == list(range(len(names)))
    assert store.reads == 3


async def test_long_histories_are_read_one_by_one_to_their_end(store: CountsReads, states: States) -> None:
    await append(store, *(Deposited("a", 1) for _ in range(LONG_HISTORY + 1)), Deposited("b", 1))
    loaded = [states.of(FOLD, ("a",)), states.of(FOLD, ("b",))]

    await states.refresh_all(loaded)

    assert [state.value.balance for state in loaded] == [LONG_HISTORY + 1, 1]


async def test_no_states_need_no_read(store: CountsReads, states: States) -> None:
    assert not await states.refresh_all([])
    assert store.reads == 0

"""Commands that begin an entity: after a few of them, states are no longer read first, and nothing else changes."""

from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import pytest

from leftfold import Command, LiveApp, Rejected
from leftfold.model.criteria import EVERYTHING, Criteria
from leftfold.store import Batch, MemoryStore
from tests.accounts import Account, Calls, Deposit, Deposited, Freeze, Frozen, Withdraw, Withdrawn, accounts_app

PRACTICE = 8  # commands that meet new entities, after which the next is expected to meet one, too


class CountsReads(MemoryStore):
    """A store that knows which tags it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    async def read(self, criteria: Criteria = EVERYTHING, **options: Any) -> AsyncIterator[Batch]:
        self.asked += [tag for item in criteria.items for tag in item.tags]
        async for batch in super().read(criteria, **options):
            yield batch


@pytest.fixture
def store() -> CountsReads:
    return CountsReads()


async def practise(live: LiveApp, command: Callable[[str], Command]) -> None:
    """Give commands of one kind that all meet accounts without a history."""
    for number in range(PRACTICE):
        with suppress(Rejected):
            await live.execute(command(f"earlier-{number}"))


async def test_the_states_of_the_first_few_are_read(live: LiveApp, store: CountsReads) -> None:
    await practise(live, lambda account: Deposit(account, 1))

    assert store.asked == [f"account:earlier-{number}" for number in range(PRACTICE)]


async def test_then_an_entity_is_begun_without_a_read(live: LiveApp, store: CountsReads, calls: Calls) -> None:
    await practise(live, lambda account: Deposit(account, 1))
    store.asked.clear()
    calls.clear()

    receipt = await live.execute(Deposit("a", 5))

    assert store.asked == []
    assert receipt.position == PRACTICE + 1
    assert calls.balances == [0]
    assert (await live.state(Account, "a")).balance == 5


async def test_an_entity_that_has_a_history_all_the_same_is_decided_on_that(
    live: LiveApp, other: LiveApp, calls: Calls
) -> None:
    await practise(live, lambda account: Deposit(account, 1))
    await other.execute(Deposit("a", 7))
    calls.clear()

    receipt = await live.execute(Deposit("a", 5))

    assert receipt.events == (Deposited("a", 5),)
    assert calls.balances == [0, 7]
    assert (await live.state(Account, "a")).balance == 12


async def test_after_such_a_mistake_states_are_read_first_again(
    live: LiveApp, other: LiveApp, store: CountsReads
) -> None:
    await practise(live, lambda account: Deposit(account, 1))
    await other.execute(Deposit("a", 7))
    await live.execute(Deposit("a", 5))
    store.asked.clear()

    await live.execute(Deposit("b", 5))

    assert store.asked == ["account:b"]


async def test_what_is_rejected_without_a_read_is_decided_again_on_the_log(live: LiveApp, other: LiveApp) -> None:
    await practise(live, lambda account: Withdraw(account, 1))
    await other.execute(Deposit("a", 7))

    receipt = await live.execute(Withdraw("a", 5))

    assert receipt.events == (Withdrawn("a", 5),)
    with pytest.raises(Rejected):
        await live.execute(Withdraw("nobody", 5))


async def test_a_handler_that_fails_without_a_read_is_called_again_on_the_log(store: CountsReads) -> None:
    def called(command: Any, *states: Any) -> None:
        if command == Deposit("a", 5) and not states[0].balance:
            raise ZeroDivisionError

    async with accounts_app(called).open(store) as live, accounts_app().open(store) as other:
        await practise(live, lambda account: Deposit(account, 1))
        await other.execute(Deposit("a", 7))

        await live.execute(Deposit("a", 5))

        assert (await live.state(Account, "a")).balance == 12


async def test_nothing_decided_without_a_read_is_decided_again_on_the_log(live: LiveApp, other: LiveApp) -> None:
    await practise(live, Freeze)
    await other.execute(Freeze("a"))

    assert (await live.execute(Freeze("a"))).events == ()
    assert (await live.execute(Freeze("b"))).events == (Frozen("b"),)


async def test_a_key_that_was_used_is_recognised_without_a_read(live: LiveApp, other: LiveApp) -> None:
    await practise(live, lambda account: Deposit(account, 1))
    first = await other.execute(Deposit("a", 7), key="k")

    again = await live.execute(Deposit("a", 7), key="k")

    assert again.duplicate
    assert again.position == first.position
    assert (await live.state(Account, "a")).balance == 7

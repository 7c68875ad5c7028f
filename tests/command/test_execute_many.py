"""Many commands, decided one after the other and committed in one append."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from leftfold import BatchReceipt, EventStore, LiveApp, Metadata, Receipt, Rejected
from leftfold.errors import KeyReused, NotHandled, TimeRefused, UsageError
from leftfold.store import MemoryStore
from leftfold.testing import FakeClock
from tests.accounts import (
    Account,
    Calls,
    Deposit,
    Deposited,
    Freeze,
    Open,
    Transfer,
    Withdraw,
    Withdrawn,
    accounts_app,
)


async def test_each_command_is_decided_on_the_outcome_of_those_before(live: LiveApp, calls: Calls) -> None:
    receipt = await live.execute_many([Deposit("a", 5), Withdraw("a", 2), Transfer("a", "b", 3), Withdraw("b", 1)])

    assert calls.balances == [0, 5, 3, 3]
    assert [outcome.position for outcome in receipt.outcomes if isinstance(outcome, Receipt)] == [1, 2, 3, 4]
    assert receipt.position == 4
    assert await live.state(Account, "b") == Account("b", 2)


async def test_all_are_one_append(store: EventStore) -> None:
    seen: list[int] = []
    async with accounts_app().open(store) as live:
        await live.execute_many([Deposit("a", 1), Deposit("b", 1)])
        async for batch in store.read():
            seen += [event.microseconds for event in batch.events]

    assert len(seen) == 2
    assert len(set(seen)) == 1


async def test_a_rejected_command_is_an_outcome_and_does_not_stop_the_others(live: LiveApp, store: EventStore) -> None:
    receipt = await live.execute_many([Deposit("a", 5), Withdraw("a", 9), Withdraw("a", 4)])

    first, second, third = receipt.outcomes
    assert second == Rejected("insufficient funds", balance=5)
    assert isinstance(first, Receipt)
    assert isinstance(third, Receipt)
    assert (third.position, third.events) == (2, (Withdrawn("a", 4),))
    assert receipt.rejections == (second,)
    assert await store.head() == 2


async def test_a_rejection_on_a_stale_state_is_decided_again_when_nothing_else_is_appended(
    live: LiveApp, other: LiveApp, calls: Calls
) -> None:
    await live.execute(Deposit("a", 1))
    await other.execute(Deposit("a", 10))
    calls.clear()

    receipt = await live.execute_many([Withdraw("a", 5)])

    assert receipt.rejections == ()
    assert calls.balances == [1, 11]


async def test_a_rejection_on_a_stale_state_is_decided_again_when_others_are_appended(
    live: LiveApp, other: LiveApp
) -> None:
    await live.execute(Deposit("a", 1))
    await other.execute(Deposit("a", 10))

    receipt = await live.execute_many([Withdraw("a", 5), Deposit("b", 1)])

    assert receipt.rejections == ()


async def test_only_rejections_append_nothing(live: LiveApp, store: EventStore) -> None:
    await live.execute(Deposit("b", 1))

    receipt = await live.execute_many([Withdraw("a", 1), Withdraw("a", 2)])

    assert [type(outcome) for outcome in receipt.outcomes] == [Rejected, Rejected]
    assert receipt.position == await store.head() == 1


async def test_commands_that_change_nothing_have_the_position_that_this_was_decided_at(live: LiveApp) -> None:
    await live.execute(Freeze("a"))

    alone = await live.execute_many([Freeze("a")])
    after_another = await live.execute_many([Deposit("b", 1), Freeze("a")])

    [outcome] = alone.outcomes
    assert isinstance(outcome, Receipt)
    assert (outcome.position, outcome.events) == (1, ())
    assert after_another.outcomes[-1] == Receipt(2, (), outcome_id(after_another))


def outcome_id(receipt: BatchReceipt) -> str:
    last = receipt.outcomes[-1]
    assert isinstance(last, Receipt)
    return last.command_id


async def test_no_commands_are_no_append(live: LiveApp, store: EventStore) -> None:
    receipt = await live.execute_many([])

    assert receipt == BatchReceipt(0, ())
    assert await store.head() == 0


async def test_a_conflict_has_all_of_them_decided_again(
    live: LiveApp, other: LiveApp, calls: Calls, store: EventStore
) -> None:
    await live.execute(Deposit("a", 10))
    await other.execute(Withdraw("a", 8))
    calls.clear()

    receipt = await live.execute_many([Deposit("b", 1), Withdraw("a", 5), Withdraw("a", 1)])

    assert calls.balances == [0, 10, 5, 0, 2, 2]
    assert receipt.rejections == (Rejected("insufficient funds", balance=2),)
    assert await store.head() == 4


async def test_the_held_states_are_those_that_were_committed(live: LiveApp, other: LiveApp) -> None:
    await live.execute_many([Deposit(f"a-{number % 7}", number) for number in range(100)])

    for number in range(7):
        account = f"a-{number}"
        assert await live.state(Account, account) == await other.state(Account, account)
    assert (await live.state(Account, "a-3")).balance == sum(range(3, 100, 7))


async def test_more_keys_than_states_are_held_are_decided_correctly() -> None:
    async with accounts_app().open("memory:", states=1) as live:
        receipt = await live.execute_many([Deposit("a", 1), Deposit("b", 1), Withdraw("a", 1), Withdraw("a", 1)])

    assert receipt.rejections == (Rejected("insufficient funds", balance=0),)


async def test_a_key_makes_the_whole_batch_idempotent(live: LiveApp, store: EventStore) -> None:
    commands = [Deposit("a", 5), Withdraw("a", 5)]
    first = await live.execute_many(commands, key="chunk-1")

    again = await live.execute_many(commands, key="chunk-1")

    assert not first.duplicate
    assert again == BatchReceipt(2, (), duplicate=True)
    assert await store.head() == 2


async def test_the_key_of_another_batch_is_refused(live: LiveApp) -> None:
    await live.execute_many([Deposit("a", 5), Deposit("a", 6)], key="chunk-1")

    with pytest.raises(KeyReused):
        await live.execute_many([Deposit("a", 6), Deposit("a", 5)], key="chunk-1")


async def test_an_id_that_is_given_for_a_batch_is_numbered_so_that_ids_made_of_it_differ(live: LiveApp) -> None:
    receipt = await live.execute_many([Open("a"), Open("b")], metadata=Metadata(command="import-7"))

    first, second = (outcome for outcome in receipt.outcomes if isinstance(outcome, Receipt))
    assert (first.command_id, second.command_id) == ("import-7/1", "import-7/2")
    assert len({event.number for event in (*first.events, *second.events)}) == 4


async def test_an_import_gives_each_command_its_time() -> None:
    clock = FakeClock()
    start = clock.now() - timedelta(days=10)
    times = {1: start, 2: start + timedelta(days=1), 3: start + timedelta(days=2)}

    def happened(command: Deposit) -> datetime:
        return times[command.amount]

    async with accounts_app().open("memory:", clock=clock) as live:
        await live.execute_many([Deposit("a", 1), Deposit("a", 2), Deposit("a", 3)], time=happened)

        assert [step.time for step in await live.explain(Account, "a")] == list(times.values())
        assert await live.state(Account, "a", as_of=start + timedelta(days=1, hours=1)) == Account("a", 3)


async def test_a_batch_may_have_one_time_for_all_its_commands() -> None:
    clock = FakeClock()
    then = clock.now() - timedelta(days=10)

    async with accounts_app().open("memory:", clock=clock) as live:
        await live.execute_many([Deposit("a", 1), Deposit("a", 2)], time=then)

        assert [step.time for step in await live.explain(Account, "a")] == [then, then]


@pytest.mark.parametrize("time", ["2026-01-31", lambda command: None, 5])
async def test_what_is_no_time_is_refused(time: Any) -> None:
    async with accounts_app().open("memory:") as live:
        with pytest.raises(UsageError, match="as the time of Deposit"):
            await live.execute(Deposit("a", 1), time=time)
        with pytest.raises(UsageError, match="as the time of Deposit"):
            await live.execute_many([Deposit("a", 1)], time=time)
        assert await live.store.head() == 0


async def test_an_import_out_of_order_is_refused_as_a_whole() -> None:
    clock = FakeClock()
    store = MemoryStore(clock)

    def happened(command: Deposit) -> datetime:
        return clock.now() - timedelta(days=command.amount)

    async with accounts_app().open(store, clock=clock) as live:
        with pytest.raises(TimeRefused):
            await live.execute_many([Deposit("a", 1), Deposit("a", 2)], time=happened)

    assert await store.head() == 0


async def test_a_command_without_a_handler_stops_the_batch_before_anything_is_decided(
    live: LiveApp, calls: Calls
) -> None:
    with pytest.raises(NotHandled):
        await live.execute_many([Deposit("a", 1), Deposited("a", 1)])

    assert calls == []


async def test_one_event_in_a_large_batch_reaches_every_state_that_it_concerns(live: LiveApp, calls: Calls) -> None:
    opened = [Deposit(f"a-{number}", 10) for number in range(10)]

    await live.execute_many([*opened, Transfer("a-1", "a-2", 5), Withdraw("a-1", 1), Withdraw("a-2", 1), Freeze("a-2")])
    frozen = await live.execute_many([Freeze("a-2"), Transfer("a-1", "a-2", 1)])

    assert calls.balances[-5:] == [5, 15, 14, 14, 4]
    assert frozen.rejections == (Rejected("target is frozen"),)

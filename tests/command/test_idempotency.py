"""Idempotency keys: a command is carried out once, whatever it would decide the second time."""

import asyncio

import pytest

from leftfold import EventStore, LiveApp, Metadata, Rejected
from leftfold.errors import KeyReused
from tests.accounts import Account, Calls, Deposit, Deposited, Freeze, Open, Withdraw, Withdrawn


async def test_the_same_command_with_the_same_key_gets_the_first_receipt(live: LiveApp, store: EventStore) -> None:
    first = await live.execute(Deposit("a", 5), key="k")

    again = await live.execute(Deposit("a", 5), key="k")

    assert (again.position, again.events, again.duplicate) == (first.position, first.events, True)
    assert again.command_id == first.command_id
    assert await store.head() == 1


async def test_another_process_recognises_the_key(live: LiveApp, other: LiveApp, store: EventStore) -> None:
    await live.execute(Deposit("a", 5), key="k")

    again = await other.execute(Deposit("a", 5), key="k")

    assert again.duplicate
    assert await store.head() == 1


async def test_the_key_is_recognised_after_the_state_has_changed(live: LiveApp, store: EventStore) -> None:
    await live.execute(Deposit("a", 5))
    first = await live.execute(Withdraw("a", 2), key="k")
    await live.execute(Deposit("a", 100))

    again = await live.execute(Withdraw("a", 2), key="k")

    assert (again.position, again.events, again.duplicate) == (first.position, (Withdrawn("a", 2),), True)
    assert await store.head() == 3


async def test_the_key_is_recognised_when_the_command_would_be_rejected_now(live: LiveApp, store: EventStore) -> None:
    await live.execute(Deposit("a", 5))
    first = await live.execute(Withdraw("a", 5), key="k")

    again = await live.execute(Withdraw("a", 5), key="k")

    assert (again.position, again.events, again.duplicate) == (first.position, first.events, True)
    assert await store.head() == 2


async def test_the_key_is_recognised_when_nothing_would_have_to_happen_now(live: LiveApp) -> None:
    first = await live.execute(Freeze("a"), key="k")

    again = await live.execute(Freeze("a"), key="k")

    assert (again.position, again.events, again.duplicate) == (first.position, first.events, True)


async def test_the_key_is_recognised_when_other_ids_would_be_decided_now(live: LiveApp) -> None:
    first = await live.execute(Open("a"), key="k")

    again = await live.execute(Open("a"), key="k")

    assert again.duplicate
    assert again.events == first.events


async def test_a_duplicate_leaves_the_held_state_as_it_is(live: LiveApp) -> None:
    await live.execute(Deposit("a", 5), key="k")
    await live.execute(Deposit("a", 5), key="k")

    assert (await live.state(Account, "a")).balance == 5


async def test_the_key_of_another_command_is_refused(live: LiveApp, store: EventStore) -> None:
    await live.execute(Deposit("a", 5), key="k")

    with pytest.raises(KeyReused) as reused:
        await live.execute(Deposit("a", 6), key="k")

    assert (reused.value.key, reused.value.first, reused.value.last) == ("k", 1, 1)
    assert await store.head() == 1


async def test_the_key_of_another_command_type_with_equal_fields_is_refused(live: LiveApp) -> None:
    await live.execute(Deposit("a", 5), key="k")

    with pytest.raises(KeyReused):
        await live.execute(Withdraw("a", 5), key="k")


async def test_the_key_of_another_command_is_refused_also_when_this_one_would_be_rejected(live: LiveApp) -> None:
    await live.execute(Deposit("a", 5), key="k")

    with pytest.raises(KeyReused):
        await live.execute(Withdraw("a", 99), key="k")


async def test_a_rejected_command_does_not_use_up_its_key(live: LiveApp) -> None:
    with pytest.raises(Rejected):
        await live.execute(Withdraw("a", 5), key="k")
    await live.execute(Deposit("a", 5))

    receipt = await live.execute(Withdraw("a", 5), key="k")

    assert not receipt.duplicate
    assert receipt.events == (Withdrawn("a", 5),)


async def test_many_at_once_with_one_key_are_carried_out_once(
    live: LiveApp, other: LiveApp, store: EventStore, calls: Calls
) -> None:
    apps = (live, other) * 5

    receipts = await asyncio.gather(*(app.execute(Deposit("a", 5), key="k") for app in apps))

    assert sorted(receipt.duplicate for receipt in receipts) == [False] + [True] * 9
    assert {receipt.events for receipt in receipts} == {(Deposited("a", 5),)}
    assert await store.head() == 1


async def test_the_first_receipt_names_the_command_that_made_the_events(live: LiveApp) -> None:
    await live.execute(Deposit("a", 5), key="k", metadata=Metadata(command="first"))

    again = await live.execute(Deposit("a", 5), key="k", metadata=Metadata(command="second"))

    assert again.command_id == "first"

"""Executing one command: load, decide, append; on a conflict read the tail and decide again."""

import asyncio
from collections.abc import Coroutine, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from leftfold import App, Appended, Command, DecisionModel, LiveApp, NewEvent, Rejected
from leftfold.errors import (
    CannotEncode,
    Conflict,
    EvolveFailed,
    InvalidResult,
    InvalidTag,
    NotHandled,
    TimeRefused,
    TooManyConflicts,
)
from leftfold.model.record import StoredEvent
from leftfold.store import MemoryStore
from leftfold.store.contract import EventStore
from leftfold.testing import FakeClock
from tests.accounts import (
    Account,
    AccountId,
    Calls,
    Deposit,
    Deposited,
    Freeze,
    Frozen,
    Transfer,
    Transferred,
    Withdraw,
    Withdrawn,
    accounts_app,
)


async def log_of(store: EventStore) -> list[StoredEvent]:
    return [event async for batch in store.read() for event in batch.events]


async def test_a_command_appends_what_its_handler_decides(live: LiveApp, store: EventStore) -> None:
    receipt = await live.execute(Deposit("a", 5))

    assert (receipt.position, receipt.events, receipt.duplicate) == (1, (Deposited("a", 5),), False)
    [stored] = await log_of(store)
    assert (stored.type, stored.version, stored.data) == ("account.deposited", 1, b'{"account":"a","amount":5}')
    assert stored.tags == ("account:a",)


async def test_a_command_is_decided_on_what_was_decided_before(live: LiveApp) -> None:
    await live.execute(Deposit("a", 5))
    await live.execute(Withdraw("a", 2))

    with pytest.raises(Rejected) as rejection:
        await live.execute(Withdraw("a", 4))

    assert rejection.value == Rejected("insufficient funds", balance=3)


async def test_a_handler_that_decides_nothing_appends_nothing(live: LiveApp, store: EventStore) -> None:
    await live.execute(Freeze("a"))

    receipt = await live.execute(Freeze("a"))

    assert (receipt.position, receipt.events) == (1, ())
    assert await store.head() == 1


async def test_after_a_conflict_the_command_is_decided_again_on_the_present_state(
    live: LiveApp, other: LiveApp, calls: Calls
) -> None:
    await live.execute(Deposit("a", 10))
    await other.execute(Withdraw("a", 7))
    calls.clear()

    with pytest.raises(Rejected) as rejection:
        await live.execute(Withdraw("a", 5))

    assert calls.balances == [10, 3]
    assert rejection.value.details == {"balance": 3}


async def test_a_conflict_that_changes_nothing_for_the_decision_is_settled_by_a_second_append(
    live: LiveApp, other: LiveApp, calls: Calls, store: EventStore
) -> None:
    await live.execute(Deposit("a", 10))
    await other.execute(Deposit("a", 1))
    calls.clear()

    receipt = await live.execute(Withdraw("a", 5))

    assert calls.balances == [10, 11]
    assert receipt.position == await store.head() == 3


async def test_events_that_no_model_of_the_decision_reads_do_not_disturb_it(
    live: LiveApp, other: LiveApp, calls: Calls
) -> None:
    await live.execute(Deposit("a", 10))
    await other.execute(Deposit("b", 1))
    calls.clear()

    await live.execute(Withdraw("a", 5))

    assert calls.balances == [10]


async def test_a_command_that_always_loses_is_given_up_after_the_attempts_it_has(store: EventStore) -> None:
    calls = Calls()
    writer = App("writer")
    rival = writer.registry.encode(Deposited("a", 1), b"{}")

    def interfere(*arguments: Any) -> None:
        calls(*arguments)
        at_once(store.append([rival]))

    async with accounts_app(interfere).open(store, attempts=3) as live:
        with pytest.raises(TooManyConflicts) as contended:
            await live.execute(Deposit("a", 10))

    assert calls.balances == [0, 1, 2]
    assert (contended.value.command, contended.value.attempts) == ("Deposit", 3)
    assert isinstance(contended.value.conflict, Conflict)
    assert contended.value.conflict.positions == (3,)


async def test_a_rejection_on_a_stale_state_is_decided_again_before_it_is_raised(
    live: LiveApp, other: LiveApp, calls: Calls
) -> None:
    await live.execute(Deposit("a", 1))
    await other.execute(Deposit("a", 10))
    calls.clear()

    receipt = await live.execute(Withdraw("a", 5))

    assert calls.balances == [1, 11]
    assert receipt.events == (Withdrawn("a", 5),)


async def test_nothing_to_do_on_a_stale_state_is_decided_again(live: LiveApp, store: EventStore) -> None:
    app = App("thaw")

    @app.handles
    def freeze_once(command: Freeze, account: Account) -> Frozen | None:
        return Frozen(command.account) if account.balance else None

    async with app.open(store) as stale:
        await stale.execute(Freeze("a"))
        await live.execute(Deposit("a", 1))

        receipt = await stale.execute(Freeze("a"))

    assert receipt.events == (Frozen("a"),)


async def test_a_rejection_names_the_state_it_was_verified_on(live: LiveApp, other: LiveApp) -> None:
    await live.execute(Deposit("a", 3))
    await other.execute(Withdraw("a", 1))

    with pytest.raises(Rejected) as rejection:
        await live.execute(Withdraw("a", 5))

    assert rejection.value.details == {"balance": 2}


async def test_a_decision_over_two_models_fails_when_either_has_changed(
    live: LiveApp, other: LiveApp, calls: Calls, store: EventStore
) -> None:
    await live.execute(Deposit("a", 10))
    await live.execute(Transfer("a", "b", 1))
    await other.execute(Freeze("b"))
    calls.clear()

    with pytest.raises(Rejected, match="target is frozen"):
        await live.execute(Transfer("a", "b", 1))

    assert [target.frozen for _, _, target in calls] == [False, True]
    assert await store.head() == 3


async def test_one_event_about_two_keys_changes_both_states(live: LiveApp) -> None:
    await live.execute(Deposit("a", 10))
    await live.execute(Transfer("a", "b", 4))

    assert (await live.state(Account, "a")).balance == 6
    assert (await live.state(Account, "b")).balance == 4


async def test_two_parameters_with_one_key_are_one_state(live: LiveApp, calls: Calls, store: EventStore) -> None:
    await live.execute(Deposit("a", 10))

    receipt = await live.execute(Transfer("a", "a", 4))

    _, source, target = calls[-1]
    assert source is target
    assert receipt.events == (Transferred("a", "a", 4),)
    assert (await log_of(store))[-1].tags == ("account:a",)
    assert (await live.state(Account, "a")).balance == 10


async def test_concurrent_commands_on_one_entity_are_all_carried_out(live: LiveApp, other: LiveApp) -> None:
    await asyncio.gather(*(app.execute(Deposit("a", 1)) for _ in range(20) for app in (live, other)))

    assert await live.state(Account, "a") == await other.state(Account, "a") == Account("a", 40)


async def test_a_cancelled_command_disturbs_no_later_one(tmp_path: Path) -> None:
    async with accounts_app().open(f"sqlite:///{tmp_path}/log.db") as live:
        for _ in range(20):
            calls = [asyncio.create_task(live.execute(Deposit("a", 1))) for _ in range(5)]
            await asyncio.sleep(0)  # they are under way: one appends, the others wait their turn
            calls[0].cancel()
            calls[2].cancel()
            await asyncio.gather(*calls, return_exceptions=True)

        last = await live.execute(Deposit("a", 1))

        assert (await live.state(Account, "a")).balance == last.position >= 20 * 3 + 1
        assert all(verified.ok for verified in await live.verify())


class Stalled(MemoryStore):
    """Stores an append, and answers it once `gate` is open."""

    def __init__(self) -> None:
        super().__init__()
        self.stored, self.gate = asyncio.Event(), asyncio.Event()

    async def append(self, events: Sequence[NewEvent], **options: Any) -> Appended:
        appended = await super().append(events, **options)
        self.stored.set()
        await self.gate.wait()
        return appended


async def test_a_call_whose_time_is_over_during_its_commit_is_settled_by_its_key() -> None:
    store = Stalled()

    async def call() -> None:
        async with asyncio.timeout(None) as limit:
            stored = asyncio.create_task(store.stored.wait())
            stored.add_done_callback(lambda _: limit.reschedule(0))  # it is over as soon as the events are stored
            await live.execute(Deposit("a", 5), key="req-1")

    async with accounts_app().open(store, work=False) as live:
        with pytest.raises(TimeoutError):
            await call()
        store.gate.set()

        receipt = await live.execute(Deposit("a", 5), key="req-1")

        assert (receipt.position, receipt.duplicate) == (1, True)
        assert await store.head() == 1


async def test_a_command_without_a_handler_names_those_that_have_one(live: LiveApp) -> None:
    class Unhandled(Command):
        pass

    with pytest.raises(NotHandled) as unknown:
        await live.execute(Unhandled())

    assert unknown.value.known == ("Deposit", "Freeze", "Open", "Transfer", "Withdraw")


@pytest.mark.parametrize("decided", [3, "text", b"bytes", [Deposited("a", 1), None], Deposit("a", 1)])
async def test_a_decision_that_is_no_event_is_refused(decided: Any, store: EventStore) -> None:
    app = App("wrong")

    @app.handles
    def deposit(command: Deposit) -> Deposited:
        return decided

    async with app.open(store) as live:
        with pytest.raises(InvalidResult):
            await live.execute(Deposit("a", 1))

    assert await store.head() == 0


async def test_an_event_that_its_own_model_cannot_fold_is_never_stored(store: EventStore) -> None:
    async with strict_app().open(store) as live:
        with pytest.raises(EvolveFailed) as failed:
            await live.execute(Deposit("a", 0))
    assert isinstance(failed.value.__cause__, ZeroDivisionError)

    assert await store.head() == 0


async def test_an_event_that_cannot_be_encoded_is_refused(store: EventStore) -> None:
    app = App("wrong")

    @app.handles
    def deposit(command: Deposit) -> Deposited:
        return Deposited("a", object())  # type: ignore[arg-type]

    async with app.open(store) as live:
        with pytest.raises(CannotEncode):
            await live.execute(Deposit("a", 1))


async def test_a_key_that_cannot_be_a_tag_is_refused_with_the_event(live: LiveApp, store: EventStore) -> None:
    with pytest.raises(InvalidTag) as invalid:
        await live.execute(Deposit("a\x00b", 1))

    assert invalid.value.tag == "account:a\x00b"
    assert await store.head() == 0


async def test_a_failed_append_leaves_the_held_state_as_it_was(live: LiveApp) -> None:
    await live.execute(Deposit("a", 5))

    with pytest.raises(TimeRefused):
        await live.execute(Deposit("a", 1), time=FakeClock().now() - timedelta(days=9_999))

    assert (await live.state(Account, "a")).balance == 5


async def test_an_import_says_when_its_events_happened() -> None:
    clock = FakeClock()
    then = clock.now() - timedelta(days=365)
    calls = Calls()
    async with accounts_app(calls).open("memory:", clock=clock) as live:
        await live.execute(Deposit("a", 5), time=then)
        [step] = await live.explain(Account, "a")
        assert step.time == then
        await live.execute(Deposit("b", 7), time=lambda command: then + timedelta(days=command.amount))
        [step] = await live.explain(Account, "b")
        assert step.time == then + timedelta(days=7)

        with pytest.raises(TimeRefused):
            await live.execute(Deposit("a", 5), time=then - timedelta(seconds=1))
        with pytest.raises(TimeRefused):
            await live.execute(Deposit("a", 5), time=clock.now() + timedelta(seconds=1))


class Share(DecisionModel):
    account: AccountId
    value: float = 1.0

    def evolve(self, event: Deposited) -> "Share":
        return Share(self.account, self.value / event.amount)


def strict_app() -> App:
    """An app whose model cannot fold a deposit of nothing."""
    app = App("strict")

    @app.handles
    def deposit(command: Deposit, share: Share) -> Deposited:
        return Deposited(command.account, command.amount)

    return app


def at_once(work: Coroutine[Any, Any, Any]) -> None:
    """Run a coroutine that has nothing to wait for, as those of the memory store."""
    try:
        work.send(None)
    except StopIteration:
        return
    raise AssertionError("it waits")

"""Commands on one entity that come at the same time: few commits, and to each what it would have got alone."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leftfold import LiveApp, Receipt, Rejected
from leftfold.errors import EventTooLarge, KeyReused
from leftfold.store import Appended, NewEvent, SQLiteStore
from tests.accounts import Account, Calls, Deposit, Deposited, Freeze, Open, Transfer, Withdraw, accounts_app
from tests.patience import examples


class CountsAppends(SQLiteStore):
    """A store that knows how many events each append had."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.sizes: list[int] = []

    async def append(self, events: Sequence[NewEvent], **options: Any) -> Any:
        self.sizes.append(len(events))
        return await super().append(events, **options)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[CountsAppends]:
    async with CountsAppends(tmp_path / "log.db") as store:
        yield store


@pytest.fixture
async def live(store: CountsAppends, calls: Calls) -> AsyncIterator[LiveApp]:
    async with accounts_app(calls).open(store, work=True) as live:
        yield live


@pytest.fixture
async def other(store: CountsAppends) -> AsyncIterator[LiveApp]:
    async with accounts_app().open(store, work=True) as live:
        yield live


async def all_at_once(live: LiveApp, *commands: Any) -> list[Any]:
    return await asyncio.gather(*(live.execute(command) for command in commands), return_exceptions=True)


async def test_callers_on_one_entity_share_commits(live: LiveApp, store: CountsAppends) -> None:
    outcomes = await all_at_once(live, *(Deposit("a", n) for n in range(100)))

    assert store.sizes == [1, 99]
    assert [outcome.position for outcome in outcomes] == list(range(1, 101))
    assert [outcome.events for outcome in outcomes] == [(Deposited("a", n),) for n in range(100)]
    assert (await live.state(Account, "a")).balance == sum(range(100))


async def test_each_command_sees_what_those_before_it_decided(live: LiveApp, calls: Calls) -> None:
    outcomes = await all_at_once(live, Deposit("a", 5), Withdraw("a", 3), Withdraw("a", 3), Withdraw("a", 2))

    assert [type(outcome) for outcome in outcomes] == [Receipt, Receipt, Rejected, Receipt]
    assert outcomes[2].details == {"balance": 2}
    assert (await live.state(Account, "a")).balance == 0


async def test_a_rejection_holds_when_all_that_came_together_are_rejected(live: LiveApp, other: LiveApp) -> None:
    await live.execute(Deposit("a", 1))
    await other.execute(Deposit("a", 5))  # which `live` has not seen

    outcomes = await all_at_once(live, Withdraw("a", 9), Withdraw("a", 8), Withdraw("a", 7))

    assert [outcome.details for outcome in outcomes] == [{"balance": 6}] * 3


async def test_nothing_to_do_is_a_receipt_among_others(live: LiveApp) -> None:
    outcomes = await all_at_once(live, Deposit("a", 1), Freeze("a"), Freeze("a"), Deposit("a", 2))

    assert [outcome.position for outcome in outcomes] == [1, 2, 2, 3]
    assert outcomes[2].events == ()


async def test_a_handler_that_fails_fails_its_own_caller_alone(tmp_path: Path) -> None:
    def called(command: Any, *rest: Any) -> None:
        if command == Deposit("a", 13):
            raise ZeroDivisionError

    async with accounts_app(called).open(SQLiteStore(tmp_path / "own.db"), work=True) as live:
        outcomes = await all_at_once(live, *(Deposit("a", n) for n in (1, 2, 13, 4)))
        balance = (await live.state(Account, "a")).balance
        await live.store.close()

    assert [type(outcome) for outcome in outcomes] == [Receipt, Receipt, ZeroDivisionError, Receipt]
    assert balance == 7


async def test_an_event_that_is_too_large_is_its_own_command_s_problem(tmp_path: Path) -> None:
    async with accounts_app().open(SQLiteStore(tmp_path / "own.db", event_limit=400), work=True) as live:
        outcomes = await all_at_once(live, Deposit("a", 1), Deposit("a", 10**300), Deposit("a", 2), Deposit("a", 3))
        balance = (await live.state(Account, "a")).balance
        await live.store.close()

    assert [type(outcome) for outcome in outcomes] == [Receipt, EventTooLarge, Receipt, Receipt]
    assert balance == 6


async def test_a_caller_who_is_cancelled_while_he_waits_leaves_no_event(live: LiveApp) -> None:
    callers = [asyncio.create_task(live.execute(Deposit("a", n))) for n in (1, 10, 100)]
    await asyncio.sleep(0)
    callers[1].cancel()
    outcomes = await asyncio.gather(*callers, return_exceptions=True)

    assert isinstance(outcomes[1], asyncio.CancelledError)
    assert (await live.state(Account, "a")).balance == 101


async def test_those_behind_a_cancelled_first_one_go_on(live: LiveApp) -> None:
    callers = [asyncio.create_task(live.execute(Deposit("a", n))) for n in (1, 10, 100)]
    await asyncio.sleep(0)
    callers[0].cancel()
    outcomes = await asyncio.gather(*callers, return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [asyncio.CancelledError, Receipt, Receipt]


async def test_a_commit_of_another_process_between_has_all_of_them_decided_again(
    live: LiveApp, other: LiveApp, calls: Calls
) -> None:
    await live.execute(Deposit("a", 10))
    await other.execute(Withdraw("a", 8))

    outcomes = await all_at_once(live, Deposit("a", 1), Withdraw("a", 5), Withdraw("a", 3))

    assert [type(outcome) for outcome in outcomes] == [Receipt, Rejected, Receipt]
    assert (await live.state(Account, "a")).balance == 0


async def test_commands_with_keys_share_commits_and_are_carried_out_once(live: LiveApp, store: CountsAppends) -> None:
    keyed = [live.execute(Deposit("a", 1), key=f"k-{n % 3}") for n in range(6)]
    plain = [live.execute(Deposit("a", 10)) for _ in range(6)]
    outcomes = await asyncio.gather(*keyed, *plain)

    assert [outcome.duplicate for outcome in outcomes[:6]] == [False] * 3 + [True] * 3
    assert [outcome.position for outcome in outcomes[:6]] == [1, 2, 3, 1, 2, 3]
    assert (await live.state(Account, "a")).balance == 63
    assert await store.head() == 9


async def test_retries_among_new_commands_get_the_first_receipts(live: LiveApp, other: LiveApp) -> None:
    first = [await other.execute(Deposit("a", n), key=f"k-{n}") for n in (1, 2)]

    outcomes = await asyncio.gather(
        live.execute(Deposit("a", 100)),
        live.execute(Deposit("a", 1), key="k-1"),
        live.execute(Deposit("a", 200), key="k-3"),
        live.execute(Deposit("a", 2), key="k-2"),
        live.execute(Deposit("a", 999), key="k-2"),
        live.execute(Deposit("a", 300)),
        return_exceptions=True,
    )

    assert [getattr(outcome, "duplicate", type(outcome)) for outcome in outcomes] == [
        False, True, False, True, KeyReused, False,
    ]  # fmt: skip
    assert [outcomes[1].position, outcomes[3].position] == [receipt.position for receipt in first]
    assert (await live.state(Account, "a")).balance == 603


async def test_a_key_whose_command_had_nothing_to_do_is_free_again(live: LiveApp) -> None:
    await live.execute(Freeze("a"))
    outcomes = await asyncio.gather(
        live.execute(Deposit("a", 1)), live.execute(Freeze("a"), key="k"), live.execute(Deposit("a", 2), key="j")
    )

    assert [outcome.events for outcome in outcomes] == [(Deposited("a", 1),), (), (Deposited("a", 2),)]
    assert await live.store.lookup("k") is None
    assert await live.store.lookup("j") == Appended(3, 3)


async def test_commands_without_a_model_wait_for_nobody(live: LiveApp, store: CountsAppends) -> None:
    outcomes = await all_at_once(live, *(Open(f"a-{n}") for n in range(10)))

    assert store.sizes == [2] * 10
    assert sorted(outcome.position for outcome in outcomes) == list(range(2, 22, 2))


async def test_a_command_on_one_of_two_states_waits_for_the_command_on_both(live: LiveApp, calls: Calls) -> None:
    await live.execute(Deposit("a", 5))
    await live.execute(Deposit("b", 5))
    calls.clear()

    outcomes = await all_at_once(live, Transfer("a", "b", 2), Deposit("a", 1), Transfer("b", "a", 1), Deposit("b", 1))
    again = await all_at_once(live, Transfer("a", "b", 2), Deposit("a", 1), Deposit("a", 1))

    assert [type(outcome) for outcome in (*outcomes, *again)] == [Receipt] * 7
    assert len(calls) == 7  # so none met a conflict
    assert [(await live.state(Account, each)).balance for each in "ab"] == [5, 9]


async def test_a_caller_who_goes_on_at_once_takes_nobody_s_turn(live: LiveApp, calls: Calls) -> None:
    async def deposit(times: int) -> None:
        for _ in range(times):
            await live.execute(Deposit("a", 1))

    async with asyncio.timeout(60):
        await asyncio.gather(*(deposit(20) for _ in range(3)))

    assert (await live.state(Account, "a")).balance == 60
    assert len(calls) == 60


async def test_two_processes_on_one_entity_both_make_progress(live: LiveApp, other: LiveApp) -> None:
    outcomes = await asyncio.gather(
        *(app.execute(Deposit("a", 1)) for _ in range(50) for app in (live, other)), return_exceptions=True
    )

    assert [type(outcome) for outcome in outcomes] == [Receipt] * 100
    assert (await live.state(Account, "a")).balance == 100


commands = st.one_of(
    st.builds(Deposit, st.sampled_from("ab"), st.integers(1, 9)),
    st.builds(Withdraw, st.sampled_from("ab"), st.integers(1, 9)),
    st.builds(Freeze, st.sampled_from("ab")),
    st.sampled_from([Transfer("a", "b", 5), Transfer("b", "a", 3)]),
)


@settings(max_examples=examples(40), deadline=None)
@given(st.lists(commands, max_size=30))
def test_what_is_decided_together_is_decided_as_one_after_the_other(given_commands: list[Any]) -> None:
    """The log tells the order; decided again in this order by a fresh app, each command makes the same events."""

    async def run() -> None:
        from tempfile import TemporaryDirectory

        with TemporaryDirectory() as folder:
            async with accounts_app().open(f"sqlite:///{folder}/log.db") as live:
                outcomes = await all_at_once(live, *given_commands)
            made = [
                (outcome.position, command, outcome.events)
                for command, outcome in zip(given_commands, outcomes, strict=True)
                if isinstance(outcome, Receipt) and outcome.events
            ]
            assert all(isinstance(outcome, Receipt | Rejected) for outcome in outcomes)
            async with accounts_app().open("memory:") as again:
                for position, command, events in sorted(made, key=lambda each: each[0]):
                    assert (await again.execute(command)).events == events
                    assert await again.store.head() == position

    asyncio.run(run())

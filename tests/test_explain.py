"""How a state came about: each event that made it, with the state before and after, who, why, and caused by what."""

from datetime import timedelta
from itertools import pairwise

from leftfold import App, Metadata, recording
from leftfold.testing import FakeClock
from tests.accounts import Account, Deposit, Deposited, Transfer, Transferred, Withdraw, accounts_app


async def test_each_event_is_told_with_the_state_before_and_after() -> None:
    async with accounts_app().open("memory:") as live:
        await live.execute(Deposit("b", 1))
        await live.execute(Deposit("a", 5))
        await live.execute(Transfer("a", "b", 2))

        steps = await live.explain(Account, "a")

    assert [(step.position, step.event, step.before, step.after) for step in steps] == [
        (2, Deposited("a", 5), Account("a"), Account("a", 5)),
        (3, Transferred("a", "b", 2), Account("a", 5), Account("a", 3)),
    ]


async def test_the_last_step_leads_to_the_present_state() -> None:
    async with accounts_app().open("memory:") as live:
        await live.execute_many([Deposit("a", number) for number in range(20)])

        steps = await live.explain(Account, "a")

        assert steps[-1].after == await live.state(Account, "a")
    assert all(before.after == after.before for before, after in pairwise(steps))


async def test_a_step_tells_when_who_why_and_caused_by_what() -> None:
    clock = FakeClock()
    async with accounts_app().open("memory:", clock=clock) as live:
        await live.execute(Deposit("a", 5))
        clock.advance(hours=1)
        with recording(actor="ann", reason="rent", cause=1, correlation="case-7"):
            receipt = await live.execute(Withdraw("a", 2), metadata=Metadata(extra={"channel": "web"}))

        _, step = await live.explain(Account, "a")

    assert step.time == clock.now()
    assert (step.actor, step.reason, step.cause, step.command) == ("ann", "rent", 1, receipt.command_id)
    assert (step.metadata.command_type, step.metadata.correlation) == ("Withdraw", "case-7")
    assert step.metadata.extra == {"channel": "web"}


async def test_a_past_state_is_explained_by_the_events_up_to_it() -> None:
    clock = FakeClock()
    async with accounts_app().open("memory:", clock=clock) as live:
        for _ in range(3):
            await live.execute(Deposit("a", 1))
            clock.advance(days=1)

        by_position = await live.explain(Account, "a", as_of=2)
        by_time = await live.explain(Account, "a", as_of=clock.now() - timedelta(days=2))

    assert by_position == by_time
    assert [step.position for step in by_position] == [1, 2]


async def test_a_key_without_events_has_no_steps() -> None:
    async with accounts_app().open("memory:") as live:
        assert await live.explain(Account, "nobody") == []


async def test_any_model_can_be_explained_also_one_that_no_handler_takes() -> None:
    app = App("reader")
    app.event(Deposited)
    async with accounts_app().open("memory:") as live:
        await live.execute(Deposit("a", 5))
        async with app.open(live.store) as reader:
            [step] = await reader.explain(Account, "a")

    assert step.after == Account("a", 5)


async def test_a_correction_names_the_wrong_event_and_the_wrong_event_its_corrections() -> None:
    async with accounts_app().open("memory:") as live:
        wrong = await live.execute(Deposit("a", 1_000))
        with recording(corrects=wrong.position):
            await live.execute(Withdraw("a", 400))
            await live.execute(Withdraw("a", 500))

        steps = await live.explain(Account, "a")

    assert [(step.corrects, step.corrected_by) for step in steps] == [(None, (2, 3)), (1, ()), (1, ())]

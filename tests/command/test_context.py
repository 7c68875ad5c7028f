"""What a handler may ask beside its models: the moment, the metadata, and ids that stay the same."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from leftfold import App, Context, EventStore, LiveApp, Metadata, recording
from leftfold.testing import FakeClock
from tests.accounts import Account, Calls, Deposit, Deposited, Open, accounts_app

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def test_ids_derive_from_the_id_of_the_command() -> None:
    first, second = (Context(NOW, Metadata(command="c-1")) for _ in range(2))

    ids = [first.new_id() for _ in range(3)]

    assert ids == [second.new_id() for _ in range(3)]
    assert len(set(ids)) == 3
    assert {id.version for id in ids} == {4}


def test_ids_of_another_command_are_others() -> None:
    assert Context(NOW, Metadata(command="c-1")).new_id() != Context(NOW, Metadata(command="c-2")).new_id()


def test_a_context_says_what_it_is() -> None:
    context = Context(NOW, Metadata(command="c-1"))

    assert repr(context) == "<Context of command c-1 at 2026-05-01T12:00:00+00:00>"


async def test_a_decision_that_is_made_again_gets_the_same_ids(store: EventStore, other: LiveApp) -> None:
    app, ids = App("ids"), list[UUID]()

    @app.handles
    def deposit(command: Deposit, account: Account, context: Context) -> Deposited:
        ids.append(context.new_id())
        return Deposited(command.account, command.amount)

    async with app.open(store) as live:
        await live.execute(Deposit("a", 1))
        await other.execute(Deposit("a", 1))
        await live.execute(Deposit("a", 1))

    first, before_the_conflict, after_the_conflict = ids
    assert before_the_conflict == after_the_conflict != first


async def test_ids_of_commands_are_passed_in_by_tests() -> None:
    calls = Calls()
    numbers = iter(range(1, 9))
    async with accounts_app(calls).open("memory:", new_id=lambda: UUID(int=next(numbers))) as live:
        receipt = await live.execute(Open("a"))

    [(_, context, *_)] = calls
    assert receipt.command_id == context.metadata.command == UUID(int=1).hex
    assert [event.number for event in receipt.events] == [
        str(id) for id in ids_of(Context(NOW, Metadata(command=receipt.command_id)))
    ]


def ids_of(context: Context) -> list[UUID]:
    return [context.new_id(), context.new_id()]


async def test_now_is_the_clock_and_for_an_import_the_time_it_happened() -> None:
    clock, calls = FakeClock(NOW), Calls()
    then = NOW - timedelta(days=1)
    async with accounts_app(calls).open("memory:", clock=clock) as live:
        await live.execute(Open("a"), time=then)
        await live.execute(Open("b"))

    assert [context.now for _, context, *_ in calls] == [then, NOW]


async def test_a_handler_sees_the_metadata_that_its_events_get(calls: Calls, live: LiveApp) -> None:
    with recording(actor="ann", tenant="north"):
        await live.execute(Open("a"), metadata=Metadata(reason="test"))

    [(_, context, *_)] = calls
    said = context.metadata
    assert (said.actor, said.reason, said.extra) == ("ann", "test", {"tenant": "north"})
    assert said.command_type == "Open"
    assert said.correlation == said.command


@pytest.mark.parametrize("given", [Metadata(command="c-1"), Metadata(command="c-1", correlation="c-0")])
async def test_a_correlation_that_is_given_is_kept_and_else_begins_with_the_command(
    calls: Calls, live: LiveApp, given: Metadata
) -> None:
    receipt = await live.execute(Open("a"), metadata=given)

    [(_, context, *_)] = calls
    assert receipt.command_id == "c-1"
    assert context.metadata.correlation == (given.correlation or "c-1")

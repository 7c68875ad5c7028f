"""How a state came about: each event that made it, with the state before and after, who, why, and caused by what."""

from datetime import timedelta
from itertools import pairwise
from typing import Annotated, Self

import msgspec
import pytest

from leftfold import App, DecisionModel, Event, Metadata, Tag, recording, replace
from leftfold.errors import UnknownName
from leftfold.testing import FakeClock
from tests.accounts import Account, Deposit, Deposited, Transfer, Transferred, Withdraw, accounts_app

MemberId = Annotated[str, Tag("member")]


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


class Moved(Event):
    member: MemberId
    street: str


class Named(Event):
    member: MemberId
    phone: str
    number: str


class Place(msgspec.Struct, frozen=True):
    street: str = ""
    town: str = ""


class Member(DecisionModel):
    member: MemberId
    place: Place = Place()
    phones: dict[str, str] = {}  # noqa: RUF012 msgspec copies it
    note: str = ""

    def evolve(self, event: Moved | Named) -> Self:
        if isinstance(event, Moved):
            return replace(self, place=Place(event.street, self.place.town))
        return replace(self, phones={**self.phones, event.phone: event.number})


async def test_the_event_that_gave_a_field_or_a_part_of_it_its_value_is_found() -> None:
    app = App("members")
    app.registry.add(Moved)
    app.registry.add(Named)
    events = [Named("m", "home", "1"), Moved("m", "Elm"), Named("m", "work", "2"), Moved("m", "Oak"), Moved("m", "Oak")]
    async with app.open("memory:") as live:
        await live.store.append([app.registry.encode(event, b"{}") for event in events])

        async def setting(field: str) -> list[int]:
            return [step.position for step in await live.explain(Member, "m", field=field)]

        assert await setting("place") == [4]
        assert await setting("place.street") == [4]
        assert await setting("place.town") == []
        assert await setting("phones") == [3]
        assert await setting("phones[home]") == [1]
        assert await setting("phones[hom") == []
        assert await setting("note") == []
        assert [each.position for each in await live.explain(Member, "m", as_of=2, field="place")] == [2]
        with pytest.raises(UnknownName, match="there is no field of Member 'street'"):
            await live.explain(Member, "m", field="street")


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

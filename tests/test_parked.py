"""What needs attention has one set of names and verbs, whatever kind of work it is."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, Self

import pytest

from leftfold import (
    App,
    Backoff,
    Command,
    DecisionModel,
    Event,
    LiveApp,
    Parked,
    ProcessManager,
    Reaction,
    ReadModel,
    SubmissionState,
    Tag,
)
from leftfold.errors import NotParked, UnknownName, WrongVerb
from leftfold.store import MemoryStore
from leftfold.testing import FakeClock

Name = Annotated[str, Tag("name")]
broken: set[str] = set()


class Said(Event):
    name: Name


class Say(Command):
    name: Name


class Fail(Command):
    name: Name


class Heard(ReadModel):
    name: Name
    times: int = 0

    def evolve(self, event: Said) -> Self:
        if "Heard" in broken:
            raise ValueError("too loud")
        return Heard(self.name, self.times + 1)  # type: ignore[return-value]


class Answering(ProcessManager):
    name: Name

    def evolve(self, event: Said) -> Self:
        return self

    def react(self, event: Said) -> Reaction:
        if "Answering" in broken:
            raise ValueError("no answer")
        return None


class Greeted(Event):
    name: Name
    other: Annotated[str, Tag("other")]


class Greet(Command):
    name: Name
    other: Annotated[str, Tag("other")]


class Meeting(ProcessManager):
    name: Name
    other: Annotated[str, Tag("other")]

    def evolve(self, event: Greeted) -> Self:
        return self

    def react(self, event: Greeted) -> Reaction:
        if "Meeting" in broken:
            raise ValueError("no answer")
        return None


class Nothing(DecisionModel):
    name: Name

    def evolve(self, event: Said) -> Self:
        return self


def say(command: Say) -> Said:
    return Said(command.name)


def greet(command: Greet) -> Greeted:
    return Greeted(command.name, command.other)


def fail(command: Fail, nothing: Nothing) -> Said:
    raise ConnectionError("no line")


def write_letter(event: Said) -> None:
    if "letters" in broken:
        raise ConnectionError("no post")


@pytest.fixture
async def live() -> AsyncIterator[LiveApp]:
    """An app in which everything that can be parked is parked."""
    broken.update(("Heard", "Answering", "letters"))
    app, clock = App("talk"), FakeClock()
    app.handles(say)
    app.handles(fail)
    app.read_model(Heard)
    app.process(Answering)
    app.reactor("letters", start="from_start")(write_letter)
    async with app.open(MemoryStore(clock), clock=clock, work=False, backoff=Backoff(attempts=1)) as live:
        await live.execute(Say("a"))
        await live.submit(Fail("a"), key="failing")
        await live.run_until_quiet()
        yield live


async def test_everything_that_is_parked_is_listed_with_its_kind(live: LiveApp) -> None:
    ticket = (await live.commands("failed"))[0].ticket

    assert await live.parked() == [
        Parked("projection Heard", ("a",), 1, "ValueError: too loud", 1),
        Parked("process Answering", ("a",), 1, "ValueError: no answer"),
        Parked("reactor letters", (1,), 1, "ConnectionError: no post"),
        Parked("commands", (ticket,), None, "ConnectionError: no line"),
    ]


@pytest.mark.parametrize("name", [Heard, "Heard", "projection Heard", Answering, "process Answering", "letters"])
async def test_a_name_is_a_class_or_a_text_with_or_without_its_kind(live: LiveApp, name: Any) -> None:
    [parked] = await live.parked(name)

    assert parked.name.endswith(name if isinstance(name, str) else name.__name__)


async def test_what_is_listed_can_be_retried_as_it_is_listed(live: LiveApp) -> None:
    broken.clear()
    for parked in (await live.parked())[:3]:
        assert await live.retry(parked.name, *parked.key) == []
    await live.run_until_quiet()

    assert [parked.name for parked in await live.parked()] == ["commands"]


@pytest.mark.parametrize("key", [("a" * 490, "b"), ("a/b", "c%"), ("", "~")])
async def test_an_instance_is_retried_by_its_key_also_if_its_name_in_the_log_is_a_digest(key: tuple[str, str]) -> None:
    broken.add("Meeting")
    app = App("talk")
    app.handles(greet)
    app.process(Meeting)
    async with app.open("memory:", work=False) as live:
        await live.execute(Greet(*key))
        await live.run_until_quiet()
        [parked] = await live.parked(Meeting)
        broken.clear()

        assert await live.retry(parked.name, *parked.key) == []
        await live.run_until_quiet()

        assert parked.key == key
        assert await live.parked() == []


async def test_what_is_listed_can_be_skipped_or_cancelled_as_it_is_listed(live: LiveApp) -> None:
    *parked, command = await live.parked()
    for each in parked:
        assert await live.skip(each.name, *each.key, reason="too old") == []
    await live.cancel(command.name, *command.key, reason="too old")
    await live.run_until_quiet()

    assert await live.parked() == []


async def test_without_a_key_all_failed_commands_are_retried(live: LiveApp) -> None:
    assert await live.retry("commands") == []

    assert [each.state for each in await live.commands("pending")] == ["open"]


async def test_a_name_that_nothing_has_is_refused_with_those_that_there_are(live: LiveApp) -> None:
    with pytest.raises(UnknownName, match="'letter'") as refused:
        await live.retry("letter")

    assert refused.value.known == ("projection Heard", "process Answering", "reactor letters", "commands")
    assert "letters" in refused.value.remedy


async def test_a_name_that_two_things_have_is_refused_unless_its_kind_is_given() -> None:
    app = App("twice")
    app.read_model(Heard)
    app.reactor("Heard", start="from_start")(write_letter)
    async with app.open("memory:", work=False) as live:
        with pytest.raises(UnknownName, match="write 'projection Heard' or 'reactor Heard'") as refused:
            await live.parked("Heard")
        assert refused.value.ambiguous
        assert await live.parked("reactor Heard") == []


async def test_a_verb_that_does_not_fit_says_which_one_does(live: LiveApp) -> None:
    with pytest.raises(WrongVerb, match="cancel, for a submitted command"):
        await live.skip("commands", "x", reason="no")
    with pytest.raises(WrongVerb, match="the position of one event"):
        await live.skip("letters", reason="no")
    for name in ("letters", "Heard"):
        with pytest.raises(WrongVerb, match="skip, which passes over one event"):
            await live.cancel(name, 1, reason="no")
    with pytest.raises(NotParked):
        await live.retry(Answering, "b")


@pytest.mark.parametrize("state", ["open", "unknown", "Failed", ""])
async def test_a_state_that_commands_do_not_have_is_refused_by_name(live: LiveApp, state: str) -> None:
    with pytest.raises(UnknownName, match=repr(state)) as refused:
        await live.commands(state)

    assert refused.value.known == tuple(SubmissionState)


async def test_a_state_is_a_member_or_its_name(live: LiveApp) -> None:
    assert await live.commands(SubmissionState.FAILED) == await live.commands(["failed"]) != []

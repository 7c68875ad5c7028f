"""Traces: what one request led to, over processes, reactors, timers, rejections and retries, with times and rows."""

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Self

import msgspec
import pytest

from leftfold import (
    ALL,
    App,
    Backoff,
    Command,
    Criteria,
    DecisionModel,
    EndProcess,
    Event,
    LiveApp,
    Metadata,
    NewEvent,
    ProcessManager,
    Reaction,
    ReadModel,
    Rejected,
    RowChange,
    Schedule,
    Tag,
    recording,
    replace,
)
from leftfold.errors import UnknownTrace, UsageError
from leftfold.model.metadata import encode_metadata
from leftfold.store import MemoryStore
from leftfold.store.inspection import mentioning
from leftfold.testing import FakeClock
from leftfold.trace import Trace, TracedCommand, TracedEvent
from leftfold_torture.postgres_server import PostgresServer
from tests.postgres import DATABASE

ParcelId = Annotated[str, Tag("parcel")]


class Sent(Event, wire="sent"):
    parcel: ParcelId
    hops: int = 0


class Arrived(Event, wire="arrived"):
    parcel: ParcelId


class Lost(Event, wire="lost"):
    parcel: ParcelId


class Send(Command):
    parcel: ParcelId
    hops: int = 0


class Deliver(Command):
    parcel: ParcelId


class Search(Command):
    parcel: ParcelId


class Parcel(DecisionModel):
    parcel: ParcelId
    sent: bool = False
    arrived: bool = False

    def evolve(self, event: Sent | Arrived) -> Self:
        return replace(self, arrived=True) if isinstance(event, Arrived) else replace(self, sent=True)


class Outside:
    """What the handlers and reactors meet in the world outside."""

    broken = False
    unreadable = False


post = App("post")
world = Outside()


@post.handles
def send(command: Send) -> Sent:
    return Sent(command.parcel, command.hops)


@post.handles
def deliver(command: Deliver, parcel: Parcel) -> Arrived:
    if world.broken:
        raise ConnectionError("the van does not start")
    if parcel.arrived:
        raise Rejected("it has arrived before", parcel=command.parcel)
    return Arrived(command.parcel)


@post.handles
def search(command: Search, parcel: Parcel) -> Lost | None:
    return None if parcel.arrived else Lost(command.parcel)


@post.process
class Delivery(ProcessManager):
    parcel: ParcelId

    def evolve(self, event: Sent | Arrived) -> Self:
        return self

    def react(self, event: Sent | Arrived) -> Reaction:
        if world.unreadable:
            raise ValueError("the address cannot be read")
        if isinstance(event, Arrived):
            return EndProcess()
        if event.hops:
            return Send(self.parcel, event.hops - 1)
        return [Deliver(self.parcel), Schedule(Search(self.parcel), delay=timedelta(days=2))]


@post.reactor("mail", start="from_start", backoff=Backoff(attempts=2))
def mail(event: Arrived) -> None:
    if world.broken:
        raise ConnectionError("no route to the mail server")


@post.read_model(history=True)
class Where(ReadModel):
    parcel: ParcelId
    place: str = "nowhere"

    def evolve(self, event: Sent | Arrived) -> Self:
        return replace(self, place="at home" if isinstance(event, Arrived) else "on the road")


@post.read_model
class Known(ReadModel):
    parcel: ParcelId

    def evolve(self, event: Sent) -> Self:
        return self


@pytest.fixture
def outside() -> Iterator[Outside]:
    yield world
    world.broken = world.unreadable = False


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def live(clock: FakeClock) -> AsyncIterator[LiveApp]:
    backoff = Backoff(attempts=2)
    async with post.open(MemoryStore(clock), clock=clock, work=False, backoff=backoff) as live:
        yield live


def commands_in(trace: Trace) -> list[TracedCommand]:
    """Every command of the tree, in its order."""
    return [each for root in trace.commands for each in below(root)]


def below(command: TracedCommand) -> Iterator[TracedCommand]:
    yield command
    for event in command.events:
        for caused in (*(each for reaction in event.reactions for each in reaction.commands), *event.commands):
            yield from below(caused)
    for caused in command.commands:
        yield from below(caused)


def events_in(trace: Trace) -> list[TracedEvent]:
    return [event for command in commands_in(trace) for event in command.events]


def shape_of(trace: Trace) -> list[Any]:
    """The tree without ids and times."""

    def of(command: TracedCommand) -> Any:
        events = [
            (
                event.type,
                [
                    (reaction.by, reaction.state, [of(each) for each in reaction.commands])
                    for reaction in event.reactions
                ],
                [of(each) for each in event.commands],
            )
            for event in command.events
        ]
        return (command.type, command.state, events, [of(each) for each in command.commands])

    return [of(each) for each in trace.commands]


ARRIVED = ("arrived", [("process Delivery/p", "answered", []), ("reactor mail", "handled", [])], [])
DELIVER = ("Deliver", "handled", [ARRIVED], [])
SEARCH = ("Search", "scheduled", [], [])
SENT = ("sent", [("process Delivery/p", "answered", [DELIVER, SEARCH])], [])
DELIVERED = [("Send", "executed", [SENT], [])]


async def test_a_trace_shows_events_reactions_timers_and_what_came_of_them(live: LiveApp) -> None:
    receipt = await live.execute(Send("p"))
    await live.run_until_quiet()

    assert shape_of(await live.trace(receipt)) == DELIVERED


@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
async def test_a_trace_is_the_same_on_every_backend(backend: str, tmp_path: Path, postgres: PostgresServer) -> None:
    url = f"sqlite:///{tmp_path}/log.db" if backend == "sqlite" else postgres.url(DATABASE, log="traces")
    async with post.open(url, work=("projections",)) as live:
        await live.execute(Send("another"))
        receipt = await live.execute(Send("p"))
        await live.run_until_quiet()
        trace = await live.trace(receipt)

    assert shape_of(trace) == DELIVERED
    assert [each.after.place for event in events_in(trace) for each in event.rows if each.after] == [
        "on the road",
        "at home",
    ]


async def test_anything_that_belongs_to_a_request_leads_to_the_same_trace(live: LiveApp) -> None:
    await live.execute(Send("other"))
    receipt = await live.execute(Send("p"))
    await live.run_until_quiet()
    trace = await live.trace(receipt)
    ids = [each.id for each in commands_in(trace) if each.id]
    own = [
        event.position
        async for batch in live.store.read()
        for event in batch.events
        if b"correlation" in event.metadata and receipt.command_id.encode() in event.metadata
    ]

    assert len(ids) == 3
    assert len(own) >= 6
    for each in (*ids, *own, trace.correlation or ""):
        found = await live.trace(each)
        assert msgspec.structs.replace(found, head=trace.head) == trace


async def test_what_happened_between_other_requests_is_left_out(live: LiveApp) -> None:
    first, second = await live.execute(Send("p")), await live.execute(Send("q"))
    await live.run_until_quiet()

    for receipt, parcel in ((first, "p"), (second, "q")):
        assert {event.event.parcel for event in events_in(await live.trace(receipt))} == {parcel}


async def test_each_step_says_how_long_it_waited(live: LiveApp, clock: FakeClock) -> None:
    receipt = await live.execute(Send("p"))
    clock.advance(timedelta(seconds=3))
    await live.run_until_quiet()
    clock.advance(timedelta(days=2))
    await live.run_until_quiet()

    sent, deliver, search = commands_in(await live.trace(receipt))
    assert sent.waited is None
    assert sent.events[0].reactions[0].waited == 3.0
    assert deliver.waited == 0.0
    assert search.state == "handled"
    assert search.waited == timedelta(days=2).total_seconds()


async def test_a_rejection_and_its_details_are_part_of_a_trace(live: LiveApp) -> None:
    await live.execute(Send("p"))
    await live.run_until_quiet()

    with recording(actor="ann", reason="a second try"):
        ticket = await live.submit(Deliver("p"))
    await live.run_until_quiet()

    [rejected] = (await live.trace(ticket.id)).commands
    assert (rejected.state, rejected.problem, rejected.details) == (
        "rejected",
        "it has arrived before",
        {"parcel": "p"},
    )
    assert (rejected.actor, rejected.reason, rejected.data) == ("ann", "a second try", {"parcel": "p"})


async def test_failed_attempts_are_listed_until_the_command_fails_and_is_retried(
    live: LiveApp, outside: Outside, clock: FakeClock
) -> None:
    ticket = await live.submit(Deliver("p"))
    outside.broken = True
    for _ in range(2):
        await live.run_until_quiet()
        clock.advance(timedelta(hours=1))
    [failed] = (await live.trace(ticket.id)).commands
    outside.broken = False
    await ticket.retry()
    await live.run_until_quiet()
    [handled] = (await live.trace(ticket.id)).commands

    assert (failed.state, [each.attempt for each in failed.attempts]) == ("failed", [1, 2])
    assert "the van does not start" in (failed.problem or "")
    assert [each.due is None for each in failed.attempts] == [False, True]
    assert (handled.state, len(handled.attempts), handled.problem) == ("handled", 2, None)


async def test_a_reactor_is_shown_as_waiting_parked_skipped_or_handled(
    live: LiveApp, outside: Outside, clock: FakeClock
) -> None:
    receipt = await live.execute(Send("p"))
    states: list[tuple[str, int]] = []

    async def note() -> None:
        [arrived] = [event for event in events_in(await live.trace(receipt)) if event.type == "arrived"]
        [reaction] = [each for each in arrived.reactions if each.by == "reactor mail"]
        states.append((reaction.state, len(reaction.attempts)))

    deliver = live.run_until_quiet
    await live.execute(Deliver("p"), metadata=Metadata(correlation=receipt.command_id))
    await note()
    outside.broken = True
    await deliver()
    await note()
    clock.advance(timedelta(hours=1))
    await deliver()
    await note()
    await live.skip("reactor mail", (await live.parked("reactor mail"))[0].key[0], reason="it was a test")
    await note()

    assert states == [("pending", 0), ("waiting", 1), ("parked", 2), ("skipped", 2)]


async def test_a_reactor_that_succeeds_at_a_later_attempt_is_shown_as_handled_with_the_attempts_before(
    live: LiveApp, outside: Outside, clock: FakeClock
) -> None:
    with recording(correlation="two at once"):
        await live.execute_many([Deliver("p"), Deliver("q")])
    outside.broken = True
    await live.run_until_quiet()
    outside.broken = False
    clock.advance(timedelta(hours=1))
    await live.run_until_quiet()

    for event in events_in(await live.trace("two at once")):
        [reaction] = [each for each in event.reactions if each.by == "reactor mail"]
        assert (reaction.state, len(reaction.attempts), reaction.error) == ("handled", 1, None)
        assert reaction.waited == timedelta(hours=1).total_seconds()


async def test_the_commands_of_a_batch_are_found_by_the_id_of_the_batch(live: LiveApp) -> None:
    await live.execute_many([Send("p"), Send("q")], metadata=Metadata(command="batch", correlation="another"))

    trace = await live.trace("batch")
    assert [each.id for each in trace.commands] == ["batch/1", "batch/2"]


later = App("later")
later.event(Sent, Arrived, Lost)


@later.reactor("post", start="from_now")
def post_later(event: Lost) -> None:
    """Receive what is lost from now on."""


async def test_an_event_from_before_a_reactor_began_is_not_shown_as_handled_by_it(clock: FakeClock) -> None:
    store = MemoryStore(clock)
    record = NewEvent("lost", b'{"parcel":"p"}', ("parcel:p",), 1, b'{"correlation":"c"}')
    before = await store.append([record])
    async with later.open(store, clock=clock, work=False) as live:
        after = await live.store.append([record])
        await live.run_until_quiet()
        found = {event.position: event.reactions for event in events_in(await live.trace("c"))}

    assert found[before.first] == ()
    assert [each.state for each in found[after.first]] == ["handled"]


async def test_a_process_that_is_parked_shows_its_error_and_what_a_person_did(live: LiveApp, outside: Outside) -> None:
    outside.unreadable = True
    receipt = await live.execute(Send("p"))
    await live.run_until_quiet()
    [parked] = events_in(await live.trace(receipt))[0].reactions
    await live.skip("process Delivery", "p", reason="no address")
    [skipped] = events_in(await live.trace(receipt))[0].reactions

    assert (parked.state, skipped.state) == ("parked", "skipped")
    assert "the address cannot be read" in (parked.error or "")


async def test_a_process_that_is_retried_is_shown_by_its_answer(live: LiveApp, outside: Outside) -> None:
    outside.unreadable = True
    receipt = await live.execute(Send("p"))
    await live.run_until_quiet()
    outside.unreadable = False
    await live.retry("process Delivery", "p")
    await live.run_until_quiet()

    [answered] = events_in(await live.trace(receipt))[0].reactions
    assert answered.state == "answered"
    assert [each.type for each in answered.commands] == ["Deliver", "Search"]


async def test_rows_are_shown_before_and_after_each_event_if_their_model_keeps_history(live: LiveApp) -> None:
    receipt = await live.execute(Send("p"))
    await live.run_until_quiet()

    sent, arrived = events_in(await live.trace(receipt))
    rows = {(row.model, row.key): row for row in sent.rows}
    assert rows["Where", ("p",)].before is None
    assert rows["Where", ("p",)].after.place == "on the road"
    assert (rows["Known", ("p",)].before, rows["Known", ("p",)].after) == (None, None)
    [row] = arrived.rows
    assert (row.before.place, row.after.place) == ("on the road", "at home")


async def test_requests_that_share_a_correlation_are_one_trace(live: LiveApp) -> None:
    await live.execute(Send("unrelated"))
    with recording(correlation="import of Monday"):
        first = await live.execute(Send("p"))
        await live.execute(Send("q"))

    for of in (first, "import of Monday", first.command_id):
        trace = await live.trace(of)
        assert trace.correlation == "import of Monday"
        assert [each.events[0].event.parcel for each in trace.commands] == ["p", "q"]


async def test_a_command_caused_by_a_command_is_below_it(live: LiveApp) -> None:
    first = await live.execute(Send("p"))
    await live.execute(Send("q"), metadata=Metadata(correlation=first.command_id, cause=first.command_id))
    await live.execute(Send("r"), metadata=Metadata(correlation=first.command_id, cause=first.position))

    [root] = (await live.trace(first)).commands
    assert [each.events[0].event.parcel for each in root.commands] == ["q"]
    assert [each.events[0].event.parcel for each in root.events[0].commands] == ["r"]


async def test_events_that_no_command_made_are_shown_as_appended(live: LiveApp) -> None:
    plain = NewEvent("sent", b'{"parcel":"p"}', ("parcel:p",))
    appended = await live.store.append([plain])

    [only] = (await live.trace(appended.first)).commands
    assert (only.state, only.id, [each.type for each in only.events]) == ("appended", None, ["sent"])


async def test_causes_that_are_nonsense_leave_no_event_out_and_go_round_in_no_circle(live: LiveApp) -> None:
    for place in range(1, 7):  # each says that the one after it caused it, the last says the first
        said = Metadata(command=f"c{place}", correlation="circle", cause=place % 6 + 1)
        await live.store.append([NewEvent("sent", b'{"parcel":"p"}', ("parcel:p",), 1, encode_metadata(said))])
    for cause in (7, -1, 10**9, "c8", "nobody"):
        said = Metadata(command="c8", correlation="circle", cause=cause)
        await live.store.append([NewEvent("sent", b'{"parcel":"p"}', ("parcel:p",), 1, encode_metadata(said))])

    assert sorted(event.position for event in events_in(await live.trace("circle"))) == list(range(1, 12))


async def test_a_chain_of_a_thousand_commands_needs_no_deep_stack(live: LiveApp) -> None:
    receipt = await live.execute(Send("p", 1_000))
    await live.run_until_quiet()

    trace = await live.trace(receipt)
    found = commands_in(trace)
    assert len(found) == 1_003
    assert [each.position for each in events_in(trace)] == sorted(each.position for each in events_in(trace))
    assert len(trace.commands) == 1_001 // 51 + 1
    assert all(each.cause is not None for each in trace.commands[1:])
    assert len(msgspec.json.encode(trace)) > 100_000


async def test_an_unknown_text_or_position_is_refused_with_what_there_is(live: LiveApp) -> None:
    await live.execute(Send("p"))

    wrong: tuple[Any, ...] = ("nobody", "", "a\nb", "\ud800", 0, -1, 2, True, None, 1.0)
    for of in wrong:
        with pytest.raises(UnknownTrace, match="position from 1 to 1"):
            await live.trace(of)


async def test_a_receipt_without_events_leads_to_no_trace_of_others(live: LiveApp) -> None:
    await live.execute(Deliver("p"))
    nothing = await live.execute(Search("p"))

    assert nothing.events == ()
    with pytest.raises(UnknownTrace, match=nothing.command_id):
        await live.trace(nothing)


async def test_a_search_reports_how_far_it_has_come(live: LiveApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leftfold.store.inspection.POSITIONS_PER_SEARCH", 4)
    for _ in range(9):
        await live.store.append([NewEvent("sent", b'{"parcel":"p"}', ("parcel:p",))])
    receipt = await live.execute(Send("p"), metadata=Metadata(correlation="x"))
    seen: list[tuple[int, int]] = []

    await live.trace(receipt, progress=lambda done, head: seen.append((done, head)))

    assert seen == [(4, 10), (8, 10), (10, 10)]


class PlainStore:
    """A store that cannot search by itself."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def read(self, criteria: Criteria = ALL, **options: Any) -> Any:
        return self._store.read(criteria, **options)


async def test_a_store_that_cannot_search_is_read(clock: FakeClock) -> None:
    store = MemoryStore(clock)
    for said in (b'{"correlation":"a"}', b"{}", b'{"correlation":"ab"}'):
        await store.append([NewEvent("sent", b"{}", (), 1, said)])
    plain: Any = PlainStore(store)

    assert [each.position async for each in mentioning(plain, b'"a', after=0, upto=3)] == [1, 3]
    assert [each.position async for each in mentioning(plain, b'"a', after=1, upto=2)] == []


# --- changes


async def test_changes_list_each_row_before_and_after_each_event(live: LiveApp) -> None:
    await live.execute(Send("p"))
    await live.execute(Send("q"))
    await live.run_until_quiet()

    found = await live.changes(Where)
    places = [(each.key, each.before and each.before.place, each.after and each.after.place) for each in found]
    assert places == [
        (("p",), None, "on the road"),
        (("q",), None, "on the road"),
        (("p",), "on the road", "at home"),
        (("q",), "on the road", "at home"),
    ]
    positions = [each.position for each in found]
    assert positions == sorted(positions)
    for cut in positions:
        assert await live.changes(Where, upto=cut) == [each for each in found if each.position <= cut]
        assert await live.changes(Where, after=cut) == [each for each in found if each.position > cut]
    for limit in range(1, 5):
        assert await live.changes(Where, limit=limit) == found[:limit]
    for wrong in (0, -1, "x", 1.5, True, None):
        with pytest.raises(UsageError, match="whole number from 1 on"):
            await live.changes(Where, limit=wrong)  # type: ignore[arg-type]


class Merged(Event, wire="merged"):
    parcel: ParcelId
    other: ParcelId


@later.read_model(history=True)
class Merges(ReadModel):
    parcel: ParcelId
    count: int = 0

    def evolve(self, event: Merged) -> Self:
        return replace(self, count=self.count + 1)


async def test_the_changes_of_one_event_are_never_divided(clock: FakeClock) -> None:
    async with later.open(MemoryStore(clock), clock=clock, work=False) as live:
        for pair in (("a", "b"), ("a", "c"), ("b", "c")):
            await live.store.append([later.registry.encode(Merged(*pair), b"{}")])
        await live.run_until_quiet()
        everything = await live.changes(Merges, wait_timeout=60)

        assert [each.position for each in everything] == [2, 2, 3, 3, 4, 4]  # the first is where the reactor begins
        for limit in range(1, 8):
            seen: list[RowChange] = []
            while page := await live.changes(Merges, after=seen[-1].position if seen else 0, limit=limit):
                seen += page
                assert len(page) % 2 == 0
            assert seen == everything


async def test_changes_of_a_model_without_history_are_refused(live: LiveApp) -> None:

    with pytest.raises(UsageError, match="keeps no history"):
        await live.changes(Known)

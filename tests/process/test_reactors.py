"""Reactors: each event at least once, failures tried again and parked, nothing run again by a rebuild."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any, Self

import pytest

from leftfold import (
    App,
    Backoff,
    Command,
    Delivery,
    Event,
    EventStore,
    LiveApp,
    NewEvent,
    ReadModel,
    Tag,
    recording,
    replace,
)
from leftfold.errors import InvalidHandler, NotParked, StoreFailed, UnknownName
from leftfold.model.metadata import decode_metadata, present_metadata
from leftfold.query import models_url
from leftfold.query.rebuild import rebuild
from leftfold.reaction import follower as reactor_follower
from leftfold.reaction.reactors import MAX_WAITING_EVENTS
from leftfold.store import MemoryStore, StoredEvent
from leftfold.testing import FakeClock
from tests.patience import PATIENCE

Name = Annotated[str, Tag("name")]


class Joined(Event):
    name: Name


class Left(Event):
    name: Name


class Join(Command):
    name: Name


class Members(ReadModel):
    name: Name
    joined: int = 0

    def evolve(self, event: Joined) -> Self:
        return replace(self, joined=self.joined + 1)


class Mail:
    """An app with a reactor that sends mail, unless the name's line is down."""

    def __init__(self, **options: Any) -> None:
        self.app = App("club")
        self.down: set[str] = set()
        self.sent: list[str] = []
        self.deliveries: list[Delivery] = []
        self.app.handles(self.join)
        self.app.reactor("mail", **{"start": "from_start", **options})(self.send)

    def join(self, command: Join) -> Joined:
        return Joined(command.name)

    async def send(self, event: Joined | Left, delivery: Delivery) -> None:
        self.deliveries.append(delivery)
        await asyncio.sleep(0)
        if event.name in self.down:
            raise ConnectionError(f"no line to {event.name}")
        self.sent.append(event.name)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store(clock: FakeClock) -> EventStore:
    return MemoryStore(clock)


@pytest.fixture
def mail() -> Mail:
    return Mail()


@pytest.fixture
async def live(mail: Mail, store: EventStore, clock: FakeClock) -> AsyncIterator[LiveApp]:
    async with mail.app.open(store, clock=clock, work=False, backoff=Backoff(1, 60, attempts=3)) as live:
        yield live


async def events_of(store: EventStore, kind: str) -> list[StoredEvent]:
    wanted = f"leftfold.reactor.{kind}"
    return [event async for batch in store.read() for event in batch.events if event.type == wanted]


async def join(live: LiveApp, *names: str) -> None:
    for name in names:
        await live.execute(Join(name))


async def until_it_gives_up(live: LiveApp, clock: FakeClock) -> None:
    for _ in range(3):
        await live.run_until_quiet()
        clock.advance(minutes=2)


async def test_each_event_is_reacted_to_once_when_nothing_fails(live: LiveApp, mail: Mail) -> None:
    names = [f"n{number}" for number in range(100)]
    await join(live, *names)

    await live.run_until_quiet()
    await live.run_until_quiet()

    assert mail.sent == names
    [status] = await live.reactors()
    assert (status.state, status.lag, status.behind) == ("running", 0, None)


async def test_a_reactor_is_told_of_the_event_what_can_be_told(
    live: LiveApp, mail: Mail, store: EventStore, clock: FakeClock
) -> None:
    with recording(actor="ann"):
        await join(live, "bob")

    await live.run_until_quiet()

    [delivery] = mail.deliveries
    assert (delivery.key, delivery.position, delivery.time, delivery.attempt) == ("mail/1", 1, clock.now(), 1)
    assert delivery.metadata.actor == "ann"


async def test_what_a_reactor_appends_is_caused_by_the_event(store: EventStore, clock: FakeClock) -> None:
    app, said = App("club"), list[Any]()
    app.event(Joined)

    @app.reactor("one", start="from_start")
    async def one(event: Joined) -> None:
        said.append(present_metadata())

    @app.reactor("two", start="from_start")
    def two(event: Joined) -> None:
        said.append(present_metadata())

    await store.append([app.registry.encode(Joined("a"), b'{"correlation":"visit"}')])
    async with app.open(store, clock=clock, work=False) as live:
        await live.run_until_quiet()

    assert [(each.cause, each.correlation, each.extra["reactor"]) for each in said] == [
        (1, "visit", "one"),
        (1, "visit", "two"),
    ]


async def test_a_plain_function_runs_in_a_thread(store: EventStore, clock: FakeClock) -> None:
    app, threads = App("club"), list[str]()

    @app.reactor("plain", start="from_start")
    def plain(event: Joined) -> None:
        threads.append(threading.current_thread().name)

    await store.append([app.registry.encode(Joined("a"), b"{}")])
    async with app.open(store, clock=clock, work=False) as live:
        await live.run_until_quiet()

    assert len(threads) == 1
    assert threads[0].startswith("leftfold reactor")


async def test_no_more_events_are_given_at_once_than_the_definition_says(store: EventStore, clock: FakeClock) -> None:
    app, now, most = App("club"), 0, 0

    @app.reactor("few", start="from_start", at_once=3)
    async def few(event: Joined) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        for _ in range(3):
            await asyncio.sleep(0)
        now -= 1

    await store.append([app.registry.encode(Joined(f"n{number}"), b"{}") for number in range(20)])
    async with app.open(store, clock=clock, work=False) as live:
        await live.run_until_quiet()

    assert most == 3


# --- where it begins


async def test_from_now_on_means_from_the_first_opening_on(store: EventStore, clock: FakeClock) -> None:
    mail = Mail(start="from_now")
    async with Mail().app.open(store, clock=clock, work=False) as live:
        await join(live, "past")
    async with mail.app.open(store, clock=clock, work=False) as live:
        await join(live, "first")
    async with mail.app.open(store, clock=clock, work=False) as live:
        await join(live, "second")
        await live.run_until_quiet()

    assert mail.sent == ["first", "second"]


async def test_in_a_test_of_the_whole_app_now_is_before_the_first_event(clock: FakeClock) -> None:
    mail = Mail(start="from_now")
    async with mail.app.test(clock) as live:
        await join(live, "a")
        await live.run_until_quiet()

    assert mail.sent == ["a"]


async def test_a_restarted_worker_reacts_to_what_is_new_alone(store: EventStore, clock: FakeClock, mail: Mail) -> None:
    for name in ("a", "b", "c"):
        async with mail.app.open(store, clock=clock, work=False) as live:
            await join(live, name)
            await live.run_until_quiet()

    assert mail.sent == ["a", "b", "c"]


async def test_nothing_is_appended_while_nothing_is_of_concern_but_now_and_then(
    store: EventStore, clock: FakeClock, mail: Mail, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reactor_follower, "POSITIONS_PER_CHECKPOINT", 10)
    other = App("other")

    class Noise(Event):
        pass

    async with mail.app.open(store, clock=clock, work=False) as live:
        for _ in range(25):
            await store.append([other.registry.encode(Noise(), b"{}")])
            await live.run_until_quiet()

    assert len(await events_of(store, "checkpoint")) == 2
    assert await events_of(store, "reacted") == []


async def test_a_rebuild_reacts_to_nothing(tmp_path: Any, mail: Mail) -> None:
    mail.app.read_model(Members)
    url = f"sqlite:///{tmp_path}/club.db"
    async with mail.app.open(url, work=("projections",)) as live:
        await join(live, "a", "b")
        await live.run_until_quiet()
    async with mail.app.open(url, work=False) as live:
        definition = mail.app.read_models[Members]
        done = await rebuild(definition, live.store, mail.app.registry, models_url(url), dry_run=False)
        await live.run_until_quiet()

    assert done.swapped
    assert mail.sent == ["a", "b"]


# --- failures


async def test_a_failing_event_is_tried_again_later_while_others_go_on(
    live: LiveApp, mail: Mail, clock: FakeClock
) -> None:
    mail.down = {"b"}
    await join(live, "a", "b", "c")
    await live.run_until_quiet()
    [status] = await live.reactors()
    [waiting] = status.waiting
    assert (mail.sent, status.state) == (["a", "c"], "waiting")
    assert (waiting.position, waiting.attempts, waiting.error) == (2, 1, "ConnectionError: no line to b")
    assert waiting.due is not None
    assert 0.5 <= (waiting.due - clock.now()).total_seconds() <= 1

    mail.down.clear()
    await live.run_until_quiet()
    assert mail.sent == ["a", "c"]
    clock.advance(seconds=1)
    await live.run_until_quiet()

    assert mail.sent == ["a", "c", "b"]
    assert (await live.reactors())[0].outstanding == ()
    assert [each.attempt for each in mail.deliveries if each.position == 2] == [1, 2]


async def test_an_event_that_fails_too_often_is_parked_until_it_is_retried(
    live: LiveApp, mail: Mail, clock: FakeClock, store: EventStore
) -> None:
    mail.down = {"b"}
    await join(live, "a", "b", "c")
    await until_it_gives_up(live, clock)
    [status] = await live.reactors()
    assert [(each.position, each.attempts) for each in status.parked] == [(2, 3)]
    clock.advance(days=1)
    await live.run_until_quiet()
    assert len(mail.deliveries) == 5

    mail.down.clear()
    with recording(actor="ann", reason="line repaired"):
        assert await live.retry("reactor mail", 2) == []
    await live.run_until_quiet()

    assert mail.sent == ["a", "c", "b"]
    assert (await live.reactors())[0].state == "running"
    [retried] = await events_of(store, "retried")
    assert decode_metadata(retried.metadata).actor == "ann"


async def test_an_event_that_is_skipped_is_never_reacted_to_and_the_log_says_why(
    live: LiveApp, mail: Mail, clock: FakeClock, store: EventStore
) -> None:
    mail.down = {"b"}
    await join(live, "b")
    await live.run_until_quiet()

    await live.skip("reactor mail", 1, reason="no longer wanted")
    mail.down.clear()
    clock.advance(days=1)
    await live.run_until_quiet()

    assert mail.sent == []
    assert (await live.reactors())[0].outstanding == ()
    [skipped] = await events_of(store, "skipped")
    assert decode_metadata(skipped.metadata).reason == "no longer wanted"


async def test_all_that_is_parked_is_retried_together(live: LiveApp, mail: Mail, clock: FakeClock) -> None:
    names = [f"n{number}" for number in range(30)]
    mail.down = set(names)
    await join(live, *names)
    for _ in range(20):
        await until_it_gives_up(live, clock)
    assert len(await live.parked("reactor mail")) == 30

    mail.down.clear()
    assert await live.retry("reactor mail") == []
    await live.run_until_quiet()

    assert sorted(mail.sent) == sorted(names)
    assert await live.parked() == await live.retry("reactor mail") == []


async def test_what_neither_waits_nor_is_parked_is_not_retried_or_skipped(live: LiveApp, mail: Mail) -> None:
    await join(live, "a")
    await live.run_until_quiet()

    with pytest.raises(NotParked):
        await live.retry("reactor mail", 1)
    with pytest.raises(NotParked):
        await live.skip("reactor mail", 1, reason="no")
    with pytest.raises(UnknownName, match="'reactor mail'"):
        await live.retry("reactor male", 1)


async def test_waiting_and_parked_events_survive_a_restart(
    store: EventStore, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reactor_follower, "APPENDS_PER_CHECKPOINT", 2)
    mail = Mail(backoff=Backoff(10, 60, attempts=2))
    mail.down = {"a", "b"}
    for names in (("a",), ("x", "b"), ("y",)):
        async with mail.app.open(store, clock=clock, work=False) as live:
            await join(live, *names)
            await live.run_until_quiet()
            clock.advance(seconds=4)

    clock.advance(minutes=1)
    async with mail.app.open(store, clock=clock, work=False) as live:
        await live.run_until_quiet()
        [status] = await live.reactors()
        assert [(each.attempts, each.state) for each in status.outstanding] == [(2, "parked")] * 2
        mail.down.clear()
        await live.retry("reactor mail")
    async with mail.app.open(store, clock=clock, work=False) as live:
        await live.run_until_quiet()

    assert sorted(mail.sent) == ["a", "b", "x", "y"]


async def test_an_event_that_cannot_be_read_is_parked_as_one_that_fails(
    live: LiveApp, mail: Mail, clock: FakeClock, store: EventStore
) -> None:
    await store.append([NewEvent("Joined", b'{"name": 7}')])
    await join(live, "a")

    await until_it_gives_up(live, clock)

    [parked] = (await live.reactors())[0].parked
    assert parked.error is not None
    assert "Joined v1 at position 1 cannot be read" in parked.error
    assert mail.sent == ["a"]


async def test_an_error_whose_message_cannot_be_had_or_stored_is_parked_too(
    store: EventStore, clock: FakeClock
) -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    app = App("odd")
    errors: list[Exception] = [Mute(), ValueError("\ud800" * 5_000)]

    @app.reactor("odd", start="from_start", backoff=Backoff(attempts=1), in_order=False)
    async def odd(event: Joined) -> None:
        raise errors[event.name == "b"]

    await store.append([app.registry.encode(Joined(name), b"{}") for name in ("a", "b")])
    async with app.open(store, clock=clock, work=False) as live:
        await live.run_until_quiet()

        [first, second] = (await live.reactors())[0].parked
        assert first.error == "Mute"
        assert (second.error or "").startswith("ValueError: ?")


async def test_a_reactor_whose_service_is_down_waits_and_reads_no_further(
    store: EventStore, clock: FakeClock, mail: Mail, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reactor_follower, "MAX_WAITING_EVENTS", 20)
    names = [f"n{number}" for number in range(200)]
    mail.down = set(names)
    async with mail.app.open(store, clock=clock, work=False) as live:
        await join(live, *names)
        await live.run_until_quiet()
        [status] = await live.reactors()
        assert 20 <= len(status.waiting) < 20 + 16
        assert status.lag > 100

        mail.down.clear()
        clock.advance(hours=1)
        await live.run_until_quiet()

    assert sorted(mail.sent) == sorted(names)
    assert MAX_WAITING_EVENTS == 1_000


# --- in order


async def test_in_order_one_that_fails_holds_up_the_rest(store: EventStore, clock: FakeClock) -> None:
    mail = Mail(in_order=True, backoff=Backoff(1, 60, attempts=3))
    mail.down = {"b"}
    async with mail.app.open(store, clock=clock, work=False) as live:
        await join(live, "a", "b", "c", "d")
        await live.run_until_quiet()
        assert mail.sent == ["a"]
        mail.down.clear()
        clock.advance(minutes=1)
        await live.run_until_quiet()

    assert mail.sent == ["a", "b", "c", "d"]


@pytest.mark.parametrize("verb", ["retry", "skip"])
async def test_in_order_a_parked_event_holds_up_the_rest_until_it_is_retried_or_skipped(
    store: EventStore, clock: FakeClock, verb: str
) -> None:
    mail = Mail(in_order=True, backoff=Backoff(attempts=1))
    mail.down = {"b"}
    for _ in range(2):
        async with mail.app.open(store, clock=clock, work=False) as live:
            if not mail.deliveries:
                await join(live, "a", "b", "c", "d")
            await live.run_until_quiet()
            assert mail.sent == ["a"]
    mail.down.clear()
    async with mail.app.open(store, clock=clock, work=False) as live:
        if verb == "retry":
            await live.retry("reactor mail")
        else:
            await live.skip("reactor mail", 2, reason="no")
        await live.run_until_quiet()

    assert mail.sent == (["a", "b", "c", "d"] if verb == "retry" else ["a", "c", "d"])


async def test_in_order_a_parked_event_holds_up_what_comes_after_other_events(
    store: EventStore, clock: FakeClock
) -> None:
    mail = Mail(in_order=True, backoff=Backoff(attempts=1))
    mail.down = {"b"}
    async with mail.app.open(store, clock=clock, work=False) as live:
        await join(live, "b")
        await store.append([NewEvent("noise", b"{}")])
        await live.run_until_quiet()
        await join(live, "c")
        await live.run_until_quiet()

    assert mail.sent == []


# --- several workers, and trouble with the store


async def test_two_workers_leave_out_nothing_and_one_goes_on_where_the_other_was(
    store: EventStore, clock: FakeClock
) -> None:
    mail = Mail()
    names = [f"n{number}" for number in range(60)]
    async with (
        mail.app.open(store, clock=clock, work=False) as live,
        mail.app.open(store, clock=clock, work=False) as other,
    ):
        for name in names:
            await join(live, name)
            await asyncio.gather(live.run_until_quiet(), other.run_until_quiet())

    assert set(mail.sent) == set(names)
    positions = [event.data for event in await events_of(store, "reacted")]
    assert len(positions) == len(set(positions))


async def test_what_is_skipped_while_it_is_being_tried_stays_skipped(
    store: EventStore, clock: FakeClock, mail: Mail
) -> None:
    app = App("club")
    asked: list[Callable[[], Any]] = []
    attempts: list[int] = []

    @app.reactor("mail", start="from_start")
    async def send(event: Joined, delivery: Delivery) -> None:
        attempts.append(delivery.position)
        if delivery.attempt == 2:
            await asked[0]()
        if event.name == "b":
            raise ConnectionError

    async with app.open(store, clock=clock, work=False) as live:
        asked.append(lambda: live.skip("reactor mail", 2, reason="never mind"))
        await store.append([app.registry.encode(Joined(name), b"{}") for name in ("a", "b", "c")])
        await live.run_until_quiet()
        clock.advance(minutes=1)
        await live.run_until_quiet()
        clock.advance(days=1)
        await live.run_until_quiet()

        assert (await live.reactors())[0].outstanding == ()
    assert attempts == [1, 2, 3, 2]


async def test_an_append_that_fails_makes_events_come_again(store: EventStore, clock: FakeClock, mail: Mail) -> None:
    class Failing:
        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

        async def append(self, events: Any, **options: Any) -> Any:
            if failures and events[0].type.startswith("leftfold.reactor"):
                raise failures.pop()
            return await store.append(events, **options)

    failures = [StoreFailed("the test", "no append")]
    failing: Any = Failing()
    async with mail.app.open(failing, clock=clock, work=False) as live:
        await join(live, "a")
        with pytest.raises(StoreFailed):
            await live.run_until_quiet()
        await live.run_until_quiet()

    assert mail.sent == ["a", "a"]


async def test_the_background_reacts_and_tries_again(tmp_path: Any) -> None:
    mail, reached = Mail(backoff=Backoff(0.01, 0.02, attempts=50)), asyncio.Event()
    mail.down = {"b"}
    app = mail.app

    @app.reactor("witness", start="from_start")
    async def witness(event: Joined) -> None:
        if event.name == "b":
            mail.down.clear()
            reached.set()

    async with app.open(f"sqlite:///{tmp_path}/club.db") as live:
        await join(live, "a", "b", "c")
        await asyncio.wait_for(reached.wait(), PATIENCE)
        async with asyncio.timeout(PATIENCE):
            while set(mail.sent) != {"a", "b", "c"}:
                await live.store.wait(await live.store.head(), 0.05)


# --- definitions


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"name": ""}, "a reactor is called ''"),
        ({"name": "a/b"}, "without a slash"),
        ({"start": "someday"}, "has start='someday'"),
        ({"at_once": 0}, "at_once=0"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], problem: str) -> None:
    async def react(event: Joined) -> None: ...

    given: dict[str, Any] = {"name": "mail", "start": "from_now", **options}
    with pytest.raises(InvalidHandler, match=problem):
        App("club").reactor(given.pop("name"), **given)(react)


def test_a_function_that_does_not_take_an_event_is_refused() -> None:
    def nothing() -> None: ...
    def bare(event) -> None: ...  # type: ignore[no-untyped-def]
    def any_event(event: Event) -> None: ...
    def command(event: Join) -> None: ...
    def second(event: Joined, other: int) -> None: ...
    def third(event: Joined, delivery: Delivery, more: int) -> None: ...

    for wrong in (nothing, bare, any_event, command, second, third):
        with pytest.raises(InvalidHandler):
            App("club").reactor("mail", start="from_now")(wrong)


def test_two_reactors_of_one_name_are_refused() -> None:
    app = Mail().app

    def other(event: Joined) -> None: ...

    with pytest.raises(InvalidHandler, match="two reactors"):
        app.reactor("mail", start="from_now")(other)


def test_an_object_with_an_async_call_is_a_reactor(clock: FakeClock) -> None:
    class Sender:
        def __init__(self) -> None:
            self.sent: list[str] = []

        async def __call__(self, event: Joined) -> None:
            self.sent.append(event.name)

    async def run() -> None:
        app = App("club")
        app.reactor("mail", start="from_now")(sender)
        async with app.test(clock) as live:
            await live.store.append([app.registry.encode(Joined("a"), b"{}")])
            await live.run_until_quiet()

    sender = Sender()
    asyncio.run(run())

    assert sender.sent == ["a"]

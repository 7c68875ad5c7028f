"""Whatever is asked of a log, memory, SQLite and PostgreSQL say the same: one answer, or one named error."""

import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from itertools import count
from pathlib import Path
from typing import Annotated, Any, Self

import pytest

from leftfold import App, Command, DecisionModel, Event, LiveApp, Tag, replace
from leftfold.errors import LeftfoldError, StoreFailed
from leftfold.model.criteria import ALL, EVERYTHING, NOTHING, Criteria, CriteriaItem, criteria
from leftfold.store import AppendCondition, EventStore, IdempotencyKey, MemoryStore, NewEvent, SQLiteStore, open_store
from leftfold.testing.clock import FakeClock
from leftfold_torture.postgres_server import PostgresServer
from tests.postgres import DATABASE

NUMBERS_OF_LOGS = count(1)
NOW = datetime(2026, 6, 1, tzinfo=UTC)
PAST = datetime(2026, 1, 1, tzinfo=UTC)
NUMBERS: list[Any] = [-1, 0, 1, 3, 2**31, 2**63 - 1, 2**63, 2**64]
NUMBERS += [None, True, False, 1.0, 0.5, math.nan, math.inf, "1", b"1", [1]]
TEXTS: list[Any] = ["", "a", "account:a", "account:A", "account:a ", "a\nb", "account:a\naccount:b", "a\0", "\ud800"]
TEXTS += ["a\ud800", "\x85", "\x7f", " ", "\t", "é", "e\u0301", "\u2028", "\ufeff", "\U0010ffff", "%", "'; --", "{}"]
TEXTS += ["x" * 512, "x" * 513, "x" * 4_000, None, 1, b"account:a", True, ("account:a",), ["account:a"]]
TIMES = [PAST, NOW + timedelta(days=1), datetime(2026, 1, 1), datetime(1969, 1, 1, tzinfo=UTC)]  # noqa: DTZ001 one is naive
TIMES += [datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=timezone(timedelta(hours=14)))]

Call = Callable[[EventStore], Awaitable[object]]


def noted(text: str = "c") -> NewEvent:
    return NewEvent("noted", text.encode(), ("account:z",))


async def read(store: EventStore, *arguments: Any, **named: Any) -> object:
    batches = [batch async for batch in store.read(*arguments, **named)]
    events = [event for batch in batches for event in batch.events]
    parts = [(each.position, each.type, each.version, each.data) for each in events]
    return parts, None if named.get("reverse") else batches[-1].through


async def read_item(store: EventStore, types: Any, tags: Any) -> object:
    return await read(store, Criteria(CriteriaItem(types, tags)))


async def append(store: EventStore, *events: Any, **named: Any) -> object:
    return await store.append(events or [noted()], **named)


async def append_unless(store: EventStore, types: Any, tags: Any, after: Any = 0) -> object:
    return await append(store, condition=AppendCondition(Criteria(CriteriaItem(types, tags)), after))


def of_numbers() -> Iterator[tuple[str, Any]]:
    """A call for each place in which a number stands."""
    for name in ("after", "upto", "limit", "reverse"):
        yield f"read {name}", lambda store, odd, name=name: read(store, **{name: odd})
        yield f"read a tag, {name}", lambda store, odd, name=name: read(store, BY_TAG, **{name: odd})
    yield "read backwards after", lambda store, odd: read(store, after=odd, reverse=True)
    yield "read criteria", lambda store, odd: read(store, odd)
    yield "wait after", lambda store, odd: store.wait(odd, 0)
    yield "wait timeout", lambda store, odd: store.wait(0, odd)
    yield "lookup", lambda store, odd: store.lookup(odd)
    yield "condition", lambda store, odd: append(store, condition=odd)
    yield "conditions", lambda store, odd: append(store, condition=[odd])
    yield "condition's criteria", lambda store, odd: append(store, condition=AppendCondition(odd, 0))
    yield "condition's after", lambda store, odd: append_unless(store, ["unknown"], (), odd)
    yield "key", lambda store, odd: append(store, key=odd)
    yield "key's place", lambda store, odd: append(store, key=IdempotencyKey(f"place {odd}", b"", odd, 1))
    yield "key's events", lambda store, odd: append(store, key=IdempotencyKey(f"events {odd}", b"", 0, odd))
    yield "key's digest", partial(twice, lambda store, odd: append(store, key=IdempotencyKey(f"digest {odd}", odd)))
    yield "events", lambda store, odd: store.append(odd)
    yield "event", lambda store, odd: append(store, odd)
    yield "version", lambda store, odd: append(store, NewEvent("t", b"", (), odd))


def of_texts() -> Iterator[tuple[str, Any]]:
    """A call for each place in which a text stands."""
    yield "tag", lambda store, odd: append(store, NewEvent("t", b"", (odd,)))
    yield "tags", lambda store, odd: append(store, NewEvent("t", b"", odd))
    yield "type", lambda store, odd: append(store, NewEvent(odd, b""))
    yield "data", lambda store, odd: append(store, NewEvent("t", odd))
    yield "metadata", lambda store, odd: append(store, NewEvent("t", b"", metadata=odd))
    yield "time", lambda store, odd: append(store, NewEvent("t", b"", time=odd))
    yield "read a tag", lambda store, odd: read_item(store, (), [odd])
    yield "read a type", lambda store, odd: read_item(store, [odd], ())
    yield "read two tags", lambda store, odd: read_item(store, (), [odd, "account:a"])
    yield "read a tag and a type", lambda store, odd: read_item(store, [odd], ["account:a"])
    yield "read types", lambda store, odd: read_item(store, odd, ())
    yield "condition's tag", lambda store, odd: append_unless(store, (), [odd])
    yield "condition's type", lambda store, odd: append_unless(store, [odd], ())
    yield "condition's type and tags", lambda store, odd: append_unless(store, [odd], ["account:a", "account:b"])
    yield "text key", partial(twice, lambda store, odd: append(store, key=odd))
    yield "text key, other payload", lambda store, odd: append(store, noted("d"), key=odd)
    yield "lookup of text", lambda store, odd: store.lookup(odd)
    yield "lookup of a key with a digest", lambda store, odd: store.lookup(IdempotencyKey(odd, b"other"))


async def twice(call: Any, store: EventStore, odd: Any) -> object:
    return await call(store, odd), await call(store, odd)


def others() -> Iterator[tuple[str, Call]]:
    """What is odd in itself."""
    pair = (noted("a"), noted("b"))
    parts = partial(IdempotencyKey, digest=b"", events=1)
    for times in [*([each] for each in TIMES), [PAST, None, PAST], [None, PAST], [PAST, PAST - timedelta(1)]]:
        events = [NewEvent("t", b"", time=time) for time in times]
        yield f"times {times}", lambda store, events=events: append(store, *events)
    for after, upto in [(3, 2), (2, 2), (5, 0), (10**6, None), (10**6, 10**7)]:
        for reverse in (False, True):
            bounds = {"after": after, "upto": upto, "reverse": reverse}
            yield f"read {bounds}", lambda store, bounds=bounds: read(store, **bounds)
            yield f"read a tag {bounds}", lambda store, bounds=bounds: read(store, BY_TAG, **bounds)
    for name, found in {
        "nothing": NOTHING,
        "all": ALL,
        "everything": EVERYTHING,
        "an item": CriteriaItem(["opened"]),
    }.items():
        yield f"read {name}", lambda store, found=found: read(store, found)
        yield f"unless {name}", lambda store, found=found: append(store, condition=AppendCondition(found, 0))
    yield "no events", lambda store: store.append([])
    yield "events from a generator", lambda store: store.append(each for each in pair)  # type: ignore[arg-type]
    yield "events in a dict", lambda store: store.append({"a": 1})  # type: ignore[arg-type]
    yield "criteria as a condition", lambda store: append(store, condition=criteria("opened"))
    yield "no conditions", lambda store: append(store, condition=[])
    yield "no keys", lambda store: append(store, key=[])
    yield "keys in a set", lambda store: append(store, key={"a"})
    yield "texts as keys", lambda store: append(store, *pair, key=["a", "b"])
    yield "parts", lambda store: append(store, *pair, key=(parts("p1", place=0), parts("p2", place=1)))
    yield "a part again", lambda store: append(store, *pair, key=(parts("p1", place=0), parts("p3", place=1)))
    yield "a part of other content", lambda store: append(store, key=[IdempotencyKey("p1", b"z", 0, 1)])
    yield "a part before the append", lambda store: append(store, key=IdempotencyKey("p4", b"", -1, 1))
    yield (
        "parts that overlap",
        lambda store: append(store, *pair, key=(IdempotencyKey("p5", b"", 0, 2), IdempotencyKey("p6", b"", 1, 1))),
    )
    yield "head", lambda store: store.head()
    yield "all of it", read


EVENTS = [
    NewEvent("opened", b"1", ("account:a", "owner:x")),
    NewEvent("opened", b"2", ("account:b",)),
    NewEvent("leftfold.own", b"3", ("account:a",)),
    NewEvent("closed", b"4", ("account:a", "account:b")),
]
BY_TAG = criteria(tags=["account:a"])
CALLS: dict[str, Call] = {
    **{f"{name}={odd!r:.20}": partial(call, odd=odd) for name, call in of_numbers() for odd in NUMBERS},
    **{f"{name} {odd!r:.20} {len(str(odd))}": partial(call, odd=odd) for name, call in of_texts() for odd in TEXTS},
    **dict(others()),
}


@pytest.fixture
async def stores(postgres: PostgresServer, tmp_path: Path) -> AsyncIterator[list[EventStore]]:
    """The same few events on each backend."""
    clock = FakeClock(NOW)
    stores = [
        MemoryStore(clock),
        SQLiteStore(tmp_path / "log.db", clock=clock),
        open_store(postgres.url(DATABASE, log=f"odd_{next(NUMBERS_OF_LOGS)}"), clock=clock),
    ]
    for store in stores:
        await store.append(
            [NewEvent("opened", b"1", ("account:a", "owner:x")), NewEvent("opened", b"2", ("account:b",))]
        )
        await store.append([NewEvent("leftfold.own", b"3", ("account:a",)), NewEvent("closed", b"4", ("account:a",))])
    yield stores
    for store in stores:
        await store.close()


async def answer_of(call: Callable[[Any], Awaitable[object]], store: object) -> str:
    try:
        return repr(await call(store))
    except StoreFailed as error:
        return f"unnamed: {error}"
    except LeftfoldError as error:
        return f"{type(error).__name__}: {error}"
    except Exception as error:  # noqa: BLE001 what has no name of ours is a finding
        return f"unnamed: {error!r}"


async def test_every_backend_gives_the_same_answer_or_the_same_named_error(stores: list[EventStore]) -> None:
    differing: dict[str, list[str]] = {}
    for name, call in CALLS.items():
        answers = [await answer_of(call, store) for store in stores]
        if len(set(answers)) > 1 or answers[0].startswith("unnamed"):
            differing[name] = answers

    assert differing == {}


AccountId = Annotated[str, Tag("account")]


class Noted(Event):
    account: AccountId


class Note(Command):
    account: AccountId


class Notes(DecisionModel):
    account: AccountId
    count: int = 0

    def evolve(self, event: Noted) -> Self:
        return replace(self, count=self.count + 1)


notes = App("notes")


@notes.handles
def note(command: Note, notes: Notes) -> Noted:
    return Noted(command.account)


async def handed_in(live: LiveApp, **named: Any) -> None:
    await live.submit(Note("s"), **named)


def of_live() -> Iterator[tuple[str, Any]]:
    """A call for each place in which an app is given a text or a number."""
    yield "state", lambda live, odd: live.state(Notes, odd)
    yield "explain", lambda live, odd: live.explain(Notes, odd)
    yield "state as of", lambda live, odd: live.state(Notes, "a", as_of=odd)
    yield "explain as of", lambda live, odd: live.explain(Notes, "a", as_of=odd)
    yield "key of a command", lambda live, odd: live.execute_many([], key=odd)
    yield "key of a submission", lambda live, odd: handed_in(live, key=odd)


async def test_an_app_gives_the_same_answer_or_the_same_named_error_on_every_backend(stores: list[EventStore]) -> None:
    lives = [await notes.open(store, work=False, clock=FakeClock(NOW)).__aenter__() for store in stores]
    differing: dict[str, list[str]] = {}
    for name, call in of_live():
        for odd in [*NUMBERS, *TEXTS, *TIMES]:
            answers = [await answer_of(partial(call, odd=odd), live) for live in lives]
            if len(set(answers)) > 1 or answers[0].startswith("unnamed"):
                differing[f"{name} {odd!r:.40}"] = answers

    assert differing == {}

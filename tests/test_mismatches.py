"""What an app does not know of its log is told: event types that it does not know, and events without today's tags."""

import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from itertools import count
from pathlib import Path
from typing import Annotated, Any, Self

import pytest

from leftfold import App, Command, DecisionModel, Event, Tag, replace
from leftfold.audit import TypeMismatch
from leftfold.store import EventStore, IdempotencyKey, MemoryStore, NewEvent, StoredEvent, open_store
from leftfold.store.copying import clock_for, compare_logs, copy_log
from leftfold.store.inspection import KeyedLog
from leftfold.testing import FakeClock
from leftfold_torture.postgres_server import PostgresServer
from tests.postgres import DATABASE

numbers = count(1)
CustomerId = Annotated[str, Tag("customer")]
OLD = [NewEvent("ordered", b'{"customer":"ann"}') for _ in range(3)]

Open = Callable[[], AbstractAsyncContextManager[Any]]


class Ordered(Event, wire="ordered"):
    """Its field was a plain `str` once: old events have no tag."""

    customer: CustomerId


class Noted(Event, wire="noted"):
    customer: CustomerId | None = None


class Settled(Event, wire="settled", version=2):
    by: CustomerId


class Order(Command):
    customer: CustomerId


class Orders(DecisionModel):
    customer: CustomerId
    count: int = 0

    def evolve(self, event: Ordered | Noted) -> Self:
        return replace(self, count=self.count + isinstance(event, Ordered))


def shop(**options: Any) -> App:
    app = App("shop", **options)

    @app.handles
    def order(command: Order, orders: Orders) -> Ordered:
        return Ordered(command.customer)

    return app


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Open one log of a backend, as often as wanted."""
    if request.param == "memory":
        store = MemoryStore()
        return lambda: store
    if request.param == "sqlite":
        return lambda: open_store(f"sqlite:///{tmp_path}/shop.db")
    server: PostgresServer = request.getfixturevalue("postgres")
    url = server.url(DATABASE, log=f"mismatches_{next(numbers)}")
    return lambda: open_store(url)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.message for each in caplog.records if each.name == "leftfold.app" and each.levelno == logging.WARNING]


async def test_types_that_the_app_does_not_know_are_warned_of_once(
    opened: Open, caplog: pytest.LogCaptureFixture
) -> None:
    app = shop()

    async with opened() as store:
        await store.append([NewEvent("billed", b"{}"), NewEvent("billed", b"{}"), NewEvent("paid", b"{}")])
        for _ in range(2):
            async with app.open(store, work=True) as live:
                found = (await live.status()).mismatches

    assert found == (TypeMismatch("billed", "unknown", 2, 1), TypeMismatch("paid", "unknown", 1, 3))
    [warning] = warnings(caplog)
    assert "2 events of type 'billed', first at position 1; 1 event of type 'paid', first at position 3" in warning
    assert "give it its former name with wire=" in warning
    assert "App('shop', ignores=['billed', 'paid'])" in warning


async def test_a_warning_names_ten_types_and_the_status_has_all(caplog: pytest.LogCaptureFixture) -> None:
    types = [f"type-{number:02}" for number in range(12)]
    async with MemoryStore() as store:
        await store.append([NewEvent(name, b"{}") for name in types])
        async with shop().open(store, work=True) as live:
            found = (await live.status()).mismatches

    assert [each.type for each in found] == types
    [warning] = warnings(caplog)
    assert "1 event of type 'type-09', first at position 10; and 2 more. If" in warning
    assert "'type-09', and 2 more])" in warning


async def test_another_type_is_warned_of_again(opened: Open, caplog: pytest.LogCaptureFixture) -> None:
    app = shop()
    async with opened() as store:
        for name in ("billed", "paid"):
            await store.append([NewEvent(name, b"{}")])
            async with app.open(store, work=True):
                pass

    assert [("paid" in warning) for warning in warnings(caplog)] == [False, True]


async def test_events_that_lack_a_tag_of_today_are_warned_of(opened: Open, caplog: pytest.LogCaptureFixture) -> None:
    async with opened() as store:
        await store.append(OLD)
        async with shop().open(store, work=True) as live:
            assert (await live.state(Orders, "ann")).count == 0
            found = (await live.status()).mismatches

    assert found == (TypeMismatch("ordered", "untagged", 3, 1, ("customer:ann",)),)
    [warning] = warnings(caplog)
    assert "'ordered' at position 1 lacks customer:ann" in warning
    assert "leftfold copy --retag" in warning


async def test_the_newest_event_of_a_type_is_looked_at_too(opened: Open) -> None:
    """An app of older code may have appended it after the deployment."""
    async with opened() as store:
        await store.append([NewEvent("ordered", b'{"customer":"ann"}', ("customer:ann",)), OLD[0]])
        async with shop().open(store, work=True) as live:
            assert [(each.kind, each.position) for each in (await live.status()).mismatches] == [("untagged", 2)]


@pytest.mark.parametrize(
    ("prepare", "event"),
    [
        (lambda app: None, NewEvent("ordered", b'{"customer":"ann"}', ("customer:ann",))),
        (lambda app: None, NewEvent("noted", b"{}")),
        (lambda app: None, NewEvent("leftfold.of.tomorrow", b"{}")),
        (lambda app: app.renamed("bought", "ordered"), NewEvent("bought", b'{"customer":"ann"}', ("customer:ann",))),
        (
            lambda app: (app.event(Settled), app.upcasts("bought", 1, to="settled")(lambda data: {"by": data["who"]})),
            NewEvent("bought", b'{"who":"ann"}', ("customer:ann",)),
        ),
    ],
    ids=["known", "no value, no tag", "leftfold's own", "renamed", "upcast"],
)
async def test_what_is_as_the_app_has_it_is_not_warned_of(
    prepare: Callable[[App], Any], event: NewEvent, caplog: pytest.LogCaptureFixture
) -> None:
    app, store = shop(), MemoryStore()
    prepare(app)
    await store.append([event])

    async with app.open(store, work=True) as live:
        assert (await live.status()).mismatches == ()
        [verified] = await live.verify()
        assert verified.findings == ()
    assert warnings(caplog) == []


async def test_types_of_other_apps_can_be_ignored(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore()
    await store.append([NewEvent("sales.won", b"{}"), NewEvent("sales.lost", b"{}"), NewEvent("salesman", b"{}")])

    async with shop(ignores=["sales.*"]).open(store, work=True) as live:
        assert [each.type for each in (await live.status()).mismatches] == ["salesman"]
        [verified] = await live.verify()
        assert len(verified.findings) == 1


async def test_a_log_that_is_read_only_is_looked_at_too(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/shop.db"
    async with open_store(url) as store:
        await store.append([NewEvent("billed", b"{}")])

    async with shop().open(f"{url}?mode=ro") as live:
        assert [each.type for each in (await live.status()).mismatches] == ["billed"]


async def test_no_more_than_so_many_events_of_a_type_are_counted(opened: Open) -> None:
    async with opened() as store:
        await store.append([NewEvent("a", b"%d" % n) for n in range(5)] + [NewEvent("b", b"")])
        samples = await store.type_samples(at_most=3)

    assert [(each.type, each.events, each.oldest.position, each.newest.position) for each in samples] == [
        ("a", 3, 1, 5),
        ("b", 1, 6, 6),
    ]
    assert [(each.oldest.data, each.newest.data) for each in samples] == [(b"0", b"4"), (b"", b"")]


async def test_verify_finds_every_event_of_either_kind() -> None:
    store = MemoryStore()
    tagged = NewEvent("ordered", b'{"customer":"ann"}', ("customer:ann",))
    await store.append([tagged, *OLD, NewEvent("billed", b"{}"), tagged, NewEvent("billed", b"{}")])

    async with shop().open(store, work=True) as live:
        [verified] = await live.verify()

    assert [(each.position, each.problem) for each in verified.findings] == [
        (2, "events of type 'ordered' lack the tags customer: of today's class; see copy --retag: 3 in all"),
        (5, "the app does not know events of type 'billed', and does not ignore them: 2 in all"),
    ]
    assert verified.unknown == {"billed": 2}


# --- retagging


async def fill(store: EventStore) -> None:
    await store.append([OLD[0], NewEvent("billed", b"\xff", ("odd:1",), 3, b"m")], key="one")
    await store.append([OLD[1], NewEvent("noted", b"{}", ("stale:1",))], key=IdempotencyKey("two", b"d" * 16))
    await store.append([NewEvent("leftfold.of.tomorrow", b"{}", ("leftfold.x:1",))])


async def events_of(store: EventStore) -> list[StoredEvent]:
    return [event async for batch in store.read() for event in batch.events]


def without_tags(events: list[StoredEvent]) -> list[StoredEvent]:
    return [replace(event, tags=()) for event in events]


@pytest.mark.parametrize(
    ("source", "target"), [("sqlite", "other"), ("sqlite", "postgres"), ("postgres", "sqlite")], ids="to".join
)
async def test_a_copy_has_the_tags_of_today(
    source: str, target: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    def url(name: str) -> str:
        if name != "postgres":
            return f"sqlite:///{tmp_path}/{name}.db"
        server: PostgresServer = request.getfixturevalue("postgres")
        return server.url(DATABASE, log=f"retagged_{next(numbers)}")

    retag = shop().registry.present_tags
    async with open_store(url(source), clock=FakeClock()) as old:
        assert isinstance(old, KeyedLog)
        await fill(old)
        async with open_store(url(target), clock=await clock_for(old)) as new:
            assert isinstance(new, KeyedLog)
            copied = await copy_log(old, new, retag=retag)
            assert (copied.position, copied.keys, copied.difference) == (5, 2, None)
            assert [event.tags for event in await events_of(new)] == [
                ("customer:ann",),
                ("odd:1",),
                ("customer:ann",),
                (),
                ("leftfold.x:1",),
            ]
            assert without_tags(await events_of(new)) == without_tags(await events_of(old))
            keys = [key async for page in old.stored_keys() for key in page]
            assert [key async for page in new.stored_keys() for key in page] == keys
            assert (await compare_logs(old, new, retag=retag)).difference is None
            assert (await compare_logs(old, new)).difference is not None
            async with shop(ignores=["billed"]).open(new, work=True) as live:
                assert (await live.state(Orders, "ann")).count == 2
                assert (await live.status()).mismatches == ()


async def test_a_retagged_copy_goes_on_where_it_was_cut_off(tmp_path: Path) -> None:
    retag = shop().registry.present_tags
    async with open_store(f"sqlite:///{tmp_path}/a.db") as old, open_store(f"sqlite:///{tmp_path}/b.db") as new:
        assert isinstance(old, KeyedLog)
        assert isinstance(new, KeyedLog)
        await old.append(OLD)
        await copy_log(old, new, retag=retag)
        await old.append(OLD)
        copied = await copy_log(old, new, retag=retag)

    assert (copied.copied, copied.position, copied.difference) == (3, 6, None)

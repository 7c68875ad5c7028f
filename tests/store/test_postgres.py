"""The PostgreSQL store keeps the contract."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest

from leftfold.errors import InvalidUrl, LeftfoldError, StoreNotFound, StoreReadOnly, StoreUnavailable
from leftfold.model.clock import SystemClock
from leftfold.model.criteria import criteria
from leftfold.store import AppendCondition, Batch, EventStore, NewEvent
from leftfold.store import open_store as open_url
from leftfold.store.open import make_roles
from leftfold.store.postgres.batch import bigints, blobs, integers, texts
from leftfold.store.postgres.connection import AsyncConnection
from leftfold.store.postgres.driver import MAX_PREPARED_STATEMENTS, Connection, connect, integer_of, rows_in_parts, run
from leftfold.store.postgres.reading import Types
from leftfold.store.postgres.select import MAX_PROBED_EVENTS
from leftfold.store.postgres.store import SELECT_TYPES, PostgresStore
from leftfold.testing.conformance import OpenStore, StoreConformance
from leftfold_torture.postgres_server import PostgresServer
from tests.patience import PATIENCE
from tests.postgres import wait_for_row

numbers = count(1)


@pytest.fixture(scope="module")
def server(binaries: Path | None) -> Iterator[PostgresServer]:
    with PostgresServer(binaries=binaries) as server:
        yield server


@pytest.fixture
def log(server: PostgresServer) -> str:
    """The name of a log that is not there yet."""
    return f"log_{next(numbers)}"


@pytest.fixture
def open_store(server: PostgresServer, log: str) -> OpenStore:
    return partial(open_url, server.url(log=log))


@pytest.fixture
async def store(open_store: OpenStore) -> AsyncIterator[EventStore]:
    async with open_store() as store:
        yield store


class TestPostgres(StoreConformance):
    """Every promise, on the PostgreSQL store."""


def connected(server: PostgresServer, role: str | None = None) -> "psycopg.Connection[Any]":
    connection = psycopg.connect(server.url(), autocommit=True)
    if role is not None:
        connection.execute(f'SET ROLE "{role}"'.encode())
    return connection


def sql_append(log: str, tag: str = "account:a") -> bytes:
    """An append of one event by plain SQL."""
    return f"""
        SELECT head FROM {log}.append(
            true, null, ARRAY[1], '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', ARRAY['opened'],
            ARRAY[1], ARRAY[1], ARRAY[1], ARRAY['{tag}'], ARRAY['{{}}'::bytea], ARRAY['{{}}'::bytea], '{{}}',
            ARRAY['{tag}'], ARRAY[1],
            '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}'
        )""".encode()


def sql_append_few(log: str, tag: str = "account:a") -> bytes:
    """The same by the function that takes few events."""
    return f"""
        SELECT head FROM {log}.append_few(
            true, null, ARRAY['opened'], ARRAY[1], ARRAY['{tag}'], ARRAY['{{}}'::bytea], ARRAY['{{}}'::bytea],
            '{{}}', '{{}}', '{{}}'
        )""".encode()


by_either_function = pytest.mark.parametrize("sql", [sql_append, sql_append_few])


def until_someone_waits_for_the_lock(server: PostgresServer) -> None:
    with connected(server) as connection:
        wait_for_row(connection, "SELECT FROM pg_stat_activity WHERE wait_event = 'relation'")


@by_either_function
async def test_an_append_waits_for_a_transaction_that_has_appended_and_comes_after_it(
    server: PostgresServer, log: str, store: EventStore, sql: Callable[[str], bytes]
) -> None:
    make_roles(server.url(log=log))
    with connected(server, f"{log}_writer") as slow:
        slow.execute("BEGIN")
        slow.execute(sql(log))

        later = asyncio.create_task(store.append([NewEvent("opened", b"{}")]))
        await asyncio.to_thread(until_someone_waits_for_the_lock, server)
        seen = await store.head()
        slow.execute("COMMIT")

    assert seen == 0  # nothing of a later position can be seen before the earlier one
    assert (await later).first == 2


async def test_an_unrelated_open_transaction_holds_up_neither_readers_nor_writers(
    server: PostgresServer, store: EventStore
) -> None:
    with connected(server) as other:
        other.execute("CREATE TABLE IF NOT EXISTS unrelated (n integer)")
        other.execute("BEGIN")
        other.execute("INSERT INTO unrelated VALUES (1)")

        await store.append([NewEvent("opened", b"{}")])
        found = [event.position async for batch in store.read() for event in batch.events]
        other.execute("ROLLBACK")

    assert found == [1]


@pytest.mark.parametrize("statement", ["UPDATE {log} SET version = 2", "DELETE FROM {log}", "TRUNCATE {log}"])
@pytest.mark.parametrize("role", ["writer", "reader", "owner"])
async def test_nobody_changes_an_event(
    server: PostgresServer, log: str, store: EventStore, role: str, statement: str
) -> None:
    make_roles(server.url(log=log))
    await store.append([NewEvent("opened", b"{}")])

    refusal = "events are never changed" if role == "owner" else "permission denied"
    with (
        connected(server, None if role == "owner" else f"{log}_{role}") as connection,
        pytest.raises(psycopg.Error, match=refusal),
    ):
        connection.execute(statement.format(log=f"{log}.event").encode())

    assert await store.head() == 1


@pytest.mark.parametrize("relation", ["event", "tag", "type", "idempotency_key", "log"])
async def test_the_writer_can_neither_insert_nor_select(
    server: PostgresServer, log: str, store: EventStore, relation: str
) -> None:
    make_roles(server.url(log=log))

    with connected(server, f"{log}_writer") as connection:
        for statement in (f"INSERT INTO {log}.{relation} DEFAULT VALUES", f"SELECT * FROM {log}.{relation}"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())


async def test_the_reader_selects_and_cannot_append(server: PostgresServer, log: str, store: EventStore) -> None:
    make_roles(server.url(log=log))
    await store.append([NewEvent("opened", b'{"n": 1}', ("account:a", "owner:b"))])

    with connected(server, f"{log}_reader") as connection:
        row = connection.execute(f"SELECT position, type, tags, data FROM {log}.events".encode()).fetchone()
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(sql_append(log))

    assert row == (1, "opened", '["account:a","owner:b"]', '{"n": 1}')


async def test_a_program_with_both_roles_opens_the_log_and_one_without_is_told(
    server: PostgresServer, log: str, store: EventStore
) -> None:
    writer, reader = make_roles(server.url(log=log))
    with connected(server) as connection:
        connection.execute(f"CREATE ROLE app_{log} LOGIN; GRANT {writer}, {reader} TO app_{log};".encode())
        connection.execute(f"CREATE ROLE stranger_{log} LOGIN".encode())

    url = server.url(log=log).replace("postgres@", f"app_{log}@", 1)
    async with open_url(url) as program:
        appended = await program.append([NewEvent("opened", b"{}")])

    assert appended.first == 1
    with pytest.raises(StoreReadOnly, match="permission denied") as refused:
        open_url(server.url(log=log).replace("postgres@", f"stranger_{log}@", 1))
    assert f'GRANT "{writer}" (appends) and "{reader}" (reads) TO' in refused.value.remedy


@by_either_function
async def test_an_append_under_another_isolation_level_is_refused(
    server: PostgresServer, log: str, store: EventStore, sql: Callable[[str], bytes]
) -> None:
    with connected(server) as connection:
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        with pytest.raises(psycopg.errors.InvalidTransactionState):
            connection.execute(sql(log))


@by_either_function
async def test_appending_is_durable_where_the_server_does_not_wait_for_the_disk_by_default(
    server: PostgresServer, log: str, store: EventStore, sql: Callable[[str], bytes]
) -> None:
    with connected(server) as connection:
        connection.execute("SET synchronous_commit = off")
        connection.execute("BEGIN")
        connection.execute(sql(log))
        row = connection.execute("SHOW synchronous_commit").fetchone()
        connection.execute("COMMIT")

    assert row == ("on",)


async def test_the_server_s_restart_is_noticed_before_the_next_append(log: str, mortal: PostgresServer) -> None:
    async with open_url(mortal.url(log=log)) as store:
        await store.append([NewEvent("opened", b"{}")])
        mortal.restart()

        appended = await store.append([NewEvent("opened", b"{}")])
        read = [event.position async for batch in store.read() for event in batch.events]

    assert appended.first == 2
    assert read == [1, 2]


async def test_waiting_goes_on_when_the_server_comes_back(log: str, mortal: PostgresServer) -> None:
    async with open_url(mortal.url(log=log)) as store, open_url(mortal.url(log=log)) as other:
        waiting = asyncio.create_task(store.wait(0))
        await asyncio.sleep(0)
        mortal.stop("immediate")
        with pytest.raises(StoreUnavailable):
            await waiting
        with pytest.raises(StoreUnavailable):
            await other.append([NewEvent("opened", b"{}")])
        mortal.start()

        waiting = asyncio.create_task(store.wait(0))
        await other.append([NewEvent("opened", b"{}")])

        assert await waiting == 1


async def test_conflicts_and_keys_of_one_batch_are_told_apart(store: EventStore) -> None:
    """All of them are gathered while the first commit is under way."""
    nothing_yet = AppendCondition(criteria(tags=["account:a"]), 0)
    event = NewEvent("opened", b"{}", ("account:a",))
    outcomes = await asyncio.gather(
        *(store.append([event], condition=nothing_yet) for _ in range(50)),
        *(store.append([event], key="once") for _ in range(50)),
        return_exceptions=True,
    )

    appended = [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
    assert sum(not outcome.duplicate for outcome in appended) == 2
    assert sum(isinstance(outcome, LeftfoldError) for outcome in outcomes) == 49
    assert await store.head() == 2


async def test_a_large_event_and_many_events_are_appended_and_read_back(store: EventStore) -> None:
    large = b"x" * (1_048_576 - 2)

    await store.append([NewEvent("large", large) for _ in range(40)])
    await store.append([NewEvent("small", b"{}", (f"n:{n}",)) for n in range(10_000)])

    batches = [batch async for batch in store.read()]
    assert sum(len(batch.events) for batch in batches) == 10_040
    assert max(sum(len(event.data) for event in batch.events) for batch in batches) <= 16_777_216 + 32 * len(large)
    assert batches[0].events[0].data == large


@pytest.mark.parametrize(
    "events", [MAX_PROBED_EVENTS - 1, MAX_PROBED_EVENTS, MAX_PROBED_EVENTS + 1, 3 * MAX_PROBED_EVENTS]
)
async def test_an_entity_is_read_alike_whether_one_look_is_enough_or_not(store: EventStore, events: int) -> None:
    await store.append([NewEvent(("odd", "even")[n % 2], b"%d" % n, ("account:a",)) for n in range(events)])
    await store.append([NewEvent("odd", b"", ("account:b",))])
    even = criteria("even", tags=["account:a"])

    everything = [batch async for batch in store.read(even)]
    part = [batch async for batch in store.read(even, after=2, upto=events - 2)]
    first = [batch async for batch in store.read(even, limit=3)]

    positions = range(2, events + 1, 2)
    assert positions_in(everything) == list(positions)
    assert everything[-1].through == events + 1
    assert positions_in(part) == [each for each in positions if 2 < each <= events - 2]
    assert part[-1].through == events - 2
    assert positions_in(first) == [2, 4, 6]
    assert first[-1].through == 6


def positions_in(batches: list[Batch]) -> list[int]:
    return [event.position for batch in batches for event in batch.events]


async def test_an_entity_that_nobody_has_written_is_read_up_to_the_head(store: EventStore) -> None:
    await store.append([NewEvent("opened", b"", ("account:b",))])

    [batch] = [batch async for batch in store.read(criteria(tags=["account:a"]))]

    assert (batch.events, batch.through) == ([], 1)


def test_arrays_are_those_that_the_server_knows(server: PostgresServer) -> None:
    numbers = [0, 1, -1, 2**31 - 1, -(2**31)]
    large = [0, -1, 2**63 - 1, None, -(2**63)]
    words = ["", "a", "zwölf\n", "x" * 300]
    blobs_ = [b"", b"\0\xff", b"y" * 300]

    with connect(server.url(), session=True) as connection:
        [found] = run(
            connection, "SELECT %s, %s, %s, %s", [integers(numbers), bigints(large), texts(words), blobs(blobs_)]
        )
        [none] = run(connection, "SELECT %s, %s, %s, %s", [integers([]), bigints([]), texts([]), blobs([])])
        single = [integers([-1]), bigints([-(2**63)]), bigints([None]), texts(["zwölf\n"]), blobs([b"\0\xff"])]
        [one] = run(connection, "SELECT %s, %s, %s, %s, %s", single)

    assert found == (numbers, large, words, blobs_)
    assert none == ([], [], [], [])
    assert one == ([-1], [-(2**63)], [None], ["zwölf\n"], [b"\0\xff"])


def test_a_connection_keeps_the_plans_of_so_many_statements_and_runs_the_others_as_well(server: PostgresServer) -> None:
    with connect(server.url(), session=True) as connection:
        found = [run(connection, f"SELECT {number}") for _ in range(3) for number in range(MAX_PREPARED_STATEMENTS + 5)]
        [(prepared,)] = run(connection, "SELECT count(*) FROM pg_prepared_statements")

    assert found == [[(number,)] for _ in range(3) for number in range(MAX_PREPARED_STATEMENTS + 5)]
    assert prepared == MAX_PREPARED_STATEMENTS


def test_what_is_not_fetched_does_not_hold_up_what_comes_next(server: PostgresServer) -> None:
    with connect(server.url(), session=True) as connection:
        rows = rows_in_parts(connection, "SELECT number FROM generate_series(1, %s) AS number", [10_000_000])
        part = next(rows)
        rows.close()

        assert part[0] == (1,)
        assert run(connection, "SELECT 1") == [(1,)]


def test_an_error_on_the_way_is_named_and_the_connection_goes_on(server: PostgresServer) -> None:
    with connect(server.url(), session=True) as connection:
        with pytest.raises(psycopg.errors.DivisionByZero):
            list(rows_in_parts(connection, "SELECT 1 / (1000 - number) FROM generate_series(1, %s) AS number", [2_000]))
        with pytest.raises(psycopg.errors.UndefinedTable):
            run(connection, "SELECT FROM nowhere")

        assert run(connection, "SELECT 1") == [(1,)]


@pytest.mark.parametrize("name", ["", "Bank", "1st", 'a"b', "x" * 49])
def test_a_log_s_name_is_checked(name: str) -> None:
    with pytest.raises(InvalidUrl, match="lower-case"):
        open_url(f"postgresql://localhost/bank?log={name}")


def test_a_url_that_libpq_refuses_is_named_without_its_password() -> None:
    with pytest.raises(InvalidUrl, match=r'libpq says: invalid .*"nonsense"') as caught:
        open_url("postgresql://ann:secret@/bank?nonsense=1")

    assert "secret" not in str(caught.value)
    assert "postgresql://ann:***@/bank" in str(caught.value)


async def test_a_url_without_a_host_means_the_one_of_its_options(server: PostgresServer, log: str) -> None:
    async with open_url(f"postgresql:///postgres?host={server.directory}&user=postgres&log={log}") as store:
        assert (await store.append([NewEvent("opened", b"{}")])).first == 1


def test_a_statement_longer_than_the_socket_takes_at_once_is_sent_to_its_end(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Connection, "patience", 10.0)
    long = "x" * 8_000_000

    with connect(server.url(), session=True) as connection:
        rows = [row for part in rows_in_parts(connection, "SELECT length(%s)", [long]) for row in part]

    assert rows == [(len(long),)]


async def test_reading_alone_creates_no_log(server: PostgresServer, log: str) -> None:
    with pytest.raises(StoreNotFound, match=log):
        open_url(server.url(log=log, mode="ro"))


async def test_self_check_finds_nothing_in_a_sound_log_and_says_what_is_wrong_with_another(
    server: PostgresServer, log: str, store: EventStore
) -> None:
    await store.append([NewEvent("opened", b"{}", ("account:a", "account:b")), NewEvent("moved", b"{}")], key="k")
    sound = await store.self_check()  # type: ignore[attr-defined]

    with connected(server) as connection:
        connection.execute(f"ALTER TABLE {log}.tag DISABLE TRIGGER ALL".encode())
        connection.execute(f"DELETE FROM {log}.tag WHERE tag = 'account:b'".encode())
        connection.execute(f"UPDATE {log}.idempotency_key SET last_position = 7, digest = 'x'".encode())
        connection.execute(f"ALTER TABLE {log}.event DISABLE TRIGGER ALL".encode())
        connection.execute(f"UPDATE {log}.event SET version = 0, time = time - 1 WHERE position = 1".encode())
        connection.execute(f"INSERT INTO {log}.idempotency_key VALUES ('other', 2, 2, '')".encode())
    wrong = await store.self_check()  # type: ignore[attr-defined]

    assert sound == []
    assert wrong == [
        "the event at 1 has version 0, which no event can have",
        "the tag index does not have the tags of the event at 1",
        "the idempotency key 'k' names positions 1 to 7, not all in the log",
        "the idempotency key 'other' names positions 2 to 2, some of which the key 'k' names too, "
        "although they were not appended together",
        "the idempotency key 'k' has a digest of 1 byte(s), too few to tell one payload from another",
    ]


async def test_times_are_the_server_s(store: EventStore) -> None:
    before = SystemClock().now()
    await store.append([NewEvent("opened", b"{}")])
    [event] = [event async for batch in store.read() for event in batch.events]

    assert abs((event.time - before).total_seconds()) < 60


@pytest.mark.parametrize("tags", [(), ("account:a",), ("account:a", "account:b", "account:a")])
async def test_a_few_events_are_stored_as_many_are(
    server: PostgresServer, log: str, store: Any, tags: tuple[str, ...]
) -> None:
    few = [NewEvent("opened", b"{}", tags), NewEvent("closed", b"\0", ("account:b",), version=7, metadata=b"{}")]

    await store.append(few)
    with connected(server) as connection:
        connection.execute(f"DROP FUNCTION {log}.append_few".encode())
        with pytest.raises(StoreNotFound):
            await store.append(few)  # it was that function
    await store.append(few * 3)

    [batch] = [batch async for batch in store.read()]
    found = [(event.type, event.version, event.data, event.tags, event.metadata) for event in batch.events]
    assert found[:2] == found[2:4] == found[6:]
    assert found[0][3] == tuple(dict.fromkeys(tags))
    assert await store.self_check() == []


def heard(connection: psycopg.Connection[Any], upto: str) -> list[str]:
    """What a connection is notified of, up to the one that is named."""
    found: list[str] = []
    for notification in connection.notifies(timeout=PATIENCE):
        found.append(notification.payload)
        if notification.payload == upto:
            break
    return found


@by_either_function
def test_appends_notify_as_long_as_another_session_listens(
    server: PostgresServer, log: str, store: EventStore, sql: Callable[[str], bytes]
) -> None:
    with connected(server) as writer, connected(server) as uncounted:
        uncounted.execute(f"LISTEN {log}".encode())
        writer.execute(f"SELECT {log}.listen()".encode())
        writer.execute(sql(log))  # its own session is told by the answer
        make_roles(server.url(log=log))
        with connected(server, f"{log}_reader") as listener:
            listener.execute(f"SELECT {log}.listen()".encode())
            writer.execute(sql(log))
            pid = listener.info.backend_pid
            assert heard(listener, "2") == ["2"]
        wait_for_row(writer, f"SELECT WHERE NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = {pid})")
        writer.execute(sql(log))
        writer.execute(f"NOTIFY {log}, 'end'".encode())

        assert heard(uncounted, "end") == ["2", "end"]


# --- a connection in the hands of the event loop


@pytest.fixture
async def line(server: PostgresServer) -> AsyncIterator[AsyncConnection]:
    line = AsyncConnection(lambda: connect(server.url(), session=True))
    yield line
    await line.close()


async def test_statements_take_turns(line: AsyncConnection) -> None:
    asked = [asyncio.create_task(line.execute("SELECT %s FROM pg_sleep(0.01)", [n])) for n in range(5)]
    await asyncio.sleep(0)

    assert line.busy
    assert await asyncio.gather(*asked) == [[(n,)] for n in range(5)]
    assert not line.busy


async def test_a_statement_larger_than_the_socket_takes_at_once_is_sent_to_its_end(line: AsyncConnection) -> None:
    large = "x" * 5_000_000

    assert await line.execute("SELECT length(%s)", [large]) == [(len(large),)]
    assert await line.execute("SELECT %s", [large]) == [(large,)]


async def test_a_statement_that_is_cancelled_leaves_its_answer_to_nobody(line: AsyncConnection) -> None:
    assert await line.execute("SELECT 1") == [(1,)]
    first = asyncio.create_task(line.execute("SELECT 1 FROM pg_sleep(60)"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    first.cancel()
    await asyncio.gather(first, return_exceptions=True)

    assert first.cancelled()
    assert line.lost
    assert await line.execute("SELECT 2") == [(2,)]


async def test_closing_waits_for_the_statement_that_is_under_way(server: PostgresServer) -> None:
    line = AsyncConnection(lambda: connect(server.url(), session=True))
    first = asyncio.create_task(line.execute("SELECT 1 FROM pg_sleep(0.1)"))
    await asyncio.sleep(0)

    await line.close()

    assert first.done()
    assert first.result() == [(1,)]


async def test_a_statement_is_begun_without_a_task_where_the_line_is_free(line: AsyncConnection) -> None:
    answers: list[Any] = []
    seven = "SELECT 7::bigint FROM pg_sleep(0.01)"
    assert not line.begin(seven, (), integer_of, answers.append)  # it has no connection yet
    await line.execute("SELECT 1")

    assert line.begin(seven, (), integer_of, answers.append)
    assert not line.begin(seven, (), integer_of, answers.append)
    assert line.busy

    assert await line.execute("SELECT 2") == [(2,)]  # in its turn
    assert answers == [7]


async def test_what_was_begun_is_told_what_went_wrong(server: PostgresServer, line: AsyncConnection) -> None:
    answers: list[Any] = []
    [(pid,)] = await line.execute("SELECT pg_backend_pid()")

    assert line.begin("SELECT 1 / %s::integer", ["0"], integer_of, answers.append)
    await line.execute("SELECT 1")
    assert line.begin("SELECT 1::bigint FROM pg_sleep(60)", (), integer_of, answers.append)
    with connected(server) as connection:
        connection.execute("SELECT pg_terminate_backend(%s)", [pid])
    assert await line.execute("SELECT 2") == [(2,)]

    assert [type(answer) for answer in answers] == [psycopg.errors.DivisionByZero, psycopg.errors.AdminShutdown]


async def test_a_server_that_is_silent_is_given_up_in_time(
    line: AsyncConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await line.execute("SELECT 1")  # with the usual patience, in which its clock goes on
    monkeypatch.setattr(Connection, "patience", 0.2)

    with pytest.raises(psycopg.OperationalError, match="has not answered"):
        await line.execute("SELECT 1 FROM pg_sleep(60)")

    assert line.lost
    monkeypatch.undo()
    assert await line.execute("SELECT 2") == [(2,)]


async def test_each_statement_has_its_own_time(line: AsyncConnection, monkeypatch: pytest.MonkeyPatch) -> None:
    await line.execute("SELECT 1")
    monkeypatch.setattr(Connection, "patience", 2.0)

    for number in range(7):
        assert await line.execute("SELECT %s FROM pg_sleep(0.3)", [number]) == [(number,)]


async def test_closing_waits_for_what_was_begun(server: PostgresServer) -> None:
    answers: list[Any] = []
    line = AsyncConnection(lambda: connect(server.url(), session=True))
    await line.execute("SELECT 1")
    line.begin("SELECT 7::bigint FROM pg_sleep(0.05)", (), integer_of, answers.append)

    await line.close()

    assert answers == [7]


async def test_a_statement_that_the_server_refuses_leaves_the_connection_as_it_was(line: AsyncConnection) -> None:
    with pytest.raises(psycopg.errors.DivisionByZero):
        await line.execute("SELECT 1 / %s::integer", ["0"])
    connection = line.connection

    assert await line.execute("SELECT %s", ["0"]) == [("0",)]
    assert line.connection is connection


async def test_notifications_are_heard_between_statements_and_with_their_answers(
    server: PostgresServer, line: AsyncConnection
) -> None:
    heard: list[str] = []
    listening, two = asyncio.Event(), asyncio.Event()

    def hear(said: str) -> None:
        heard.append(said)
        if len(heard) == 2:
            two.set()

    task = asyncio.create_task(line.listen("LISTEN news", hear, lambda rows: listening.set()))
    await listening.wait()
    await line.execute("SELECT pg_notify('news', 'own')")
    with connected(server) as connection:
        connection.execute("NOTIFY news, 'others'")
    await asyncio.wait_for(two.wait(), PATIENCE)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await line.execute("SELECT pg_notify('news', 'nobody listens any more')")

    assert heard == ["own", "others"]


async def test_who_listens_hears_that_an_idle_connection_has_ended(
    server: PostgresServer, line: AsyncConnection
) -> None:
    listening = asyncio.Event()
    task = asyncio.create_task(line.listen("LISTEN news", print, lambda rows: listening.set()))
    await listening.wait()
    [(pid,)] = await line.execute("SELECT pg_backend_pid()")

    with connected(server) as connection:
        connection.execute("SELECT pg_terminate_backend(%s)", [pid])

    with pytest.raises(psycopg.OperationalError):
        await asyncio.wait_for(task, PATIENCE)
    assert line.lost
    assert await line.execute("SELECT 1") == [(1,)]


class CheckpointMoved(Types):
    """Types that are looked up just before somebody else appends one that is new."""

    def __init__(self, sql: str, overtake: Callable[[], object]) -> None:
        super().__init__(sql)
        self._overtake = overtake

    def load(self, connection: Any) -> int:
        head = super().load(connection)
        self._overtake()
        return head


async def test_a_type_that_is_new_to_the_log_while_a_read_begins_is_not_passed_over(
    server: PostgresServer, log: str
) -> None:
    async with PostgresStore(server.url(), log) as store:
        with connected(server) as connection:
            store._types = CheckpointMoved(
                SELECT_TYPES.format(log=log, same="true"), lambda: connection.execute(sql_append(log))
            )

            batches = [batch async for batch in store.read(criteria("opened"))]

    found = [event.position for batch in batches for event in batch.events]
    assert found == list(range(1, batches[-1].through + 1))

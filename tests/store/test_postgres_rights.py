"""Other roles of the server: what those of a log, and those without rights on it, can do to it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner

from leftfold.cli.program import program
from leftfold.errors import (
    Conflict,
    InvalidUrl,
    LogReplaced,
    RoleTaken,
    StoreBusy,
    StoreNotFound,
    StoreReadOnly,
    UnsuitableDatabase,
)
from leftfold.model.criteria import criteria
from leftfold.store import AppendCondition, EventStore, NewEvent, open_store
from leftfold.store.open import make_roles, risky_owner
from leftfold.store.postgres.driver import check_encoding
from leftfold.testing import FakeClock
from leftfold_torture.postgres_server import PostgresServer
from tests.patience import PATIENCE
from tests.postgres import DATABASE, hold_append_lock, wait_for_row
from tests.store.test_postgres import by_either_function, sql_append, sql_append_few

OLDER = Path(__file__).parent.parent / "formats" / "bytecode.postgres.sql"
EVENT = NewEvent("opened", b"{}", ("account:a",))
FUNCTIONS = {
    *("append", "append_few", "beat_leases", "check_dating", "listen", "matching", "may_date_events", "readable"),
    *("refuse", "release_leases", "take_lease"),
}
numbers = count(1)

Connection = psycopg.Connection[Any]


@pytest.fixture
def log() -> str:
    """The name of a log that is not there yet."""
    return f"rights_{next(numbers)}"


@pytest.fixture
def url(postgres: PostgresServer, log: str) -> str:
    return postgres.url(DATABASE, log=log)


@pytest.fixture
async def store(url: str) -> AsyncIterator[EventStore]:
    async with open_store(url) as store:
        yield store


@pytest.fixture
def admin(postgres: PostgresServer) -> Iterator[Connection]:
    with psycopg.connect(postgres.url(DATABASE), autocommit=True) as connection:
        yield connection


@pytest.fixture
def stranger(postgres: PostgresServer, log: str) -> Iterator[Connection]:
    """A role that has no right on any log."""
    postgres.execute(f"CREATE ROLE stranger_{log} LOGIN")
    with psycopg.connect(as_role(postgres.url(DATABASE), f"stranger_{log}"), autocommit=True) as connection:
        yield connection


def as_role(url: str, role: str) -> str:
    return url.replace("postgres@", f"{role}@", 1)


def run(connection: Connection, *statements: str) -> list[tuple[Any, ...]]:
    """Run statements; the rows of the last one."""
    for statement in statements:
        cursor = connection.execute(statement.encode())
    return cursor.fetchall() if cursor.description else []


async def older_log(postgres: PostgresServer, log: str) -> str:
    """A log as an older leftfold has made it, under this name in a database of its own, with roles; not yet opened."""
    database = postgres.create(f"older_{log}")
    with psycopg.connect(database, autocommit=True) as connection:
        for script in (
            OLDER.read_text().replace("shop", log),
            f"CREATE ROLE {log}_writer; CREATE ROLE {log}_reader",
            f"REVOKE ALL ON ALL FUNCTIONS IN SCHEMA {log} FROM PUBLIC",
            f"GRANT EXECUTE ON FUNCTION {log}.listen, {log}.readable TO PUBLIC",
            f"GRANT USAGE ON SCHEMA {log} TO {log}_writer, {log}_reader",
            f"GRANT EXECUTE ON FUNCTION {log}.append, {log}.append_few TO {log}_writer",
            f"GRANT SELECT ON ALL TABLES IN SCHEMA {log} TO {log}_reader",
        ):
            connection.execute(script.encode())
    return postgres.url(f"older_{log}", log=log)


SELECT_FUNCTIONS = """
    SELECT
        proname::text,
        (SELECT setting FROM unnest(proconfig) AS setting WHERE setting LIKE 'search_path=%%'),
        proowner = relowner,
        EXISTS (SELECT FROM aclexplode(coalesce(proacl, acldefault('f', proowner))) WHERE grantee = 0)
    FROM pg_proc
    JOIN pg_class ON pg_class.relnamespace = pronamespace AND relname = 'log'
    WHERE pronamespace = %s::regnamespace"""


@pytest.mark.parametrize("age", ["new", "older"])
async def test_no_function_of_a_log_lends_the_rights_of_its_owner(
    postgres: PostgresServer, log: str, url: str, age: str
) -> None:
    url = await older_log(postgres, log) if age == "older" else url
    async with open_store(url):
        make_roles(url)

    with psycopg.connect(url.partition("&log=")[0]) as connection:
        found = connection.execute(SELECT_FUNCTIONS, [log]).fetchall()
        creators = connection.execute(
            "SELECT count(*) FROM pg_roles WHERE rolname IN (%s, %s) AND has_schema_privilege(oid, %s, 'CREATE')",
            [f"{log}_writer", f"{log}_reader", log],
        ).fetchone()

    path = f"search_path=pg_catalog, {log}, pg_temp"
    assert {name for name, *_ in found} == FUNCTIONS
    assert [row for row in found if row[1:] != (path, True, False)] == []
    assert creators == (0,)


async def test_the_roles_of_an_older_log_keep_their_rights_and_its_events_when_it_is_lifted(
    postgres: PostgresServer, log: str
) -> None:
    url = await older_log(postgres, log)
    async with open_store(url) as store:
        head = await store.head()
        await store.append([EVENT])
    with psycopg.connect(url.partition("&log=")[0], autocommit=True) as connection:
        rows = run(connection, f"SET ROLE {log}_writer", sql_append_few(log).decode())
        run(connection, f"SELECT {log}.listen()")
        view = run(
            connection, f"RESET ROLE; SET ROLE {log}_reader", f"SELECT data FROM {log}.events WHERE position > {head}"
        )
        listening = run(connection, f"SELECT {log}.listen()")

    assert head > 0
    assert rows == [(head + 1,)]
    assert view == [("{}",), ("{}",)]
    assert listening == [(True,)]


async def test_a_log_that_its_opener_may_not_lift_is_opened_and_that_is_said(
    postgres: PostgresServer, log: str, caplog: pytest.LogCaptureFixture
) -> None:
    url = await older_log(postgres, log)
    postgres.execute(f"CREATE ROLE app_{log} LOGIN; GRANT {log}_writer, {log}_reader TO app_{log}")

    async with open_store(as_role(url, f"app_{log}")) as store:
        await store.append([EVENT])

    [said] = [each.getMessage() for each in caplog.records if "leftfold init" in each.getMessage()]
    assert "the role postgres owns it" in said


@pytest.mark.parametrize(("rights", "said"), [("SUPERUSER", True), ("NOLOGIN", False)])
async def test_a_log_whose_functions_act_as_a_superuser_is_warned_of(
    postgres: PostgresServer, log: str, caplog: pytest.LogCaptureFixture, rights: str, said: bool
) -> None:
    name = f"owned_{log}"
    postgres.create(name)
    postgres.execute(f"CREATE ROLE owner_{log} {rights}; CREATE ROLE app_{log} LOGIN")
    postgres.execute(f"GRANT CREATE ON DATABASE {name} TO owner_{log}")
    url = postgres.url(name, log=log)
    async with open_store(f"{url}&options=-c%20role%3Downer_{log}"):
        writer, reader = make_roles(url)
    postgres.execute(f"GRANT {writer}, {reader} TO app_{log}")

    async with open_store(as_role(url, f"app_{log}")) as store:
        await store.append([EVENT])

    assert any("the superuser owner_" in each.getMessage() for each in caplog.records) == said
    assert (risky_owner(url) is not None) == said


@pytest.mark.parametrize("asked", [["--called", "tests_of_roles"], ["--roles", "--called", "tests_of_roles"]])
def test_what_is_wrong_with_an_owner_is_said_where_roles_are_made(url: str, asked: list[str]) -> None:
    called = f"{asked[-1]}_{next(numbers)}"

    ended = CliRunner().invoke(program, ["init", url, *asked[:-1], called])

    assert ended.exit_code == 0
    assert f"GRANT {called}_writer, {called}_reader TO your_program" in ended.stdout
    assert "warning: the role postgres, which owns the log, is a superuser and may log in" in ended.stderr


# --- the lock


@pytest.mark.parametrize("number", [0, 1, 2])
async def test_a_stranger_s_advisory_locks_hold_nobody_up(
    url: str, log: str, stranger: Connection, number: int
) -> None:
    run(stranger, f"SELECT pg_advisory_lock(hashtextextended('{log}', {number}))")

    async with open_store(url) as store, open_store(url) as other:
        waiting = asyncio.create_task(store.wait(0, PATIENCE))
        await other.append([EVENT])

        assert await waiting == 1


async def test_a_log_says_once_when_it_cannot_be_told_of_appends(
    url: str, log: str, store: EventStore, stranger: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    run(stranger, f"SELECT pg_advisory_lock(hashtextextended('{log}', 2))")
    said = asyncio.Event()
    caplog.handler.setFormatter(logging.Formatter())
    caplog.handler.addFilter(lambda record: said.set() or True)
    waiting = asyncio.create_task(store.wait(0))
    await asyncio.wait_for(said.wait(), PATIENCE)
    await store.append([EVENT])
    await waiting

    [record] = [each for each in caplog.records if "who listens" in each.getMessage()]
    assert record.levelno == logging.WARNING


@pytest.mark.parametrize("role", ["reader", "writer"])
async def test_no_role_of_the_log_reaches_its_lock(
    log: str, url: str, store: EventStore, admin: Connection, role: str
) -> None:
    make_roles(url)
    run(admin, f"SET ROLE {log}_{role}")
    for mode in ("SHARE UPDATE EXCLUSIVE", "SHARE", "EXCLUSIVE", "ACCESS EXCLUSIVE"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege), admin.transaction():
            hold_append_lock(admin, log, mode)


async def test_appends_of_two_processes_wait_for_one_lock(url: str, log: str, admin: Connection) -> None:
    async with open_store(f"{url}&busy_timeout=0.05") as store:
        with admin.transaction():
            hold_append_lock(admin, log)
            with pytest.raises(StoreBusy):
                await store.append([EVENT])
            with pytest.raises(StoreBusy):
                await store.append([EVENT], key="k")

        assert (await store.append([EVENT])).first == 1


async def test_two_logs_do_not_wait_for_each_other(
    url: str, log: str, postgres: PostgresServer, store: EventStore, admin: Connection
) -> None:
    async with open_store(postgres.url(DATABASE, log=f"{log}_other", busy_timeout="0.05")) as other:
        with admin.transaction():
            hold_append_lock(admin, log)

            assert (await other.append([EVENT])).first == 1


@by_either_function
async def test_an_append_that_began_before_a_log_was_lifted_is_in_order_with_those_after_it(
    postgres: PostgresServer, log: str, sql: Callable[[str], bytes]
) -> None:
    """It has the older lock and runs the older function to its end: one of the two that meet fails, none is lost."""
    url = await older_log(postgres, log)
    plain = url.partition("&log=")[0]
    with psycopg.connect(plain) as holder, psycopg.connect(plain, autocommit=True) as former:
        [(head,)] = run(former, f"SELECT max(position) FROM {log}.event")
        run(holder, f"SELECT pg_advisory_xact_lock(hashtextextended('{log}', 0))")
        begun = asyncio.create_task(asyncio.to_thread(former.execute, sql(log)))
        await asyncio.to_thread(until_it_waits, holder, former.info.backend_pid)
        async with open_store(url) as store:  # which lifts it
            with psycopg.connect(plain) as later:
                later.execute(sql(log))
                holder.commit()  # the one that waits goes on, and meets a position that is taken
                await asyncio.to_thread(until_it_waits, holder, former.info.backend_pid)
                later.commit()
            with pytest.raises(psycopg.errors.UniqueViolation):
                await begun
            for after, error in ((head, Conflict), (head + 1, None)):
                with pytest.raises(error) if error else nullcontext():
                    await store.append([EVENT], condition=AppendCondition(criteria(tags=["account:a"]), after))
            found = await store.self_check()  # type: ignore[attr-defined]

            assert await store.head() == head + 2
    assert found == []


def until_it_waits(connection: Connection, pid: int) -> None:
    wait_for_row(connection, f"SELECT FROM pg_locks WHERE pid = {pid} AND NOT granted")


# --- notifications


def until_someone_listens(connection: Connection) -> None:
    shared = "locktype = 'advisory' AND mode = 'ShareLock' AND granted"
    wait_for_row(connection, f"SELECT FROM pg_locks WHERE {shared}")


@pytest.mark.parametrize("payload", ["999999999", "9" * 40, "x", "", "-1", "0"])
async def test_a_notification_that_anybody_sends_is_a_hint_and_no_position(
    url: str, log: str, store: EventStore, stranger: Connection, payload: str
) -> None:
    async with open_store(url) as other:
        waiting = asyncio.create_task(store.wait(0, PATIENCE))
        await asyncio.to_thread(until_someone_listens, stranger)
        for _ in range(3):
            run(stranger, f"NOTIFY {log}, '{payload}'")
            assert await store.head() == 0
        assert not waiting.done()

        await other.append([EVENT])
        assert await waiting == 1
    assert await store.wait(1, 0) == 1


# --- time

GIVEN = NewEvent("opened", b"{}", (), time=datetime(2013, 2, 8, tzinfo=UTC))


@pytest.mark.parametrize("sql", [sql_append, sql_append_few])
async def test_the_writer_cannot_say_when_events_happened(
    url: str, log: str, store: EventStore, admin: Connection, sql: Callable[[str], bytes]
) -> None:
    make_roles(url)
    dated = sql(log).replace(b"true, null", b"true, 1000000")

    run(admin, f"SET ROLE {log}_writer", sql(log).decode())
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match=f"role {log}_writer may not say when"):
        run(admin, dated.decode())

    assert await store.head() == 1
    run(admin, "RESET ROLE", dated.decode())


async def test_clocks_and_times_are_for_who_has_the_right_to_date_events(
    postgres: PostgresServer, url: str, log: str, store: EventStore, admin: Connection
) -> None:
    writer, reader = make_roles(url)
    app = f"app_{log}"
    run(admin, f"CREATE ROLE {app} LOGIN; GRANT {writer}, {reader} TO {app}")
    async with open_store(as_role(url, app)) as plain:
        with pytest.raises(StoreReadOnly, match=f"role {app} may not say when events happened") as refused:
            await plain.append([GIVEN])
        assert refused.value.remedy.startswith("grant that right")
        await plain.append([EVENT], key="k")
    async with open_store(as_role(url, app), clock=FakeClock()) as clocked:
        for key in (None, "other"):
            with pytest.raises(StoreReadOnly, match="GRANT EXECUTE ON FUNCTION"):
                await clocked.append([EVENT], key=key)

        run(admin, f"GRANT EXECUTE ON FUNCTION {log}.may_date_events TO {app}")
        assert (await clocked.append([EVENT])).first == 2
        assert (await clocked.append([EVENT], key="other")).first == 3


# --- names


async def rename(store: EventStore, admin: Connection, log: str) -> str:
    """Give the schema of a log another name."""
    await store.append([EVENT])
    async for _ in store.read(criteria(tags=["account:a"])):
        pass
    await store.append([EVENT])  # with all plans made
    run(admin, f"ALTER SCHEMA {log} RENAME TO {log}_archive")
    return f"{log}_archive"


VERBS: dict[str, Callable[[EventStore], Any]] = {
    "append": lambda store: store.append([EVENT]),
    "append with a key": lambda store: store.append([EVENT], key="k"),
    "read": lambda store: all_of(store),
    "read a tag": lambda store: all_of(store, tag="account:a"),
    "head": lambda store: store.head(),
    "wait": lambda store: store.wait(10, PATIENCE),
}


async def all_of(store: EventStore, tag: str | None = None) -> list[int]:
    wanted = {} if tag is None else {"criteria": criteria(tags=[tag])}
    return [event.position async for batch in store.read(**wanted) for event in batch.events]


@pytest.mark.parametrize("verb", VERBS)
async def test_a_renamed_log_is_not_found_under_its_name(
    store: EventStore, log: str, admin: Connection, verb: str
) -> None:
    await rename(store, admin, log)

    with pytest.raises(StoreNotFound, match=log):
        await VERBS[verb](store)


@pytest.mark.parametrize("verb", VERBS)
async def test_another_log_that_has_the_name_of_a_renamed_one_is_refused(
    url: str, store: EventStore, log: str, admin: Connection, verb: str
) -> None:
    archive = await rename(store, admin, log)
    async with open_store(url) as other:
        for _ in range(5):
            await other.append([EVENT])

        with pytest.raises(LogReplaced, match=other.log_id):
            await VERBS[verb](store)

        assert await other.head() == 5
    assert run(admin, f"SELECT count(*) FROM {archive}.event") == [(2,)]


@by_either_function
async def test_functions_of_a_renamed_log_do_not_write_into_the_log_that_has_its_name_now(
    url: str, store: EventStore, log: str, admin: Connection, sql: Callable[[str], bytes]
) -> None:
    archive = await rename(store, admin, log)
    async with open_store(url) as other:
        for call in (sql(archive).decode(), f"SELECT {archive}.take_lease('w', NULL, NULL, 'h')"):
            with pytest.raises(psycopg.errors.UndefinedTable):
                run(admin, call)

        assert await other.head() == 0
        assert run(admin, f"SELECT name FROM {log}.lease") == []


async def test_a_renamed_log_is_opened_under_its_new_name_by_its_owner(
    postgres: PostgresServer, store: EventStore, log: str, admin: Connection
) -> None:
    archive = await rename(store, admin, log)

    async with open_store(postgres.url(DATABASE, log=archive)) as renamed:
        assert renamed.log_id == store.log_id
        assert (await renamed.append([EVENT])).first == 3


@pytest.mark.parametrize("role", ["writer", "reader"])
async def test_a_role_that_reaches_a_log_in_another_database_is_not_given_rights_on_this_one(
    postgres: PostgresServer, url: str, store: EventStore, log: str, role: str
) -> None:
    make_roles(url)
    elsewhere = postgres.create(f"tests_{log}")
    postgres.execute(f"DROP OWNED BY {log}_{'reader' if role == 'writer' else 'writer'}", DATABASE)
    async with open_store(f"{elsewhere}&log={log}") as other:
        with pytest.raises(RoleTaken, match=f"the role {log}_{role} has rights in the database {DATABASE}"):
            make_roles(f"{elsewhere}&log={log}")
        names = make_roles(f"{elsewhere}&log={log}", f"tests_{log}")
        await other.append([EVENT])

    assert names == (f"tests_{log}_writer", f"tests_{log}_reader")
    with psycopg.connect(elsewhere, autocommit=True) as connection:
        assert run(connection, f"SET ROLE tests_{log}_writer", sql_append(log).decode()) == [(1,)]
        assert run(connection, f"RESET ROLE; SET ROLE tests_{log}_reader", f"SELECT count(*) FROM {log}.events") == [
            (2,)
        ]
        run(connection, "RESET ROLE")
        for verb in (sql_append(log).decode(), f"SELECT count(*) FROM {log}.events"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                run(connection, f"SET ROLE {log}_{role}", verb)
    make_roles(url)  # its own are renewed


async def test_a_role_of_a_renamed_log_is_not_given_rights_on_the_log_that_has_its_name_now(
    url: str, store: EventStore, log: str, admin: Connection
) -> None:
    make_roles(url)
    archive = await rename(store, admin, log)

    async with open_store(url):
        with pytest.raises(RoleTaken, match=f"the log {archive} of this database"):
            make_roles(url)


def test_roles_are_called_by_names_that_need_no_quotes(url: str) -> None:
    with pytest.raises(InvalidUrl, match="lower-case"):
        make_roles(url, 'a"b')


# --- encoding


async def test_processes_with_other_client_encodings_write_the_same_tags(
    postgres: PostgresServer, url: str, store: EventStore, log: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    groesse = NewEvent("opened", b"{}", ("account:größe",))
    nothing_yet = AppendCondition(criteria(tags=["account:größe"]), 0)
    postgres.execute(f"CREATE ROLE latin_{log} SUPERUSER LOGIN")
    postgres.execute(f"ALTER ROLE latin_{log} SET client_encoding = 'LATIN1'")
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")

    async with open_store(as_role(url, f"latin_{log}")) as latin:
        await latin.append([groesse], condition=nothing_yet)
        with pytest.raises(Conflict):
            await store.append([groesse], condition=nothing_yet)
        found = [event.tags async for batch in store.read() for event in batch.events]
    assert found == [groesse.tags]


def test_a_connection_that_does_not_speak_utf_8_is_refused(postgres: PostgresServer) -> None:
    with (
        psycopg.connect(postgres.url(), client_encoding="LATIN1") as connection,
        pytest.raises(UnsuitableDatabase, match="LATIN1"),
    ):
        check_encoding("the log's database", connection)

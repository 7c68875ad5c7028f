"""Snapshots in the schema of a log in PostgreSQL: rights, logs of an older leftfold, and a server in trouble."""

import logging
from collections.abc import Iterator
from itertools import count as counting_from
from typing import Any

import psycopg
import pytest

from leftfold import LiveApp
from leftfold.cli.opening import read_only
from leftfold.store import open_store
from leftfold.store.open import make_roles
from leftfold.store.postgres import snapshots as postgres_snapshots
from leftfold_torture.postgres_server import PostgresServer
from tests.pgbouncer import MISSING, PROGRAM, PgBouncer
from tests.test_snapshots import LONG, Count, EventsRead, counting_app, model_of

numbers = counting_from(1)


@pytest.fixture
def server(mortal: PostgresServer) -> PostgresServer:
    """One that a test may stop, or fill with roles."""
    return mortal


@pytest.fixture
def log() -> str:
    """The name of a log that is not there yet."""
    return f"kept_{next(numbers)}"


@pytest.fixture
def url(server: PostgresServer, log: str) -> str:
    return server.url(log=log)


@pytest.fixture
def owner(server: PostgresServer) -> Iterator["psycopg.Connection[Any]"]:
    with psycopg.connect(server.url(), autocommit=True) as connection:
        yield connection


def run(connection: "psycopg.Connection[Any]", *statements: str) -> None:
    for statement in statements:
        connection.execute(statement.encode())


def positions(connection: "psycopg.Connection[Any]", log: str) -> list[Any]:
    return [position for (position,) in connection.execute(f"SELECT position FROM {log}.snapshot".encode())]


async def make_long(live: LiveApp, *, events: int = LONG, counter: str = "c") -> None:
    await live.execute_many([Count(counter, number) for number in range(events)])


async def count_of(live: LiveApp, app: Any, as_of: int | None = None) -> int:
    found: int = (await live.state(model_of(app), "c", as_of=as_of)).count
    return found


def as_role(url: str, role: str) -> str:
    return url.replace("postgres@", f"{role}@", 1)


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.name == "leftfold.snapshots" and record.levelno >= logging.WARNING
    ]


# --- rights


@pytest.fixture
async def program(url: str, log: str, owner: "psycopg.Connection[Any]") -> str:
    """A role that was granted both of the log's roles, which are made, as is the log."""
    async with counting_app().open(url) as live:
        await make_long(live, events=LONG - 1)
    writer, reader = make_roles(url)
    run(owner, f"CREATE ROLE app_{log} LOGIN; GRANT {writer}, {reader} TO app_{log}")
    return f"app_{log}"


async def test_a_program_with_both_roles_keeps_finds_and_forgets_snapshots(
    url: str, log: str, program: str, owner: "psycopg.Connection[Any]", caplog: pytest.LogCaptureFixture
) -> None:
    async with counting_app().open(as_role(url, program)) as live:
        await live.execute(Count("c", 0))
    assert positions(owner, log) == [LONG]
    run(owner, f"""UPDATE {log}.snapshot SET state = replace(state, '"count":1000', '"count":999')""")

    app = counting_app()
    async with app.open(as_role(url, program)) as live:
        assert await count_of(live, app, as_of=LONG) == 999
        assert live.snapshot_trouble is None
    run(owner, f"UPDATE {log}.snapshot SET position = {LONG + 1}")
    async with counting_app().open(as_role(url, program)):
        assert positions(owner, log) == []
    assert warnings_in(caplog) == []


async def test_the_writer_cannot_read_a_state_and_the_reader_cannot_change_one(
    url: str, log: str, program: str, owner: "psycopg.Connection[Any]"
) -> None:
    for role, statements in (
        ("writer", ("SELECT state FROM {}", "SELECT key FROM {}", "TRUNCATE {}", "SELECT * FROM {}")),
        ("reader", ("UPDATE {} SET position = 1", "DELETE FROM {}", "INSERT INTO {} DEFAULT VALUES", "TRUNCATE {}")),
    ):
        run(owner, f"SET ROLE {log}_{role}")
        for statement in statements:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                run(owner, statement.format(f"{log}.snapshot"))
        run(owner, "RESET ROLE")


async def test_a_role_without_rights_to_the_table_keeps_snapshots_in_memory_and_says_which_grant_is_missing(
    url: str, log: str, program: str, owner: "psycopg.Connection[Any]", caplog: pytest.LogCaptureFixture
) -> None:
    run(owner, f"REVOKE ALL ON {log}.snapshot FROM {log}_writer, {log}_reader")

    app = counting_app()
    async with app.open(as_role(url, program)) as live:
        await live.execute(Count("c", 0))
        assert await count_of(live, app) == LONG
        assert (await live.verify(snapshots=True))[1].checked == 1
        [warning] = warnings_in(caplog)
        assert (await live.status()).snapshots == warning
    assert f'GRANT SELECT, INSERT, UPDATE, DELETE ON "{log}".snapshot TO {program}' in warning
    assert positions(owner, log) == []

    run(owner, warning[warning.index("GRANT") :])
    async with counting_app().open(as_role(url, program)) as live:
        await make_long(live)
        assert live.snapshot_trouble is None
    assert positions(owner, log) == [2 * LONG]


async def test_a_role_that_may_only_read_the_table_goes_on_from_snapshots_and_keeps_none(
    url: str,
    log: str,
    program: str,
    owner: "psycopg.Connection[Any]",
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with counting_app().open(url) as live:
        await live.execute(Count("c", 0))
        await make_long(live)
    run(owner, f"REVOKE INSERT, UPDATE ON {log}.snapshot FROM {log}_writer")

    app = counting_app()
    async with app.open(as_role(url, program)) as live:
        events = EventsRead(live, monkeypatch)
        assert await count_of(live, app) == 2 * LONG
        assert events.count == LONG + 1  # the beginning and the identity; there is no tail
        await make_long(live)
    assert positions(owner, log) == [2 * LONG]
    [warning] = warnings_in(caplog)
    assert f'found, but not kept: the role {program} lacks rights. GRANT INSERT, UPDATE ON "{log}".snapshot' in warning


@pytest.mark.parametrize("granted", [True, False])
async def test_a_log_that_is_only_read_needs_the_right_to_select_alone(
    url: str, log: str, program: str, owner: "psycopg.Connection[Any]", caplog: pytest.LogCaptureFixture, granted: bool
) -> None:
    run(owner, f"CREATE ROLE person_{log} LOGIN; GRANT {log}_reader TO person_{log}")
    if not granted:
        run(owner, f"REVOKE SELECT ON {log}.snapshot FROM {log}_reader")

    app = counting_app()
    async with app.open(read_only(as_role(url, f"person_{log}"))) as live:
        assert await count_of(live, app) == LONG - 1
        assert ("GRANT SELECT ON" in (live.snapshot_trouble or "")) == (not granted)
    assert len(warnings_in(caplog)) == (not granted)


# --- a log in PostgreSQL that an older leftfold has made


async def test_a_log_of_an_older_leftfold_gets_the_table_and_its_roles_their_rights_from_its_owner(
    url: str, log: str, program: str, owner: "psycopg.Connection[Any]", caplog: pytest.LogCaptureFixture
) -> None:
    run(owner, f"DROP TABLE {log}.snapshot", f"CREATE ROLE {log}_owner LOGIN SUPERUSER")
    run(owner, f"ALTER SCHEMA {log} OWNER TO {log}_owner")
    for relation in ("log", "type", "event", "tag", "idempotency_key", "lease", "events"):
        run(owner, f"ALTER TABLE {log}.{relation} OWNER TO {log}_owner")
    run(owner, f"ALTER ROLE {log}_owner NOSUPERUSER")

    with caplog.at_level(logging.INFO, "leftfold.snapshots"):
        for _ in range(2):
            async with open_store(as_role(url, f"{log}_owner")) as store:
                assert await store.head() == LONG - 1
    async with counting_app().open(as_role(url, program)) as live:
        await live.execute(Count("c", 0))
        assert live.snapshot_trouble is None

    assert positions(owner, log) == [LONG]
    assert [record.getMessage() for record in caplog.records if record.name == "leftfold.snapshots"] == [
        f"log {log!r} now has a table of snapshots"
    ]


async def test_an_administrator_makes_the_table_for_the_owner_of_the_log(
    url: str, log: str, program: str, owner: "psycopg.Connection[Any]"
) -> None:
    run(owner, f"DROP TABLE {log}.snapshot", f"ALTER TABLE {log}.log OWNER TO {program}")

    async with open_store(url):
        pass

    query = "SELECT tableowner FROM pg_tables WHERE schemaname = %s AND tablename = 'snapshot'"
    assert owner.execute(query, [log]).fetchall() == [(program,)]


async def test_a_role_that_does_not_own_an_older_log_keeps_snapshots_in_memory_and_says_so_once(
    url: str, log: str, program: str, owner: "psycopg.Connection[Any]", caplog: pytest.LogCaptureFixture
) -> None:
    run(owner, f"DROP TABLE {log}.snapshot")

    app = counting_app()
    async with app.open(as_role(url, program)) as live:
        await live.execute(Count("c", 0))
        await make_long(live)
        assert (await live.verify(snapshots=True))[1].checked == 1
        [warning] = warnings_in(caplog)
        assert (await live.status()).snapshots == warning

    assert "Run leftfold init as its owner" in warning
    assert owner.execute("SELECT to_regclass(%s)", [f"{log}.snapshot"]).fetchall() == [(None,)]


async def test_an_older_log_that_is_only_read_has_no_snapshots_and_says_nothing(
    url: str, log: str, program: str, owner: "psycopg.Connection[Any]", caplog: pytest.LogCaptureFixture
) -> None:
    run(owner, f"DROP TABLE {log}.snapshot")

    app = counting_app()
    async with app.open(read_only(url)) as live:
        assert await count_of(live, app) == LONG - 1

    assert warnings_in(caplog) == []
    assert owner.execute("SELECT to_regclass(%s)", [f"{log}.snapshot"]).fetchall() == [(None,)]


async def test_roles_are_made_for_an_older_log_too(url: str, log: str, owner: "psycopg.Connection[Any]") -> None:
    async with open_store(url):
        run(owner, f"DROP TABLE {log}.snapshot")
        make_roles(url)

    async with open_store(url):
        pass
    held = "SELECT has_table_privilege(%s, %s, 'SELECT'), has_table_privilege(%s, %s, 'INSERT')"
    table = f"{log}.snapshot"
    assert owner.execute(held, [f"{log}_reader", table, f"{log}_writer", table]).fetchall() == [(True, True)]


# --- a server in trouble


async def test_snapshots_go_on_after_the_server_was_restarted(
    server: PostgresServer, url: str, log: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = counting_app()
    async with app.open(url) as live:
        await make_long(live)
        server.restart()
        await make_long(live)
        assert live.snapshot_trouble is None
    with psycopg.connect(server.url()) as connection:
        assert positions(connection, log) == [2 * LONG]

    async with app.open(url) as live:
        server.restart()
        events = EventsRead(live, monkeypatch)
        assert await count_of(live, app) == 2 * LONG
        assert events.count == LONG + 1


async def test_a_table_that_stays_locked_holds_up_no_command_for_long_and_is_not_waited_for_again_soon(
    url: str, log: str, owner: "psycopg.Connection[Any]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_snapshots, "LOCK_TIMEOUT", "10ms")
    monkeypatch.setattr(postgres_snapshots, "SLOW_SECONDS", 0.0)
    app = counting_app()
    async with app.open(url) as live:
        with owner.transaction():
            run(owner, f"LOCK TABLE {log}.snapshot")
            await make_long(live)
            assert "lock timeout" in (live.snapshot_trouble or "")
        await make_long(live)
        assert "lock timeout" in (live.snapshot_trouble or "")  # that of before: nothing was sent
        assert positions(owner, log) == []
        monkeypatch.setattr(postgres_snapshots, "monotonic", lambda: float("inf"))
        await make_long(live)

        assert live.snapshot_trouble is None
    assert positions(owner, log) == [3 * LONG]


async def test_an_app_opens_while_there_is_no_connection_for_snapshots(
    url: str, log: str, owner: "psycopg.Connection[Any]", monkeypatch: pytest.MonkeyPatch
) -> None:
    def connect(*arguments: Any, **options: Any) -> Any:
        raise psycopg.OperationalError("sorry, too many clients already")

    with monkeypatch.context() as patched:
        patched.setattr(postgres_snapshots, "connect", connect)
        opening = counting_app().open(url)
        live = await opening.__aenter__()
        await make_long(live)
        assert "too many clients" in (live.snapshot_trouble or "")
    await make_long(live)

    assert positions(owner, log) == [2 * LONG]
    await opening.__aexit__(None, None, None)


@pytest.mark.skipif(PROGRAM is None, reason=MISSING)
async def test_snapshots_are_kept_and_found_through_pgbouncer(
    server: PostgresServer, log: str, owner: "psycopg.Connection[Any]", monkeypatch: pytest.MonkeyPatch
) -> None:
    with PgBouncer(server, default_pool_size="1") as pooler:
        url = pooler.url(log=log, through="pgbouncer")
        app = counting_app()
        async with app.open(url) as live:
            await make_long(live)
            await make_long(live)
        assert positions(owner, log) == [2 * LONG]

        async with app.open(url) as live, app.open(url):
            events = EventsRead(live, monkeypatch)
            assert await count_of(live, app) == 2 * LONG
            assert events.count == LONG + 1

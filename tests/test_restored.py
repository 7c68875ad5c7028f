"""A log or its read models restored, moved or replaced: no cell of the matrix gives a wrong answer."""

import asyncio
import logging
import shutil
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Protocol, Self
from uuid import uuid4

import msgspec
import psycopg
import pytest
import sqlalchemy as sa

from leftfold import (
    App,
    Command,
    Event,
    LiveApp,
    NewEvent,
    ProcessManager,
    Query,
    Reaction,
    ReadModel,
    ReadModels,
    Tag,
    replace,
)
from leftfold.errors import LogReplaced, ReadModelBehind, ReadModelDiverged, StoreUnreachable, TableTaken
from leftfold.model.criteria import criteria
from leftfold.store import open_store
from leftfold.store.postgres.driver import connect
from leftfold.store.postgres.schema import create_log
from leftfold_torture.postgres_server import PostgresServer

AccountId = Annotated[str, Tag("account")]
LIMIT = 10.0


class Deposited(Event):
    account: AccountId
    amount: int


class Thanked(Event):
    account: AccountId
    amount: int


class Deposit(Command):
    account: AccountId
    amount: int


class Thank(Command):
    account: AccountId
    amount: int


class Balance(ReadModel):
    account: AccountId
    amount: int = 0

    def evolve(self, event: Deposited) -> Self:
        return replace(self, amount=self.amount + event.amount)


class Kept(Balance):
    """With history."""


class Divided(Balance):
    """In shards."""


class Thanks(ProcessManager):
    account: AccountId

    def evolve(self, event: Deposited) -> Self:
        return self

    def react(self, event: Deposited) -> Reaction:
        return Thank(self.account, event.amount)


class Balances(Query[dict[str, int]]):
    """As one kind of model has them."""

    kind: str


metadata = sa.MetaData()
totals = sa.Table(
    "totals", metadata, sa.Column("account", sa.String, primary_key=True), sa.Column("amount", sa.BigInteger)
)
KEYED: dict[str, type[Balance]] = {"keyed": Balance, "history": Kept, "shards": Divided}
KINDS = (*KEYED, "free")
NAMED = ("Balance", "Kept", "Divided", "totals")


def bank(mail: list[int]) -> App:
    """The app of every process in these tests; its reactor notes the amounts."""
    app = App("bank")
    app.read_model(Balance)
    app.read_model(history=True)(Kept)
    app.read_model(shards=2)(Divided)
    app.process(Thanks)

    @app.handles
    def deposit(command: Deposit) -> Deposited:
        return Deposited(command.account, command.amount)

    @app.handles
    def thank(command: Thank) -> Thanked:
        return Thanked(command.account, command.amount)

    @app.projection("totals", tables=metadata)
    def total(event: Deposited, connection: sa.Connection) -> None:
        of_account = totals.c.account == event.account
        added = sa.update(totals).where(of_account).values(amount=totals.c.amount + event.amount)
        if connection.execute(added).rowcount == 0:
            connection.execute(sa.insert(totals).values(account=event.account, amount=event.amount))

    @app.reactor("mail", start="from_start")
    async def send(event: Deposited) -> None:
        mail.append(event.amount)

    @app.answers
    def balances(query: Balances, models: ReadModels) -> dict[str, int]:
        if query.kind == "free":
            return {row.account: row.amount for row in models.execute(sa.select(totals))}
        return {row.account: row.amount for row in models.select(KEYED[query.kind])}

    return app


class Place(Protocol):
    """Where a log and its read models are kept, for an operator who saves and restores them while nothing runs."""

    url: str

    def save(self, head: int) -> None:
        """Take a backup of everything; the log is at this position."""
        ...

    def restore(self, *parts: str) -> None:
        """Bring back some of it."""
        ...

    def lose_log(self) -> None:
        """Leave the place to another log."""
        ...

    def forget_identities(self) -> None:
        """Give the models database the form that it had in releases before checkpoints had identities."""
        ...

    async def replace_under(self, *, grow: bool, way: str) -> None:
        """Put the older log in the place of the one that processes have open; `grow` has it go on in another way."""
        ...


class Folder:
    """SQLite files."""

    def __init__(self, path: Path) -> None:
        self.url = f"sqlite:///{path / 'bank.db'}"
        self._path = path

    def save(self, head: int) -> None:
        (self._path / "saved").mkdir()
        for file in self._path.glob("bank.*"):
            shutil.copy(file, self._path / "saved" / file.name)

    def restore(self, *parts: str) -> None:
        for part in parts:
            self._remove(part)
            for file in (self._path / "saved").glob(f"{NAMES[part]}*"):
                shutil.copy(file, self._path / file.name)

    def lose_log(self) -> None:
        self._remove("log")

    def forget_identities(self) -> None:
        with closing(sqlite3.connect(self._path / "bank.models.db")) as connection:
            connection.execute(WITHOUT_ANCHORS)

    async def replace_under(self, *, grow: bool, way: str) -> None:
        if way == "in place":
            self._restore_in_place()
        else:
            self.restore("log")
        if grow:
            await grown(self, "b", *MORE)

    def _restore_in_place(self) -> None:
        with (
            closing(sqlite3.connect(self._path / "saved" / "bank.db")) as saved,
            closing(sqlite3.connect(self._path / "bank.db")) as present,
        ):
            saved.backup(present)

    def _remove(self, part: str) -> None:
        for file in self._path.glob(f"{NAMES[part]}*"):
            file.unlink()


WITHOUT_ANCHORS = "ALTER TABLE leftfold_checkpoint DROP COLUMN anchor"
NAMES = {"log": "bank.db", "models": "bank.models.db"}


class Schemas:
    """Two schemas of a PostgreSQL database."""

    def __init__(self, server: PostgresServer, database: str, head: int = 0) -> None:
        self._log = "bank"
        self._admin = server.url(database)
        self.url = server.url(database, log=self._log)
        self._head = head

    def save(self, head: int) -> None:
        self._head = head
        self._run(f"CREATE SCHEMA {self._log}_saved")
        for table in self._tables("models"):
            self._run(f'CREATE TABLE {self._log}_saved."{table}" AS TABLE {self._log}_models."{table}"')

    def restore(self, *parts: str) -> None:
        if "log" in parts:
            self._cut_log()
        if "models" in parts:
            for table in self._tables("saved"):
                self._run(f'TRUNCATE {self._log}_models."{table}"')
                self._run(f'INSERT INTO {self._log}_models."{table}" SELECT * FROM {self._log}_saved."{table}"')

    def lose_log(self) -> None:
        self._run(f"DROP SCHEMA {self._log} CASCADE")

    def forget_identities(self) -> None:
        self._run(f"SET search_path = {self._log}_models", WITHOUT_ANCHORS)

    async def replace_under(self, *, grow: bool, way: str) -> None:
        more = ("event", "time, type, version, tags, data, metadata"), ("tag", "type, tag")
        self._cut_log(
            *(
                f"INSERT INTO {self._log}.{table} (position, {columns}) SELECT {self._head} + n, {columns} "
                f"FROM {self._log}.{table}, generate_series(1, 40) AS n WHERE position = 1"
                for table, columns in (more if grow else ())
            )
        )
        if way == "schema":
            self._make_schema_anew()
        if way == "failover":
            self._run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")

    def _make_schema_anew(self) -> None:
        """Drop it and fill a new one, as a dump does that is restored with --clean."""
        former, tables = f"{self._log}_former", ("log", "type", "event", "tag", "idempotency_key")
        with connect(self._admin, session=True) as connection, connection.transaction():
            connection.execute(f"CREATE SCHEMA {former}".encode())
            for table in tables:
                connection.execute(f"CREATE TABLE {former}.{table} AS TABLE {self._log}.{table}".encode())
            [(log_id,)] = connection.execute(f"SELECT id FROM {self._log}.log".encode()).fetchall()
            connection.execute(f"DROP SCHEMA {self._log} CASCADE".encode())
            create_log(connection, self._log, log_id)
            connection.execute(f"DELETE FROM {self._log}.log".encode())
            for table in tables:
                inserted = f"INSERT INTO {self._log}.{table} OVERRIDING SYSTEM VALUE SELECT * FROM {former}.{table}"
                connection.execute(inserted.encode())

    def _cut_log(self, *growing: str) -> None:
        """Take the tail away, as a replica lacks it that had not received it when it was promoted.

        Nothing is appended meanwhile: what workers write must not come between the cut and the growth.
        """
        with psycopg.connect(self._admin) as connection:
            [(log_id,)] = connection.execute(f"SELECT id FROM {self._log}.log".encode()).fetchall()
        self._run(
            "BEGIN",
            f'LOCK TABLE {self._log}."append_lock_{log_id}" IN EXCLUSIVE MODE',
            "SET LOCAL session_replication_role = replica",
            *(f"DELETE FROM {self._log}.{table} WHERE position > {self._head}" for table in ("event", "tag")),
            f"DELETE FROM {self._log}.idempotency_key WHERE last_position > {self._head}",
            *growing,
            "COMMIT",
        )

    def _tables(self, part: str) -> list[str]:
        with psycopg.connect(self._admin, autocommit=True) as connection:
            sql = "SELECT tablename FROM pg_tables WHERE schemaname = %s"
            return [str(name) for (name,) in connection.execute(sql, [f"{self._log}_{part}"])]

    def _run(self, *statements: str) -> None:
        with psycopg.connect(self._admin, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())


BEGUN = (1, 2, 3)
"""The amounts of the deposits that each place begins with: worked off, and saved."""


async def begun(place: Place) -> int:
    await grown(place, "a", *BEGUN)
    head = await worked_off(place, [])
    place.save(head)
    return head


@pytest.fixture(scope="module")
def begun_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the folders of the tests are copied from."""
    folder = tmp_path_factory.mktemp("begun")
    asyncio.run(begun(Folder(folder)))
    return folder


@pytest.fixture(scope="module")
def begun_database(postgres: PostgresServer) -> tuple[str, int]:
    """What the databases of the tests are copied from, and the head of its log."""
    postgres.create("begun")
    return "begun", asyncio.run(begun(Schemas(postgres, "begun")))


@pytest.fixture
def open_place(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], Place]:
    """Make the place of a test on one of the backends."""

    def make(backend: str) -> Place:
        if backend == "sqlite":
            shutil.copytree(request.getfixturevalue("begun_folder"), tmp_path, dirs_exist_ok=True)
            return Folder(tmp_path)
        server: PostgresServer = request.getfixturevalue("postgres")
        template, head = request.getfixturevalue("begun_database")
        database = f"bank_{uuid4().hex[:8]}"
        server.execute(f"CREATE DATABASE {database} TEMPLATE {template}")
        request.addfinalizer(lambda: server.execute(f"DROP DATABASE {database} WITH (FORCE)"))
        return Schemas(server, database, head)

    return make


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, open_place: Callable[[str], Place]) -> Place:
    return open_place(request.param)


async def grown(place: Place, account: str, *amounts: int) -> int:
    """Deposits that no projection, process or reactor has seen yet; the head."""
    async with bank([]).open(place.url, work=False) as live:
        await live.execute_many([Deposit(account, amount) for amount in amounts])
        return await live.store.head()


async def worked_off(place: Place, mail: list[int]) -> int:
    """Let everything be done that there is to do; the head."""
    async with bank(mail).open(place.url) as live:
        await quiet(live)
        return await live.store.head()


async def quiet(live: LiveApp) -> None:
    async with asyncio.timeout(LIMIT):
        await live.run_until_quiet()


async def truth(live: LiveApp, kind: str = "Deposited", upto: int | None = None) -> dict[str, int]:
    """What the log says, folded without any of the machinery."""
    found: Counter[str] = Counter()
    async for batch in live.store.read(criteria(kind), upto=upto):
        for stored in batch.events:
            event = msgspec.json.decode(stored.data)
            found[event["account"]] += event["amount"]
    return dict(found)


MORE = [1_000 + n for n in range(40)]  # so many that the log goes beyond where it was


async def log_older(place: Place) -> None:
    place.restore("log")


async def log_older_and_grown(place: Place) -> None:
    place.restore("log")
    await grown(place, "b", *MORE)


async def models_older(place: Place) -> None:
    place.restore("models")


async def all_older(place: Place) -> None:
    place.restore("log", "models")


async def all_older_and_grown(place: Place) -> None:
    place.restore("log", "models")
    await grown(place, "b", *MORE)


async def another_log(place: Place) -> None:
    place.lose_log()
    await grown(place, "b", *MORE)


Case = Callable[[Place], Awaitable[None]]
REFUSED, NOT_OF_THIS_LOG, RIGHT = "refused until a worker has rebuilt it", "not of this log", "right as it is"
CASES: dict[Case, str] = {
    log_older: REFUSED,
    log_older_and_grown: REFUSED,
    models_older: RIGHT,
    all_older: RIGHT,
    all_older_and_grown: RIGHT,
    another_log: NOT_OF_THIS_LOG,
}


async def prepared(place: Place, case: Case, mail: list[int]) -> None:
    await grown(place, "a", 10, 20)
    await worked_off(place, mail)
    await case(place)


@pytest.mark.parametrize("case", CASES)
async def test_a_worker_that_opens_first_makes_everything_right(place: Place, case: Case) -> None:
    mail = [*BEGUN]
    await prepared(place, case, mail)

    if case is another_log and isinstance(place, Schemas):
        with pytest.raises(TableTaken):  # a database that others use too is not emptied for a log that is new there
            await worked_off(place, mail)
        return
    async with bank(mail).open(place.url) as live:
        await quiet(live)
        head = await live.store.head()
        true = await truth(live)

        assert {kind: await live.query(Balances(kind), after=head) for kind in KINDS} == dict.fromkeys(KINDS, true)
        assert await truth(live, "Thanked") == true
        assert set(mail) >= await amounts(live)
        assert [each.problem for each in await live.read_models()] == [None] * len(KINDS)


@pytest.mark.parametrize("case", CASES)
async def test_a_server_that_opens_first_answers_nothing_that_the_log_does_not_say(place: Place, case: Case) -> None:
    mail = [*BEGUN]
    await prepared(place, case, mail)

    async with bank([]).open(place.url, work=False) as server:
        outcomes = {kind: await outcome(server, kind) for kind in KINDS}
        assert outcomes == dict.fromkeys(KINDS, CASES[case])
        if CASES[case] == REFUSED:
            assert {type(each.problem) for each in await server.read_models()} == {ReadModelDiverged}

        if case is another_log and isinstance(place, Schemas):
            return
        await worked_off(place, mail)

        head, true = await server.store.head(), await truth(server)
        answers = {kind: await server.query(Balances(kind), after=head, wait_timeout=LIMIT) for kind in KINDS}
        assert answers == dict.fromkeys(KINDS, true)
        assert [each.problem for each in await server.read_models()] == [None] * len(KINDS)


async def test_a_server_says_once_what_a_restored_log_means_for_each_model(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    await prepared(place, log_older, [])

    async with bank([]).open(place.url, work=False) as server:
        for kind, name in (("keyed", "Balance"), ("shards", "Divided"), ("free", "totals")):
            with pytest.raises(ReadModelBehind) as behind:
                await server.query(Balances(kind), wait_timeout=0.05)
            assert behind.value.found == f"{name} has not been built from this log by this code yet, after 0.05 s"
            assert f"make sure that a process builds {name}" in behind.value.remedy
            assert isinstance(behind.value.__cause__, ReadModelDiverged)
        said = [each.getMessage().split(":")[0] for each in caplog.records if each.levelno >= logging.WARNING]
    assert sorted(said) == sorted(f"{name} waits" for name in NAMED)


async def test_a_worker_says_once_that_it_folds_a_restored_log_from_the_beginning(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    mail = [*BEGUN]
    await prepared(place, log_older, mail)

    await worked_off(place, mail)

    said = [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]
    assert [len([each for each in said if f"that {name} folded last" in each]) for name in NAMED] == [1, 1, 1, 1]
    assert len(said) == len(NAMED)


async def amounts(live: LiveApp) -> set[int]:
    read = live.store.read(criteria("Deposited"))
    return {
        msgspec.json.decode(each.data)["amount"] for batch in [each async for each in read] for each in batch.events
    }


async def outcome(server: LiveApp, kind: str) -> str:
    """What becomes of a query; a wrong answer is given back as it is."""
    try:
        answer = await server.query(Balances(kind), wait_timeout=0.05)
    except ReadModelBehind as behind:
        return REFUSED if isinstance(behind.__cause__, ReadModelDiverged) else NOT_OF_THIS_LOG
    head = await server.store.head()
    states = [await truth(server, upto=position) for position in range(head + 1)]
    return RIGHT if answer in states else f"wrong: {answer}"


WAYS = {"sqlite": ("moved", "in place"), "postgres": ("failover", "kept connections", "schema")}


@pytest.fixture(params=[(backend, way) for backend, ways in WAYS.items() for way in ways], ids="-".join)
def replaced(request: pytest.FixtureRequest, open_place: Callable[[str], Place]) -> tuple[Place, str]:
    """A place, and the way in which its log is replaced under processes that have it open."""
    backend, way = request.param
    return open_place(backend), way


@pytest.mark.parametrize("grow", [False, True])
async def test_a_process_whose_log_is_replaced_while_it_runs_is_refused_and_leaves_the_work_to_others(
    replaced: tuple[Place, str], grow: bool
) -> None:
    place, way = replaced
    mail = [*BEGUN]
    lease = timedelta(seconds=0.5)

    async with bank(mail).open(place.url, lease=lease) as former:
        await former.execute(Deposit("a", 10))
        await quiet(former)
        await place.replace_under(grow=grow, way=way)

        with pytest.raises(LogReplaced):
            await until_refused(former)
        with pytest.raises(LogReplaced):
            await former.execute(Deposit("a", 20))
        with pytest.raises(LogReplaced):
            await former.status()

        async with bank(mail).open(place.url, lease=lease) as present:
            await present.execute(Deposit("b", 30))
            head, true = await present.store.head(), await truth(present)
            answers = {kind: await present.query(Balances(kind), after=head, wait_timeout=LIMIT) for kind in KINDS}

    assert answers == dict.fromkeys(KINDS, true)


@pytest.mark.parametrize("grow", [False, True])
@pytest.mark.parametrize("first", ["state", "status", "explain", "execute", "read"])
async def test_every_verb_is_refused_once_an_sqlite_file_was_restored_in_place(
    tmp_path: Path, first: str, grow: bool
) -> None:
    place = Folder(tmp_path)
    place.save(await grown(place, "a", 1, 2, 3))

    async with bank([]).open(place.url, work=False) as live:
        verbs: dict[str, Callable[[], Awaitable[object]]] = {
            "state": lambda: live.state(Thanks, "a"),
            "status": live.status,
            "explain": lambda: live.explain(Thanks, "a"),
            "execute": lambda: live.execute(Deposit("a", 20)),
            "read": lambda: truth(live),
        }
        await live.execute(Deposit("a", 10))
        await live.state(Thanks, "a")
        await place.replace_under(grow=grow, way="in place")

        for verb in (first, *verbs):
            with pytest.raises(LogReplaced):
                await verbs[verb]()


@pytest.mark.parametrize("grow", [False, True])
@pytest.mark.parametrize("work", [False, True])
async def test_no_query_is_answered_once_any_verb_was_refused(
    replaced: tuple[Place, str], work: bool, grow: bool, caplog: pytest.LogCaptureFixture
) -> None:
    place, way = replaced

    async with bank([]).open(place.url, work=work) as live:
        receipt = await live.execute(Deposit("a", 10))
        if not work:
            await worked_off(place, [])
        for kind in KINDS:
            await live.query(Balances(kind), after=receipt, wait_timeout=LIMIT)
        caplog.clear()
        await place.replace_under(grow=grow, way=way)

        with pytest.raises(LogReplaced):
            await head_once_connected(live)
        for kind in KINDS:
            with pytest.raises(LogReplaced):
                await live.query(Balances(kind))

        stopped = [each.getMessage() for each in caplog.records if "has stopped" in each.getMessage()]
    assert len([each for each in stopped if each.startswith(NAMED)]) == len(NAMED)


async def test_what_other_processes_append_is_no_replaced_log(tmp_path: Path) -> None:
    place = Folder(tmp_path)
    async with bank([]).open(place.url, work=False) as live:
        for amount in range(1, 6):
            await live.execute(Deposit("a", amount))
            await grown(place, "b", amount)
            assert await truth(live) == dict.fromkeys("ab", sum(range(amount + 1)))


async def test_checkpoints_of_a_former_release_are_given_the_event_that_the_log_has_there(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    mail = [*BEGUN]
    await grown(place, "a", 10, 20)
    await worked_off(place, mail)
    place.forget_identities()

    async with bank([]).open(place.url, work=False) as server:  # of a newer release than the worker
        assert await outcome(server, "keyed") == RIGHT
    with caplog.at_level("INFO", "leftfold.history"):
        await worked_off(place, mail)
        first = [each.levelname for each in caplog.records if each.name == "leftfold.history"]
        await worked_off(place, mail)
        second = [each.levelname for each in caplog.records if each.name == "leftfold.history"]

    assert first == second == ["INFO"] * 5  # two of them are shards
    await log_older_and_grown(place)
    async with bank([]).open(place.url, work=False) as server:
        assert {await outcome(server, kind) for kind in KINDS} == {REFUSED}


async def head_once_connected(live: LiveApp) -> int:
    """The head, as soon as the store has a connection again."""
    while True:
        try:
            return await live.store.head()
        except StoreUnreachable:
            continue


async def until_refused(live: LiveApp) -> None:
    """Query until the projections have noticed."""
    async with asyncio.timeout(LIMIT):
        while True:
            await live.query(Balances("keyed"), wait_timeout=LIMIT)
            await asyncio.sleep(0.01)


async def test_a_log_whose_url_is_relative_stays_where_it_was_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    async with open_store("sqlite:///bank.db") as store:
        monkeypatch.chdir("elsewhere")
        await store.append([NewEvent("noted", b"{}")], key="k")

        assert await store.head() == 1
        assert await store.lookup("k") is not None
        assert list((tmp_path / "elsewhere").iterdir()) == []


async def test_a_log_whose_folder_became_a_file_is_refused_by_name(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    async with open_store(f"sqlite:///{folder}/bank.db") as store:
        folder.rename(tmp_path / "moved")
        folder.touch()

        with pytest.raises(LogReplaced):
            await store.head()

"""What a URL says is what is opened, and what is not understood is refused by name."""

import os
import re
from collections.abc import Generator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

import pytest
from psycopg.pq import Conninfo

from examples.bank import Open, Richest, bank
from leftfold import open_store
from leftfold.errors import (
    InvalidUrl,
    ModelsUnavailable,
    StoreNotFound,
    StoreReadOnly,
    StoreUnreachable,
    UnsuitableDatabase,
)
from leftfold.query.tables.database import open_database
from leftfold.store import NewEvent
from leftfold.store.open import NUMBERS
from leftfold.store.postgres.driver import connect, run
from leftfold_torture.postgres_server import PostgresServer
from tests.accounts import Deposit, accounts_app
from tests.postgres import DATABASE

numbers = count(1)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("tenant#1.db", "tenant#1.db"),
        ("tenant%231.db", "tenant#1.db"),
        ("what%3F.db", "what?.db"),
        ("100%.db", "100%.db"),
        ("100%25.db", "100%.db"),
        ("two words+.db", "two words+.db"),
        ("größe-鍵.db", "größe-鍵.db"),
        ("~.db", "~.db"),
    ],
)
async def test_a_path_is_the_file_that_it_names(tmp_path: Path, written: str, name: str) -> None:
    async with accounts_app().open(f"sqlite:///{tmp_path}/{written}") as live:
        await live.execute(Deposit("a", 1))

    assert (tmp_path / name).is_file()
    assert not (tmp_path / "tenant").exists()


@pytest.mark.parametrize(
    "written", ["tenant#1.db", "tenant#1.db?busy_timeout=3", "tenant#1.db?mode=ro", "tenant#1/log.db"]
)
async def test_a_log_in_the_file_that_was_opened_for_a_name_so_far_is_not_passed_over(
    tmp_path: Path, written: str
) -> None:
    url = f"sqlite:///{tmp_path}/{written}"
    async with open_store(tmp_path / "tenant") as store:
        await store.append([NewEvent("noted", b"")])

        with pytest.raises(StoreNotFound, match=f"rename {tmp_path}/tenant .* to {tmp_path}/tenant#1"):
            open_store(url)

    assert [each.name for each in tmp_path.iterdir()] == ["tenant"]
    path = Path(url.removeprefix("sqlite:///").partition("?")[0])
    path.parent.mkdir(exist_ok=True)
    (tmp_path / "tenant").rename(path)
    async with open_store(url) as store:
        assert await store.head() == 1


@pytest.mark.parametrize("content", [b"", b"of another program"])
async def test_another_file_of_the_former_name_hinders_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "tenant").write_bytes(content)

    async with open_store(f"sqlite:///{tmp_path}/tenant#1.db"):
        pass

    assert (tmp_path / "tenant").read_bytes() == content


@pytest.mark.parametrize("written", ["tenant%231.db", "tenant#1.db"])
async def test_a_new_log_can_be_begun_beside_one_of_the_former_name(tmp_path: Path, written: str) -> None:
    async with open_store(tmp_path / "tenant"), open_store(f"sqlite:///{tmp_path}/tenant%231.db"):
        pass

    async with open_store(f"sqlite:///{tmp_path}/{written}") as store:
        assert await store.head() == 0


@pytest.mark.parametrize("name", ["log.db", "tenant#1 100%?.db"])
async def test_a_path_opens_an_sqlite_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    async with open_store(path) as store:
        await store.append([NewEvent("noted", b"")])
    async with accounts_app().open(path) as live:
        assert await live.store.head() == 1

    assert path.is_file()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite:///:memory:", "memory:"),
        ("sqlite:///folder/", "does not name a file"),
        ("sqlite:///a%00.db", "does not name a file"),
        ("sqlite://relative.db", "three slashes"),
        ("sqlite:///", "three slashes"),
        ("", "no backend"),
        ("C:\\data\\log.db", "no backend"),
        ("mysql://host/log", "no backend"),
        ("sqlite:///~/log.db", "~ is not expanded"),
        ("sqlite:///~ann/log.db", "~ is not expanded"),
        ("sqlite:///log.db?bussy_timeout=3", "did you mean 'busy_timeout'"),
        ("sqlite:///log.db?nonsense=3", "the options are accept_time"),
    ],
)
def test_what_is_not_understood_is_refused(
    url: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidUrl) as caught:
        open_store(url)

    assert said in str(caught.value)
    assert not list(tmp_path.iterdir())


NO_NUMBERS = ("", "0", "-1", "nan", "inf", "-inf", "1e400", "1e3", "0x10", "1_000", " 5", "five", "٥", "9" * 5_000)
WHOLE_NUMBERS = {"event_limit": 268_435_456, "queue": 1_000_000, "readers": 1_000}
PLACES = ("sqlite:///log.db", "postgresql://nobody@127.0.0.1:1/nowhere")


def numeric_options() -> list[tuple[str, str]]:
    return [(place, name) for place in PLACES for name in NUMBERS if name != "readers" or place != PLACES[0]]


@pytest.mark.parametrize(("place", "name"), numeric_options())
def test_a_number_that_cannot_be_meant_is_refused_with_its_bounds(
    place: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    beyond = [f"{NUMBERS[name].most}.1", "0.0001"]
    if name in WHOLE_NUMBERS:
        beyond = [str(WHOLE_NUMBERS[name] + 1), "0.5", "1.0"]
    for value in (*NO_NUMBERS, *beyond):
        with pytest.raises(InvalidUrl, match=rf"{name}=.* number from [\d.]+ to [\d,]+"):
            open_store(f"{place}?{name}={quote(value)}")

    with pytest.raises(InvalidUrl, match=f"has the option {name} twice"):
        open_store(f"{place}?{name}=5&{name}=6")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", NUMBERS)
def test_the_bounds_of_a_number_are_among_what_may_be_meant(name: str, tmp_path: Path) -> None:
    for value in (NUMBERS[name].least, NUMBERS[name].most):
        if name == "readers":
            with pytest.raises(StoreUnreachable):
                open_store(f"{PLACES[1]}?{name}={value}")
        else:
            open_store(f"sqlite:///{tmp_path}/{name}.db?{name}={value}")


@pytest.mark.parametrize(("place", "said"), [("missing/log.db", "folder"), ("folder", "is a folder")])
def test_a_folder_that_is_missing_or_stands_in_the_way_is_named(tmp_path: Path, place: str, said: str) -> None:
    (tmp_path / "folder").mkdir()

    with pytest.raises(StoreNotFound) as caught:
        open_store(f"sqlite:///{tmp_path}/{place}")

    assert said in caught.value.found


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite:///models.db?busy_timeout=3", "did you mean 'timeout'"),
        ("sqlite:///models.db?mode=ro&uri=true", "the options are timeout"),
        ("sqlite:///models.db?timeout=soon", "not a number from 0 to 86,400"),
        ("sqlite:///models.db?timeout=-1", "not a number from 0 to 86,400"),
        ("sqlite:///models.db?timeout=nan", "not a number from 0 to 86,400"),
        ("sqlite:///folder/", "does not name a file"),
        ("sqlite:///~/models.db", "~ is not expanded"),
        ("sqlite://models.db", "three slashes"),
    ],
)
def test_what_is_not_understood_in_the_url_of_the_models_is_refused(
    url: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidUrl) as caught:
        open_database(url)

    assert said in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("place", "said"), [("missing/models.db", "there is no folder"), ("folder", "is a folder")])
def test_a_folder_for_the_models_that_is_missing_or_stands_in_the_way_is_named(
    tmp_path: Path, place: str, said: str
) -> None:
    (tmp_path / "folder").mkdir()

    with pytest.raises(ModelsUnavailable, match=said):
        open_database(f"sqlite:///{tmp_path}/{place}")


@pytest.mark.parametrize("written", ["two words#1.db", "two%20words%231.db", "two words#1.db?timeout=3"])
def test_a_path_of_models_is_the_file_that_it_names(tmp_path: Path, written: str) -> None:
    database = open_database(f"sqlite:///{tmp_path}/{written}")
    with database.writing():
        pass
    database.close()

    assert (tmp_path / "two words#1.db").is_file()


async def test_models_take_a_path(tmp_path: Path) -> None:
    async with bank.open(tmp_path / "log.db", models=tmp_path / "models #1%.db") as live:
        await live.query(Richest(), after=await live.execute(Open("a", "ann")))

    assert (tmp_path / "models #1%.db").is_file()
    assert not (tmp_path / "log.models.db").exists()


@contextmanager
def unprivileged() -> Generator[None]:
    """What is done here is done by a user who may not write everywhere."""
    user = os.geteuid()
    if not user:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_a_folder_that_may_not_be_written_is_named_by_log_and_models() -> None:
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o555)
        with unprivileged():
            with pytest.raises(StoreReadOnly, match="cannot be written"):
                open_store(f"sqlite:///{folder}/log.db")
            with (
                pytest.raises(ModelsUnavailable, match="unable to open"),
                open_database(f"sqlite:///{folder}/m.db").writing(),
            ):
                pass


def fresh(postgres: PostgresServer, **options: str) -> str:
    return postgres.url(DATABASE, log=f"urls_{next(numbers)}", **options)


async def use(url: str, models: str | None = None) -> None:
    """Open an app on it, append, read and follow."""
    async with open_store(url) as store:
        await store.append([NewEvent("noted", b"", ("a:1",))], key="k")
        assert [len(batch.events) async for batch in store.read()] == [1]
        assert await store.wait(0, 5) == 1
    database = open_database(models or url.replace("log=", "schema="))
    try:
        with database.writing() as connection:
            assert connection.exec_driver_sql("SELECT '€'").scalar_one() == "€"
        with database.reading() as connection:
            assert connection.exec_driver_sql("SHOW transaction_isolation").scalar_one() == "repeatable read"
    finally:
        database.close()


async def test_several_hosts_are_tried_by_log_and_models(postgres: PostgresServer) -> None:
    folder = str(postgres.directory).replace("/", "%2F")
    url = f"postgresql://postgres@127.0.0.1:1,{folder}:5432/{DATABASE}?log=urls_{next(numbers)}"

    await use(url, url.replace("log=", "schema="))


WAYS = [
    "postgresql://postgres:a%2Fb%40c@{folder}/{database}?",
    "postgres://postgres@{folder}/{database}?",
    "postgresql://{folder}/{database}?user=postgres&",
    "postgresql:///?dbname={database}&user=postgres&password=a%2Fb%40c&host={folder}&",
    "postgresql:///{database}?user=postgres&host=127.0.0.1,{folder}&port=1,5432&",
    "postgresql://postgres:a%2Fb%40c@[::1]:1,{folder}:5432/{database}?",
]


@pytest.mark.parametrize("way", WAYS)
async def test_every_form_that_libpq_has_is_understood_by_log_and_models(postgres: PostgresServer, way: str) -> None:
    server = way.format(folder=quote(str(postgres.directory), safe=""), database=DATABASE)

    await use(f"{server}log=urls_{next(numbers)}")


@pytest.mark.parametrize("host", ["[::1]:1", "[::1]"])
def test_a_host_of_ip_version_6_is_understood_by_log_and_models(host: str) -> None:
    url = f"postgresql://postgres@{host}/{DATABASE}?port=1" if host == "[::1]" else f"postgresql://postgres@{host}/x"

    with pytest.raises(StoreUnreachable, match='"::1", port 1 '):
        open_store(url)
    database = open_database(url)
    with pytest.raises(ModelsUnavailable, match='"::1", port 1 '), database.writing():
        pass
    database.close()


SERVICE = """
# of this machine
[other]
options=-c statement_timeout=3s
[shop]
host={folder}
user=postgres
dbname={database}
{options}
"""


@pytest.mark.parametrize("named_by", ["the URL", "the environment"])
@pytest.mark.parametrize(("options", "timeout"), [("options=-c statement_timeout=7s", "7s"), ("", "9s")])
async def test_a_service_counts_with_its_options_for_log_and_models(
    postgres: PostgresServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    named_by: str,
    options: str,
    timeout: str,
) -> None:
    file = tmp_path / "service.conf"
    file.write_text(SERVICE.format(folder=postgres.directory, database=DATABASE, options=options))
    monkeypatch.setenv("PGSERVICEFILE", str(file))
    monkeypatch.setenv("PGOPTIONS", "-c statement_timeout=9s")
    if named_by == "the environment":
        monkeypatch.setenv("PGSERVICE", "shop")
    url = "postgresql:///" if named_by == "the environment" else "postgresql:///?service=shop"

    await use(f"{url}{'&' if '?' in url else '?'}log=urls_{next(numbers)}")

    database = open_database(url)
    with database.reading() as connection, connect(url, session=True) as of_log:
        assert connection.exec_driver_sql("SHOW statement_timeout").scalar_one() == timeout
        assert run(of_log, "SHOW statement_timeout") == [(timeout,)]
    database.close()


def parameters() -> list[str]:
    return [option.keyword.decode() for option in Conninfo.get_defaults()]


VALUES = {
    "application_name": "shop",
    "channel_binding": "prefer",
    "client_encoding": "LATIN1",
    "dbname": DATABASE,
    "fallback_application_name": "shop",
    "gssdelegation": "0",
    "gssencmode": "disable",
    "gsslib": "gssapi",
    "host": None,
    "hostaddr": "",
    "keepalives": "1",
    "krbsrvname": "postgres",
    "load_balance_hosts": "random",
    "max_protocol_version": "3.0",
    "min_protocol_version": "3.0",
    "options": "-c statement_timeout=7s",
    "passfile": "/nowhere",
    "password": "a/b@c",
    "port": "5432",
    "replication": "false",
    "require_auth": "",
    "requirepeer": "",
    "scram_client_key": f"{'A' * 43}=",
    "scram_server_key": f"{'A' * 43}=",
    "service": None,  # has a test of its own
    "ssl_max_protocol_version": "TLSv1.3",
    "ssl_min_protocol_version": "TLSv1.2",
    "sslcertmode": "allow",
    "sslcompression": "0",
    "sslkeylogfile": "",
    "sslmode": "prefer",
    "sslnegotiation": "postgres",
    "sslsni": "1",
    "target_session_attrs": "any",
    "user": "postgres",
}
"""Of the others any number does."""


@pytest.mark.parametrize("name", parameters())
async def test_every_parameter_of_libpq_works_for_log_and_models(postgres: PostgresServer, name: str) -> None:
    value = VALUES.get(name, "9")

    await use(fresh(postgres) if value is None else fresh(postgres, **{name: value}))


@pytest.mark.parametrize(
    "options",
    [
        {"target_session_attrs": "read-write"},
        {"target_session_attrs": "primary"},
        {"options": "-c statement_timeout=7s"},
        {"connect_timeout": "3", "application_name": "shop", "keepalives_idle": "9"},
    ],
)
async def test_parameters_of_libpq_work_for_log_and_models(postgres: PostgresServer, options: dict[str, str]) -> None:
    await use(fresh(postgres, **options))


async def test_pgoptions_and_another_client_encoding_do_no_harm(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    monkeypatch.setenv("PGOPTIONS", "-c default_transaction_isolation=serializable -c statement_timeout=7s")

    await use(fresh(postgres))


def test_an_unknown_parameter_of_the_models_is_refused_with_what_may_be_meant(postgres: PostgresServer) -> None:
    with pytest.raises(InvalidUrl, match=r"did you mean .*'connect_timeout'"):
        open_database(postgres.url(DATABASE, conect_timeout="3"))


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_database_that_cannot_hold_every_text_is_refused(postgres: PostgresServer, encoding: str) -> None:
    name = f"in_{encoding.lower()}"
    postgres.execute(f"CREATE DATABASE {name} ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")

    with pytest.raises(UnsuitableDatabase, match=encoding):
        open_store(postgres.url(name))
    database = open_database(postgres.url(name))
    with pytest.raises(UnsuitableDatabase, match=encoding), database.writing():
        pass
    database.close()


ROLE_SETTINGS = {
    "default_transaction_isolation": "'serializable'",
    "search_path": "'nowhere'",
    "datestyle": "'SQL, DMY'",
    "timezone": "'Asia/Kolkata'",
    "bytea_output": "'escape'",
    "standard_conforming_strings": "off",
    "row_security": "off",
    "lock_timeout": "'1s'",
    "client_encoding": "'LATIN1'",
}


async def test_settings_of_a_role_do_no_harm(postgres: PostgresServer) -> None:
    postgres.execute("CREATE ROLE odd LOGIN SUPERUSER")
    for name, value in ROLE_SETTINGS.items():
        postgres.execute(f"ALTER ROLE odd SET {name} = {value}")

    await use(fresh(postgres).replace("postgresql://postgres@", "postgresql://odd@"))


async def test_a_search_path_in_the_options_leaves_the_models_in_their_schema(postgres: PostgresServer) -> None:
    url = fresh(postgres, options="-csearch_path=nowhere,public -c statement_timeout=7s")
    log = re.search(r"log=(\w+)", url)
    assert log is not None

    for _ in range(2):
        async with bank.open(url) as live:
            receipt = await live.execute(Open(f"a-{await live.store.head()}", "Ann"))
            assert len(await live.query(Richest(), after=receipt)) == receipt.position

    connection = connect(url.replace(f"log={log[1]}", "sslmode=disable"), session=False)
    found = run(connection, "SELECT schemaname FROM pg_tables WHERE tablename = 'balance' AND schemaname LIKE 'urls%%'")
    connection.close()
    assert (f"{log[1]}_models",) in found


async def test_a_database_that_is_set_to_reading_is_named_with_what_to_do(postgres: PostgresServer) -> None:
    postgres.execute("CREATE ROLE reading LOGIN SUPERUSER")
    url = fresh(postgres)
    async with open_store(url):
        pass
    postgres.execute("ALTER ROLE reading SET default_transaction_read_only = on")

    async with open_store(url.replace("postgresql://postgres@", "postgresql://reading@")) as store:
        with pytest.raises(StoreReadOnly, match=r"default_transaction_read_only is on .* RESET"):
            await store.append([NewEvent("noted", b"")])
    with pytest.raises(StoreReadOnly, match=r"default_transaction_read_only is on .* RESET"):
        open_store(fresh(postgres).replace("postgresql://postgres@", "postgresql://reading@"))


async def test_a_role_that_there_is_not_is_named_with_what_to_do(postgres: PostgresServer) -> None:
    url = fresh(postgres).replace("postgresql://postgres@", "postgresql://nobody@")

    with pytest.raises(StoreUnreachable, match=r'role "nobody" does not exist .*CREATE ROLE'):
        open_store(url)

"""What a URL says is what is opened, and what is not understood is refused by name."""

from itertools import count
from pathlib import Path

import pytest

from leftfold import open_store
from leftfold.errors import InvalidUrl, LogUnderFormerName, StoreNotFound, UnsuitableDatabase
from leftfold.query.tables.database import Database
from leftfold.store import NewEvent
from leftfold.testing.postgres_server import PostgresServer
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

        with pytest.raises(LogUnderFormerName, match=f"rename {tmp_path}/tenant .* to {tmp_path}/tenant#1"):
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
        ("sqlite:///folder/", "names no file"),
        ("sqlite:///a%00.db", "names no file"),
        ("sqlite://relative.db", "three slashes"),
        ("sqlite:///", "three slashes"),
        ("", "no backend"),
        ("C:\\data\\log.db", "no backend"),
        ("mysql://host/log", "no backend"),
        ("sqlite:///log.db?bussy_timeout=3", "did you mean 'busy_timeout'"),
        ("sqlite:///log.db?nonsense=3", "the options are busy_timeout"),
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


@pytest.mark.parametrize(("place", "said"), [("missing/log.db", "folder"), ("folder", "is a folder")])
def test_a_folder_that_is_missing_or_stands_in_the_way_is_named(tmp_path: Path, place: str, said: str) -> None:
    (tmp_path / "folder").mkdir()

    with pytest.raises(StoreNotFound) as caught:
        open_store(f"sqlite:///{tmp_path}/{place}")

    assert said in caught.value.found


def fresh(postgres: PostgresServer, **options: str) -> str:
    return postgres.url(DATABASE, log=f"urls_{next(numbers)}", **options)


async def use(url: str, models: str | None = None) -> None:
    """Open an app on it, append, read and follow."""
    async with open_store(url) as store:
        await store.append([NewEvent("noted", b"", ("a:1",))], key="k")
        assert [len(batch.events) async for batch in store.read()] == [1]
        assert await store.wait(0, 5) == 1
    database = Database(models or url.replace("log=", "schema="))
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
        Database(postgres.url(DATABASE, conect_timeout="3"))


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_database_that_cannot_hold_every_text_is_refused(postgres: PostgresServer, encoding: str) -> None:
    name = f"in_{encoding.lower()}"
    postgres.execute(f"CREATE DATABASE {name} ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")

    with pytest.raises(UnsuitableDatabase, match=encoding):
        open_store(postgres.url(name))
    database = Database(postgres.url(name))
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

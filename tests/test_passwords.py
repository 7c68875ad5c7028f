"""No password of a URL is printed, logged, raised or shown by a `repr`."""

import asyncio
import logging
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg.pq import Conninfo
from typer.testing import CliRunner

import leftfold.cli.work
from examples.orders import Place, PutInStock, orders
from leftfold import LeftfoldError, open_store
from leftfold.cli.program import COMMANDS, program
from leftfold.follow.workers import lease_store_of
from leftfold.passwords import PUBLIC_NAMES, is_secret, without_password, without_password_of, without_passwords
from leftfold.query import models_url
from leftfold.query.tables.database import open_database
from leftfold.store.open import OPTIONS, POSTGRES_OPTIONS, make_roles, role_names
from leftfold.testing import FakeClock
from leftfold.web import serve_health
from leftfold_torture import Plan
from leftfold_torture.client_process import Setting
from leftfold_torture.clients import Habits
from leftfold_torture.postgres_server import PostgresServer
from leftfold_torture.team import ClientProcess
from tests.patience import examples
from tests.postgres import DATABASE

PLANTED = "hunter2"
SHOWN = [
    ("postgresql://ann:hunter2@db/shop?log=bank", "postgresql://ann:***@db/shop?log=bank"),
    ("postgresql://ann:hun/ter@2@db:5432/shop", "postgresql://ann:***@db:5432/shop"),
    ("postgresql://ann:hun%2Fter:2?x#y@db/shop", "postgresql://ann:***@db/shop"),
    ("postgresql://:hunter2@[::1]:5432/shop", "postgresql://:***@[::1]:5432/shop"),
    ("postgres://ann:hunter2@one:1,two:2/shop", "postgres://ann:***@one:1,two:2/shop"),
    ("postgresql+psycopg://ann:hunter2@db/shop?schema=x", "postgresql+psycopg://ann:***@db/shop?schema=x"),
    ("postgresql://ann@server:hunter2@db/shop", "postgresql://ann@server:***@db/shop"),
    ("postgresql://ann@db:hunter2/shop", "postgresql://ann@db:***/shop"),
    ("postgresql:///ann:hunter2@db/shop", "postgresql:///ann:***@db/shop"),
    ("postgresql:/ann:hunter2@db/shop", "postgresql:***@db/shop"),
    ("ann:hunter2@db/shop", "ann:***@db/shop"),
    ("postgresql://db/shop?password=hun@ter&log=bank", "postgresql://db/shop?password=***&log=bank"),
    ("postgresql://db/shop?user=ann&sslpassword=hunter2", "postgresql://db/shop?user=ann&sslpassword=***"),
    ("postgresql://db/shop?%70assword=hunter2&password=2", "postgresql://db/shop?%70assword=***&password=***"),
    ("postgresql://db/shop?pasword=hunter2", "postgresql://db/shop?pasword=***"),
    ("postgresql://db/shop?password=hun&ter2&log=bank", "postgresql://db/shop?password=***&***&log=bank"),
    ("postgresql://db/shop?password=hun&ter=2&passfile=/p", "postgresql://db/shop?password=***&***&passfile=/p"),
    ("postgresql://ann:hunter2@db/shop?password=2", "postgresql://ann:***@db/shop?password=***"),
    ("host=db password='hun ter2' user=ann", "host=db password=*** user=ann"),
    ("sqlite:///bank.db?password=hunter2", "sqlite:///bank.db?password=***"),
    ("sqlite+pysqlcipher://:hunter2@/bank.db", "sqlite+pysqlcipher://:***@/bank.db"),
]
PUBLIC = [
    "memory:",
    "sqlite:////var/lib/a:b@c.db",
    "sqlite:///bank.db?mode=ro&busy_timeout=3",
    "postgresql://ann@db:5432/shop?host=/run/pg&passfile=/etc/pass&service=shop&log=bank&sslkey=/k",
    "postgresql://[::1]:5432/shop?target_session_attrs=any",
    "postgresql://one:1,two:2/shop",
]


@pytest.mark.parametrize(("url", "shown"), SHOWN)
def test_the_passwords_of_a_url_are_hidden_and_nothing_else(url: str, shown: str) -> None:
    assert without_password(url) == shown
    assert without_password(shown) == shown
    if "://" in url:
        assert without_passwords(f"what is at '{url}': it failed, see {url}.").split("'")[1] == shown


@pytest.mark.parametrize("url", PUBLIC)
def test_a_url_without_a_password_is_shown_as_it_is(url: str) -> None:
    assert without_password(url) == without_passwords(url) == url


def test_the_options_that_are_passwords_for_libpq_are_passwords_here_and_the_names_of_all_others_are_known() -> None:
    options = Conninfo.get_defaults()

    assert {b"password", b"sslpassword"} <= {each.keyword for each in options if each.dispchar == b"*"}
    for each in options:
        name = each.keyword.decode()
        assert is_secret(name) or (each.dispchar != b"*" and name in PUBLIC_NAMES)
    assert {*OPTIONS, *POSTGRES_OPTIONS, "schema", "timeout"} <= PUBLIC_NAMES
    assert not any(map(is_secret, PUBLIC_NAMES))


NOISE = st.text("ab1/@%:?#&=+~'", max_size=6)


@settings(max_examples=examples(100))
@given(NOISE, NOISE, st.sampled_from(["postgresql://u:{}@h/db", "postgresql://h:1,i:2/db?log=b&password={}&port=1"]))
def test_no_character_of_a_password_lets_the_rest_of_it_be_seen(before: str, after: str, form: str) -> None:
    assert "SECRET" not in without_password(form.format(f"{before}SECRET{after}"))


def test_what_is_said_of_a_url_quotes_no_part_of_its_password() -> None:
    url = "postgresql://postgres:ab/hunter2@db/postgres"

    said = without_password_of(url, 'no port "ab", no "hunter2@db", no role "postgres" at postgres')

    assert said == 'no port "***", no "***@db", no role "postgres" at postgres'


NOT_UNDERSTOOD = [
    "postgresql://ann:x/hunter2@db.invalid/shop",
    "postgresql://ann:hunter2/x@db.invalid/shop",
    "postgresql://ann:x@hunter2@db.invalid/shop",
    "postgresql://ann:x%hunter2@db.invalid/shop",
    "postgresql://ann:x hunter2@db.invalid/shop",
    "postgresql://ann@db.invalid:hunter2/shop",
    "postgresql:///ann:hunter2@db.invalid/shop",
    "postgresql:/ann:hunter2@db.invalid/shop",
    "ann:hunter2@db.invalid/shop",
    "host=db.invalid password=hunter2",
    "postgresql://db.invalid/shop?passwrd=hunter2",
    "postgresql://db.invalid/shop?password=x&hunter2",
    "postgresql://db.invalid/shop?password=x&y=hunter2",
    "postgresql://db.invalid/shop?password=x%zzhunter2",
    "postgresql://db.invalid/shop?password=x=hunter2",
    "postgresql://db.invalid/shop?password=hunter2&log=NO",
    "postgresql://ann:hunter2@db.invalid/shop?queue=nan",
    "postgresql://ann:hunter2@db.invalid/shop?nonsense=1",
    "postgresql+nonsense://ann:hunter2@db.invalid/shop",
    "mysql://ann:hunter2@db.invalid/shop",
    "nonsense://ann:hunter2@db.invalid/shop",
    "sqlite:///bank.db?password=hunter2",
    "sqlite://:hunter2@/bank.db",
    "postgresql://ann:hunter2@/shop?host=/nowhere",
    "postgresql://ann@/shop?host=/nowhere&password=hunter2&sslpassword=hunter2",
    "postgresql://ann:hunter2@/shop?host=/nowhere,/elsewhere",
]


def in_full(error: BaseException) -> str:
    """All that an error, and what it came from, says and keeps."""
    text = "".join(traceback.format_exception(error)) + repr(error)
    chain: list[BaseException | None] = [error, error.__cause__, error.__context__]
    return text + "".join(f"{each}{each.args}{vars(each)}" for each in chain if each is not None)


def open_models(url: str) -> None:
    with open_database(url).reading():
        pass


def lease_store_of_url(url: str) -> object:
    return lease_store_of(url, "", FakeClock())


@pytest.mark.parametrize("url", NOT_UNDERSTOOD)
@pytest.mark.parametrize("opens", [open_store, open_models, models_url, role_names, make_roles, lease_store_of_url])
def test_an_error_shows_no_password_in_its_text_its_attributes_or_its_causes(
    opens: Callable[[str], object], url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    said = ""
    try:
        opens(url)
    except LeftfoldError as error:
        said = in_full(error)

    assert PLANTED not in said


class Heard(logging.Handler):
    """Everything that any library logs, in full."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What is logged, down to DEBUG."""
    root, handler = logging.getLogger(), Heard()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield handler.lines
    root.setLevel(level)
    root.removeHandler(handler)


def planted(url: str) -> str:
    """The URL with a password wherever one may stand. The server trusts everybody, and reads none of them."""
    user, at, rest = url.removeprefix("postgresql://").partition("@")
    return f"postgresql://{user}:{PLANTED}{at}{rest}&password={PLANTED}&sslpassword={PLANTED}"


@pytest.fixture(scope="module")
def shop(postgres: PostgresServer) -> str:
    """A log of orders in PostgreSQL, with kept read models and a parked command."""
    url = planted(postgres.url(DATABASE, log="planted"))
    with orders.open_sync(url) as live:
        live.execute(PutInStock("lamp", 1))
        live.submit(Place("o-1", "lamp", 40)).result()
        live.run_until_quiet()
    return url


APP = ("--app", "examples.orders:orders")
ARGUMENTS = {
    "init": [["URL", "--roles"], ["URL", "URL"]],
    "info": [["URL", *APP], ["URL", *APP, "--models", "MODELS", "--json"], ["URL", "--app", "URL"]],
    "status": [["URL", *APP], ["URL", *APP, "--json", "--models", "MODELS"]],
    "events": [["URL"], ["URL", "--tag", "URL"], ["URL", "--after", "URL"], ["URL", "--type", "URL"]],
    "explain": [[*APP, "URL", "Order", "o-1"], [*APP, "Order", "URL"], [*APP, "URL", "URL", "o-1"]],
    "trace": [[*APP, "URL", "3"], [*APP, "URL", "URL"], [*APP, "URL", "3", "--models", "MODELS", "--json"]],
    "state": [[*APP, "URL", "OrderStatus", "o-1"], [*APP, "URL", "Order", "o-1", "--as-of", "URL"]],
    "query": [[*APP, "URL", "OrdersByStanding"], [*APP, "URL", "URL"], [*APP, "URL", "WhereIs", "URL"]],
    "commands": [[*APP, "URL"], [*APP, "URL", "--state", "URL"], [*APP, "URL", "URL"]],
    "processes": [[*APP, "URL"], [*APP, "URL", "URL"], [*APP, "URL", "Fulfilment", "URL"]],
    "reactors": [[*APP, "URL"], [*APP, "URL", "URL"]],
    "projections": [[*APP, "URL"], [*APP, "URL", "URL"], [*APP, "URL", "--models", "MODELS"]],
    "parked": [[*APP, "URL"], [*APP, "URL", "URL"], [*APP, "URL", "--models", "MODELS", "--json"]],
    "retry": [[*APP, "URL", "OrderStatus"], [*APP, "URL", "commands", "URL"], [*APP, "URL", "URL"]],
    "skip": [[*APP, "URL", "Fulfilment", "URL", "--reason", "URL"], [*APP, "URL", "URL", "--reason", "URL"]],
    "cancel": [[*APP, "URL", "commands", "URL", "--reason", "URL"], [*APP, "URL", "URL", "--reason", "URL"]],
    "rebuild": [[*APP, "URL", "OrderStatus", "--dry-run"], [*APP, "URL", "URL"]],
    "verify": [["URL", *APP], ["URL", "--app", "URL:URL"]],
    "copy": [["URL", "URL"], ["URL", "OTHER"], ["URL", "OTHER", "--verify-only", "--json"]],
    "torture": [["URL"], ["URL", "--nemesis", "URL"], ["URL", "--seed", "URL"]],
    "work": [[*APP, "URL", "--health", "0"], [*APP, "URL", "--health", "URL"], [*APP, "URL", "--models", "URL"]],
    "demo": [["--database", "BAD"], ["--months", "URL"]],
}
EVERYWHERE = [["URL", "URL", "URL", "URL", "--URL"], ["URL", "URL", "URL", "URL"], ["BAD", *APP]]


def test_every_command_is_called_with_passwords() -> None:
    of_the_torture_package = "torture"

    assert sorted(ARGUMENTS) == sorted([*(each.__name__ for each in COMMANDS), of_the_torture_package])


@contextmanager
def stopped_at_once() -> Iterator[asyncio.Event]:
    """A worker that is told to stop as soon as it runs."""
    asked = asyncio.Event()
    asked.set()
    yield asked


def said_by(*arguments: str) -> str:
    """All that a command prints, with the traceback if there is one."""
    ended = CliRunner().invoke(program, list(arguments))
    error = ended.exception
    return ended.stdout + ended.stderr + (in_full(error) if error and not isinstance(error, SystemExit) else "")


@pytest.mark.parametrize("command", ARGUMENTS)
def test_no_command_prints_or_logs_a_password(
    command: str, shop: str, heard: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {
        "OTHER": shop.replace("log=planted", "log=copied"),
        "MODELS": models_url(shop),
        "BAD": shop.replace("host=", "host=/nowhere"),
    }
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(leftfold.cli.work, "stopping", stopped_at_once)

    for arguments in ARGUMENTS[command] + EVERYWHERE:
        filled = [given.get(each, each.replace("URL", shop)) for each in arguments]
        said = said_by(command, *filled)

        assert PLANTED in " ".join(filled) or command == "demo"
        assert PLANTED not in said
        assert "Traceback" not in said
    assert [line for line in heard if PLANTED in line] == []


def parts_of(thing: object) -> Iterator[object]:
    """What an object is made of."""
    if isinstance(thing, dict):
        yield from thing.values()
    elif isinstance(thing, list | tuple | set | frozenset):
        yield from thing
    else:
        yield from getattr(thing, "__dict__", {}).values()
        for name in (each for kind in type(thing).__mro__ for each in getattr(kind, "__slots__", ())):
            yield getattr(thing, name, None)


def objects_in(thing: object, seen: dict[int, object]) -> Iterator[object]:
    """Every object of leftfold's and of SQLAlchemy's engine that can be reached, without what holds a bare URL."""
    waiting = [thing]
    while waiting:
        each = waiting.pop()
        if id(each) in seen or isinstance(each, str | bytes | int | type):
            continue
        seen[id(each)] = each
        if type(each).__module__.startswith(("leftfold", "sqlalchemy.engine")):
            yield each
        if type(each).__module__.startswith(("leftfold", "builtins", "functools", "collections")):
            waiting += parts_of(each)


def read(url: str) -> bytes:
    with urlopen(url) as answer:
        return bytes(answer.read())


async def test_no_repr_of_an_object_shows_a_password_and_neither_does_the_health(shop: str, heard: list[str]) -> None:
    async with orders.open(shop) as live, serve_health(live) as address:
        await live.run_until_quiet()
        found = list(objects_in(live, {}))
        told = [await asyncio.to_thread(read, address + path) for path in ("/health", "/status")]

    kinds = {type(each).__name__ for each in found}
    assert {"LiveApp", "ReadSide", "PostgresDatabase", "DatabaseUrl", "OptionEngine", "PostgresStore"} <= kinds
    assert [each for each in found if PLANTED in repr(each)] == []
    assert [text for text in told if PLANTED.encode() in text] == []
    assert [line for line in heard if PLANTED in line] == []


def test_no_repr_of_what_a_user_makes_shows_a_password() -> None:
    url = f"postgresql://ann:{PLANTED}@db/shop?password={PLANTED}"

    assert repr(Plan(url)).startswith("Plan(url='postgresql://ann:***@db/shop?password=***', seconds=")
    assert repr(open_database(url)) == "<Database postgresql+psycopg://ann:***@db/shop>"


async def test_a_client_of_the_history_checker_has_no_url_among_its_arguments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[object] = []

    async def start(*arguments: str, env: dict[str, str], **_: Any) -> None:
        seen.extend([*arguments, env])
        raise InterruptedError

    monkeypatch.setattr(asyncio, "create_subprocess_exec", start)
    client = ClientProcess(Setting("c0", f"postgresql://:{PLANTED}@db/shop", "", 1, Habits()), tmp_path, {})
    with suppress(InterruptedError):
        await client.start()

    assert "-c" in seen
    assert PLANTED not in repr(seen)

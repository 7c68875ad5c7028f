"""What is not there: every command that is asked for it says so in a sentence, and does not end as if all were fine."""

import shutil
from pathlib import Path

import pytest

from examples.bank import Deposit, Open, bank
from examples.orders import Place, PutInStock, orders
from leftfold.cli.program import program
from tests.cli.conftest import BANK, Run
from tests.cli.test_reactors_command import APP as CLUB
from tests.cli.test_reactors_command import club

__all__ = ["club"]

ORDERS = ("--app", "examples.orders:orders")
BANK_LOG, SHOP_LOG, CLUB_LOG = "sqlite:///bank.db", "sqlite:///shop.db", "sqlite:///club.db"

UNKNOWN: list[tuple[str, ...]] = [
    ("state", *BANK, BANK_LOG, "Account", "nobody"),
    ("state", *BANK, BANK_LOG, "Account", "nobody", "--json"),
    ("state", *BANK, BANK_LOG, "Balance", "nobody"),
    ("state", *BANK, BANK_LOG, "Account", "b-2", "--as-of", "1"),
    ("state", *BANK, BANK_LOG, "Nonsense", "a-1"),
    ("state", *BANK, BANK_LOG, "Account"),
    ("state", *BANK, BANK_LOG, "Account", "a-1", "more"),
    ("state", *BANK, BANK_LOG, "Account", "a-1", "--as-of", "99"),
    ("explain", *BANK, BANK_LOG, "Account", "nobody"),
    ("explain", *BANK, BANK_LOG, "Account", "nobody", "--json"),
    ("explain", *BANK, BANK_LOG, "Balance", "nobody"),
    ("explain", *BANK, BANK_LOG, "Account", "b-2", "--as-of", "1"),
    ("explain", *BANK, BANK_LOG, "Nonsense", "a-1"),
    ("explain", *BANK, BANK_LOG, "Account"),
    ("explain", *BANK, BANK_LOG, "Account", "a-1", "--as-of", "99"),
    ("trace", *BANK, BANK_LOG, "nobody"),
    ("trace", *BANK, BANK_LOG, "99"),
    ("query", *BANK, BANK_LOG, "Nonsense"),
    ("query", *BANK, BANK_LOG, "Richest", "nonsense=1"),
    ("query", *BANK, BANK_LOG, "Richest", "--as-of", "99"),
    ("commands", *BANK, BANK_LOG, "nonsense"),
    ("retry", *BANK, BANK_LOG, "commands", "nonsense"),
    ("cancel", *BANK, BANK_LOG, "commands", "nonsense", "--reason", "test"),
    ("commands", *BANK, BANK_LOG, "--state", "nonsense"),
    ("projections", *BANK, BANK_LOG, "Nonsense", "a-1"),
    ("projections", *BANK, BANK_LOG, "Balance", "nobody"),
    ("projections", *BANK, BANK_LOG, "Balance", "nobody", "--json"),
    ("parked", *BANK, BANK_LOG, "nonsense"),
    ("retry", *BANK, BANK_LOG, "Nonsense"),
    ("retry", *BANK, BANK_LOG, "Balance", "nobody"),
    ("skip", *BANK, BANK_LOG, "Balance", "nobody", "--reason", "test"),
    ("cancel", *BANK, BANK_LOG, "Balance", "nobody", "--reason", "test"),
    ("projections", *BANK, BANK_LOG, "nonsense"),
    ("rebuild", *BANK, BANK_LOG, "Nonsense"),
    ("processes", *ORDERS, SHOP_LOG, "Nonsense"),
    ("processes", *ORDERS, SHOP_LOG, "Fulfilment", "nobody"),
    ("processes", *ORDERS, SHOP_LOG, "Fulfilment", "nobody", "--json"),
    ("retry", *ORDERS, SHOP_LOG, "Fulfilment", "nobody"),
    ("retry", *ORDERS, SHOP_LOG, "Fulfilment"),
    ("cancel", *ORDERS, SHOP_LOG, "Fulfilment", "nobody", "--reason", "test"),
    ("processes", *ORDERS, SHOP_LOG, "Fulfilment", "o-1", "more"),
    ("reactors", *CLUB, CLUB_LOG, "nonsense"),
    ("retry", *CLUB, CLUB_LOG, "welcome mail", "99"),
    ("retry", *CLUB, CLUB_LOG, "welcome mail", "ninety"),
    ("retry", *CLUB, CLUB_LOG, "other", "1"),
    ("skip", *CLUB, CLUB_LOG, "welcome mail", "99", "--reason", "test"),
    ("skip", *CLUB, CLUB_LOG, "welcome mail", "--reason", "test"),
    ("work", *BANK, BANK_LOG, "--only", "Nonsense"),
    ("work", *BANK, BANK_LOG, "--role", "nonsense"),
    ("work", *BANK, BANK_LOG, "--only", "nonsense"),
    ("status", "--app", "examples.bank:nonsense", BANK_LOG),
    ("status", "--app", "examples.nonsense:bank", BANK_LOG),
    *((command, "sqlite:///nonsense.db") for command in ("info", "events", "status", "verify")),
    *((command, *BANK, "sqlite:///nonsense.db") for command in ("commands", "projections", "status", "rebuild")),
    ("state", *BANK, "sqlite:///nonsense.db", "Account", "a-1"),
    ("explain", *BANK, "sqlite:///nonsense.db", "Account", "a-1"),
    ("query", *BANK, "sqlite:///nonsense.db", "Richest"),
    ("processes", *ORDERS, "sqlite:///nonsense.db"),
    ("reactors", *CLUB, "sqlite:///nonsense.db"),
    ("copy", "sqlite:///nonsense.db", "sqlite:///target.db"),
    ("init", "nonsense:///bank.db"),
    ("init", BANK_LOG, "--roles"),
    ("torture", "sqlite:///tortured.db", "--nemesis", "nonsense"),
    ("torture", "nonsense:///bank.db"),
    ("demo", "--months", "13"),
]


FILTERED: list[tuple[str, ...]] = [
    ("events", BANK_LOG, "--type", "nonsense"),
    ("events", BANK_LOG, "--type", "nonsense", "--json"),
    ("events", BANK_LOG, "--tag", "account:nobody"),
    ("events", BANK_LOG, "--after", "99"),
    ("events", BANK_LOG, "--since", "2999-01-01T00:00:00Z"),
]


@pytest.fixture(scope="module")
def made_logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("logs")
    with bank.open_sync(f"sqlite:///{folder}/bank.db", work=False) as live:
        live.execute(Open("a-1", "Ann"))
        live.execute(Open("b-2", "Bob"))
        live.execute(Deposit("a-1", 1))
    with orders.open_sync(f"sqlite:///{folder}/shop.db", work=False) as live:
        live.execute(PutInStock("lamp", 1))
        live.execute(Place("o-1", "lamp", 40))
        live.run_until_quiet()
    return folder


@pytest.fixture
def logs(request: pytest.FixtureRequest, folder: Path, made_logs: Path) -> None:
    """The logs that the command asks about."""
    shutil.copytree(made_logs, folder, dirs_exist_ok=True)
    if set(CLUB) <= set(request.getfixturevalue("asked")):
        request.getfixturevalue("club")


@pytest.mark.parametrize("asked", UNKNOWN, ids=" ".join)
def test_what_is_not_there_is_said_and_the_exit_code_is_not_that_of_success(
    run: Run, logs: None, asked: tuple[str, ...]
) -> None:
    ended = run(*asked)

    assert ended.code in (1, 2, 3), ended
    assert len(ended.err.split()) >= 3, ended
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("asked", FILTERED, ids=" ".join)
def test_a_listing_in_which_nothing_is_left_says_so_and_is_no_failure(
    run: Run, logs: None, asked: tuple[str, ...]
) -> None:
    assert run(*asked) == (0, "", "no such event\n")


def test_every_command_is_asked_for_what_is_not_there() -> None:
    assert {asked[0] for asked in UNKNOWN} == {
        command.callback.__name__ for command in program.registered_commands if command.callback
    }

"""Roles: what of an app one process does in the background."""

from pathlib import Path
from typing import Any

import pytest

from leftfold import App
from leftfold.errors import InvalidOption, ReadModelBehind, UnknownName
from leftfold.follow.workers import ROLES, roles_of
from leftfold.query import ReadModels
from leftfold.store import MemoryStore
from tests.accounts import Deposit, accounts_app
from tests.query.bank import Balance, Opened, Rows, Turnover, answer_rows, append


def bank() -> App:
    app = App("bank")
    app.read_model(Balance)
    app.read_model(Turnover)
    app.answers(answer_rows)
    return app


def rows(models: ReadModels) -> list[Any]:
    return models.select(Balance)


@pytest.mark.parametrize(
    ("work", "meant"),
    [(True, set(ROLES)), (False, set()), ((), set()), (["commands", "projections"], {"commands", "projections"})],
)
def test_true_is_every_role_and_false_is_none(work: Any, meant: set[str]) -> None:
    assert roles_of(work) == meant


@pytest.mark.parametrize("work", ["projections", ("projection",), ("commands", 7)])
def test_what_is_no_role_is_refused(work: Any) -> None:
    with pytest.raises(InvalidOption):
        roles_of(work)


async def test_a_process_without_the_role_leaves_commands_to_others() -> None:
    store = MemoryStore()
    async with accounts_app().open(store, work=("projections", "processes")) as web:
        ticket = await web.submit(Deposit("a", 1))
        assert (await ticket.state()).state == "open"

        async with accounts_app().open(store, work=("commands",)):
            await ticket.result(5)


@pytest.mark.parametrize("only", [[Balance], ["Balance"], ["balance"]])
async def test_only_some_read_models_are_folded(only: list[Any], tmp_path: Path) -> None:
    store, models = MemoryStore(), f"sqlite:///{tmp_path}/models.db"
    await append(store, Opened("a"))

    async with bank().open(store, models=models, only=only) as live:
        assert len(await live.query(Rows(rows), after=1)) == 1
        with pytest.raises(ReadModelBehind):
            await live.query(Rows(lambda models: models.select(Turnover)), after=1, wait_timeout=0.05)
        await live.run_until_quiet()  # does not wait for what others have to fold


async def test_an_unknown_name_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(UnknownName, match="'Balance', 'Turnover'"):
        async with bank().open("memory:", only=["Balances"]):
            pass


async def test_a_web_server_asks_what_a_worker_folds(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/bank.db"
    async with bank().open(url, work=False) as web, bank().open(url, work=("projections",)):
        await append(web.store, Opened("a"))

        [row] = await web.query(Rows(rows), after=1)

    assert row.account == "a"

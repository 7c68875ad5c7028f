"""The options of `open`: what is not understood is refused by name, before anything is opened."""

from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from examples.bank import bank
from leftfold import App, Backoff, Event, open_store, open_store_sync
from leftfold.errors import InvalidHandler, InvalidOption, InvalidUrl, UnknownOption, UnknownReadModel, UnknownRole
from leftfold.opening import RULES, Options
from leftfold.testing import FakeClock


@pytest.mark.parametrize(("name", "near"), [("wrok", "work="), ("attempt", "attempts="), ("retries", "leave it out")])
async def test_an_unknown_option_is_refused_with_those_that_it_is_near_to(name: str, near: str, tmp_path: Path) -> None:
    options: dict[str, Any] = {name: False}
    with pytest.raises(UnknownOption, match=f"open has no option '{name}'") as refused:
        async with bank.open(f"sqlite:///{tmp_path}/a.db", **options):
            pass

    assert near in refused.value.remedy
    assert refused.value.known == tuple(sorted(Options.__annotations__))
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_option_of_the_sync_facade_is_refused() -> None:
    options: dict[str, Any] = {"wrok": False}
    with pytest.raises(UnknownOption), bank.open_sync("memory:", **options):
        pass


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("attempts", 0),
        ("attempts", "3"),
        ("attempts", True),
        ("attempts", None),
        ("state_bytes", 0),
        ("states", -1),
        ("states", 1.5),
        ("lease", "5"),
        ("lease", 5),
        ("lease", timedelta()),
        ("lease", None),
        ("work", None),
        ("work", 1),
        ("work", "commands"),
        ("only", "Balance"),
        ("models", 7),
        ("models", ""),
        ("clock", 7),
        ("new_id", "x"),
        ("randomness", 7),
        ("backoff", 3),
        ("on_progress", "x"),
    ],
)
async def test_a_value_that_cannot_be_meant_is_refused(name: str, value: Any) -> None:
    options: dict[str, Any] = {name: value}
    with pytest.raises(InvalidOption, match=f"^{name}="):
        async with bank.open("memory:", **options):
            pass


async def test_a_role_and_a_read_model_that_are_unknown_are_named() -> None:
    work: Any = ["commands", "mails"]
    with pytest.raises(UnknownRole, match="mails"):
        async with bank.open("memory:", work=work):
            pass
    for app in (bank, App("without models")):
        for only, said in ((["Balanse"], "Balanse"), ([App], "App"), ([7], "7")):
            wrong: Any = only
            with pytest.raises(UnknownReadModel, match=said):
                async with app.open("memory:", only=wrong):
                    pass


@pytest.mark.parametrize("app", [bank, App("without models")], ids=["models", "no models"])
@pytest.mark.parametrize("value", ["rebild", None, True, ["rebuild"]])
async def test_what_becomes_of_changed_models_is_checked_always(app: App, value: Any) -> None:
    with pytest.raises(InvalidOption, match=r"^on_change="):
        async with app.open("memory:", on_change=value):
            pass


@pytest.mark.parametrize("log", [None, 42, b"memory:", ["memory:"], object()])
def test_a_log_that_is_neither_url_nor_path_nor_store_is_named(log: Any) -> None:
    for open_it in (bank.open, bank.open_sync, open_store, open_store_sync):
        with pytest.raises(InvalidUrl, match=f"of type {type(log).__name__}"):
            open_it(log)


def test_a_decorator_with_arguments_that_stands_alone_says_what_to_write() -> None:
    app: Any = App("bare")

    def happened(event: Event) -> None: ...

    for decorator in (app.reactor, app.projection, app.upcasts):
        for bare in (happened, Event, print):
            with pytest.raises(InvalidHandler, match=r"without arguments\n.*\n.*write @app\.") as refused:
                decorator(bare)
            assert f"@app.{decorator.__name__}(" in refused.value.remedy
    for missing in (app.reactor, partial(app.reactor, "mail"), partial(app.projection, "daily"), app.upcasts):
        with pytest.raises(InvalidHandler, match=r"missing a required"):
            missing()
    with pytest.raises(InvalidHandler, match=r"unexpected keyword argument 'strat'"):
        app.reactor("mail", start="from_now", strat="from_now")


async def test_what_is_meant_is_taken() -> None:
    options: dict[str, Any] = dict.fromkeys(("backoff", "models", "new_id", "on_progress", "randomness"))
    async with bank.open("memory:", clock=FakeClock(), work=[], attempts=1, states=1, **options):
        pass
    async with bank.open("memory:", backoff=Backoff(), only=[], lease=timedelta(seconds=1), work=("commands",)):
        pass


def test_each_option_has_its_rule() -> None:
    assert Options.__annotations__.keys() - {"on_change"} == RULES.keys()

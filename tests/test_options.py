"""The options of `open`: what is not understood is refused by name, before anything is opened."""

import inspect
import re
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from examples.bank import Richest, bank
from leftfold import App, Backoff, Event, open_store, open_store_sync
from leftfold.errors import InvalidHandler, InvalidOption, InvalidUrl, MissingOption, UnknownName
from leftfold.opening import RULES
from leftfold.store import MemoryStore
from leftfold.testing import FakeClock
from tests.accounts import accounts_app


@pytest.mark.parametrize("opening", [bank.open, bank.open_sync])
def test_an_unknown_option_is_refused_by_name_before_anything_is_opened(opening: Any, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="'wrok'"):
        opening(f"sqlite:///{tmp_path}/a.db", wrok=False)

    assert list(tmp_path.iterdir()) == []


def test_both_ways_to_open_take_the_same_options() -> None:
    is_async, is_sync = (inspect.signature(each).parameters for each in (App.open, App.open_sync))

    assert list(is_async) == list(is_sync)
    assert [each.default for each in is_async.values()] == [each.default for each in is_sync.values()]


def test_every_option_is_explained_and_checked() -> None:
    options = [name for name in inspect.signature(App.open).parameters if name not in ("self", "log")]
    explained = re.findall(r"^ *- (`.*`):", App.open.__doc__ or "", re.MULTILINE)

    assert sorted(", ".join(explained).replace("`", "").split(", ")) == sorted(options) == sorted(RULES)


async def test_a_store_object_needs_to_be_told_where_its_read_models_are(tmp_path: Path) -> None:
    async with open_store(f"sqlite:///{tmp_path}/bank.db") as store:
        with pytest.raises(MissingOption, match="without models="):
            async with bank.open(store, work=False):
                pass
        async with bank.open(store, work=True, models=tmp_path / "models.db") as live:
            assert await live.query(Richest()) == []

    assert (tmp_path / "models.db").exists()


async def test_a_store_object_needs_to_be_told_what_work_is_done_without_leases(tmp_path: Path) -> None:
    async with open_store(f"sqlite:///{tmp_path}/bank.db") as store:
        with pytest.raises(MissingOption, match="without work="):
            async with accounts_app().open(store):
                pass
        async with accounts_app().open(store, work=True) as live:
            assert [worker.running for worker in live.workers()] == [True]


async def test_a_store_in_memory_needs_no_options() -> None:
    async with bank.open(MemoryStore()) as live:
        assert await live.query(Richest()) == []


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
    with pytest.raises(InvalidOption, match="mails"):
        async with bank.open("memory:", work=work):
            pass
    for app in (bank, App("without models")):
        for only, said in ((["Balanse"], "Balanse"), ([App], "App"), ([7], "7")):
            wrong: Any = only
            with pytest.raises(UnknownName, match=said):
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
    options: dict[str, Any] = dict.fromkeys(("backoff", "models", "new_id", "on_progress", "only", "randomness"))
    async with bank.open("memory:", clock=FakeClock(), work=[], attempts=1, states=1, **options):
        pass
    async with bank.open("memory:", backoff=Backoff(), only=[], lease=timedelta(seconds=1), work=("commands",)):
        pass

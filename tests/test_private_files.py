"""The files of a log, and those beside it, are their owner's alone unless a group is let in."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.bank import Account, Deposit, Open, Richest, bank
from leftfold import open_store
from leftfold.command.states import LONG_HISTORY
from leftfold.errors import InvalidUrl
from leftfold.store.private_files import create_private


@pytest.fixture(autouse=True, params=[0o000, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def modes(folder: Path) -> dict[str, str]:
    return {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in sorted(folder.iterdir())}


async def use(url: str, **options: str) -> dict[str, str]:
    """Open an app with all that it keeps beside the log, and see the files while it is open."""
    async with bank.open(url, **options) as live:
        receipt = await live.execute(Open("a", "ann"))
        await live.execute_many([Deposit("a", 1)] * LONG_HISTORY)
        await live.state(Account, "a")
        await live.query(Richest(), after=receipt)
        return modes(Path(url.removeprefix("sqlite:///").partition("?")[0]).parent)


@pytest.mark.parametrize(("option", "mode"), [("", "0o600"), ("?group=read", "0o640"), ("?group=write", "0o660")])
async def test_files_are_their_owner_s_alone_unless_a_group_is_let_in(tmp_path: Path, option: str, mode: str) -> None:
    found = await use(f"sqlite:///{tmp_path}/bank.db{option}")

    kinds = ("bank", "bank.leases", "bank.models", "bank.snapshots")
    assert found == {f"{kind}.db{beside}": mode for kind in kinds for beside in ("", "-shm", "-wal")}


async def test_models_in_a_file_of_their_own_are_like_the_log(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    await use(f"sqlite:///{tmp_path}/bank.db?group=read", models=f"sqlite:///{tmp_path}/models/m.db")

    assert modes(tmp_path / "models") == {"m.db": "0o640"}


async def test_a_log_that_is_there_keeps_its_permissions_and_gives_them_to_what_is_beside_it(tmp_path: Path) -> None:
    async with open_store(f"sqlite:///{tmp_path}/bank.db"):
        pass
    (tmp_path / "bank.db").chmod(0o644)

    assert set((await use(f"sqlite:///{tmp_path}/bank.db?group=write")).values()) == {"0o644"}


def test_what_a_group_may_not_do_is_refused_and_no_file_is_made(tmp_path: Path) -> None:
    with pytest.raises(InvalidUrl, match="'read' or 'write'"):
        open_store(f"sqlite:///{tmp_path}/bank.db?group=all")

    assert not list(tmp_path.iterdir())


def test_a_file_that_is_there_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"there")
    before = path.stat().st_mode

    create_private(path)

    assert (path.read_bytes(), path.stat().st_mode) == (b"there", before)
    assert list(tmp_path.iterdir()) == [path]

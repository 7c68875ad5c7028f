"""Reading a log that may not be written: beside a writer, after one, and where no file can be made."""

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest

from leftfold.errors import StoreCorrupt, StoreFailed, StoreNotFound
from leftfold.store import NewEvent, SQLiteStore
from tests.patience import PATIENCE
from tests.store.processes import Process


@pytest.fixture
async def log() -> AsyncIterator[Path]:
    """A closed log of five events that others may read, in a folder that they may enter."""
    folder = Path(mkdtemp(prefix="leftfold-"))
    async with SQLiteStore(folder / "log.db") as store:
        await store.append([NewEvent("noted", b"")] * 5)
    (folder / "log.db").chmod(0o444)
    folder.chmod(0o555)
    yield folder / "log.db"
    shutil.rmtree(folder)


async def read_by_nobody(log: Path) -> dict[str, Any]:
    """What a process without rights reads."""
    with Process("try_out", f"sqlite:///{log}?mode=ro") as process:
        came: dict[str, Any] = json.loads(await asyncio.to_thread(process.hear))
        assert process.end() == 0
    return came


async def test_a_log_that_nobody_writes_is_read_where_nothing_can_be_written(log: Path) -> None:
    came = await read_by_nobody(log)

    assert (came["head"], came["read"]) == (5, 5)
    assert came["append"]["error"] == "StoreReadOnly"
    assert [file.name for file in log.parent.iterdir()] == ["log.db"]


async def test_a_log_is_read_beside_its_writer(log: Path) -> None:
    async with SQLiteStore(log) as writer:
        await writer.append([NewEvent("noted", b"")])

        came = await read_by_nobody(log)

        assert (came["head"], came["read"]) == (6, 6)
        assert (await writer.append([NewEvent("noted", b"")])).first == 7


async def test_a_reader_that_came_first_does_not_disturb_a_writer_and_sees_what_it_writes(tmp_path: Path) -> None:
    async with SQLiteStore(tmp_path / "log.db"):
        pass
    async with SQLiteStore(tmp_path / "log.db", read_only=True) as reader:
        async with SQLiteStore(tmp_path / "log.db") as writer:
            waiting = asyncio.create_task(reader.wait(0, timeout=PATIENCE))
            await asyncio.sleep(0)
            await writer.append([NewEvent("noted", b"")])
            assert await waiting == 1
        assert await reader.head() == 1


async def test_a_log_read_as_it_stands_is_given_up_once_it_is_written(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)  # root may write everywhere
    async with SQLiteStore(log, read_only=True) as reader:
        assert await reader.head() == 5
        async with SQLiteStore(log) as writer:
            await writer.append([NewEvent("noted", b"")])
            with pytest.raises(StoreFailed, match="has written to it since"):
                await reader.head()
        with pytest.raises(StoreFailed, match="has written to it since"):
            await reader.head()


async def test_what_is_no_file_is_not_found(tmp_path: Path) -> None:
    for path in (tmp_path / "log.db", tmp_path, tmp_path / "no folder" / "log.db"):
        with pytest.raises(StoreNotFound) as caught:
            SQLiteStore(path, read_only=True)

        assert str(path) in caught.value.found


async def test_an_empty_file_is_no_log_yet(tmp_path: Path) -> None:
    (tmp_path / "log.db").touch()

    with pytest.raises(StoreCorrupt, match="it is empty"):
        SQLiteStore(tmp_path / "log.db", read_only=True)
    async with SQLiteStore(tmp_path / "log.db") as store:
        assert await store.head() == 0

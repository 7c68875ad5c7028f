"""What faults are made with: the proxy, the disk, the clock, and the URLs that lead to them."""

import asyncio
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from leftfold_torture.arena import address_of, at_socket, through
from leftfold_torture.clocks import SteppedClock
from leftfold_torture.disk import FaultyDisk
from leftfold_torture.proxy import Proxy

SYNC = "import os, sys; file = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT); os.fsync(file); os.fdatasync(file)"
NO_GCC = FaultyDisk.obstacle()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(1_000):
        writer.write(piece)
    writer.close()


async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    for _ in range(10_000):
        writer.write(b"x" * 100)
        await reader.readexactly(100)


async def test_the_proxy_passes_on_until_it_cuts() -> None:
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    address = ("127.0.0.1", server.sockets[0].getsockname()[1])
    async with server, Proxy(address, seed=1) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"

        proxy.cut()
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await talk(reader, writer)
        writer.close()

        assert proxy.cuts == 1
        proxy.heal()
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"again")
        assert await reader.readexactly(5) == b"again"
        writer.close()
        await writer.wait_closed()


@pytest.mark.skipif(NO_GCC is not None, reason=str(NO_GCC))
def test_the_disk_fails_while_it_is_told_to(tmp_path: Path) -> None:
    disk = FaultyDisk(tmp_path)
    command = [sys.executable, "-c", SYNC, str(tmp_path / "file")]

    disk.fail()
    failed = subprocess.run(command, env=disk.environment, capture_output=True, text=True, check=False)
    disk.recover()
    disk.delay(1)
    subprocess.run(command, env=disk.environment, check=True)

    assert "Errno 5" in failed.stderr
    assert disk.syncs == (3, 1, 2)


def test_a_stepped_clock_steps_for_all_who_have_it(tmp_path: Path) -> None:
    one, other = SteppedClock(tmp_path / "clock"), SteppedClock(tmp_path / "clock")

    one.step(timedelta(hours=-1))

    assert other.offset == timedelta(hours=-1)
    assert timedelta(minutes=59) < datetime.now(UTC) - other.now() < timedelta(minutes=61)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("postgresql://me@db.example:5433/bank?log=a", ("db.example", 5433)),
        ("postgresql:///bank?host=/tmp/here&port=7", Path("/tmp/here/.s.PGSQL.7")),
        ("postgresql:///bank", Path("/var/run/postgresql/.s.PGSQL.5432")),
    ],
)
def test_the_server_of_a_url_is_found(url: str, address: object) -> None:
    assert address_of(url) == address


def test_a_url_is_led_elsewhere() -> None:
    url = "postgresql://me@db.example:5433/bank?log=a&port=1"

    assert through(url, 99) == "postgresql://me@127.0.0.1:99/bank?log=a"
    assert at_socket("postgresql:///bank?log=a", Path("/tmp/x")) == "postgresql://postgres@/bank?log=a&host=/tmp/x"

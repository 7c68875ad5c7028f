"""Where a run takes place: the log, and what stands between it and its clients so that it can be harmed."""

import asyncio
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from urllib.parse import parse_qs, parse_qsl, quote, urlencode, urlunsplit

import msgspec

from leftfold.passwords import without_password
from leftfold.store.open import path_in, split_url
from leftfold_torture.clocks import SteppedClock
from leftfold_torture.disk import FaultyDisk
from leftfold_torture.postgres_server import PostgresServer
from leftfold_torture.proxy import Proxy
from leftfold_torture.team import Team

MOUNTED_MEGABYTES = 160
PORT = re.compile(":([0-9]+)$")
MEGABYTES_A_SECOND = 1


class Place(msgspec.Struct, frozen=True):
    """What is known of a log before a run: by this a fault says whether it is available."""

    url: str
    own_server: bool = False

    @property
    def backend(self) -> str:
        """`memory`, `sqlite` or `postgresql`."""
        scheme = split_url(self.url).scheme
        return "postgresql" if scheme == "postgres" else scheme

    @property
    def folder(self) -> Path:
        """The folder of an SQLite log."""
        return Path(path_in(self.url)).absolute().parent


class Arena:
    """What a run works on. `url` is the log itself, `clients_url` the way that clients take to it."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.url = place.url
        self.clients_url = place.url
        self.team: Team | None = None
        self.clock: SteppedClock | None = None
        self.clock_file: Path | None = None
        self.disk: FaultyDisk | None = None
        self.proxy: Proxy | None = None
        self.server: PostgresServer | None = None
        self.mount: Path | None = None

    def __repr__(self) -> str:
        return f"<Arena {without_password(self.url)}>"

    @property
    def environment(self) -> Mapping[str, str]:
        """What the clients' processes are started with; the disk of a PostgreSQL log is the server's."""
        return self.disk.environment if self.disk and not self.server else {}

    async def start_server(self) -> None:
        """Start the server, on the faulty disk if there is one."""
        if self.server is not None:
            with _environment(self.disk.environment if self.disk else {}):
                await asyncio.to_thread(self.server.start)

    async def stop_server(self) -> None:
        """Stop the server as a crash would."""
        if self.server is not None:
            await asyncio.to_thread(self.server.stop, "immediate")


@asynccontextmanager
async def prepared(place: Place, equipment: frozenset[str], *, seed: int, seconds: float) -> AsyncGenerator[Arena]:
    """An arena with the equipment that the faults of the run need; all of it is gone afterwards."""
    arena = Arena(place)
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(_folder_for_all())
        if "disk" in equipment:
            arena.disk = FaultyDisk(folder)
        if "clock" in equipment:
            arena.clock_file = folder / "clock"
            arena.clock = SteppedClock(arena.clock_file)
        if "mount" in equipment:
            arena.mount = stack.enter_context(_mounted(place.folder, seconds))
        if place.own_server:
            arena.server = PostgresServer()
            stack.callback(_discard, arena.server)
            await arena.start_server()
            arena.url = arena.clients_url = at_socket(place.url, arena.server.directory)
        if "proxy" in equipment:
            arena.proxy = await stack.enter_async_context(Proxy(address_of(arena.url), seed))
            arena.clients_url = through(arena.url, arena.proxy.port)
        yield arena


def at_socket(url: str, folder: Path) -> str:
    """The URL with the server that has its socket in a folder."""
    parts = split_url(url)
    options = [(name, value) for name, value in parse_qsl(parts.query) if name not in ("host", "port")]
    query = urlencode([*options, ("host", str(folder))], safe="/", quote_via=quote)
    return urlunsplit(parts._replace(netloc="postgres@", path=parts.path or "/postgres", query=query))


def through(url: str, port: int) -> str:
    """The URL with a port of this machine in place of its server."""
    parts = split_url(url)
    user = parts.netloc.rpartition("@")[0]
    options = [(name, value) for name, value in parse_qsl(parts.query) if name not in ("host", "port")]
    netloc = f"{user}@127.0.0.1:{port}" if user else f"127.0.0.1:{port}"
    return urlunsplit(parts._replace(netloc=netloc, query=urlencode(options, quote_via=quote)))


def address_of(url: str) -> Path | tuple[str, int]:
    """Where the server of a PostgreSQL URL listens."""
    parts = split_url(url)
    options = parse_qs(parts.query)
    host = options.get("host", [parts.hostname or "/var/run/postgresql"])[0]
    written = PORT.search(parts.netloc)
    port = int(options.get("port", [written[1] if written else "5432"])[0])
    return Path(host) / f".s.PGSQL.{port}" if host.startswith("/") else (host, port)


@contextmanager
def _folder_for_all() -> Generator[Path]:
    """A folder that others may read too: the server of PostgreSQL runs as somebody else."""
    folder = Path(tempfile.mkdtemp(prefix="leftfold-torture-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _mounted(folder: Path, seconds: float) -> Generator[Path]:
    """A small disk in memory, in the place of an empty folder; what is on it goes with it."""
    folder.mkdir(parents=True, exist_ok=True)
    size = int(MOUNTED_MEGABYTES + MEGABYTES_A_SECOND * seconds)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}m", "leftfold", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False)


@contextmanager
def _environment(more: Mapping[str, str]) -> Generator[None]:
    """What processes that are started meanwhile have in their environment."""
    os.environ.update(more)
    try:
        yield
    finally:
        for name in more:
            os.environ.pop(name, None)


def _discard(server: PostgresServer) -> None:
    server.stop("immediate")
    server.delete()

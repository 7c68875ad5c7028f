"""A real PgBouncer in transaction mode before a server; where it is not installed, the tests of it are skipped."""

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Self
from urllib.parse import quote

import psycopg

from leftfold_torture.postgres_server import ADMIN, PostgresServer
from tests.patience import PATIENCE

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
MISSING = "there is no pgbouncer to test with: apt-get install pgbouncer"
PORT = 6432
UNPRIVILEGED = "nobody"  # PgBouncer refuses to be root


class PgBouncer:
    """`with PgBouncer(server, default_pool_size="4") as pooler: ... pooler.url(log="bank")`."""

    def __init__(self, server: PostgresServer, **settings: str) -> None:
        assert PROGRAM is not None, MISSING
        self._directory = Path(tempfile.mkdtemp(prefix="leftfold-pgbouncer-"))
        defaults = {
            "listen_addr": "",
            "listen_port": str(PORT),
            "unix_socket_dir": str(self._directory),
            "auth_type": "any",
            "pool_mode": "transaction",
            "logfile": str(self._directory / "log"),
            "max_client_conn": "200",
        }
        lines = [f"{name} = {value}" for name, value in {**defaults, **settings}.items()]
        database = f"postgres = host={server.directory} dbname=postgres user={ADMIN}"
        self._file = self._directory / "pgbouncer.ini"
        self._file.write_text("\n".join(["[databases]", database, "[pgbouncer]", *lines]) + "\n")
        self._user = UNPRIVILEGED if os.geteuid() == 0 else None
        if self._user is not None:
            found = pwd.getpwnam(self._user)
            os.chown(self._directory, found.pw_uid, found.pw_gid)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        assert PROGRAM is not None, MISSING
        self._process = subprocess.Popen(
            [PROGRAM, str(self._file)],
            user=self._user,
            group=pwd.getpwnam(self._user).pw_gid if self._user else None,
            extra_groups=[] if self._user else None,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._wait_until_ready()
        return self

    def __exit__(self, *error: object) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(timeout=PATIENCE)
        shutil.rmtree(self._directory)

    def url(self, **options: str) -> str:
        """The URL of the server's database through the pooler."""
        given = {"host": str(self._directory), "port": str(PORT), **options}
        query = "&".join(f"{name}={quote(value, safe='/')}" for name, value in given.items())
        return f"postgresql://{ADMIN}@/postgres?{query}"

    def _wait_until_ready(self) -> None:
        assert self._process is not None
        while True:
            try:
                psycopg.connect(self.url()).close()
            except psycopg.OperationalError:
                if self._process.poll() is not None:
                    said = (self._directory / "log").read_text()
                    raise AssertionError(f"PgBouncer did not start: {said}") from None
            else:
                return

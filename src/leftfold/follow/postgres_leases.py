"""The leases of a log's workers in PostgreSQL: a small table in the log's schema. The table can be emptied any time."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from leftfold.follow.lease_store import Parameters, SqlLeaseStore, Statement
from leftfold.store.home import keep_in_children
from leftfold.store.postgres.batch import texts
from leftfold.store.postgres.driver import Connection, connect, is_lost, named_errors, run

STATEMENTS: Mapping[Statement, str] = {
    "read": "SELECT name, holder, beat, microseconds FROM {log}.lease",
    "take": "SELECT name, holder, beat, microseconds FROM {log}.take_lease(%s, %s, %s, %s)",
    "renew": "SELECT name, holder, beat, microseconds FROM {log}.beat_leases(%s, %s)",
    "release": "SELECT FROM {log}.release_leases(%s, %s)",
}


class PostgresLeaseStore(SqlLeaseStore):
    """Stores leases in the schema of a log, over one connection that is opened on demand and replaced when lost."""

    def __init__(self, url: str, log: str, *, session: bool = True) -> None:
        super().__init__()
        self._url = url
        self._log = log
        self._session = session
        self._connection: Connection | None = None
        keep_in_children(self)

    def __repr__(self) -> str:
        return f"<PostgresLeaseStore of the log {self._log}>"

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _rows(self, statement: Statement, sets: Sequence[Parameters]) -> Iterable[Sequence[Any]]:
        sql = STATEMENTS[statement].format(log=f'"{self._log}"')
        calls = _by_holder(sets) if statement in ("renew", "release") else [list(each.values()) for each in sets]
        with named_errors(f"log {self._log!r}"):
            if self._connection is None or is_lost(self._connection):
                self._connection = connect(self._url, session=self._session)
            return [row for parameters in calls for row in run(self._connection, sql, parameters) if row]


def _by_holder(sets: Iterable[Parameters]) -> list[Sequence[Any]]:
    """Each holder with all of its leases: one call, and so one commit, for each."""
    held: dict[str, list[str]] = {}
    for each in sets:
        held.setdefault(each["holder"], []).append(each["name"])
    return [(holder, texts(names)) for holder, names in held.items()]

"""The leases of projections, stored in the models database, where taking over a lease fences its former holder."""

import logging
from collections.abc import Iterable, Sequence, Set
from time import time_ns
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc

from leftfold.follow.lease_store import LARGEST_BEAT, Parameters, SqlLeaseStore, Statement
from leftfold.query.shard import Shard
from leftfold.query.tables.checkpoints import disturb_all
from leftfold.query.tables.database import Database
from leftfold.query.tables.own_tables import create_own_tables, lease

log = logging.getLogger("leftfold.leases")


def is_held(connection: sa.Connection, name: str, holder: str) -> bool:
    """Whether the lease is this holder's, in the connection's transaction."""
    mine = sa.select(lease.c.beat).where(lease.c.name == name, lease.c.holder == holder)
    return connection.execute(mine).first() is not None


class ModelsLeaseStore(SqlLeaseStore):
    """Stores the leases of shards in the models database. Call `add` with a shard before you take its lease."""

    def __init__(self, database: Database) -> None:
        super().__init__("leftfold models leases")
        self._database = database
        self._shards: dict[str, Shard] = {}
        self._table_exists = False
        self._unreadable: Set[object] = frozenset()  # names of rows that no lease store can have written

    def __repr__(self) -> str:
        return f"<ModelsLeaseStore in {self._database!r}>"

    def add(self, shards: Iterable[Shard]) -> None:
        """Fence the former holder of one of these shards whenever its lease is taken over."""
        self._shards.update((shard.lease, shard) for shard in shards)

    def _rows(self, statement: Statement, sets: Sequence[Parameters]) -> Iterable[Sequence[Any]]:
        if statement == "read":
            return self._read()
        try:
            with self._database.writing() as connection:
                if statement == "take":
                    return [row for each in sets for row in self._take(connection, each)]
                held = [(each, (lease.c.name == each["name"], lease.c.holder == each["holder"])) for each in sets]
                if statement == "renew":
                    return [row for each, is_mine in held for row in _put(connection, each, is_mine)]
                for _, is_mine in held:
                    connection.execute(sa.delete(lease).where(*is_mine))
        except exc.IntegrityError:  # another process was first to take a free lease
            pass
        return []

    def _read(self) -> Sequence[Sequence[Any]]:
        with self._database.reading() as connection:
            self._table_exists = self._table_exists or sa.inspect(connection).has_table(lease.name)
            return self._readable(connection.execute(sa.select(lease)).all()) if self._table_exists else []

    def _readable(self, rows: Sequence[Sequence[Any]]) -> list[Sequence[Any]]:
        """Return the rows that are leases: an SQLite table may hold values of any type."""
        found = [row for row in rows if all(map(isinstance, row[:3], (str, str, int)))]
        unreadable = {row[0] for row in rows} - {row[0] for row in found}
        for name in unreadable - self._unreadable:
            log.warning("the lease of %r does not name a process, so it counts as free", name)
        self._unreadable = unreadable
        return found

    def _take(self, connection: sa.Connection, wanted: Parameters) -> Sequence[Sequence[Any]]:
        """Take a lease, and fence its former holder in the same transaction."""
        name, former = wanted["name"], wanted["former"]
        if not self._table_exists:
            create_own_tables(connection)
        if former is None:
            if name in self._unreadable:
                connection.execute(sa.delete(lease).where(lease.c.name == name))
            values = {"name": name, "holder": wanted["holder"], "beat": 1, "microseconds": time_ns() // 1_000}
            return connection.execute(sa.insert(lease).values(values).returning(*lease.c)).all()
        expected = (lease.c.name == name, lease.c.holder == former, lease.c.beat == wanted["beat"])
        taken = _put(connection, wanted, expected)
        if taken and name in self._shards:  # a holder that released the lease has stopped writing
            disturb_all(connection, self._shards[name])
        return taken


def _put(connection: sa.Connection, wanted: Parameters, where: Iterable[Any]) -> Sequence[Sequence[Any]]:
    """Give a lease to a holder, with the next beat, where the row is as expected."""
    changed = sa.update(lease).where(*where).returning(*lease.c)
    beat = lease.c.beat % LARGEST_BEAT + 1
    values = {"holder": wanted["holder"], "beat": beat, "microseconds": time_ns() // 1_000}
    return connection.execute(changed.values(values)).all()

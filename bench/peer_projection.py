"""The peer's projection into a table, as its documentation writes one: a view that records its tracking with each row.

Its `ProjectionRunner` needs subscriptions, which its SQLite recorder does not have; so its notification log reader
feeds the projection.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

from eventsourcing.dispatch import singledispatchmethod
from eventsourcing.persistence import Tracking
from eventsourcing.projection import Projection
from eventsourcing.sqlite import SQLiteDatastore, SQLiteTrackingRecorder
from eventsourcing.system import NotificationLogReader

from bench.peer import Account, Bank
from bench.work import Stopwatch, Work

CREATE = "CREATE TABLE IF NOT EXISTS balance (account TEXT PRIMARY KEY, owner TEXT NOT NULL, amount INTEGER NOT NULL)"
OPENED = "INSERT INTO balance (account, owner, amount) VALUES (?, ?, 0)"
DEPOSITED = "UPDATE balance SET amount = amount + ? WHERE account = ?"


class Balances(SQLiteTrackingRecorder):
    def construct_create_table_statements(self) -> list[str]:
        return [*super().construct_create_table_statements(), CREATE]

    def opened(self, account: UUID, owner: str, tracking: Tracking) -> None:
        self._record(OPENED, (account.hex, owner), tracking)

    def deposited(self, account: UUID, amount: int, tracking: Tracking) -> None:
        self._record(DEPOSITED, (amount, account.hex), tracking)

    def _record(self, statement: str, parameters: tuple[Any, ...], tracking: Tracking) -> None:
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            cursor.execute(statement, parameters)


class BalanceProjection(Projection[Balances]):
    @singledispatchmethod
    def process_event(self, domain_event: Any, tracking: Tracking) -> None:
        raise NotImplementedError(domain_event)

    @process_event.register
    def opened(self, domain_event: Account.Opened, tracking: Tracking) -> None:  # type: ignore[name-defined]
        self.view.opened(domain_event.originator_id, domain_event.owner, tracking)

    @process_event.register
    def deposited(self, domain_event: Account.Deposited, tracking: Tracking) -> None:  # type: ignore[name-defined]
        self.view.deposited(domain_event.originator_id, domain_event.amount, tracking)


def opened_projection(path: Path) -> BalanceProjection:
    view = Balances(SQLiteDatastore(str(path)))
    view.create_table()
    return BalanceProjection(view)


def follow(projection: BalanceProjection, peer: Bank, seconds: float) -> Work:
    """Process events for a while."""
    done, watch = 0, Stopwatch()
    for event, tracking in _tracked(peer):
        projection.process_event(event, tracking)
        done += 1
        if watch.seconds > seconds:
            break
    return watch.work(done)


def _tracked(peer: Bank) -> Iterator[tuple[Any, Tracking]]:
    reader = NotificationLogReader(peer.notification_log, section_size=peer.log_section_size)
    for section in reader.select(start=None):
        for notification in section:
            yield peer.mapper.to_domain_event(notification), Tracking(peer.name, notification.id)

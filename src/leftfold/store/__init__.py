"""The event store: raw records in an append-only log, useful without an app."""

from leftfold.model.record import NewEvent, StoredEvent
from leftfold.store.contract import AppendCondition, Appended, Batch, EventStore, IdempotencyKey
from leftfold.store.memory import MemoryStore
from leftfold.store.open import open_store
from leftfold.store.sqlite.store import SQLiteStore
from leftfold.store.subscription import subscribe

__all__ = [
    "AppendCondition",
    "Appended",
    "Batch",
    "EventStore",
    "IdempotencyKey",
    "MemoryStore",
    "NewEvent",
    "SQLiteStore",
    "StoredEvent",
    "open_store",
    "subscribe",
]

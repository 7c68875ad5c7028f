"""The event store: raw records in an append-only log, useful without an app."""

from leftfold.store.contract import AppendCondition, Appended, Batch, EventStore, Key, NewEvent, StoredEvent
from leftfold.store.memory import MemoryStore
from leftfold.store.open import open_store
from leftfold.store.sqlite import SQLiteStore
from leftfold.store.subscription import subscribe

__all__ = [
    "AppendCondition",
    "Appended",
    "Batch",
    "EventStore",
    "Key",
    "MemoryStore",
    "NewEvent",
    "SQLiteStore",
    "StoredEvent",
    "open_store",
    "subscribe",
]

"""leftfold: event sourcing and CQRS on one append-only log."""

from msgspec.structs import replace

from leftfold.app import App
from leftfold.backoff import Backoff
from leftfold.clock import Clock, SystemClock
from leftfold.codec import Codec, JsonCodec
from leftfold.command import BatchReceipt, Context, Daily, DecisionModel, Receipt, Submission, Ticket
from leftfold.criteria import ALL, EVERYTHING, NOTHING, Criteria, Item, criteria
from leftfold.errors import LeftfoldError, Rejected
from leftfold.events import Command, Event, Query, message
from leftfold.live import LiveApp
from leftfold.metadata import Metadata, recording
from leftfold.process import Cancel, Delivery, Done, ProcessManager, Reaction, Schedule
from leftfold.query import ReadModel, ReadModels, Recorded
from leftfold.roles import Role
from leftfold.status import Status
from leftfold.store import (
    AppendCondition,
    Appended,
    Batch,
    EventStore,
    Key,
    NewEvent,
    StoredEvent,
    open_store,
    subscribe,
)
from leftfold.sync import SyncLive
from leftfold.sync_store import SyncStore, open_store_sync
from leftfold.tags import NotKey, Tag

__all__ = [
    "ALL",
    "EVERYTHING",
    "NOTHING",
    "App",
    "AppendCondition",
    "Appended",
    "Backoff",
    "Batch",
    "BatchReceipt",
    "Cancel",
    "Clock",
    "Codec",
    "Command",
    "Context",
    "Criteria",
    "Daily",
    "DecisionModel",
    "Delivery",
    "Done",
    "Event",
    "EventStore",
    "Item",
    "JsonCodec",
    "Key",
    "LeftfoldError",
    "LiveApp",
    "Metadata",
    "NewEvent",
    "NotKey",
    "ProcessManager",
    "Query",
    "Reaction",
    "ReadModel",
    "ReadModels",
    "Receipt",
    "Recorded",
    "Rejected",
    "Role",
    "Schedule",
    "Status",
    "StoredEvent",
    "Submission",
    "SyncLive",
    "SyncStore",
    "SystemClock",
    "Tag",
    "Ticket",
    "criteria",
    "message",
    "open_store",
    "open_store_sync",
    "recording",
    "replace",
    "subscribe",
]

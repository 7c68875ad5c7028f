"""leftfold: event sourcing and CQRS on one append-only log."""

from msgspec.structs import replace

from leftfold.app import App
from leftfold.command import BatchReceipt, Context, Daily, DecisionModel, Receipt, Submission, SubmissionState, Ticket
from leftfold.errors import LeftfoldError, Rejected
from leftfold.follow.backoff import Backoff
from leftfold.follow.workers import Role
from leftfold.live import LiveApp
from leftfold.live_sync import SyncLive
from leftfold.model.clock import Clock, SystemClock
from leftfold.model.codec import Codec, JsonCodec
from leftfold.model.criteria import ALL, EVERYTHING, NOTHING, Criteria, Item, criteria
from leftfold.model.message import Command, Event, Query, message
from leftfold.model.metadata import Metadata, recording
from leftfold.model.tag import NonKey, Tag
from leftfold.parked import Parked
from leftfold.process import Cancel, Done, ProcessManager, Reaction, Schedule
from leftfold.query import EventContext, ReadModel, ReadModels
from leftfold.reaction.reactor import Delivery
from leftfold.status import Status
from leftfold.store import (
    AppendCondition,
    Appended,
    Batch,
    EventStore,
    IdempotencyKey,
    NewEvent,
    StoredEvent,
    open_store,
    subscribe,
)
from leftfold.sync_store import SyncStore, open_store_sync

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
    "EventContext",
    "EventStore",
    "IdempotencyKey",
    "Item",
    "JsonCodec",
    "LeftfoldError",
    "LiveApp",
    "Metadata",
    "NewEvent",
    "NonKey",
    "Parked",
    "ProcessManager",
    "Query",
    "Reaction",
    "ReadModel",
    "ReadModels",
    "Receipt",
    "Rejected",
    "Role",
    "Schedule",
    "Status",
    "StoredEvent",
    "Submission",
    "SubmissionState",
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

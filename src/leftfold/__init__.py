"""leftfold: event sourcing and CQRS on one append-only log."""

from msgspec.structs import replace

from leftfold.app import App
from leftfold.audit import Change, ExplainedEvent, Finding, TypeMismatch, Verification
from leftfold.command import (
    BatchReceipt,
    CommandCounts,
    Context,
    Daily,
    DecisionModel,
    Many,
    NumberSeries,
    Receipt,
    Recurrence,
    Submission,
    SubmissionState,
    Ticket,
    Unique,
    Via,
)
from leftfold.errors import LeftfoldError, Rejected
from leftfold.follow.backoff import Backoff
from leftfold.follow.lease_store import LeaseEntry
from leftfold.follow.workers import WorkerRole
from leftfold.live import LiveApp
from leftfold.live_sync import SyncLive, SyncTicket
from leftfold.loop_thread import SyncWatch
from leftfold.model.change import ChangedAt, ChangedBy
from leftfold.model.clock import Clock, SystemClock
from leftfold.model.codec import Codec, JsonCodec
from leftfold.model.context import EventContext
from leftfold.model.criteria import ALL, EVERYTHING, NOTHING, Criteria, CriteriaItem, criteria
from leftfold.model.message import Command, Event, Query, message
from leftfold.model.metadata import Metadata, recording
from leftfold.model.tag import NonKey, Tag
from leftfold.parked import Parked
from leftfold.process import (
    CancelScheduled,
    EndProcess,
    ProcessInstance,
    ProcessManager,
    ProcessProgress,
    Reaction,
    RecordedReaction,
    Schedule,
)
from leftfold.query import (
    CacheStatus,
    Found,
    Groups,
    Join,
    ModelStatus,
    Page,
    ReadModel,
    ReadModels,
    Reference,
    ReplayProgress,
    RowChange,
    StatementPlan,
    Text,
    Watch,
)
from leftfold.reaction import Outstanding, ReactorStatus
from leftfold.reaction.reactor import Delivery
from leftfold.status import NeedsAttention, Status, WorkerStatus
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
from leftfold.store.time_travel import TimeBucket
from leftfold.sync_store import SyncStore, open_store_sync
from leftfold.trace import Trace, TracedAttempt, TracedCommand, TracedEvent, TracedReaction, TracedRow

__version__ = "0.1.0"

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
    "CacheStatus",
    "CancelScheduled",
    "Change",
    "ChangedAt",
    "ChangedBy",
    "Clock",
    "Codec",
    "Command",
    "CommandCounts",
    "Context",
    "Criteria",
    "CriteriaItem",
    "Daily",
    "DecisionModel",
    "Delivery",
    "EndProcess",
    "Event",
    "EventContext",
    "EventStore",
    "ExplainedEvent",
    "Finding",
    "Found",
    "Groups",
    "IdempotencyKey",
    "Join",
    "JsonCodec",
    "LeaseEntry",
    "LeftfoldError",
    "LiveApp",
    "Many",
    "Metadata",
    "ModelStatus",
    "NeedsAttention",
    "NewEvent",
    "NonKey",
    "NumberSeries",
    "Outstanding",
    "Page",
    "Parked",
    "ProcessInstance",
    "ProcessManager",
    "ProcessProgress",
    "Query",
    "Reaction",
    "ReactorStatus",
    "ReadModel",
    "ReadModels",
    "Receipt",
    "RecordedReaction",
    "Recurrence",
    "Reference",
    "Rejected",
    "ReplayProgress",
    "RowChange",
    "Schedule",
    "StatementPlan",
    "Status",
    "StoredEvent",
    "Submission",
    "SubmissionState",
    "SyncLive",
    "SyncStore",
    "SyncTicket",
    "SyncWatch",
    "SystemClock",
    "Tag",
    "Text",
    "Ticket",
    "TimeBucket",
    "Trace",
    "TracedAttempt",
    "TracedCommand",
    "TracedEvent",
    "TracedReaction",
    "TracedRow",
    "TypeMismatch",
    "Unique",
    "Verification",
    "Via",
    "Watch",
    "WorkerRole",
    "WorkerStatus",
    "criteria",
    "message",
    "open_store",
    "open_store_sync",
    "recording",
    "replace",
    "subscribe",
]

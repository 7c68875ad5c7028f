"""Status: where a live app stands, in one value."""

import msgspec

from leftfold.attention import NeedsAttention
from leftfold.audit import TypeMismatch
from leftfold.command import CommandCounts
from leftfold.query import CacheStatus, ModelStatus


class WorkerStatus(msgspec.Struct, frozen=True):
    """A worker in the background: what it is, where, and what it ran into, if it waits because of that."""

    name: str
    state: str
    running: bool
    trouble: str | None


class Status(msgspec.Struct, frozen=True):
    """A live app at one moment. `head` is the position of the newest event; `caches` is for kept answers.

    `mismatches` are what the app did not know of the log when it was opened.
    `attention` counts what failed for good: submitted commands, instances of processes, events of reactors.
    `snapshots` says why snapshots of decision models are not kept beside the log, if they are not as they should be.
    """

    app: str
    head: int
    read_models: tuple[ModelStatus, ...]
    workers: tuple[WorkerStatus, ...]
    commands: CommandCounts
    caches: tuple[CacheStatus, ...]
    mismatches: tuple[TypeMismatch, ...] = ()
    attention: NeedsAttention = NeedsAttention()
    snapshots: str | None = None

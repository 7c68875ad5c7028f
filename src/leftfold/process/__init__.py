"""Processes: managers that answer events with commands and timers."""

from leftfold.process.events import PROCESS_EVENTS
from leftfold.process.follower import ProcessFollower
from leftfold.process.manager import (
    Action,
    AfterEnd,
    CancelScheduled,
    EndProcess,
    ProcessDefinition,
    ProcessManager,
    Reaction,
    Schedule,
)
from leftfold.process.processes import Processes, ProcessInstance, ProcessProgress, RecordedReaction

__all__ = [
    "PROCESS_EVENTS",
    "Action",
    "AfterEnd",
    "CancelScheduled",
    "EndProcess",
    "ProcessDefinition",
    "ProcessFollower",
    "ProcessInstance",
    "ProcessManager",
    "ProcessProgress",
    "Processes",
    "Reaction",
    "RecordedReaction",
    "Schedule",
]

"""Processes: managers that answer events with commands and timers, and reactors that act on the world outside."""

from leftfold.process.events import PROCESS_EVENTS
from leftfold.process.follower import ProcessWorker
from leftfold.process.instance import Instance, Progress, Step
from leftfold.process.manager import Action, Cancel, Done, ProcessDefinition, ProcessManager, Reaction, Schedule
from leftfold.process.processes import Processes

__all__ = [
    "PROCESS_EVENTS",
    "Action",
    "Cancel",
    "Done",
    "Instance",
    "ProcessDefinition",
    "ProcessManager",
    "ProcessWorker",
    "Processes",
    "Progress",
    "Reaction",
    "Schedule",
    "Step",
]

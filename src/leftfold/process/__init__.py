"""Processes: managers that answer events with commands and timers."""

from leftfold.process.events import PROCESS_EVENTS
from leftfold.process.follower import ProcessFollower
from leftfold.process.manager import Action, Cancel, Done, ProcessDefinition, ProcessManager, Reaction, Schedule
from leftfold.process.processes import Instance, Processes, Progress, Step

__all__ = [
    "PROCESS_EVENTS",
    "Action",
    "Cancel",
    "Done",
    "Instance",
    "ProcessDefinition",
    "ProcessFollower",
    "ProcessManager",
    "Processes",
    "Progress",
    "Reaction",
    "Schedule",
    "Step",
]

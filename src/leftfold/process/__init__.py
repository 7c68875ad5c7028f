"""Processes: managers that answer events with commands and timers."""

from leftfold.process.actions import Action, Cancel, Done, Reaction, Schedule
from leftfold.process.definition import ProcessDefinition
from leftfold.process.instance import Instance, Progress, Step
from leftfold.process.process_events import PROCESS_EVENTS
from leftfold.process.process_manager import ProcessManager
from leftfold.process.process_worker import ProcessWorker
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

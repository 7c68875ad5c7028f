"""Processes: managers that answer events with commands and timers, and reactors that act on the world outside."""

from leftfold.process.actions import Action, Cancel, Done, Reaction, Schedule
from leftfold.process.definition import ProcessDefinition
from leftfold.process.instance import Instance, Progress, Step
from leftfold.process.process_events import PROCESS_EVENTS
from leftfold.process.process_manager import ProcessManager
from leftfold.process.process_worker import ProcessWorker
from leftfold.process.processes import Processes
from leftfold.process.reactor import Delivery, ReactorDefinition, Start
from leftfold.process.reactor_events import REACTOR_EVENTS
from leftfold.process.reactor_progress import Outstanding, ReactorStatus
from leftfold.process.reactor_worker import ReactorWorker
from leftfold.process.reactors import Reactors

__all__ = [
    "PROCESS_EVENTS",
    "REACTOR_EVENTS",
    "Action",
    "Cancel",
    "Delivery",
    "Done",
    "Instance",
    "Outstanding",
    "ProcessDefinition",
    "ProcessManager",
    "ProcessWorker",
    "Processes",
    "Progress",
    "Reaction",
    "ReactorDefinition",
    "ReactorStatus",
    "ReactorWorker",
    "Reactors",
    "Schedule",
    "Start",
    "Step",
]

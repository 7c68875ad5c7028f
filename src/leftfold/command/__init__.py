"""The command side: decision models, handlers, and the execution of commands."""

from leftfold.command.context import Context
from leftfold.command.decision_model import DecisionModel
from leftfold.command.executor import Executor, When
from leftfold.command.handler import CommandHandler
from leftfold.command.inbox import Inbox
from leftfold.command.inbox_events import INBOX_EVENTS
from leftfold.command.inbox_worker import InboxWorker, lease_name
from leftfold.command.listing import Listing
from leftfold.command.open_commands import CommandCounts, OpenCommands
from leftfold.command.outcomes import Outcomes
from leftfold.command.receipt import BatchReceipt, Receipt
from leftfold.command.recurrence import Daily, Recurrence
from leftfold.command.snapshots import Snapshots
from leftfold.command.states import States
from leftfold.command.submission import Submission
from leftfold.command.ticket import Ticket

__all__ = [
    "INBOX_EVENTS",
    "BatchReceipt",
    "CommandCounts",
    "CommandHandler",
    "Context",
    "Daily",
    "DecisionModel",
    "Executor",
    "Inbox",
    "InboxWorker",
    "Listing",
    "OpenCommands",
    "Outcomes",
    "Receipt",
    "Recurrence",
    "Snapshots",
    "States",
    "Submission",
    "Ticket",
    "When",
    "lease_name",
]

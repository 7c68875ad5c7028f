"""The command side: decision models, handlers, and the execution of commands."""

from leftfold.command.context import Context
from leftfold.command.executing import Executor, When
from leftfold.command.handler import CommandHandler
from leftfold.command.parameters import DecisionModel, Many, Via
from leftfold.command.receipt import BatchReceipt, Receipt
from leftfold.command.rules import NumberSeries, Unique
from leftfold.command.snapshots import Snapshots
from leftfold.command.states import States
from leftfold.command.submitted.commands import Inbox
from leftfold.command.submitted.events import INBOX_EVENTS
from leftfold.command.submitted.follower import CommandFollower, lease_name
from leftfold.command.submitted.listing import CommandCounts, Listing
from leftfold.command.submitted.schedule import Daily, Recurrence
from leftfold.command.submitted.submission import OPEN_OR_FAILED, Submission, SubmissionState
from leftfold.command.submitted.ticket import Outcomes, Ticket

__all__ = [
    "INBOX_EVENTS",
    "OPEN_OR_FAILED",
    "BatchReceipt",
    "CommandCounts",
    "CommandFollower",
    "CommandHandler",
    "Context",
    "Daily",
    "DecisionModel",
    "Executor",
    "Inbox",
    "Listing",
    "Many",
    "NumberSeries",
    "Outcomes",
    "Receipt",
    "Recurrence",
    "Snapshots",
    "States",
    "Submission",
    "SubmissionState",
    "Ticket",
    "Unique",
    "Via",
    "When",
    "lease_name",
]

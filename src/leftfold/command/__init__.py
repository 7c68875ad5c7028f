"""The command side: decision models, handlers, and the execution of commands."""

from leftfold.command.context import Context
from leftfold.command.decision_model import DecisionModel
from leftfold.command.executor import Executor
from leftfold.command.handler import CommandHandler
from leftfold.command.receipt import BatchReceipt, Receipt
from leftfold.command.snapshots import Snapshots
from leftfold.command.states import States

__all__ = [
    "BatchReceipt",
    "CommandHandler",
    "Context",
    "DecisionModel",
    "Executor",
    "Receipt",
    "Snapshots",
    "States",
]

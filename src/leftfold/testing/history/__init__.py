"""The history checker: clients at work on a store while faults come and go, and rules that their history must keep.

`torture(Plan(url))` is what the command `leftfold torture` runs. `check` is a pure function over a recorded history.
"""

from leftfold.testing.history.check import RULES, Violation, check, name_of
from leftfold.testing.history.clients import Habits
from leftfold.testing.history.evidence import History, history_in
from leftfold.testing.history.nemesis import Nemesis
from leftfold.testing.history.report import Report
from leftfold.testing.history.run import Plan, torture
from leftfold.testing.history.schedule import NEMESES, Fault, schedule

__all__ = [
    "NEMESES",
    "RULES",
    "Fault",
    "Habits",
    "History",
    "Nemesis",
    "Plan",
    "Report",
    "Violation",
    "check",
    "history_in",
    "name_of",
    "schedule",
    "torture",
]

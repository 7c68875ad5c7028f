"""The history checker: clients at work on a store while faults come and go, and rules that their history must keep.

`torture(Plan(url))` is what the command `leftfold torture` runs. `check` is a pure function over a recorded history.
"""

from leftfold_torture.check import RULES, Violation, check, name_of
from leftfold_torture.clients import Habits
from leftfold_torture.evidence import History, history_in
from leftfold_torture.nemesis import Nemesis
from leftfold_torture.report import Report
from leftfold_torture.run import Plan, torture
from leftfold_torture.schedule import NEMESES, Fault, schedule

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

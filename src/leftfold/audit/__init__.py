"""Audit: how a state came about, and whether log and snapshots keep their own rules."""

from leftfold.audit.difference import ABSENT, Change, changes
from leftfold.audit.explanation import Step, explain
from leftfold.audit.verification import Finding, Verification, verify_log, verify_snapshots

__all__ = [
    "ABSENT",
    "Change",
    "Finding",
    "Step",
    "Verification",
    "changes",
    "explain",
    "verify_log",
    "verify_snapshots",
]

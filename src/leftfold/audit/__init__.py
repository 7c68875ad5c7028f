"""Audit: how a state came about, and whether the log and its snapshots are consistent."""

from leftfold.audit.explanation import ABSENT, Change, ExplainedEvent, changes, explain
from leftfold.audit.known_types import TypeMismatch, known_to_others, mismatches_of, tell_of_others, warn_of
from leftfold.audit.verification import Finding, Verification, verify_log, verify_snapshots

__all__ = [
    "ABSENT",
    "Change",
    "ExplainedEvent",
    "Finding",
    "TypeMismatch",
    "Verification",
    "changes",
    "explain",
    "known_to_others",
    "mismatches_of",
    "tell_of_others",
    "verify_log",
    "verify_snapshots",
    "warn_of",
]

"""Audit: how a state came about, and whether log and snapshots keep their own rules."""

from leftfold.audit.explanation import Step, explain
from leftfold.audit.verification import Finding, Verification, verify_log, verify_snapshots

__all__ = ["Finding", "Step", "Verification", "explain", "verify_log", "verify_snapshots"]

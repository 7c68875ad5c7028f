"""Traces: what one request led to, from its command to the last reaction."""

from leftfold.trace.nodes import Trace, TracedAttempt, TracedCommand, TracedEvent, TracedReaction, TracedRow
from leftfold.trace.tracer import Tracer

__all__ = ["Trace", "TracedAttempt", "TracedCommand", "TracedEvent", "TracedReaction", "TracedRow", "Tracer"]

"""Reactors: functions that act on the outside world once an event has happened."""

from leftfold.reaction.events import REACTOR_EVENTS
from leftfold.reaction.follower import ReactorFollower
from leftfold.reaction.reactor import Delivery, ReactorDefinition, Start
from leftfold.reaction.reactors import Outstanding, Reactors, ReactorStatus

__all__ = [
    "REACTOR_EVENTS",
    "Delivery",
    "Outstanding",
    "ReactorDefinition",
    "ReactorFollower",
    "ReactorStatus",
    "Reactors",
    "Start",
]

"""Decision models: what must be known of a flight and of an aircraft to believe the next report."""

from enum import StrEnum
from typing import Annotated, Self

from leftfold import DecisionModel, NonKey, replace

from .events import AircraftId, FlightArrived, FlightCancelled, FlightDeparted, FlightDiverted, FlightId


class Status(StrEnum):
    """How far a flight has come."""

    SCHEDULED = "scheduled"
    DEPARTED = "departed"
    ARRIVED = "arrived"
    DIVERTED = "diverted"
    CANCELLED = "cancelled"


class Reason(StrEnum):
    """Why a report is refused."""

    ALREADY_DEPARTED = "already departed"
    ALREADY_CANCELLED = "already cancelled"
    ALREADY_LANDED = "already landed"
    NOT_DEPARTED = "not departed"
    AIRCRAFT_IN_THE_AIR = "aircraft in the air"
    ANOTHER_AIRCRAFT = "departed with another aircraft"


class Flight(DecisionModel):
    """A flight, from its schedule to its end."""

    flight: FlightId
    status: Status = Status.SCHEDULED

    def evolve(self, event: FlightDeparted | FlightArrived | FlightDiverted | FlightCancelled) -> Self:
        match event:
            case FlightDeparted():
                return replace(self, status=Status.DEPARTED)
            case FlightArrived():
                return replace(self, status=Status.ARRIVED)
            case FlightDiverted():
                return replace(self, status=Status.DIVERTED)
            case FlightCancelled():
                return replace(self, status=Status.CANCELLED)


class Aircraft(DecisionModel):
    """An aircraft, and the flight on which it is in the air."""

    aircraft: AircraftId
    flying: Annotated[FlightId, NonKey] | None = None

    def evolve(self, event: FlightDeparted | FlightArrived | FlightDiverted) -> Self:
        match event:
            case FlightDeparted():
                return replace(self, flying=event.flight)
            case FlightArrived() | FlightDiverted():
                return replace(self, flying=None)

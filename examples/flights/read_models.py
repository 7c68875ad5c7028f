"""Read models: what is asked about flights, kept as tables."""

from datetime import UTC, datetime
from typing import Annotated, Self

from leftfold import NonKey, ReadModel, replace

from .decision_models import Status
from .events import (
    AircraftId,
    AirportCode,
    FlightArrived,
    FlightCancelled,
    FlightDeparted,
    FlightDiverted,
    FlightId,
    ReportKind,
    ReportSetAside,
)

NOT_YET = datetime(1970, 1, 1, tzinfo=UTC)


class Board(ReadModel):
    """A line of its airport's board; ``delay`` is the last that was reported, in minutes."""

    flight: FlightId
    airport: Annotated[AirportCode, NonKey] = ""
    scheduled: datetime = NOT_YET
    destination: Annotated[AirportCode, NonKey] = ""
    status: Status = Status.SCHEDULED
    delay: int | None = None

    def evolve(self, event: FlightDeparted | FlightArrived | FlightDiverted | FlightCancelled) -> Self:
        match event:
            case FlightDeparted():
                return replace(self._of(event), status=Status.DEPARTED, delay=event.delay)
            case FlightArrived():
                return replace(self, status=Status.ARRIVED, delay=event.delay)
            case FlightDiverted():
                return replace(self, status=Status.DIVERTED)
            case FlightCancelled():
                return replace(self._of(event), status=Status.CANCELLED)

    def _of(self, event: FlightDeparted | FlightCancelled) -> Self:
        return replace(self, airport=event.origin, scheduled=event.scheduled, destination=event.destination)


class RouteDelay(ReadModel):
    """How late a route's flights arrived, in minutes altogether, and how many never did."""

    origin: AirportCode
    destination: AirportCode
    arrivals: int = 0
    delay: int = 0
    diversions: int = 0
    cancellations: int = 0

    @property
    def average(self) -> float:
        """The average delay of an arrival in minutes."""
        return self.delay / self.arrivals if self.arrivals else 0.0

    def evolve(self, event: FlightArrived | FlightDiverted | FlightCancelled) -> Self:
        match event:
            case FlightArrived():
                return replace(self, arrivals=self.arrivals + 1, delay=self.delay + event.delay)
            case FlightDiverted():
                return replace(self, diversions=self.diversions + 1)
            case FlightCancelled():
                return replace(self, cancellations=self.cancellations + 1)


class Whereabouts(ReadModel):
    """Where an aircraft is since when: at an airport, or, if at none, on its flight or somewhere after a diversion."""

    aircraft: AircraftId
    flight: Annotated[FlightId, NonKey] = ""
    status: Status = Status.SCHEDULED
    airport: Annotated[AirportCode, NonKey] | None = None
    since: datetime = NOT_YET

    def evolve(self, event: FlightDeparted | FlightArrived | FlightDiverted) -> Self:
        last = replace(self, flight=event.flight, since=event.instant)
        match event:
            case FlightDeparted():
                return replace(last, status=Status.DEPARTED, airport=None)
            case FlightArrived():
                return replace(last, status=Status.ARRIVED, airport=event.destination)
            case FlightDiverted():
                return replace(last, status=Status.DIVERTED, airport=None)


class AirportTotals(ReadModel):
    """What an airport saw. Arrivals and diversions are those of flights that were to land there."""

    airport: AirportCode
    departures: int = 0
    cancellations: int = 0
    arrivals: int = 0
    diversions: int = 0

    def evolve(self, event: FlightDeparted | FlightArrived | FlightDiverted | FlightCancelled) -> Self:
        match event:  # of both its airports each event concerns one: here self is told apart from the other
            case FlightDeparted(origin=self.airport):
                return replace(self, departures=self.departures + 1)
            case FlightCancelled(origin=self.airport):
                return replace(self, cancellations=self.cancellations + 1)
            case FlightArrived(destination=self.airport):
                return replace(self, arrivals=self.arrivals + 1)
            case FlightDiverted(destination=self.airport):
                return replace(self, diversions=self.diversions + 1)
            case _:
                return self


class Rejection(ReadModel):
    """A report that was refused, and how often."""

    flight: FlightId
    report: ReportKind
    reason: str = ""
    aircraft: Annotated[AircraftId, NonKey] | None = None
    because_of: str | None = None
    instant: datetime = NOT_YET
    times: int = 0

    def evolve(self, event: ReportSetAside) -> Self:
        return replace(
            self,
            reason=event.reason,
            aircraft=event.aircraft,
            because_of=event.because_of,
            instant=event.instant,
            times=self.times + 1,
        )

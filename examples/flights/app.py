"""The app: reports are believed unless they contradict what is known; boards, routes and aircraft are asked about."""

from collections import Counter
from datetime import datetime, timedelta
from typing import TypeVar

from msgspec.structs import asdict

from leftfold import App, Query, ReadModels, Rejected

from .commands import Report, ReportArrival, ReportCancellation, ReportDeparture, ReportDiversion, SetReportAside
from .decision_models import Aircraft, Flight, Reason, Status
from .events import (
    AircraftId,
    AirportCode,
    FlightArrived,
    FlightCancelled,
    FlightDeparted,
    FlightDiverted,
    FlightEvent,
    ReportSetAside,
)
from .read_models import AirportTotals, Board, Rejection, RouteDelay, Whereabouts

E = TypeVar("E", bound=FlightEvent)

BOARD_SPAN = timedelta(hours=12)

flights = App("flights")

flights.read_model(history=True)(Board)
flights.read_model(RouteDelay)
flights.read_model(Whereabouts)
flights.read_model(AirportTotals)
flights.read_model(Rejection)


@flights.handles
def depart(report: ReportDeparture, flight: Flight, aircraft: Aircraft) -> FlightDeparted:
    check_not_begun(flight)
    if aircraft.flying is not None:
        raise Rejected(Reason.AIRCRAFT_IN_THE_AIR, aircraft=aircraft.aircraft, because_of=aircraft.flying)
    return believed(FlightDeparted, report)


@flights.handles
def arrive(report: ReportArrival, flight: Flight, aircraft: Aircraft) -> FlightArrived:
    check_under_way(flight, aircraft)
    return believed(FlightArrived, report)


@flights.handles
def divert(report: ReportDiversion, flight: Flight, aircraft: Aircraft) -> FlightDiverted:
    check_under_way(flight, aircraft)
    return believed(FlightDiverted, report)


@flights.handles
def cancel(report: ReportCancellation, flight: Flight) -> FlightCancelled:
    check_not_begun(flight)
    return believed(FlightCancelled, report)


@flights.handles
def set_aside(command: SetReportAside) -> ReportSetAside:
    return ReportSetAside(**asdict(command))


def check_not_begun(flight: Flight) -> None:
    """Refuse to begin or cancel what has begun or is cancelled."""
    if flight.status is Status.CANCELLED:
        raise Rejected(Reason.ALREADY_CANCELLED)
    if flight.status is not Status.SCHEDULED:
        raise Rejected(Reason.ALREADY_DEPARTED)


def check_under_way(flight: Flight, aircraft: Aircraft) -> None:
    """Refuse to end what is not under way, and to land an aircraft that flies as another flight or not at all."""
    if flight.status in (Status.ARRIVED, Status.DIVERTED):
        raise Rejected(Reason.ALREADY_LANDED)
    if flight.status is not Status.DEPARTED:
        raise Rejected(Reason.NOT_DEPARTED)
    if aircraft.flying != flight.flight:
        raise Rejected(Reason.ANOTHER_AIRCRAFT, aircraft=aircraft.aircraft, because_of=aircraft.flying)


def believed(event: type[E], report: Report) -> E:
    """Return the event that says what the report says; both have the same fields."""
    return event(**asdict(report))


class BoardAt(Query[list[Board]]):
    """An airport's board: flights whose scheduled departure lies within twelve hours of ``at``."""

    airport: AirportCode
    at: datetime


class Departures(Query[list[Board]]):
    """An airport's latest departures by schedule, the latest first."""

    airport: AirportCode
    limit: int = 12


class WorstRoutes(Query[list[RouteDelay]]):
    """The routes with the highest average delay, of those with enough arrivals to speak of an average."""

    limit: int = 5
    at_least: int = 100


class WhereIs(Query[Whereabouts | None]):
    """Where an aircraft is; None if it has never been heard of."""

    aircraft: AircraftId


class Totals(Query[list[AirportTotals]]):
    """What each airport saw."""


class Rejections(Query[list[Rejection]]):
    """The refused reports, in the order in which they came."""


class RejectionsByReason(Query[dict[str, int]]):
    """How many reports were refused, by reason, the most frequent first."""


@flights.answers
def board_at(query: BoardAt, models: ReadModels) -> list[Board]:
    near = models.table(Board).c.scheduled.between(query.at - BOARD_SPAN, query.at + BOARD_SPAN)
    return models.select(Board, where=near, airport=query.airport, order_by=("scheduled", "flight"))


@flights.answers
def departures(query: Departures, models: ReadModels) -> list[Board]:
    return models.select(Board, airport=query.airport, order_by=("-scheduled", "flight"), limit=query.limit)


@flights.answers(cache=True)
def worst_routes(query: WorstRoutes, models: ReadModels) -> list[RouteDelay]:
    frequent = [route for route in models.select(RouteDelay) if route.arrivals >= query.at_least]
    return sorted(frequent, key=lambda route: -route.average)[: query.limit]


@flights.answers
def where_is(query: WhereIs, models: ReadModels) -> Whereabouts | None:
    return models.get(Whereabouts, query.aircraft)


@flights.answers
def totals(query: Totals, models: ReadModels) -> list[AirportTotals]:
    return models.select(AirportTotals, order_by="airport")


@flights.answers
def rejections(query: Rejections, models: ReadModels) -> list[Rejection]:
    return models.select(Rejection, order_by=("instant", "flight"))


@flights.answers
def rejections_by_reason(query: RejectionsByReason, models: ReadModels) -> dict[str, int]:
    counted: Counter[str] = Counter()
    for refused in models.select(Rejection):
        counted[refused.reason] += refused.times
    return dict(counted.most_common())

"""Events: what became of flights, once it is believed; and reports that could not be believed."""

from datetime import datetime
from typing import Annotated

from leftfold import Event, Tag

FlightId = Annotated[str, Tag("flight")]
AircraftId = Annotated[str, Tag("aircraft")]
AirportCode = Annotated[str, Tag("airport")]
CarrierCode = Annotated[str, Tag("carrier")]
ReportKind = Annotated[str, Tag("report")]


class FlightEvent(Event, kw_only=True):
    """What every event of a flight says. Both moments are UTC."""

    flight: FlightId
    carrier: CarrierCode
    origin: AirportCode
    destination: AirportCode
    scheduled: datetime
    instant: datetime


class FlightDeparted(FlightEvent, wire="flight.departed", kw_only=True):
    """The flight left its gate, ``delay`` minutes after it was scheduled to."""

    aircraft: AircraftId
    delay: int


class FlightArrived(FlightEvent, wire="flight.arrived", kw_only=True):
    """The flight reached its destination, ``delay`` minutes after it was scheduled to."""

    aircraft: AircraftId
    delay: int


class FlightDiverted(FlightEvent, wire="flight.diverted", kw_only=True):
    """The flight landed elsewhere; where is not known."""

    aircraft: AircraftId


class FlightCancelled(FlightEvent, wire="flight.cancelled", kw_only=True):
    """The flight did not take place. The aircraft is that of the plan, where there was one."""

    aircraft: AircraftId | None


class ReportSetAside(Event, wire="report.set-aside", kw_only=True):
    """A report contradicted what was known; ``because_of`` is the flight that it contradicted, if another one."""

    flight: FlightId
    report: ReportKind
    aircraft: AircraftId | None
    instant: datetime
    reason: str
    because_of: str | None

"""Commands: what is reported of flights, to be believed or not."""

from datetime import datetime
from typing import ClassVar

from leftfold import Command

from .events import AircraftId, AirportCode, CarrierCode, FlightId, ReportKind


class FlightReport(Command, kw_only=True):
    """What every report says. Both moments are UTC; ``instant`` is when it happened."""

    kind: ClassVar[str]

    flight: FlightId
    carrier: CarrierCode
    origin: AirportCode
    destination: AirportCode
    scheduled: datetime
    instant: datetime


class ReportDeparture(FlightReport, kw_only=True):
    """The flight left its gate, ``delay`` minutes after it was scheduled to."""

    kind = "departure"

    aircraft: AircraftId
    delay: int


class ReportArrival(FlightReport, kw_only=True):
    """The flight reached its destination, ``delay`` minutes after it was scheduled to."""

    kind = "arrival"

    aircraft: AircraftId
    delay: int


class ReportDiversion(FlightReport, kw_only=True):
    """The flight never reached its destination. Known once it should have, and did not."""

    kind = "diversion"

    aircraft: AircraftId


class ReportCancellation(FlightReport, kw_only=True):
    """The flight did not take place. Known at its scheduled departure."""

    kind = "cancellation"

    aircraft: AircraftId | None


Report = ReportDeparture | ReportArrival | ReportDiversion | ReportCancellation


class SetReportAside(Command, kw_only=True):
    """Keep a report that was refused, and why."""

    flight: FlightId
    report: ReportKind
    aircraft: AircraftId | None
    instant: datetime
    reason: str
    because_of: str | None = None

"""Rows of read models are explained like states: begun anew after they went, and by their own events alone."""

from typing import Annotated, Self

from leftfold import App, Command, Event, ReadModel, Tag, replace

AirportCode = Annotated[str, Tag("airport")]


class Flown(Event):
    origin: AirportCode
    destination: AirportCode


class Closed(Event):
    origin: AirportCode
    destination: AirportCode


class Fly(Command):
    origin: AirportCode
    destination: AirportCode


class Close(Command):
    origin: AirportCode
    destination: AirportCode


air = App("air")


@air.handles
def fly(command: Fly) -> Flown:
    return Flown(command.origin, command.destination)


@air.handles
def close(command: Close) -> Closed:
    return Closed(command.origin, command.destination)


@air.read_model
class Route(ReadModel):
    origin: AirportCode
    destination: AirportCode
    flights: int = 0

    def evolve(self, event: Flown | Closed) -> Self | None:
        return None if isinstance(event, Closed) else replace(self, flights=self.flights + 1)


async def test_a_row_that_went_begins_anew() -> None:
    async with air.open("memory:") as live:
        for command in (Fly("JFK", "LAX"), Close("JFK", "LAX"), Fly("JFK", "LAX")):
            await live.execute(command)

        steps = await live.explain(Route, "JFK", "LAX")

    states = [step.after and step.after.flights for step in steps]
    assert states == [1, None, 1]


async def test_a_route_back_is_another_row() -> None:
    async with air.open("memory:") as live:
        for command in (Fly("JFK", "LAX"), Fly("LAX", "JFK"), Fly("JFK", "LAX")):
            await live.execute(command)

        there, back = await live.explain(Route, "JFK", "LAX"), await live.explain(Route, "LAX", "JFK")

    assert [step.position for step in there] == [1, 3]
    assert [step.position for step in back] == [2]

"""An app that counts: all clients want the same few counters at once, so most decisions meet others on their way."""

from typing import Annotated, Self

from msgspec.structs import replace

from leftfold.app import App
from leftfold.command import DecisionModel, Many
from leftfold.errors import Rejected
from leftfold.model.message import Command, Event
from leftfold.model.tag import Tag
from leftfold_torture.record import COUNTED, COUNTED_TOGETHER

CounterId = Annotated[str, Tag("counter")]
UNLUCKY = 7


class Counted(Event, wire=COUNTED):
    """A number, the next one after the number that the decision saw."""

    counter: CounterId
    number: int
    id: str


class CountedTogether(Event, wire=COUNTED_TOGETHER):
    """The next number of each of these counters, from one decision on all of them."""

    counters: list[CounterId]
    numbers: list[int]
    id: str


class Counter(DecisionModel):
    """How far a counter has come."""

    counter: CounterId
    number: int = 0

    def evolve(self, event: Counted | CountedTogether) -> Self:
        """Take over the number."""
        if isinstance(event, Counted):
            return replace(self, number=event.number)
        return replace(self, number=event.numbers[event.counters.index(self.counter)])


class Count(Command):
    """Count one further; a picky command does not want every number."""

    counter: CounterId
    id: str
    picky: bool = False


class CountTogether(Command):
    """Count each of these counters one further, or none of them."""

    counters: list[CounterId]
    id: str
    picky: bool = False


counting = App("counting")


@counting.handles
def count(command: Count, counter: Counter) -> Counted:
    """Count, or refuse an unlucky number."""
    number = counter.number + 1
    if command.picky and number % UNLUCKY == 0:
        raise Rejected("an unlucky number", number=number)
    return Counted(command.counter, number, command.id)


@counting.handles
def count_together(command: CountTogether, counters: Many[Counter]) -> CountedTogether:
    """Count all, or refuse if one of the numbers is unlucky."""
    numbers = [counter.number + 1 for counter in counters]
    if command.picky and any(number % UNLUCKY == 0 for number in numbers):
        raise Rejected("an unlucky number", numbers=numbers)
    return CountedTogether([counter.counter for counter in counters], numbers, command.id)

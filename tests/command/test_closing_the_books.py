"""Closing the books: a model of a period, whose first event carries the sum of the period before forward."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Self

from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from leftfold import App, Command, DecisionModel, Event, NonKey, Rejected, Tag, Via, replace
from leftfold.testing import FakeClock, check_laws, given
from tests.patience import examples
from tests.racing import CALLERS, Log, four, log, race

__all__ = ["log"]

METER = Tag("meter")
MeterId = Annotated[str, METER]
Day = Annotated[int, Tag("day", within=METER)]


class DayBegun(Event):
    meter: MeterId
    day: Day
    total: int


class Counted(Event):
    meter: MeterId
    day: Day
    number: int


class Today(DecisionModel):
    meter: MeterId
    day: Annotated[Day, NonKey] = 0

    def evolve(self, event: DayBegun) -> Self:
        return replace(self, day=event.day)


class Meter(DecisionModel):
    meter: MeterId
    day: Day
    total: int = 0
    folded: int = 0

    def evolve(self, event: DayBegun | Counted) -> Self:
        total = event.total if isinstance(event, DayBegun) else self.total + event.number
        return replace(self, total=total, folded=self.folded + 1)


class MeterOfAllDays(DecisionModel):
    meter: MeterId
    total: int = 0
    carried: tuple[int, ...] = ()

    def evolve(self, event: DayBegun | Counted) -> Self:
        match event:
            case DayBegun(total=total):
                return replace(self, carried=(*self.carried, total - self.total))
            case Counted(number=number):
                return replace(self, total=self.total + number)


class BeginDay(Command):
    meter: MeterId
    following: int


class Count(Command):
    meter: MeterId
    number: int


app = App("meters")


@app.handles
def begin(command: BeginDay, today: Today, meter: Annotated[Meter, Via("today", "day")]) -> DayBegun:
    if command.following <= today.day:
        raise Rejected("this day has begun")
    return DayBegun(command.meter, command.following, meter.total)


@app.handles
def count(command: Count, today: Today, meter: Annotated[Meter, Via("today", "day")]) -> Counted:
    return Counted(command.meter, today.day, command.number)


def test_a_day_begins_with_the_total_of_the_day_before() -> None:
    happened = [Counted("m", 0, 2), DayBegun("m", 1, 2), Counted("m", 1, 3)]

    given(app, *happened).when(BeginDay("m", 2)).then(DayBegun("m", 2, 5))
    given(app, *happened).when(Count("m", 4)).then(Counted("m", 1, 4))
    given(app, *happened).when(BeginDay("m", 1)).then_rejected("this day has begun")


async def test_a_decision_reads_the_events_of_its_period_alone() -> None:
    async with app.test(FakeClock()) as live:
        for day in range(1, 6):
            await live.execute_many([Count("m", 1) for _ in range(20)])
            await live.execute(BeginDay("m", day))
        await live.execute(Count("m", 1))

        assert await live.state(Meter, "m", 5) == Meter("m", 5, 101, folded=2)
        [item] = live.criteria_of(Meter, "m", 5).items
        assert item.tags == {"day:m/5"}
        assert [each.after.total for each in await live.explain(Meter, "m", 5)] == [100, 101]
        assert (await live.explain(MeterOfAllDays, "m"))[-1].after == MeterOfAllDays("m", 101, (0,) * 5)


async def test_nothing_is_lost_between_two_periods_however_callers_race(log: Log) -> None:
    async with four(app, log) as apps:
        for day in (1, 2, 3):
            commands = [BeginDay("m", day) if each % 4 == 3 else Count("m", 1) for each in range(CALLERS)]
            won, refused = await race(apps, commands)
            assert (len(won), refused) == (CALLERS - 3, {"this day has begun"})

        whole = await apps[2].state(MeterOfAllDays, "m")
        assert whole == MeterOfAllDays("m", 3 * 12, (0, 0, 0))
        assert (await apps[3].state(Meter, "m", 3)).total == whole.total


Act = tuple[str, int]


@settings(max_examples=examples(40))
@for_all(st.lists(st.tuples(st.sampled_from(["count", "begin"]), st.integers(1, 3)), max_size=12))
def test_the_model_of_the_open_period_and_that_of_all_periods_agree(acts: Sequence[Act]) -> None:
    async def run() -> None:
        async with app.test(FakeClock()) as live:
            day = 0
            for act, number in acts:
                if act == "begin":
                    day += number
                    await live.execute(BeginDay("m", day))
                else:
                    await live.execute(Count("m", number))
                whole = await live.state(MeterOfAllDays, "m")
                assert (await live.state(Meter, "m", day)).total == whole.total
                assert set(whole.carried) <= {0}

    asyncio.run(run())


def test_models_of_periods_keep_the_laws() -> None:
    events = [Counted("m", 0, 2), DayBegun("m", 1, 2), Counted("m", 1, 3), Counted("n", 1, 3), DayBegun("m", 2, 5)]

    for model in (Today, Meter, MeterOfAllDays):
        check_laws(model, events)

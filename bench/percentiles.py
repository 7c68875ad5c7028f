"""How long `execute` takes when one or many call it at once, on SQLite and on PostgreSQL, the backends taking turns."""

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import count
from pathlib import Path
from random import Random
from statistics import quantiles
from time import perf_counter
from typing import NamedTuple

from bench import durability
from bench.bank import Deposit
from bench.callers import tasks
from bench.deciding import ENTITIES
from bench.ours import Ours, opened_ours
from bench.postgres import opened_server, ours_on
from bench.rounds import Effort

CALLERS = (1, 16, 128)
ACCOUNTS = [f"account-{number}" for number in range(ENTITIES)]


class Percentiles(NamedTuple):
    """The calls of all rounds together, in milliseconds; `runs` has the number of calls of each round."""

    backend: str
    callers: int
    p50: float
    p99: float
    p999: float
    runs: Sequence[int]


def measure(directory: Path, effort: Effort, progress: Callable[[str], None]) -> list[Percentiles]:
    """Rounds of calls of each number of callers on each backend; the first round is not counted."""
    with ExitStack() as opened:
        server = opened.enter_context(opened_server())
        backends = {
            "SQLite": opened.enter_context(opened_ours(directory / "leftfold.db")),
            "PostgreSQL": opened.enter_context(ours_on(server)),
        }
        for ours in backends.values():
            durability.check(ours)
            ours.open_accounts(ACCOUNTS)
        return list(_rounds(backends, effort, progress))


def _rounds(backends: Mapping[str, Ours], effort: Effort, progress: Callable[[str], None]) -> Iterator[Percentiles]:
    choose = partial(Random(1).choice, ACCOUNTS)
    order = [(callers, backend) for callers in CALLERS for backend in backends]
    taken: dict[tuple[int, str], list[list[float]]] = {each: [] for each in order}
    for number in range(effort.rounds + 1):
        progress(f"latency {number}/{effort.rounds}")
        for callers, backend in order[number % len(order) :] + order[: number % len(order)]:
            gc.collect()
            taken[callers, backend].append(_calls(backends[backend], callers, effort.seconds, choose))
    for (callers, backend), rounds in taken.items():
        yield _percentiles(backend, callers, rounds[1:])


def _calls(ours: Ours, callers: int, seconds: float, choose: Callable[[], str]) -> list[float]:
    """How long each call took, in milliseconds."""
    found: list[float] = []

    async def execute() -> None:
        start = perf_counter()
        await ours.live.execute(Deposit(choose(), 1))
        found.append(1_000 * (perf_counter() - start))

    ours.wait(tasks(callers, seconds, (execute() for _ in count())))
    return found


def _percentiles(backend: str, callers: int, rounds: Sequence[Sequence[float]]) -> Percentiles:
    cuts = quantiles((each for calls in rounds for each in calls), n=1_000, method="inclusive")
    return Percentiles(backend, callers, cuts[499], cuts[989], cuts[998], [len(calls) for calls in rounds])

"""A run: clients at work while faults come and go, then quiet, then the check of what they wrote down."""

import asyncio
import shutil
import tempfile
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from random import Random
from time import monotonic

import msgspec

from leftfold.errors import StoreError, UnknownName, UsageError
from leftfold.model.clock import Clock, SystemClock, to_microseconds
from leftfold.model.criteria import EVERYTHING
from leftfold.model.record import NewEvent, StoredEvent
from leftfold.passwords import without_password
from leftfold.store.contract import EventStore
from leftfold.store.inspection import Inspectable
from leftfold.store.open import open_store
from leftfold_torture.arena import Arena, Place, prepared
from leftfold_torture.check import Violation, check
from leftfold_torture.client_process import Setting
from leftfold_torture.clients import PAUSE_AFTER_TROUBLE, Calls, Habits
from leftfold_torture.counting import counting
from leftfold_torture.evidence import History, history_in
from leftfold_torture.holding import without_holder
from leftfold_torture.nemesis import Nemesis
from leftfold_torture.record import Append, Ended, Harmed, Journal, Placed, now, write_log
from leftfold_torture.report import Report, delivered_in, operations_of, outcomes_of, slowest_of
from leftfold_torture.schedule import NEMESES, schedule
from leftfold_torture.team import ClientProcess, Processes, Tasks, Team

QUIET_ROUNDS = 3
QUIET_PATIENCE = 10.0  # seconds within which a subscription has to deliver what is committed, once all is quiet
OPENING_SECONDS = 60.0
LONGEST = 60.0  # seconds more than planned, where the machine is slow

OpenStore = Callable[[str, Clock | None], EventStore]


class LogNotEmpty(UsageError, ValueError):
    """The log for `leftfold torture` already has events."""

    url: str
    head: int
    found = "the log {url} has {head} events, and torture would fill it with nonsense"
    expected = "an empty log"
    remedy = "name a new file or schema"

    def _derive(self) -> None:
        self.url = without_password(self.url)


class Plan(msgspec.Struct, frozen=True):
    """What to run. Without `nemeses` every fault that is available; an empty tuple is none."""

    url: str
    seconds: float = 60.0
    clients: int = 4
    seed: int = 0
    nemeses: Sequence[str] | None = None
    own_server: bool = False
    habits: Habits = Habits()

    def __repr__(self) -> str:
        return super(Plan, msgspec.structs.replace(self, url=without_password(self.url))).__repr__()


def _open(url: str, clock: Clock | None) -> EventStore:
    return open_store(url, clock=clock)


async def torture(
    plan: Plan,
    *,
    folder: Path | None = None,
    open_store: OpenStore = _open,
    known: Sequence[type[Nemesis]] = NEMESES,
    tell: Callable[[str], None] = lambda _: None,
) -> Report:
    """Run clients against a log while faults come and go, and check the history of what they did.

    The log has to be empty: what is written is of no use to anyone. `folder` keeps the history. `open_store` and
    `known` are for stores and faults of one's own; `tell` hears what happens.
    """
    place = Place(plan.url, plan.own_server)
    nemeses, skipped = _available(plan, place, known)
    for name, reason in skipped.items():
        tell(f"skipped {name}: not available here, because {reason}")
    kept = folder or Path(tempfile.mkdtemp(prefix="leftfold-history-"))
    kept.mkdir(parents=True, exist_ok=True)
    try:
        needs = frozenset[str]().union(*(each.needs for each in nemeses))
        async with prepared(place, needs, seed=plan.seed, seconds=plan.seconds) as arena:
            notes, problems = await Run(plan, arena, kept, partial(open_store)).through(nemeses, tell)
        history = await asyncio.to_thread(history_in, kept)
        violations = await asyncio.to_thread(check, history)
        return _report(plan, place, history, [*problems, *violations], skipped, notes)
    finally:
        if folder is None:
            shutil.rmtree(kept, ignore_errors=True)


class Run:
    """One run in an arena."""

    def __init__(self, plan: Plan, arena: Arena, folder: Path, open_store: OpenStore) -> None:
        self._plan = plan
        self._arena = arena
        self._folder = folder
        self._open = open_store
        self._journal = Journal(folder / "run.jsonl")
        self._shared: EventStore | None = None

    def __repr__(self) -> str:
        return f"<Run {self._plan}>"

    async def through(
        self, nemeses: Sequence[type[Nemesis]], tell: Callable[[str], None]
    ) -> tuple[list[str], list[Violation]]:
        """Do all of it, and leave the history in the folder; notes, and what was wrong beside the history."""
        if self._arena.place.backend == "memory":
            self._shared = self._open(self._arena.url, self._arena.clock)
        async with self._store() as store:
            if head := await store.head():
                raise LogNotEmpty(self._plan.url, head)
        team = self._arena.team = self._team()
        try:
            problems = await self._work(team, nemeses, tell)
        except BaseException:
            await team.abandon()
            raise
        finally:
            self._journal.write(Ended(to_microseconds(SystemClock().now())))
            self._journal.close()
        async with self._store() as store:
            write_log(self._folder / "log.json", await _all_of(store))
            problems += await _damage(store)
        if self._shared is not None:
            await self._shared.close()
        return self._notes(), problems

    async def _work(self, team: Team, nemeses: Sequence[type[Nemesis]], tell: Callable[[str], None]) -> list[Violation]:
        """Let the clients work under faults, then in quiet; what was wrong beside the history."""
        await team.start()
        await self._harm(nemeses, tell)
        tell("quiet")
        await team.stop()
        problems = await self._quiet(team)
        return [*problems, *(Violation("every client ends as it is told", found) for found in await team.end())]

    def _team(self) -> Team:
        plan, arena = self._plan, self._arena
        if self._shared is not None:
            return Tasks(self._folder, self._shared, plan.seed, plan.clients, plan.habits)
        clock = str(arena.clock_file) if arena.clock_file else None
        settings = [
            Setting(f"c{number}", arena.clients_url, "", plan.seed, plan.habits, clock=clock)
            for number in range(plan.clients)
        ]
        return Processes([ClientProcess(setting, self._folder, arena.environment) for setting in settings])

    async def _harm(self, nemeses: Sequence[type[Nemesis]], tell: Callable[[str], None]) -> None:
        """Let the faults of the schedule come and go, each as soon as its time has come."""
        begun = monotonic()
        by_name = {each.name: each(self._arena, Random(f"{self._plan.seed}/{each.name}")) for each in nemeses}
        for fault in schedule(self._plan.seed, nemeses, self._plan.seconds):
            await asyncio.sleep(max(0.0, begun + fault.at - monotonic()))
            if monotonic() - begun > self._plan.seconds + LONGEST:
                break  # the faults have taken much longer than planned
            nemesis = by_name[fault.nemesis]
            what = await nemesis.start()
            self._journal.write(Harmed(fault.nemesis, now(), True, what))
            tell(f"{monotonic() - begun:7.1f} s  {fault.nemesis} {what}")
            await asyncio.sleep(fault.seconds)
            ended = now()
            await nemesis.stop()
            self._journal.write(Harmed(fault.nemesis, ended, False))
        await asyncio.sleep(max(0.0, begun + self._plan.seconds - monotonic()))

    async def _quiet(self, team: Team) -> list[Violation]:
        """With nothing else going on, append now and then one event, and see whether all subscriptions deliver it."""
        async with self._store() as store, counting.open(store, work=False) as live:
            calls = Calls("quiet", store, live, self._journal)
            for number in range(QUIET_ROUNDS):
                event = NewEvent("opened", f'{{"id":"quiet-{number}"}}'.encode(), ("entity:quiet",))
                answer = await calls.append(Append((event,), (), f"quiet-{number}"))
                if not isinstance(answer, Placed):
                    return [Violation("the store recovers", f"once all faults were over, an append was {answer}")]
                await team.reach(answer.last, QUIET_PATIENCE)
            if self._shared is None:
                idle = await without_holder(self._arena.url, store, QUIET_PATIENCE)
                return [Violation("every lease finds a holder", f"nobody who lives holds {name!r}") for name in idle]
        return []

    @asynccontextmanager
    async def _store(self) -> AsyncGenerator[EventStore]:
        """Open the log again; a log in memory is the one that all share."""
        if self._shared is not None:
            yield self._shared
            return
        async with await self._opened() as store:
            yield store

    async def _opened(self) -> EventStore:
        end = monotonic() + OPENING_SECONDS
        while True:
            try:
                return self._open(self._arena.url, self._arena.clock)
            except StoreError:
                if monotonic() > end:
                    raise
                await asyncio.sleep(PAUSE_AFTER_TROUBLE)

    def _notes(self) -> list[str]:
        notes: list[str] = []
        if self._arena.disk is not None:
            calls, failed, delayed = self._arena.disk.syncs
            notes.append(f"fsync: {calls} calls, {failed} failed, {delayed} delayed")
        if self._arena.proxy is not None:
            notes.append(f"connections cut: {self._arena.proxy.cuts}")
        return notes


def _available(plan: Plan, place: Place, known: Sequence[type[Nemesis]]) -> tuple[list[type[Nemesis]], dict[str, str]]:
    """Those of the asked faults that can be had here, and why the others cannot."""
    by_name = {each.name: each for each in known}
    for name in plan.nemeses or ():
        if name not in by_name:
            raise UnknownName("fault", name, list(by_name))
    asked = known if plan.nemeses is None else [by_name[name] for name in plan.nemeses]
    obstacles = {each.name: each.obstacle(place) for each in asked}
    skipped = {name: reason for name, reason in obstacles.items() if reason is not None}
    return [each for each in asked if each.name not in skipped], skipped


async def _damage(store: EventStore) -> list[Violation]:
    if not isinstance(store, Inspectable):
        return []
    try:
        found = await store.self_check()
    except StoreError as error:
        found = [f"it could not be checked: {error.args[0]}"]
    return [Violation("what is stored is undamaged", each) for each in found]


async def _all_of(store: EventStore) -> list[StoredEvent]:
    return [event async for batch in store.read(EVERYTHING) for event in batch.events]


def _report(
    plan: Plan,
    place: Place,
    history: History,
    violations: list[Violation],
    skipped: dict[str, str],
    notes: list[str],
) -> Report:
    return Report(
        backend=place.backend,
        seed=plan.seed,
        seconds=plan.seconds,
        clients=plan.clients,
        events=len(history.log),
        operations=operations_of(history),
        outcomes=outcomes_of(history),
        delivered=delivered_in(history),
        faults=dict(sorted(Counter(each.fault for each in history.faults if each.began).items())),
        skipped=skipped,
        slowest=slowest_of(history),
        violations=violations,
        notes=notes,
    )

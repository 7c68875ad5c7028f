"""`python -m bench.endurance leases`: processes are paused past their leases, and killed, and nothing is done twice.

Several processes run one app. Again and again the one that folds the read model is paused until others have taken
over, and woken up, or it is killed. A trigger keeps a ledger of every move of the checkpoint, in the transaction that
moves it.
"""

import argparse
import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import Annotated, Any, NamedTuple, Self

from leftfold import (
    App,
    Command,
    DecisionModel,
    Event,
    LiveApp,
    ProcessManager,
    Query,
    ReadModel,
    ReadModels,
    Tag,
    replace,
)
from leftfold.command import lease_name
from leftfold.command.submitted.events import CommandHandled, CommandSubmitted
from leftfold.follow.lease import LEASE_SECONDS
from leftfold.follow.process_identity import ProcessIdentity
from leftfold.follow.worker_lease import WorkerReplaced
from leftfold.model.criteria import criteria

ROOT = Path(__file__).parents[2]
PATIENCE = 600.0  # seconds
FOLDED = "projection total v1"
LEDGER = """
    CREATE TABLE ledger (
        number INTEGER PRIMARY KEY,
        model  TEXT NOT NULL,
        after  INTEGER NOT NULL,
        upto   INTEGER NOT NULL,
        build  TEXT NOT NULL,
        holder TEXT,
        UNIQUE (model, after)
    )"""
ENTER = f"""
    CREATE TRIGGER enter AFTER UPDATE OF position ON leftfold_checkpoint BEGIN
        INSERT INTO ledger (model, after, upto, build, holder) VALUES (
            new.model, old.position, new.position, new.build,
            (SELECT holder FROM leftfold_lease WHERE name = '{FOLDED}'));
    END"""

PayerId = Annotated[str, Tag("payer")]


class Paid(Event):
    payer: PayerId
    number: int
    by: int


class Thanked(Event):
    payer: PayerId
    number: int
    by: int


class Payer(DecisionModel):
    payer: PayerId
    paid: int = 0

    def evolve(self, event: Paid) -> Self:
        return replace(self, paid=self.paid + 1)


class Pay(Command):
    payer: PayerId
    number: int


class Thank(Command):
    payer: PayerId
    number: int


class Thanks(ProcessManager):
    payer: PayerId

    def evolve(self, event: Paid) -> Self:
        return self

    def react(self, event: Paid) -> Thank:
        return Thank(event.payer, event.number)


class Total(ReadModel):
    payer: PayerId
    paid: int = 0
    thanked: int = 0
    numbers: int = 0

    def evolve(self, event: Paid | Thanked) -> Self:
        if isinstance(event, Thanked):
            return replace(self, thanked=self.thanked + 1)
        return replace(self, paid=self.paid + 1, numbers=self.numbers * 31 % 1_000_003 + event.number)


class Totals(Query[list[Total]]):
    pass


app = App("leases")
app.read_model(Total)
app.process(Thanks)


@app.handles
def pay(command: Pay, payer: Payer) -> Paid:
    return Paid(command.payer, command.number, os.getpid())


@app.handles
def thank(command: Thank) -> Thanked:
    return Thanked(command.payer, command.number, os.getpid())


@app.answers
def totals(query: Totals, models: ReadModels) -> list[Total]:
    return models.select(Total, order_by="payer")


class Takeover(NamedTuple):
    """How long it took until others had all leases of a process that was paused or killed."""

    kind: str
    seconds: float
    leases: int


class Report(NamedTuple):
    """What came of a run."""

    takeovers: list[Takeover]
    events: int
    commands: int
    ledger: int
    builds: int
    refused: int
    problems: list[str]


def main(argv: Sequence[str]) -> int:
    if argv[:1] == ["work"]:
        asyncio.run(work(argv[1], float(argv[2])))
        return 0
    parser = argparse.ArgumentParser(prog="python -m bench.endurance leases", description=__doc__)
    parser.add_argument("--processes", type=int, nargs="+", default=[2, 4], help="how many, run after run")
    parser.add_argument("--rounds", type=int, default=6, help="pauses and kills, in turn")
    parser.add_argument("--lease", type=float, default=LEASE_SECONDS, help="seconds")
    arguments = parser.parse_args(argv)
    good = True
    for processes in arguments.processes:
        with tempfile.TemporaryDirectory() as folder:
            report = asyncio.run(run(Path(folder), processes, arguments.rounds, arguments.lease))
        print(f"{processes} processes, a lease of {arguments.lease:g} s")
        for takeover in report.takeovers:
            print(f"  {takeover.kind}: its {takeover.leases} leases were others' after {takeover.seconds:.2f} s")
        print(f"  {report.commands} commands, {report.events} events, each folded once: {report.ledger} entries of the")
        print(f"  ledger without gap or overlap, in {report.builds} tenures; {report.refused} late writes were refused")
        for problem in report.problems:
            print(f"  WRONG: {problem}")
        good = good and not report.problems
    return 0 if good else 1


async def work(url: str, lease: float) -> None:
    """Be one of the processes, until the standard input is closed."""
    import logging

    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    async with app.open(url, lease=timedelta(seconds=lease)):
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)


class Crew:
    """The processes at work, by their ids."""

    def __init__(self, folder: Path, lease: float) -> None:
        self.url = f"sqlite:///{folder}/log.db"
        self._folder = folder
        self._lease = lease
        self._running: dict[int, subprocess.Popen[str]] = {}
        self._started = 0

    def start(self) -> None:
        self._started += 1
        command = [sys.executable, "-m", "bench.endurance.leases", "work", self.url, str(self._lease)]
        with (self._folder / f"{self._started}.log").open("w") as said:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True, cwd=ROOT
            )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        self._running[process.pid] = process

    def signal(self, pid: int, what: signal.Signals) -> None:
        self._running[pid].send_signal(what)

    def kill(self, pid: int) -> None:
        process = self._running.pop(pid)
        process.kill()
        process.communicate()

    def end(self) -> list[int]:
        """Let all finish; their exit codes."""
        codes: list[int] = []
        for process in self._running.values():
            process.communicate(timeout=PATIENCE)
            codes.append(process.returncode)
        self._running.clear()
        return codes

    def said(self) -> str:
        return "".join(path.read_text() for path in sorted(self._folder.glob("*.log")))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for pid in list(self._running):
            self.kill(pid)


async def run(folder: Path, processes: int, rounds: int, lease: float) -> Report:
    """Pause and kill, in turn; then let all come to its end, and check."""
    with ExitStack() as stack:
        crew = stack.enter_context(Crew(folder, lease))
        await asyncio.to_thread(crew.start)
        keep_a_ledger(folder)
        for _ in range(processes - 1):
            await asyncio.to_thread(crew.start)
        async with app.open(crew.url, work=False) as live:
            enough = asyncio.Event()
            submitting = asyncio.create_task(submit(live, enough))
            takeovers: list[Takeover] = []
            for number in range(rounds):
                disturb = pause if number % 2 == 0 else kill
                takeovers.append(await disturb(crew, live, folder, lease))
            enough.set()
            await submitting
            await quiet(live)
            problems = await check(live, folder)
        codes = await asyncio.to_thread(crew.end)
        if any(codes):
            problems.append(f"processes ended with {codes}")
        return await summary(crew, folder, takeovers, problems)


async def submit(live: LiveApp, enough: asyncio.Event) -> None:
    """Commands at the pace of a busy day."""
    number = 0
    while not enough.is_set():
        for _ in range(5):
            number += 1
            await live.submit(Pay(f"p-{number % 50}", number), key=f"pay {number}")
        await asyncio.sleep(0.02)


async def pause(crew: Crew, live: LiveApp, folder: Path, lease: float) -> Takeover:
    """Stop the process that folds until others have all that it had, then wake it up."""
    while True:
        pid, leases = await folding(live)
        crew.signal(pid, signal.SIGSTOP)
        begun = monotonic()
        if not in_a_transaction(folder):
            break
        crew.signal(pid, signal.SIGCONT)  # it has SQLite's lock: nobody could write before it wakes up
        await asyncio.sleep(0.01)
    await taken_over(live, pid)
    seconds = monotonic() - begun
    await asyncio.sleep(lease / 2)
    crew.signal(pid, signal.SIGCONT)
    await asyncio.sleep(lease)
    return Takeover("paused", seconds, leases)


async def kill(crew: Crew, live: LiveApp, folder: Path, lease: float) -> Takeover:
    """Kill the process that folds, and start another one once its work is others'."""
    pid, leases = await folding(live)
    begun = monotonic()
    crew.kill(pid)
    await taken_over(live, pid)
    seconds = monotonic() - begun
    await asyncio.to_thread(crew.start)
    return Takeover("killed", seconds, leases)


def commands_lease() -> str:
    return lease_name(app.name, (handler.command for handler in app.command_handlers.values()))


def leases() -> tuple[str, ...]:
    """The pieces of work that the processes share."""
    return commands_lease(), FOLDED, "process Thanks"


async def folding(live: LiveApp) -> tuple[int, int]:
    """The process that folds, once each lease is held, and how many leases it has."""
    while True:
        found = await holders(live)
        if set(leases()) <= set(found):
            return found[FOLDED], list(found.values()).count(found[FOLDED])
        await asyncio.sleep(0.01)


async def taken_over(live: LiveApp, pid: int) -> None:
    """Wait until every lease is held, and none by this process."""
    async with asyncio.timeout(PATIENCE):
        while True:
            found = await holders(live)
            if set(leases()) <= set(found) and pid not in found.values():
                return
            await asyncio.sleep(0.005)


async def holders(live: LiveApp) -> dict[str, int]:
    parsed = {entry.name: ProcessIdentity.parse(entry.holder) for entry in await live.leases()}
    return {name: holder.pid for name, holder in parsed.items() if holder is not None}


async def quiet(live: LiveApp) -> None:
    """Wait until every command is settled, every answer given and all of it folded."""
    async with asyncio.timeout(PATIENCE):
        while True:
            head = await live.store.head()
            numbers = [event.number for event in await events_of(live, Paid)]
            thanked = len(await events_of(live, Thanked))
            if thanked == len(numbers) and not await live.commands():
                await live.query(Totals(), after=head, wait_timeout=PATIENCE)
                return
            await live.store.wait(head, 1)


async def events_of(live: LiveApp, *types: type) -> list[Any]:
    read = live.store.read(criteria(*types))
    return [event async for batch in read for event in app.registry.decode_all(batch.events)]


# --- the check


async def check(live: LiveApp, folder: Path) -> list[str]:
    """What is not as it must be."""
    problems = await handled_once(live) + await nothing_of_the_replaced(live) + ledger_problems(folder)
    expected = folded(await events_of(live, Paid, Thanked))
    if await live.query(Totals()) != expected:
        problems.append("the table is not the fold of the log")
    return problems


async def handled_once(live: LiveApp) -> list[str]:
    submitted = [event.ticket for event in await events_of(live, CommandSubmitted)]
    handled = Counter(event.ticket for event in await events_of(live, CommandHandled))
    numbers = {kind: Counter(event.number for event in await events_of(live, kind)) for kind in (Paid, Thanked)}
    once = Counter(submitted)
    wrong = {ticket: (once[ticket], handled[ticket]) for ticket in {*once, *handled}}
    wrong = {ticket: counts for ticket, counts in wrong.items() if counts != (1, 1)}
    problems = [f"tickets that were not submitted and handled once: {wrong}"] if wrong else []
    if numbers[Paid] != numbers[Thanked] or set(numbers[Paid].values()) != {1}:
        problems.append("a payment was not made once, or not thanked for once")
    return problems


async def nothing_of_the_replaced(live: LiveApp) -> list[str]:
    """After an event that says that a process was replaced as the one that handles commands, it handles none."""
    replaced: set[int] = set()
    late: Counter[int] = Counter()
    for event in await events_of(live, WorkerReplaced, Paid, Thanked):
        if isinstance(event, Paid | Thanked):
            late[event.by] += event.by in replaced
        elif event.worker == commands_lease():
            former, holder = ProcessIdentity.parse(event.former), ProcessIdentity.parse(event.holder)
            replaced |= {former.pid} if former else set()
            replaced -= {holder.pid} if holder else set()
    return [f"process {pid} handled {count} commands late" for pid, count in late.items() if count]


def folded(events: Sequence[Paid | Thanked]) -> list[Total]:
    rows: dict[str, Total] = {}
    for event in events:
        rows[event.payer] = rows.get(event.payer, Total(event.payer)).evolve(event)
    return [rows[payer] for payer in sorted(rows)]


def ledger_problems(folder: Path) -> list[str]:
    problems: list[str] = []
    position, seen = None, list[str]()
    for after, upto, build in ledger(folder):
        if position is not None and after != position:
            problems.append(f"the ledger goes from {position} to {after}")
        if build in seen[:-1]:
            problems.append(f"at {after} a former holder wrote again")
        if build not in seen:
            seen.append(build)
        position = upto
    return problems


# --- the databases


def keep_a_ledger(folder: Path) -> None:
    with database(folder / "log.models.db") as connection:
        connection.execute(LEDGER)
        connection.execute(ENTER)


def ledger(folder: Path) -> list[tuple[int, int, str]]:
    with database(folder / "log.models.db") as connection:
        return connection.execute("SELECT after, upto, build FROM ledger ORDER BY number").fetchall()


def in_a_transaction(folder: Path) -> bool:
    """Whether a process that was stopped holds the lock of one of the databases."""
    for name in ("log.db", "log.models.db", "log.leases.db"):
        with database(folder / name, timeout=0.3) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("ROLLBACK")
            except sqlite3.OperationalError:
                return True
    return False


@contextmanager
def database(path: Path, timeout: float = 10.0) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(path, timeout=timeout, isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()


async def summary(crew: Crew, folder: Path, takeovers: list[Takeover], problems: list[str]) -> Report:
    async with app.open(f"{crew.url}?mode=ro") as live:
        events, commands = await live.store.head(), len(await events_of(live, CommandHandled))
    entries = ledger(folder)
    builds = len({build for *_, build in entries})
    return Report(takeovers, events, commands, len(entries), builds, crew.said().count("was refused"), problems)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""All clients of a run: as processes that can be killed and paused, or, for a store in memory, as tasks."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from time import monotonic
from typing import Protocol

import msgspec

from leftfold.store.contract import EventStore
from leftfold_torture.client_process import Setting
from leftfold_torture.clients import PATIENCE, Calls, Client, Habits
from leftfold_torture.counting import counting
from leftfold_torture.record import Journal
from leftfold_torture.workload import Workload

BEHIND = 300  # where the subscriptions of a client begin that follows one that was killed
PROGRAM = "from leftfold_torture.client_process import main; main()"
ANSWER_SECONDS = 2 * PATIENCE


class Team(Protocol):
    """All clients of a run."""

    async def start(self) -> None:
        """Begin."""
        ...

    async def stop(self) -> None:
        """Begin no new calls, and wait for those under way."""
        ...

    async def attack(self) -> None:
        """Begin to send hostile requests too."""
        ...

    async def relent(self) -> None:
        """Send no more of them."""
        ...

    async def reach(self, head: int, patience: float) -> None:
        """Give every subscription so many seconds to come to `head`."""
        ...

    async def end(self) -> list[str]:
        """End all clients; what was wrong with them."""
        ...

    async def abandon(self) -> None:
        """End all clients at once, whatever they do."""
        ...


class Tasks:
    """Clients that share one store in this process."""

    def __init__(self, folder: Path, store: EventStore, seed: int, clients: int, habits: Habits) -> None:
        self._journals = [Journal(folder / f"client-{n}.jsonl") for n in range(clients)]
        self._store = store
        self._seed = seed
        self._habits = habits
        self._opened = AsyncExitStack()
        self._clients: list[Client] = []

    def __repr__(self) -> str:
        return f"<Tasks of {len(self._journals)} clients>"

    async def start(self) -> None:
        """Begin."""
        for number, journal in enumerate(self._journals):
            name = f"c{number}"
            live = await self._opened.enter_async_context(counting.open(self._store, work=False))
            client = Client(Calls(name, self._store, live, journal), Workload(self._seed, name), self._habits)
            self._clients.append(client)
            client.start()

    async def stop(self) -> None:
        """Begin no new calls, and wait for those under way."""
        await asyncio.gather(*(client.stop() for client in self._clients))

    async def attack(self) -> None:
        """Begin to send hostile requests too."""
        for client in self._clients:
            client.attack()

    async def relent(self) -> None:
        """Send no more of them."""
        for client in self._clients:
            await client.relent()

    async def reach(self, head: int, patience: float) -> None:
        """Give every subscription so many seconds to come to `head`."""
        await asyncio.gather(*(client.reach(head, patience) for client in self._clients))

    async def end(self) -> list[str]:
        """End all clients."""
        for client in self._clients:
            await client.end()
        await self._close()
        return []

    async def abandon(self) -> None:
        """End all clients at once, whatever they do."""
        for client in self._clients:
            await client.abandon()
        await self._close()

    async def _close(self) -> None:
        await self._opened.aclose()
        for journal in self._journals:
            journal.close()


class ClientProcess:
    """One client, started again whenever it was killed; each time under a new name."""

    def __init__(self, setting: Setting, folder: Path, environment: Mapping[str, str]) -> None:
        self._setting = setting
        self._folder = folder
        self._environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **environment}
        self._lives = 0
        self._begun = monotonic()
        self._process: Process | None = None

    def __repr__(self) -> str:
        return f"<ClientProcess {self.name}>"

    @property
    def name(self) -> str:
        """Its present name."""
        return f"{self._setting.name}.{self._lives - 1}" if self._lives > 1 else self._setting.name

    @property
    def _errors(self) -> Path:
        return self._folder / f"client-{self.name}.err"

    async def start(self) -> None:
        """Start it."""
        self._lives += 1
        journal = self._folder / f"client-{self.name}.jsonl"
        setting = msgspec.structs.replace(self._setting, name=self.name, journal=str(journal))
        if self._lives > 1:
            setting = msgspec.structs.replace(setting, first=self._steps_so_far(), behind=BEHIND)
        with self._errors.open("wb") as errors:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-c",
                PROGRAM,
                stdin=PIPE,
                stdout=PIPE,
                stderr=errors,
                env=self._environment,
            )
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(setting) + b"\n")

    def pause(self) -> None:
        """Stop it where it is."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    async def kill(self) -> None:
        """Kill it with signal 9."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            await self._process.wait()

    async def ask(self, line: str) -> str | None:
        """Tell it something, and wait until it is done; what is wrong, if it is never done."""
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            return f"{self.name} was not started"
        with suppress(TimeoutError, OSError):
            async with asyncio.timeout(ANSWER_SECONDS):
                process.stdin.write(f"{line}\n".encode())
                await process.stdin.drain()
                if await process.stdout.readline():
                    return None
        ended = process.returncode
        await self.kill()
        how = "did not answer" if ended is None else f"had ended with exit code {ended}"
        return f"client {self.name} {how} when told to {line}; {self._last_words()}"

    async def leave(self) -> None:
        """End its input, and wait for its end."""
        process = self._process
        if process is not None and process.stdin is not None:
            process.stdin.close()
            with suppress(TimeoutError):
                async with asyncio.timeout(ANSWER_SECONDS):
                    await process.communicate()
            await self.kill()

    def _last_words(self) -> str:
        lines = self._errors.read_text(encoding="utf-8", errors="replace").splitlines()
        return f"it said last: {lines[-1]}" if lines else "it said nothing"

    def _steps_so_far(self) -> int:
        """About as many steps as it has taken: so it goes on with the entities that the others are at."""
        callers, _, pause = self._setting.habits
        return int((monotonic() - self._begun) * callers / (pause + 0.01))

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)


class Processes:
    """Clients in processes of their own."""

    def __init__(self, clients: Sequence[ClientProcess]) -> None:
        self.clients = clients
        self._troubles: list[str] = []

    def __repr__(self) -> str:
        return f"<Processes {len(self.clients)}>"

    async def start(self) -> None:
        """Begin; a run's time is counted once every process works, however long it takes to start them."""
        await asyncio.gather(*(client.start() for client in self.clients))
        await self._tell(lambda client: client.ask("begin"))

    async def stop(self) -> None:
        """Begin no new calls, and wait for those under way."""
        await self._tell(lambda client: client.ask("stop"))

    async def attack(self) -> None:
        """Begin to send hostile requests too."""
        await self._tell(lambda client: client.ask("attack"))

    async def relent(self) -> None:
        """Send no more of them."""
        await self._tell(lambda client: client.ask("relent"))

    async def reach(self, head: int, patience: float) -> None:
        """Give every subscription so many seconds to come to `head`."""
        await self._tell(lambda client: client.ask(f"reach {head} {patience}"))

    async def end(self) -> list[str]:
        """End all clients; what was wrong with them."""
        await self._tell(lambda client: client.ask("end"))
        await asyncio.gather(*(client.leave() for client in self.clients))
        return self._troubles

    async def abandon(self) -> None:
        """Kill all clients."""
        for client in self.clients:
            await client.kill()

    async def _tell(self, ask: Callable[[ClientProcess], Awaitable[str | None]]) -> None:
        answers = await asyncio.gather(*(ask(client) for client in self.clients))
        self._troubles += [answer for answer in answers if answer is not None]

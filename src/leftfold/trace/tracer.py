"""Reading a trace: which records of the log have the correlation of an event or a command."""

from collections.abc import Iterable, Mapping

import msgspec

from leftfold.command.submitted.events import CommandSubmitted
from leftfold.errors import UnknownTrace
from leftfold.follow.journal import Journal
from leftfold.model.clock import Clock
from leftfold.model.criteria import EVERYTHING, criteria
from leftfold.model.metadata import decode_metadata
from leftfold.model.record import StoredEvent
from leftfold.model.registry import Registry
from leftfold.query import ReadModelDefinition, ReadSide
from leftfold.reaction import ReactorDefinition
from leftfold.store.contract import EventStore
from leftfold.store.inspection import SearchProgress, mentioning
from leftfold.store.time_travel import event_at
from leftfold.trace.nodes import Trace
from leftfold.trace.tree import Tree


class Tracer:
    """Reads traces from the log, and the rows that events moved from the history of read models. Keeps nothing."""

    def __init__(
        self,
        store: EventStore,
        registry: Registry,
        read_side: ReadSide | None,
        models: Iterable[ReadModelDefinition],
        reactors: Mapping[str, ReactorDefinition],
        clock: Clock,
    ) -> None:
        self._journal = Journal(store, registry)
        self._clock = clock
        self._read_side = read_side
        self._models = [each for each in models if isinstance(each.handle, type)]
        self._reactors = reactors

    def __repr__(self) -> str:
        return f"<Tracer of {self._journal.store!r}>"

    async def trace(self, of: int | str, timeout: float, progress: SearchProgress | None) -> Trace:
        """Return the trace that an event, a command or a correlation belongs to; `UnknownTrace` if there is none."""
        head = await self._journal.store.head()
        found = await self._one_of(of, head, progress)
        said = decode_metadata(found.metadata)
        correlation = said.correlation or said.command
        records = [found]
        if correlation is not None:
            start = await self._start(found, correlation)
            text = _in_json(correlation)
            search = mentioning(self._journal.store, text, after=start, upto=head, progress=progress)
            records = [each async for each in search if _belongs(each, correlation)]
        tree = Tree(self._journal, records, self._clock.now())
        await tree.read_rest(self._reactors, self._models, self._read_side, timeout)
        return Trace(correlation, head, tree.commands())

    async def _one_of(self, of: int | str, head: int, progress: SearchProgress | None) -> StoredEvent:
        """Return an event of the trace."""
        if not isinstance(of, str):
            if type(of) is not int or not 0 < of <= head:
                raise UnknownTrace(of, head)
            return await event_at(self._journal.store, of)
        submitted = criteria(CommandSubmitted, tags=[f"leftfold.ticket:{of}"]) if of.isprintable() and of else None
        for stored in await self._journal.stored(submitted, limit=1) if submitted else ():
            return stored
        async for stored in mentioning(self._journal.store, _in_json(of), after=0, upto=head, progress=progress):
            said = decode_metadata(stored.metadata)
            if of in (said.command, said.correlation) or (said.command or "").startswith(f"{of}/"):
                return stored
        raise UnknownTrace(of, head)

    async def _start(self, stored: StoredEvent, correlation: str) -> int:
        """Return a position before everything with this correlation: where its first command was, or 0.

        If a command gave the correlation its name, nothing of the trace is older. From an event of the trace, causes
        lead to that command.
        """
        while True:
            said = decode_metadata(stored.metadata)
            if said.command == correlation:
                break
            if not isinstance(said.cause, int) or not 0 < said.cause < stored.position:
                return 0
            stored = await event_at(self._journal.store, said.cause)
        first = stored.position
        submitted = criteria(CommandSubmitted, tags=[f"leftfold.ticket:{correlation}"])
        for each in await self._journal.stored(submitted, limit=1):
            return each.position - 1
        async for batch in self._journal.store.read(EVERYTHING, upto=first, reverse=True):
            for each in batch.events:
                if decode_metadata(each.metadata).command != correlation:
                    return first - 1
                first = each.position
        return 0


def _belongs(record: StoredEvent, correlation: str) -> bool:
    said = decode_metadata(record.metadata)
    return correlation in (said.correlation, said.correlation or said.command)


def _in_json(text: str) -> bytes:
    """Return a text as it stands in the JSON of metadata."""
    return msgspec.json.encode(text.encode("utf-8", "replace").decode())[1:-1]

"""What needs attention: parked and failed work under one set of names, and the verbs retry, skip and cancel."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

import msgspec

from leftfold.command import Inbox, Listing
from leftfold.errors import UnknownName, WrongVerb
from leftfold.model.fold import Fold
from leftfold.model.metadata import Metadata, present_metadata
from leftfold.process import ProcessDefinition, Processes, ProcessProgress
from leftfold.query import ParkedKey, ReadModelDefinition, ReadSide
from leftfold.reaction import ReactorDefinition
from leftfold.reaction.reactors import Reactors

Kind = Literal["commands", "process", "reactor", "projection"]


class Parked(msgspec.Struct, frozen=True):
    """Work that has stopped and needs attention.

    `name` says whose work it is: "projection Balance", "process Fulfilment", "reactor mail" or "commands". `key` is
    what `retry`, `skip` and `cancel` take after the name: the key of a row or of a process instance, the position of a
    reactor's event, the id of a ticket. `position` is where the event lies that could not be handled, and `queued` how
    many events wait, that one included.
    """

    name: str
    key: tuple[Any, ...]
    position: int | None
    problem: str
    queued: int = 1


class Subject(NamedTuple):
    """What a name stands for: one projection, process or reactor, or the submitted commands."""

    kind: Kind
    own: str
    definition: Any = None

    @property
    def name(self) -> str:
        """The kind and the name, so that two things of one name cannot be mistaken for each other."""
        return f"{self.kind} {self.own}" if self.own else self.kind


def subjects_of(
    kept: Iterable[ReadModelDefinition], processes: Iterable[ProcessDefinition], reactors: Iterable[ReactorDefinition]
) -> Mapping[str, Subject]:
    """Return everything that can be parked, by its kind and name."""
    subjects = [
        *(Subject("projection", each.name, each) for each in kept),
        *(Subject("process", each.name, each) for each in processes),
        *(Subject("reactor", each.name, each) for each in reactors),
        Subject("commands", ""),
    ]
    return {each.name: each for each in subjects}


def subject_named(subjects: Mapping[str, Subject], name: type | str) -> Subject:
    """Return what a class or a name stands for; the kind may be left out if one thing alone has the name."""
    if isinstance(name, type):
        found = [each for each in subjects.values() if name is getattr(each.definition, "owner", None)]
    else:
        found = [subjects[name]] if name in subjects else [e for e in subjects.values() if e.own == name]
    if len(found) != 1:
        called = name.__qualname__ if isinstance(name, type) else name
        known = [each.name for each in found or subjects.values()]
        raise UnknownName("projection, process manager or reactor", called, known, ambiguous=bool(found))
    return found[0]


class ParkedWork:
    """Finds parked work by its name, and carries out the verbs."""

    def __init__(
        self,
        read_side: ReadSide | None,
        kept: Iterable[ReadModelDefinition],
        processes: Processes,
        definitions: Iterable[ProcessDefinition],
        reactors: Reactors,
        inbox: Inbox,
        listing: Listing,
    ) -> None:
        self._read_side = read_side
        self._subjects = subjects_of(kept, definitions, reactors.definitions.values())
        self._processes = processes
        self._reactors = reactors
        self._inbox = inbox
        self._listing = listing

    def __repr__(self) -> str:
        return f"<ParkedWork of {', '.join(self._subjects)}>"

    async def all(self, name: type | str | None) -> list[Parked]:
        """Return what is parked under a name, or under all names."""
        chosen = self._subjects.values() if name is None else [subject_named(self._subjects, name)]
        return [parked for each in chosen for parked in await self._of(each)]

    async def retry(self, name: type | str, key: tuple[Any, ...], metadata: Metadata | None) -> list[Parked]:
        """Try parked work again, and return what could not be retried or failed again at once."""
        subject = subject_named(self._subjects, name)
        key = _key_from(subject, key)
        match subject.kind:
            case "projection":
                return parked_rows(await self._side().parked_keys(subject.definition.handle).retry(key))
            case "process":
                subject.definition.fold.start(key)  # refuses what is not a key of this process
                await self._processes.retry(subject.definition, key, metadata)
                return []
            case "reactor":
                for position in key or (None,):
                    await self._reactors.retry(subject.own, position, metadata)
                return [] if key else await self._of(subject)
            case "commands":
                for ticket in key or [each.key[0] for each in await self._of(subject)]:
                    await self._inbox.retry(ticket, metadata)
                return []

    async def skip(self, name: type | str, key: tuple[Any, ...], reason: str) -> list[Parked]:
        """Leave an event out for good, and return what is parked next under the key."""
        subject = subject_named(self._subjects, name)
        key = _key_from(subject, key)
        match subject.kind:
            case "projection":
                metadata = Metadata(reason=reason).over(present_metadata())
                return parked_rows(await self._side().parked_keys(subject.definition.handle).skip(key, metadata))
            case "process":
                subject.definition.fold.start(key)
                await self._processes.skip(subject.definition, key, Metadata(reason=reason))
            case "reactor" if len(key) == 1:
                await self._reactors.skip(subject.own, *key, Metadata(reason=reason))
            case "reactor":
                raise WrongVerb("skip", subject.name, "the position of one event: skip(name, 17, reason=...)")
            case "commands":
                raise WrongVerb("skip", subject.name, "cancel, for a submitted command")
        return []

    async def cancel(self, name: type | str, key: tuple[Any, ...], reason: str) -> None:
        """Cancel a process instance or a submitted command."""
        subject = subject_named(self._subjects, name)
        key = _key_from(subject, key)
        if subject.kind == "process":
            subject.definition.fold.start(key)
            await self._processes.cancel(subject.definition, key, self._inbox, Metadata(reason=reason))
        elif subject.kind == "commands" and len(key) == 1:
            await self._inbox.cancel(*key, Metadata(reason=reason))
        elif subject.kind == "commands":
            raise WrongVerb("cancel", subject.name, "the id of one ticket: cancel('commands', id, reason=...)")
        else:
            raise WrongVerb("cancel", subject.name, "skip, which passes over one event")

    def _side(self) -> ReadSide:
        assert self._read_side is not None, "a projection was found by its name"
        return self._read_side

    async def _of(self, subject: Subject) -> list[Parked]:
        match subject.kind:
            case "projection":
                keys = await self._side().parked()
                return parked_rows([each for each in keys if each.table == subject.definition.table])
            case "process":
                progress = await self._processes.all([subject.definition])
                return [
                    Parked(subject.name, await self._key_of(subject.definition, each), each.parked, each.error or "")
                    for each in progress
                    if each.parked is not None and not each.ended
                ]
            case "reactor":
                status = await self._reactors.status(subject.definition)
                return [
                    Parked(subject.name, (each.position,), each.position, each.error or "") for each in status.parked
                ]
            case "commands":
                failed = await self._listing.in_states(("failed",))
                return [Parked(subject.name, (each.ticket,), None, each.error or "") for each in failed]

    async def _key_of(self, definition: ProcessDefinition, progress: ProcessProgress) -> tuple[Any, ...]:
        """Return the key of a parked instance, or what follows the slash in its name if it concerns no event now."""
        found = await self._processes.key_of(definition, progress.instance, progress.parked or 0)
        return (progress.instance.partition("/")[2],) if found is None else found


def _key_from(subject: Subject, key: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the key that is meant: of a read model or a process, the one for which other values stand."""
    fold: Fold | None = getattr(subject.definition, "fold", None)
    return key if fold is None else fold.key_from(key)


def parked_rows(keys: Iterable[ParkedKey]) -> list[Parked]:
    """Return the parked keys of read models and SQL projections as parked work."""
    return [Parked(f"projection {each.model}", each.key, each.position, each.problem, each.queued) for each in keys]

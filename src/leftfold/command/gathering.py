"""Commands that are decided together: one on the outcome of the other, with one append, and an outcome for each."""

from collections.abc import Iterator, Sequence

import msgspec

from leftfold.clock import Clock
from leftfold.command.decision import Decision
from leftfold.command.receipt import Receipt
from leftfold.command.working import Working
from leftfold.registry import Registry
from leftfold.store.contract import Key, NewEvent

Outcome = Receipt | Exception


class Gathering:
    """Decisions in order with their keys; those that have an outcome already are left out of the append."""

    def __init__(self, decisions: Sequence[Decision], keys: Sequence[Key | None]) -> None:
        self._decisions = decisions
        self._keys = keys
        self._settled: dict[int, Outcome] = {}

    def __repr__(self) -> str:
        return f"<Gathering of {len(self._decisions)} commands, {len(self._settled)} settled>"

    @property
    def records(self) -> list[NewEvent]:
        """What is to be appended."""
        return [record for decision in self._decisions for record in decision.records]

    def decide(self, registry: Registry, working: Working, clock: Clock) -> Working:
        """Decide in order. One that fails leaves nothing behind: the others are decided as if it had not come."""
        while (failed := self._first_to_fail(registry, working, clock)) is not None:
            self.settle(*failed)
            working = working.anew()
        return working

    def _first_to_fail(self, registry: Registry, working: Working, clock: Clock) -> tuple[Decision, Exception] | None:
        now = clock.now()
        for decision in self._decisions:
            if id(decision) in self._settled:
                continue
            try:
                decision.decide(registry, working, now)
            except Exception as error:  # noqa: BLE001 whatever the handler raises
                return decision, error
        return None

    def settle(self, decision: Decision, outcome: Outcome) -> None:
        """This is what came of a command, whatever is appended."""
        decision.forget()
        self._settled[id(decision)] = outcome

    def keyed(self, *, without_events: bool) -> Iterator[tuple[Decision, Key]]:
        """The open ones with a key; or only those of them that made no event, and so have no place for it."""
        for decision, key in zip(self._decisions, self._keys, strict=True):
            if key is not None and id(decision) not in self._settled and not (without_events and decision.records):
                yield decision, key

    def parts(self) -> list[Key]:
        """The keys, each with the events that it stands for."""
        found: list[Key] = []
        place = 0
        for decision, key in zip(self._decisions, self._keys, strict=True):
            events = len(decision.records)
            if key is not None and events:
                found.append(msgspec.structs.replace(key, place=place, events=events))
            place += events
        return found

    def outcomes(self, first: int) -> list[Outcome]:
        """What came of each, when the first event lies at `first`."""
        found: list[Outcome] = []
        position = first - 1
        for decision in self._decisions:
            position += len(decision.events)
            receipt = Receipt(max(position, 0), tuple(decision.events), str(decision.metadata.command))
            found.append(self._settled.get(id(decision)) or decision.rejected or receipt)
        return found

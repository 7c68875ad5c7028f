"""What a client does: random steps, the same for the same seed, client and number."""

from random import Random

import msgspec

from leftfold.model.record import NewEvent
from leftfold_torture.hostile import hostile_requests
from leftfold_torture.record import Execute, Items, Wanted

STEPS_A_GENERATION = 60  # after so many steps a client turns to new entities and keys: histories stay short
ENTITIES = 20
KEYS = 12
TYPES = ("opened", "moved", "closed", "größer")
COUNTS, COUNT_WEIGHTS = (1, 2, 3, 10, 200), (600, 200, 140, 55, 5)
STEP_WEIGHTS = (20, 30, 16, 12, 16, 4, 4, 2)
COUNTERS = 2


class Write(msgspec.Struct, frozen=True):
    """Append, with a key or without; with `cancel_after` the caller gives up after so many seconds."""

    events: tuple[NewEvent, ...]
    key: str | None = None
    cancel_after: float | None = None


class Decide(msgspec.Struct, frozen=True):
    """Read, think for a while, then append on the condition that nothing has come that would have been read.

    `back` says how far behind the newest position that is known reading begins; None is at the beginning.
    """

    items: Items
    events: tuple[NewEvent, ...]
    back: int | None = None
    think: float = 0.0
    key: str | None = None
    cancel_after: float | None = None


class Look(msgspec.Struct, frozen=True):
    """Read."""

    items: Items
    back: int | None = None
    limit: int | None = None
    reverse: bool = False


class Find(msgspec.Struct, frozen=True):
    """Look up a key."""

    key: str


class Peek(msgspec.Struct, frozen=True):
    """Ask for the newest position; with `timeout`, wait for a newer one than is known, for so many seconds at most."""

    timeout: float | None = None


class Order(msgspec.Struct, frozen=True):
    """Execute a command."""

    command: Execute
    cancel_after: float | None = None


Step = Write | Decide | Look | Find | Peek | Order


class Workload:
    """The steps of one client, one after the other."""

    def __init__(self, seed: int, client: str, first: int = 0) -> None:
        self._client = client
        self._random = Random(f"{seed}/{client}")
        self._number = first

    def __repr__(self) -> str:
        return f"<Workload of {self._client} at {self._number}>"

    def pause(self, mean: float) -> float:
        """How long to wait before the next step, in seconds."""
        return self._random.expovariate(1 / mean) if mean else 0.0

    def next(self) -> Step:
        """The next step."""
        self._number += 1
        steps = (
            self._write,
            self._decide,
            self._keyed,
            self._order,
            self._look,
            self._find,
            self._peek,
            self._mistake,
        )
        [step] = self._random.choices(steps, STEP_WEIGHTS)
        return step()

    def hostile(self, number: int) -> str:
        """One of the hostile requests, all of them in turn, in an order of this client's own."""
        names = Random(self._client).sample(sorted(hostile_requests()), len(hostile_requests()))
        return names[number % len(names)]

    def followed(self) -> Items:
        """What a subscription is about: mostly everything."""
        types = self._random.sample(TYPES, 2)
        return self._random.choice([(Wanted(),), (Wanted(),), (Wanted((types[0],)), Wanted((types[1],)))])

    def _write(self) -> Write:
        return Write(self._events(), cancel_after=self._patience())

    def _find(self) -> Find:
        return Find(self._key())

    def _peek(self) -> Peek:
        return Peek(self._random.choice([None, 0.02, 0.1]))

    def _decide(self) -> Decide:
        chance = self._random.random()
        key = self._own("d") if chance < 0.2 else None
        think = self._random.choice([0.0, 0.0, 0.002, 0.01])
        if chance > 0.93:  # about everything, or all of a type: it conflicts with most
            items = (Wanted((self._random.choice(TYPES),)),) if chance > 0.96 else (Wanted(),)
            return Decide(items, self._events(), self._random.randrange(60), think, key)
        return Decide(self._items(), self._events(), None, think, key, self._patience())

    def _keyed(self) -> Write:
        """An append whose payload follows from its key, so that everyone with the key makes the same append."""
        key = self._key()
        variant = "other" if self._random.random() < 0.04 else "same"
        payload = Random(f"{key}/{variant}")
        tags = (f"entity:{key}-{payload.randrange(3)}",)
        events = tuple(
            NewEvent(payload.choice(TYPES), f'{{"id":"{key}-{variant}-{place}"}}'.encode(), tags)
            for place in range(payload.randrange(1, 4))
        )
        return Write(events, key, self._patience())

    def _order(self) -> Order:
        """A command on a counter that is wanted by all; with a key, the same for everyone with the key."""
        if self._random.random() < 0.4:
            key = f"c{self._key()}"
            given = Random(key)
            counter, *others = self._counters(given)
            return Order(Execute(counter, key, given.random() < 0.3, key, tuple(others)), self._patience())
        counter, *others = self._counters(self._random)
        picky = self._random.random() < 0.3
        return Order(Execute(counter, self._own("c"), picky, None, tuple(others)), self._patience())

    def _counters(self, random: Random) -> list[str]:
        """One counter, or all of them in some order, one perhaps twice."""
        names = [f"{self._generation}-{number}" for number in range(COUNTERS)]
        if random.random() < 0.7:
            return [random.choice(names)]
        return [*random.sample(names, COUNTERS), *random.sample(names, random.randrange(2))]

    def _look(self) -> Look:
        chance = self._random.random()
        limit = self._random.choice([None, None, 1, 7, 40])
        reverse = self._random.random() < 0.3
        if chance < 0.5:
            return Look(self._items(), None, limit, reverse)
        items = (Wanted(),) if chance < 0.8 else (Wanted((self._random.choice(TYPES),)),)
        return Look(items, self._random.randrange(200), limit, reverse)

    def _mistake(self) -> Write:
        """What no log may take."""
        name = self._own("m")
        wrong: list[tuple[NewEvent, ...]] = [
            (),
            (NewEvent("opened", name.encode(), ("a\ntag",)),),
            (NewEvent("", name.encode()),),
            (NewEvent("opened", f"{name}-0".encode()), NewEvent("opened", name.encode(), version=0)),
        ]
        return Write(self._random.choice(wrong))

    def _items(self) -> Items:
        one, two, type = self._entity(), self._entity(), self._random.choice(TYPES)
        shapes: list[Items] = [
            (Wanted((), (one,)),),
            (Wanted((type,), (one,)),),
            (Wanted((), (one, two)),),
            (Wanted((), (one,)), Wanted((type,), (two,))),
        ]
        return self._random.choice(shapes)

    def _events(self) -> tuple[NewEvent, ...]:
        [count] = self._random.choices(COUNTS, COUNT_WEIGHTS)
        return tuple(self._event(place) for place in range(count))

    def _event(self, place: int) -> NewEvent:
        tags = {self._entity() for _ in range(self._random.choice([0, 1, 1, 2, 2, 3]))}
        metadata = self._random.choice([b"{}", b'{"actor":"Ada"}', b"\xfe not text"])
        data = self._data(f"{self._client}-{self._number}-{place}")
        return NewEvent(self._random.choice(TYPES), data, tuple(sorted(tags)), self._random.choice([1, 1, 2]), metadata)

    def _data(self, id: str) -> bytes:
        size = self._random.choice([0, 10, 100, 100, 400])
        if self._random.random() < 0.005:
            size = 60_000
        if self._random.random() < 0.1:
            return f"\0{id}\0".encode() + self._random.randbytes(size)
        return f'{{"id":"{id}","filler":"{"x" * size}"}}'.encode()

    def _entity(self) -> str:
        """Some are asked for much more often than others."""
        return f"entity:{self._generation}-{min(int(self._random.expovariate(0.3)), ENTITIES)}"

    def _key(self) -> str:
        return f"key-{self._generation}-{self._random.randrange(KEYS)}"

    def _own(self, prefix: str) -> str:
        return f"{prefix}-{self._client}-{self._number}"

    @property
    def _generation(self) -> int:
        return self._number // STEPS_A_GENERATION

    def _patience(self) -> float | None:
        return self._random.uniform(0.0, 0.01) if self._random.random() < 0.04 else None

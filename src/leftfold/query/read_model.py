"""Read models: keyed folds that are kept as tables for queries."""

import re
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from leftfold.errors import InvalidModel, LeftfoldError, ReadModelChanged, TaglessEvent
from leftfold.model.fingerprint import Fingerprint
from leftfold.model.fold import Fold, check_definition, fold_of
from leftfold.model.message import Message, MessageType
from leftfold.model.tag import TagField, hints_of
from leftfold.query.concerns import checked_concerns, concerning
from leftfold.query.indexes import Indexes, checked_indexes
from leftfold.query.text_fields import text_fields

OnChange = Literal["refuse", "rebuild"]
TABLE_FORMAT = 1
VERSION_FIELDS = ("valid_from", "valid_until")
MOST_SHARDS = 64
_word_starts = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


class ReadModel(Message):
    """Derive, give every field but the key a default, and define `evolve(self, event: A | B) -> Self | None`.

    The table has one row for each value of the key, the tag-typed fields; without such fields it has one row in all.
    An event concerns the rows whose keys it carries: `Transferred(source, target)` those of two accounts. `None`
    deletes the row; a later event of its key begins a new one.

    `concerns(cls, event: C, models: ReadModels) -> Iterable[Self]`, a class method, names more rows of the model that
    an event concerns, which need not carry their keys: the bookings of a guest who is renamed.
    """

    __keeps_change__ = True

    @classmethod
    def __fanned_out__(cls) -> tuple[type, ...]:
        return concerning(cls)

    @classmethod
    def __check_definition__(cls) -> None:
        check_definition(cls)
        if vars(cls).get("__fold__") is not None:
            _check_keys(fold_of(cls))


class RowChange(msgspec.Struct, frozen=True):
    """A row of a read model before and after the event at a position; None where there was, or is, no such row."""

    position: int
    key: tuple[Any, ...]
    before: Any
    after: Any


class ReadModelDefinition:
    """A read model as an app has it: its fold, its version, its table and indexes, whether former rows are kept.

    Indexes are not part of the fingerprint: rows come out the same with and without them.
    """

    stops_at_errors = False
    """Whether an event that cannot be applied holds up all later events, rather than those of its keys."""
    concerns: Sequence[type] = ()
    """The event classes whose rows the model finds by itself."""

    def __init__(
        self,
        owner: type[ReadModel],
        *,
        history: bool = False,
        version: int = 1,
        shards: int = 1,
        indexes: Indexes | None = None,
    ) -> None:
        self.owner = owner
        self.version = version
        self.history = history
        self.shards = shards
        self.fold = fold_of(owner)
        self.concerns = checked_concerns(owner, [event.owner for event in self.fold.events])
        self.stops_at_errors = bool(self.concerns)
        self.refresh()
        self.name = self.fold.name
        self.table = _word_starts.sub("_", self.name).lower()
        self._check_names()
        self._check_shards()
        _check_columns(owner)
        self.texts = text_fields(owner)
        self._check_texts()
        self.indexes = checked_indexes(owner, [field.name for field in self.fold.key], indexes)

    def __repr__(self) -> str:
        return f"<ReadModelDefinition {self.name} in {' and '.join(self.tables)}>"

    def refresh(self) -> None:
        """Include the subclasses of its event classes that were defined since; an app does so when it is opened."""
        _check_keys(self.fold.refresh())

    @property
    def tables(self) -> tuple[str, ...]:
        """The names of the tables that the model is kept in."""
        return (self.table, f"{self.table}_history") if self.history else (self.table,)

    @property
    def handle(self) -> type | str:
        """What users refer to it by: the class."""
        return self.owner

    @property
    def data_only(self) -> bool:
        """Whether it needs only the data of an event, and neither its time nor its metadata."""
        return self.fold.data_only

    def changed(self, stored: int) -> LeftfoldError:
        """Return the error for code that changed without its version."""
        return ReadModelChanged(self.name, stored, self.version, f"@app.read_model(version={stored + 1})")

    def fingerprint(self) -> Fingerprint:
        """Return what changes when the rows would come out differently."""
        return self.fold.fingerprint().joined(str(self.history), str(TABLE_FORMAT))

    def _check_names(self) -> None:
        taken = [name for name in self.owner.__struct_fields__ if self.history and name in VERSION_FIELDS]
        if taken:
            raise InvalidModel(
                f"{self.name} has the field {taken[0]} and keeps its history",
                f"other names than {' and '.join(VERSION_FIELDS)}, which say when a row was true",
                "rename the field",
            )

    def _check_texts(self) -> None:
        if self.texts and not self.fold.key:
            found = f"{self.name} marks {self.texts[0]} with Text and has no key: it is one row"
            raise InvalidModel(found, "a key", "leave out Text()")

    def _check_shards(self) -> None:
        if type(self.shards) is not int or not 1 <= self.shards <= MOST_SHARDS:
            found, expected = f"{self.name} has shards={self.shards!r}", f"a whole number from 1 to {MOST_SHARDS}"
            raise InvalidModel(found, expected, "leave it out unless several workers share the model")
        if self.shards > 1 and self.concerns:
            found = f"{self.name} has shards={self.shards!r} and defines concerns"
            expected = "one shard: concerns reads rows of all shards, and those of others are of other positions"
            raise InvalidModel(found, expected, "leave out shards=")
        if self.shards > 1 and not self.fold.key:
            found = f"{self.name} has shards={self.shards!r} and no key: it is one row"
            raise InvalidModel(found, "a key that divides the rows among shards", "leave out shards=")


def _check_columns(owner: type[ReadModel]) -> None:
    hints = hints_of(owner)
    for name in owner.__struct_fields__:
        problem = _problem_with(hints[name])
        if problem is not None:
            raise InvalidModel(
                f"{owner.__qualname__}.{name} cannot be kept in a column: {problem}",
                "a scalar, or a type with a JSON form: lists, dicts and structs of scalars",
                f"give {name} such a type",
            )


def _problem_with(hint: Any) -> str | None:
    try:
        msgspec.json.schema(hint)
    except TypeError as error:
        return str(error).splitlines()[-1]
    return None


def _check_keys(fold: Fold) -> None:
    for event in fold.events:
        _check_event(fold, event)


def _check_event(fold: Fold, event: MessageType) -> None:
    missing = [part.tag.name for part in fold.key if not event.fields_tagged(part.tag.name)]
    if missing and not issubclass(event.owner, fold.fanned_out):
        raise TaglessEvent(fold.name, event.owner.__name__, missing, [field.tag.name for field in event.fields])
    for part in fold.key:
        for field in event.fields_tagged(part.tag.name):
            _check_type(fold, part, event, field)


def _check_type(fold: Fold, part: TagField, event: MessageType, field: TagField) -> None:
    if field.value_type is not part.value_type:
        raise InvalidModel(
            f"{fold.name}.{part.name} is {part.value_type.__name__}, "
            f"{event.owner.__name__}.{field.name} is {field.value_type.__name__}; both are tagged {part.tag.name!r}",
            "one type for one tag: the row's key is taken from the event",
            "use the same alias in both classes",
        )

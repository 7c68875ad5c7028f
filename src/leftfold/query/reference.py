"""References: which row of another read model a row belongs with, and the rows that are read together."""

from collections.abc import Sequence
from types import MemberDescriptorType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from leftfold.errors import InvalidModel, UsageError
from leftfold.model.comparing import is_any
from leftfold.model.fold import fold_of
from leftfold.model.tag import hints_of
from leftfold.query.column_kind import column_kind
from leftfold.query.paging import Page
from leftfold.query.read_model import ReadModel

if TYPE_CHECKING:
    from leftfold.query.tables.joining import JoinedSelection
    from leftfold.query.tables.selection import Where

M = TypeVar("M", bound=ReadModel)
T = TypeVar("T")
WRITTEN = "Reference(Booking.guest, Guest), or Reference((Seat.show, Seat.number), Place)"


class Reference(Generic[M]):
    """Says which row of another read model a field refers to: `GUEST = Reference(Booking.guest, Guest)`.

    The field holds the key of that row; for a key of several parts name a field for each, in a tuple. Nothing is
    stored: `models.join(Booking, GUEST)` looks the rows up. Name the fields as attributes of the class.
    """

    def __init__(self, field: object, target: type[M]) -> None:
        given: Any = field
        fields: Sequence[object] = given if is_any(given, tuple) else (given,)
        owners = {_owner_of(each) for each in fields}
        if len(owners) != 1 or None in owners:
            shown = ", ".join(map(_shown, fields))
            raise _invalid(f"a reference is made of {shown}", f"fields of one read model: {WRITTEN}")
        [owner] = owners
        assert owner is not None
        self.owner: type = owner
        self.fields: tuple[str, ...] = tuple(getattr(each, "__name__", "") for each in fields)
        self.target = target
        self._check()

    def __repr__(self) -> str:
        return f"<Reference {self.owner.__qualname__}.{self.name} to {self.target.__qualname__}>"

    @property
    def name(self) -> str:
        """How conditions and orders name the row, as in `order_by="guest.name"`: by the last of the fields."""
        return self.fields[-1]

    @property
    def key(self) -> tuple[str, ...]:
        """The fields of the key of the row that is referred to."""
        return tuple(part.name for part in fold_of(self.target).key)

    def _check(self) -> None:
        named = f"{self.owner.__qualname__}.{self.name}"
        given: Any = self.target
        if not (isinstance(given, type) and issubclass(given, ReadModel)):
            raise _invalid(f"{named} refers to {given!r}", "the class of a read model")
        key, target = self.key, self.target.__qualname__
        if not key or len(key) != len(self.fields):
            found = f"{named} refers by {len(self.fields)} fields to {target}, whose key has {len(key)}"
            raise _invalid(found, "a field for each part of the key, in the order of the key")
        own, others = hints_of(self.owner), hints_of(self.target)
        for field, part in zip(self.fields, key, strict=True):
            kinds = column_kind(own[field]).inner, column_kind(others[part]).inner
            if kinds[0] is not kinds[1]:
                types = " and ".join(getattr(kind, "__name__", str(kind)) for kind in kinds)
                found = f"{self.owner.__qualname__}.{field} refers to {target}.{part}, and their types are {types}"
                raise _invalid(found, "the type of the key, or that type | None")


class Join(Generic[T]):
    """Rows of a read model with the rows that they refer to: `models.join(Booking, GUEST).select(room=12)`.

    Each is a tuple: the row, then for each reference the row that it refers to, or None if there is none. Conditions
    and orders name a field of such a row by the field that refers to it: `order_by="guest.name"`,
    `where={"guest.city": "Rome"}`. `models.table(GUEST)` is what to name in SQLAlchemy expressions.
    """

    def __init__(self, selection: "JoinedSelection") -> None:
        self._selection = selection

    def __repr__(self) -> str:
        return f"<Join {self._selection!r}>"

    def select(
        self,
        *,
        where: "Where | None" = None,
        order_by: str | Sequence[str] = (),
        limit: int | None = None,
        offset: int = 0,
        after: str | None = None,
        **equal: object,
    ) -> list[T]:
        """Return the rows that meet all conditions, each with the rows that it refers to; as `models.select`."""
        return self._selection.select(where, equal, order_by, limit, offset, after)

    def page(
        self,
        *,
        limit: int,
        where: "Where | None" = None,
        order_by: str | Sequence[str] = (),
        after: str | None = None,
        **equal: object,
    ) -> Page[T]:
        """Return a page of them, as `models.page` does; the order has fields of the model alone."""
        return Page(*self._selection.page(where, equal, order_by, limit, after))

    def count(self, *, where: "Where | None" = None, **equal: object) -> int:
        """Return how many rows meet all conditions."""
        [[found]] = self._selection.aggregate(where, equal, (), "count", None)
        return int(found)


def places_of(model: type, references: Sequence[Reference[Any]]) -> list[int]:
    """Return for each reference which row has its fields: 0 for that of the model, 1 for that of the first, and so on.

    A reference may begin at a row that an earlier one leads to, as from a booking to its room, and on to the hotel.
    """
    classes, found = [model], list[int]()
    for reference in references:
        if not is_any(reference, Reference):
            expected = "references, as in models.join(Booking, GUEST) with GUEST = Reference(Booking.guest, Guest)"
            raise UsageError(f"a join of {model.__qualname__} with {reference!r}", expected, "declare a reference")
        place = next((at for at, each in enumerate(classes) if reference.owner in each.__mro__), None)
        if place is None:
            raise UsageError(
                f"a join of {model.__qualname__} with {reference!r}",
                f"references from {' or '.join(each.__qualname__ for each in classes)}",
                "name the reference that leads to its rows before it",
            )
        found.append(place)
        classes.append(reference.target)
    return found


def _owner_of(field: object) -> type | None:
    owner: type | None = getattr(field, "__objclass__", None)
    is_field = isinstance(field, MemberDescriptorType) and isinstance(owner, type) and issubclass(owner, ReadModel)
    return owner if is_field else None


def _shown(field: object) -> str:
    if isinstance(field, MemberDescriptorType):
        return f"{field.__objclass__.__qualname__}.{field.__name__}"
    return repr(field)


def _invalid(found: str, expected: str) -> InvalidModel:
    return InvalidModel(found, expected, "name fields that hold the key of the other row")

"""Messages: events, commands and queries as frozen typed structs with a stable wire name and a version."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar, Generic, NewType, Protocol, TypeVar, dataclass_transform, get_origin, overload

import msgspec

from leftfold.errors import InvalidField, NotAMessage
from leftfold.model.tag import TagField, alternatives, render, tag_fields

R_co = TypeVar("R_co", covariant=True)
C = TypeVar("C", bound=type)


@dataclass_transform(frozen_default=True, field_specifiers=(msgspec.field,))
class MessageMeta(msgspec.StructMeta):
    """Makes each subclass a frozen struct, and takes `wire=` and `version=` in the class statement.

    The wire name is what the log stores. Without `wire=` it is the class's own name, and then renaming the class
    needs `wire=` with the old name. A class with `abstract=True` is only a base class: it has no events of its
    own. Any other keyword goes to `msgspec.Struct`.
    """

    __wire__: str
    __version__: int
    __is_abstract__: bool

    def __new__(
        mcls,
        name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],
        /,
        *,
        wire: str | None = None,
        version: int = 1,
        abstract: bool = False,
        **options: Any,
    ) -> Any:
        """Create the struct class and give it its wire name and version."""
        try:
            created = super().__new__(mcls, name, bases, namespace, **options)
        except TypeError as error:
            raise _cannot_be_defined(name, str(error)) from error
        _check_hidden(created, namespace)
        created.__wire__ = wire or name
        created.__version__ = version
        created.__is_abstract__ = abstract
        check = getattr(created, "__check_definition__", None)
        if check is not None:
            check()
        return created


def _cannot_be_defined(name: str, problem: str) -> InvalidField:
    order = "cannot follow optional fields" in problem
    expected = "the fields without a default first, inherited ones included" if order else "what a msgspec.Struct has"
    remedy = "change the field or the keyword that it names"
    if order:
        remedy = f"move the field up, or write class {name}(..., kw_only=True)"
    return InvalidField(name, "", f"cannot be defined: {problem}", expected, remedy)


def _check_hidden(owner: type[Any], namespace: dict[str, Any]) -> None:
    """Raise `InvalidField` for an inherited field that a plain value would hide: each instance would have that."""
    own = vars(owner)
    for name in owner.__struct_fields__:
        if name in namespace and name in own and not hasattr(own[name], "__get__"):
            raise InvalidField(
                owner.__qualname__,
                name,
                f"is a field, and {namespace[name]!r} without an annotation hides it",
                "an annotation beside each default of a field",
                f"write {name}: ... = {namespace[name]!r}",
            )


class Message(msgspec.Struct, frozen=True, metaclass=MessageMeta):
    """The base of all typed messages and models: frozen, comparable, encodable."""


class Event(Message):
    """A fact: `class Opened(Event, wire="account.opened", version=2): ...`."""


class Command(Message):
    """A request to change something; handled by exactly one command handler."""


class Query(Message, Generic[R_co]):
    """A question whose answer has type `R`: `class Richest(Query[list[Balance]]): ...`."""


class DataclassLike(Protocol):
    """An instance of a class made by `dataclasses` (or by a library that is compatible with it)."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


class AttrsLike(Protocol):
    """An instance of a class made by `attrs`."""

    __attrs_attrs__: ClassVar[Any]


class PydanticLike(Protocol):
    """An instance of a pydantic model."""

    __pydantic_fields__: ClassVar[dict[str, Any]]


CommandLike = Command | DataclassLike | AttrsLike | PydanticLike
"""What can be executed: a `Command`, or a class of another library marked with `@message(...)`."""

EventLike = Event | DataclassLike | AttrsLike | PydanticLike
"""What a handler may return as an event: `Event`, or a class of another library marked with `@message(...)`."""


@overload
def message(owner: C, /) -> C: ...
@overload
def message(*, wire: str | None = None, version: int = 1) -> Callable[[C], C]: ...
def message(owner: Any = None, /, *, wire: str | None = None, version: int = 1) -> Any:
    """Mark a dataclass, attrs or pydantic class as a message type with a wire name and a version.

    `@message` alone takes the class's own name as its wire name.
    """

    def mark(owner: C) -> C:
        setattr(owner, "__wire__", wire or owner.__name__)
        setattr(owner, "__version__", version)
        return owner

    return mark if owner is None else mark(owner)


class MessageType:
    """What leftfold knows about a message class: its wire name, its version and its tag-typed fields."""

    __slots__ = ("_is_plain", "_readers", "_single", "fields", "owner", "version", "wire")

    def __init__(self, owner: type) -> None:
        if "__wire__" not in vars(owner):
            raise NotAMessage(owner)
        if vars(owner).get("__is_abstract__"):
            raise NotAMessage(owner, abstract=True)
        self.owner = owner
        self.wire: str = vars(owner)["__wire__"]
        self.version: int = vars(owner)["__version__"]
        self.fields: tuple[TagField, ...] = tag_fields(owner, of_event=issubclass(owner, Event))
        self._readers = tuple((f"{field.tag.name}:", field) for field in self.fields)
        self._is_plain = all(field.tag.is_plain for field in self.fields)
        only = self._readers[0] if len(self.fields) == 1 and self._is_plain and not self.fields[0].many else None
        self._single = None if only is None else (only[0], only[1].get)

    def tags_of(self, message: object) -> tuple[str, ...]:
        """Return the tags of one message, each once, in the order of the fields."""
        if self._single is not None:  # most have one, and the loop takes twice as long
            prefix, get = self._single
            value = get(message)
            if type(value) is str:
                return (prefix + value,)
        if not self._is_plain:
            return tuple(dict.fromkeys(tag for field in self.fields for _, tag in field.tags_in(message)))
        tags: list[str] = []
        for prefix, field in self._readers:
            if field.many:
                tags += [prefix + render(value) for value in field.values(message)]
            elif (value := field.get(message)) is not None:
                tags.append(prefix + (value if type(value) is str else render(value)))
        return tuple(tags) if len(tags) < 2 else tuple(dict.fromkeys(tags))

    def fields_tagged(self, name: str) -> tuple[TagField, ...]:
        """Return the fields that carry the tag of this name."""
        return tuple(field for field in self.fields if field.tag.name == name)

    def __repr__(self) -> str:
        return f"<MessageType {self.wire} v{self.version}>"


def is_event(owner: type[Any]) -> bool:
    """Tell whether a class is an event: a subclass of `Event`, or another library's class marked with `@message`."""
    return issubclass(owner, Event) or ("__wire__" in vars(owner) and not issubclass(owner, Message))


def event_classes(hint: Any) -> tuple[type, ...] | str:
    """Return the event classes that an annotation names, without expanding bases; or the problem with it."""
    members = alternatives(hint)
    problem = next(filter(None, map(_problem_with, members)), None)
    return problem or members


def with_subclasses(owners: Iterable[type]) -> tuple[type, ...]:
    """Return the classes that can have events: each of these and its subclasses defined so far.

    A value of a subclass is a value of its base: `isinstance`, `match` and type checkers say so, and so do folds. The
    subclasses of a class are ordered by wire name, not by when their modules were imported.
    """
    found = ((owner, *_subclasses(owner)) for owner in owners)
    return tuple(dict.fromkeys(each for family in found for each in family if _is_concrete(each)))


def _subclasses(owner: type) -> list[type]:
    """Return all subclasses, at any depth; of classes that redefine each other, as in a notebook, the last."""
    by_name = {(each.__module__, each.__qualname__): each for each in _below(owner) if is_event(each)}
    return sorted(by_name.values(), key=lambda each: (str(vars(each).get("__wire__")), each.__qualname__))


def _below(owner: type) -> Iterator[type]:
    direct: list[type] = type.__subclasses__(owner)
    for each in direct:
        yield each
        yield from _below(each)


def _is_concrete(owner: type) -> bool:
    return "__wire__" in vars(owner) and not vars(owner).get("__is_abstract__")


def _problem_with(member: Any) -> str | None:
    if isinstance(member, NewType):
        return f"{member.__name__} is a NewType: name its class, {member.__supertype__.__name__}"
    origin = get_origin(member)
    if isinstance(origin, type) and is_event(origin):
        name = origin.__name__
        return f"{member!r} has no wire name of its own: derive from it, as in class Some{name}({member!r})"
    if not isinstance(member, type) or member is type(None):
        return f"{member!r} is not an event class"
    if member in (Event, Message):
        return f"{member.__name__} stands for every event: name the events, or a base class of your own"
    if is_event(member) or any(map(is_event, _below(member))):
        return None
    return f"{member.__name__} is not an event class"

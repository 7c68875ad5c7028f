"""Tags: `Tag` on the type of a field, and how a class's tag-typed fields are found and rendered."""

import datetime
import enum
import types
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Set
from hashlib import blake2b
from operator import attrgetter
from typing import Annotated, Any, Generic, NewType, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from leftfold.errors import DefinitionError, InvalidField, TagFunctionFailed, UnresolvedAnnotation
from leftfold.model.failure import in_words
from leftfold.wording import shown

COLLECTIONS = (list, tuple, set, frozenset)
CONTAINERS = ("builtins", "collections", "collections.abc")
SCALARS = (str, int, uuid.UUID, enum.Enum, datetime.date)
UNDERSTOOD = "a tagged type, optional or in a list, tuple, set or frozenset"


class Tag:
    """Marks the type of a field as naming an entity: `AccountId = Annotated[str, Tag("account")]`.

    An event's tag is `name:value`. Put it on the alias once and use the alias everywhere.

    - `by`: a pure function from a value to the one that stands for all its equals, such as `str.casefold` for e-mail
      addresses or the first day of a month. Two values that it maps to the same one are one entity, whose key it is.
    - `within`: the tag of another field of the same class, in which this one has its meaning, as a seat has in a show.
      The event's tag is then `seat:show/seat`, and a model is keyed by both fields.
    - `secret`: the log has a keyed hash of the value as tag, which nobody without the secret can compare with a value.
    """

    __slots__ = ("_secret", "by", "is_plain", "name", "within")

    def __init__(
        self,
        name: str,
        *,
        by: Callable[[Any], Any] | None = None,
        within: "Tag | None" = None,
        secret: str | bytes | None = None,
    ) -> None:
        _check_tag(name, by, within)
        self.name = name
        self.by = by
        self.within = within
        self._secret = None if secret is None else _checked_secret(name, secret)
        self.is_plain = by is None and within is None and secret is None

    def __repr__(self) -> str:
        by = "" if self.by is None else f", by={self._function}"
        within = "" if self.within is None else f", within={self.within!r}"
        secret = "" if self._secret is None else f", secret of {self._hash('')[:8]}"
        return f"Tag({self.name!r}{by}{within}{secret})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tag) and self._parts == other._parts

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def _function(self) -> str:
        return str(getattr(self.by, "__qualname__", self.by))

    @property
    def _parts(self) -> tuple[object, ...]:
        return self.name, self.by, self.within, self._secret

    @property
    def shows_value(self) -> bool:
        """Whether the value can be read from the tag."""
        return self._secret is None and (self.within is None or self.within.shows_value)

    def __call__(self, *values: Any) -> str:
        """Return the tag of one value: `Tag("account")("a-1")` is `"account:a-1"`.

        A tag that is `within` another one takes that one's values first.
        """
        if self.is_plain and len(values) == 1:
            return f"{self.name}:{render(values[0])}"
        return f"{self.name}:{self.text(*values)}"

    def text(self, *values: Any) -> str:
        """Return what follows the name in a tag."""
        *outer, value = values
        if (self.within is None) == bool(outer):
            wanted = "one value" if self.within is None else f"the value of {self.within.name}, then its own"
            raise TypeError(f"{self!r} takes {wanted}, not {values!r}")
        if self.within is None:
            return self.own_text(value)
        return f"{quoted(self.within.text(*outer))}/{quoted(self.own_text(value))}"

    def own_text(self, value: Any) -> str:
        """Return the text of this tag's own value."""
        text = render(self.key(value))
        return text if self._secret is None else self._hash(text)

    def key(self, value: Any) -> Any:
        """Return the value that stands for this one and all its equals."""
        if self.by is None:
            return value
        try:
            found = self.by(value)
            again = self.by(found) if type(found) is type(value) else None
        except Exception as error:
            raise TagFunctionFailed(self.name, self._function, value, f"raised {in_words(error)}") from error
        if type(found) is not type(value):
            raise TagFunctionFailed(self.name, self._function, value, f"returned {found!r}, a {type(found).__name__}")
        if found != again:
            raise TagFunctionFailed(self.name, self._function, value, f"returned {found!r}, and {again!r} for that")
        return found

    def _hash(self, text: str) -> str:
        return blake2b(text.encode(), key=self._secret or b"", digest_size=16).hexdigest()


def _check_tag(name: Any, by: Any, within: Any) -> None:
    if not isinstance(name, str) or not name or not name.isprintable():
        expected = "a text of printable characters, at least one"
        raise DefinitionError(f"a tag has the name {name!r}", expected, 'name the entity: Tag("account")')
    if by is not None and not callable(by):
        expected = "a function from a value to its key"
        raise DefinitionError(f"by of Tag({name!r}) is {by!r}", expected, "write by=str.casefold, or leave it out")
    if within is not None and not isinstance(within, Tag):
        expected = "the Tag of another field"
        raise DefinitionError(f"within of Tag({name!r}) is {within!r}", expected, 'write within=Tag("show")')


def _checked_secret(name: str, secret: Any) -> bytes:
    found = secret.encode() if isinstance(secret, str) else secret
    if not isinstance(found, bytes) or not 16 <= len(found) <= 64:
        size = f"has {len(found)} bytes" if isinstance(found, bytes) else f"is of type {type(secret).__name__}"
        raise DefinitionError(
            f"the secret of Tag({name!r}) {size}",
            "16 to 64 bytes",
            "generate it: secrets.token_hex(32)",
        )
    return found


def quoted(text: str) -> str:
    """Return a part of a text without the character that stands between two of them."""
    return text.replace("%", "%25").replace("/", "%2F")


def unquoted(text: str) -> str:
    """Return what `quoted` was given."""
    return text.replace("%2F", "/").replace("%25", "%")


class NonKey:
    """Marks a tag-typed field of a model that is not part of its key: `customer: Annotated[CustomerId, NonKey]`."""

    def __repr__(self) -> str:
        return "NonKey()"


class TagField:
    """One tag-typed field of a class: its name, its tag, whether it holds many values, whether it is part of a key."""

    __slots__ = ("get", "key", "many", "name", "outer", "tag", "value_type")

    def __init__(self, name: str, tag: Tag, value_type: Any, *, many: bool, key: bool) -> None:
        self.name = name
        self.tag = tag
        self.value_type = value_type
        self.many = many
        self.key = key
        self.outer: TagField | None = None
        self.get: Callable[[Any], Any] = attrgetter(name) if tag.by is None or many else self._key

    def _key(self, instance: object) -> Any:
        value = getattr(instance, self.name)
        return None if value is None else self.tag.key(value)

    def values(self, instance: object) -> Iterator[Any]:
        """Yield the values that the field holds in `instance`, each as its key; none when it is None."""
        value = self.get(instance)
        if not self.many:
            yield from () if value is None else (value,)
        elif value and self.tag.by is not None:
            yield from dict.fromkeys(self.tag.key(each) for each in _in_one_order(value))
        else:
            yield from _in_one_order(value or ())

    def tags_in(self, instance: object) -> Iterator[tuple[Any, str]]:
        """Yield each value that the field holds with its tag; none if what it is within is None."""
        outer = self._outer_values(instance)
        if None in outer:
            return
        for value in self.values(instance):
            yield value, self.tag(*outer, value)

    def _outer_values(self, instance: object) -> tuple[Any, ...]:
        if self.outer is None:
            return ()
        return (*self.outer._outer_values(instance), self.outer.get(instance))

    def is_of_type(self, value: object) -> bool:
        """Tell whether a value may be given to the tag's function."""
        return isinstance(value, self.value_type) and not isinstance(value, bool)

    def may_hold(self, other: "TagField") -> bool:
        """Tell whether some values of another field may have this one's type, as a StrEnum's have for a str."""
        mine, its = self.value_type, other.value_type
        related = issubclass(mine, its) or issubclass(its, mine)
        return related or any(issubclass(mine, kind) and issubclass(its, kind) for kind in (str, int))

    def holds(self, value: object) -> bool:
        """Tell whether a value has the field's type, or equals one that has, with the same tag."""
        if type(value) is self.value_type:
            return True
        try:
            proper = msgspec.convert(value, self.value_type)
        except ValueError:
            return self.value_type in (str, int) and isinstance(value, self.value_type) and not isinstance(value, bool)
        return bool(proper == value) and render(proper) == render(value)

    def __repr__(self) -> str:
        return f"<TagField {self.name}: {self.tag.name}{' (many)' if self.many else ''}>"


def _in_one_order(values: Collection[Any]) -> Iterable[Any]:
    """Sort the values of a set by their text: its own order differs from process to process. Leave out None."""
    if None in values:
        values = [each for each in values if each is not None]
    return sorted(values, key=render) if isinstance(values, Set) else values


def render(value: object) -> str:
    """Return the text of a value in its tag."""
    if isinstance(value, str) and not isinstance(value, enum.Enum):
        return value
    if isinstance(value, enum.Enum):
        return str(value.value)
    return value.isoformat() if isinstance(value, datetime.date) else str(value)


def hints_of(owner: Any) -> dict[str, Any]:
    """Return the resolved annotations of a class or function, including `Annotated`."""
    try:
        hints = get_type_hints(owner, include_extras=True)
    except NameError as error:
        raise UnresolvedAnnotation(owner.__qualname__, str(error)) from error
    parameters = _type_parameters(owner) if isinstance(owner, type) else {}
    return {name: _with_parameters(hint, parameters) for name, hint in hints.items()} if parameters else hints


def unaliased(hint: Any) -> Any:
    """Return what an alias made by a `type` statement stands for; any other annotation unchanged."""
    while True:
        alias = get_origin(hint) or hint
        if type(alias).__name__ != "TypeAliasType":
            return hint
        try:
            hint = alias.__value__ if alias is hint else alias.__value__[get_args(hint)]
        except NameError as error:
            raise UnresolvedAnnotation(alias.__name__, str(error)) from error


def alternatives(hint: Any) -> tuple[Any, ...]:
    """Return the members of a union, seen through aliases and `Annotated`; anything else as a single member."""
    hint = unaliased(hint)
    origin = get_origin(hint)
    if origin is Annotated:
        return alternatives(hint.__origin__)
    if origin in (Union, types.UnionType):
        members = (found for member in get_args(hint) for found in alternatives(member))
        return tuple(dict.fromkeys(members))
    return (hint,)


def _type_parameters(owner: type) -> dict[Any, Any]:
    """Map the type parameters of generic bases to their arguments: T to Place in `class Moved(Changed[Place])`."""
    if not issubclass(owner, Generic):
        return {}
    found: dict[Any, Any] = {}
    for base in owner.__mro__:
        for generic in vars(base).get("__orig_bases__", ()):
            names = getattr(get_origin(generic), "__parameters__", ())
            values = (_with_parameters(value, found) for value in get_args(generic))
            found.update(pair for pair in zip(names, values, strict=False) if pair[0] not in found)
    return found


def with_type_arguments(hint: Any, owner: type) -> Any:
    """Return an annotation of a method with the arguments that a class gives to its generic bases."""
    return _with_parameters(hint, _type_parameters(owner))


def _with_parameters(hint: Any, values: dict[Any, Any]) -> Any:
    if isinstance(hint, TypeVar):
        return values.get(hint, hint)
    names = () if isinstance(hint, type) else getattr(hint, "__parameters__", ())
    generic: Any = hint
    return generic[tuple(values.get(name, name) for name in names)] if any(name in values for name in names) else hint


def tag_fields(owner: type, *, of_event: bool = False) -> tuple[TagField, ...]:
    """Return the tag-typed fields of a message or model class, in the order of their definition.

    A field of an event, by which the log finds it, is refused if its tag is in a type that is not understood.
    """
    hints = hints_of(owner)
    found = (_tag_field(owner, name, hint) for name, hint in hints.items())
    fields = tuple(field for field in found if field is not None)
    if of_event:
        _check_event(owner, hints, fields)
    for field in fields:
        if field.tag.within is not None:
            field.outer = _outer_of(owner, field, field.tag.within, fields)
    return fields


def _outer_of(owner: type, field: TagField, within: Tag, fields: Iterable[TagField]) -> TagField:
    tagged = [each for each in fields if each.tag == within]
    if len(tagged) == 1 and not tagged[0].many:
        return tagged[0]
    named = " and ".join(each.name for each in tagged) or "none"
    raise InvalidField(
        owner.__qualname__,
        field.name,
        f"is tagged {field.tag!r}, and the fields that have the tag {within!r} are: {named}",
        "one such field, with one value",
        f"give {owner.__name__} the field, with the same tag",
    )


def _check_event(owner: type, hints: dict[str, Any], fields: Iterable[TagField]) -> None:
    for field in fields:
        if not field.key:
            raise InvalidField(
                owner.__qualname__,
                field.name,
                "is marked with NonKey, and an event has no key: it would have the tag all the same",
                "NonKey in models",
                "leave out NonKey, or give the field a type without a tag",
            )
    check_understood(owner, hints.keys() - {field.name for field in fields})


def check_understood(owner: type, names: Iterable[str], tag_name: str | None = None) -> None:
    """Raise `InvalidField` for the first of these fields with a tag, of this name, in a type that is not understood."""
    hints = hints_of(owner)
    for name in sorted(names, key=[*hints].index):
        found = [tag for tag in _tags_anywhere(hints[name]) if tag_name in (None, tag.name)]
        if found:
            raise InvalidField(
                owner.__qualname__,
                name,
                f"has {found[0]!r} in a type whose values are not found as tags: {shown(hints[name])}",
                UNDERSTOOD,
                f"change the type, or give {owner.__name__} a field of such a type beside it, and this one a type "
                "without a tag",
            )


def _tags_anywhere(hint: Any, seen: tuple[Any, ...] = ()) -> list[Tag]:
    """Return the tags on an annotation and on the parts of unions and of collections of Python's own, at any depth."""
    if hint in seen:  # an alias may contain itself
        return []
    inner = unaliased(hint)
    seen = seen if inner is hint else (*seen, hint)
    if isinstance(inner, NewType):
        return _tags_anywhere(inner.__supertype__, seen)
    origin = get_origin(inner)
    if origin is Annotated:
        return [
            *_tags_anywhere(inner.__origin__, seen),
            *(each for each in inner.__metadata__ if isinstance(each, Tag)),
        ]
    if origin not in (Union, types.UnionType) and getattr(origin, "__module__", "") not in CONTAINERS:
        return []
    return [tag for part in get_args(inner) for tag in _tags_anywhere(part, seen)]


def tags_in(hint: Any) -> list[Tag]:
    """Return the tags on an annotation."""
    return [marker for marker in _unwrap(hint)[0] if isinstance(marker, Tag)]


def _tag_field(owner: type, name: str, hint: Any) -> TagField | None:
    markers, inner, many = _unwrap(hint)
    tags = list(dict.fromkeys(marker for marker in markers if isinstance(marker, Tag)))
    if not tags:
        return None
    if len(tags) > 1:
        problem = f"has several tags: {' and '.join(map(repr, tags))}"
        raise InvalidField(owner.__qualname__, name, problem, "one tag", "use a second field for the other tag")
    if not _is_taggable(inner):
        problem = f"is tagged but has the type {getattr(inner, '__name__', inner)}"
        expected = "str, int, UUID, Enum or date, optional or in a list, tuple or set"
        raise InvalidField(owner.__qualname__, name, problem, expected, "tag a field of one of these types")
    return TagField(name, tags[0], inner, many=many, key=not any(_is_not_key(marker) for marker in markers))


def _is_taggable(inner: Any) -> bool:
    taggable = isinstance(inner, type) and issubclass(inner, SCALARS)
    return taggable and not issubclass(inner, bool | datetime.datetime)


def _is_not_key(marker: object) -> bool:
    return marker is NonKey or isinstance(marker, NonKey)


def _unwrap(hint: Any) -> tuple[tuple[object, ...], Any, bool]:
    """Return markers, innermost type, and whether it is in a collection, as in `list[AccountId] | None`."""
    hint = unaliased(hint)
    origin = get_origin(hint)
    if isinstance(hint, NewType):
        return _unwrap(hint.__supertype__)
    if origin is Annotated:
        markers, inner, many = _unwrap(hint.__origin__)
        return (*markers, *hint.__metadata__), inner, many
    if origin in (Union, types.UnionType):
        members = [member for member in get_args(hint) if member is not type(None)]
        return _unwrap(members[0]) if len(members) == 1 else ((), hint, False)
    if origin in COLLECTIONS and get_args(hint):
        markers, inner, nested = found = _unwrap(get_args(hint)[0])
        if any(each is not Ellipsis and _unwrap(each) != found for each in get_args(hint)[1:]):
            return (), hint, False
        return markers, list if nested else inner, True
    return (), hint, False

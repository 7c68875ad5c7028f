"""Stored forms: what a class's messages are read back as, and whether that equals what was written."""

import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from keyword import iskeyword
from types import MemberDescriptorType
from typing import TYPE_CHECKING, Any, TypeGuard, get_origin
from unicodedata import normalize
from uuid import UUID

import msgspec
from msgspec import inspect as types

from leftfold.errors import InvalidField, InvalidMessage, UnresolvedAnnotation
from leftfold.model.comparing import Difference, difference, naive_moment
from leftfold.model.tag import hints_of
from leftfold.wording import shown

if TYPE_CHECKING:
    from leftfold.model.codec import Codec

NOT_DECODED = (ValueError, KeyError, TypeError, RecursionError)
TEXT_KEYS = (
    types.AnyType,
    types.StrType,
    types.IntType,
    types.FloatType,
    types.BytesType,
    types.DateTimeType,
    types.DateType,
    types.TimeType,
    types.TimeDeltaType,
    types.UUIDType,
    types.DecimalType,
    types.EnumType,
    types.LiteralType,
)
PLAIN: tuple[tuple[types.Type, str], ...] = (
    (types.NoneType(), "{0} is None"),
    (types.BoolType(), "type({0}) is bool"),
    (types.IntType(), "(type({0}) is int and -0x8000000000000000 <= {0} <= 0x7fffffffffffffff)"),
    (types.FloatType(), "(type({0}) is float and {0} - {0} == 0.0)"),
    (types.StrType(), "(type({0}) is str and {0}.isascii())"),
    (types.UUIDType(), "type({0}) is UUID"),
)
"""Conditions under which a value of a type certainly comes back equal from JSON; constrained types are not covered."""
PLACE = re.compile(r"at `(?:key` in `)?\$([^`]*)`")


class StoredForm:
    """The stored form of one class. Raises `DefinitionError` when the codec supports no stored form for it.

    `is_plain` is a quick check: True means that a message comes back equal from the bytes that `write` returns.
    """

    __slots__ = ("_decode", "_moments", "_whole", "is_plain", "owner", "write")

    def __init__(self, owner: type, codec: "Codec") -> None:
        self.owner = owner
        self.write = codec.encode
        self._decode = _decoder(owner, codec)
        plain: Callable[[type], Callable[[Any], bool] | None] | None = getattr(codec, "plain", None)
        self.is_plain = (plain and plain(owner)) or _never
        inner = _types_in(owner)
        self._whole = inner is not None and all(map(_compares_whole, inner))
        self._moments = inner is None or any(isinstance(each, types.DateTimeType) and not each.tz for each in inner)

    def __repr__(self) -> str:
        return f"<StoredForm of {self.owner.__qualname__}>"

    def encode(self, message: object) -> tuple[bytes, Any]:
        """Encode a message, and return its bytes and the message as it will be read back, which is equal.

        Raises `InvalidMessage` if it would not be.
        """
        try:
            return self._checked(message)
        except RecursionError as error:
            raise InvalidMessage(self.owner.__qualname__, "", message, "is nested too deeply to be compared") from error

    def _checked(self, message: object) -> tuple[bytes, Any]:
        data = self.write(message)
        if self.is_plain(message):
            return data, message
        try:
            read = self._decode(data)
        except NOT_DECODED as error:
            raise _unreadable(message, error) from error
        try:
            equal = self._whole and message == read
        except Exception:  # noqa: BLE001 a signalling NaN, for one; the fields are compared then
            equal = False
        if not equal:
            found = difference(message, read)
            if found is not None:
                problem = f"would be read back as {shown(found.read)}"
                raise InvalidMessage(self.owner.__qualname__, found.place, found.given, problem)
        if self._moments and (naive := naive_moment(read)) is not None:
            problem = "has no time zone, so it names no moment"
            raise InvalidMessage(self.owner.__qualname__, naive.place, naive.given, problem)
        return data, read

    def check(self, message: object) -> None:
        """Raise `InvalidMessage` unless the message would come back equal from its stored form."""
        if not self.is_plain(message):
            self.encode(message)


def check_storable(owner: type) -> None:
    """Raise `InvalidField` for a field whose values JSON cannot all return, or that Python reads elsewhere."""
    if hasattr(owner, "__pydantic_fields__"):
        return
    try:
        found = types.type_info(owner)
    except TypeError as error:
        raise _unstorable(owner, *_culprit(owner, error)) from error
    except NameError as error:
        raise UnresolvedAnnotation(owner.__qualname__, str(error)) from error
    for each in inner_types(found, set()):
        _check_attributes(each)
    for field in getattr(found, "fields", ()):
        for each in inner_types(field.type, set()):
            problem = _problem_of(each)
            if problem is not None:
                raise _unstorable(owner, field.name, problem)


def _check_attributes(found: types.Type) -> None:
    """Raise `InvalidField` unless Python reads each field of a class where the encoder does."""
    owner: Any = get_origin(getattr(found, "cls", None)) or getattr(found, "cls", None)
    for field in getattr(found, "fields", ()):
        read = inspect.getattr_static(owner, field.name, None)
        given = field.default if isinstance(field.default, property) else read
        is_struct = isinstance(found, types.StructType)
        if isinstance(given, property) or (is_struct and not isinstance(read, MemberDescriptorType)):
            raise InvalidField(
                owner.__qualname__,
                field.name,
                f"is a field and also {_kind(given)}",
                "one meaning for a name: Python reads the value that is stored",
                "rename one of the two; give a property that computes a value a name of its own",
            )


def _kind(attribute: object) -> str:
    if isinstance(attribute, property):
        return "a property"
    return "a method" if callable(attribute) else f"the constant {shown(attribute)}"


def plain_check(owner: type) -> Callable[[Any], bool] | None:
    """Return a quick check: True means that an instance comes back equal from JSON; False means unknown.

    It compares each field's value with its type. Returns None if a field has a type without a quick check.
    """
    config: Any = getattr(owner, "__struct_config__", None)
    if config is None or not config.frozen or hasattr(owner, "__post_init__"):
        return None
    try:
        fields: Sequence[Any] = getattr(types.type_info(owner), "fields", ())
    except (TypeError, NameError):
        return None
    tests = [_plain_test(f"message.{field.name}", field.type) for field in fields]
    if None in tests or not all(map(_can_be_written, (field.name for field in fields))):
        return None
    # one compiled expression costs a third of a loop over the fields
    expression = " and ".join(["type(message) is owner", *map(str, tests)])
    names = {"owner": owner, "UUID": UUID}
    made: Callable[[Any], bool] = eval(f"lambda message: {expression}", names)
    return made


def _can_be_written(name: str) -> bool:
    """Tell whether a name is valid in an expression; a class made from a schema may have others."""
    return name.isidentifier() and not iskeyword(name) and normalize("NFKC", name) == name


def _plain_test(value: str, kind: types.Type) -> str | None:
    if isinstance(kind, types.UnionType):
        found = [_plain_test(value, each) for each in kind.types]
        return None if None in found else f"({' or '.join(map(str, found))})"
    return next((test.format(value) for plain, test in PLAIN if kind == plain), None)


def _never(_: object) -> bool:
    return False


def has_foreign_types(owner: type) -> bool:
    """Tell whether a field holds something that JSON cannot express at all, such as a function."""
    try:
        found = types.type_info(owner)
    except (TypeError, NameError):
        return False  # another problem, which making its form reports
    return any(map(_is_foreign, inner_types(found, set())))


def _is_foreign(each: types.Type) -> TypeGuard[types.CustomType]:
    """Tell whether JSON cannot express a type; `object` is read like `Any`."""
    return isinstance(each, types.CustomType) and each.cls is not object


def _decoder(owner: type, codec: "Codec") -> Callable[[bytes], Any]:
    check: Callable[[type], None] | None = getattr(codec, "check", None)
    if check is not None:
        check(owner)
    try:
        return codec.decoder(owner)
    except TypeError as error:
        raise _unstorable(owner, *_culprit(owner, error)) from error
    except NameError as error:
        raise UnresolvedAnnotation(owner.__qualname__, str(error)) from error


def _unstorable(owner: type, field: str, problem: str) -> InvalidField:
    return InvalidField(
        owner.__qualname__,
        field,
        f"has a type that cannot be stored: {problem}",
        "types whose values come back equal from JSON; docs/events.md lists them",
        "in a union, give each struct a tag (class Card(msgspec.Struct, tag=True)) and keep only one type that is "
        "written as text; otherwise use a type from the list",
    )


def _culprit(owner: type, error: TypeError) -> tuple[str, str]:
    """Return the field that causes an error, found by trying each field alone, and the problem."""
    for name, hint in hints_of(owner).items():
        try:
            types.type_info(hint)
        except TypeError as problem:
            return name, str(problem)
    return "", str(error)


def _problem_of(each: types.Type) -> str | None:
    if _is_foreign(each):
        return f"{getattr(each.cls, '__qualname__', each.cls)} has no JSON form"
    if isinstance(each, types.DictType):
        keys = each.key_type.types if isinstance(each.key_type, types.UnionType) else (each.key_type,)
        if not all(isinstance(key, TEXT_KEYS) for key in keys):
            return "the keys of a JSON object are strings, and the keys of this dict have no string form"
    return None


def _types_in(owner: type) -> list[types.Type] | None:
    """Return every type in a class, at any depth; None if msgspec does not know one of them."""
    try:
        found = list(inner_types(types.type_info(owner), set()))
    except (TypeError, NameError):
        return None
    return None if any(isinstance(each, types.CustomType) for each in found) else found


def inner_types(found: types.Type, seen: set[int]) -> Iterator[types.Type]:
    """Yield a type and every type within it, at any depth, each once; skip those in `seen`."""
    if id(found) in seen:
        return
    seen.add(id(found))
    yield found
    for field in getattr(found, "fields", ()):
        yield from inner_types(field.type, seen)
    for each in (*getattr(found, "types", ()), *getattr(found, "item_types", ())):
        yield from inner_types(each, seen)
    for name in ("item_type", "key_type", "value_type", "type"):
        each = getattr(found, name, None)
        if isinstance(each, types.Type):
            yield from inner_types(each, seen)


def _compares_whole(found: types.Type) -> bool:
    """Tell whether `==` of such values is False wherever they differ."""
    if isinstance(found, types.StructType):
        owner: Any = get_origin(found.cls) or found.cls
        return bool(owner.__struct_config__.eq and owner.__eq__ is msgspec.Struct.__eq__)
    return not isinstance(found, types.DataclassType | types.NamedTupleType)


def _unreadable(message: object, error: Exception) -> InvalidMessage:
    place = _place_of(message, error)
    given: Any = message
    first = re.match(r"\.(\w+)", place)
    if first is not None:
        given = getattr(message, first[1], None)
    problem = PLACE.sub("", str(error)).removesuffix(" - ").strip()
    return InvalidMessage(type(message).__qualname__, place, given, f"could not be read back: {problem}")


def _place_of(message: object, error: Exception) -> str:
    """Return where the codec found the problem, by the Python names of the fields."""
    located: Callable[[], list[dict[str, Any]]] | None = getattr(error, "errors", None)
    if located is not None:
        return "".join(f".{part}" if isinstance(part, str) else f"[{part}]" for part in located()[0]["loc"])
    found = PLACE.search(str(error))
    place = found[1] if found else ""
    kind: Any = type(message)
    for name, stored in zip(
        getattr(kind, "__struct_fields__", ()), getattr(kind, "__struct_encode_fields__", ()), strict=True
    ):
        if re.match(rf"\.{re.escape(stored)}(?!\w)", place):
            return f".{name}{place[len(stored) + 1 :]}"
    return place


__all__ = ["Difference", "StoredForm", "check_storable", "has_foreign_types", "inner_types", "plain_check"]

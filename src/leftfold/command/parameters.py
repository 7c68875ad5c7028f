"""The parameters of command handlers: which decision models they take, and where the keys of these are found."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice, product
from types import NoneType, UnionType
from typing import Annotated, Any, Generic, NamedTuple, TypeVar, Union, get_args, get_origin

from leftfold.errors import DefinitionError, InvalidHandler, NotLoaded, TooManyEntities, UnmatchedParameter
from leftfold.model.comparing import is_any
from leftfold.model.fold import Fold, check_definition, check_same_tag, fold_of
from leftfold.model.message import Message, MessageType
from leftfold.model.tag import TagField, alternatives, check_understood, hints_of, tag_fields, unaliased

Key = tuple[Any, ...]
MANY_LIMIT = 5_000  # models of one parameter; as many as a criteria may have items
MAX_SHOWN_KEYS = 10


class DecisionModel(Message):
    """Derive, give every field but the key a default, and define `evolve(self, event: A | B) -> Self`.

    The annotation of `evolve`, with the tag-typed fields, is the model's criteria: events of these types that carry
    the key's tags. Where that does not fit, define `criteria(self) -> Criteria`; it is asked on the model with only
    its key set.
    """

    __may_state_criteria__ = True

    @classmethod
    def __check_definition__(cls) -> None:
        check_definition(cls)


M_co = TypeVar("M_co", bound=DecisionModel, covariant=True)


class Many(Generic[M_co]):
    """The decision models of a collection of keys: `def place(command: Place, products: Many[Product])`.

    They come in the order of the collection, each key once; those of a set in the order of their text.
    `products["p-1"]` is the model of a key, `"p-1" in products` tells whether there is one. A key of several parts is
    a tuple. To call a handler yourself, make one of models: `Many([Product("p-1")])`.
    """

    __slots__ = ("_by_key", "_owner")

    def __init__(self, models: Iterable[M_co] = ()) -> None:
        given = tuple(models)
        self._owner: Any = type(given[0]) if given else None
        self._by_key: dict[Key, M_co] = {}
        if given:
            key_of = fold_of(type(given[0])).key_of
            self._by_key = {key_of(model): model for model in given}

    def __iter__(self) -> Iterator[M_co]:
        return iter(self._by_key.values())

    def __len__(self) -> int:
        return len(self._by_key)

    def __contains__(self, key: object) -> bool:
        return self._find(key) is not None

    def __getitem__(self, key: object) -> M_co:
        model = self._find(key)
        if model is None:
            raise NotLoaded(key, len(self), [_shown(known) for known in islice(self._by_key, MAX_SHOWN_KEYS)])
        return model

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Many) and [*self] == [*other]

    __hash__ = None  # type: ignore[assignment]  # models may have fields that can change

    def _find(self, key: object) -> M_co | None:
        try:
            return self._by_key.get(self._key(key))
        except TypeError:  # a list, say, is no key
            return None

    def _key(self, given: Any) -> Key:
        key = tuple(given) if is_any(given, tuple) else (given,)
        return key if self._owner is None else self._owner.__fold__.key_from(key)

    def __repr__(self) -> str:
        return f"Many({[*self]!r})"


def _shown(key: Key) -> object:
    return key[0] if len(key) == 1 else key


class Via:
    """Says that a model's key stands in another one: `guest: Annotated[Guest, Via("booking", "guest")]`.

    The first name is a parameter of the handler, the second a tag-typed field of its model. If that field may be
    None, annotate `Guest | None`.
    """

    __slots__ = ("field", "parameter")

    def __init__(self, parameter: str, field: str) -> None:
        if not all(is_any(name, str) and name for name in (parameter, field)):
            raise DefinitionError(
                f"Via({parameter!r}, {field!r}) does not have two names",
                "the name of a parameter, and that of a field of its model",
                'write Via("booking", "guest")',
            )
        self.parameter = parameter
        self.field = field

    def __repr__(self) -> str:
        return f"Via({self.parameter!r}, {self.field!r})"


class ModelHint(NamedTuple):
    """What the annotation of a parameter says: which model, whether it may be None or is many, and where its key is."""

    model: type[DecisionModel]
    many: bool = False
    optional: bool = False
    via: tuple[Via, ...] = ()

    @classmethod
    def of(cls, annotation: Any) -> "ModelHint | None":
        """Return what an annotation says; None if it is not that of a decision model."""
        hint: Any = unaliased(annotation)
        origin: Any = get_origin(hint)
        if origin is None:
            return cls(hint) if isinstance(hint, type) and issubclass(hint, DecisionModel) else None
        if origin is Annotated:
            inner = cls.of(hint.__origin__)
            via = tuple(each for each in hint.__metadata__ if isinstance(each, Via))
            return inner and inner._replace(via=(*inner.via, *via))
        members = [each for each in get_args(hint) if each is not NoneType]
        if len(members) != 1 or origin not in (Union, UnionType, Many):
            return None
        inner = cls.of(members[0])
        if origin is Many:
            return None if inner is None or inner.many else inner._replace(many=True)
        return inner and inner._replace(optional=True)


class KeyPart(NamedTuple):
    """Where one part of a model's key stands: in a field of the command, or of another parameter's model."""

    parameter: str
    field: TagField
    many: bool  # the field is a collection, or the parameter is a Many
    optional: bool

    def value(self, arguments: Mapping[str, Any]) -> Any:
        """Return the value; None if the parameter is None."""
        owner = arguments[self.parameter]
        return None if owner is None else self.field.get(owner)

    def values(self, arguments: Mapping[str, Any]) -> list[Any]:
        """Return the values of a part that has many."""
        owner = arguments[self.parameter]
        owners: Iterable[Any] = () if owner is None else owner if is_any(owner, Many) else (owner,)
        return [value for each in owners for value in self.field.values(each)]


class ModelParameter:
    """A parameter that takes a decision model, or None, or many: its keys follow from the command and other models."""

    __slots__ = ("_get", "fold", "many", "name", "optional", "parts")

    def __init__(self, name: str, fold: Fold, hint: ModelHint, parts: Sequence[KeyPart]) -> None:
        self.name = name
        self.fold = fold
        self.many = hint.many
        self.optional = hint.optional
        self.parts = tuple(parts)
        self._get = parts[0].field.get if len(parts) == 1 else None

    def __repr__(self) -> str:
        return f"<ModelParameter {self.name} of {self.fold.name}>"

    def key_in(self, command: object) -> Key:
        """Return the key of a model that the command alone names."""
        if self._get is not None:  # most have one part, and a generator would take three times as long
            return (self._get(command),)
        return tuple(part.field.get(command) for part in self.parts)

    def keys(self, arguments: Mapping[str, Any]) -> Sequence[Key]:
        """Return the keys, each once, given the command and the models that they stand in."""
        if not self.many:
            key = tuple(part.value(arguments) for part in self.parts)
            return () if self.optional and None in key else (key,)
        values = (part.values(arguments) if part.many else (part.value(arguments),) for part in self.parts)
        return list(dict.fromkeys(product(*values)))

    def check(self, keys: Sequence[Key]) -> None:
        """Raise `TooManyEntities` for more keys than one decision may have."""
        if len(keys) > MANY_LIMIT:
            raise TooManyEntities(self.name, self.fold.name, len(keys), MANY_LIMIT)

    def argument(self, models: Sequence[Any]) -> Any:
        """Return what the handler gets for the models of its keys."""
        if self.many:
            return Many(models)
        return models[0] if models else None


Find = Callable[[ModelParameter, Sequence[Key]], "Sequence[Any] | None"]


class ModelParameters:
    """All models that a handler takes.

    `single` is the parameter of a handler that takes just one model, whose key the command has; most are like that.
    If `is_fixed`, the command alone says which states there are, one for each parameter. If `looks_up`, other models
    name some of them.
    """

    def __init__(self, handler: str, command_name: str, command: MessageType, hints: Mapping[str, ModelHint]) -> None:
        self._command_name = command_name
        matching = _Matching(handler, command_name, command, hints)
        self.all = tuple(matching.parameter(name, hint) for name, hint in hints.items())
        self._in_order = matching.in_order(self.all)
        found = [each for each in self.all if self._is_found(each)]
        self.is_fixed = not (found or any(each.many or each.optional for each in self.all))
        self.looks_up = bool(found)
        self.single = self.all[0] if self.is_fixed and len(self.all) == 1 else None

    def __repr__(self) -> str:
        return f"<ModelParameters {', '.join(each.name for each in self.all)}>"

    def _is_found(self, parameter: ModelParameter) -> bool:
        return any(part.parameter != self._command_name for part in parameter.parts)

    def named_by(self, command: object) -> Iterator[tuple[ModelParameter, Sequence[Key]]]:
        """Yield the parameters whose keys stand in the command itself, with these."""
        arguments = {self._command_name: command}
        return ((each, each.keys(arguments)) for each in self.all if not self._is_found(each))

    def arguments(self, command: object, find: Find) -> list[Any] | None:
        """Return what the handler gets for each parameter; None if `find` has none for some of the keys.

        All keys that can be known so far are asked for, so that what is not there can be loaded together.
        """
        arguments: dict[str, Any] = {self._command_name: command}
        for parameter in self._in_order:
            if all(part.parameter in arguments for part in parameter.parts):
                models = find(parameter, parameter.keys(arguments))
                if models is not None:
                    arguments[parameter.name] = parameter.argument(models)
        if len(arguments) <= len(self.all):
            return None
        return [arguments[parameter.name] for parameter in self.all]


class _Matching:
    """Matches the keys of a handler's models to the fields of its command, and to those of the models themselves."""

    def __init__(self, handler: str, command_name: str, command: MessageType, hints: Mapping[str, ModelHint]) -> None:
        self._handler = handler
        self._command_name = command_name
        self._command = command
        self._hints = hints

    def parameter(self, name: str, hint: ModelHint) -> ModelParameter:
        """Return a parameter, with a place for each part of its key."""
        fold = fold_of(hint.model)
        via = self._via(name, hint, fold)
        parts = [via.get(part.name) or self._in_command(name, hint, fold, part) for part in fold.key]
        for key, part in zip(fold.key, parts, strict=True):
            check_same_tag(f"{fold.name}.{key.name}", key, self._place(part), part.field)
            self._check_type(name, f"{fold.name}.{key.name}", key, part)
        self._check_many(name, hint, parts)
        self._check_optional(name, hint, parts)
        return ModelParameter(name, fold, hint, parts)

    def in_order(self, parameters: Iterable[ModelParameter]) -> tuple[ModelParameter, ...]:
        """Order parameters so that each comes after those that its key stands in."""
        placed, ordered, rest = {self._command_name}, list[ModelParameter](), list(parameters)
        while rest:
            ready = [each for each in rest if all(part.parameter in placed for part in each.parts)]
            if not ready:
                raise self._refusal(
                    " and ".join(repr(each.name) for each in rest),
                    "have their keys in each other",
                    "a model whose key the command has, from which the others can be found",
                    "add a field to the command that says which entity it is about",
                )
            ordered += ready
            placed.update(each.name for each in ready)
            rest = [each for each in rest if each not in ready]
        return tuple(ordered)

    # --- where the parts of a key stand

    def _via(self, name: str, hint: ModelHint, fold: Fold) -> dict[str, KeyPart]:
        """Return the parts that stand in other models, by the names of the key's fields."""
        found: dict[str, KeyPart] = {}
        for via in hint.via:
            part = self._part(name, via)
            fitting = [key.name for key in fold.key if key.tag.name == part.field.tag.name and key.name not in found]
            place = part.field.name if part.field.name in fitting else fitting[0] if len(fitting) == 1 else None
            if place is None:
                raise self._refusal(
                    repr(name),
                    f"has {via!r}, and {fold.name} has {'several parts' if fitting else 'no part'} of its key "
                    f"tagged {part.field.tag.name!r}",
                    f"a field tagged {' or '.join(repr(key.tag.name) for key in fold.key) or 'as its key'}",
                    "name the field that has the key",
                )
            found[place] = part
        return found

    def _part(self, name: str, via: Via) -> KeyPart:
        """Return what a `Via` stands for."""
        source = self._hints.get(via.parameter)
        owner = source.model if source else self._command.owner if via.parameter == self._command_name else None
        if owner is None:
            names = [self._command_name, *(each for each in self._hints if each != name)]
            raise self._refusal(
                repr(name),
                f"has {via!r}, and there is no such parameter of a command or a model",
                f"the name of another parameter: {', '.join(map(repr, names))}",
                "write Via(parameter, field)",
            )
        tagged = {field.name: field for field in tag_fields(owner)}
        field = tagged.get(via.field)
        if field is None:
            raise self._refusal(
                repr(name),
                f"has {via!r}, and {owner.__name__} has no tag-typed field {via.field!r}",
                f"a tag-typed field of {owner.__name__}: {', '.join(map(repr, tagged)) or 'it has none'}",
                f"annotate it with the tagged type, marked as no part of {owner.__name__}'s key: "
                f"{via.field}: Annotated[..., NonKey]",
            )
        many, optional = (source.many, source.optional) if source else (False, False)
        return KeyPart(via.parameter, field, field.many or many, optional or _may_be_none(owner, field))

    def _in_command(self, name: str, hint: ModelHint, fold: Fold, part: TagField) -> KeyPart:
        """Return the command's field for one part of a key: matched by name, or the only one with the tag."""
        single = len(fold.key) == 1
        tagged = self._command.fields_tagged(part.tag.name)
        fields = [each for each in tagged if (each.many if single and hint.many else hint.many or not each.many)]
        names = (name,) if single else (part.name, name)
        by_name = [each for wanted in names for each in fields if each.name == wanted]
        if not by_name and len(fields) != 1:
            if not tagged:
                untagged = {*hints_of(self._command.owner)} - {each.name for each in self._command.fields}
                check_understood(self._command.owner, untagged, part.tag.name)
            choices = [each.name for each in fields or self._command.fields]
            unfit = "" if fields or not tagged else fold.name if hint.many else f"Many[{fold.name}]"
            raise UnmatchedParameter(self._handler, name, part.tag.name, choices, bool(fields), unfit)
        field = (by_name or fields)[0]
        return KeyPart(self._command_name, field, field.many, _may_be_none(self._command.owner, field))

    # --- what cannot be

    def _check_type(self, name: str, wanted: str, key: TagField, part: KeyPart) -> None:
        if not key.may_hold(part.field):
            raise self._refusal(
                repr(name),
                f"has the key {wanted}: {key.value_type.__name__}, and {self._place(part)} is of the type "
                f"{part.field.value_type.__name__}",
                f"one type for all that is tagged {key.tag.name!r}",
                "put type and tag on an alias once, and use the alias everywhere",
            )

    def _check_many(self, name: str, hint: ModelHint, parts: Sequence[KeyPart]) -> None:
        several = [part for part in parts if part.many]
        if hint.many and len(several) != 1:
            raise self._refusal(
                repr(name),
                f"is a Many, and {len(several)} parts of the key of {hint.model.__name__} are collections",
                "exactly one part of the key from a collection",
                "give the command one collection, and the other parts of the key as single values",
            )
        if several and not hint.many:
            raise self._refusal(
                repr(name),
                f"is one {hint.model.__name__}, and {self._place(several[0])} gives many keys",
                f"Many[{hint.model.__name__}]",
                f"annotate {name!r} with Many[{hint.model.__name__}]",
            )

    def _check_optional(self, name: str, hint: ModelHint, parts: Sequence[KeyPart]) -> None:
        model = hint.model.__name__
        if hint.many and hint.optional:
            raise self._refusal(
                repr(name), "is a Many or None", f"Many[{model}]: without keys it is empty", "leave out None"
            )
        may_be_none = [part for part in parts if part.optional and not part.many]
        if may_be_none and not hint.optional:
            place = self._place(may_be_none[0])
            raise self._refusal(
                repr(name),
                f"is never None, but its key may be None in {place}",
                f"{model} | None where the key is optional" if not hint.many else "a key that is never None",
                f"annotate {name!r} with {model} | None, or give {place} a type without None",
            )
        if hint.optional and not may_be_none:
            place = self._place(parts[0]) if parts else "the empty key"
            raise self._refusal(
                repr(name),
                f"may be None, but its key is never None in {place}",
                f"{model}, or a key that may be None",
                f"annotate {name!r} with {model}, or type {place} as optional",
            )

    def _place(self, part: KeyPart) -> str:
        hint = self._hints.get(part.parameter)
        owner = self._command.owner if hint is None else hint.model
        return f"{owner.__name__}.{part.field.name}"

    def _refusal(self, parameter: str, problem: str, expected: str, remedy: str) -> InvalidHandler:
        return InvalidHandler(f"parameter {parameter} of {self._handler} {problem}", expected, remedy)


def _may_be_none(owner: type, field: TagField) -> bool:
    return NoneType in alternatives(hints_of(owner)[field.name])


def models_in(hint: Any) -> list[type[DecisionModel]]:
    """Return the models in a type that no parameter can have, such as `list[Product]`."""
    return [each for each in get_args(unaliased(hint)) if isinstance(each, type) and issubclass(each, DecisionModel)]

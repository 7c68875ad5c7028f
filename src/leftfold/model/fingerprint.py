"""Fingerprints: digests of a model's fields and source, which show that stored results came from older code."""

import ast
import functools
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from operator import attrgetter
from types import FunctionType, MethodType, ModuleType
from typing import Any, Generic, NamedTuple, Protocol

import msgspec

from leftfold.model.message import Message, MessageType
from leftfold.model.source import ModuleSource, SourceForm, is_in, source_of, source_of_module
from leftfold.model.tag import tags_in
from leftfold.model.type_form import (
    SHOWN,
    has_fields,
    hints_if_known,
    is_a,
    members_of,
    name_of,
    type_form,
    types_in,
    value_form,
)

FORM = "source-1"
UNKNOWN = "unknown"
BASES = (object, Generic, Protocol, msgspec.Struct, Message)
CHECK = "__check_definition__"  # present on DecisionModel and ReadModel, not on models derived from them
CONTAINERS = (list, tuple, set, frozenset)
CONSTANTS = (*SHOWN, tuple, frozenset)  # counted by value even when another module defines it
DESCRIPTORS = (property, staticmethod, classmethod, functools.cached_property, functools.singledispatchmethod)
HOLDING = ("fget", "fset", "fdel", "__func__", "func")


class Fingerprint(NamedTuple):
    """What a model's results depend on: the `shape` of its inputs and fields, and its `code`.

    The code is empty where the source cannot be had: then nothing tells whether it has changed.
    """

    shape: str
    code: str

    def __str__(self) -> str:
        return f"{FORM}:{self.shape}:{self.code or UNKNOWN}"

    def joined(self, *parts: str) -> "Fingerprint":
        """Return the combined fingerprint of this and other parts."""
        return self._replace(shape=_digest([self.shape, *parts], 8))

    def matches(self, stored: str) -> bool | None:
        """Tell whether a stored fingerprint describes the same source; None if that cannot be known.

        It cannot where either was made without the source, or the stored one in the form of an older leftfold.
        """
        if not is_in_form(stored):
            return None
        _, shape, code = stored.split(":")
        if shape == self.shape and UNKNOWN in (code, self.code or UNKNOWN):
            return None
        return (shape, code) == (self.shape, self.code)


def is_in_form(stored: str) -> bool:
    """Tell whether a stored fingerprint has today's form, not that of an older leftfold."""
    return stored.startswith(f"{FORM}:")


def fingerprint(owner: type, events: Iterable[MessageType]) -> Fingerprint:
    """Compute a model's fingerprint from the source of its fields and methods and its events' versions.

    Functions, classes and constants of the model's own module that its methods name are part of it, and so are the
    fields of the classes that its fields hold. What the methods name in other modules is not; neither are comments,
    docstrings, formatting and the names of parameters.
    """
    walk = _Walk()
    home = _home_of(owner, None)
    walk.shape(owner, home)
    walk.events(events, home)
    walk.model(owner, home)
    return walk.result()


def fingerprint_of_function(function: FunctionType, events: Iterable[MessageType]) -> Fingerprint:
    """Compute the fingerprint of a function that handles events, including what it names in its module."""
    walk = _Walk()
    home = _Home(function.__globals__, source_of(function))
    walk.events(events, home)
    walk.function(function)
    walk.contained(function, home)
    return walk.result()


class _Home(NamedTuple):
    """A module: its names, and its source if available."""

    names: Mapping[str, Any]
    source: ModuleSource | None

    def owns(self, owner: type) -> bool:
        return owner.__module__ == self.names.get("__name__")


class _Walk:
    """Visits everything that a model's results depend on, each thing once."""

    def __init__(self) -> None:
        self._shape: list[str] = []
        self._form = SourceForm()
        self._seen: dict[Any, Any] = {}
        self._without_source = False

    def result(self) -> Fingerprint:
        """Return the fingerprint of everything visited."""
        code = "" if self._without_source else _digest([self._form.text()], 16)
        return Fingerprint(_digest(self._shape, 8), code)

    # --- shape

    def shape(self, owner: type, home: _Home) -> None:
        """Add the types of the fields, and the fields of the classes they name."""
        for name, hint in hints_if_known(owner).items():
            self._shape.append(f"{name}:{type_form(hint)}")
            self._tag_functions(hint)
            for each in types_in(hint):
                self._shape_of_type(each, home)

    def _tag_functions(self, hint: Any) -> None:
        """Add the functions of tags, from any module: they say which events belong to a key."""
        for tag in tags_in(hint):
            if isinstance(tag.by, FunctionType):
                self.function(tag.by)

    def events(self, events: Iterable[MessageType], home: _Home) -> None:
        """Add the versions of events, and the code of their classes if those are in the same module."""
        for event in sorted(events, key=attrgetter("wire")):
            self._shape.append(f"{event.wire} v{event.version}")
            if home.owns(event.owner):
                self._own_class(event.owner, home)

    def _shape_of_type(self, owner: type, home: _Home) -> None:
        if self._is_met("shape", owner):
            return
        self._shape.extend(f"{name_of(owner)}.{name}={value_form(value)}" for name, value in members_of(owner))
        if has_fields(owner):
            self._shape.append(name_of(owner))
            self.shape(owner, home)
        if home.owns(owner):
            self._own_class(owner, home)

    # --- functions

    def function(self, function: FunctionType, *, decorated: bool = False) -> None:
        """Add a function and what it names."""
        if self._is_met("function", function):
            return
        home = _Home(function.__globals__, source_of(function))
        nodes = _nodes_of(function)
        if not nodes:
            self._without_source = True
            return
        free = self._form.write(nodes, decorators=decorated)
        if "<locals>" in function.__qualname__:
            self._form.note(value_form([function.__defaults__, function.__kwdefaults__]))
        self._names(free, home, _closure_of(function))

    def _names(self, names: Iterable[str], home: _Home, closure: Mapping[str, Any]) -> None:
        for name in names:
            if name in closure:
                self._form.note(f"{name}={value_form(closure[name])}")
                self.contained(closure[name], home)
            elif name in home.names and not (name.startswith("__") and name.endswith("__")):
                self._global(name, home.names[name], home)

    def _global(self, name: str, value: Any, home: _Home) -> None:
        """Add what a name refers to: by its source if its module defines it, else by name alone."""
        if self._is_met((id(home.names), name), home.names):
            return
        self._form.note(name)
        if isinstance(value, FunctionType | type):
            self._form.note(name_of(value))
        elif isinstance(value, ModuleType):
            self._form.note(value.__name__.rpartition(".")[2])
        statements = home.source.values(name) if home.source else ()
        for statement in statements:
            self._names(self._form.write(statement), home, {})
        imported = home.source is not None and name in home.source.imported
        if not statements and (not imported or type(value) in CONSTANTS):
            self._form.note(value_form(value))
        if not imported:
            self.contained(value, home)

    def contained(self, value: Any, home: _Home) -> None:
        """Add the functions and classes of the module that a value is, wraps or holds."""
        if is_a(value, type):
            if home.owns(value):
                self._own_class(value, home)
            return
        if is_a(value, FunctionType) and value.__globals__ is home.names:
            self.function(value)
        if is_a(value, ModuleType) or type(value) in SHOWN or self._is_met("value", value):
            return
        for inner in _wrapped_by(value):
            if isinstance(inner, FunctionType) and inner.__globals__ is home.names:
                self.function(inner, decorated=True)
        for inner in (*_wrapped_by(value), *_held_by(value)):
            self.contained(inner, home)
        kind: Any = value.__class__
        if home.owns(kind):
            self._own_class(kind, home)

    # --- classes

    def model(self, owner: type, home: _Home) -> None:
        """Add the class of a model and its base classes, from any module."""
        self._seen["class", id(owner)] = owner
        for base in owner.__mro__:
            if base is owner or not (base in BASES or CHECK in vars(base) or _is_of_python(base)):
                self._class(base, _home_of(base, home))

    def _own_class(self, owner: type, home: _Home) -> None:
        if self._is_met("class", owner):
            return
        for base in owner.__mro__:
            if home.owns(base):
                self._class(base, home)

    def _class(self, owner: type, home: _Home) -> None:
        if self._is_met("statement", owner):
            return
        bases: Iterable[Any] = vars(owner).get("__orig_bases__", owner.__bases__)
        self._form.note(f"class {name_of(owner)}({', '.join(map(type_form, bases))})")
        is_message = "__wire__" in vars(owner)
        is_model = hasattr(owner, CHECK)
        if has_fields(owner) and not (is_message and not is_model):
            hints = hints_if_known(owner)
            self._form.note(", ".join(f"{name}:{type_form(hint)}" for name, hint in hints.items()))
        functions = [each for each in _functions_of(owner) if each.__globals__ is home.names]
        written = [each for each in functions if _nodes_of(each)]
        nodes = home.source.classes(owner, written) if home.source else ()
        closure = {name: value for each in functions for name, value in _closure_of(each).items()}
        for node in nodes:
            free = self._form.write_class(node, fields=is_model or not is_message, decorators=not is_message)
            self._names(free, home, closure)
        if not nodes or "<locals>" in owner.__qualname__:
            self._attributes(owner, home, with_fields=is_model or not is_message)
        inside = {each for node in nodes for each in written if is_in(node, each.__code__.co_firstlineno)}
        for function in _functions_of(owner):
            if function not in inside and not _is_generated(function, owner):
                self.function(function)

    def _attributes(self, owner: type, home: _Home, *, with_fields: bool) -> None:
        """Add a class that has no known class statement: its members, constants and field defaults."""
        self._form.note(", ".join(f"{name}={value_form(value)}" for name, value in members_of(owner)))
        for name, value in sorted(vars(owner).items()):
            if not name.startswith("_") and not _function_in(value) and not hasattr(value, "__set__"):
                self._form.note(f"{name}={value_form(value)}")
                self.contained(value, home)
        if with_fields and issubclass(owner, msgspec.Struct):
            for field in msgspec.structs.fields(owner):
                self._form.note(f"{field.name}={value_form([field.default, field.default_factory])}")
                self.contained(field.default_factory, home)

    def _is_met(self, kind: Any, found: Any) -> bool:
        """Tell whether an object was visited before; it is kept alive so that no other object reuses its id."""
        if (kind, id(found)) in self._seen:
            return True
        self._seen[kind, id(found)] = found
        return False


def _held_by(value: Any) -> Iterator[Any]:
    """Yield what a container or a method holds."""
    if isinstance(value, dict):
        yield from value
        yield from value.values()
    elif isinstance(value, CONTAINERS):
        yield from value
    elif isinstance(value, functools.partial):
        yield from (value.func, value.args, value.keywords)
    elif isinstance(value, MethodType):
        yield from (value.__func__, value.__self__)


def _wrapped_by(value: Any) -> list[Any]:
    """Return the functions that a decorated function calls, including those of `functools.singledispatch`."""
    found: list[Any] = []
    if isinstance(value, FunctionType):
        found = [each for each in _closure_of(value).values() if isinstance(each, FunctionType)]
    wrapped = getattr(value, "__wrapped__", None) if callable(value) else None
    if isinstance(wrapped, FunctionType):
        found.append(wrapped)
    registry: Any = getattr(value, "registry", None)
    if isinstance(value, FunctionType) and is_a(registry, Mapping):
        found.extend(each for pair in registry.items() for each in pair)
    return found


def _functions_of(owner: type) -> Iterator[FunctionType]:
    """Yield the functions among the attributes of a class: of methods, properties, class and static methods."""
    for name, value in sorted(vars(owner).items()):
        if not name.startswith("__annot"):
            yield from _function_in(value)


def _function_in(value: Any) -> list[FunctionType]:
    """Return the function that an attribute is or holds, and the functions it wraps."""
    found: list[FunctionType] = []
    held = HOLDING if is_a(value, *DESCRIPTORS) else ()
    for each in (value, *(getattr(value, name, None) for name in held)):
        wrapped = each if isinstance(each, FunctionType) else getattr(each, "__wrapped__", None)
        while isinstance(wrapped, FunctionType) and wrapped not in found:
            found.append(wrapped)
            wrapped = getattr(wrapped, "__wrapped__", None)
    return found


def _is_generated(function: FunctionType, owner: type) -> bool:
    """Tell whether a library generated a function of a class; its behaviour follows from the fields."""
    elsewhere = function.__globals__.get("__name__") != owner.__module__
    name = function.__name__
    return elsewhere or (name.startswith("__") and name.endswith("__") and not _nodes_of(function))


def _nodes_of(function: FunctionType) -> Sequence[ast.AST]:
    """Find where a function is defined; return nothing if its source is not available."""
    source = source_of(function)
    return source.functions(function) if source else ()


def _closure_of(function: FunctionType) -> dict[str, Any]:
    """Return the closure variables that a function names and that have a value."""
    found: dict[str, Any] = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            found[name] = cell.cell_contents
        except ValueError:
            continue
    found.pop("__class__", None)
    return found


def _home_of(owner: type, near: _Home | None) -> _Home:
    """Return the module of a class, found through one of its functions if it has any."""
    for function in _functions_of(owner):
        if function.__globals__.get("__name__") == owner.__module__ and _nodes_of(function):
            return _Home(function.__globals__, source_of(function))
    if near is not None and near.owns(owner):
        return near
    module = sys.modules.get(owner.__module__)
    return (
        _Home(vars(module), source_of_module(vars(module))) if module else _Home({"__name__": owner.__module__}, None)
    )


def _is_of_python(owner: type) -> bool:
    module = owner.__module__.partition(".")[0]
    return module in sys.stdlib_module_names or module in ("leftfold", "msgspec")


def _digest(parts: Iterable[str], size: int) -> str:
    digest = blake2b(digest_size=size)
    for part in parts:
        digest.update(part.encode(errors="surrogatepass") + b";")
    return digest.hexdigest()

"""What an app has, by the names and the texts of the command line."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec
import typer

from leftfold.app import App
from leftfold.cli.arguments import VERBS, what_moved
from leftfold.errors import UnknownName
from leftfold.model.fold import Fold
from leftfold.parked import Subject

T = TypeVar("T")


def named(kind: str, name: str, known: Mapping[str, T]) -> T:
    """Return what has this name."""
    if name in known:
        return known[name]
    if name in (*VERBS, "show"):
        raise typer.BadParameter(f"{name!r} is not the name of a {kind}. {what_moved(name)}")
    raise UnknownName(kind, name, sorted(known))


def model_named(app: App, name: str) -> Fold:
    """Return the decision model or read model of this name."""
    folds = (*app.decision_models, *(each.fold for each in app.read_models.values()))
    return named("decision model or read model", name, {fold.name: fold for fold in folds})


def key_from(fold: Fold, texts: Sequence[str]) -> tuple[Any, ...]:
    """Return the model's key; one of the wrong length is refused by the model."""
    if len(texts) != len(fold.key):
        return tuple(texts)
    return tuple(_value(part.name, part.value_type, text) for part, text in zip(fold.key, texts, strict=True))


def key_of(subject: Subject, texts: Sequence[str]) -> tuple[Any, ...]:
    """Return the key of parked work: of a row or an instance, the position of an event, or ids of tickets."""
    match subject.kind:
        case "projection" | "process" if texts:
            return key_from(subject.definition.fold, texts)
        case "reactor":
            return tuple(_value("position", int, text) for text in texts)
        case _:
            return tuple(texts)


def query_named(app: App, name: str, fields: Mapping[str, Any]) -> Any:
    """Return the query of this name, with its fields read from their texts."""
    owner = named("query", name, {owner.__qualname__: owner for owner in app.query_handlers})
    known = list(inspect.signature(owner).parameters)
    unknown = [field for field in fields if field not in known]
    if unknown:
        raise typer.BadParameter(f"{name} has no field {unknown[0]!r}; it has {', '.join(known) or 'none'}")
    return _converted(name, owner, fields)


def _converted(name: str, owner: Any, fields: Mapping[str, Any]) -> Any:
    """Read the fields as texts; where these do not fit, as JSON: lists and objects, for instance."""
    own = getattr(owner, "model_validate", None)
    try:
        return own(fields) if own else msgspec.convert(fields, owner, strict=False)
    except ValueError as error:
        try:
            return msgspec.convert({name: _as_json(text) for name, text in fields.items()}, owner, strict=False)
        except ValueError:
            raise typer.BadParameter(f"{name}: {error}") from None


def _as_json(text: Any) -> Any:
    try:
        return msgspec.json.decode(text)
    except (ValueError, TypeError):
        return text


def _value(name: str, wanted: Any, text: str) -> Any:
    try:
        return msgspec.convert(text, wanted, strict=False)
    except ValueError as error:
        raise typer.BadParameter(f"the key's {name}, {text!r}: {error}") from None

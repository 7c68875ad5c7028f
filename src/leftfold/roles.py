"""Roles: what of an app one process does in the background."""

from collections.abc import Collection, Iterable, Mapping
from typing import Literal, TypeVar, get_args

from leftfold.errors import UnknownReadModel, UnknownRole

Role = Literal["commands", "processes", "reactors", "projections"]
ROLES: tuple[Role, ...] = get_args(Role)
T = TypeVar("T")


def roles_of(work: bool | Collection[Role]) -> frozenset[Role]:
    """The roles that are meant: all for True, none for False; `UnknownRole` for anything else than a role."""
    if isinstance(work, bool):
        return frozenset(ROLES if work else ())
    for role in (work,) if isinstance(work, str) else work:
        if isinstance(work, str) or role not in ROLES:
            raise UnknownRole(role, ROLES)
    return frozenset(work)


def chosen(only: Iterable[type | str], names: Mapping[T, Collection[object]]) -> list[T]:
    """Those that are meant by one of their names, in their order; `UnknownReadModel` for what none is called."""
    wanted = list(only)
    known = {name for called in names.values() for name in called}
    for each in wanted:
        if each not in known:
            listed = sorted(str(next(iter(called))) for called in names.values())
            raise UnknownReadModel(each if isinstance(each, str) else getattr(each, "__qualname__", repr(each)), listed)
    return [one for one, called in names.items() if any(each in called for each in wanted)]

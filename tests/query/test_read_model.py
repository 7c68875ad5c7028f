"""Read models as they are defined: keys, tables, fingerprints, and what is refused."""

from typing import Annotated, Any, Self
from uuid import UUID

import pytest

from leftfold import NonKey, Tag
from leftfold.errors import InvalidModel, TaglessEvent
from leftfold.model.fold import fold_of
from leftfold.model.message import Event, MessageType
from leftfold.query import ReadModel, ReadModelDefinition, ReadSide
from leftfold.query.event_keys import key_reader
from leftfold.store import MemoryStore
from tests.query.bank import IN_MEMORY, AccountId, Balance, Deposited, Opened, Transferred, Turnover, registry_of

AirportId = Annotated[str, Tag("airport")]


class Departed(Event):
    origin: AirportId
    destination: AirportId


class Shared(Event):
    accounts: list[AccountId]


class MaybeOpened(Event):
    account: AccountId | None


class Route(ReadModel):
    origin: AirportId
    destination: AirportId

    def evolve(self, event: Departed) -> Self:
        return self


class Pair(ReadModel):
    one: AccountId
    other: AccountId

    def evolve(self, event: Transferred) -> Self:
        return self


class Holding(ReadModel):
    account: AccountId
    amount: int = 0

    def evolve(self, event: Opened | Transferred | Shared | MaybeOpened) -> Self:
        return self


class HTTPRequestCount(ReadModel):
    total: int = 0

    def evolve(self, event: Opened) -> Self:
        return self


def keys_in(model: type[ReadModel], event: Any) -> list[tuple[Any, ...]]:
    return list(key_reader(fold_of(model), MessageType(type(event)))(event))


def test_an_event_concerns_the_row_of_its_tag() -> None:
    assert keys_in(Holding, Opened("a")) == [("a",)]


def test_an_event_with_two_values_of_the_tag_concerns_two_rows() -> None:
    assert keys_in(Holding, Transferred("a", "b", 1)) == [("a",), ("b",)]


def test_a_value_that_an_event_carries_twice_concerns_one_row() -> None:
    assert keys_in(Holding, Transferred("a", "a", 1)) == [("a",)]


def test_each_value_of_a_collection_concerns_a_row() -> None:
    assert keys_in(Holding, Shared(["a", "b", "a"])) == [("a",), ("b",)]


def test_an_event_without_a_value_concerns_no_row() -> None:
    assert keys_in(Holding, MaybeOpened(None)) == []


def test_parts_of_a_key_with_one_tag_are_told_apart_by_the_fields_names() -> None:
    assert keys_in(Route, Departed("JFK", "BOS")) == [("JFK", "BOS")]


def test_without_fields_of_these_names_every_pair_is_concerned() -> None:
    assert keys_in(Pair, Transferred("a", "b", 1)) == [("a", "a"), ("a", "b"), ("b", "a"), ("b", "b")]


def test_a_model_without_tagged_fields_has_one_row() -> None:
    assert keys_in(Turnover, Deposited("a", 1)) == [()]


def test_the_table_is_named_after_the_class() -> None:
    assert ReadModelDefinition(HTTPRequestCount).tables == ("http_request_count",)
    assert ReadModelDefinition(Balance, history=True).tables == ("balance", "balance_history")


def test_a_definition_shows_its_tables() -> None:
    definition = ReadModelDefinition(Balance, history=True)

    assert repr(definition) == "<ReadModelDefinition Balance in balance and balance_history>"


def test_keeping_history_changes_the_fingerprint() -> None:
    assert ReadModelDefinition(Balance).fingerprint() == ReadModelDefinition(Balance).fingerprint()
    assert ReadModelDefinition(Balance).fingerprint() != ReadModelDefinition(Balance, history=True).fingerprint()


def test_an_event_that_lacks_part_of_the_key_is_refused() -> None:
    with pytest.raises(TaglessEvent) as caught:

        class Enrolled(ReadModel):  # pyright: ignore[reportUnusedClass]
            account: AccountId
            airport: AirportId

            def evolve(self, event: Opened) -> Self:
                return self

    assert (caught.value.model, caught.value.event, caught.value.missing) == ("Enrolled", "Opened", ("airport",))


def test_a_collection_cannot_be_a_key() -> None:
    with pytest.raises(InvalidModel, match="accounts is a collection"):

        class Group(ReadModel):  # pyright: ignore[reportUnusedClass]
            accounts: list[AccountId]

            def evolve(self, event: Opened) -> Self:
                return self


def test_a_collection_that_is_not_part_of_the_key_is_a_column() -> None:
    class Person(ReadModel):
        account: AccountId
        others: Annotated[tuple[AccountId, ...], NonKey] = ()

        def evolve(self, event: Opened) -> Self:
            return self

    assert [part.name for part in fold_of(Person).key] == ["account"]


def test_key_and_event_must_have_the_same_type() -> None:
    with pytest.raises(InvalidModel, match=r"Numbered.account is UUID, Opened.account is str"):

        class Numbered(ReadModel):  # pyright: ignore[reportUnusedClass]
            account: Annotated[UUID, Tag("account")]

            def evolve(self, event: Opened) -> Self:
                return self


def test_a_model_with_history_cannot_use_the_names_of_its_columns() -> None:
    class Lease(ReadModel):
        account: AccountId
        valid_from: int = 0

        def evolve(self, event: Opened) -> Self:
            return self

    assert ReadModelDefinition(Lease).table == "lease"
    with pytest.raises(InvalidModel, match="Lease has the field valid_from"):
        ReadModelDefinition(Lease, history=True)


def test_two_models_in_one_table_are_refused() -> None:
    class BalanceHistory(ReadModel):
        account: AccountId

        def evolve(self, event: Opened) -> Self:
            return self

    definitions = [ReadModelDefinition(Balance, history=True), ReadModelDefinition(BalanceHistory)]
    with pytest.raises(InvalidModel, match="both kept in the table 'balance_history'"):
        ReadSide(MemoryStore(), registry_of(), definitions, IN_MEMORY)

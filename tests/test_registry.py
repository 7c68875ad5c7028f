"""Wire names to classes, and every stored form of an event to its present one."""

from typing import Annotated, Any, Self

import pytest

from leftfold import App, Command, DecisionModel, Event, Tag, replace
from leftfold.errors import CannotDecode, DefinitionError
from leftfold.model.criteria import Criteria, CriteriaItem
from leftfold.model.record import NewEvent, StoredColumns, StoredEvent
from leftfold.model.registry import Registry
from leftfold.store import MemoryStore

AccountId = Annotated[str, Tag("account")]
Data = dict[str, Any]


class Opened(Event, wire="account.opened", version=4):
    account: AccountId
    owner: str
    currency: str
    limit: int


class Account(DecisionModel):
    account: AccountId
    owners: tuple[str, ...] = ()

    def evolve(self, event: Opened) -> Self:
        return replace(self, owners=(*self.owners, event.owner))


class Open(Command):
    account: AccountId
    owner: str


def app_with_upcasters() -> App:
    """`account.created` v1 had a name; v2 had an owner; it became `account.opened` v3 with a currency, then a limit."""
    app = App("bank")

    @app.handles
    def open_account(command: Open, account: Account) -> Opened:
        return Opened(command.account, command.owner, "EUR", 0)

    @app.upcasts("account.created", 1)
    def a_name_became_an_owner(data: Data) -> Data:
        return {"account": data["account"], "owner": data["name"]}

    @app.upcasts("account.created", 2, to="account.opened")
    def a_currency_was_added(data: Data) -> Data:
        return {**data, "currency": "DEM"}

    @app.upcasts("account.opened", 3)
    def a_limit_was_added(data: Data) -> Data:
        return {**data, "limit": 100}

    return app


OLD_FORMS = [
    NewEvent("account.created", b'{"account":"a","name":"v1"}', ("account:a",), 1),
    NewEvent("account.created", b'{"account":"a","owner":"v2"}', ("account:a",), 2),
    NewEvent("account.opened", b'{"account":"a","owner":"v3","currency":"EUR"}', ("account:a",), 3),
    NewEvent("account.opened", b'{"account":"a","owner":"v4","currency":"USD","limit":7}', ("account:a",), 4),
]


def as_stored(record: NewEvent, position: int = 1) -> StoredEvent:
    return StoredEvent(position, 0, record.type, record.version, record.data, record.metadata, record.tags)


# --- versions


@pytest.mark.parametrize(
    ("form", "event"),
    [
        (OLD_FORMS[0], Opened("a", "v1", "DEM", 100)),
        (OLD_FORMS[1], Opened("a", "v2", "DEM", 100)),
        (OLD_FORMS[2], Opened("a", "v3", "EUR", 100)),
        (OLD_FORMS[3], Opened("a", "v4", "USD", 7)),
    ],
)
def test_upcasters_are_chained_from_any_version(form: NewEvent, event: Opened) -> None:
    assert app_with_upcasters().registry.decode(as_stored(form)) == event


async def test_events_of_every_form_are_found_by_the_criteria_of_the_present_type() -> None:
    store = MemoryStore()
    await store.append(OLD_FORMS)

    async with app_with_upcasters().open(store) as live:
        await live.execute(Open("a", "new"))

        assert (await live.state(Account, "a")).owners == ("v1", "v2", "v3", "v4", "new")
        assert [step.position for step in await live.explain(Account, "a")] == [1, 2, 3, 4, 5]


async def test_a_decision_conflicts_with_an_event_of_a_former_name() -> None:
    store = MemoryStore()
    async with app_with_upcasters().open(store) as live:
        await live.execute(Open("a", "first"))
        await store.append(OLD_FORMS[:1])

        await live.execute(Open("a", "second"))

        assert (await live.state(Account, "a")).owners == ("first", "v1", "second")


def test_a_version_from_the_future_cannot_be_decoded() -> None:
    later = NewEvent("account.opened", b"{}", ("account:a",), 5)

    with pytest.raises(CannotDecode, match="the code knows versions up to 4") as refused:
        app_with_upcasters().registry.decode(as_stored(later, position=17))

    assert (refused.value.wire, refused.value.version, refused.value.position) == ("account.opened", 5, 17)


def test_a_version_without_an_upcaster_cannot_be_decoded() -> None:
    registry = Registry()
    registry.add(Opened)

    with pytest.raises(CannotDecode, match="there is no upcaster from version 3"):
        registry.decode(as_stored(OLD_FORMS[2]))


def test_a_gap_in_the_chain_cannot_be_decoded() -> None:
    registry = Registry()
    registry.add(Opened)
    registry.upcast("account.opened", 1, lambda data: data)
    registry.upcast("account.opened", 3, lambda data: data)

    with pytest.raises(CannotDecode, match="there is no upcaster from version 2"):
        registry.decode(StoredEvent(1, 0, "account.opened", 1, b"{}", b"{}", ()))


@pytest.mark.parametrize("data", [b"{}", b"not json", b'{"account":"a","owner":7,"currency":"EUR","limit":1}'])
def test_data_that_does_not_fit_cannot_be_decoded(data: bytes) -> None:
    broken = StoredEvent(3, 0, "account.opened", 4, data, b"{}", ())

    with pytest.raises(CannotDecode) as refused:
        app_with_upcasters().registry.decode(broken)

    assert (refused.value.position, refused.value.__cause__ is not None) == (3, True)


def test_an_upcaster_that_does_not_find_what_it_needs_is_named_with_the_event() -> None:
    broken = StoredEvent(3, 0, "account.created", 1, b'{"account":"a"}', b"{}", ())

    with pytest.raises(CannotDecode, match="'name'") as refused:
        app_with_upcasters().registry.decode(broken)

    assert (refused.value.wire, refused.value.version, refused.value.position) == ("account.created", 1, 3)


def test_a_second_upcaster_of_a_version_is_refused() -> None:
    app = app_with_upcasters()

    with pytest.raises(DefinitionError, match=r"two upcasters take 'account\.opened' from version 3"):
        app.upcasts("account.opened", 3)(lambda data: data)


def test_an_upcaster_may_be_registered_after_events_were_decoded() -> None:
    registry = Registry()
    registry.add(Opened)
    with pytest.raises(CannotDecode):
        registry.decode(as_stored(OLD_FORMS[2]))

    registry.upcast("account.opened", 3, lambda data: {**data, "limit": 1})

    assert registry.decode(as_stored(OLD_FORMS[2])) == Opened("a", "v3", "EUR", 1)


# --- names


def test_a_renamed_type_is_decoded_version_for_version() -> None:
    registry = Registry()
    registry.add(Opened)
    registry.rename("konto.opened", "konto.eröffnet")
    registry.rename("konto.eröffnet", "account.opened")

    event = registry.decode(StoredEvent(1, 0, "konto.opened", 4, OLD_FORMS[3].data, b"{}", ()))

    assert event == Opened("a", "v4", "USD", 7)
    assert registry.names_of("account.opened") == {"account.opened", "konto.eröffnet", "konto.opened"}


def test_a_renamed_type_is_upcast_by_the_steps_of_its_present_name() -> None:
    registry = Registry()
    registry.add(Opened)
    registry.rename("konto.opened", "account.opened")
    registry.upcast("account.opened", 3, lambda data: {**data, "limit": 1})

    event = registry.decode(StoredEvent(1, 0, "konto.opened", 3, OLD_FORMS[2].data, b"{}", ()))

    assert event == Opened("a", "v3", "EUR", 1)


def test_criteria_of_present_types_include_their_former_names_and_keep_their_tags() -> None:
    registry = Registry()
    registry.rename("a.old", "a")
    registry.rename("a.older", "a.old")

    stored = registry.stored(Criteria(CriteriaItem(["a", "b"], ["x:1"]), CriteriaItem(tags=["y:2"])))

    assert stored == Criteria(CriteriaItem(["a", "a.old", "a.older", "b"], ["x:1"]), CriteriaItem(tags=["y:2"]))


@pytest.mark.parametrize("names", [[("a", "a")], [("a", "b"), ("b", "a")], [("a", "b"), ("b", "c"), ("c", "a")]])
def test_names_that_lead_in_a_circle_are_refused(names: list[tuple[str, str]]) -> None:
    registry = Registry()
    *first, last = names
    for old, new in first:
        registry.rename(old, new)

    with pytest.raises(DefinitionError):
        registry.rename(*last)


# --- unknown types


async def test_unknown_types_are_passed_over_and_counted() -> None:
    store = MemoryStore()
    await store.append([NewEvent("from.elsewhere", b"not json", ("account:a",)), OLD_FORMS[3]])
    app = app_with_upcasters()

    class Everything(DecisionModel):
        account: AccountId
        count: int = 0

        def criteria(self) -> Criteria:
            return Criteria(CriteriaItem(tags=[f"account:{self.account}"]))

        def evolve(self, event: Opened) -> Self:
            return replace(self, count=self.count + 1)

    async with app.open(store) as live:
        state = await live.state(Everything, "a")
        await live.explain(Everything, "a")

    assert state.count == 1
    assert app.registry.unknown == {"from.elsewhere": 1}, "each event once, however often it is read"


async def test_an_unknown_event_is_counted_once_whichever_way_it_is_read() -> None:
    store = MemoryStore()
    await store.append([NewEvent("from.elsewhere", b""), NewEvent("from.afar", b""), NewEvent("from.elsewhere", b"")])
    events = [event async for batch in store.read() for event in batch.events]
    registry = Registry()

    for _ in range(2):
        registry.decode_all(events[:1])
        for event in events:
            registry.decode(event)
        registry.decode_all(events)

    assert registry.unknown == {"from.elsewhere": 2, "from.afar": 1}


async def test_an_event_that_cannot_be_decoded_is_a_finding() -> None:
    store = MemoryStore()
    await store.append([OLD_FORMS[3], NewEvent("account.opened", b"{}", (), 9)])

    async with app_with_upcasters().open(store) as live:
        [verified] = await live.verify()

    assert not verified.ok
    assert [finding.position for finding in verified.findings] == [2]
    assert "the code knows versions up to 4" in verified.findings[0].problem


# --- tags


def test_an_event_carries_each_tag_once_in_the_order_of_its_fields() -> None:
    class Merged(Event):
        into: AccountId
        accounts: list[AccountId]
        note: str
        referrer: AccountId | None = None

    registry = Registry()

    assert registry.encode(Merged("a", ["b", "a", "c"], "x:y"), b"{}").tags == ("account:a", "account:b", "account:c")
    assert registry.encode(Merged("a", [], "", "d"), b"{}").tags == ("account:a", "account:d")


def test_the_known_types_are_listed_by_name() -> None:
    assert repr(app_with_upcasters().registry.types) == "(<MessageType account.opened v4>,)"


# --- many events at once


class Noted(Event, wire="noted"):
    text: str


class Counted(Event, wire="counted"):
    number: int


def in_columns(*events: tuple[str, int, bytes]) -> StoredColumns:
    """Return events of these types, versions and data, from position 11 on."""
    lines = b"\n".join(data for _, _, data in events)
    return StoredColumns(range(11, 11 + len(events)), [(type, version) for type, version, _ in events], lines)


def registry_of(*types: type[Event]) -> Registry:
    registry = Registry()
    for each in types:
        registry.add(each)
    return registry


def test_columns_are_decoded_like_their_events_one_by_one_in_order() -> None:
    registry = registry_of(Noted, Counted)
    columns = in_columns(
        *[("noted", 1, b'{"text":"%d"}' % n) if n % 3 else ("counted", 1, b'{"number":%d}' % n) for n in range(50)]
    )

    assert registry.decode_all(columns) == [registry.decode(stored) for stored in columns]


def test_columns_of_old_versions_are_upcast() -> None:
    app = app_with_upcasters()
    columns = in_columns(
        ("account.created", 1, b'{"account":"a","name":"Ann"}'),
        ("account.opened", 4, b'{"account":"a","owner":"Bob","currency":"EUR","limit":1}'),
        ("account.created", 1, b'{"account":"a","name":"Cid"}'),
    )

    assert [event.owner for event in app.registry.decode_all(columns)] == ["Ann", "Bob", "Cid"]


def test_events_of_unknown_types_in_columns_are_passed_over_and_counted_once() -> None:
    registry = registry_of(Counted)
    columns = in_columns(*[("gone", 1, b"not JSON"), ("counted", 1, b'{"number":1}')] * 5)

    assert registry.decode_all(columns) == registry.decode_all(columns) == [Counted(1)] * 5
    assert registry.unknown == {"gone": 5}


@pytest.mark.parametrize(
    "damaged",
    [
        [b'{"number":1}{"number":2}', b""],
        [b"", b'{"number":1}{"number":2}'],
        [b'{"number":', b"1}"],
        [b'{"number":', b'1}{"number":2}'],
        [b'{"number":1', b'"x":2}', b'{"number":3}{"number":4}'],
        [b'{"number":1,"x":{}', b'{"number":2}}'],
        [b'{"x":"}', b'{","number":1}'],
        [b'{"number":"1"}'],
        [b"1"],
        [b"\xff"],
    ],
)
def test_an_event_in_columns_that_cannot_be_decoded_is_named(damaged: list[bytes]) -> None:
    registry = registry_of(Counted)
    columns = in_columns(*[("counted", 1, data) for data in (b'{"number":7}', *damaged, b'{"number":8}')])

    with pytest.raises(CannotDecode) as refused:
        registry.decode_all(columns)

    assert refused.value.position == 12


def test_the_first_event_in_columns_that_cannot_be_decoded_is_named_whatever_its_type() -> None:
    registry = registry_of(Noted, Counted)
    columns = in_columns(
        ("noted", 1, b'{"text":"1"}'), ("counted", 9, b"{}"), ("noted", 1, b"{}"), ("counted", 1, b'{"number":1}')
    )

    with pytest.raises(CannotDecode, match="the code knows versions up to 1") as refused:
        registry.decode_all(columns)

    assert refused.value.position == 12


def test_columns_are_a_sequence_of_events() -> None:
    columns = in_columns(*[("noted", n, b"%d" % n) for n in range(5)])
    events = list(columns)

    assert events[0] == columns[0] == StoredEvent(11, 0, "noted", 0, b"0", b"", ())
    assert columns[-1] == events[-1]
    assert list(columns[1:3]) == events[1:3]
    assert list(columns[5:]) == []
    assert (len(columns), columns.size) == (5, 5)
    assert (len(columns[5:]), columns[5:].size) == (0, 0)

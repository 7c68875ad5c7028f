"""Full-text search: it finds the rows whose texts have all words, whatever text is asked for."""

import asyncio
import re
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from random import Random
from typing import Annotated, Any, Self

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leftfold import (
    App,
    Event,
    Found,
    Query,
    ReadModel,
    ReadModels,
    SyncLive,
    Tag,
    Text,
    open_store,
    open_store_sync,
    replace,
)
from leftfold.errors import InvalidModel, UsageError
from leftfold.model.registry import Registry
from leftfold.query.folded_log import FoldedLog
from leftfold.query.rebuild import rebuild
from leftfold.query.searching import snippet_of
from leftfold.query.tables.models_database import ModelsDatabase
from leftfold.query.tables.texts import drop_texts
from tests.query.places import Place, outside, place, url

__all__ = ["place", "url"]

ArticleId = Annotated[str, Tag("article")]
PartId = Annotated[int, Tag("part")]
EXAMPLES = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Written(Event):
    article: ArticleId
    part: PartId
    title: str
    body: str | None


class Withdrawn(Event):
    article: ArticleId
    part: PartId


class Ask(Query[Any]):
    number: int


Question = Callable[[ReadModels], Any]
asked: list[Question] = []


MARKER = Text()


def press(*, version: int = 1, text: Any = MARKER, **options: Any) -> tuple[App, type[Any]]:
    """An app with a table of articles, and its read model."""
    app = App("press")

    @app.read_model(version=version, **options)
    class Article(ReadModel):
        article: ArticleId
        part: PartId
        title: Annotated[str, text] = ""
        body: Annotated[str | None, text] = None
        changes: int = 0

        def evolve(self, event: Written | Withdrawn) -> Self | None:
            if isinstance(event, Withdrawn):
                return None
            return replace(self, title=event.title, body=event.body, changes=self.changes + 1)

    @app.answers
    def answer(query: Ask, models: ReadModels) -> Any:
        return asked[query.number](models)

    return app, Article


WORDS = ["alpha", "beta", "Gamma", "delta", "a1", "42", "naïve", "Straße", "日本", "x"]
MARKS = [" ", "-", ". ", "'", '"', "_", "/", "%", "\n", " AND ", " * ", "(", "…"]


def text_of(random: Random, most: int) -> str:
    return "".join(random.choice(WORDS) + random.choice(MARKS) for _ in range(random.randrange(most)))


def events() -> list[Event]:
    random = Random(3)
    found: list[Event] = []
    for n in range(160):
        key = (f"a-{n % 50}", n % 2)
        if n % 9 == 8:
            found.append(Withdrawn(*key))
        else:
            found.append(Written(*key, text_of(random, 4), random.choice([None, text_of(random, 12)])))
    return found


EVENTS = events()


def rows() -> dict[tuple[str, int], str]:
    """The text of each row after all events."""
    found: dict[tuple[str, int], str] = {}
    for event in EVENTS:
        assert isinstance(event, Written | Withdrawn)
        found.pop((event.article, event.part), None)
        if isinstance(event, Written):
            found[event.article, event.part] = f"{event.title} {event.body or ''}"
    return found


def words_in(text: str) -> set[str]:
    return {word.lower() for word in re.findall(r"[^\W_]+", text)}


def write(log: str, *given: Event) -> int:
    registry = Registry()
    for each in (Written, Withdrawn):
        registry.add(each)
    with open_store_sync(log) as store:
        return store.append([registry.encode(event, b"{}") for event in given]).last


def ask(live: SyncLive, question: Question, **options: Any) -> Any:
    asked.append(question)
    return live.query(Ask(len(asked) - 1), wait_timeout=20, **options)


def keys(found: Sequence[Found[Any]]) -> set[tuple[str, int]]:
    return {(each.row.article, each.row.part) for each in found}


@pytest.fixture
def log(tmp_path: Path) -> str:
    log = f"sqlite:///{tmp_path}/press.db"
    write(log, *EVENTS)
    return log


@pytest.fixture
def press_open(log: str, url: str) -> Iterator[tuple[SyncLive, type[Any]]]:
    app, article = press()
    with app.open_sync(log, models=url) as live:
        ask(live, lambda models: models.count(article), after=len(EVENTS))
        yield live, article


texts = st.text(max_size=20) | st.lists(st.sampled_from([*WORDS, *MARKS, "NOT", "OR", "NEAR("]), max_size=4).map(
    "".join
)


@EXAMPLES
@given(text=texts)
def test_a_search_finds_the_rows_with_all_words_of_any_text(press_open: tuple[SyncLive, type[Any]], text: str) -> None:
    live, article = press_open
    words = words_in(text)
    known = all(word.isascii() or word in words_in(" ".join(WORDS)) for word in words)

    found = ask(live, lambda models: models.search(article, text, limit=1_000))

    expected = {key for key, whole in rows().items() if words <= words_in(whole)} if words else set()
    if known:
        assert keys(found) == expected
    assert [each.score for each in found] == sorted((each.score for each in found), reverse=True)
    for each in found if known else ():
        assert {each.snippet[start:end].lower() for start, end in each.matches} <= words
        assert each.matches


def test_the_best_come_first_and_conditions_and_limits_count(press_open: tuple[SyncLive, type[Any]]) -> None:
    live, article = press_open
    whole = ask(live, lambda models: models.search(article, "alpha", limit=1_000))

    assert ask(live, lambda models: models.search(article, "ALPHA", limit=3)) == whole[:3]
    of_part = ask(live, lambda models: models.search(article, "alpha", limit=1_000, part=1))
    assert keys(of_part) == {key for key in keys(whole) if key[1] == 1}
    changed = ask(live, lambda models: models.search(article, "alpha", where=models.table(article).c.changes > 1))
    assert keys(changed) == {(each.row.article, each.row.part) for each in whole if each.row.changes > 1}


@pytest.mark.parametrize("options", [{}, {"history": True}, {"shards": 3}])
def test_a_search_is_right_after_rebuilds_and_changes(log: str, url: str, options: dict[str, Any]) -> None:
    expected = {key for key, whole in rows().items() if "alpha" in words_in(whole)}

    for version in (1, 2, 3):
        app, article = press(version=version, **options)

        def found(text: str, model: type[Any] = article) -> Question:
            return lambda models: models.search(model, text, limit=1_000)

        with app.open_sync(log, models=url) as live:
            assert keys(ask(live, found("alpha"), after=len(EVENTS))) == expected
            written = [
                Written("new", 0, "zeta", None),
                Written("new", 0, "eta", "theta"),
                Written("gone", 0, "eta", ""),
            ]
            last = write(log, *written, Withdrawn("gone", 0))
            assert keys(ask(live, found("eta"), after=last)) == {("new", 0)}
            assert ask(live, found("zeta")) == []
            assert keys(ask(live, found("theta eta"))) == {("new", 0)}
            last = write(log, Written("new", 0, "eta", None))
            assert ask(live, found("theta"), after=last) == []
            last = write(log, Written("new", 0, "eta", "iota"))
            assert keys(ask(live, found("iota"), after=last)) == {("new", 0)}


def test_nothing_is_left_of_full_text_indexes_that_are_not_used(log: str, url: str, place: Place) -> None:
    def parts() -> list[str]:
        with outside(url) as connection:
            named = "SELECT name FROM sqlite_master WHERE type IN ('table', 'trigger')"
            if not place.is_sqlite:
                named = "SELECT indexname FROM pg_indexes WHERE schemaname = current_schema()"
            names = map(str, connection.execute(sa.text(named)).scalars())
            return [name for name in names if re.search("_ft[0-9a-f]{12}_", name)]

    counts: list[int] = []
    for version in (1, 2, 3, 4):
        app, article = press(version=version)
        with app.open_sync(log, models=url) as live:
            last = write(
                log, Written(f"n-{version}", 0, "alpha", None)
            )  # so that the query waits for the rebuilt table
            ask(live, lambda models, article=article: models.search(article, "alpha"), after=last)
        counts.append(len(parts()))
    app, article = press(version=5, text="no marker")
    with app.open_sync(log, models=url) as live:
        ask(live, lambda models: models.count(article), after=write(log, Written("n-5", 0, "alpha", None)))

    assert counts[1:] == [2 * counts[0]] * 3  # the present table, and the former one
    assert len(parts()) == counts[0]  # that of the former table


def test_a_full_text_index_that_is_missing_is_made_of_the_rows_when_the_app_is_opened(
    log: str, url: str, place: Place
) -> None:
    app, article = press()

    def opened() -> list[Found[Any]]:
        with app.open_sync(log, models=url) as live:
            found: list[Found[Any]] = ask(
                live, lambda models: models.search(article, "alpha", limit=1_000), after=len(EVENTS)
            )
            return found

    before = opened()
    with outside(url) as connection:
        drop_texts(connection, "article")

    assert opened() == before
    write(log, Withdrawn(before[0].row.article, before[0].row.part))
    assert keys(opened()) >= keys(before[1:])


def test_a_full_text_index_of_earlier_code_is_replaced_when_the_app_is_opened(log: str, url: str, place: Place) -> None:
    if place.is_sqlite:
        pytest.skip("SQLite's form is the first one")
    app, article = press()

    def opened() -> list[Found[Any]]:
        with app.open_sync(log, models=url) as live:
            found: list[Found[Any]] = ask(
                live, lambda models: models.search(article, "alpha", limit=1_000), after=len(EVENTS)
            )
            return found

    before = opened()
    digest = blake2b(b"1 title body", digest_size=6).hexdigest()
    with outside(url) as connection:
        drop_texts(connection, "article")
        assert [column["name"] for column in sa.inspect(connection).get_columns("article")][-1] == "changes"
        vector = "to_tsvector('simple'::regconfig, coalesce(title, '') || ' ' || coalesce(body, ''))"
        connection.exec_driver_sql(f"CREATE INDEX article_ft{digest}_0123abcd ON article USING gin ({vector})")

    assert opened() == before
    with outside(url) as connection:
        [index] = [each for each in sa.inspect(connection).get_indexes("article") if "_ft" in str(each["name"])]
        assert index["column_names"] == ["leftfold_words"]
        assert digest not in str(index["name"])


async def test_a_table_with_a_full_text_index_answers_while_other_code_rebuilds_it(log: str, url: str) -> None:
    app, _ = press()
    async with app.open(log, models=url) as live:
        await live.run_until_quiet()
    other, changed = press(version=2)
    definition = other.read_models[changed]

    async with open_store(log) as store:
        database = ModelsDatabase(url, [definition], FoldedLog(store, other.registry))
        due = await asyncio.to_thread(database.due, [definition])
        await asyncio.to_thread(database.close)

    assert due == {definition: len(EVENTS)}  # and not -1, which is for tables that cannot be selected from


async def test_a_rebuild_compares_the_fields_alone(log: str, url: str, place: Place) -> None:
    app, article = press()
    definition = app.read_models[article]
    async with open_store(log) as store:
        async with app.open(store, models=url, work=("projections",)) as live:
            await live.run_until_quiet()
        with outside(url) as connection:
            connection.exec_driver_sql("DELETE FROM article")
        rebuilt = await rebuild(definition, store, app.registry, url)

    assert rebuilt.differences.added > 0
    assert {name for each in rebuilt.differences.added_samples for name in each} == set(article.__struct_fields__)


def test_a_plan_names_the_full_text_index(press_open: tuple[SyncLive, type[Any]], url: str) -> None:
    live, article = press_open
    with outside(url) as connection:
        connection.exec_driver_sql("ANALYZE")
    asked.append(lambda models: models.search(article, "alpha beta"))

    [plan] = live.plan(Ask(len(asked) - 1))

    assert list(plan.scans) in ([], ["article"])  # PostgreSQL reads so small a table whole
    assert any("Text(title, body)" in index for index in plan.indexes) or plan.scans


def test_a_search_in_the_past_or_without_text_fields_is_refused_by_name(log: str, url: str) -> None:
    app, article = press()
    with (
        app.open_sync(log, models=url) as live,
        pytest.raises(UsageError, match="a search in Article as of position 5"),
    ):
        ask(live, lambda models: models.search(article, "alpha"), as_of=5)
    app, plain = press(version=2, text="no marker")
    with (
        app.open_sync(log, models=url) as live,
        pytest.raises(UsageError, match="Article was searched and has no field that is marked with Text"),
    ):
        ask(live, lambda models: models.search(plain, "alpha"), after=len(EVENTS))


def test_a_snippet_shows_the_words_around_the_first_that_was_found() -> None:
    text = " ".join(f"w{n}" for n in range(60))

    assert snippet_of(["no", "one two"], ["two", "no way"]) == ("one two", ((4, 7),))
    assert snippet_of(["", "Two, three!"], ["two", "three"]) == ("Two, three!", ((0, 3), (5, 10)))
    shown, matches = snippet_of([text], ["w30", "w31", "w59"])
    assert shown == f"…{' '.join(f'w{n}' for n in range(24, 48))}…"
    assert [shown[start:end] for start, end in matches] == ["w30", "w31"]
    assert snippet_of(["nothing"], ["else"]) == ("", ())


def model_of(hint: Any) -> type:
    def evolve(self: Any, event: Any) -> Any:
        return self

    evolve.__annotations__ = {"event": Written}
    hints = {"article": ArticleId, "marked": hint}
    body = {"__annotations__": hints, "__module__": __name__, "evolve": evolve, "marked": None}
    return type(ReadModel)("Model", (ReadModel,), body)


@pytest.mark.parametrize("hint", [Annotated[int, Text()], Annotated[list[str], Text], Annotated[bytes | None, Text()]])
def test_a_marked_field_that_is_no_text_is_refused_by_name(hint: Any) -> None:
    with pytest.raises(InvalidModel, match=r"Model\.marked is marked with Text and holds no text"):
        App("press").read_model(model_of(hint))

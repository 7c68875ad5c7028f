"""The tables of read models, compared with a clean rebuild, and read without leftfold."""

import sqlite3
from contextlib import closing
from typing import Any

from leftfold import App, open_store
from leftfold.query import models_url
from leftfold.query.rebuild import rebuild


async def differences(app: App, model: type | str, url: str) -> list[str]:
    """In what the stored table differs from one that is folded from the log alone, row by row."""
    async with open_store(url) as log:
        definition = app.projections[model] if isinstance(model, str) else app.read_models[model]
        found = await rebuild(definition, log, app.registry, models_url(url), dry_run=True)
        head = await log.head()
    rows = found.differences
    problems = [] if found.position == head else [f"{found.model} stands at {found.position}, the log at {head}"]
    if not rows.none:
        counts = f"{rows.added} rows too few, {rows.removed} too many, {rows.changed} other ones"
        samples = (*rows.added_samples, *rows.removed_samples, *rows.changed_samples)
        problems.append(f"{found.model} is no clean rebuild: {counts}, like {samples[:3]}")
    return problems


def rows(url: str, statement: str) -> list[Any]:
    """The rows of a SELECT over the read models' database, by sqlite3 alone."""
    path = models_url(url).removeprefix("sqlite:///")
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute(statement).fetchall()

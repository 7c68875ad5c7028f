"""`leftfold query`: what a query handler of the app answers."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

import typer

from leftfold.app import App
from leftfold.cli.answers import show_answer
from leftfold.cli.arguments import AppName, AsOf, Json, LogUrl, ModelsUrl
from leftfold.cli.consoles import stdout
from leftfold.cli.kept_models import models_place, usable_models
from leftfold.cli.models import query_named
from leftfold.cli.opening import load_app, open_log, read_only
from leftfold.cli.outcome import Outcome, command
from leftfold.cli.waiting import progress


@command
async def query(
    url: LogUrl,
    name: Annotated[str, typer.Argument(metavar="QUERY", show_default=False, help="The query, by its class name.")],
    app: AppName,
    fields: Annotated[
        list[str] | None,
        typer.Argument(metavar="FIELD=VALUE", show_default=False, help="The query's fields; a list as JSON."),
    ] = None,
    as_of: AsOf = None,
    timeout: Annotated[float, typer.Option(metavar="SECONDS", help="How long read models may take to come up.")] = 60.0,
    models: ModelsUrl = None,
    json: Json = False,
) -> Outcome:
    """Ask a query of the app.

    The answer includes every event that is in the log when the command starts. It comes from the read models kept
    beside the log where they are those of this app, else they are folded in memory for this one answer.

    Examples:
      leftfold query --app bank:bank sqlite:///bank.db Richest limit=3
      leftfold query --app bank:bank sqlite:///bank.db Richest --as-of 42 --json
    """
    loaded = load_app(app)
    asked = query_named(loaded, name, _fields(fields or []))
    with progress("folding") as told:
        answer = await _answer(loaded, url, models_place(url, models), asked, as_of, timeout, told)
    show_answer(stdout(), answer, json=json)
    return Outcome.FINE


async def _answer(
    app: App,
    url: str,
    place: str | None,
    asked: Any,
    as_of: int | datetime | None,
    timeout: float,
    told: Callable[[int, int], None],
) -> Any:
    async with open_log(url) as log:
        head = await log.head()
        models = usable_models(app, place, log.log_id)
    async with app.open(
        read_only(url), models=models, on_progress=lambda replay: told(replay.position, replay.upto)
    ) as live:
        return await live.query(asked, after=head if as_of is None else None, as_of=as_of, wait_timeout=timeout)


def _fields(texts: list[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in texts]
    wrong = [text for text, (name, equals, _) in zip(texts, pairs, strict=True) if not (name and equals)]
    if wrong:
        raise typer.BadParameter(f"{wrong[0]!r} is not field=value, like limit=3")
    return {name: value for name, _, value in pairs}

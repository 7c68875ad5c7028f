"""`leftfold state`: what a model holds for a key, now or at a past moment."""

from datetime import datetime
from typing import Any

from leftfold.cli.answers import show_answer
from leftfold.cli.arguments import AppName, AsOf, Json, LogUrl, ModelKey, ModelName
from leftfold.cli.consoles import stderr, stdout
from leftfold.cli.models import key_from, model_named
from leftfold.cli.opening import load_app, open_app
from leftfold.cli.outcome import Outcome, command
from leftfold.cli.plain import moment
from leftfold.live import LiveApp
from leftfold.model.clock import SystemClock
from leftfold.model.fold import Fold
from leftfold.query import ReadModel
from leftfold.store.time_travel import event_at, resolve


@command
async def state(
    url: LogUrl, model: ModelName, app: AppName, key: ModelKey = None, as_of: AsOf = None, json: Json = False
) -> Outcome:
    """Show the state of a model, as its events make it.

    It is folded from the log, up to the newest event or up to --as-of. Exit code 1 when no event concerns the key.

    Examples:
      leftfold state --app bank:bank sqlite:///bank.db Account a-1
      leftfold state --app bank:bank sqlite:///bank.db Account a-1 --as-of 42 --json
    """
    loaded = load_app(app)
    fold = model_named(loaded, model)
    async with open_app(loaded, url) as live:
        position = await _position(live, as_of)
        found, events = await _state(live, fold, key_from(fold, key or ()), position)
        time = f", {moment((await event_at(live.store, position)).time)}" if position else ""
    if not events:
        whose = " ".join((model, *(key or ())))
        if json:
            stdout().json(None)
        stderr().put(f"{whose} has no events up to position {position}")
        return Outcome.FOUND
    show_answer(stdout(), found, json=json)
    if not json:
        stderr().put(f"as of position {position}{time}")
    return Outcome.FINE


async def _position(live: LiveApp, as_of: int | datetime | None) -> int:
    return await live.store.head() if as_of is None else await resolve(live.store, as_of, SystemClock())


async def _state(live: LiveApp, fold: Fold, key: tuple[Any, ...], position: int) -> tuple[Any, bool]:
    """Return the state, and whether any event made it."""
    owner: Any = fold.owner
    if not issubclass(owner, ReadModel):
        criteria = live.criteria_of(owner, *key)
        any_event = any([batch.events async for batch in live.store.read(criteria, upto=position, limit=1)])
        return await live.state(owner, *key, as_of=position), any_event
    steps = await live.explain(owner, *key, as_of=position)
    return (steps[-1].after if steps else None), bool(steps)

"""Opening what the arguments name: a log to read, an app, the two together."""

import copy
import importlib
import sys
import traceback
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from types import ModuleType

from leftfold.app import App
from leftfold.cli.output import activity
from leftfold.errors import InsideRunningLoop, InvalidUrl, LeftfoldError, StoreNotFound, UsageError
from leftfold.follow.workers import WorkerRole
from leftfold.live import LiveApp
from leftfold.passwords import without_password
from leftfold.query import OnChange
from leftfold.store import EventStore, open_store
from leftfold.store.open import check_former_name, is_read_only, path_in, split_url


class AppNotFound(UsageError, ImportError):
    """The app that the command line names cannot be imported."""

    target: str
    problem: str
    known: Sequence[str] = ()
    found = "--app {target}: {problem}"
    expected = "module:attribute of an App in the working directory or on the Python path, like bank:bank"
    remedy = "{known:?try --app {first}}{known:!correct the name, or go to the folder with the module}"

    def _derive(self) -> None:
        self.target = without_password(self.target)
        self.first = self.known[0] if self.known else ""


def open_log(url: str) -> EventStore:
    """Open an existing log for reading."""
    return open_store(read_only(url))


def open_app(app: App, url: str) -> AbstractAsyncContextManager[LiveApp]:
    """Open an app on a log for reading, without read models and background work."""
    return _without_models(app).open(read_only(url))


@asynccontextmanager
async def reading(app: App, url: str) -> AsyncGenerator[LiveApp]:
    """Open an app for reading, and show on a terminal that its log is being read. Print nothing meanwhile."""
    with activity("reading the log"):
        async with open_app(app, url) as live:
            yield live


def open_app_for_writing(app: App, url: str) -> AbstractAsyncContextManager[LiveApp]:
    """Open an app on an existing log for writing, without read models and background work."""
    check_writable(url)
    return _without_models(app).open(url, work=False)


def open_app_to_work(
    app: App,
    url: str,
    roles: Collection[WorkerRole],
    only: Collection[type | str] | None = None,
    on_change: OnChange = "refuse",
    models_url: str | None = None,
) -> AbstractAsyncContextManager[LiveApp]:
    """Open an app on an existing log with these roles; without read models unless some are folded or asked."""
    check_writable(url)
    asked = "reactors" in roles and any(each.asks for each in app.reactors.values())
    if "projections" not in roles and not asked:
        return _without_models(app).open(url, work=roles)
    return app.open(url, work=roles, only=only, on_change=on_change, models=models_url)


def check_writable(url: str) -> None:
    """Refuse a log that would be created, and one that can be read only or by this process alone."""
    parts = split_url(url)
    if parts.scheme == "memory" or is_read_only(url):
        raise InvalidUrl(url, "this command writes to the log; it needs one that it may write to, and that persists")
    if parts.scheme == "sqlite" and not Path(path := path_in(url)).exists():
        check_former_name(url)
        raise StoreNotFound(f"file {path}")


def _without_models(app: App) -> App:
    quiet = copy.copy(app)
    quiet.read_models, quiet.projections, quiet.query_handlers = {}, {}, {}
    return quiet


def read_only(url: str) -> str:
    """Return the URL with `mode=ro`; a malformed URL is returned unchanged and refused later."""
    parts = split_url(url)
    if parts.scheme not in ("sqlite", "postgresql", "postgres") or "mode=" in parts.query:
        return url
    if parts.scheme == "sqlite" and parts.netloc:
        return url
    return f"{url}{'&' if parts.query else '?'}mode=ro"


# --- apps


def load_app(target: str) -> App:
    """Return the app that `module:attribute` names, with the working directory first on the path."""
    name, _, attribute = target.partition(":")
    module = _import(target, name)
    found = getattr(module, attribute, None)
    if isinstance(found, App):
        found.expand()
        return found
    problem = f"{attribute} is not an App but a {type(found).__name__}"
    if not hasattr(module, attribute):
        problem = f"the module {name} has no {attribute!r}" if attribute else "this is a module, without an attribute"
    apps = [f"{module.__name__}:{name}" for name, value in vars(module).items() if isinstance(value, App)]
    raise AppNotFound(target, problem, apps)


def _import(target: str, name: str) -> ModuleType:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except InsideRunningLoop as error:
        problem = "importing it opens an app: move that part of the module under if __name__ == '__main__'"
        raise AppNotFound(target, problem) from error
    except LeftfoldError:
        raise
    except Exception as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing is not None and f"{name}.".startswith(f"{missing}."):
            raise AppNotFound(target, f"there is no module {missing!r} in {here} or on the Python path") from error
        place = traceback.extract_tb(error.__traceback__)[-1]
        problem = f"importing it failed in {place.filename}, line {place.lineno}: {type(error).__name__}: {error}"
        raise AppNotFound(target, problem) from error

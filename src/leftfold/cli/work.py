"""`leftfold work`: run an app's background work until it is stopped."""

import asyncio
import logging
from collections.abc import Generator, Sequence
from contextlib import AsyncExitStack, contextmanager
from enum import StrEnum
from time import monotonic
from typing import Annotated, Any, NamedTuple

import typer

from leftfold.app import App
from leftfold.cli.arguments import AppName, LogUrl, address, option
from leftfold.cli.opening import load_app, open_app_to_work
from leftfold.cli.outcome import Outcome, command, stopping
from leftfold.cli.output import stdout
from leftfold.cli.work_view import Changes, LogLines, View, what_runs, what_was_done
from leftfold.errors import LeftfoldError, UsageError
from leftfold.follow.workers import ROLES, WorkerRole
from leftfold.health import Work, class_and_problem, work_of
from leftfold.live import LiveApp
from leftfold.passwords import without_password
from leftfold.query import OnChange

LOOK_SECONDS = 0.5
HOST = "127.0.0.1"


class NothingToRun(UsageError):
    """The app has nothing to do for the chosen roles."""

    app: str
    roles: Sequence[str]
    found = "the app {app} has nothing to run: no {_roles}"
    expected = "command handlers, process managers or read models for the chosen roles"
    remedy = "choose other roles with --only, or leave out --only"

    @property
    def _roles(self) -> str:
        return ", no ".join(self.roles)


class RoleName(StrEnum):
    """The kinds of work."""

    COMMANDS = "commands"
    PROCESSES = "processes"
    REACTORS = "reactors"
    PROJECTIONS = "projections"


class OnChangeName(StrEnum):
    """What to do with read models whose code has changed."""

    REFUSE = "refuse"
    REBUILD = "rebuild"


class Job(NamedTuple):
    """The work of one worker process."""

    app: App
    url: str
    roles: tuple[WorkerRole, ...]
    models: list[str] | None
    address: tuple[str, int] | None
    hosts: tuple[str, ...]
    on_change: OnChange


@command
async def work(
    url: LogUrl,
    app: AppName,
    only: Annotated[list[RoleName] | None, option("--only", "Do only this work; may be repeated.")] = None,
    models: Annotated[
        list[str] | None, option("--models", "Fold only this read model, by its class name; may be repeated.", "NAME")
    ] = None,
    health: Annotated[
        Any,
        option(
            "--health",
            f"Serve /health and /status over HTTP, on {HOST} unless a host is given; port 0 is any free port.",
            "[HOST:]PORT",
            parser=address,
        ),
    ] = None,
    health_host: Annotated[
        list[str] | None,
        option("--health-host", "Another host name that requests to --health may use; may be repeated.", "NAME"),
    ] = None,
    on_change: Annotated[
        OnChangeName,
        typer.Option("--on-change", help="What to do with a read model whose code changed without a new version."),
    ] = OnChangeName.REFUSE,
) -> Outcome:
    """Run the background work of an app: submitted commands, processes, reactors, read models.

    Any number of workers may run on one log, and share the work. On SIGTERM or Ctrl-C the worker finishes the current
    batch and stops. A second signal exits immediately; unfinished work is redone on the next start.

    Examples:
      leftfold work --app shop:orders sqlite:///shop.db
      leftfold work --app shop:orders sqlite:///shop.db --only commands --only processes --health 8080
      leftfold work --app shop:orders sqlite:///shop.db --only projections --models OrderStatus
    """
    roles: tuple[WorkerRole, ...] = tuple(role for role in ROLES if not only or role in only)
    if models and "projections" not in roles:
        raise typer.BadParameter("--models chooses projections, but --only leaves out all of them")
    if health_host and health is None:
        raise typer.BadParameter("--health-host needs --health, which starts the server")
    job = Job(load_app(app), url, roles, models, health, tuple(health_host or ()), on_change.value)
    with stopping() as stop, View(stdout()) as view, _log_lines(view) as lines:
        await _run(job, view, stop, Changes(lines.parked))
    return Outcome.FINE


async def _run(job: Job, view: View, stop: asyncio.Event, changes: Changes) -> None:
    begun = monotonic()
    async with AsyncExitStack() as opened:
        opening = open_app_to_work(job.app, job.url, job.roles, job.models, job.on_change)
        live = await opened.enter_async_context(opening)
        status = await work_of(live)
        if not what_runs(status):
            raise NothingToRun(job.app.name, job.roles)
        served = await _serve(live, job, opened)
        view.say(f"{job.app.name} on {without_password(job.url)}: runs {', '.join(what_runs(status))}{served}")
        status = await _watch(live, view, stop, changes, status)
    ran = {worker.name for worker in status.workers if worker.running}
    done = what_was_done(status.read_models, [worker for worker in live.workers() if worker.name in ran])
    view.say("; ".join([f"stopped after {monotonic() - begun:.1f} s", *done]))


async def _serve(live: LiveApp, job: Job, opened: AsyncExitStack) -> str:
    """Serve the health if `--health` asks for it; return what to say about it."""
    if job.address is None:
        return ""
    from leftfold.web import serve_health

    host, port = job.address
    served = serve_health(live, port, host or HOST, hosts=job.hosts)
    return f"; health at {await opened.enter_async_context(served)}/health"


async def _watch(live: LiveApp, view: View, stop: asyncio.Event, changes: Changes, status: Work) -> Work:
    """Report changes until it is time to stop; return the last status."""
    unknown = ""
    while True:
        try:
            status = await work_of(live)
            lines = changes.of(status) + (["the log: goes on"] if unknown else [])
            if changes.are_parked(status):
                lines += changes.of_parked(await live.parked())
            unknown = ""
            view.show(status)
        except LeftfoldError as error:
            lines = [] if unknown == class_and_problem(error) else [f"the log: in trouble: {class_and_problem(error)}"]
            unknown = class_and_problem(error)
        for line in lines:
            view.say(line)
        if stop.is_set():
            return status
        await _pause(stop)


async def _pause(stop: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            await stop.wait()
    except TimeoutError:
        pass


@contextmanager
def _log_lines(view: View) -> Generator[LogLines]:
    logger, handler = logging.getLogger("leftfold"), LogLines(view)
    level, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield handler
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate

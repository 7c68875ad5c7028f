"""What is shown on a terminal while a command works: on stderr, and gone when it is done."""

from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from leftfold.cli.consoles import stderr


@contextmanager
def progress(what: str) -> Generator[Callable[[int, int], None]]:
    """A bar; it is moved by the number done and the number in all."""
    console = stderr()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def activity(what: str) -> Generator[None]:
    """A sign of life."""
    console = stderr()
    if not console.is_terminal:
        yield
        return
    with console.status(what):
        yield

"""What is shown on a terminal while a command works: on stderr, and gone when it is done."""

from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from leftfold.cli.consoles import stderr


@contextmanager
def progress(what: str) -> Generator[Callable[[int, int], None]]:
    """Show a progress bar; yield a function that takes the number done and the total."""
    with progress_of_steps(what) as told:
        yield lambda done, total: told(what, done, total)


@contextmanager
def progress_of_steps(first: str = "") -> Generator[Callable[[str, int, int], None]]:
    """Show a progress bar for work in several steps; yield a function that also takes the step."""
    console = stderr()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Rate(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(first, total=None)

        def told(what: str, done: int, total: int) -> None:
            if bar.tasks[task].description != what:
                bar.reset(task, description=what)
            bar.update(task, completed=done, total=total)

        yield told


class Rate(ProgressColumn):
    """How much is done in a second."""

    def render(self, task: Task) -> Text:
        """Render it, once it is known."""
        return Text(f"{task.speed:,.0f}/s" if task.speed else "", "dim")


@contextmanager
def activity(what: str) -> Generator[None]:
    """Show that a command is still working."""
    console = stderr()
    if not console.is_terminal:
        yield
        return
    with console.status(what):
        yield

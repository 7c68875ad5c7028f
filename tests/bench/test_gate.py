"""The gate compares two sources in processes that take turns, and leaves no worktree behind."""

import shutil
import subprocess
from pathlib import Path

import pytest

from bench import gate
from bench.figure import Summary
from bench.figures import BY_NAME
from bench.rounds import Effort

FIGURE = BY_NAME["new-1"]
SOURCE = Path(__file__).parents[2] / "src"
SLOW = """
from time import sleep
_execute = LiveApp.execute
async def _slow_execute(self, *arguments, **options):
    sleep(0.05)
    return await _execute(self, *arguments, **options)
LiveApp.execute = _slow_execute
"""


def git(folder: Path, *arguments: str) -> str:
    options = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    done = subprocess.run(["git", "-C", str(folder), *options, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of two commits on main."""
    folder = tmp_path / "repository"
    (folder / "src").mkdir(parents=True)
    git(folder, "init", "--initial-branch", "main")
    for text in ("first", "second"):
        (folder / "src" / "code.txt").write_text(text)
        git(folder, "add", ".")
        git(folder, "commit", "--message", text)
    monkeypatch.setattr(gate, "ROOT", folder)
    return folder


def test_a_source_that_is_slower_does_not_pass(tmp_path: Path) -> None:
    slower = tmp_path / "src"
    shutil.copytree(SOURCE, slower)
    with open(slower / "leftfold" / "live.py", "a", encoding="utf-8") as file:
        file.write(SLOW)
    progress: list[str] = []

    sides = gate.Sides(SOURCE, slower, ("before", "after"))
    [compared] = gate.measure([FIGURE], sides, Effort(2, 0.2), 0.95, tmp_path, progress.append)

    assert not compared.passes
    assert compared.after.rate < 20 < compared.before.rate
    assert progress == ["new-1 0/2", "new-1 1/2", "new-1 2/4", "new-1 3/4"], "it gets as many rounds again"


def test_a_source_without_leftfold_is_refused(tmp_path: Path) -> None:
    sides = gate.Sides(tmp_path, tmp_path, ("before", "after"))

    with pytest.raises(SystemExit, match="has ended"):
        list(gate.measure([FIGURE], sides, Effort(1, 0.1), 0.95, tmp_path, lambda _: None))


@pytest.mark.parametrize(("rate", "passes"), [(94.0, False), (95.0, True), (200.0, True)])
def test_the_ratio_of_the_rates_decides(rate: float, passes: bool) -> None:
    compared = gate.Compared(FIGURE, Summary(100.0, 10.0), Summary(rate, 5.0), 0.95)

    assert (compared.passes, compared.cpu_ratio) == (passes, 0.5)


def test_two_commits_are_both_in_worktrees(repository: Path, tmp_path: Path) -> None:
    with gate.opened_sides("HEAD~1..HEAD", tmp_path) as sides:
        assert [(side / "code.txt").read_text() for side in sides[:2]] == ["first", "second"]
        assert [name.partition(" ")[2] for name in sides.names] == ["first", "second"]


def test_a_commit_alone_is_compared_with_the_working_tree(repository: Path, tmp_path: Path) -> None:
    (repository / "src" / "code.txt").write_text("changed")

    with gate.opened_sides("HEAD~1", tmp_path) as sides:
        assert [(side / "code.txt").read_text() for side in sides[:2]] == ["first", "changed"]
        assert sides.names[1] == "the working tree"


def test_without_a_commit_a_branch_is_compared_with_where_it_left_main(repository: Path, tmp_path: Path) -> None:
    git(repository, "checkout", "-b", "branch", "HEAD~1")
    git(repository, "commit", "--allow-empty", "--message", "third")

    with gate.opened_sides("", tmp_path) as sides:
        assert sides.names[0].endswith(" first")
    git(repository, "checkout", "main")
    with gate.opened_sides("", tmp_path) as sides:
        assert sides.names[0].endswith(" first"), "on main it is the commit before the last"


def test_worktrees_are_removed_also_by_ctrl_c(repository: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), gate.opened_sides("HEAD~1..HEAD", tmp_path):
        raise KeyboardInterrupt

    assert len(git(repository, "worktree", "list").splitlines()) == 1
    assert not list(tmp_path.glob("leftfold-gate-*"))


def test_an_unknown_commit_is_named(repository: Path, tmp_path: Path) -> None:
    with pytest.raises(gate.GitFailed, match="nowhere"), gate.opened_sides("nowhere", tmp_path):
        raise AssertionError("there are two sides")

    assert len(git(repository, "worktree", "list").splitlines()) == 1

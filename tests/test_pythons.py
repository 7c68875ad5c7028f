"""Every Python on this machine finds the same fingerprints, and goes on with what another one has made."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.formats.shop import Balances, fill, fingerprints, shop

ROOT = Path(__file__).resolve().parent.parent
SHOP = "tests/formats/shop.py"
NEEDED = ("msgspec", "sqlalchemy[asyncio]")
NAMES = [f"python3.{minor}" for minor in range(11, 16) if minor != sys.version_info.minor]


class Python:
    """A Python with what the app needs."""

    def __init__(self, executable: str, packages: Path) -> None:
        self._executable = executable
        self._environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}:{packages}"}

    def run(self, *arguments: str) -> str:
        command = (self._executable, *arguments)
        done = subprocess.run(command, cwd=ROOT, env=self._environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


def interpreter(name: str) -> str | None:
    """Where this Python is, if it is installed."""
    places = [*map(Path, os.environ["PATH"].split(os.pathsep)), Path("/usr/bin"), Path("/usr/local/bin")]
    places += sorted((Path.home() / ".pyenv" / "versions").glob("*/bin"))
    found = [place / name for place in places if (place / name).is_file() and ".pyenv/shims" not in str(place)]
    return str(found[0]) if found else None


def install(executable: str, packages: Path) -> str:
    """Install what the app needs, once; what went wrong, if something did."""
    if packages.exists():
        return ""
    beside = packages.with_name(f"{packages.name}.{os.getpid()}")
    command = (
        executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--disable-pip-version-check",
        "--target",
        str(beside),
        *NEEDED,
    )
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0 and not packages.exists():
        beside.rename(packages)
    return done.stderr.strip().splitlines()[-1] if done.returncode else ""


@pytest.fixture(scope="module", params=[name for name in NAMES if interpreter(name)] or ["no other Python"])
def python(request: pytest.FixtureRequest) -> Python:
    executable = interpreter(request.param)
    if executable is None:
        pytest.skip(f"none of {', '.join(NAMES)} is installed")
    packages = request.config.cache.mkdir("pythons") / request.param
    trouble = install(executable, packages)
    if trouble:
        pytest.skip(f"{request.param} cannot be given {', '.join(NEEDED)}: {trouble}")
    return Python(executable, packages)


def test_another_python_finds_the_same_fingerprints_optimised_or_not(python: Python) -> None:
    imported = "from tests.formats.shop import fingerprints; print(fingerprints())"

    assert python.run(SHOP) == fingerprints()
    assert python.run("-OO", "-c", imported) == fingerprints()


@pytest.mark.parametrize("options", [["-O"], ["-OO", "-P"]])
def test_this_python_finds_the_same_fingerprints_in_every_process(
    monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    monkeypatch.setenv("PYTHONHASHSEED", str(len(options)))

    assert Python(sys.executable, ROOT).run(*options, SHOP) == fingerprints()


def test_what_another_python_has_made_is_gone_on_with(python: Python, tmp_path: Path) -> None:
    python.run(SHOP, str(tmp_path))

    with shop.open_sync(f"sqlite:///{tmp_path}/shop.db") as live:
        live.run_until_quiet()
        assert [each.total for each in live.query(Balances())] == [45, 0, 12]
        assert [each.problem for each in live.read_models()] == [None] * 4
        assert live.query(Balances(), as_of=4)[0].total == 7


def test_another_python_goes_on_with_what_this_one_has_made(python: Python, tmp_path: Path) -> None:
    fill(f"sqlite:///{tmp_path}/shop.db")

    python.run(SHOP, str(tmp_path))

    with shop.open_sync(f"sqlite:///{tmp_path}/shop.db") as live:
        live.run_until_quiet()
        assert [each.total for each in live.query(Balances())] == [90, 0, 24]
        assert [each.problem for each in live.read_models()] == [None] * 4

"""What is in the wheel: the package with its data files, and the example that `leftfold demo` runs."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from zipfile import ZipFile

import pytest
from hatchling.build import build_wheel
from packaging.requirements import Requirement
from packaging.version import Version

from tools import sbom

ROOT = Path(__file__).resolve().parent.parent
IMPORT_THE_DEMO = """
import importlib, pkgutil, sys
import leftfold._demo.flights as flights
for module in pkgutil.iter_modules(flights.__path__, "leftfold._demo.flights."):
    importlib.import_module(module.name)
print(flights.__file__, "examples" in sys.modules)
"""


RUN_TORTURE = """
import sys
import leftfold_torture
from leftfold.cli import main
sys.stderr.write(leftfold_torture.__file__)
main()
"""
WITHOUT_ENTRY_POINTS = """
import importlib.metadata
importlib.metadata.entry_points = lambda **options: ()
from leftfold.cli import main
main()
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the content of the wheel, as an installation has it."""
    folder = tmp_path_factory.mktemp("wheel")
    before = Path.cwd()
    os.chdir(ROOT)
    try:
        name = build_wheel(str(folder))
    finally:
        os.chdir(before)
    with ZipFile(folder / name) as wheel:
        wheel.extractall(folder / "installed")
    return folder / "installed"


def test_the_wheel_has_every_file_of_the_package_and_nothing_beside_it(installed: Path) -> None:
    source = {path.relative_to(ROOT / "src") for path in (ROOT / "src").rglob("*") if path.is_file()}
    packed = {path.relative_to(installed) for path in installed.rglob("*") if path.is_file()}

    missing = {path for path in source - packed if "__pycache__" not in path.parts}
    beside = {path.parts[0] for path in packed if not path.parts[0].endswith(".dist-info")} - {"leftfold"}

    assert missing == set()
    assert Path("leftfold/py.typed") in packed
    assert beside == set()


def test_the_wheel_of_leftfold_is_the_library_and_not_what_tortures_it(installed: Path) -> None:
    packed = {path.name for path in (installed / "leftfold").rglob("*")}

    assert not {"history", "disk.c", "postgres_server.py", "torture.py"} & packed


def test_the_torture_package_builds_and_runs_from_its_wheel(installed: Path, tmp_path: Path) -> None:
    before = Path.cwd()
    os.chdir(ROOT / "packages/leftfold-torture")
    try:
        name = build_wheel(str(tmp_path))
    finally:
        os.chdir(before)
    with ZipFile(tmp_path / name) as wheel:
        wheel.extractall(tmp_path / "torture")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (tmp_path / "torture", installed)))}
    arguments = ("torture", "memory:", "--seconds", "0.5", "--clients", "1", "--nemesis", "none", "--json")
    command = (sys.executable, "-c", RUN_TORTURE, *arguments)

    shown = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    assert json.loads(shown.stdout)["violations"] == [], shown.stderr
    assert str(tmp_path / "torture") in shown.stderr
    assert (tmp_path / "torture/leftfold_torture/disk.c").is_file()


def test_without_the_torture_package_its_command_says_what_to_install(tmp_path: Path) -> None:
    command = (sys.executable, "-c", WITHOUT_ENTRY_POINTS, "torture", "memory:", "--seconds", "1")

    shown = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert shown.returncode == 3
    assert "pip install 'leftfold[torture]'" in shown.stderr


def test_the_demo_is_importable_from_the_wheel_without_the_checkout(installed: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(installed)}

    command = (sys.executable, "-c", IMPORT_THE_DEMO)
    shown = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    assert shown.stdout.split() == [str(installed / "leftfold/_demo/flights/__init__.py"), "False"], shown.stderr


WITHOUT_ADVISORIES = {
    "starlette": "1.3.1",  # CVE-2025-62727, CVE-2026-48710, -48817, -48818, -54282, -54283
    "h11": "0.16.0",  # CVE-2025-43859
    "uvicorn": "0.11.7",  # CVE-2020-7694, CVE-2020-7695
    "pytest": "9.0.3",  # CVE-2025-71176
    "pydantic": "2.4.0",  # CVE-2024-3772
    "gunicorn": "23.0.0",  # CVE-2024-1135, CVE-2024-6827
}


def requirements() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    found = map(Requirement, [*project["dependencies"], *(each for extra in extras for each in extra)])
    return [each for each in found if each.name != "leftfold"]


def test_no_version_with_a_known_advisory_is_accepted() -> None:
    accepted = {
        each.name: version for each in requirements() if (version := WITHOUT_ADVISORIES.get(each.name)) is not None
    }

    assert accepted == WITHOUT_ADVISORIES
    for each in requirements():
        floors = [Version(part.version) for part in each.specifier if part.operator in (">=", "==")]
        assert floors or each.name in ("tzdata",), f"{each} has no lowest version"
        if each.name in WITHOUT_ADVISORIES:
            assert min(floors) >= Version(WITHOUT_ADVISORIES[each.name])


def test_the_bill_of_materials_names_what_is_installed_and_nothing_of_this_machine_or_this_moment(
    tmp_path: Path,
) -> None:
    target = tmp_path / "sbom.json"

    sbom.write(sys.executable, target, "--no-validate")

    bill = json.loads(target.read_text(encoding="utf-8"))
    assert bill["metadata"]["component"]["name"] == "leftfold"
    assert {"msgspec", "starlette", "uvicorn", "h11", "psycopg"} <= {each["name"] for each in bill["components"]}
    assert "timestamp" not in bill["metadata"]
    assert "serialNumber" not in bill
    assert str(ROOT) not in target.read_text(encoding="utf-8")

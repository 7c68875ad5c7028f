"""What is in the wheel: the package with its data files, and the example that `leftfold demo` runs."""

import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest
from hatchling.build import build_wheel

ROOT = Path(__file__).resolve().parent.parent
IMPORT_THE_DEMO = """
import importlib, pkgutil, sys
import leftfold._demo.flights as flights
for module in pkgutil.iter_modules(flights.__path__, "leftfold._demo.flights."):
    importlib.import_module(module.name)
print(flights.__file__, "examples" in sys.modules)
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


def test_the_demo_is_importable_from_the_wheel_without_the_checkout(installed: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(installed)}

    command = (sys.executable, "-c", IMPORT_THE_DEMO)
    shown = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    assert shown.stdout.split() == [str(installed / "leftfold/_demo/flights/__init__.py"), "False"], shown.stderr

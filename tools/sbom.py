"""Write sbom.json, a Software Bill of Materials (CycloneDX) of what is installed: `make sbom`; needs no network."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
OPTIONS = ("--pyproject", "pyproject.toml", "--mc-type", "library", "--output-reproducible")


def write(environment: str, target: Path, *options: str) -> None:
    """Write the bill of the environment (a Python or a .venv) to `target`, without files of this machine.

    A package that is installed from a checkout names the folder of the checkout.
    """
    words = ("cyclonedx_py", "environment", *OPTIONS, *options, "--output-file", str(target), environment)
    subprocess.run([sys.executable, "-m", *words], cwd=ROOT, check=True)
    bill: dict[str, Any] = json.loads(target.read_text(encoding="utf-8"))
    for component in bill["components"]:
        references = [each for each in component.pop("externalReferences", []) if not each["url"].startswith("file:")]
        if references:
            component["externalReferences"] = references
    target.write_text(json.dumps(bill, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write(sys.executable, ROOT / "sbom.json")

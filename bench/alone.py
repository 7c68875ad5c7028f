"""`python -m bench.alone NAME DIRECTORY SOURCE`: leftfold's part of one figure in a process of its own.

Each line of its input is a number of seconds; it works for as long, and answers with a line of JSON. It ends with its
input, or says what is wrong.
"""

import argparse
import gc
import json
import sys
from dataclasses import asdict
from pathlib import Path

import leftfold
from bench.figures import BY_NAME


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("directory", type=Path)
    parser.add_argument("source", type=Path)
    arguments = parser.parse_args()
    found = Path(leftfold.__file__)
    if not found.is_relative_to(arguments.source):
        raise SystemExit(f"found leftfold at {found}, expected it in {arguments.source}: set PYTHONPATH to that folder")
    ours = BY_NAME[arguments.name].ours
    assert ours is not None, "only figures with a part of leftfold's alone are run here"
    with ours(arguments.directory) as work:
        for line in sys.stdin:
            gc.collect()
            print(json.dumps(asdict(work(float(line)))), flush=True)


if __name__ == "__main__":
    main()

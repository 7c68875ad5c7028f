"""`python -m bench.endurance NAME`: run one of the tests of this folder; `--help` behind a name shows its options."""

import importlib
import pkgutil
import sys

import bench.endurance

NAMES = sorted(
    module.name for module in pkgutil.iter_modules(bench.endurance.__path__) if not module.name.startswith("_")
)


def main() -> int:
    if len(sys.argv) < 2 or sys.argv[1] not in NAMES:
        print(f"usage: python -m bench.endurance {{{','.join(NAMES)}}} [options]", file=sys.stderr)
        return 2
    found: int = importlib.import_module(f"bench.endurance.{sys.argv[1]}").main(sys.argv[2:])
    return found


if __name__ == "__main__":
    sys.exit(main())

"""The page in the documentation: what is between its markers is replaced, the rest is written by people."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.table import Table

PAGE = Path("docs/benchmarks.md")
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


class Page:
    """A page with a place for results; that it has one is found out before anything is measured."""

    def __init__(self, path: Path) -> None:
        self.path = path
        before, begin, rest = path.read_text().partition(BEGIN) if path.is_file() else ("", "", "")
        _, end, after = rest.partition(END)
        if not end:
            raise SystemExit(f"{path} has no place for the results: a line {BEGIN} and, below it, a line {END}")
        self._before, self._after = before + begin, end + after

    def write(self, command: str, machine: Mapping[str, str], tables: Sequence[Table]) -> None:
        """Put the tables, the machine and the command between the markers."""
        self.path.write_text(f"{self._before}\n\n{_measured(command, machine, tables)}\n{self._after}")


def _measured(command: str, machine: Mapping[str, str], tables: Sequence[Table]) -> str:
    about = "".join(f"* {what}: {which}\n" for what, which in machine.items())
    parts = [f"Measured with `{command}` on:\n\n{about}", *(table.markdown() for table in tables)]
    return "\n".join(parts)

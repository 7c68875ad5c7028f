"""Work that was measured: how much was done, in how many seconds, with how much CPU time."""

from dataclasses import dataclass
from time import perf_counter, process_time


@dataclass(frozen=True)
class Work:
    """`cpu` is the CPU time of all threads of the process, in seconds; a server's is not in it."""

    units: float
    seconds: float
    cpu: float

    @property
    def rate(self) -> float:
        """Units a second."""
        return self.units / self.seconds

    @property
    def cpu_each(self) -> float:
        """Microseconds of CPU time for a unit."""
        return 1e6 * self.cpu / self.units

    def __rmul__(self, units: int) -> "Work":
        """The same work, counted in the units that each of its own consists of."""
        return Work(units * self.units, self.seconds, self.cpu)


class Stopwatch:
    """Runs from when it is made."""

    def __init__(self) -> None:
        self._cpu = process_time()
        self._begun = perf_counter()

    @property
    def seconds(self) -> float:
        return perf_counter() - self._begun

    def work(self, units: float) -> Work:
        """What was done until now."""
        return Work(units, self.seconds, process_time() - self._cpu)


def together(parts: list[Work]) -> Work:
    """Work that several processes did at the same time."""
    seconds = max(part.seconds for part in parts)
    units = sum(part.rate for part in parts) * seconds
    return Work(units, seconds, units * sum(part.cpu for part in parts) / sum(part.units for part in parts))

"""What a storm leaves behind, and how long it takes until all is well again."""

import dataclasses
import os
import pathlib
import statistics
import time

from servers import Server, answers, wait_until


def processes() -> dict[int, tuple[str, int, int]]:
    """State, process group and session of every process."""
    found = {}
    for folder in pathlib.Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                # A program may call itself what it likes.
                words = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
            except OSError:
                continue  # it has ended since
            found[int(folder.name)] = words[0], int(words[2]), int(words[3])
    return found


def left_of(session: int) -> list[int]:
    """The living processes of a server's session."""
    return [pid for pid, (state, _, own) in processes().items() if own == session and state != "Z"]


def zombies_of(session: int) -> int:
    return sum(1 for state, _, own in processes().values() if own == session and state == "Z")


def shared_memory() -> int:
    """Named segments of both kinds; a memory file has no name and goes with its last process."""
    segments = pathlib.Path("/proc/sysvipc/shm").read_text().count("\n") - 1
    return len(os.listdir("/dev/shm")) + segments


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def is_whole(running: Server, workers: int, without: set[int] = frozenset()) -> bool:
    """All workers are there, none of `without` is, and somebody answers."""
    children = running.children
    return len(children) >= workers and not without & set(children) and answers(running)


def time_to_recover(running: Server, workers: int, victims: set[int], limit: float = 30) -> float:
    """Milliseconds until the pool is whole without its victims."""
    begin = time.monotonic()
    wait_until(lambda: is_whole(running, workers, victims), "the pool is whole", running.log, limit)
    return (time.monotonic() - begin) * 1e3


@dataclasses.dataclass
class Report:
    """One line of the report. What is not counted in a part stays None."""

    part: str
    server: str
    events: int = 0
    answered: int | None = None
    failed: int | None = None
    reset: int | None = None
    recovery: list[float] = dataclasses.field(default_factory=list)
    zombies: int | None = None
    descriptors: int | None = None
    memory: int | None = None
    orphans: int | None = None
    note: str = ""
    isGood: bool = True

    def count(self, answered: int, lost: list[str]) -> None:
        """Requests: a reset is what a killed worker owes those whose request it had; anything else is a failure."""
        self.answered = answered
        self.reset = sum(1 for reason in lost if "reset" in reason.lower() or "Connection" in reason)
        self.failed = len(lost) - self.reset

    HEAD = ["part", "server", "events", "answered", "reset", "failed", "recovery ms (median, p99, max)", "zombies",
            "descriptors more", "shared memory left", "orphans", "", "note"]

    def cells(self) -> list[str]:
        recovery = ""
        if self.recovery:
            ordered = sorted(self.recovery)
            p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
            recovery = f"{statistics.median(ordered):.1f}, {p99:.1f}, {ordered[-1]:.1f}"
        numbers = [self.answered, self.reset, self.failed]
        left = [self.zombies, self.descriptors, self.memory, self.orphans]
        shown = lambda values: ["" if value is None else f"{value:,}" for value in values]
        return [self.part, self.server, f"{self.events:,}", *shown(numbers), recovery, *shown(left),
                "good" if self.isGood else "BAD", self.note]


def table(reports: list[Report]) -> str:
    rows = [Report.HEAD] + [report.cells() for report in reports]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|" + "---|" * len(Report.HEAD))
    return "\n".join(lines)

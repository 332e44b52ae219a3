"""The rows of request marks: what one costs, and the server with them against one that is built without."""

import collections
import pathlib
import subprocess
import sys

from load import wrk
from rows import Row, median
from servers import ROOT, server

COLUMNS = ["prefork", "without"]
MEASUREMENT = ROOT / ".build-static/release/request-measurement"
WITHOUT = ROOT / ".build-without-marks/release/benchmark-server"


def request(quick: bool) -> list[Row]:
    """Request marks: begin and end in nanoseconds; requests/s with marks and without."""
    result = subprocess.run([MEASUREMENT, "50" if quick else "300"], capture_output=True, text=True, timeout=300,
                            check=True)
    rows = []
    for line in result.stdout.strip().splitlines():
        name, figure = line.split("\t")
        target = "≤ 15 ns" if name == "begin and end on a loop, a string of 8 bytes" else ""
        rows.append(Row(name, "ns", {"prefork": [float(figure)]}, target, float(figure) <= 15 if target else None))
    rates, times, runs, seconds = (collections.defaultdict(list), collections.defaultdict(list),
                                   7 if quick else 25, 2)
    with server("prefork", 1) as marked, server("prefork", 1, program=WITHOUT) as without:
        # Each first in every other round: what comes second may have the warmer machine.
        for run in range(runs):
            turn = [("prefork", marked), ("without", without)]
            for name, running in turn if run % 2 else reversed(turn):
                worker = running.children[0]
                before = processor_time(worker)
                rates[name].append(wrk(running.port, 64, seconds)["rps"])
                times[name].append((processor_time(worker) - before) / (rates[name][-1] * seconds))
    what, target = "1 worker, keep-alive, 64 connections", "≥ 0.98 × without"
    ratio, share = median(rates["prefork"]) / median(rates["without"]), median(times["without"]) / median(times["prefork"])
    rows.append(Row(f"requests/s, {what}", "", rates, target, ratio >= 0.98))
    # What other programs on the machine take does not count here.
    rows.append(Row(f"processor time of a request, {what}", "ns", times, "≤ without ÷ 0.98", share >= 0.98))
    return rows


def processor_time(pid: int) -> int:
    """Nanoseconds on the processor of all threads of a process (proc_pid_schedstat)."""
    return sum(int((task / "schedstat").read_text().split()[0]) for task in pathlib.Path(f"/proc/{pid}/task").iterdir())


def prepare() -> None:
    build = ["swift", "build", "-c", "release", "--static-swift-stdlib", "--package-path", ROOT]
    for words in [["--scratch-path", ROOT / ".build-static", "--product", "request-measurement"],
                  ["--scratch-path", ROOT / ".build-without-marks", "--product", "benchmark-server",
                   "-Xswiftc", "-DPREFORK_WITHOUT_MARKS"]]:
        subprocess.run([*build, *words], check=True, stdout=sys.stderr)


REQUEST_ROWS = {"request": request}

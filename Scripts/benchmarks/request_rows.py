"""The rows of request marks: what one costs, and the server with them against one that is built without."""

import collections
import subprocess
import sys

from load import wrk
from rows import Row, median
from servers import ROOT, server

COLUMNS = ["prefork", "without"]
MEASUREMENT = ROOT / ".build-static/release/request-measurement"
WITHOUT = ROOT / ".build-without-marks/release/hello-server"


def request(quick: bool) -> list[Row]:
    """Request marks: begin and end in nanoseconds; requests/s with marks and without."""
    result = subprocess.run([MEASUREMENT, "50" if quick else "300"], capture_output=True, text=True, timeout=300,
                            check=True)
    rows = []
    for line in result.stdout.strip().splitlines():
        name, figure = line.split("\t")
        target = "≤ 15 ns" if name == "begin and end on a loop, a string of 8 bytes" else ""
        rows.append(Row(name, "ns", {"prefork": [float(figure)]}, target, float(figure) <= 15 if target else None))
    rates, runs, seconds = collections.defaultdict(list), 5 if quick else 11, 2 if quick else 3
    with server("prefork", 1) as marked, server("prefork", 1, program=WITHOUT) as without:
        # Each first in every other round: what comes second may have the warmer machine.
        for run in range(runs):
            turn = [("prefork", marked), ("without", without)]
            for name, running in turn if run % 2 else reversed(turn):
                rates[name].append(wrk(running.port, 64, seconds)["rps"])
    ratio = median(rates["prefork"]) / median(rates["without"])
    rows.append(Row("requests/s, 1 worker, keep-alive, 64 connections", "", rates, "≥ 0.98 × without", ratio >= 0.98))
    return rows


def prepare() -> None:
    build = ["swift", "build", "-c", "release", "--static-swift-stdlib", "--package-path", ROOT]
    for words in [["--scratch-path", ROOT / ".build-static", "--product", "request-measurement"],
                  ["--scratch-path", ROOT / ".build-without-marks", "--product", "hello-server",
                   "-Xswiftc", "-DPREFORK_WITHOUT_MARKS"]]:
        subprocess.run([*build, *words], check=True, stdout=sys.stderr)


REQUEST_ROWS = {"request": request}

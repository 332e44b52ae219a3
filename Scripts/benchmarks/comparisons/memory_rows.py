"""The rows of memory that stays shared: a table of 1 M entries that was loaded before the fork, read by eight workers."""

import subprocess
import sys

from programs import in_turn, pick
from rows import Row, median
from servers import ROOT

COLUMNS = ["prefork", "plain", "trivial", "store"]
MEASUREMENT = ROOT / ".build-static/release/memory-measurement"
FORMS = {"prefork": "frozen", "plain": "dictionary", "trivial": "trivial", "store": "store"}


def frozen(quick: bool) -> list[Row]:
    """A [String: String] of 1 M entries, frozen and plain, [UInt64: UInt64] and a SharedStore, read by 8 workers."""
    entries, workers = (100_000 if quick else 1_000_000), 8
    programs = {name: [MEASUREMENT, form] for name, form in FORMS.items()}
    [results] = in_turn(programs, 3 if quick else 5, (entries, workers)).values()
    memory, times = pick(results, "private"), pick(results, "lookup")
    ratio = median(memory["prefork"]) / median(memory["plain"])
    what = f"{entries:,} entries read by {workers} workers"
    return [Row(f"{what}: private memory of all by that", "MiB", memory, "≤ 0.05 × plain", ratio <= 0.05),
            Row(f"{what}: a look-up and its check, processor time", "ns", times),
            Row(f"{entries:,} entries: freezing them, processor time", "ms",
                {"prefork": [run["freezing"] for run in results["prefork"]]})]


def prepare() -> None:
    subprocess.run(["swift", "build", "-c", "release", "--static-swift-stdlib", "--package-path", ROOT, "--scratch-path",
                    ROOT / ".build-static", "--product", "memory-measurement"], check=True, stdout=sys.stderr)


MEMORY_ROWS = {"frozen": frozen}

"""The rows of services and managed processes: services, managed."""

import subprocess
import sys

from programs import OURS, ROOT, in_turn, pick
from rows import Row, median

MEASUREMENT = ROOT / ".build-static/release/service-measurement"


def services(quick: bool) -> list[Row]:
    """Start and stop of a tree of 1,000, 3,000 and 10,000 services, in four shapes."""
    result = subprocess.run([MEASUREMENT, "3" if quick else "11"], capture_output=True, text=True, timeout=300, check=True)
    head, *lines = [line.split("\t") for line in result.stdout.strip().splitlines()]
    sizes, rows = [int(cell) for cell in head[1:]], []
    for name, *cells in lines:
        times = [float(cell.removesuffix(" ms")) for cell in cells]
        what = "plan only" if name == "plan only" else f"start + stop, {name}"
        for size, time in zip(sizes, times):
            target = "≤ 20 ms" if size == 1000 and name not in ["plan only", "blocking"] else ""
            rows.append(Row(f"{what}, {size:,} services", "ms", {"prefork": [time]}, target,
                            time <= 20 if target else None))
        growth = times[-1] / times[0] / (sizes[-1] / sizes[0])
        rows.append(Row(f"{what}, time for each of {sizes[-1]:,} ÷ of {sizes[0]:,}", "×", {"prefork": [growth]},
                        "linear: ≤ 1.5", growth <= 1.5))
    return rows


def managed(quick: bool) -> list[Row]:
    """100 managed processes: from startAll to all ready, and terminateAll."""
    words = "managed", 100
    results = in_turn({"prefork": [OURS]}, 3 if quick else 9, words)[words]
    return [Row("100 managed processes: start to all ready", "ms", pick(results, "start_ms")),
            Row("100 managed processes: terminateAll", "ms", pick(results, "stop_ms"))]


def prepare() -> None:
    for product in ["service-measurement", "store-measurement"]:
        subprocess.run(["swift", "build", "-c", "release", "--static-swift-stdlib", "--package-path", ROOT,
                        "--scratch-path", ROOT / ".build-static", "--product", product], check=True, stdout=sys.stderr)


SERVICE_ROWS = {"services": services, "managed": managed}

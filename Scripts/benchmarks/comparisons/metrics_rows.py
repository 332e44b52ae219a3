"""The rows of shared metrics: an increment, an observation and a page, beside prometheus_client's multiprocess mode."""

import subprocess
import sys

from rows import Row
from servers import ROOT

COLUMNS = ["prefork", "threads", "prometheus_client"]
MEASUREMENT = ROOT / ".build-static/release/metrics-measurement"
PEER = ROOT / "Scripts/benchmarks/peers/prometheus_metrics.py"


def figures(command: list) -> dict[str, float]:
    result = subprocess.run(command, capture_output=True, text=True, timeout=900, check=True)
    return {name: float(figure) for name, figure in (line.split("\t") for line in result.stdout.strip().splitlines())}


def metrics(quick: bool) -> list[Row]:
    """Shared metrics: increment and observe; a page of 1,000 processes with 500 series, the peer's of 16 processes."""
    own = figures([MEASUREMENT, "50" if quick else "300", "1000", "500"])
    peer = figures([sys.executable, PEER, "5" if quick else "20", "16", "500"])
    rows = []
    for name, what, limit in (("increment", "increment of a counter", 4), ("observe", "observation of a histogram", 12)):
        figure = own[f"{name}, one thread"]
        rows.append(Row(what, "ns", {"prefork": [figure], "threads": [own[f"{name}, several threads"]],
                                     "prometheus_client": [peer[name]]},
                        f"≤ {limit} ns, ≤ 0.1 × prometheus_client", figure <= limit and figure <= 0.1 * peer[name]))
    for name, what in (("page, ms", "page, 1,000 (prometheus_client: 16) processes × 500 series"),
                       ("page, ms of the processor", "the same, processor time")):
        rows.append(Row(what, "ms", {"prefork": [own[name]], "prometheus_client": [peer[name]]},
                        "≤ 10 ms, ≤ 0.05 × prometheus_client", own[name] <= 10 and own[name] <= 0.05 * peer[name]))
    return rows


def prepare() -> None:
    subprocess.run(["swift", "build", "-c", "release", "--static-swift-stdlib", "--package-path", ROOT, "--scratch-path",
                    ROOT / ".build-static", "--product", "metrics-measurement"], check=True, stdout=sys.stderr)
    if subprocess.run([sys.executable, "-c", "import prometheus_client"], capture_output=True).returncode != 0:
        subprocess.run([sys.executable, "-m", "pip", "install", "-q", "prometheus_client"], check=True)


METRICS_ROWS = {"metrics": metrics}

"""What prometheus_client's multiprocess mode costs: nanoseconds for inc() and observe(), and a page of several processes.

usage: prometheus_metrics.py [ROUNDS [PROCESSES [SERIES]]]   (prints lines of a name, a tab and a figure)
"""

import os
import statistics
import sys
import tempfile
import time

ROUNDS, PROCESSES, SERIES = ([int(word) for word in sys.argv[1:]] + [20, 16, 500][len(sys.argv) - 1:])[:3]
COUNT = 20_000
FOLDER = tempfile.TemporaryDirectory(prefix="prefork-prometheus-")
os.environ["PROMETHEUS_MULTIPROC_DIR"] = FOLDER.name

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest  # noqa: E402
from prometheus_client.multiprocess import MultiProcessCollector  # noqa: E402


def median(body) -> float:
    times = []
    for _ in range(ROUNDS):
        begin = time.perf_counter_ns()
        for _ in range(COUNT):
            body()
        times.append((time.perf_counter_ns() - begin) / COUNT)
    return statistics.median(times)


def main() -> None:
    buckets = [0.0001 * 2 ** n for n in range(20)]
    counter = Counter("measured", "help", ["label"]).labels("value")
    histogram = Histogram("measured_seconds", "help", buckets=buckets)
    empty = median(lambda: None)
    print(f"increment\t{median(counter.inc) - empty:.1f}")
    print(f"observe\t{median(lambda: histogram.observe(0.013)) - empty:.1f}")
    requests = Counter("page_requests", "help", ["route"])
    for _ in range(PROCESSES):
        child = os.fork()
        if child == 0:
            for number in range(SERIES):
                requests.labels(f"/r/{number}").inc(number)
            os._exit(0)
        os.waitpid(child, 0)
    times, used = [], []
    for _ in range(max(5, ROUNDS // 4)):
        begin, processor = time.perf_counter(), time.process_time()
        registry = CollectorRegistry()
        MultiProcessCollector(registry)
        text = generate_latest(registry).decode()
        times.append((time.perf_counter() - begin) * 1e3)
        used.append((time.process_time() - processor) * 1e3)
    assert f'page_requests_total{{route="/r/1"}} {PROCESSES}.0' in text
    print(f"page, ms\t{statistics.median(times):.2f}")
    print(f"page, ms of the processor\t{statistics.median(used):.2f}")


main()

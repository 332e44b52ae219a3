"""The row of blocking work: what a handler that blocks for a second every two seconds costs the others."""

import collections
import contextlib
import http.client
import threading
import time

from http_rows import prepare  # noqa: F401
from load import wrk
from rows import Row, median
from servers import server

COLUMNS = ["prefork", "without", "on the loop"]
# On the loop the second itself is the latency of the others, so one run of it is enough to see it.
PATHS = {"prefork": "/blocking", "without": None, "on the loop": "/block"}


@contextlib.contextmanager
def blocker(port: int, path: str | None):
    """A client that has a handler block for one second in every two."""
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            begin = time.monotonic()
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            connection.request("GET", path)
            if connection.getresponse().status != 200:
                raise RuntimeError(f"{path} was not answered")
            connection.close()
            over.wait(max(0, begin + 2 - time.monotonic()))
    thread = threading.Thread(target=ask)
    if path:
        thread.start()
    try:
        yield
    finally:
        over.set()
        if path:
            thread.join()


def blocking(quick: bool) -> list[Row]:
    late, runs, seconds = collections.defaultdict(list), 3 if quick else 7, 4
    with server("blocking", 1) as running:
        for run in range(runs):
            for name in list(PATHS) if run % 2 else reversed(PATHS):
                if name == "on the loop" and run >= 2:
                    continue
                with blocker(running.port, PATHS[name]):
                    late[name].append(wrk(running.port, 16, seconds)["p99"])
    ratio = median(late["prefork"]) / median(late["without"])
    what = "a handler blocks 1 s every 2 s: p99 of the others, 1 worker, 16 connections"
    return [Row(what, "ms", late, "≤ 1.2 × without", ratio <= 1.2)]


BLOCKING_ROWS = {"blocking": blocking}

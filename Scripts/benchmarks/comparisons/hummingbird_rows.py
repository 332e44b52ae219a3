"""The row of Hummingbird: one process with K threads against K workers, with its own server or on the worker's loop."""

import collections
import contextlib
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import threading
import time

from load import wrk
from programs import ROOT
from rows import Row, median
from servers import Server, answers, end, free_port, wait_until

COLUMNS = ["prefork", "nio", "threads"]
MODES = {"prefork": "loop"}
PACKAGE, BUILT = ROOT / "Sources/Integrations", ROOT / ".build-integrations"
PROGRAM = BUILT / "release/hummingbird-measurement"
K = 2


def prepare() -> None:
    subprocess.run(["swift", "build", "-c", "release", "--package-path", PACKAGE, "--scratch-path", BUILT,
                    "--product", PROGRAM.name], check=True)


@contextlib.contextmanager
def running(name: str):
    """One process with K threads, or K workers, until its block ends."""
    with tempfile.TemporaryDirectory(prefix="prefork-bench-") as folder:
        port, log = free_port(), pathlib.Path(folder) / "log"
        with log.open("wb") as output:
            process = subprocess.Popen([PROGRAM, MODES.get(name, name), str(port), str(K)], stdout=output,
                                       stderr=output, start_new_session=True)
        server = Server(name, port, process, log)
        try:
            wait_until(lambda: answers(server), f"{name} answers", log)
            yield server
        finally:
            end(process)


def memory(server: Server) -> float:
    """Proportional memory of all its processes, MiB."""
    total = 0
    for pid in [server.process.pid, *server.children]:
        text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
        total += int(re.search(r"^Pss:\s+(\d+)", text, re.M).group(1))
    return total / 1024


def processor_time(server: Server) -> int:
    """Nanoseconds on the processor of all threads of all its processes (proc_pid_schedstat)."""
    return sum(int((task / "schedstat").read_text().split()[0])
               for pid in [server.process.pid, *server.children]
               for task in pathlib.Path(f"/proc/{pid}/task").iterdir())


@contextlib.contextmanager
def meanwhile(action, every: float):
    """Does `action` at once and every so many seconds, beside the block."""
    over = threading.Event()

    def repeat():
        while not over.is_set():
            with contextlib.suppress(OSError):
                action()
            over.wait(every)
    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def hummingbird(quick: bool) -> list[Row]:
    """Hummingbird 2: K workers on PreforkHTTP or NIO against K threads, also while one is blocked or killed."""
    runs, seconds = 2 if quick else 5, 3 if quick else 6
    figures = collections.defaultdict(lambda: collections.defaultdict(list))

    def note(what: str, name: str, value: float) -> None:
        figures[what][name].append(value)

    for _ in range(runs):
        for name in COLUMNS:
            with running(name) as server:
                wrk(server.port, 64, 1)
                before = processor_time(server)
                plain = wrk(server.port, 64, seconds)
                note("time", name, (processor_time(server) - before) / (plain["rps"] * seconds) / 1000)
                note("rps", name, plain["rps"])
                note("p99", name, plain["p99"])
                note("memory", name, memory(server))
                with meanwhile(lambda: server.get("/block"), every=2):
                    blocked = wrk(server.port, 64, seconds, target="/")
                note("rps blocked", name, blocked["rps"])
                note("p99 blocked", name, blocked["p99"])
                if name != "threads":
                    kill = lambda: os.kill(server.children[0], signal.SIGKILL)
                    with meanwhile(kill, every=2):
                        killed = wrk(server.port, 64, seconds, tolerant=True)
                    note("rps killed", name, killed["rps"])
                    note("p99 killed", name, killed["p99"])
                    note("lost", name, killed["errors"])
    k = f"Hummingbird, {K} workers against {K} threads, 64 kept connections"
    rps, cost, p99 = ({name: median(values) for name, values in figures[what].items()}
                      for what in ["rps", "time", "p99"])
    return [Row(f"{k}: requests/s", "", figures["rps"], "≥ 2.5 × threads", rps["prefork"] >= 2.5 * rps["threads"]),
            Row("processor time of a request, all processes", "µs", figures["time"], "≤ 0.3 × threads",
                cost["prefork"] <= 0.3 * cost["threads"]),
            Row("p99", "ms", figures["p99"], "≤ 0.6 × threads", p99["prefork"] <= 0.6 * p99["threads"]),
            Row("memory after it (PSS, all processes)", "MiB", figures["memory"]),
            Row("requests/s while a handler blocks its thread for 1 s, every 2 s", "", figures["rps blocked"]),
            Row("p99, likewise", "ms", figures["p99 blocked"]),
            Row("requests/s while a worker is killed every 2 s", "", figures["rps killed"]),
            Row("p99, likewise (one process: everything is gone)", "ms", figures["p99 killed"]),
            Row("connections that end with killed workers, in all", "", figures["lost"])]


HUMMINGBIRD_ROWS = {"hummingbird": hummingbird}

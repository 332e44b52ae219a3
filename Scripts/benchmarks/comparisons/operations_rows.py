"""The rows of operation: a reload under load, a stop, a sign of life."""

import collections
import os
import pathlib
import shutil
import signal
import subprocess
import time

from clients import Clients
from programs import ROOT, run
from rows import Row, median
from servers import server, wait_until

COLUMNS = ["prefork", "nginx", "gunicorn", "puma"]
MEASUREMENT = ROOT / ".build-static/release/operations-measurement"
# What each takes for a rolling reload; puma calls it a phased restart.
RELOADS = {"prefork": signal.SIGHUP, "nginx": signal.SIGHUP, "gunicorn": signal.SIGHUP, "puma": signal.SIGUSR1}


def prepare() -> None:
    if not shutil.which("puma"):
        subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "puma"],
                       env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, stdout=subprocess.DEVNULL)
    subprocess.run(["swift", "build", "-c", "release", "--static-swift-stdlib", "--package-path", ROOT,
                    "--scratch-path", ROOT / ".build-static", "--product", "operations-measurement"], check=True)


def peers() -> list[str]:
    """Puma only where there is one."""
    return [name for name in COLUMNS if name != "puma" or shutil.which("puma")]


def workers_of(process: subprocess.Popen) -> set[int]:
    workers = set()
    for task in pathlib.Path(f"/proc/{process.pid}/task").iterdir():
        try:
            workers |= {int(word) for word in (task / "children").read_text().split()}
        except (FileNotFoundError, ProcessLookupError):
            pass  # A thread that has ended meanwhile: puma's master has some.
    return workers



def reload(quick: bool) -> list[Row]:
    """A rolling reload of 16 workers under load, until every old one is gone; how many requests it cost."""
    times, lost, rounds = collections.defaultdict(list), collections.defaultdict(list), 2 if quick else 5
    for name in peers():
        with server(name, 16) as running:
            clients = Clients(running.port, keep=4, once=2)
            for _ in range(rounds):
                old = workers_of(running.process)
                begin = time.perf_counter()
                os.kill(running.process.pid, RELOADS[name])
                wait_until(lambda: (now := workers_of(running.process)).isdisjoint(old) and len(now) >= 16,
                           f"{name} has 16 new workers", running.log, limit=180)
                times[name].append((time.perf_counter() - begin) * 1000)
            answers, failures = clients.stop()
            lost[name].append(len(failures))
    return [Row("16 workers: reload under load to the end of the last old one", "ms", times),
            Row(f"requests lost by {rounds} such reloads, 4 kept connections and 2 clients with one for each request", "",
                lost, "0", lost["prefork"] == [0])]


def stop(quick: bool) -> list[Row]:
    """From the request for a graceful stop to the end of the main process, 16 idle workers."""
    times = collections.defaultdict(list)
    for name in peers():
        for _ in range(2 if name in ["gunicorn", "puma"] else 5 if quick else 15):
            with server(name, 16) as running:
                processes = workers_of(running.process)
                begin = time.perf_counter()
                # nginx: SIGQUIT is its graceful stop, SIGTERM the quick one.
                running.process.send_signal(signal.SIGQUIT if name == "nginx" else signal.SIGTERM)
                running.process.wait(60)
                times[name].append((time.perf_counter() - begin) * 1000)
                left = [pid for pid in processes if pathlib.Path(f"/proc/{pid}").exists()]
                # Puma's last worker can outlive it.
                assert not left or name != "prefork", f"{left} are left"
    return [Row("16 idle workers: graceful stop to the end", "ms", times, "≤ 50 ms", median(times["prefork"]) <= 50)]


def heartbeat(quick: bool) -> list[Row]:
    """A worker's sign of life, and the count of a request: one store and one addition in shared memory."""
    runs = [run([MEASUREMENT], ()) for _ in range(3 if quick else 7)]
    beats = [one["heartbeat"] for one in runs]
    return [Row("Worker.heartbeat()", "ns", {"prefork": beats}, "≤ 20 ns", median(beats) <= 20),
            Row("Worker.countRequest()", "ns", {"prefork": [one["request"] for one in runs]})]


OPERATIONS_ROWS = {"reload": reload, "stop": stop, "heartbeat": heartbeat}

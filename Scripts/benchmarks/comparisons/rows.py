"""The rows of the base: throughput, restart, balance, start, memory, idle. Peers run in the same row, in turn."""

import collections
import os
import pathlib
import re
import signal
import socket
import statistics
import subprocess
import time

from load import wrk
from servers import HELLO, free_port, server, wait_until


class Row:
    """A line of the table: what was measured, for whom, against which target."""

    def __init__(self, what: str, unit: str, figures: dict[str, list[float]], target: str = "", met: bool | None = None):
        self.what, self.unit, self.figures, self.target, self.met = what, unit, figures, target, met


def median(values: list[float]) -> float:
    return statistics.median(values)


def throughput(quick: bool) -> list[Row]:
    """Requests/s, keep-alive, 64 connections; with one worker also a connection per request."""
    rows, runs, seconds = [], 3 if quick else 5, 2 if quick else 3
    for workers, close in [(1, False), (2, False), (1, True), (2, True)]:
        rates, late = collections.defaultdict(list), collections.defaultdict(list)
        names = ["prefork", "nginx"] + ([] if close else ["tornado"])
        with server("prefork", workers) as a, server("nginx", workers) as b, server("tornado", workers) as c:
            for run in range(runs):
                for running in [a, b] + ([c] if "tornado" in names and run < 3 else []):
                    result = wrk(running.port, 64, seconds, close=close)
                    rates[running.name].append(result["rps"])
                    late[running.name].append(result["p99"])
        ratio = median(rates["prefork"]) / median(rates["nginx"])
        kind = "a connection per request" if close else "keep-alive"
        target = "≥ 1.0 × nginx" if workers == 1 and not close else ""
        rows.append(Row(f"requests/s, {workers} worker{'s' * (workers > 1)}, {kind}, 64 connections", "", rates,
                        target, ratio >= 1.0 if target else None))
        if not close:
            rows.append(Row(f"p99 latency, {workers} worker{'s' * (workers > 1)}", "ms", late))
    return rows


def restart(quick: bool) -> list[Row]:
    """From SIGKILL of the only worker to the first byte of an answer on a new connection."""
    kills, delays, large = 30 if quick else 100, collections.defaultdict(list), collections.defaultdict(list)
    forked, spare = {"env": os.environ | {"PREFORK_SPARES": "0"}}, {"env": os.environ | {"PREFORK_SPARES": "1"}}
    with server("prefork", 1, **spare) as a, server("nginx", 1) as b, server("gunicorn", 1) as c, \
            server("tornado", 1) as d, server("prefork", 1, **forked) as e:
        e.name = "forked"
        for _ in range(kills):
            for running in [a, b, c, d, e]:
                delays[running.name].append(one_restart(running, hasSpare=running is a) * 1000)
    # Each worker's memory is torn down at its death, and each fork copies the page tables.
    with server("large", 1, **spare) as a, server("nginx", 1) as b, server("large", 1, **forked) as c:
        a.name, c.name = "prefork", "forked"
        for _ in range(kills // 2):
            for running in [a, b, c]:
                large[running.name].append(one_restart(running, hasSpare=running is a) * 1000)
    without, large_without = {"prefork": delays.pop("forked")}, {"prefork": large.pop("forked")}
    for figures, forks in [(delays, without), (large, large_without)]:
        forks["nginx"] = figures["nginx"]
    def is_met(figures: dict[str, list[float]], most: float) -> bool:
        return median(figures["prefork"]) <= most * median(figures["nginx"])
    return [Row(f"SIGKILL to first answer, a spare waits, median of {kills}", "ms", delays, "≤ 0.25 × nginx",
                is_met(delays, 0.25)),
            Row("SIGKILL to first answer, a spare waits, p99", "ms",
                {name: [statistics.quantiles(v, n=100)[98]] for name, v in delays.items()}),
            Row("SIGKILL to first answer, no spare", "ms", without, "≤ 0.5 × nginx", is_met(without, 0.5)),
            Row("likewise with 1 GiB in the supervisor (nginx without), a spare waits", "ms", large, "≤ 0.35 × nginx",
                is_met(large, 0.35)),
            Row("likewise with 1 GiB in the supervisor (nginx without), no spare", "ms", large_without)]


def one_restart(running, hasSpare: bool = False) -> float:
    if hasSpare:
        wait_until(lambda: running.spares, "a spare that waits")
    victim = int(running.get("/pid"))
    start = time.perf_counter()
    os.kill(victim, signal.SIGKILL)
    while True:
        try:
            with socket.create_connection(("127.0.0.1", running.port), 5) as client:
                client.sendall(b"GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")
                if client.recv(1):
                    delay = time.perf_counter() - start
                    break
        except ConnectionError:
            continue  # accepted by the dying worker
    wait_until(lambda: running.children and int(running.get("/pid")) != victim, "a new worker")
    return delay


def balance(quick: bool) -> list[Row]:
    """How many of K connections, opened at once, each of four workers holds: most loaded ÷ least loaded."""
    rows, runs = [], 5 if quick else 15
    for connections in [4, 64, 512]:
        ratios = collections.defaultdict(list)
        with server("prefork", 4) as a, server("reuse-port", 4) as b, server("nginx", 4) as c:
            for _ in range(runs):
                for running in [a, b, c]:
                    ratios[running.name].append(spread(running.port, connections))
        target = "≤ 1.3" if connections == 64 else ""
        rows.append(Row(f"most ÷ least loaded of 4 workers, {connections} connections", "×", ratios, target,
                        median(ratios["prefork"]) <= 1.3 if target else None))
    return rows


def spread(port: int, connections: int) -> float:
    """A worker without a connection counts as half of one, so that the ratio stays finite."""
    clients, counts = [], collections.Counter()
    try:
        for _ in range(connections):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", port))
            clients.append(client)
        for client in clients:
            client.settimeout(10)
            client.sendall(b"GET /task HTTP/1.1\r\nHost: bench\r\n\r\n")
        for client in clients:
            counts[client.recv(4096).split(b"\r\n\r\n", 1)[1]] += 1
    finally:
        for client in clients:
            client.close()
    time.sleep(0.05)  # lets the server see the ends before the next round; nothing is measured by it
    return max(counts.values()) / (min(counts.values()) if len(counts) == 4 else 0.5)


def start(quick: bool) -> list[Row]:
    """From exec to the line that says all workers are ready, and from SIGTERM to the end of the last process."""
    rows = []
    for workers in [1, 16, 256, 1000]:
        ups, downs = [], []
        for _ in range(3 if quick else 7):
            begin = time.perf_counter()
            process = subprocess.Popen([HELLO, "--port", str(free_port()), "--workers", str(workers)],
                                       stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)
            try:
                if not process.stdout.readline().startswith(b"listening"):
                    raise RuntimeError(f"benchmark-server with {workers} workers ended early")
                ups.append((time.perf_counter() - begin) * 1000)
                children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
                assert len(children) == workers, f"{len(children)} of {workers} workers"
                begin = time.perf_counter()
                process.terminate()
                process.wait(60)
                downs.append((time.perf_counter() - begin) * 1000)
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        target = "≤ 1,000 ms" if workers == 1000 else ""
        rows.append(Row(f"{workers} workers: exec to all ready", "ms", {"prefork": ups}, target,
                        median(ups) <= 1000 if target else None))
        rows.append(Row(f"{workers} workers: SIGTERM to all gone", "ms", {"prefork": downs}))
    return rows


def memory(quick: bool) -> list[Row]:
    """Private (USS) and proportional (PSS) memory of a worker that has answered and is idle, KiB."""
    unique, shared = collections.defaultdict(list), collections.defaultdict(list)
    for name, workers in [("prefork", 16), ("nginx", 16), ("gunicorn", 4), ("tornado", 4)]:
        with server(name, workers) as running:
            for _ in range(workers * 4):
                running.get()
            for child in running.children:
                own, proportional = memory_of(child)
                unique[name].append(own)
                shared[name].append(proportional)
    with server("prefork", 1, env=os.environ | {"PREFORK_SPARES": "8"}) as running:
        wait_until(lambda: len(running.spares) == 8, "8 spares wait")
        spares = {"prefork": [memory_of(spare)[0] for spare in running.spares]}
    return [Row("USS of an idle worker", "KiB", unique, "≤ 200 KiB", median(unique["prefork"]) <= 200),
            Row("PSS of an idle worker", "KiB", shared),
            Row("USS of a spare that waits", "KiB", spares, "≤ 120 KiB", median(spares["prefork"]) <= 120)]


def memory_of(pid: int) -> tuple[int, int]:
    """USS and PSS of a process, in KiB."""
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    value = lambda key: int(re.search(rf"^{key}:\s+(\d+)", text, re.M).group(1))
    return value("Private_Clean") + value("Private_Dirty"), value("Pss")


def idle(quick: bool) -> list[Row]:
    """System calls of an idle supervisor with four workers, by strace."""
    seconds, calls = 3 if quick else 10, {}
    for name in ["prefork", "nginx", "gunicorn"]:
        with server(name, 4) as running:
            time.sleep(0.5)  # the start is over; what follows is idleness
            # The restart of the call that strace interrupts by attaching does not count: only calls that ended do.
            text = subprocess.run(["timeout", "-s", "INT", str(seconds), "strace", "-p", str(running.process.pid)],
                                  capture_output=True, text=True).stderr
            if "attached" not in text:
                raise RuntimeError(f"strace did not attach to {name}: {text[-500:]}")
            calls[name] = [float(len(re.findall(r"^\w+\(.*\) += ", text, re.M)))]
    return [Row(f"system calls of an idle supervisor in {seconds} s", "", calls, "0", calls["prefork"] == [0.0])]


ROWS = {"throughput": throughput, "restart": restart, "balance": balance, "start": start, "memory": memory, "idle": idle}

"""The rows of PreforkHTTP: against the bare loop with a fixed answer, the server by hand on `serve`, and nginx."""

import collections
import contextlib
import json
import os
import pathlib
import re
import resource
import socket
import subprocess
import sys
import time

from load import wrk
from programs import BINARIES, compile_c
from request_rows import processor_time
from rows import Row, median
from servers import ROOT, server

COLUMNS = ["prefork", "bare", "by hand", "C", "nginx"]
SOCKET_COLUMNS = ["prefork", "C", "ws"]
IDLE = 10_000
REQUEST = b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n"


def http(quick: bool) -> list[Row]:
    """Hello World by serveHTTP: requests/s, p99, processor time of server and load, memory of an idle connection."""
    runs, seconds, late, loads = 3 if quick else 9, 2, collections.defaultdict(list), collections.defaultdict(list)
    kinds = {"prefork": "http", "bare": "bare", "by hand": "prefork", "C": "C http", "nginx": "nginx"}
    with contextlib.ExitStack() as stack:
        running = {name: stack.enter_context(server(kind, 0 if name == "C" else 1)) for name, kind in kinds.items()}

        def load(name: str, port: int) -> tuple[float, float]:
            before = children_time()
            figures = wrk(port, 64, seconds)
            late[name].append(figures["p99"])
            loads[name].append((children_time() - before) / (figures["rps"] * seconds))
            return figures["rps"], figures["rps"] * seconds
        rates, times = in_turn(running, runs, load)
    what = "1 worker, keep-alive, 64 connections"
    toNginx, toHand = (median(rates["prefork"]) / median(rates[name]) for name in ["nginx", "by hand"])
    toBare, toLate = median(times["prefork"]) / median(times["bare"]), median(late["prefork"]) / median(late["nginx"])
    return [Row(f"requests/s, {what}", "", rates, "≥ 1.05 × nginx, ≥ 1.0 × by hand", toNginx >= 1.05 and toHand >= 1.0),
            Row(f"p99, {what}", "ms", late, "≤ 1.0 × nginx", toLate <= 1),
            Row(f"processor time of a request, {what}", "ns", times, "≤ 1.05 × bare", toBare <= 1.05),
            Row("the same of wrk, one thread: what is left of a second for each of its requests", "ns", loads),
            idle()]


def idle() -> Row:
    """Private memory of each of many kept connections that have had one answer."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit[1], limit[1]))
    figures = {}
    for name in ["http", "bare"]:
        with server(name, 1) as running:
            worker = running.children[0]
            first = [kept(running.port) for _ in range(100)]
            before = private(worker)
            others = [kept(running.port) for _ in range(IDLE - len(first))]
            time.sleep(1)
            figures["prefork" if name == "http" else name] = [(private(worker) - before) / len(others)]
            for connection in first + others:
                connection.close()
    resource.setrlimit(resource.RLIMIT_NOFILE, limit)
    return Row(f"memory of each of {IDLE:,} idle kept connections", "KiB", figures, "≤ 4 KiB", figures["prefork"][0] <= 4)


def kept(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), 10)
    connection.sendall(REQUEST)
    if not connection.recv(4096).endswith(b"Hello World"):
        raise RuntimeError("another answer than Hello World")
    return connection


def private(pid: int) -> int:
    """KiB that belong to this process alone."""
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(r"Private_Dirty:\s+(\d+)", text)[1])


def children_time() -> float:
    """Nanoseconds on the processor of all programs that this one has started and waited for (getrusage(2))."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (usage.ru_utime + usage.ru_stime) * 1e9


def in_turn(running: dict, runs: int, load) -> tuple[dict, dict]:
    """Requests/s and nanoseconds of the server's processor time for each, of all servers in turn."""
    rates, times = collections.defaultdict(list), collections.defaultdict(list)
    for run in range(runs):
        for name, server in running.items() if run % 2 else reversed(running.items()):
            pid = (server.children or [server.process.pid])[0]
            before = processor_time(pid)
            rate, count = load(name, server.port)
            rates[name].append(rate)
            times[name].append((processor_time(pid) - before) / count)
    return rates, times


def files(quick: bool) -> list[Row]:
    """Files of 4 KiB and 1 MiB by sendfile: requests/s, processor time of the server, and of server and load together.

    nginx sends a head as a packet of its own (tcp_nopush is off by default), and what follows in the time of whichever
    process the network stack then runs in, much of it wrk's. So the server's time alone does not compare the two.
    """
    rows, runs, seconds = [], 3 if quick else 9, 2
    with server("files", 1) as a, server("nginx", 1) as b:
        for size, target in [("4 KiB", "4k"), ("1 MiB", "1m")]:
            both = collections.defaultdict(list)

            def load(name: str, port: int) -> tuple[float, float]:
                pid = {"prefork": a, "nginx": b}[name].children[0]
                before = children_time() + processor_time(pid)
                count = wrk(port, 64, seconds, target=f"/files/{target}")["rps"] * seconds
                both[name].append((children_time() + processor_time(pid) - before) / count)
                return count / seconds, count
            rates, times = in_turn({"prefork": a, "nginx": b}, runs, load)
            toRate, toTime, toBoth = (median(figures["prefork"]) / median(figures["nginx"])
                                      for figures in [rates, times, both])
            rows += [Row(f"a file of {size}, 64 connections: requests/s", "", rates, "≥ 1.0 × nginx", toRate >= 1),
                     Row(f"a file of {size}: processor time of a request", "ns", times, "≤ 1.0 × nginx", toTime <= 1),
                     Row(f"a file of {size}: processor time of a request, server and wrk", "ns", both,
                         "≤ 1.0 × nginx", toBoth <= 1)]
    return rows


def websocket(quick: bool) -> list[Row]:
    """Echo of 64 bytes over WebSockets against Node's ws, and against a server in C with nothing but the system calls."""
    rows, runs, seconds = [], 3 if quick else 9, 2
    with contextlib.ExitStack() as stack:
        running = {name: stack.enter_context(server(kind, 1 if name == "prefork" else 0))
                   for name, kind in [("prefork", "websocket"), ("C", "C websocket"), ("ws", "ws")]}
        for messages in [1, 8]:
            def load(_: str, port: int) -> tuple[float, float]:
                words = [BINARIES / "websocket_limits", "load", str(port), "64", str(messages), str(seconds)]
                figures = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
                return figures["messages_per_s"], figures["messages"]
            rates, times = in_turn(running, runs, load)
            what = f"WebSocket echo of 64 B, 64 connections, {messages} in flight on each"
            ratio = median(times["ws"]) / median(times["prefork"])
            rows += [Row(f"{what}: messages/s", "", rates),
                     Row(f"{what}: processor time of a message", "ns", times, "≤ ws ÷ 3", ratio >= 3)]
    return rows


def prepare_sockets() -> None:
    prepare()
    compile_c("limits/websocket_limits.c")
    folder = BINARIES / "node-ws"
    if not folder.exists():
        # Debian's package, unpacked and not installed.
        os.makedirs(folder)
        subprocess.run(["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", "node-ws"], cwd=folder, check=True)
        subprocess.run(["dpkg-deb", "-x", next(folder.glob("*.deb")), folder], check=True)


def prepare() -> None:
    subprocess.run(["swift", "build", "-c", "release", "--static-swift-stdlib", "--package-path", ROOT, "--scratch-path",
                    ROOT / ".build-static", "--product", "http-measurement"], check=True, stdout=sys.stderr)
    compile_c("limits/http_limits.c")


HTTP_ROWS = {"http": http, "files": files}
SOCKET_ROWS = {"websocket": websocket}

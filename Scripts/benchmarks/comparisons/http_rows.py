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

COLUMNS = ["prefork", "bare", "by hand", "nginx"]
SOCKET_COLUMNS = ["prefork", "C", "ws"]
IDLE = 10_000
REQUEST = b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n"


def http(quick: bool) -> list[Row]:
    """Hello World by serveHTTP: requests/s, processor time of a request, memory of an idle connection."""
    rates, times, runs, seconds = (collections.defaultdict(list), collections.defaultdict(list),
                                   3 if quick else 9, 2)
    with server("http", 1) as http, server("bare", 1) as bare, server("prefork", 1) as hand, server("nginx", 1) as nginx:
        turn = [("prefork", http), ("bare", bare), ("by hand", hand), ("nginx", nginx)]
        for run in range(runs):
            for name, running in turn if run % 2 else reversed(turn):
                worker = running.children[0]
                before = processor_time(worker)
                rates[name].append(wrk(running.port, 64, seconds)["rps"])
                times[name].append((processor_time(worker) - before) / (rates[name][-1] * seconds))
    what = "1 worker, keep-alive, 64 connections"
    toNginx, toHand = (median(rates["prefork"]) / median(rates[name]) for name in ["nginx", "by hand"])
    toBare = median(times["prefork"]) / median(times["bare"])
    return [Row(f"requests/s, {what}", "", rates, "≥ 1.05 × nginx, ≥ 1.0 × by hand", toNginx >= 1.05 and toHand >= 1.0),
            Row(f"processor time of a request, {what}", "ns", times, "≤ 1.05 × bare", toBare <= 1.05),
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


def in_turn(running: dict, runs: int, load) -> tuple[dict, dict]:
    """Requests/s and nanoseconds of the server's processor time for each, of all servers in turn."""
    rates, times = collections.defaultdict(list), collections.defaultdict(list)
    for run in range(runs):
        for name, server in running.items() if run % 2 else reversed(running.items()):
            pid = (server.children or [server.process.pid])[0]
            before = processor_time(pid)
            rate, count = load(server.port)
            rates[name].append(rate)
            times[name].append((processor_time(pid) - before) / count)
    return rates, times


def files(quick: bool) -> list[Row]:
    """Files of 4 KiB and 1 MiB, with sendfile on both sides: requests/s and the server's processor time."""
    rows, runs, seconds = [], 3 if quick else 9, 2
    with server("files", 1) as a, server("nginx", 1) as b:
        for size, name in [("4 KiB", "4k"), ("1 MiB", "1m")]:
            def load(port: int) -> tuple[float, float]:
                rate = wrk(port, 64, seconds, target=f"/files/{name}")["rps"]
                return rate, rate * seconds
            rates, times = in_turn({"prefork": a, "nginx": b}, runs, load)
            toRate, toTime = (median(figures["prefork"]) / median(figures["nginx"]) for figures in [rates, times])
            rows += [Row(f"a file of {size}, 64 connections: requests/s", "", rates, "≥ 1.0 × nginx", toRate >= 1),
                     Row(f"a file of {size}: processor time of a request", "ns", times, "≤ 1.0 × nginx", toTime <= 1)]
    return rows


def websocket(quick: bool) -> list[Row]:
    """Echo of 64 bytes over WebSockets against Node's ws, and against a server in C with nothing but the system calls."""
    rows, runs, seconds = [], 3 if quick else 9, 2
    with contextlib.ExitStack() as stack:
        running = {name: stack.enter_context(server(kind, 1 if name == "prefork" else 0))
                   for name, kind in [("prefork", "websocket"), ("C", "C websocket"), ("ws", "ws")]}
        for messages in [1, 8]:
            def load(port: int) -> tuple[float, float]:
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


HTTP_ROWS = {"http": http, "files": files}
SOCKET_ROWS = {"websocket": websocket}

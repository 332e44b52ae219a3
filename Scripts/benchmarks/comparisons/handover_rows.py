"""The row of live handover: what clients with open connections notice of deploys, with each server and the same clients."""

import json
import subprocess
import sys
import time

from handover_peers import MemoryWatch, client_ports, memory, peer
from http_rows import prepare_sockets
from load import wrk
from programs import BINARIES, ROOT, compile_c
from rows import Row, median

COLUMNS = ["prefork", "nginx", "gunicorn", "node"]
PROBES = 20
# What is installed beside gunicorn, which Scripts/bench has installed.
PACKAGES = ["uvicorn==0.54.0", "uvicorn-worker==0.4.0", "websockets==17.4"]


class Clients:
    """`handover_clients`, a process."""

    def __init__(self, kind: str, port: int, count: int, patience: float = 120):
        words = [BINARIES / "handover_clients", kind, str(port), str(count), str(PROBES)]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.count = count
        self.wait_for_all(patience)

    def say(self, word: str) -> dict:
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def wait_for_all(self, patience: float) -> list[dict]:
        """Waits until all are connected. What has happened meanwhile."""
        windows, limit = [self.say("report")], time.monotonic() + patience
        while windows[-1]["open"] < self.count:
            if time.monotonic() > limit: raise TimeoutError(f"{windows[-1]['open']} of {self.count} clients are connected")
            time.sleep(0.05)
            windows.append(self.say("report"))
        return windows

    def end(self) -> dict:
        figures = self.say("end")
        self.process.wait(30)
        # What is without an answer now never gets one.
        figures["lost"] += figures["waiting"]
        return figures


class Deploys:
    """What the clients have noticed of the deploys of one server."""

    def __init__(self):
        self.lost = self.doubled = self.disconnects = self.count = 0
        self.pauses, self.backs, self.times = [], [], []
        self.growth = 0.0

    def note(self, windows: list[dict]) -> None:
        for window in windows:
            self.lost += window["lost"] + window["missing"]
            self.doubled += window["doubled"]
            self.disconnects += window["disconnects"]

    def run(self, running, clients: Clients, ways: list[str]) -> None:
        for way in ways:
            # What comes before belongs to no deploy, and is as little to be lost.
            self.note([clients.say("report")])
            begin = time.monotonic()
            running.deploy(way)
            self.times.append(time.monotonic() - begin)
            windows = clients.wait_for_all(120)
            self.note(windows)
            self.count += 1
            # Absences of probes are pauses, too: they are as long as the disconnect lasts.
            absent = max(window["absences"]["p99"] for window in windows)
            self.pauses.append(max(absent, max(window["pauses"]["p99"] for window in windows)))
            self.backs.append(sum(window["back"] for window in windows))
            time.sleep(1)


def sockets(quick: bool) -> list[Row]:
    """Disconnects, losses, pauses and memory of open WebSockets over deploys."""
    count, all_figures, growth = 1000 if quick else 10_000, {}, {}
    for name in COLUMNS:
        own, figures = name == "prefork", Deploys()
        ways = (["reload"] * (5 if quick else 50) + ["upgrade"] * (2 if quick else 10)) if own else ["deploy"] * (1 if quick else 3)
        with peer(name) as running:
            clients = Clients("websocket", running.port, count)
            time.sleep(3)
            before = memory(running.pids)
            with MemoryWatch(running) as watch: figures.run(running, clients, ways)
            figures.note([clients.end()])
            growth[name] = [watch.most / before]
        all_figures[name] = figures
        print(f"    {name}: {figures.count} deploys, {figures.disconnects} disconnects", file=sys.stderr, flush=True)
    return socket_rows(count, all_figures, growth)


def socket_rows(count: int, figures: dict, growth: dict) -> list[Row]:
    def of(make) -> dict: return {name: make(one) for name, one in figures.items()}
    what, own = f"{count:,} open WebSockets with a message each second", figures["prefork"]
    pauses, times = of(lambda one: [pause * 1000 for pause in one.pauses]), of(lambda one: one.times)
    return [
        Row(f"{what}: disconnects of a deploy", "", of(lambda one: [one.disconnects / one.count]), "0", own.disconnects == 0),
        Row(f"{what}: messages lost or doubled by a deploy", "", of(lambda one: [(one.lost + one.doubled) / one.count]), "0",
            own.lost + own.doubled == 0),
        Row(f"{what}: pause of a connection in a deploy, p99", "ms", pauses, "≤ 5 ms", median(pauses["prefork"]) <= 5),
        Row(f"{what}: a deploy until the last old worker has ended", "s", times),
        Row(f"{what}: from the first disconnect until all are back", "s", of(lambda one: one.backs)),
        Row(f"{what}: memory of all processes at its peak ÷ before", "×", growth, "≤ 1.3", growth["prefork"][0] <= 1.3)]


def kept(quick: bool) -> list[Row]:
    """wrk on kept connections, with and without reloads; the ports of its connections tell whether one was closed."""
    seconds, reloads = (12, 4) if quick else (60, 20)
    rates, closed = {}, {}
    for name in COLUMNS:
        if name in ["nginx", "node"]: continue
        with peer(name) as running:
            quiet = wrk(running.port, 64, seconds, tolerant=True)["rps"]
            words = ["wrk", "-t1", "-c64", f"-d{seconds}s", f"http://127.0.0.1:{running.port}/"]
            load = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
            time.sleep(1)
            before, begin, lost = client_ports(running.port), time.monotonic(), set()
            for number in range(reloads):
                time.sleep(max(0, begin + number * (seconds - 2) / reloads - time.monotonic()))
                running.deploy("reload")
                now = client_ports(running.port)
                lost |= before - now
                before |= now
            text = load.communicate(timeout=seconds + 30)[0]
            rate = float(text.split("Requests/sec:")[1].split()[0])
            errors = sum(int(word) for word in text.split("Socket errors:")[1].split("\n")[0].replace(",", "").split()
                         if word.isdigit()) if "Socket errors" in text else 0
            rates[name], closed[name] = [rate / quiet], [len(lost) + errors]
    what = f"64 kept connections of wrk, {reloads} reloads in {seconds} s"
    return [Row(f"{what}: closed or reset", "", closed, "0", closed["prefork"] == [0]),
            Row(f"{what}: requests/s ÷ without", "", rates, "≥ 0.95", rates["prefork"][0] >= 0.95)]


def handover(quick: bool) -> list[Row]:
    """Open WebSockets and kept connections over reloads and upgrades: disconnects, losses, pauses, memory."""
    return sockets(quick) + kept(quick)


def prepare() -> None:
    prepare_sockets()
    compile_c("limits/handover_clients.c")
    subprocess.run(["swift", "build", "-c", "release", "--static-swift-stdlib", "--package-path", ROOT, "--scratch-path",
                    ROOT / ".build-static", "--product", "preforkctl"], check=True, stdout=sys.stderr)
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", *PACKAGES], check=True)


HANDOVER_ROWS = {"handover": handover}

"""The part of the storm whose attackers are outside: ten thousand clients on each port that never finish a request."""

import contextlib
import multiprocessing
import os
import pathlib
import random
import resource
import selectors
import socket
import subprocess
import tempfile
import time

from servers import ROOT, free_port
from storm_common import clients_of, counted
from storm_watch import Report

TOOL = ROOT / ".build-static/release/preforkctl"
# What has to be answered within this, whatever strangers do: health, readiness, the operator.
MOST_MS = 100
# What a half-open connection has sent: nothing, the beginning of a head, a head without its last line.
BEGINNINGS = {
    "http": [b"", b"G", b"GET /healthz HTTP/1.1\r\nHost: x\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nX-A: "],
    "control": [b"", b"{", b'{"command": "stat'],
}


class HalfOpen:
    """Keeps `count` connections to one address open that never send a whole request, in a process of its own.

    It opens one for each that the server ends, at most a thousand a second once all were open.
    """

    FIGURES = ["opened", "ended", "refused", "highest"]

    def __init__(self, family: int, address, beginnings: list[bytes], count: int, seed: float):
        self.family, self.address, self.beginnings, self.most = family, address, beginnings, count
        self.dice = random.Random(seed)
        self.figures = {name: multiprocessing.Value("q", 0) for name in self.FIGURES}
        self.stops = multiprocessing.Value("b", 0)
        self.process = multiprocessing.Process(target=self.run, daemon=True)
        self.process.start()

    def __getattr__(self, name: str) -> int:
        return self.figures[name].value

    def add(self, name: str) -> None:
        self.figures[name].value += 1

    def run(self) -> None:
        self.selector, self.sockets = selectors.EpollSelector(), set()
        began = time.monotonic()
        while not self.stops.value:
            allowed = self.most + int((time.monotonic() - began) * 1000) - self.opened
            # Some at a time, so that those that ended are seen.
            for _ in range(min(200, self.most - len(self.sockets), allowed)):
                if not self.open():
                    break
            self.figures["highest"].value = max(self.highest, len(self.sockets))
            for key, _ in self.selector.select(0.005):
                self.look(key.fileobj)

    def open(self) -> bool:
        connection = socket.socket(self.family, socket.SOCK_STREAM)
        try:
            connection.settimeout(0.05)
            connection.connect(self.address)
            connection.setblocking(False)
            if beginning := self.dice.choice(self.beginnings):
                connection.send(beginning)
        except OSError:
            # A full backlog: the kernel's answer to too many, and for a Unix socket EAGAIN at once.
            connection.close()
            self.add("refused")
            return False
        self.add("opened")
        self.sockets.add(connection)
        self.selector.register(connection, selectors.EVENT_READ)
        return True

    def look(self, connection: socket.socket) -> None:
        try:
            if connection.recv(4096):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self.add("ended")
        self.selector.unregister(connection)
        self.sockets.discard(connection)
        connection.close()

    def stop(self) -> None:
        self.stops.value = 1
        self.process.join()


def ask(port: int, path: str) -> tuple[float, str, int]:
    """Milliseconds from the first connect to the end of the answer, its first line, and how often it came in vain.

    While strangers come in by the thousand a client may lose its place between its connect and its request, when it is
    one of those that have sent nothing. It comes again, as a monitor does; that counts, and so does the time.
    """
    begin = time.perf_counter()
    for attempt in range(5):
        data = b""
        with contextlib.suppress(ConnectionError), socket.create_connection(("127.0.0.1", port), 10) as client:
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: storm\r\nConnection: close\r\n\r\n".encode())
            while chunk := client.recv(65536):
                data += chunk
        if data:
            break
    return (time.perf_counter() - begin) * 1e3, data.split(b"\r\n", 1)[0].decode(errors="replace"), attempt


def half_open(scale: float, dice: random.Random, name: str = "prefork") -> Report:
    """10,000 half-open connections on the service, the metrics and the control port, for ten seconds or more."""
    count, seconds = max(200, int(10_000 * min(scale, 1))), max(5, 20 * scale)
    report = Report("half-open connections", name, 3 * count)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    faults, in_vain, times = [], 0, {"/healthz": [], "/readyz": [], "status": []}
    with tempfile.TemporaryDirectory(prefix="prefork-storm-") as folder:
        control, metrics = str(pathlib.Path(folder) / "control"), free_port()
        environment = os.environ | {"PREFORK_CONTROL": control, "PREFORK_METRICS": f"127.0.0.1:{metrics}"}
        with counted(report, name, env=environment) as running:
            crowds = [
                HalfOpen(socket.AF_INET, ("127.0.0.1", running.port), BEGINNINGS["http"], count, dice.random()),
                HalfOpen(socket.AF_INET, ("127.0.0.1", metrics), BEGINNINGS["http"], count, dice.random()),
                HalfOpen(socket.AF_UNIX, control, BEGINNINGS["control"], count, dice.random()),
            ]
            clients = clients_of(running, dice, keep=2, once=2, pause=0.01)
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                for path in ["/healthz", "/readyz"]:
                    try:
                        delay, line, attempts = ask(metrics, path)
                        times[path].append(delay)
                        in_vain += attempts
                        if " 200 " not in line:
                            faults.append(f"{path}: {line}")
                    except OSError as error:
                        faults.append(f"{path}: {error!r}")
                begin = time.perf_counter()
                # One answer of the server's: without --json the tool asks twice, for rates.
                tool = subprocess.run([TOOL, "--socket", control, "status", "--json"], capture_output=True, text=True,
                                      timeout=30)
                times["status"].append((time.perf_counter() - begin) * 1e3)
                if tool.returncode != 0:
                    faults.append(f"status: {tool.stderr.strip()[:80]}")
                time.sleep(0.05)
            report.count(*clients.stop())
            for crowd in crowds:
                crowd.stop()
            tell(crowds, times)
    report.isGood &= report.failed == 0 and report.reset == 0 and not faults
    report.isGood &= all(max(values) <= MOST_MS for values in times.values())
    report.note = "longest ms: " + ", ".join(f"{name} {max(values):.0f}" for name, values in times.items())
    report.note += f"; clients that came again: {in_vain}"
    # The first second, when all of them come at once.
    report.isGood &= in_vain <= 5
    report.note += "".join(f"; {fault}" for fault in dict.fromkeys(faults[:3]))
    return report


def tell(crowds: list[HalfOpen], times: dict[str, list[float]]) -> None:
    print("\n    | port | at most at once | opened | ended by the server | refused by the kernel |\n    |---|---|---|---|---|")
    for name, crowd in zip(["service", "metrics", "control"], crowds):
        print(f"    | {name} | {crowd.highest:,} | {crowd.opened:,} | {crowd.ended:,} | {crowd.refused:,} |")
    print("\n    | answer | n | median ms | p99 ms | longest ms |\n    |---|---|---|---|---|")
    for name, values in times.items():
        ordered = sorted(values)
        middle, late = ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
        print(f"    | {name} | {len(ordered)} | {middle:.1f} | {late:.1f} | {ordered[-1]:.1f} |")
    print(flush=True)


PARTS = {"half-open": half_open, "half-open-http": lambda scale, dice: half_open(scale, dice, "prefork-http")}

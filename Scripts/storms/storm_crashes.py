"""The parts of the storm in which requests end their worker: what is known of it afterwards, and what it costs others."""

import asyncio
import json
import os
import random
import socket
import statistics
import subprocess
import tempfile
import time

from clients import Clients
from servers import ROOT, Server, server, wait_until
from storm_common import counted
from storm_watch import Report, is_whole

TOOL = ROOT / ".build-static/release/preforkctl"
# What a client asks for, the signal that it leads to, and the function that the report has to name.
KINDS = {
    "index": ("SIGILL", "crashByIndex"), "absent": ("SIGILL", "crashByAbsence"),
    "overflow": ("SIGILL", "crashByOverflow"), "fatal": ("SIGILL", "crashByFatalError"),
    "recursion": ("SIGSEGV", "crashByRecursion"), "memory": ("SIGSEGV", "crashByMemory"),
}
WORKERS = 4
# The server whose reports name functions.
OWN = "ops-fixture"
# As many ends as `preforkctl crashes` knows.
KNOWN = 100
# What a server that is not through with the poisoned requests is given: gunicorn would take some ten minutes for 10,000
# of them, puma, which looks for dead workers every 5 s, some hours.
PEER_SECONDS = 100


def crash(port: int, kind: str) -> int:
    """Asks a worker who it is and then to crash; its process ID."""
    with socket.create_connection(("127.0.0.1", port), 30) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = client.recv(65536)
        pid = int(answer.split(b"\r\n\r\n", 1)[1].split()[1])
        client.sendall(f"GET /crash/{kind}?secret=1 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        try:
            while client.recv(65536):
                pass
        except ConnectionError:
            pass
        return pid


def reports(control: str) -> dict[int, dict]:
    text = subprocess.run([TOOL, "--socket", control, "crashes", "--json"], check=True, capture_output=True).stdout
    return {report["pid"]: report for report in json.loads(text)}


def complaint(report: dict | None, kind: str) -> str | None:
    signal, function = KINDS[kind]
    if report is None:
        return "no report"
    if not (report.get("crash") or {}).get("signal", "").startswith(signal):
        return f"{kind}: not {signal} but {report.get('crash')}"
    if not any(function in line for line in report["stack"]):
        return f"{kind}: no {function} in {report['stack'][:4]}"
    requests = [request["label"] for request in report.get("requests", [])]
    if not any(f"/crash/{kind}" in label for label in requests):
        return f"{kind}: requests {requests}"
    if "secret" in json.dumps(report):
        return f"{kind}: the query is told"
    return None


def environment(control: str, backtrace: bool = False) -> dict[str, str]:
    tracer = "/opt/swift/usr/libexec/swift/linux/swift-backtrace-static"
    value = f"enable=yes,swift-backtrace={tracer}" if backtrace else "enable=no"
    return os.environ | {"PREFORK_CONTROL": control, "SWIFT_BACKTRACE": value}


def crashes(scale: float, dice: random.Random) -> Report:
    """1,000 crashes of six kinds in random workers, beside clients that ask without a pause."""
    report = Report("crashes", "prefork")
    wrong: list[str] = []
    with tempfile.TemporaryDirectory(prefix="prefork-crashes-") as folder:
        control = folder + "/control"
        with counted(report, "ops-fixture", env=environment(control)) as running:
            clients = Clients(running.port, keep=2, once=2, pause=0.002)
            asked: dict[int, str] = {}
            for number in range(int(1000 * scale)):
                kind = dice.choice(list(KINDS))
                asked[crash(running.port, kind)] = kind
                report.events += 1
                if len(asked) == KNOWN // 2 or number == int(1000 * scale) - 1:
                    wait_until(lambda: set(asked) <= set(reports(control)), "all are told", running.log)
                    known = reports(control)
                    wrong += [text for pid, kind in asked.items() if (text := complaint(known.get(pid), kind))]
                    asked = {}
            report.count(*clients.stop())
            wait_until(lambda: is_whole(running, WORKERS), "the pool is whole", running.log)
    report.isGood = not wrong
    report.note = f"{report.events - len(wrong)} of {report.events} name signal, function and request"
    if wrong:
        report.note += f"; {wrong[0][:200]}"
    return report


def successor(scale: float, dice: random.Random) -> Report:
    """From a crash to the successor's first answer, with one worker: without a backtracer, and with one."""
    times: dict[bool, list[float]] = {False: [], True: []}
    report = Report("successor", "prefork")
    with tempfile.TemporaryDirectory(prefix="prefork-successor-") as folder:
        for _ in range(4):
            for traced in times:
                control = folder + "/control"
                with server("ops-fixture", 1, env=environment(control, traced)) as running:
                    for _ in range(max(2, int(25 * scale))):
                        with socket.create_connection(("127.0.0.1", running.port), 30) as client:
                            # Already accepted, so that it is this worker's.
                            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                            client.recv(65536)
                            client.sendall(b"GET /crash/index HTTP/1.1\r\nHost: x\r\n\r\n")
                            begin = time.perf_counter()
                            running.get(timeout=30)
                            times[traced].append((time.perf_counter() - begin) * 1e3)
                        # Each by itself: backtracers of those before take the processor.
                        wait_until(lambda: len(running.children) == 1, "the crashed one has ended", running.log)
                        report.events += 1
    off, on = (statistics.median(times[traced]) for traced in (False, True))
    report.recovery = times[True]
    report.isGood = on <= 1.2 * off
    report.note = f"median {off:.2f} ms without a backtracer, {on:.2f} with one: {on / off:.2f}"
    return report


class Good:
    """Clients that keep their connections and ask 50 times a second each, and what they met with."""

    def __init__(self, port: int):
        self.port, self.times, self.failed, self.lost = port, [], 0, 0
        self.stops = False

    async def client(self) -> None:
        reader = writer = None
        while not self.stops:
            begin = time.perf_counter()
            fresh = writer is None
            try:
                if fresh:
                    reader, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", self.port), 30)
                writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
                length = int(head.lower().split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
                await asyncio.wait_for(reader.readexactly(length), 30)
                if not head.startswith(b"HTTP/1.1 200"):
                    raise ConnectionError(head[:20])
                self.times.append((time.perf_counter() - begin) * 1e3)
                if b"close" in head.lower():
                    writer.close()
                    writer = None
            except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError, IndexError, ValueError):
                # The other requests of a worker that crashes are lost with it.
                self.lost += 1
                if writer:
                    writer.close()
                writer = None
            await asyncio.sleep(0.02)


async def poisoned(port: int, count: list[int], outcome: dict[str, int]) -> None:
    while count[0] > 0:
        count[0] -= 1
        try:
            reader, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", port), 30)
            writer.write(b"GET /crash/fatal HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            answer = await asyncio.wait_for(reader.read(100), 60)
            key = "refused" if answer.startswith(b"HTTP/1.1 503") else "ended"
            writer.close()
        except asyncio.TimeoutError:
            key = "hung"
        except OSError:
            key = "ended"
        outcome[key] = outcome.get(key, 0) + 1


async def attack(running: Server, requests: int, limit: float | None) -> tuple[Good, dict[str, int]]:
    good, outcome = Good(running.port), {}
    clients = [asyncio.create_task(good.client()) for _ in range(64)]
    await asyncio.sleep(1)
    count = [requests]
    asking = [asyncio.create_task(poisoned(running.port, count, outcome)) for _ in range(64)]
    _, unfinished = await asyncio.wait(asking, timeout=limit)
    # Python 3.11 can lose a cancellation in wait_for: such a task ends by this.
    count[0] = 0
    for task in unfinished:
        task.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    if rest := requests - sum(outcome.values()):
        outcome["not through"] = rest
    good.stops = True
    await asyncio.gather(*clients)
    return good, outcome


def poison(scale: float, dice: random.Random, name: str = OWN, quarantine: str = "",
           limit: float | None = None) -> Report:
    """10,000 requests that crash their worker, 64 at a time, beside 64 clients that mean well."""
    with tempfile.TemporaryDirectory(prefix="prefork-poison-") as folder:
        variables = environment(folder + "/control")
        if quarantine:
            variables |= {"PREFORK_QUARANTINE": quarantine}
        with server(name, WORKERS, env=variables) as running:
            begin = time.monotonic()
            good, outcome = asyncio.run(attack(running, int(10_000 * scale), limit))
            seconds = time.monotonic() - begin
            alive = running.process.poll() is None
            if alive and limit is None:
                wait_until(lambda: is_whole(running, WORKERS), "the pool is whole", running.log)
    label = "prefork" if name == OWN else name
    through = sum(count for key, count in outcome.items() if key != "not through")
    report = Report("poison" + (f" {quarantine}" if quarantine else ""), label, events=through)
    report.answered, report.reset = len(good.times), good.lost
    report.recovery = good.times
    report.isGood = alive and "hung" not in outcome
    report.note = f"{'alive' if alive else 'ENDED'} after {seconds:.0f} s; poisoned: {outcome}"
    return report


def poison_peers(scale: float, dice: random.Random) -> Report:
    """Prefork without and with quarantine, and the same for gunicorn and puma in at most `PEER_SECONDS`, printed."""
    last = Report("poison peers", "-")
    for name, quarantine in [(OWN, ""), (OWN, "3/60s"), ("gunicorn", ""), ("puma", "")]:
        limit = None if name == OWN else PEER_SECONDS
        last = poison(scale, dice, name, quarantine, limit)
        print(" · ".join(cell for cell in last.cells() if cell), flush=True)
    # They are compared, not judged.
    last.isGood = True
    return last


PARTS = {
    "crashes": crashes, "successor": successor, "poison": poison,
    "poison-quarantine": lambda scale, dice: poison(scale, dice, quarantine="3/60s"),
    "poison-http": lambda scale, dice: poison(scale, dice, "prefork-http"),
    "poison-http-quarantine": lambda scale, dice: poison(scale, dice, "prefork-http", "3/60s"),
    "poison-peers": poison_peers,
}

"""Parts of the storm about shared metrics: what processes have counted, over everything that ends them."""

import contextlib
import os
import pathlib
import random
import re
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time

from servers import ROOT, free_port, wait_until
from storm_common import kill
from storm_watch import Report, left_of

METERED = ROOT / ".build-static/release/metrics-fixture"
WORKERS = 4
NAME = "fixture_requests_total"


class Metered:
    """A pool whose workers count each line they get, in shared metrics and in a file of counters that C writes."""

    def __init__(self, folder: pathlib.Path, environment: dict[str, str] | None = None, isTCP: bool = False):
        self.port, self.log = free_port(), folder / "log"
        self.metricsPort = free_port() if isTCP else 0
        self.metrics = f"127.0.0.1:{self.metricsPort}" if isTCP else folder / "metrics"
        self.counters, self.switches = folder / "counters", folder / "switches"
        self.counters.write_bytes(bytes(4096))
        self.switches.mkdir()
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [METERED, "serve", f"port={self.port}", f"workers={WORKERS}", f"counters={self.counters}",
                 f"switches={self.switches}"], stdout=output, stderr=output, start_new_session=True,
                env=os.environ | {"PREFORK_METRICS": str(self.metrics), "SWIFT_BACKTRACE": "enable=no",
                                  "PREFORK_PROBATION": "0"} | (environment or {}))
        wait_until(lambda: "workers are ready" in self.log.read_text(errors="replace"), "all workers", self.log)

    @property
    def children(self) -> list[int]:
        pid = self.process.pid
        with contextlib.suppress(OSError):
            return [int(x) for x in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        return []

    def page(self, accept: str = "*/*") -> str:
        with socket.socket(socket.AF_INET if self.metricsPort else socket.AF_UNIX) as client:
            client.settimeout(20)
            client.connect(("127.0.0.1", self.metricsPort) if self.metricsPort else str(self.metrics))
            client.sendall(f"GET /metrics HTTP/1.1\r\nHost: a\r\nAccept: {accept}\r\nConnection: close\r\n\r\n".encode())
            data = b""
            while chunk := client.recv(1 << 16):
                data += chunk
        return data.split(b"\r\n\r\n", 1)[1].decode()

    def sum(self) -> int:
        found = re.search(rf"^{NAME}{{.*}} (\d+)$", self.page(), re.MULTILINE)
        return int(found[1]) if found else -1

    def beside(self) -> tuple[int, int]:
        """What C has counted before and after each increment."""
        words = struct.unpack("512Q", self.counters.read_bytes())
        return sum(words[1::2]), sum(words[0::2])

    def end(self) -> int:
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(40)
        orphans = len(left_of(self.process.pid))
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        return orphans


class Senders:
    """Clients that send orders one after another, and count what they have sent and what was answered."""

    def __init__(self, port: int, count: int):
        self.port, self.isOver = port, False
        self.sent, self.answered = [0] * count, [0] * count
        self.threads = [threading.Thread(target=self.run, args=(number,)) for number in range(count)]
        for thread in self.threads: thread.start()

    def run(self, number: int) -> None:
        while not self.isOver:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 20) as client:
                while not self.isOver:
                    self.sent[number] += 1
                    client.sendall(b"inc\n")
                    data = b""
                    while not data.endswith(b"\n"):
                        chunk = client.recv(64)
                        if not chunk: raise OSError
                        data += chunk
                    self.answered[number] += 1

    def stop(self) -> tuple[int, int]:
        self.isOver = True
        for thread in self.threads: thread.join()
        return sum(self.sent), sum(self.answered)


def judge(report: Report, running: Metered, senders: Senders, least: list[int]) -> None:
    """answered ≤ sum ≤ sent, and sum = what C has counted: between the two increments of C, one of which comes before
    ours and one after, only where a kill fell between them."""
    sent, answered = senders.stop()
    total, (after, before) = running.sum(), running.beside()
    falls = sum(1 for first, second in zip(least, least[1:]) if second < first)
    report.isGood &= answered <= total <= sent and after <= total <= before and falls == 0
    report.note = (f"answered {answered} ≤ sum {total} ≤ sent {sent}; C counted {after}"
                   f"{'' if after == before else f' to {before}'}; {len(least)} pages, {falls} falls")


def metrics_kills(scale: float, dice: random.Random) -> Report:
    """SIGKILL of workers that count, one at a time or all at once; the sum is read meanwhile."""
    report = Report("SIGKILL of counting workers", "prefork", max(20, int(10_000 * scale)))
    with tempfile.TemporaryDirectory(prefix="prefork-storm-") as folder:
        running = Metered(pathlib.Path(folder))
        senders, sums, done = Senders(running.port, 6), [], 0
        try:
            while done < report.events:
                workers = running.children
                if not workers:
                    time.sleep(0.001)
                    continue
                for victim in (workers if dice.random() < 0.05 else [dice.choice(workers)]):
                    kill(victim)
                    done += 1
                if done % 50 == 0: sums.append(running.sum())
                time.sleep(dice.random() * 0.01)
            wait_until(lambda: len(running.children) == WORKERS, "all workers", running.log)
            judge(report, running, senders, [value for value in sums if value >= 0])
        finally:
            senders.isOver = True
            report.orphans = running.end()
    report.isGood &= report.orphans == 0
    return report


def metrics_images(scale: float, dice: random.Random) -> Report:
    """Reloads, upgrades, rollbacks and deaths of new images while workers count and are killed."""
    report = Report("images while workers count", "prefork", max(5, int(60 * scale)))
    with tempfile.TemporaryDirectory(prefix="prefork-storm-") as folder:
        running = Metered(pathlib.Path(folder), {"PREFORK_PROBATION": "300ms"})
        senders, sums = Senders(running.port, 4), []
        try:
            for _ in range(report.events):
                order = dice.choice([signal.SIGHUP, signal.SIGUSR2, signal.SIGUSR2])
                kill(running.process.pid, order)
                time.sleep(dice.random() * 0.4)
                for _ in range(dice.randrange(3)):
                    if workers := running.children: kill(dice.choice(workers))
                # In the probation of a new image its death brings the one before back.
                if order == signal.SIGUSR2 and dice.random() < 0.3 and "took over" in running.log.read_text(errors="replace"):
                    text = running.log.read_text(errors="replace")
                    if text.rfind("took over") > text.rfind("serves, after"): kill(running.process.pid, signal.SIGSEGV)
                time.sleep(dice.random() * 0.4)
                if running.process.poll() is not None:
                    report.isGood = False
                    report.note = f"the service ended: {running.process.returncode}"
                    return report
                with contextlib.suppress(OSError, IndexError): sums.append(running.sum())
            time.sleep(1)
            wait_until(lambda: len(running.children) >= WORKERS, "all workers", running.log)
            judge(report, running, senders, [value for value in sums if value >= 0])
        finally:
            senders.isOver = True
            report.orphans = running.end()
    report.isGood &= report.orphans == 0
    return report


PARTS = {"metrics": metrics_kills, "metrics-images": metrics_images}

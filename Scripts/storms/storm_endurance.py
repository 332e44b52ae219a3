"""The part of the storm that reloads and upgrades a service that has everything in use, under load, again and again.

`deploy-fixture all` runs every part of the package at once; clients with and without kept connections ask it meanwhile.
Each order comes when the one before is done, in a random sequence. Then nothing may be lost, come twice or in another
order, no request may have failed, and the pool's own count of requests must be the clients'.
"""

import os
import pathlib
import random
import re
import shutil
import signal
import statistics
import subprocess
import tempfile
import time
import urllib.request

from clients import Clients
from servers import ROOT, free_port
from storm_deploys import PROGRAM, SUBJECTS, TOOL, Ledger, faults_of, unhandled
from storm_watch import Report, left_of


class Service:
    """The fixture with all parts in use."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder, self.ledger, self.pause = folder, folder / "ledger", folder / "pause"
        self.control, self.log, self.metrics = folder / "control", folder / "log", free_port()
        self.faults: list[str] = []
        environment = os.environ | {
            "PREFORK_CONTROL": str(self.control), "PREFORK_METRICS": f"127.0.0.1:{self.metrics}",
            "PREFORK_PROBATION": "0",
        }
        self.process = subprocess.Popen(
            [PROGRAM, "all", f"ledger={self.ledger}", f"pause={self.pause}", "busy=1", "rest=20"],
            stdout=subprocess.PIPE, stderr=self.log.open("w"), env=environment, start_new_session=True, text=True)
        self.port = int(re.search(r":(\d+)", self.process.stdout.readline()).group(1))

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def of(self, part: str) -> Ledger:
        return Ledger(pathlib.Path(f"{self.ledger}.{part}"))

    def tell(self, *words: str, fails: bool = False) -> str:
        answer = subprocess.run(
            [TOOL, "--socket", self.control, *words], capture_output=True, text=True, timeout=60, check=False)
        if (answer.returncode != 0) != fails:
            raise RuntimeError(f"{' '.join(words)}: {answer.stdout.strip()[:200]} {answer.stderr.strip()[:200]}")
        return answer.stdout

    def wait(self, condition, what: str, seconds: float = 20) -> bool:
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end or self.process.poll() is not None:
                self.faults.append(f"not within {seconds:g} s: {what}")
                return False
            time.sleep(0.02)
        return True

    def metric(self, name: str) -> int:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        return int(float(re.search(rf"^{name} (\S+)$", text, re.MULTILINE).group(1)))

    @property
    def held(self) -> tuple[int, int]:
        """Descriptors and children of the supervisor."""
        pid = self.process.pid
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return len(os.listdir(f"/proc/{pid}/fd")), len(children)

    def end(self) -> None:
        """Everything that was sent is handled; then the service ends and leaves nobody."""
        self.pause.touch()
        sending = [part for part in SUBJECTS if part not in ("tree", "subprocess")]
        for part in sending:
            self.wait(lambda: self.of(part).of("paused"), f"{part} pauses")
            if not self.wait(lambda: not unhandled(self.of(part), part), f"{part} is handled"):
                self.faults.append(f"{part}: {len(unhandled(self.of(part), part))} lost")
        begin = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            if code := self.process.wait(15):
                self.faults.append(f"exit code {code}")
        except subprocess.TimeoutExpired:
            self.faults.append("no end within 15 s")
        if (took := time.monotonic() - begin) > 1:
            self.faults.append(f"the stop took {took * 1e3:.0f} ms")
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        if left := left_of(self.process.pid):
            self.faults.append(f"left: {left}")
        for part in SUBJECTS:
            self.faults += [f"{part}: {fault}" for fault in faults_of(self.of(part), part, "upgrade")]
        for word in ("SIGKILL", "error:", "fatal"):
            lines = [line for line in self.text().splitlines() if word in line and "upgrade refused" not in line]
            if lines:
                self.faults.append(f"{len(lines)} lines of the log: {lines[0][:160]}")


# Of each order how many at scale 1, and what preforkctl is told.
ORDERS = {
    "upgrades": (200, "upgrade --wait"), "reloads": (1000, "reload --wait"), "restarts": (100, "restart 0 --wait"),
    "restarts of a managed process": (50, "restart source --wait"),
    "failed upgrades": (50, "upgrade --wait --exec /bin/false"),
}


def endurance(scale: float, dice: random.Random) -> Report:
    """200 upgrades and 1,000 reloads, and fewer of the others, with everything in use at once."""
    orders = [name for name, (count, _) in ORDERS.items() for _ in range(max(1, int(count * scale)))]
    dice.shuffle(orders)
    report = Report("reloads and upgrades, all in use", "prefork")
    times: dict[str, list[float]] = {name: [] for name in ORDERS}
    folder = pathlib.Path(tempfile.mkdtemp(prefix="prefork-endurance-"))
    service = Service(folder)
    try:
        if service.wait(lambda: "2 workers are ready" in service.text(), "the pool is up"):
            time.sleep(0.2)
            before = service.held
            clients = Clients(service.port, keep=3, once=2, pause=0.002)
            try:
                for order in orders:
                    begin = time.monotonic()
                    service.tell(*ORDERS[order][1].split(), fails=order.startswith("failed"))
                    times[order].append((time.monotonic() - begin) * 1e3)
                    report.events += 1
            except (RuntimeError, subprocess.TimeoutExpired) as error:
                service.faults.append(f"after {report.events} orders: {error}")
            answers, lost = clients.stop()
            report.count(answers, lost)
            service.wait(lambda: service.held == before, f"as before: {before} descriptors, children", 12)
            if service.held != before:
                service.faults.append(f"descriptors and children: {before} before, {service.held} after")
            if (counted := service.metric("prefork_requests_total")) != answers:
                service.faults.append(f"{answers} requests were answered and {counted} counted")
    finally:
        service.end()
    if report.failed or report.reset:
        service.faults.append(f"requests: {lost[0]}")
    messages = sum(len(set(service.of(part).of("sent"))) for part in SUBJECTS if part not in ("tree", "subprocess"))
    for fault in service.faults:
        print(f"  {fault}", flush=True)
    report.isGood = not service.faults
    done = [f"{len(took)} {order} ({statistics.median(took):.0f} ms, at most {max(took):.0f})"
            for order, took in times.items() if took]
    report.note = f"{', '.join(done)}; {answers} requests, {messages} messages"
    if report.isGood:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        print(f"  see {folder}", flush=True)
    return report


PARTS = {"deploys-endurance": endurance}

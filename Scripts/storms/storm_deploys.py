"""The part of the storm that deploys a service while one part of the package is in use: every pair, idle and busy.

A managed process sends numbers and workers handle them, or the other way round (`deploy-fixture`); both keep a ledger. After each deployment the
source pauses, and everything that was sent must have been handled: once, in order, and before the service ends.
"""

import collections
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import tempfile
import time

from servers import ROOT, wait_until
from storm_watch import Report

PROGRAM = ROOT / ".build-static/release/deploy-fixture"
TOOL = ROOT / ".build-static/release/preforkctl"
SUBJECTS = ["active", "passive", "call", "queue", "unacknowledged", "subscription", "watch", "managed", "tree", "subprocess"]
# A row more than the parts of `deploy-fixture all`: messages beside the ring of a channel, and descriptors.
ROWS = [*SUBJECTS, "large"]
# Those in which a message may come again after its receiver was killed, and those in which it may be lost with it.
AT_LEAST_ONCE = {"unacknowledged"}
# A subscriber's successor goes on after the last message that its predecessor was given; a watcher sees the last value.
LAST_VALUE = {"watch"}
# One receiver at a time.
IN_ORDER = {"active", "passive", "call", "subscription", "watch", "managed", "large"}


class Ledger:
    """What the processes have noted, by kind of step."""

    def __init__(self, path: pathlib.Path) -> None:
        self.lines = [line.split(" ", 2) for line in path.read_text().splitlines()] if path.exists() else []

    def of(self, word: str) -> list[str]:
        return [line[2] for line in self.lines if line[0] == word]

    def by(self, word: str) -> dict[str, list[int]]:
        found = collections.defaultdict(list)
        for line in self.lines:
            if line[0] == word:
                found[line[1]].append(int(line[2]))
        return found


def faults_of(ledger: Ledger, part: str, order: str) -> list[str]:
    """What the ledger of a part says that must not be."""
    faults = []
    kills = order in ("quick stop", "crash")
    errors = ledger.of("error")
    # The calls that a killed worker had taken fail; what is called at its end is none of its successor's.
    is_expected = order == "quick stop" or part == "call" and order == "crash" and len(errors) == 1
    if errors and not is_expected:
        faults.append(f"{len(errors)} errors: {errors[0][:120]}")
    if part in ("tree", "subprocess"):
        begun, ended = collections.Counter(ledger.of("start")), collections.Counter(ledger.of("stop"))
        if begun != ended and not kills:
            faults.append(f"started {dict(begun)}, stopped {dict(ended)}")
        return faults
    got, handled = collections.Counter(ledger.of("got")), collections.Counter(ledger.of("handled"))
    if (unfinished := set(got) - set(handled)) and not kills:
        faults.append(f"{len(unfinished)} begun and not finished")
    twice = [number for number, count in got.items() if count > 1]
    if twice and part not in LAST_VALUE and not (kills and part in AT_LEAST_ONCE):
        faults.append(f"{len(twice)} handled twice")
    if unknown := set(handled) - set(ledger.of("begin")):
        faults.append(f"{len(unknown)} handled that were never sent")
    # A call that comes when the service stops is refused, and not handled.
    refused = set(ledger.of("refused"))
    if refused and order not in ("stop", "quick stop"):
        faults.append(f"{len(refused)} refused")
    if refused & set(got):
        faults.append(f"{len(refused & set(got))} refused and handled")
    if part in IN_ORDER:
        # Over all receivers, as the ledger's lines are in order: of each source by itself. An old and a new worker watch
        # at the same time, each for itself.
        own: dict[tuple[int, str], int] = {}
        for line in ledger.lines:
            if line[0] == "got":
                number = int(line[2])
                stream = number // 1_000_000, line[1] if part in LAST_VALUE else ""
                if own.get(stream, 0) > number:
                    faults.append("another order")
                    break
                own[stream] = number
    return faults


def unhandled(ledger: Ledger, part: str) -> set[str]:
    """What was sent to somebody and is not handled."""
    sent, handled = set(ledger.of("sent")), set(ledger.of("handled"))
    if part in LAST_VALUE:
        return {max(sent, key=int)} - handled if sent else set()
    if part == "subscription":
        # What is published before the first subscriber is there has no reader.
        first = min((int(number) for number in ledger.of("got")), default=0)
        sent = {number for number in sent if int(number) >= first}
    return sent - handled - set(ledger.of("refused"))


class Cell:
    """One service, one order, and the judgement."""

    def __init__(self, part: str, busy: bool, order: str, folder: pathlib.Path) -> None:
        self.part, self.busy, self.order = part, busy, order
        self.ledger, self.pause, self.control = folder / "ledger", folder / "pause", folder / "control"
        self.log = folder / "log"
        self.faults: list[str] = []
        self.milliseconds = 0.0
        environment = os.environ | {
            "PREFORK_CONTROL": str(self.control), "PREFORK_DRAIN_TIMEOUT": "3s", "PREFORK_PROBATION": "0",
        }
        if order == "recycling":
            environment["PREFORK_RECYCLE_LIFETIME"] = "300ms"
        self.process = subprocess.Popen(
            [PROGRAM, part, f"ledger={self.ledger}", f"pause={self.pause}", f"busy={int(busy)}"],
            stdout=subprocess.DEVNULL, stderr=self.log.open("w"), env=environment, start_new_session=True)

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def tell(self, *words: str) -> str:
        answer = subprocess.run(
            [TOOL, "--socket", self.control, *words], capture_output=True, text=True, timeout=20, check=False)
        if answer.returncode != 0:
            self.faults.append(f"{' '.join(words)}: {answer.stderr.strip()[:120]}")
        return answer.stdout

    def now(self) -> Ledger:
        return Ledger(self.ledger)

    def wait(self, condition, what: str, seconds: float = 3) -> bool:
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end or self.process.poll() is not None:
                self.faults.append(f"not within {seconds:g} s: {what}")
                return False
            time.sleep(0.005)
        return True

    def worker(self) -> int:
        """The process of slot 0."""
        pids = [int(line.split("(pid ")[1].split(")")[0]) for line in self.text().splitlines() if "worker 0 ready" in line]
        return pids[-1] if pids else 0

    def run(self) -> None:
        try:
            if self.wait(lambda: "2 workers are ready" in self.text(), "the pool is up"):
                self.wait(lambda: len(self.now().of("sent")) >= (20 if self.busy else 2), "the source sends")
                self.deploy()
        finally:
            self.end()
        self.judge()

    def deploy(self) -> None:
        begin = time.monotonic()
        if self.order in ("stop", "quick stop"):
            self.process.send_signal(signal.SIGTERM if self.order == "stop" else signal.SIGINT)
            self.leave(begin)
            return
        if self.order == "reload":
            self.tell("reload", "--wait")
        elif self.order == "restart":
            self.tell("restart", "0", "--wait")
        elif self.order == "recycling":
            self.wait(lambda: self.text().count("worker 0 ready") >= 3, "two recyclings", 4)
        elif self.order == "upgrade":
            self.tell("upgrade", "--wait")
        elif self.order == "failed upgrade":
            self.tell("upgrade", "--wait", "--exec", "/bin/false")
            self.faults = [fault for fault in self.faults if not fault.startswith("upgrade")]
        elif self.order == "crash":
            os.kill(self.worker(), signal.SIGKILL)
            self.wait(lambda: self.text().count("worker 0 ready") >= 2, "a successor")
        elif self.order == "scale down":
            self.tell("scale", "--wait", "1")
        self.milliseconds = (time.monotonic() - begin) * 1e3
        before = len(self.now().of("sent"))
        self.wait(lambda: len(self.now().of("sent")) >= before + 2, "the source goes on", 2)
        self.pause.touch()
        self.wait(lambda: self.now().of("paused"), "the source pauses", 2)
        if self.part not in ("tree", "subprocess"):
            self.wait(self.is_even, "everything is handled", 2)
        self.process.send_signal(signal.SIGTERM)
        self.leave(time.monotonic())

    def is_even(self) -> bool:
        ledger = self.now()
        lost = unhandled(ledger, self.part)
        # Who was killed has taken what it had in hand with it.
        return bool(ledger.of("sent")) and len(lost) <= (
            1 if self.order == "crash" and self.part not in AT_LEAST_ONCE else 0)

    def leave(self, begin: float) -> None:
        try:
            code = self.process.wait(6)
            if code != 0:
                self.faults.append(f"exit code {code}")
        except subprocess.TimeoutExpired:
            self.faults.append("no end within 6 s")
        took = (time.monotonic() - begin) * 1e3
        if self.order in ("stop", "quick stop"):
            self.milliseconds = took
        if took > 1000:
            self.faults.append(f"the stop took {took:.0f} ms")

    def end(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        try:
            os.killpg(self.process.pid, 0)
            self.faults.append("processes are left")
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def judge(self) -> None:
        self.faults += faults_of(self.now(), self.part, self.order)

    @property
    def lost(self) -> int:
        ledger = self.now()
        return len(set(ledger.of("sent")) - set(ledger.of("handled")))


# A regular expression on `name_of` a cell, and how often each cell that it finds is tried.
ONLY = ""
TIMES = 1


def name_of(part: str, busy: bool, order: str) -> str:
    return f"{part}, {'busy' if busy else 'idle'}, {order}"


def keep(cell: Cell) -> None:
    """Where STORM_KEEP names a folder, what a bad cell has left goes there."""
    if folder := os.environ.get("STORM_KEEP"):
        place = pathlib.Path(folder) / f"{name_of(cell.part, cell.busy, cell.order)} {time.time():.0f}".replace(", ", "-")
        shutil.copytree(cell.log.parent, place, ignore=shutil.ignore_patterns("control*"))


ORDERS = ["stop", "quick stop", "reload", "restart", "recycling", "upgrade", "failed upgrade", "crash", "scale down"]


def deploys(scale: float, dice: random.Random) -> Report:
    """Each part of the package, idle and busy, with each way in which workers come and go; a table of all pairs."""
    report = Report("deploys", "prefork")
    pairs = [(part, busy, order) for busy in (False, True) for part in ROWS for order in ORDERS]
    if ONLY:
        pairs = [pair for pair in pairs if re.search(ONLY, name_of(*pair))] * TIMES
    elif scale < 1:
        pairs = dice.sample(pairs, max(1, int(len(pairs) * scale)))
    cells: dict[tuple[str, bool, str], str] = {}
    bad = []
    for part, busy, order in pairs:
        with tempfile.TemporaryDirectory(prefix="prefork-deploys-") as folder:
            cell = Cell(part, busy, order, pathlib.Path(folder))
            cell.run()
            report.events += 1
            cells[part, busy, order] = "✗" if cell.faults else f"{cell.milliseconds:.0f}"
            if cell.faults:
                bad.append(f"{name_of(part, busy, order)}: {'; '.join(cell.faults)}")
                keep(cell)
    print_table(cells)
    for line in bad:
        print(f"  {line}", flush=True)
    report.isGood = not bad
    report.note = f"{len(pairs) - len(bad)} of {len(pairs)} cells are good"
    return report


def print_table(cells: dict[tuple[str, bool, str], str]) -> None:
    """Milliseconds from the order to its end; ✗ where something was lost, came twice, or did not end."""
    print("| | " + " | ".join(ORDERS) + " |\n|---|" + "---|" * len(ORDERS))
    for busy in (False, True):
        for part in ROWS:
            row = [cells.get((part, busy, order), "") for order in ORDERS]
            if any(row):
                print(f"| {part}, {'busy' if busy else 'idle'} | " + " | ".join(row) + " |")


PARTS = {"deploys": deploys}

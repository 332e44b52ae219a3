"""The part of the storm about once-tasks: the processes of runs are killed at random instants of their lives, also in
reloads and upgrades, and a journal of all runs shows what became of the due times.

Each run takes the lock of a file, which the kernel gives back at the end of its process, and appends a line at its
beginning and at its end, each by one write(2). A run beside another one finds the lock taken and says DOUBLE.
"""

import json
import os
import pathlib
import random
import signal
import subprocess
import tempfile
import time

from servers import ROOT, wait_until
from storm_watch import Report, left_of, zombies_of

PROGRAMS = pathlib.Path(os.environ.get("PROGRAMS", ROOT / ".build-static/release"))
# A due time each 60 ms, 10 ms of work: the runs catch up with the kills.
EVERY, WORK = 60, 10
# From its fork on, in seconds: before its first instruction, in its work, after it.
LATEST_KILL = 0.025
# A killed run is begun again, so that a due time takes more time than it has where the machine is slow or busy. At most
# 1,000 due times wait, and one run stands for those above (`OnceTask.mostWaiting`). The kills pause before.
BACKLOG = 500


class Service:
    def __init__(self, folder: str, *settings: str):
        self.folder = folder
        self.journal_path = pathlib.Path(folder, "journal")
        self.log = pathlib.Path(folder, "log")
        environment = os.environ | {"PREFORK_CONTROL": folder + "/control", "PREFORK_PROBATION": "200ms",
                                    "PREFORK_MAX_RESTARTS": "1000000", "SWIFT_BACKTRACE": "enable=no"}
        words = [PROGRAMS / "manager-fixture", "once", f"journal={self.journal_path}", f"every={EVERY}", f"work={WORK}",
                 "misfire=each", *settings]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(words, env=environment, stdout=log, stderr=log, start_new_session=True)
        self.environment = environment
        self.pid = self.process.pid
        wait_until(lambda: "all ready" in self.log.read_text(errors="replace"), "the pool", self.log)

    def tool(self, *words: str) -> subprocess.Popen:
        return subprocess.Popen([PROGRAMS / "preforkctl", *words], env=self.environment, stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)

    def task(self) -> dict:
        made = subprocess.run([PROGRAMS / "preforkctl", "tasks", "--json"], env=self.environment, check=True,
                              capture_output=True)
        return json.loads(made.stdout)[0]

    def children(self) -> set[int]:
        text = pathlib.Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return {int(word) for word in text.split()}

    def title(self, pid: int) -> str:
        try:
            return pathlib.Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
        except OSError:
            return ""

    def last_begin(self) -> list[str] | None:
        try:
            with self.journal_path.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - 1000))
                lines = [line.split() for line in file.read().decode().splitlines()[1:]]
        except OSError:
            return None
        begins = [line for line in lines if len(line) == 9 and line[1] == "begin"]
        return begins[-1] if begins else None

    def journal(self) -> list[list[str]]:
        return [line.split() for line in self.journal_path.read_text().splitlines()]


def once(scale: float, dice: random.Random) -> Report:
    """1,000 kills of runs. Counts double runs and due times that were not begun; the time from a kill to the next
    beginning."""
    return storm(Report("once-tasks", "prefork"), kill_runs, max(20, int(1000 * scale)), dice, "workers=1")


def once_workers(scale: float, dice: random.Random) -> Report:
    """The same for a task that runs in workers, of which the one that has the run is killed."""
    report = Report("once-tasks in workers", "prefork")
    return storm(report, kill_workers, max(20, int(1000 * scale)), dice, "workers=4", "in=worker")


def storm(report: Report, kill, kills: int, dice: random.Random, *settings: str) -> Report:
    with tempfile.TemporaryDirectory(prefix="prefork-once-") as folder:
        service = Service(folder, *settings)
        try:
            times, orders = kill(service, kills, dice)
            wait_until(lambda: settled(service), "what waited has run", service.log, 120)
            judge(report, service, times, orders)
        finally:
            if service.process.poll() is None:
                service.process.send_signal(signal.SIGTERM)
                try:
                    service.process.wait(60)
                except subprocess.TimeoutExpired:
                    report.isGood = False
                    os.killpg(service.pid, signal.SIGKILL)
                    service.process.wait(10)
    report.zombies, report.orphans = zombies_of(service.pid), len(left_of(service.pid))
    report.isGood &= report.zombies == 0 and report.orphans == 0 and service.process.returncode == 0
    return report


def send(pid: int, number: signal.Signals) -> bool:
    """Whether the process was there: it may have ended a moment ago."""
    try:
        os.kill(pid, number)
        return True
    except ProcessLookupError:
        return False


def pause_for_backlog(service: Service) -> None:
    if service.task()["waiting"] > BACKLOG:
        wait_until(lambda: settled(service), "what waited has run", service.log, 300)


def settled(service: Service) -> bool:
    task = service.task()
    return task["waiting"] <= 1


def kill_runs(service: Service, kills: int, dice: random.Random) -> tuple[list[int], int]:
    """The times of the kills, and how many reloads and upgrades came meanwhile."""
    times: list[int] = []
    seen = service.children()
    planned: dict[int, float] = {}
    order, orders, next_order, next_look = None, 0, 40, 40
    limit = time.monotonic() + 60 + kills
    while len(times) < kills:
        if time.monotonic() > limit:
            raise TimeoutError(f"{len(times)} kills only")
        if len(times) >= next_look:
            next_look += 40
            pause_for_backlog(service)
        if order is not None and order.poll() is not None:
            order, seen = None, seen | service.children()
        if order is None and len(times) >= next_order:
            next_order += 40
            orders += 1
            order = service.tool("upgrade" if orders % 3 == 0 else "reload", "--wait")
        now = time.monotonic()
        children = service.children()
        for pid in children - seen:
            # A new child has its parent's title at first. While workers are replaced, it may be one of them.
            if order is not None and "task0" not in service.title(pid):
                continue
            seen.add(pid)
            if dice.random() < 0.6:
                planned[pid] = now + dice.random() * LATEST_KILL
        for pid in [pid for pid, due in planned.items() if due <= now]:
            del planned[pid]
            if pid not in children or "worker" in service.title(pid):
                continue
            if dice.random() < 0.1 and send(pid, signal.SIGSTOP):
                time.sleep(dice.random() * 0.05)
            if send(pid, signal.SIGKILL):
                times.append(time.monotonic_ns())
        seen &= children | set(planned)
        time.sleep(0.0003)
    if order is not None:
        order.wait(60)
    return times, orders


def kill_workers(service: Service, kills: int, dice: random.Random) -> tuple[list[int], int]:
    """Kills the worker of the last run that has begun, in the run or after it."""
    times: list[int] = []
    order, orders, next_order, next_look, last = None, 0, 40, 40, -1
    limit = time.monotonic() + 60 + kills
    while len(times) < kills:
        if time.monotonic() > limit:
            raise TimeoutError(f"{len(times)} kills only")
        if len(times) >= next_look:
            next_look += 40
            pause_for_backlog(service)
        if order is not None and order.poll() is not None:
            order = None
        if order is None and len(times) >= next_order:
            next_order += 40
            orders += 1
            order = service.tool("upgrade" if orders % 3 == 0 else "reload", "--wait")
        line = service.last_begin()
        if line is None or int(line[3]) == last:
            time.sleep(0.0005)
            continue
        last = int(line[3])
        if dice.random() < 0.4:
            continue
        time.sleep(dice.random() * LATEST_KILL)
        pid = int(line[8])
        if "worker" in service.title(pid):
            if send(pid, signal.SIGKILL):
                times.append(time.monotonic_ns())
    if order is not None:
        order.wait(60)
    return times, orders


def judge(report: Report, service: Service, times: list[int], orders: int) -> None:
    task = service.task()
    lines = service.journal()
    double = sum(1 for line in lines if line[1] == "DOUBLE")
    begins = [line for line in lines if line[1] == "begin"]
    ends = [line for line in lines if line[1] == "end"]
    begun = {int(line[4]) for line in begins}
    # A run stands for those before its own that it says were missed: more than 1,000 have waited.
    stood_for = {due for line in begins for due in range(int(line[4]) - int(line[6]), int(line[4]))}
    # The last one may have come a moment ago.
    missing = set(range(1, int(task["dueTimes"]) - int(task["waiting"]))) - begun - stood_for
    numbers = [int(line[3]) for line in begins]
    isOrdered = all(a < b for a, b in zip(numbers, numbers[1:]))
    starts = [int(line[0]) for line in begins]
    report.events, report.answered = len(times), len(ends)
    report.failed = len(missing)
    index = 0
    for moment in times:
        while index < len(starts) and starts[index] <= moment:
            index += 1
        if index < len(starts):
            report.recovery.append((starts[index] - moment) / 1e6)
    ordered = sorted(report.recovery)
    median = ordered[len(ordered) // 2] if ordered else 1e9
    report.isGood &= double == 0 and not missing and isOrdered and median <= 50 and task["coalesced"] == 0
    report.note = (f"{double} double, {len(missing)} of {task['dueTimes']} due times not begun, "
                   f"{task['coalesced']} by a later run, {len(begins)} runs, "
                   f"{task['killed']} told as killed, {orders} reloads and upgrades")


PARTS = {"once": once, "once-workers": once_workers}

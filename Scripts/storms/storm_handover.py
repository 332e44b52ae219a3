"""The part of the storm in which open connections move while either side dies, stalls or has no descriptors left."""

import contextlib
import json
import os
import pathlib
import random
import resource
import signal
import subprocess
import tempfile
import time

from programs import BINARIES, compile_c
from servers import ROOT, wait_until
from storm_watch import Report, left_of

TOOL = ROOT / ".build-static/release/preforkctl"
PROGRAM = ROOT / ".build-static/release/http-fixture"
COUNT, PROBES, WORKERS = 200, 10, 2
# The steps of the manual's page "How Connections Move" (`HandoverStep`), each of which one of the two workers takes.
STEPS = [2, 3, 4, 5, 6, 7, 8, 9, 10]


class Pool:
    """`http-fixture` with clients on each path, which count what they miss."""

    def __init__(self, folder: pathlib.Path, descriptors: int | None = None):
        self.control, self.steps, self.log = folder / "control", folder / "steps", folder / "log"
        environment = os.environ | {"PREFORK_CONTROL": str(self.control), "PREFORK_PROBATION": "0",
                                    "PREFORK_MOVE_TIMEOUT": "2s", "PREFORK_DRAIN_TIMEOUT": "5s"}

        def limit() -> None:
            if descriptors: resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))

        with self.log.open("wb") as errors:
            self.process = subprocess.Popen(
                [PROGRAM, str(WORKERS), f"steps={self.steps}", "storm"], stdout=subprocess.PIPE, stderr=errors, text=True,
                env=environment, start_new_session=True, preexec_fn=limit)
        self.port = int(self.process.stdout.readline().split()[1])
        self.clients = [Clients(kind, self.port, path) for kind, path in [("websocket", "/echo"), ("http", "/x")]]

    @property
    def workers(self) -> list[int]:
        pid = self.process.pid
        return [int(word) for word in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def deploy(self, way: str) -> subprocess.Popen:
        words = [TOOL, "--socket", self.control, way, "--wait"]
        return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def settle(self, old: set[int]) -> None:
        """Until all old workers are gone, and the new ones answer to all clients."""
        wait_until(lambda: old.isdisjoint(self.workers) and len(self.workers) == WORKERS, "the old workers' end", self.log)
        for clients in self.clients: clients.wait_for_all()

    def end(self) -> list[dict]:
        figures = [clients.end() for clients in self.clients]
        self.process.terminate()
        self.process.wait(30)
        return figures

    def kill(self) -> None:
        for clients in self.clients: clients.process.kill()
        if self.process.poll() is None: os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Clients:
    """`handover_clients`, a process."""

    def __init__(self, kind: str, port: int, path: str):
        words = [BINARIES / "handover_clients", kind, str(port), str(COUNT), str(PROBES), path]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.windows: list[dict] = []
        self.wait_for_all()

    def say(self, word: str) -> dict:
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def look(self) -> dict:
        self.windows.append(self.say("report"))
        return self.windows[-1]

    def wait_for_all(self) -> None:
        wait_until(lambda: self.look()["open"] == COUNT, "all clients are connected")

    def end(self) -> dict:
        self.windows.append(self.say("end"))
        self.process.wait(30)
        return {key: sum(window[key] for window in self.windows) for key in ["answered", "disconnects", "lost", "missing", "doubled"]}

    @property
    def waits(self) -> int: return self.windows[-1]["waiting"]


def kill_at_step(pool: Pool, dice: random.Random, step: int, way: str) -> None:
    """Whichever worker comes to the step, as the nth time, dies there."""
    pool.steps.write_text(f"{step} {1 if step in (2, 3, 10) else dice.randint(1, COUNT // 2)}")
    pool.deploy(way).wait(60)
    pool.steps.unlink(missing_ok=True)


def kill_at_instant(pool: Pool, dice: random.Random, _: int, way: str) -> None:
    old, order = set(pool.workers), pool.deploy(way)
    time.sleep(dice.random() * 0.15)
    victims = pool.workers
    if dice.random() < 0.5: victims = [pid for pid in victims if pid not in old] or victims
    send([dice.choice(victims)], signal.SIGKILL)
    order.wait(60)


def resets(pool: Pool, dice: random.Random, _: int, way: str) -> None:
    order = pool.deploy(way)
    for _ in range(10):
        time.sleep(dice.random() * 0.02)
        for clients in pool.clients: clients.say(f"cut {COUNT // 10}")
    order.wait(60)


def slow_successor(pool: Pool, dice: random.Random, _: int, way: str) -> None:
    """Stopped in the middle, for longer or shorter than its predecessor waits for it."""
    old, order = set(pool.workers), pool.deploy(way)
    wait_until(lambda: not old >= set(pool.workers), "a successor", pool.log)
    victims = [pid for pid in pool.workers if pid not in old]
    time.sleep(dice.random() * 0.05)
    send(victims, signal.SIGSTOP)
    time.sleep(dice.choice([0.1, 3]))
    send(victims, signal.SIGCONT)
    order.wait(60)


def send(victims: list[int], number: int) -> None:
    for pid in victims:
        with contextlib.suppress(ProcessLookupError): os.kill(pid, number)


def undisturbed(pool: Pool, dice: random.Random, _: int, way: str) -> None:
    pool.deploy(way).wait(60)


def handover(scale: float, dice: random.Random) -> Report:
    """No message is lost on a connection that stays, none comes twice, and without a fault no connection ends."""
    compile_c("limits/handover_clients.c")
    report = Report("moving connections", "prefork-http", answered=0, failed=0, reset=0, orphans=0)
    rounds = [(kill_at_step, step) for step in STEPS for _ in range(max(1, int(6 * scale)))]
    rounds += [(fault, 0) for fault in [kill_at_instant, resets, slow_successor, undisturbed] for _ in range(max(1, int(12 * scale)))]
    dice.shuffle(rounds)
    wrong: list[str] = []
    # With few descriptors a worker takes what it can, and refuses the rest.
    for descriptors, share in [(None, rounds), (COUNT + 160, rounds[:max(2, len(rounds) // 8)])]:
        with tempfile.TemporaryDirectory(prefix="prefork-handover-") as folder:
            pool = Pool(pathlib.Path(folder), descriptors)
            try:
                for fault, step in share: one(pool, report, dice, fault, step, wrong, descriptors is None)
                judge(pool, report, wrong)
            finally:
                pool.kill()
                report.orphans += len(left_of(pool.process.pid))
    for line in wrong[:12]: print(f"    {line}", flush=True)
    report.isGood = not wrong and report.orphans == 0
    report.note = f"{report.reset} connections ended, all with a killed worker, a reset or a refusal; {len(wrong)} faults"
    return report


def one(pool: Pool, report: Report, dice: random.Random, fault, step: int, wrong: list[str], has_room: bool) -> None:
    old, way = set(pool.workers), dice.choice(["reload", "reload", "upgrade"])
    for clients in pool.clients: clients.look()
    places = [len(clients.windows) for clients in pool.clients]
    begin = time.monotonic()
    fault(pool, dice, step, way)
    # A deploy that a kill has ended leaves old workers in service: they are replaced by another one.
    limit = time.monotonic() + 8
    while not old.isdisjoint(pool.workers) and time.monotonic() < limit: time.sleep(0.01)
    if not old.isdisjoint(pool.workers): pool.deploy("reload").wait(60)
    pool.settle(old)
    report.recovery.append((time.monotonic() - begin) * 1e3)
    report.events += 1
    name = f"{fault.__name__}{f' {step}' if step else ''}, {way}"
    for clients, place in zip(pool.clients, places):
        windows = clients.windows[place:]
        for key in ["missing", "doubled"]:
            if count := sum(window[key] for window in windows): wrong.append(f"{name}: {count} {key}")
        ended = sum(window["disconnects"] for window in windows)
        report.reset += ended
        if ended and fault is undisturbed and has_room: wrong.append(f"{name}: {ended} connections ended")


def judge(pool: Pool, report: Report, wrong: list[str]) -> None:
    # A connection that two workers had, or neither, would leave its client without an answer.
    for figures in pool.end():
        report.answered += figures["answered"]
        for key in ["missing", "doubled"]:
            if figures[key]: wrong.append(f"at the end: {figures[key]} {key}")
    for clients in pool.clients:
        if clients.waits: wrong.append(f"{clients.waits} messages without an answer")
    if pool.process.returncode != 0: wrong.append(f"exit code {pool.process.returncode}")
    log = pool.log.read_text(errors="replace")
    wrong += [line[:200] for line in log.splitlines() if " fatal: " in line or "handler of" in line]


PARTS = {"handover": handover}

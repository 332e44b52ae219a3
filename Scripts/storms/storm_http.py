"""The parts of the storm that are about PreforkHTTP: what comes and goes while its clients use all of it."""

import os
import random
import signal
import statistics
import subprocess
import tempfile
import time

from servers import ROOT, server, wait_until
from storm_clients import MixedClients
from storm_common import WORKERS, counted
from storm_watch import Report, is_whole, left_of

TOOL = ROOT / ".build-static/release/preforkctl"
# Of each order how many at scale 1, and what preforkctl is told.
ORDERS = {
    "reloads": (200, ["reload --wait"]), "upgrades": (60, ["upgrade --wait"]), "restarts": (100, ["restart 0 --wait"]),
    "scalings": (60, ["scale +1 --wait", "scale -1 --wait"]),
}


def http_operations(scale: float, dice: random.Random) -> Report:
    """Reloads, upgrades, restarts and scaling in a random sequence: no request is lost, and WebSockets end with 1001."""
    orders = [name for name, (count, _) in ORDERS.items() for _ in range(max(2, int(count * scale)))]
    dice.shuffle(orders)
    report = Report("reloads, upgrades, restarts, scaling", "prefork-http")
    times: dict[str, list[float]] = {name: [] for name in ORDERS}
    with tempfile.TemporaryDirectory(prefix="prefork-http-") as folder:
        control = folder + "/control"
        with counted(report, "prefork-http", env=os.environ | {"PREFORK_CONTROL": control}) as running:
            clients = MixedClients(running.port, 8, 0.002, dice.random())
            for order in orders:
                begin = time.monotonic()
                for words in ORDERS[order][1]:
                    told = subprocess.run([TOOL, "--socket", control, *words.split()], capture_output=True, text=True, timeout=60)
                    if told.returncode != 0:
                        report.isGood, report.note = False, f"{words}: {told.stdout.strip()[:100]} {told.stderr.strip()[:100]}; "
                times[order].append((time.monotonic() - begin) * 1e3)
                report.events += 1
            answered, lost = clients.stop()
            report.count(answered, lost)
            report.isGood &= tell(running.log.read_text(errors="replace"), lost)
    report.isGood &= not lost
    report.note += ", ".join(f"{len(took)} {name} ({statistics.median(took):.0f} ms)" for name, took in times.items())
    report.note += f"; {clients.goings.value} WebSockets closed with 1001"
    return report


def http_stops(scale: float, dice: random.Random) -> Report:
    """SIGTERM at a random instant: what was begun is finished, and the server ends within a second."""
    report = Report("stops", "prefork-http", max(3, int(20 * scale)), orphans=0)
    wrong: list[str] = []
    for _ in range(report.events):
        with server("prefork-http", WORKERS) as running:
            wait_until(lambda: is_whole(running, WORKERS), "all workers", running.log)
            clients = MixedClients(running.port, 6, 0.001, dice.random())
            time.sleep(dice.random() * 0.2)
            begin = time.monotonic()
            running.process.send_signal(signal.SIGTERM)
            code = running.process.wait(30)
            report.recovery.append((time.monotonic() - begin) * 1e3)
            answered, lost = clients.stop()
            report.answered = (report.answered or 0) + answered
            # Afterwards connects are refused, and a connection that was kept may meet the end with its next request. What is
            # never right: an answer that is cut off.
            wrong += [reason for reason in lost if "body of" in reason or "chunk of" in reason or reason.endswith(" frame")]
            if code != 0:
                wrong.append(f"exit code {code}")
            report.orphans += len(left_of(running.process.pid))
            report.isGood &= tell(running.log.read_text(errors="replace"), wrong)
    report.failed = len(wrong)
    report.isGood &= not wrong and report.orphans == 0
    report.note = "recovery: from the signal to the end"
    return report


def tell(log: str, lost: list[str]) -> bool:
    """Prints what clients met with and what the server complains of. Whether the server does not."""
    for reason in sorted(set(lost))[:8]:
        print(f"    {lost.count(reason)} × {reason}", flush=True)
    lines = [line for line in log.splitlines() if any(f" {word}: " in line for word in ("error", "fatal"))]
    for line in lines[:8]:
        print(f"    {line[:200]}", flush=True)
    return not lines


PARTS = {"http-operations": http_operations, "http-stops": http_stops}

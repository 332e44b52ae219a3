"""The part of the storm whose attackers are inside: a worker and a managed process without rights."""

import collections
import os
import pwd
import random
import re
import subprocess

from servers import ROOT
from storm_watch import Report

FIXTURE = ROOT / ".build-static/release/hostile-fixture"
# What the threat model allows: no answer to `preforkctl status` takes longer.
MOST_STATUS_MS = 100


def hostile_workers(scale: float, dice: random.Random) -> Report:
    """1,000 seeds, twenty to a pool: random words, flags, floods, deaths; the pool must be whole after each."""
    report = Report("hostile workers", "prefork", max(5, int(1000 * scale)))
    try:
        pwd.getpwnam("nobody")
    except KeyError:
        report.events, report.note = 0, "skipped: there is no user 'nobody'"
        return report
    if os.geteuid() != 0:
        report.events, report.note = 0, "skipped: workers must change to another user, which needs root"
        return report
    first = dice.randrange(1 << 32)
    command = [FIXTURE, "siege", f"seeds={report.events}", f"first={first}", "each=20", "attack=500"]
    faults: list[str] = []
    figures: dict[str, float] = {}
    counts: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        for line in process.stdout:
            line = line.rstrip()
            if "FAULT" in line:
                faults.append(line)
                print(f"    {line}", flush=True)
            if found := re.match(r"seed \d+ .*whole after ([\d.]+) ms: ok", line):
                report.recovery.append(float(found[1]))
            elif found := re.match(r"(lost|error|operation|fault|longest) (.*): ([\d.]+)$", line):
                counts[found[1]][found[2]] = float(found[3])
            elif found := re.match(r"([a-zA-Z ]+) (-?[\d.]+)$", line):
                figures[found[1]] = float(found[2])
    report.answered = int(figures.get("answered", 0))
    report.reset = int(sum(counts["lost"].values()))
    report.descriptors = max(0, int(figures.get("descriptors more", 0)))
    report.orphans = int(figures.get("processes left", 0))
    status = figures.get("longest status ms", float("inf"))
    report.isGood = process.returncode == 0 and not faults and figures.get("seeds") == report.events
    report.isGood &= status <= MOST_STATUS_MS and report.orphans == 0 and report.descriptors == 0
    report.note = f"first seed {first}; {int(figures.get('faulty seeds', 0))} seeds with faults; longest status {status:g} ms"
    tell(figures, counts)
    return report


def tell(figures: dict[str, float], counts: dict[str, collections.Counter]) -> None:
    """The table of the part itself: figures, and siblings' errors by kind."""
    rows = [(name, f"{value:g}") for name, value in figures.items()]
    for word, title in [("operation", "operator's work meanwhile: "), ("longest", "longest operation of a sibling, ms: "),
                        ("error", "siblings' error: "), ("lost", "lost request: "), ("fault", "FAULT: ")]:
        rows += [(title + name, f"{value:g}") for name, value in counts[word].most_common()]
    print("\n    | hostile workers | |\n    |---|---|")
    for name, value in rows:
        print(f"    | {name} | {value} |")
    print(flush=True)


PARTS = {"hostile-worker": hostile_workers}

"""The rows of subprocesses: spawn, drain, lines, echo. Each program is a whole process that prints its figures."""

import collections
import json
import os
import random
import subprocess
import sys

from programs import ROOT
from rows import Row, median

PACKAGE = ROOT / "Scripts/benchmarks/comparisons/subprocess-peers"
BUILT = PACKAGE / ".build/release"
LIMITS = ROOT / ".build-bench/subprocess_limits"
PEERS = ROOT / "Scripts/benchmarks/subprocess_peers.py"

PROGRAMS = {
    "prefork": [BUILT / "prefork-subprocess"],
    "prefork, no worker": [BUILT / "prefork-subprocess", "async"],
    "swift-subprocess": [BUILT / "peer-subprocess"],
    "C": [LIMITS],
    **{name: [sys.executable, PEERS, name] for name in ["popen", "asyncio", "tornado"]},
}


def measure(name: str, *arguments) -> dict:
    """One run of one program. In C, spawn is posix_spawn."""
    words = [str(x) for x in arguments]
    if name in ["C", "vfork"]:
        words = [{"C": "posix-spawn", "vfork": "vfork"}[name] if words[0] == "spawn" else words[0], *words[1:]]
    program = PROGRAMS["C" if name == "vfork" else name]
    result = subprocess.run([*program, *words], capture_output=True, text=True, timeout=120)
    if result.returncode != 0:
        raise RuntimeError(f"{name} {words}: {result.stderr[-1000:]}")
    return json.loads(result.stdout.strip().splitlines()[-1])


def runs(names: list[str], count: int, *arguments) -> dict[str, list[dict]]:
    """`count` runs of each, in turn."""
    results = collections.defaultdict(list)
    for _ in range(count):
        for name in names:
            results[name].append(measure(name, *arguments))
    return results


def pick(results: dict[str, list[dict]], key: str) -> dict[str, list[float]]:
    return {name: [run[key] for run in list_] for name, list_ in results.items()}


def faster(figures: dict[str, list[float]], smaller_is_better: bool) -> float:
    """How many times as fast as swift-subprocess."""
    ours, theirs = median(figures["prefork"]), median(figures["swift-subprocess"])
    return theirs / ours if smaller_is_better else ours / theirs


def spawn(quick: bool) -> list[Row]:
    """Start of /bin/true to its noticed end: one after the other, 8 at a time, and with 1 GiB resident."""
    rows, count, times = [], 300 if quick else 1000, 3 if quick else 7
    flat = []
    for at_once, resident in [(1, 0), (8, 0), (1, 1024), (8, 1024)]:
        names = ["prefork", "prefork, no worker", "C", "vfork", "swift-subprocess", "popen", "asyncio", "tornado"]
        results = runs(names, times, "spawn", count, at_once, resident)
        key = "median_us" if at_once == 1 else "mean_us"
        figures = pick(results, key)
        ratio, peer = median(figures["prefork"]) / median(figures["C"]), faster(figures, True)
        flat.append(median(figures["prefork"]))
        size = f", {resident >> 10} GiB resident" if resident else ""
        what = "spawn and wait" if at_once == 1 else f"spawn and wait, {at_once} at a time, time each"
        rows.append(Row(what + size, "µs", figures, "≤ 1.1 × C, 1.25 × faster than swift-subprocess",
                        ratio <= 1.1 and peer >= 1.25))
        rows.append(Row(what.removesuffix(", time each") + size + ", p99", "µs", pick(results, "p99_us")))
    rows.append(Row("spawn and wait with 1 GiB ÷ without", "×", {"prefork": [flat[2] / flat[0]]}, "≤ 1.15",
                    flat[2] / flat[0] <= 1.15))
    return rows


def drain(quick: bool) -> list[Row]:
    """`head -c` of /dev/zero through a pipe: 4 GB from one child, and from 8 together."""
    rows = []
    for children in [1, 8]:
        size = (1 if quick else 4) * 2**30 // children
        names = ["prefork", "prefork, no worker", "C", "swift-subprocess", "popen", "asyncio", "tornado"]
        figures = pick(runs(names, 3 if quick else 5, "drain", children, size), "gb_per_s")
        ratio, peer = median(figures["prefork"]) / median(figures["C"]), faster(figures, False)
        rows.append(Row(f"drain 4 GB from {children} child{'ren' * (children > 1)}", "GB/s", figures,
                        "≥ 1.0 × C, 1.25 × faster than swift-subprocess", ratio >= 1.0 and peer >= 1.25))
    return rows


def lines(quick: bool) -> list[Row]:
    """Lines of 79 characters from `cat`: 1 GB; 20 MB for those that are slower than 0.1 GB/s."""
    size, small = 1_000_000_000, 20_000_000
    path, few = ROOT / ".build-bench/lines.txt", ROOT / ".build-bench/few-lines.txt"
    if not path.exists() or path.stat().st_size != size:
        source = random.Random(1)
        block = "".join("".join(source.choices("abcdefghij klmnop", k=79)) + "\n" for _ in range(12_500))
        path.write_text(block * (size // len(block)))
        few.write_text(block * (small // len(block)))
    results = runs(["prefork", "C", "popen"], 3 if quick else 5, "lines", path, size)
    slow = runs(["prefork, no worker", "swift-subprocess", "asyncio", "tornado"], 3, "lines", few, small)
    figures = {**pick(results, "gb_per_s"), **pick(slow, "gb_per_s")}
    as_bytes = {name: pick(runs([name], 5, "byte-lines", path, size), "gb_per_s")[name]
                for name in ["prefork", "prefork, no worker"]}
    return [Row("lines as bytes", "GB/s", {**as_bytes, "swift-subprocess": figures["swift-subprocess"]}, "≥ 1 GB/s",
                median(as_bytes["prefork"]) >= 1),
            Row("lines as Strings", "GB/s", figures, "1.25 × faster than swift-subprocess",
                faster(figures, False) >= 1.25)]


def echo(quick: bool) -> list[Row]:
    """64 bytes to `cat` and back, on one processor and on all: there the kernel's wake of a sleeping one is measured."""
    rows, count = [], 2_000 if quick else 10_000
    names = ["prefork", "prefork, no worker", "C", "swift-subprocess", "popen", "asyncio", "tornado"]
    before = os.sched_getaffinity(0)
    for processors in [{max(before)}, before]:
        os.sched_setaffinity(0, processors)
        figures = pick(runs(names, 3 if quick else 9, "echo", count), "median_us")
        rows.append(Row(f"round trip through cat, {len(processors)} CPU{'s' * (len(processors) > 1)}", "µs", figures,
                        "1.25 × faster than swift-subprocess", faster(figures, True) >= 1.25))
    return rows


def prepare() -> None:
    """Builds the programs: release, statically linked, as the servers."""
    os.makedirs(LIMITS.parent, exist_ok=True)
    source = ROOT / "Scripts/benchmarks/limits/subprocess_limits.c"
    subprocess.run(["clang", "-O2", "-Wall", "-o", LIMITS, source], check=True)
    subprocess.run(["swift", "build", "-c", "release", "--static-swift-stdlib", "--package-path", PACKAGE],
                   check=True, stdout=sys.stderr)


SUBPROCESS_ROWS = {"spawn": spawn, "drain": drain, "lines": lines, "echo": echo}
COLUMNS = ["prefork", "prefork, no worker", "C", "vfork", "swift-subprocess", "popen", "asyncio", "tornado"]

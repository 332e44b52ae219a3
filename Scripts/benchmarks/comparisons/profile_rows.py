"""The row of profiles: what sampling takes of a loaded worker's processor time."""

import subprocess
import sys
import tempfile

from rows import Row, median
from servers import ROOT

COLUMNS = ["prefork", "without"]
PROGRAMS = ROOT / ".build-static/release"


def profile(quick: bool) -> list[Row]:
    """`preforkctl profile` at 99 Hz: processor time of a fixed piece of work, with samples and without, in turns."""
    rounds = 6 if quick else 20
    figures = {"prefork": [], "without": []}
    with tempfile.TemporaryDirectory() as folder:
        control = f"{folder}/control"
        pool = subprocess.Popen([PROGRAMS / "ops-fixture", "pieces"], stdout=subprocess.PIPE, text=True,
                                env={"PREFORK_CONTROL": control, "PATH": "/usr/bin:/bin"})
        worker = int(pool.stdout.readline().split()[1])

        def piece() -> float:
            return int(pool.stdout.readline().split()[1]) / 1e6

        def is_sampled() -> bool:
            return "ID:" in open(f"/proc/{worker}/timers").read()

        try:
            for turn in range(rounds):
                for name in ["prefork", "without"] if turn % 2 else ["without", "prefork"]:
                    tool = None
                    if name == "prefork":
                        tool = subprocess.Popen(
                            [PROGRAMS / "preforkctl", "--socket", control, "profile", "--seconds", "10",
                             "--output", f"{folder}/result"], stdout=subprocess.DEVNULL)
                        while not is_sampled():
                            piece()
                    # This one has begun before.
                    piece()
                    found = [piece() for _ in range(4)]
                    if tool is None or is_sampled():
                        figures[name] += found
                    if tool:
                        tool.wait()
        finally:
            pool.terminate()
            # What it still says would fill the pipe.
            pool.communicate()
    share = median(figures["prefork"]) / median(figures["without"])
    return [Row("processor time of a piece of work, sampled 99 times a second", "ms", figures, "≤ 1.01 × without",
                share <= 1.01)]


def prepare() -> None:
    for product in ["ops-fixture", "preforkctl"]:
        subprocess.run(["swift", "build", "-c", "release", "--static-swift-stdlib", "--package-path", ROOT,
                        "--scratch-path", ROOT / ".build-static", "--product", product], check=True, stdout=sys.stderr)


PROFILE_ROWS = {"profile": profile}

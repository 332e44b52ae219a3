"""SIGKILL at random workers under load: no zombie, no descriptor more, every slot alive at the end."""

import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import time

from servers import answers, server, wait_until


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # reaped between the look and the kill


def is_zombie(pid: int) -> bool:
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return False


def every_slot_answers(running) -> None:
    tasks: set[str] = set()
    wait_until(lambda: tasks.add(running.get("/task")) or len(tasks) == 4, "every slot answers", running.log)


def main() -> None:
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(1 << 32)
    dice = random.Random(seed)
    with server("prefork", 4) as running:
        every_slot_answers(running)
        before = descriptors(running.process.pid)
        load = subprocess.Popen(["wrk", "-t1", "-c64", "-d600s", f"http://127.0.0.1:{running.port}/"],
                                stdout=subprocess.PIPE, text=True)
        begin = time.monotonic()
        try:
            for _ in range(kills):
                wait_until(lambda: running.children, "a worker", running.log)
                if victims := running.children:
                    kill(dice.choice(victims))
                wait_until(lambda: answers(running), "an answer between any two deaths", running.log)
        finally:
            seconds = time.monotonic() - begin
            load.send_signal(signal.SIGINT)
            report = load.communicate()[0]
        wait_until(lambda: len(running.children) == 4 and not any(map(is_zombie, running.children)), "four workers")
        every_slot_answers(running)
        after = descriptors(running.process.pid)
        requests = re.search(r"(\d+) requests in", report)
        print(f"seed {seed}: {kills} kills in {seconds:.1f} s, {requests.group(1) if requests else '?'} requests answered; "
              f"4 of 4 slots answer, 0 zombies, supervisor's descriptors {before} before, {after} after")
        sys.exit(0 if before == after else 1)


main()

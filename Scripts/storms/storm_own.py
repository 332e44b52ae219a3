"""Parts of the storm that are about this package's own promises."""

import contextlib
import os
import pathlib
import random
import resource
import shutil
import signal
import struct
import subprocess
import tempfile
import time

from servers import ROOT, Server, wait_until
from storm_common import WORKERS, clients_of, counted, kill
from storm_watch import Report, left_of, shared_memory, time_to_recover

OPERATED = ROOT / ".build-static/release/ops-fixture"


def refused_forks(name: str, scale: float, dice: random.Random) -> Report:
    """The kernel refuses processes (RLIMIT_NPROC) while workers die; then it allows them again."""
    report = Report("forks refused (RLIMIT_NPROC)", name, max(1, int(5 * scale)))
    usual = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    with counted(report, name, preexec_fn=become_user) as running:
        # Set from outside, by a process of the same user: no capability is needed for that.
        def allow(soft: int) -> None:
            subprocess.run(["prlimit", f"--pid={running.process.pid}", f"--nproc={soft if soft >= 0 else 'unlimited'}:"],
                           check=True, preexec_fn=become_user)
        for _ in range(report.events):
            allow(1)
            refuse(report, running, dice, lambda: allow(usual))
    report.note = "recovery: from when forks are allowed again"
    return report


def become_user() -> None:
    user = 54_321  # nobody else's: the limit counts all processes of a user
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)


def no_memory(name: str, scale: float, dice: random.Random) -> Report:
    """The kernel has no memory for forks (ENOMEM, put into its mouth by strace) while workers die; then it has."""
    report = Report("forks refused (ENOMEM)", name, max(1, int(5 * scale)))
    if not shutil.which("strace"):
        subprocess.run(["apt-get", "install", "-y", "-qq", "strace"], check=False, capture_output=True)
    with counted(report, name) as running:
        pid = running.process.pid
        for _ in range(report.events):
            tracer = subprocess.Popen(
                ["strace", "-qq", "-o", "/dev/null", "-e", "trace=clone,clone3,fork,vfork",
                 "-e", "inject=clone,clone3,fork,vfork:error=ENOMEM", "-p", str(pid)], stderr=subprocess.DEVNULL)
            status = pathlib.Path(f"/proc/{pid}/status")
            wait_until(lambda: f"TracerPid:\t{tracer.pid}\n" in status.read_text(), "the tracer", running.log)
            refuse(report, running, dice, lambda: (tracer.send_signal(signal.SIGINT), tracer.wait()))
    report.note = "recovery: from when forks are allowed again"
    return report


def refuse(report: Report, running: Server, dice: random.Random, allow) -> None:
    """Kills a worker while forks are refused; allows them after one was."""
    told = running.log.read_text(errors="replace").count("not started")
    victim = dice.choice(running.children)
    kill(victim)
    wait_until(lambda: running.log.read_text(errors="replace").count("not started") > told, "a refusal", running.log)
    time.sleep(dice.random() * 0.5)
    allow()
    report.recovery.append(time_to_recover(running, WORKERS, {victim}))


def full_disk(name: str, scale: float, dice: random.Random) -> Report:
    """The disk of the log is full while workers die: nobody waits for it, and the loss is told afterwards."""
    report = Report("disk full for the log", name, max(1, int(5 * scale)))
    with tempfile.TemporaryDirectory(prefix="prefork-storm-") as folder:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], check=True)
        try:
            log = pathlib.Path(folder) / "log"
            environment = dict(os.environ, PREFORK_LOG_FILE=str(log))
            with counted(report, name, env=environment) as running:
                clients = clients_of(running, dice, keep=2, once=2, pause=0.002)
                for _ in range(report.events):
                    filler = pathlib.Path(folder) / "filler"
                    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
                        while file.write(b"x" * 4096):
                            pass
                    # The log's last page may still have room: its lines get there first.
                    for _ in range(80):
                        wait_until(lambda: len(running.children) >= WORKERS, "all workers", running.log)
                        victim = dice.choice(running.children)
                        kill(victim)
                        report.recovery.append(time_to_recover(running, WORKERS, {victim}))
                    filler.unlink()
                    kill(dice.choice(running.children))
                    wait_until(lambda: "log lines were lost" in log.read_text(), "the loss is told", running.log)
                    log.write_text("")
                report.count(*clients.stop())
        finally:
            subprocess.run(["umount", folder], check=False)
    report.isGood &= report.failed == 0
    report.note = "the loss was told each time"
    return report


def clock_jumps(name: str, scale: float, dice: random.Random) -> Report:
    """The wall clock jumps by hours, there and back, while hangs are looked for: nobody is killed."""
    report = Report("jumps of the wall clock", name, max(2, int(10 * scale)))
    with tempfile.TemporaryDirectory(prefix="prefork-storm-") as folder:
        library, shift = pathlib.Path(folder) / "clock_shift.so", pathlib.Path(folder) / "shift"
        source = ROOT / "Scripts/benchmarks/limits/clock_shift.c"
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
        shift.write_bytes(bytes(8))
        environment = dict(os.environ, LD_PRELOAD=str(library), CLOCK_SHIFT_FILE=str(shift), PREFORK_HEARTBEAT="2s",
                           PREFORK_HEARTBEAT_GRACE="1s")
        with counted(report, name, env=environment) as running, shift.open("r+b", buffering=0) as file:
            workers = set(running.children)
            clients = clients_of(running, dice, keep=2, once=2, pause=0.002)
            for _ in range(report.events):
                file.seek(0)
                file.write(struct.pack("q", dice.choice([7_200, -7_200, 259_200, -31_536_000, 0])))
                time.sleep(0.3 + dice.random())
            file.seek(0)
            file.write(struct.pack("q", -31_536_000))
            # The log says what the program took the time to be.
            victim = dice.choice(list(workers))
            kill(victim)
            report.recovery.append(time_to_recover(running, WORKERS, {victim}))
            years = {line[:4] for line in running.log.read_text().splitlines() if line[:2] == "20"}
            report.count(*clients.stop())
            survivors = workers & set(running.children)
            report.isGood &= len(survivors) == WORKERS - 1 and report.failed == 0
            report.note = f"nobody was replaced but the one that was killed; the log's years: {', '.join(sorted(years))}"
    return report


def random_signals(scale: float, dice: random.Random) -> Report:
    """Signals at random instants of boot, reload and upgrade, then a stop, or a kill of the supervisor."""
    report = Report("signals at any instant", "prefork", max(10, int(150 * scale)), orphans=0)
    memory = shared_memory()
    orders = [signal.SIGHUP, signal.SIGUSR2, signal.SIGTTIN, signal.SIGTTOU, signal.SIGUSR1, signal.SIGCHLD,
              signal.SIGWINCH, signal.SIGCONT]
    unknown: list[str] = []
    for _ in range(report.events):
        with tempfile.TemporaryFile() as log:
            process = subprocess.Popen([str(OPERATED), "serve", "workers=3", "target=1", "drain=2000"], stdout=log, stderr=log,
                                       start_new_session=True)
            for _ in range(dice.randrange(0, 8)):
                time.sleep(dice.random() * 0.04)
                if dice.random() < 0.2:
                    others = [pid for pid in left_of(process.pid) if pid != process.pid]
                    if others:
                        kill(dice.choice(others), dice.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP]))
                else:
                    kill(process.pid, dice.choice(orders))
            time.sleep(dice.random() * 0.04)
            last = dice.choice([signal.SIGTERM, signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGKILL])
            kill(process.pid, last)
            begin = time.monotonic()
            try:
                code = process.wait(60)
                report.recovery.append((time.monotonic() - begin) * 1e3)
            except subprocess.TimeoutExpired:
                unknown.append(f"{last.name}: still there after 60 s")
                os.killpg(process.pid, signal.SIGKILL)
                code = process.wait()
            limit = time.monotonic() + 5
            while left_of(process.pid) and time.monotonic() < limit:
                time.sleep(0.002)
            report.orphans += len(left_of(process.pid))
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            # Before the program takes its signals, a signal does what it does to any program.
            allowed = {0, -last} | {-number for number in orders}
            if code not in allowed:
                log.seek(0)
                unknown.append(f"exit {code} after {last.name}: {log.read()[-300:].decode(errors='replace')}")
    report.memory = max(0, shared_memory() - memory)
    report.note = "recovery: from the last signal to the end" + "".join(f"; {text}" for text in unknown[:3])
    report.isGood = not unknown and report.orphans == 0 and report.memory == 0
    return report


def script(name: str, what: str, scale: float) -> Report:
    """Another storm of this folder, as a part of this one."""
    report = Report(what, "prefork", 1)
    result = subprocess.run([str(ROOT / "Scripts" / name), f"{scale}"], capture_output=True, text=True)
    lines = [line for line in (result.stdout + result.stderr).splitlines() if line.strip()]
    print("\n".join(f"    {line}" for line in lines), flush=True)
    report.isGood = result.returncode == 0
    report.note = f"Scripts/{name} {scale:g}, above"
    return report


# Each takes the server's name.
SERVED = {"refused-forks": refused_forks, "no-memory": no_memory, "full-disk": full_disk, "clock": clock_jumps}
PARTS = {
    "signals": random_signals,
    "operations": lambda scale, dice: script("operations-storm", "reloads, upgrades, scaling, recycling", 0.05 * scale),
    "subprocesses": lambda scale, dice: script("spawn-storm", "subprocesses", 0.05 * scale),
    "store": lambda scale, dice: script("store-storm", "SIGKILL of store writers", 0.02 * scale),
}

"""Parts of the storm that any pre-forking server can take."""

import contextlib
import os
import random
import resource
import signal
import socket
import time

from clients import Clients
from storm_clients import MixedClients
from servers import Server, answers, server, wait_until
from storm_watch import Report, descriptors, is_whole, left_of, shared_memory, time_to_recover, zombies_of

WORKERS = 4


def kill(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


@contextlib.contextmanager
def counted(report: Report, name: str, **options):
    """A server whose leavings are counted into `report` while it still runs, and after its end."""
    memory = shared_memory()
    with server(name, WORKERS, **options) as running:
        session = running.process.pid
        wait_until(lambda: is_whole(running, WORKERS), "all workers", running.log)
        # The last worker's pidfd comes a moment after the worker.
        time.sleep(0.2)
        before = descriptors(session)
        yield running
        if running.process.poll() is None:
            with contextlib.suppress(TimeoutError):
                wait_until(lambda: is_whole(running, WORKERS) and zombies_of(session) == 0
                           and descriptors(session) <= before, "all is as before", running.log, 20)
            report.zombies = zombies_of(session)
            report.descriptors = max(0, descriptors(session) - before)
            report.isGood &= is_whole(running, WORKERS) and report.zombies == 0 and report.descriptors == 0
            running.process.terminate()
            with contextlib.suppress(Exception):
                running.process.wait(40)
        limit = time.monotonic() + 5
        while left_of(session) and time.monotonic() < limit:
            time.sleep(0.01)
        report.orphans = len(left_of(session))
    report.memory = max(0, shared_memory() - memory)
    report.isGood &= report.orphans == 0 and report.memory == 0


def clients_of(running: Server, dice: random.Random, keep: int = 6, once: int = 3, pause: float = 0):
    """Those that ask PreforkHTTP use all of it."""
    if running.name == "prefork-http":
        return MixedClients(running.port, keep + once, pause, dice.random())
    return Clients(running.port, keep, once, pause)


def worker_kills(name: str, scale: float, dice: random.Random) -> Report:
    """SIGKILL to a random worker at a random instant, under load."""
    report = Report("SIGKILL of workers", name, max(5, int(200 * scale)))
    return kills(report, 0.02, dice, lambda workers: {dice.choice(workers)})


def all_workers_killed(name: str, scale: float, dice: random.Random) -> Report:
    """SIGKILL to all workers at once."""
    return kills(Report("SIGKILL of all workers", name, max(3, int(20 * scale))), 0.05, dice, set)


def kills(report: Report, pause: float, dice: random.Random, choose) -> Report:
    """Kills those that `choose` takes of the workers, at most `pause` seconds after all were well again."""
    with counted(report, report.server) as running:
        clients = clients_of(running, dice)
        for _ in range(report.events):
            time.sleep(dice.random() * pause)
            wait_until(lambda: len(running.children) >= WORKERS, "all workers", running.log)
            victims = choose(running.children)
            for victim in victims:
                kill(victim)
            report.recovery.append(time_to_recover(running, WORKERS, victims))
        answered, lost = clients.stop()
        report.count(answered, lost)
        if report.failed:
            report.note = f"such as {next(reason for reason in lost if 'Connection' not in reason)}"
    report.isGood &= report.failed == 0
    return report


def supervisor_kills(name: str, scale: float, dice: random.Random) -> Report:
    """SIGKILL to the supervisor under load: recovery is the time until nobody of it is left."""
    report = Report("SIGKILL of the supervisor", name, max(2, int(10 * scale)), orphans=0)
    for _ in range(report.events):
        with server(name, WORKERS) as running:
            wait_until(lambda: is_whole(running, WORKERS), "all workers", running.log)
            clients = clients_of(running, dice, keep=2, once=1, pause=0.001)
            time.sleep(dice.random() * 0.1)
            session = running.process.pid
            kill(session)
            running.process.wait()
            begin = time.monotonic()
            while left_of(session) and time.monotonic() < begin + 5:
                time.sleep(0.0005)
            report.recovery.append((time.monotonic() - begin) * 1e3)
            report.orphans += len(left_of(session))
            clients.stop()
    report.note = "recovery: until nobody is left"
    report.isGood = report.orphans == 0
    return report


def stopped_workers(name: str, scale: float, dice: random.Random) -> Report:
    """SIGSTOP to a worker: replaced by those who look (limit here: 1.5 s), a hole for those who do not."""
    report = Report("SIGSTOP of a worker", name, max(1, int(5 * scale)))
    environment = dict(os.environ, PREFORK_HEARTBEAT="1s", PREFORK_HEARTBEAT_GRACE="500ms")
    with counted(report, name, env=environment) as running:
        clients = clients_of(running, dice, keep=2, once=2, pause=0.002)
        for _ in range(report.events):
            # One that still boots has the boot timeout, not the heartbeat's.
            time.sleep(0.3)
            victim = dice.choice(running.children)
            kill(victim, signal.SIGSTOP)
            try:
                report.recovery.append(time_to_recover(running, WORKERS, {victim}, limit=10))
            except TimeoutError:
                report.note, report.isGood = "not replaced within 10 s", False
                kill(victim, signal.SIGCONT)
        report.count(*clients.stop())
    return report


def few_descriptors(name: str, scale: float, dice: random.Random) -> Report:
    """More connections than descriptors: they wait, and all is well when the others have gone."""
    report = Report("no descriptors left", name, max(1, int(5 * scale)))
    limit = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (60, 60))
    with counted(report, name, preexec_fn=limit) as running:
        for _ in range(report.events):
            held = []
            # Once the queue is full, too, each further one would only wait.
            with contextlib.suppress(OSError):
                for _ in range(400):
                    held.append(socket.create_connection(("127.0.0.1", running.port), 1))
            time.sleep(0.2)
            for connection in held:
                connection.close()
            report.recovery.append(time_to_recover(running, WORKERS, set()))
        clients = clients_of(running, dice, keep=2, once=2)
        time.sleep(1)
        report.count(*clients.stop())
    report.isGood &= report.failed == 0 and report.reset == 0
    return report


def hostile_clients(name: str, scale: float, dice: random.Random) -> Report:
    """Slow heads, garbage, endless heads and half-closed connections beside clients that behave."""
    report = Report("slow and hostile clients", name, max(50, int(1000 * scale)))
    with counted(report, name) as running:
        address = ("127.0.0.1", running.port)
        slow = [socket.create_connection(address, 5) for _ in range(100)]
        clients = clients_of(running, dice, keep=3, once=3, pause=0.001)
        for number in range(report.events):
            with contextlib.suppress(OSError):
                slow[number % len(slow)].sendall(b"GET / HTTP/1.1\r\nX: " if number < len(slow) else b"x")
            with contextlib.suppress(OSError), socket.create_connection(address, 5) as connection:
                connection.settimeout(1)
                connection.sendall(dice.choice([
                    dice.randbytes(200), b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n", b"\r\n" * 1000,
                    b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 20_000,
                    b"\x16\x03\x01\x02\x00\x01\x00"]))
                if dice.random() < 0.5:
                    connection.shutdown(socket.SHUT_WR)
                    connection.recv(100)
        report.count(*clients.stop())
        for connection in slow:
            connection.close()
    report.isGood &= report.failed == 0 and report.reset == 0
    return report


PARTS = {"workers": worker_kills, "all-workers": all_workers_killed, "supervisor": supervisor_kills,
         "stopped": stopped_workers, "descriptors": few_descriptors, "hostile": hostile_clients}
# The server by hand on `serve`, and the one of PreforkHTTP.
OWN = ["prefork", "prefork-http"]
PEERS = ["nginx", "gunicorn", "puma", "tornado"]

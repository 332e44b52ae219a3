"""Reloads, upgrades, scaling and recycling under load: no request is lost, nothing is left behind."""

import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

from clients import REQUEST, Clients, read_answer

PROGRAM = ".build-static/release/ops-fixture"
WORKERS = 4


class Server:
    """The fixture's server; its log is read as it grows."""

    def __init__(self, *settings: str):
        self.log_file = tempfile.NamedTemporaryFile("w+", prefix="operations-storm-")
        self.process = subprocess.Popen(
            [PROGRAM, "serve", f"workers={WORKERS}", *settings], stdout=subprocess.PIPE, stderr=self.log_file, text=True)
        self.port = int(re.search(r":(\d+) ", self.process.stdout.readline()).group(1))
        self.text = ""
        self.killed = 0
        self.log = open(self.log_file.name)
        self.wait_for(lambda: "workers are ready" in self.text, "all workers are ready")

    def wait_for(self, condition, what: str, seconds: float = 30) -> None:
        limit = time.monotonic() + seconds
        while True:
            news = self.log.read()
            self.text += news
            self.killed += news.count("gets SIGKILL")
            if condition():
                return
            if self.process.poll() is not None:
                raise SystemExit(f"the supervisor ended with {self.process.poll()}\n{self.text[-2000:]}")
            if time.monotonic() > limit:
                raise SystemExit(f"not within {seconds} s: {what}\n{self.text[-2000:]}")
            time.sleep(0.001)

    def forget(self) -> None:
        self.text = ""

    def order(self, number: signal.Signals, *results: str) -> str:
        """Sends a signal and waits for the line that says what came of it."""
        self.forget()
        self.process.send_signal(number)
        self.wait_for(lambda: any(result in self.text for result in results), " or ".join(results))
        return next(result for result in results if result in self.text)

    @property
    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    @property
    def children(self) -> int:
        pid = self.process.pid
        return len(pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split())

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


def run(name: str, count: int, server: Server, step) -> bool:
    """Makes `count` steps under load, and prints what they did."""
    before = server.descriptors, server.children
    clients = Clients(server.port)
    begin = time.monotonic()
    for number in range(count):
        step(number)
    seconds = time.monotonic() - begin
    answers, lost = clients.stop()
    # Who still finishes what it has in hand has half a drain timeout at most for clients that say nothing.
    limit = time.monotonic() + 40
    while (after := (server.descriptors, server.children)) != before and time.monotonic() < limit:
        time.sleep(0.05)
    code = server.end()
    print(f"{name}: {count} in {seconds:.1f} s ({seconds / max(1, count) * 1e3:.1f} ms each), {answers} requests answered, "
          f"{len(lost)} failed, {server.killed} workers killed; descriptors {before[0]} before, {after[0]} after; "
          f"children {before[1]} before, {after[1]} after; exit {code}", flush=True)
    for reason in sorted(set(lost))[:5]:
        print(f"    {lost.count(reason)} × {reason}")
    return not lost and before == after and code == 0


def reloads(count: int, dice: random.Random) -> bool:
    server = Server()
    def step(_):
        result = server.order(signal.SIGHUP, "serves, after", "aborted")
        assert result != "aborted", server.text
    return run("reloads", count, server, step)


def upgrades(count: int, dice: random.Random) -> bool:
    server = Server()
    def step(_):
        result = server.order(signal.SIGUSR2, "serves, after", "aborted", "refused", "not done")
        assert result == "serves, after", server.text
    return run("upgrades", count, server, step)


def scale_steps(count: int, dice: random.Random) -> bool:
    server = Server()
    workers = WORKERS
    def step(number):
        nonlocal workers
        # The last steps lead back, so that children can be compared.
        left = count - number
        grows = workers < WORKERS if abs(workers - WORKERS) >= left else (
            workers == 1 or workers < 12 and dice.random() < 0.5)
        server.order(signal.SIGTTIN if grows else signal.SIGTTOU, "workers instead of")
        workers += 1 if grows else -1
    # An odd number of steps cannot lead back.
    return run("scale steps", count + count % 2, server, step)


def recycles(name: str, count: int, *settings: str) -> bool:
    server = Server(*settings)
    place = re.compile("has replaced pid .* recycling")
    def step(_):
        server.wait_for(lambda: place.search(server.text), "a worker was recycled")
        server.text = server.text[place.search(server.text).end():]
    return run(f"recycles by {name}", count, server, step)


def recycles_by_requests(count: int, dice: random.Random) -> bool:
    # The supervisor looks once a second: the more workers, the more are due at each look.
    return recycles("requests", count, "requests=100", "workers=16")


def recycles_by_lifetime(count: int, dice: random.Random) -> bool:
    return recycles("lifetime", count, "lifetime=40")


def quiet_reloads(count: int, dice: random.Random) -> bool:
    """Two clients at most: one whose request each old worker still has, and another that asks again and again. Nobody
    else comes who would wake a worker that slept through a connection."""
    server = Server()
    waits, lost = [], []
    for _ in range(count):
        with socket.create_connection(("127.0.0.1", server.port), 30) as in_flight:
            in_flight.sendall(b"GET /slow/2000 HTTP/1.1\r\n\r\n")
            server.order(signal.SIGHUP, "serves, after")
            end = time.monotonic() + 1.5
            while (begin := time.monotonic()) < end:
                try:
                    with socket.create_connection(("127.0.0.1", server.port), 1) as client:
                        client.sendall(REQUEST)
                        read_answer(client)
                except OSError as error:
                    lost.append(repr(error))
                waits.append(time.monotonic() - begin)
                time.sleep(dice.uniform(0, 0.02))
            try:
                read_answer(in_flight)
            except OSError as error:
                lost.append(f"in flight: {error!r}")
    code = server.end()
    print(f"reloads of a quiet server: {count}, {len(waits)} requests one after the other, {len(lost)} failed, longest "
          f"wait {max(waits) * 1e3:.1f} ms; exit {code}", flush=True)
    for reason in sorted(set(lost))[:5]:
        print(f"    {lost.count(reason)} × {reason}")
    return not lost and code == 0


def main() -> None:
    scale = float(sys.argv[1]) if len(sys.argv) > 1 else 1
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(1 << 32)
    print(f"scale {scale:g}, seed {seed}", flush=True)
    dice = random.Random(seed)
    good = [part(max(2, int(count * scale)), dice) for part, count in [
        (reloads, 1000), (upgrades, 200), (scale_steps, 1000), (recycles_by_requests, 300),
        (recycles_by_lifetime, 700), (quiet_reloads, 50)]]
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()

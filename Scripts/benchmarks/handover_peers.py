"""Servers whose clients stay while they are deployed, and how each of them is deployed."""

import contextlib
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time

from programs import BENCHMARKS, BINARIES, ROOT
from servers import BIN, HELLO, end, free_port, wait_until

ECHO = BENCHMARKS / "peers/handover_echo.js"
LIBRARY = BINARIES / "node-ws/usr/share/nodejs/ws"
TOOL = ROOT / ".build-static/release/preforkctl"

NGINX = """
worker_processes 2; daemon off; pid %(folder)s/pid; error_log %(folder)s/error.log; user root; worker_rlimit_nofile 65536;
events { worker_connections 32768; }
http { access_log off; client_body_temp_path %(folder)s/b; proxy_temp_path %(folder)s/p; fastcgi_temp_path %(folder)s/f;
  uwsgi_temp_path %(folder)s/u; scgi_temp_path %(folder)s/s;
  server { listen 127.0.0.1:%(port)d backlog=4096; location / { proxy_pass http://127.0.0.1:%(behind)d;
    proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;
  } } }
"""


def family(pid: int) -> list[int]:
    """The process and all below it."""
    found = [pid]
    for process in found:
        with contextlib.suppress(OSError):
            for task in pathlib.Path(f"/proc/{process}/task").iterdir():
                found += [int(word) for word in (task / "children").read_text().split()]
    return found


def memory(pids: list[int]) -> float:
    """Their proportional memory, MiB."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            found = re.search(r"^Pss:\s+(\d+)", pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)
            total += int(found[1]) if found else 0
    return total / 1024


class Peer:
    """A running server with two workers. `deploy` returns when every old process has ended."""

    def __init__(self, folder: pathlib.Path, environment: dict[str, str]):
        self.folder, self.environment, self.port, self.log = folder, environment, free_port(), folder / "log"
        self.processes: list[subprocess.Popen] = []

    def start(self, *words: str | pathlib.Path, **environment: str) -> subprocess.Popen:
        with self.log.open("ab") as output:
            process = subprocess.Popen(words, stdout=output, stderr=output, start_new_session=True,
                                       env=os.environ | environment)
        self.processes.append(process)
        return process

    @property
    def pids(self) -> list[int]:
        return [pid for process in self.processes if process.poll() is None for pid in family(process.pid)]

    def answers(self, port: int) -> bool:
        for process in self.processes[-1:]:
            if process.poll() is not None: raise RuntimeError(f"{type(self).__name__} ended: {self.log.read_text()[-2000:]}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")
            return bool(client.recv(4096))
        return False

    def begin(self) -> None:
        """Starts it."""

    def deploy(self, way: str) -> None:
        """Replaces both workers by others."""
        main = self.processes[0].pid
        old = set(family(main)[1:])
        self.replace(way)
        # The old ones are gone, and as many others are there.
        wait_until(lambda: len(now := set(family(main)[1:])) >= 2 and now.isdisjoint(old), "the old workers' end", self.log, 60)

    def replace(self, way: str) -> None:
        self.processes[0].send_signal(signal.SIGHUP)

    def close(self) -> None:
        for process in self.processes: end(process)


class Prefork(Peer):
    """`way` is `reload` or `upgrade`."""

    def begin(self) -> None:
        program = HELLO.parent / "http-measurement"
        self.start(program, "handover", str(self.port), PREFORK_CONTROL=str(self.folder / "control"), PREFORK_PROBATION="0",
                   **self.environment)

    def replace(self, way: str) -> None:
        words = [TOOL, "--socket", self.folder / "control", way, "--wait"]
        result = subprocess.run(words, capture_output=True, text=True, timeout=60)
        if result.returncode != 0: raise RuntimeError(f"{way}: {result.stderr}{self.log.read_text()[-2000:]}")


class Gunicorn(Peer):
    """With uvicorn's workers."""

    def begin(self) -> None:
        self.start(BIN / "python", "-m", "gunicorn", "--chdir", BENCHMARKS / "peers", "-w", "2", "-k",
                   "uvicorn_worker.UvicornWorker", "-b", f"127.0.0.1:{self.port}", "--backlog", "4096", "--log-level",
                   "warning", "handover_echo:app")


class Node(Peer):
    """Its cluster, with ws."""

    def begin(self) -> None:
        self.start("node", ECHO, str(self.port), LIBRARY)


class Nginx(Peer):
    """In front of Node: a deploy starts another Node, has nginx send new clients there, and stops the one before."""

    def begin(self) -> None:
        self.behind = self.start_behind()
        self.start("nginx", "-p", self.folder, "-c", self.folder / "nginx.conf", "-e", self.folder / "error.log")

    def start_behind(self) -> subprocess.Popen:
        port = free_port()
        process = self.start("node", ECHO, str(port), LIBRARY, WORKERS="1")
        wait_until(lambda: self.answers(port), "node answers", self.log)
        values = {"folder": self.folder, "port": self.port, "behind": port}
        (self.folder / "nginx.conf").write_text(NGINX % values)
        return process

    def deploy(self, way: str) -> None:
        before, main = self.behind, next(process for process in self.processes if "nginx" in str(process.args[0])).pid
        old = set(family(main)[1:])
        self.behind = self.start_behind()
        os.kill(main, signal.SIGHUP)
        wait_until(lambda: len(set(family(main)[1:]) - old) >= 2, "nginx has new workers", self.log)
        before.terminate()
        before.wait(30)
        wait_until(lambda: set(family(main)[1:]).isdisjoint(old), "the old workers' end", self.log, 60)


PEERS = {"prefork": Prefork, "nginx": Nginx, "gunicorn": Gunicorn, "node": Node}


@contextlib.contextmanager
def peer(name: str, **environment: str):
    """A server that answers, until its block ends."""
    with tempfile.TemporaryDirectory(prefix="prefork-handover-") as folder:
        running = PEERS[name](pathlib.Path(folder), environment)
        try:
            running.begin()
            wait_until(lambda: running.answers(running.port), f"{name} answers", running.log)
            yield running
        finally:
            running.close()


class MemoryWatch:
    """The most memory that a server's processes have had together, looked at each 20 ms."""

    def __init__(self, running: Peer):
        self.running, self.most, self.is_over = running, 0.0, threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)

    def watch(self) -> None:
        while not self.is_over.wait(0.02): self.most = max(self.most, memory(self.running.pids))

    def __enter__(self) -> "MemoryWatch":
        self.thread.start()
        return self

    def __exit__(self, *error) -> None:
        self.is_over.set()
        self.thread.join()
        self.most = max(self.most, memory(self.running.pids))


def client_ports(port: int) -> set[int]:
    """The ports of all clients that are connected to a server's port on the loopback (proc_net_tcp)."""
    found = set()
    for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, state = line.split()[:4]
        if state == "01" and int(remote.split(":")[1], 16) == port: found.add(int(local.split(":")[1], 16))
    return found

"""One server of a case: http-fixture with the default limits, its access log, its lines and its counters."""

import json
import os
import pathlib
import resource
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """Ends with its `with` block, and must then end by itself and without an error."""

    def __init__(self, program: pathlib.Path, workers: int = 1, descriptors: int = 1024):
        self.folder = tempfile.TemporaryDirectory(prefix="prefork-clients-")
        self.path = pathlib.Path(self.folder.name)
        self.metrics_port = free_port()
        environment = dict(
            os.environ, PREFORK_ACCESS_LOG=str(self.path / "access"), PREFORK_ACCESS_LOG_FORMAT="json",
            PREFORK_METRICS=f"127.0.0.1:{self.metrics_port}")
        limits = (descriptors, max(descriptors, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        self.log = self.path / "log"
        with (self.path / "out").open("wb") as out, self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [program, str(workers)], env=environment, stdout=out, stderr=log, stdin=subprocess.DEVNULL,
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, limits))
        self.port = int(self.wait(lambda: (self.path / "out").read_text().partition("port ")[2].split("\n")[0]))

    def wait(self, look, seconds: float = 60):
        """What `look` returns as soon as it is true."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if found := look():
                return found
            if self.process.poll() is not None:
                break
            time.sleep(0.01)
        raise SystemExit(f"not in time; the server's log:\n{self.log.read_text()}")

    def metric(self, name: str) -> float:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=60) as page:
            lines = page.read().decode().splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith(name + " "))

    def access(self) -> list[int]:
        """The statuses of the access log's lines."""
        path = self.path / "access"
        return [json.loads(line)["status"] for line in path.read_text().splitlines()] if path.exists() else []

    def troubles(self) -> list[str]:
        """Lines of the log that an operator would look at."""
        return [line for line in self.log.read_text().splitlines() if " error: " in line or " warning: " in line]

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_) -> None:
        try:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(30)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            self.folder.cleanup()

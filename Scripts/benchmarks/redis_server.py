"""A redis-server on a Unix socket, without anything on disk, for as long as a row lasts."""

import collections.abc
import contextlib
import pathlib
import subprocess
import tempfile
import time


@contextlib.contextmanager
def redis_server() -> collections.abc.Iterator[pathlib.Path]:
    """Gives the socket's path."""
    with tempfile.TemporaryDirectory() as folder:
        socket = pathlib.Path(folder) / "redis.sock"
        server = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", socket, "--save", "", "--appendonly",
                                   "no", "--dir", folder], stdout=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + 10
            while not socket.exists():
                if server.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError("redis-server did not start")
                time.sleep(0.01)
            yield socket
        finally:
            server.terminate()
            server.wait()

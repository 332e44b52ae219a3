"""The servers under test: each is started on a free port, waited for by connecting, and ended with all its processes."""

import contextlib
import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
HELLO = ROOT / ".build-static/release/benchmark-server"
BIN = pathlib.Path(sys.executable).parent
# A reload is over when its last worker is ready: what follows it is measured, and stormed, at once.
os.environ.setdefault("PREFORK_PROBATION", "0")
# Rows and storms count processes. Rows about spares have them.
os.environ.setdefault("PREFORK_SPARES", "0")

TORNADO = """
import sys, os, tornado.httpserver, tornado.ioloop, tornado.netutil, tornado.process, tornado.web, asyncio
class Main(tornado.web.RequestHandler):
    def get(self): self.write("Hello World")
class Pid(tornado.web.RequestHandler):
    def get(self): self.write(str(os.getpid()))
sockets = tornado.netutil.bind_sockets(int(sys.argv[1]), "127.0.0.1")
tornado.process.fork_processes(int(sys.argv[2]), max_restarts=1000000)
async def serve():
    app = tornado.web.Application([("/", Main), ("/pid", Pid)])
    tornado.httpserver.HTTPServer(app).add_sockets(sockets)
    await asyncio.Event().wait()
import logging; logging.disable(logging.CRITICAL)
asyncio.run(serve())
"""

GUNICORN = """
import os
def app(environ, start):
    if environ["PATH_INFO"] == "/crash/fatal": os.abort()
    body = str(os.getpid()).encode() if environ["PATH_INFO"] == "/pid" else b"Hello World"
    start("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
"""

NGINX = """
worker_processes %d; daemon off; master_process on; pid %s/pid; error_log %s/error.log; user root;
worker_rlimit_nofile 8192;
events { worker_connections 4096; }
http { access_log off; keepalive_requests 100000000; client_body_temp_path %s/b; proxy_temp_path %s/p;
  fastcgi_temp_path %s/f; uwsgi_temp_path %s/u; scgi_temp_path %s/s;
  server { listen 127.0.0.1:%d backlog=1024; default_type text/plain;
    location / { return 200 "Hello World"; } location /files/ { sendfile on; alias %s/; } location /pid { return 200 $pid; } location /task { return 200 $pid; } } }
"""


PUMA = """
body = { "Content-Type" => "text/plain" }
run ->(env) { Process.kill(:ABRT, Process.pid) && sleep if env["PATH_INFO"] == "/crash/fatal"
  [200, body.dup, [env["PATH_INFO"] == "/pid" ? Process.pid.to_s : "Hello World"]] }
"""


WS = """
const [port, library] = process.argv.slice(2), http = require("http"), { WebSocketServer } = require(library)
const server = http.createServer((request, response) => response.end("ws"))
new WebSocketServer({ server, perMessageDeflate: false }).on("connection", socket =>
  socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary })))
server.listen(+port, "127.0.0.1")
"""


def make_files(folder: pathlib.Path) -> None:
    """`files/4k` and `files/1m` below `www`, of an age at which no server takes them for files that still change."""
    (folder / "www/files").mkdir(parents=True, exist_ok=True)
    (folder / "www/index.html").write_text("files")
    for name, size in [("4k", 4096), ("1m", 1 << 20)]:
        (folder / "www/files" / name).write_bytes(os.urandom(size))
        os.utime(folder / "www/files" / name, (1_700_000_000, 1_700_000_000))


class Server:
    """A running server: its name, port and main process."""

    def __init__(self, name: str, port: int, process: subprocess.Popen, log: pathlib.Path):
        self.name, self.port, self.process, self.log = name, port, process, log

    @property
    def children(self) -> list[int]:
        pid = self.process.pid
        return [int(x) for x in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    @property
    def spares(self) -> list[int]:
        """Spare workers that wait for a slot."""
        def title(pid: int) -> bytes:
            with contextlib.suppress(OSError):
                return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
            return b""
        return [pid for pid in self.children if title(pid).startswith(b"prefork: spare") and b"parked" in title(pid)]

    def get(self, target: str = "/", timeout: float = 5) -> str:
        """One request on a connection of its own."""
        with socket.create_connection(("127.0.0.1", self.port), timeout) as client:
            client.sendall(f"GET {target} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n".encode())
            data = b""
            while chunk := client.recv(65536):
                data += chunk
        if b" 200 " not in data.split(b"\r\n", 1)[0]:
            raise ConnectionError(f"{self.name} answered {data[:60]!r}")
        return data.split(b"\r\n\r\n", 1)[1].decode()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def command(name: str, workers: int, port: int, folder: pathlib.Path) -> list[str]:
    if name in ["prefork", "reuse-port", "large"]:
        extra = {"reuse-port": ["--reuse-port"], "large": ["--ballast", "1024"]}.get(name, [])
        return [str(HELLO), "--port", str(port), "--workers", str(workers), "--backoff-max", "0",
                "--max-restarts", "1000000", *extra]
    if name == "prefork-http":
        # What the storm's MixedClients know, too. A part may have the server run as another user.
        folder.chmod(0o755)
        (folder / "data.bin").write_bytes(random.Random(7).randbytes(1 << 20))
        return [str(HELLO.parent / "http-fixture"), str(workers), "clients", str(folder), str(port)]
    if name in ["http", "bare", "files", "websocket", "blocking"]:
        make_files(folder)
        return [str(HELLO.parent / "http-measurement"), name, str(port), str(folder / "www")]
    if name in ["C http", "C websocket"]:
        return [str(ROOT / f".build-bench/{name[2:]}_limits"), "serve", str(port)]
    if name == "ws":
        (folder / "echo.js").write_text(WS)
        return ["node", str(folder / "echo.js"), str(port), str(ROOT / ".build-bench/node-ws/usr/share/nodejs/ws")]
    if name == "ops-fixture":
        return [str(HELLO.parent / name), "serve", f"port={port}", f"workers={workers}"]
    if name == "nginx":
        f = str(folder)
        make_files(folder)
        (folder / "nginx.conf").write_text(NGINX % (workers, f, f, f, f, f, f, f, port, folder / "www/files"))
        return ["nginx", "-p", f, "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
    if name == "tornado":
        (folder / "tornado_app.py").write_text(TORNADO)
        return [sys.executable, str(folder / "tornado_app.py"), str(port), str(workers)]
    if name == "gunicorn":
        (folder / "gunicorn_app.py").write_text(GUNICORN)
        return [str(BIN / "gunicorn"), "--chdir", str(folder), "-w", str(workers), "-b", f"127.0.0.1:{port}",
                "--log-level", "critical", "gunicorn_app:app"]
    if name == "puma":
        (folder / "config.ru").write_text(PUMA)
        return ["puma", "-q", "-e", "production", "-w", str(workers), "-t", "1:4", "-b", f"tcp://127.0.0.1:{port}",
                str(folder / "config.ru")]
    raise ValueError(name)


@contextlib.contextmanager
def server(name: str, workers: int, program: pathlib.Path | None = None, **options):
    """Starts `name` and yields it when it answers; ends its whole process group afterwards, whatever happens.

    `program` is run instead of the server's own one, with the same arguments. `options` are Popen's: an environment, or what is to be done in the process before the program begins.
    """
    with tempfile.TemporaryDirectory(prefix="prefork-bench-") as text:
        folder, port = pathlib.Path(text), free_port()
        log, words = folder / "log", command(name, workers, port, folder)
        if program:
            words[0] = str(program)
        with log.open("wb") as output:
            process = subprocess.Popen(words, stdout=output, stderr=output,
                                       start_new_session=True, **options)
        running = Server(name, port, process, log)
        try:
            wait_until(lambda: answers(running), f"{name} answers", log)
            wait_until(lambda: len(running.children) >= workers, f"{name} has {workers} workers", log)
            yield running
        finally:
            end(process)


def end(process: subprocess.Popen) -> None:
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(5)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def answers(running: Server) -> bool:
    if running.process.poll() is not None:
        raise RuntimeError(f"{running.name} ended: {running.log.read_text()[-2000:]}")
    try:
        return bool(running.get())
    except OSError:
        return False


def wait_until(condition, what: str, log: pathlib.Path | None = None, limit: float = 30) -> None:
    end_time = time.monotonic() + limit
    while not condition():
        if time.monotonic() > end_time:
            raise TimeoutError(f"not within {limit} s: {what}\n{log.read_text()[-2000:] if log else ''}")
        time.sleep(0.002)

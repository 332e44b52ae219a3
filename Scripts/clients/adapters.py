"""HTTP clients behind one face: each asks for one thing at a time on connections that it keeps as it likes."""
import asyncio
import dataclasses
import hashlib
import http.client
import json
import pathlib
import re
import subprocess
import threading

import aiohttp
import httpx


@dataclasses.dataclass
class Answer:
    status: int
    # By names in lower case.
    fields: dict[str, str]
    size: int
    digest: str
    # The first bytes.
    text: str
    trailers: dict[str, str] = dataclasses.field(default_factory=dict)


def answer(status, fields, body, trailers=()):
    fields = {name.lower(): value for name, value in fields}
    return Answer(status, fields, len(body), hashlib.sha256(body).hexdigest(), body[:200].decode("latin-1"),
                  {name.lower(): value for name, value in trailers})


class Client:
    """What a client can do beside plain requests. `data` is a file whose first bytes are the bodies that are sent."""

    expects = shows_trailers = False

    def __init__(self, port: int, data: pathlib.Path, folder: pathlib.Path):
        self.port, self.data, self.folder = port, data, folder

    def body(self, size):
        with self.data.open("rb") as file:
            return file.read(size)

    def pieces(self, size):
        with self.data.open("rb") as file:
            while size > 0:
                piece = file.read(min(size, 10_000))
                size -= len(piece)
                yield piece

    def ask(self, method, path, fields=(), size=None, chunked=False) -> Answer:
        """`size` bytes are sent, in chunks or with their length. None: no body."""
        raise NotImplementedError

    def parallel(self, path, count) -> list[int]:
        """The statuses of `count` requests at the same time. None where a client makes one at a time."""

    def break_off(self, path):
        """Goes away in the middle of a response."""

    def close(self):
        pass


class Standard(Client):
    name = "http.client"

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def ask(self, method, path, fields=(), size=None, chunked=False):
        body = None if size is None else self.pieces(size) if chunked else self.body(size)
        try:
            try:
                self.connection.request(method, path, body, dict(fields), encode_chunked=chunked)
            except (BrokenPipeError, ConnectionResetError):
                # The server has answered already: what it said may be there.
                pass
            response = self.connection.getresponse()
            return answer(response.status, response.getheaders(), response.read())
        except Exception:
            self.connection.close()
            raise

    def break_off(self, path):
        self.connection.request("GET", path)
        assert len(self.connection.getresponse().read(100_000)) == 100_000
        self.connection.close()

    def close(self):
        self.connection.close()


class HTTPX(Client):
    name = f"httpx {httpx.__version__}"

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.base = f"http://127.0.0.1:{self.port}"
        self.client = httpx.Client(base_url=self.base, timeout=30, trust_env=False)

    def ask(self, method, path, fields=(), size=None, chunked=False):
        content = None if size is None else self.pieces(size) if chunked else self.body(size)
        response = self.client.request(method, path, headers=dict(fields), content=content)
        return answer(response.status_code, response.headers.items(), response.content)

    def parallel(self, path, count):
        async def all_of_them():
            async with httpx.AsyncClient(base_url=self.base, timeout=30, trust_env=False) as client:
                return [one.status_code for one in await asyncio.gather(*(client.get(path) for _ in range(count)))]
        return asyncio.run(all_of_them())

    def break_off(self, path):
        with self.client.stream("GET", path) as response:
            next(response.iter_bytes(100_000))

    def close(self):
        self.client.close()


class AIOHTTP(Client):
    name = f"aiohttp {aiohttp.__version__}"
    expects = True

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.session = self.run(self.make())

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(60)

    async def make(self):
        limit = aiohttp.ClientTimeout(total=30)
        return aiohttp.ClientSession(f"http://127.0.0.1:{self.port}", timeout=limit)

    async def streamed(self, size):
        for piece in self.pieces(size):
            yield piece

    async def one(self, method, path, fields, size, chunked):
        data = None if size is None else self.streamed(size) if chunked else self.body(size)
        fields = dict(fields)
        expects = fields.pop("Expect", None) is not None
        async with self.session.request(method, path, headers=fields, data=data, expect100=expects,
                                        allow_redirects=False) as response:
            return answer(response.status, response.headers.items(), await response.read())

    def ask(self, method, path, fields=(), size=None, chunked=False):
        return self.run(self.one(method, path, fields, size, chunked))

    def parallel(self, path, count):
        async def all_of_them():
            return await asyncio.gather(*(self.one("GET", path, (), None, False) for _ in range(count)))
        return [one.status for one in self.run(all_of_them())]

    def break_off(self, path):
        async def begin():
            async with self.session.get(path) as response:
                await response.content.readexactly(100_000)
                response.close()
        self.run(begin())

    def close(self):
        self.run(self.session.close())
        self.loop.call_soon_threadsafe(self.loop.stop)


class Curl(Client):
    name = "curl " + subprocess.run(["curl", "-V"], capture_output=True, text=True, check=True).stdout.split()[1]
    expects = shows_trailers = True

    def run(self, words, **options):
        return subprocess.run(["curl", "-s", *words], capture_output=True, timeout=60, check=False, **options)

    def ask(self, method, path, fields=(), size=None, chunked=False):
        head, body = self.folder / f"head-{id(self)}", self.folder / f"body-{id(self)}"
        body.write_bytes(b"")
        words = ["-D", head, "-o", body, "-m", "30"]
        # Without this, curl asks for 100 Continue by itself.
        if not any(name == "Expect" for name, _ in fields):
            words += ["-H", "Expect:"]
        for name, value in fields:
            words += ["-H", f"{name}: {value}"]
        words += ["-I"] if method == "HEAD" else ["-X", method]
        options = {}
        if size is not None:
            options["input"] = self.body(size)
            words += ["-H", "Transfer-Encoding: chunked", "-T", "-"] if chunked else ["--data-binary", "@-"]
        result = self.run([*words, f"http://127.0.0.1:{self.port}{path}"], **options)
        parts = [part.split("\r\n") for part in head.read_bytes().decode("latin-1").split("\r\n\r\n") if part]
        if result.returncode != 0:
            raise ConnectionError(f"curl ends with {result.returncode} {parts[-1:]}")
        heads = [part for part in parts if part[0].startswith("HTTP/")]
        pairs = lambda lines: [tuple(line.split(": ", 1)) for line in lines if ": " in line]
        # curl writes trailers behind the head.
        trailers = [line for part in parts if not part[0].startswith("HTTP/") for line in part]
        final = heads[-1]
        content = b"" if method == "HEAD" else body.read_bytes()
        return answer(int(final[0].split()[1]), pairs(final[1:]), content, pairs(trailers))

    def parallel(self, path, count):
        result = self.run(["-Z", "--parallel-immediate", "--parallel-max", str(count), "-w", "%{http_code}\n", "-o", "/dev/null",
                           f"http://127.0.0.1:{self.port}{path}?[1-{count}]"], text=True)
        return [int(word) for word in result.stdout.split()]

    def kept(self, count):
        """So many requests of one process: their bodies, and how many connections it opened."""
        result = self.run(["-f", "-w", "\n%{num_connects}\n", f"http://127.0.0.1:{self.port}/peer?[1-{count}]"], text=True)
        lines = result.stdout.split()
        if result.returncode != 0 or len(lines) != 2 * count:
            raise ConnectionError(f"curl ends with {result.returncode} after {len(lines) // 2} of {count}")
        return lines[::2], sum(int(word) for word in lines[1::2])

    def break_off(self, path):
        result = self.run(["-m", "0.3", "-o", "/dev/null", f"http://127.0.0.1:{self.port}{path}"])
        # CURLE_OPERATION_TIMEDOUT
        assert result.returncode == 28, result.returncode


class Node(Client):
    """A program of its own, which is told what to ask by lines of JSON."""

    def __init__(self, port, data, folder):
        super().__init__(port, data, folder)
        script = pathlib.Path(__file__).parent / "real_clients.js"
        self.process = subprocess.Popen(["node", script, self.kind, str(port), str(data)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def tell(self, **order):
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        result = json.loads(self.process.stdout.readline())
        if error := result.get("error"):
            raise ConnectionError(error)
        return result

    def ask(self, method, path, fields=(), size=None, chunked=False):
        return Answer(**self.tell(method=method, path=path, fields=dict(fields), size=size, chunked=chunked))

    def parallel(self, path, count):
        return self.tell(path=path, parallel=count)["statuses"]

    def break_off(self, path):
        self.tell(path=path, breaksOff=True)

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)


VERSION = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()


class Fetch(Node):
    kind, name = "fetch", f"fetch of Node {VERSION}"


class NodeHTTP(Node):
    kind, name = "http", f"http of Node {VERSION}"
    expects = shows_trailers = True


ALL = [Curl, Standard, HTTPX, AIOHTTP, Fetch, NodeHTTP]


def wrk(port, seconds, connections, path="/peer", pipelined=1, folder=None):
    """Requests a second and errors."""
    words = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s"]
    if pipelined > 1:
        script = folder / "pipeline.lua"
        script.write_text("init = function(args) local one = wrk.format('GET', '%s') request_text = string.rep(one, %d) end\n"
                          "request = function() return request_text end\n" % (path, pipelined))
        words += ["-s", script]
    text = subprocess.run([*words, f"http://127.0.0.1:{port}{path}"], capture_output=True, text=True, timeout=seconds + 30,
                          check=True).stdout
    trouble = re.search(r"Socket errors: .*|Non-2xx.*", text)
    return int(re.search(r"(\d+) requests in", text)[1]), trouble[0] if trouble else ""

"""Clients of an HTTP server that use all of it: kept connections, bodies, files, pipelining, WebSockets."""

import functools
import multiprocessing
import os
import random
import socket
import struct
import time
import zlib

from clients import ClientProcesses

PATIENCE = 20


@functools.cache
def data() -> bytes:
    """What the server has as `data.bin`."""
    return random.Random(7).randbytes(1 << 20)


class Wrong(Exception):
    """An answer, but not to what was asked."""


class Wire:
    """A connection with what has been received and not yet taken."""

    def __init__(self, port: int):
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.bytes, self.ends, self.going_away = bytearray(), False, False

    def send(self, text: bytes) -> None:
        self.socket.sendall(text)

    def fill(self, what: str) -> None:
        chunk = self.socket.recv(1 << 16)
        if not chunk:
            raise ConnectionError(f"end within {what} after {len(self.bytes)} bytes")
        self.bytes += chunk

    def take_in(self) -> None:
        """Receives something without looking at it."""
        self.fill("a response")

    def take(self, count: int, what: str) -> bytes:
        while len(self.bytes) < count:
            self.fill(what)
        taken = bytes(self.bytes[:count])
        del self.bytes[:count]
        return taken

    def until(self, end: bytes, what: str) -> bytes:
        while (place := self.bytes.find(end)) < 0:
            self.fill(what)
        return self.take(place + len(end), what)

    def answer(self, what: str) -> tuple[int, bytes]:
        """The status and the body of a response. `ends` then tells whether another request may follow."""
        lines = self.until(b"\r\n\r\n", f"the head of {what}").decode().split("\r\n")
        fields = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:] if line)}
        self.ends = fields.get("connection", "").lower() == "close"
        if fields.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(self.until(b"\r\n", f"a chunk of {what}"), 16):
                body += self.take(size + 2, f"a chunk of {what}")[:-2]
            self.until(b"\r\n", what)
        else:
            body = self.take(int(fields.get("content-length", 0)), f"the body of {what}")
        return int(lines[0].split()[1]), body

    def close(self) -> None:
        self.socket.close()


def request(method: str, path: str, *fields: str) -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: storm", *fields, "", ""]).encode()


def expect(seen, wanted, what: str) -> None:
    if seen != wanted:
        raise Wrong(f"{what}: {repr(seen)[:80]}")


# Each asks for one thing and checks it. How many answers that were.
def hello(wire: Wire, dice: random.Random) -> int:
    wire.send(request("GET", "/"))
    expect(wire.answer("hello"), (200, b"Hello World"), "hello")
    return 1


def pipelined(wire: Wire, dice: random.Random) -> int:
    count = dice.randint(2, 8)
    wire.send(request("GET", "/") * count)
    for number in range(count):
        expect(wire.answer("pipelining"), (200, b"Hello World"), "pipelining")
        # The rest was not looked at, and is asked for again elsewhere.
        if wire.ends:
            return number + 1
    return count


def chunks(body: bytes, dice: random.Random) -> bytes:
    out, place = b"", 0
    while place < len(body):
        size = dice.randint(1, 40_000)
        piece = body[place:place + size]
        out += b"%x\r\n%b\r\n" % (len(piece), piece)
        place += size
    return out + b"0\r\n\r\n"


def upload(wire: Wire, dice: random.Random) -> int:
    body = data()[:dice.choice([0, 1, 1000, 60_000, 300_000])]
    isChunked = dice.random() < 0.5
    if isChunked:
        wire.send(request("POST", "/sum", "Transfer-Encoding: chunked") + chunks(body, dice))
    else:
        wire.send(request("POST", "/sum", f"Content-Length: {len(body)}") + body)
    text = f"{len(body)} {zlib.adler32(body)} {'chunked' if isChunked else 'length'}"
    expect(wire.answer("an upload"), (200, text.encode()), "an upload")
    return 1


def echo(wire: Wire, dice: random.Random) -> int:
    body = data()[:dice.randint(0, 20_000)]
    wire.send(request("POST", "/echo", "Transfer-Encoding: chunked") + chunks(body, dice))
    expect(wire.answer("an echo"), (200, body), "an echo")
    return 1


def unread(wire: Wire, dice: random.Random) -> int:
    """A body that the handler does not look at: in front of the next request, or of the connection's end."""
    body = data()[:dice.choice([10, 100_000, 400_000])]
    if dice.random() < 0.5:
        wire.send(request("POST", "/peer", "Transfer-Encoding: chunked") + chunks(body, dice))
    else:
        wire.send(request("POST", "/peer", f"Content-Length: {len(body)}") + body)
    status, text = wire.answer("a body that is not read")
    expect((status, text[:10]), (200, b"127.0.0.1:"), "a body that is not read")
    return 1


def file(wire: Wire, dice: random.Random) -> int:
    wire.send(request("GET", "/data.bin"))
    expect(wire.answer("a file"), (200, data()), "a file")
    return 1


def slow_download(wire: Wire, dice: random.Random) -> int:
    """A client that takes its time: what it has begun, a worker that drains finishes."""
    wire.send(request("GET", "/data.bin"))
    for _ in range(dice.randint(1, 10)):
        time.sleep(dice.random() * 0.05)
        wire.take_in()
    expect(wire.answer("a slow download"), (200, data()), "a slow download")
    return 1


def slow_upload(wire: Wire, dice: random.Random) -> int:
    body = data()[:dice.randint(1, 50_000)]
    wire.send(request("POST", "/sum", f"Content-Length: {len(body)}"))
    place = 0
    while place < len(body):
        piece = body[place:place + dice.randint(1, 10_000)]
        time.sleep(dice.random() * 0.02)
        wire.send(piece)
        place += len(piece)
    expect(wire.answer("a slow upload"), (200, f"{len(body)} {zlib.adler32(body)} length".encode()), "a slow upload")
    return 1


def part(wire: Wire, dice: random.Random) -> int:
    first = dice.randrange(len(data()))
    last = min(len(data()) - 1, first + dice.randrange(100_000))
    wire.send(request("GET", "/data.bin", f"Range: bytes={first}-{last}"))
    expect(wire.answer("a range"), (206, data()[first:last + 1]), "a range")
    return 1


def frame(kind: int, payload: bytes) -> bytes:
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else struct.pack("!BH", 0xFE, size)
    mask = os.urandom(4)
    # Exclusive or with the repeated mask.
    long = (mask * (size // 4 + 1))[:size]
    masked = (int.from_bytes(payload, "big") ^ int.from_bytes(long, "big")).to_bytes(size, "big")
    return bytes([0x80 | kind]) + length + mask + masked


def next_frame(wire: Wire) -> tuple[int, bytes]:
    kind, size = wire.take(2, "a frame")
    if size == 126:
        size, = struct.unpack("!H", wire.take(2, "a frame"))
    elif size == 127:
        size, = struct.unpack("!Q", wire.take(8, "a frame"))
    return kind & 15, wire.take(size, "a frame")


def messages(wire: Wire, dice: random.Random) -> int:
    """A WebSocket for some messages. A worker that drains may close it, in order and with 1001."""
    wire.send(request("GET", "/socket", "Upgrade: websocket", "Connection: upgrade", "Sec-WebSocket-Version: 13",
                      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="))
    wire.ends = True
    head = wire.until(b"\r\n\r\n", "the head of a WebSocket").split()
    expect(head[1], b"101", "a WebSocket")
    answers = 1
    for _ in range(dice.randint(1, 20)):
        payload = data()[:dice.choice([0, 10, 125, 126, 5000, 60_000])]
        time.sleep(dice.random() * 0.01)
        wire.send(frame(2, payload))
        kind, seen = next_frame(wire)
        if kind == 8:
            expect(seen[:2], struct.pack("!H", 1001), "a WebSocket's end")
            wire.send(frame(8, seen[:2]))
            wire.going_away = True
            return answers
        expect((kind, seen), (2, payload), "a message")
        answers += 1
    wire.send(frame(8, struct.pack("!H", 1000)))
    kind, seen = next_frame(wire)
    expect(kind, 8, "a WebSocket's end")
    return answers


DEEDS = {hello: 6, pipelined: 2, upload: 3, echo: 2, unread: 2, file: 1, part: 3, slow_download: 1, slow_upload: 1, messages: 3}


def act(port: int, seed: str, pause: float, stops, answers, goings, failures) -> None:
    dice, wire = random.Random(seed), None
    while not stops.value:
        deed = dice.choices(list(DEEDS), DEEDS.values())[0]
        try:
            if wire is None:
                wire = Wire(port)
            count = deed(wire, dice)
            with answers.get_lock():
                answers.value += count
                goings.value += wire.going_away
            # Some clients never keep their connection.
            if wire.ends or dice.random() < 0.1:
                wire.close()
                wire = None
        except (OSError, Wrong) as error:
            # As `Report.count` knows what a killed worker owes its clients. EPIPE is one of these, too.
            kind = "Connection lost: " if isinstance(error, ConnectionError) else ""
            failures.put(f"{deed.__name__}: {kind}{error}")
            if wire:
                wire.close()
            wire = None
        if pause:
            time.sleep(dice.random() * 2 * pause)


class MixedClients(ClientProcesses):
    """Clients in processes, as `Clients`, but each does what its dice say."""

    def __init__(self, port: int, count: int = 8, pause: float = 0, seed: float = 0):
        super().__init__()
        # WebSockets that a worker closed because it drains.
        self.goings = multiprocessing.Value("q", 0)
        self.start(count, act, lambda number: (
            port, f"{seed} {number}", pause, self.stops, self.answers, self.goings, self.failures))

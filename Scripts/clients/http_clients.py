"""Outcomes of hostile and unlucky clients: see Scripts/http-clients."""

import argparse
import collections
import concurrent.futures
import dataclasses
import pathlib
import random
import resource
import socket
import struct
import subprocess
import sys
import time

from http_server import Server

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "Sources/Prefork/Documentation.docc/HTTP/HTTPClients.md"
BEGIN, END = "<!-- outcomes: Scripts/http-clients -->", "<!-- end of outcomes -->"
# The defaults of HTTPServerOptions, in seconds. The rate counts after five.
LIMITS = {"`headTimeout`": 10, "`bodyTimeout`": 30, "`keepAliveTimeout`": 75, "`writeTimeout`": 30, "`minimumRate`": 5}
HALF_OPEN = 10_000
HEAD = b"Host: a\r\n"


@dataclasses.dataclass
class Outcome:
    """What was seen of one case."""

    answer: str = "none"
    end: str = "kept"
    acted: str = "-"
    # None: what the server's log and counter have in the end.
    lines: str | None = None
    counted: str | None = None
    notes: list[str] = dataclasses.field(default_factory=list)


class Case:
    """One row of a table."""

    def __init__(self, words: str, run, acts: str = "-", workers: int = 1, descriptors: int = 1024):
        self.words, self.run, self.acts = words, run, acts
        self.workers, self.descriptors = workers, descriptors


def connect(server: Server) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", server.port), timeout=120)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def reset(client: socket.socket) -> None:
    """Closes with RST: what is on its way is lost (SO_LINGER, socket(7))."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def read_all(client: socket.socket) -> tuple[bytes, str]:
    """What comes, and how it ends."""
    parts = []
    try:
        while part := client.recv(1 << 16):
            parts.append(part)
        return b"".join(parts), "FIN"
    except ConnectionResetError:
        return b"".join(parts), "RST"


def read_answer(client: socket.socket) -> bytes:
    """One response with a length."""
    data = b""
    while b"\r\n\r\n" not in data:
        if not (part := client.recv(1 << 16)):
            return data
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    length = next((int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), 0)
    while len(body) < length and (part := client.recv(1 << 16)):
        body += part
    return head + b"\r\n\r\n" + body


def status(data: bytes) -> str:
    return data[9:12].decode() if data.startswith(b"HTTP/1.1 ") else "none"


def is_served(server: Server) -> bool:
    with connect(server) as client:
        client.sendall(b"GET /x HTTP/1.1\r\n" + HEAD + b"Connection: close\r\n\r\n")
        return read_all(client)[0].endswith(b"\r\n\r\n/x")


def till_the_end(client: socket.socket, feed=None, pause: float = 0.05) -> tuple[str, str, float]:
    """Feeds a byte at a time until the server answers or ends, and says what it answered, how it ended and after how long."""
    began = time.monotonic()
    if feed is not None:
        client.settimeout(pause)
        first = b""
        for byte in feed:
            try:
                client.sendall(bytes([byte]))
                first = client.recv(1 << 16)
                break
            except TimeoutError:
                continue
            except (ConnectionResetError, BrokenPipeError):
                return "none", "RST", time.monotonic() - began
        client.settimeout(120)
        rest, end = read_all(client)
        return status(first + rest), end, time.monotonic() - began
    data, end = read_all(client)
    return status(data), end, time.monotonic() - began


def timed(limit: str, answer: str, end: str, seconds: float) -> Outcome:
    """The limit acted if the end came with it and not much later: the machine may be busy."""
    outcome = Outcome(answer=answer, end=end, acted=limit)
    outcome.notes.append(f"after {seconds:.1f} s")
    if not LIMITS[limit] <= seconds + 0.1 < LIMITS[limit] + 15:
        outcome.acted = f"after {seconds:.1f} s"
    return outcome


# Slow, silent, idle


def slow_head(server, _):
    with connect(server) as client:
        feed = b"GET /x HTTP/1.1\r\nHost: a\r\n" + b"X-A: b\r\n" * 10_000
        return timed("`headTimeout`", *till_the_end(client, feed, 0.2))


def half_head(server, _):
    with connect(server) as client:
        client.sendall(b"GET /x HTTP/1.1\r\nHost: a\r\n")
        return timed("`headTimeout`", *till_the_end(client))


def silent(server, _):
    with connect(server) as client:
        return timed("`headTimeout`", *till_the_end(client))


def idle(server, _):
    with connect(server) as client:
        client.sendall(b"GET /x HTTP/1.1\r\n" + HEAD + b"\r\n")
        first = read_answer(client)
        outcome = timed("`keepAliveTimeout`", *till_the_end(client))
        outcome.answer = status(first)
        return outcome


def stopped_body(count: int, limit: str):
    def run(server, _):
        with connect(server) as client:
            client.sendall(b"POST /collect HTTP/1.1\r\n" + HEAD + b"Content-Length: 100001\r\n\r\n" + b"a" * count)
            return timed(limit, *till_the_end(client))

    return run


def slow_body(server, _):
    with connect(server) as client:
        client.sendall(b"POST /collect HTTP/1.1\r\n" + HEAD + b"Content-Length: 100000\r\n\r\n")
        return timed("`minimumRate`", *till_the_end(client, b"a" * 100_000, 0.02))


def no_reader(server, _):
    with connect(server) as client:
        client.sendall(b"GET /large HTTP/1.1\r\n" + HEAD + b"\r\n")
        began = time.monotonic()
        server.wait(lambda: server.metric("prefork_connections") == 1)
        server.wait(lambda: server.metric("prefork_connections") == 0, 120)
        seconds = time.monotonic() - began
        data, end = read_all(client)
        outcome = timed("`writeTimeout`", status(data), end, seconds)
        if len(data) < 64 << 20:
            outcome.answer += ", cut"
        return outcome


def byte_by_byte(server, _):
    with connect(server) as client:
        for byte in b"POST /collect HTTP/1.1\r\n" + HEAD + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n" \
                b"3;a=b\r\nabc\r\n0\r\nX: y\r\n\r\n":
            client.sendall(bytes([byte]))
            time.sleep(0.001)
        data, end = read_all(client)
        return Outcome(answer=status(data), end=end)


def half_open(server, _):
    """With 10,000 others that send nothing, a byte or a part of a head, a client sends request after request."""
    others, beginnings = [], [b"", b"G", b"GET /x HTTP/1.1\r\nHost: a\r\n"]
    for number in range(HALF_OPEN):
        others.append(connect(server))
        if beginnings[number % 3]:
            others[-1].sendall(beginnings[number % 3])
    server.wait(lambda: server.metric("prefork_connections") > HALF_OPEN * 0.99)
    outcome, sent, slowest = Outcome(end="FIN", acted="`headTimeout`"), 0, 0.0
    end = time.monotonic() + 5
    while time.monotonic() < end:
        began = time.monotonic()
        if not is_served(server):
            outcome.end = f"a request without its answer after {sent}"
            break
        sent, slowest = sent + 1, max(slowest, time.monotonic() - began)
    statuses = set()
    for number, client in enumerate(others):
        data, how = read_all(client)
        statuses.add(status(data))
        if how != "FIN":
            outcome.end = how
        if (number % 3 == 0) != (data == b""):
            outcome.notes.append(f"{number % 3}: {data[:20]}")
        client.close()
    outcome.answer = "408, or none where nothing was sent" if statuses == {"408", "none"} else f"{statuses}"
    outcome.notes.append(f"{sent} requests of the client were answered, the slowest after {slowest * 1000:.0f} ms")
    begun = sum(1 for number in range(HALF_OPEN) if number % 3)
    lines = collections.Counter(server.access())
    outcome.lines = "408 for each that sent a byte" if lines == {200: sent, 408: begun} else f"{lines}"
    count = int(server.metric("prefork_requests_total"))
    outcome.counted = "only the other's" if count == sent else f"{count} of {sent}"
    return outcome


# Gone


REQUEST = b"POST /collect HTTP/1.1\r\n" + HEAD + b"Content-Length: 10\r\n\r\n0123456789"
HEAD_LENGTH = REQUEST.index(b"\r\n\r\n") + 4


def gone(server, allowed: set[int], counted: range, lines: str, words: str) -> Outcome:
    """Nothing is left of clients that are gone.

    The access log has no other statuses than `allowed`, and so many requests were counted: else the row shows what was.
    """
    server.wait(lambda: server.metric("prefork_connections") == 0)
    seen, count = set(server.access()), int(server.metric("prefork_requests_total"))
    outcome = Outcome(end="the client's", lines=lines, counted=words)
    if not seen <= allowed:
        outcome.lines = f"{sorted(seen)}"
    if count not in counted:
        outcome.counted = f"{count}"
    return outcome


def resets(server, _):
    """What has not been read yet is lost with the connection: also the last one, which is whole."""
    for count in range(len(REQUEST) + 1):
        client = connect(server)
        client.sendall(REQUEST[:count])
        reset(client)
    return gone(server, {0, 200}, range(2), "0 for a whole head", "a whole one")


def resets_in_turns(server, _):
    """As `resets`, but each byte has arrived before the next one, and before the reset."""
    for count in range(len(REQUEST)):
        client = connect(server)
        for byte in REQUEST[:count]:
            client.sendall(bytes([byte]))
        server.wait(lambda: server.metric("prefork_connections") >= 1)
        reset(client)
        server.wait(lambda: server.metric("prefork_connections") == 0)
    outcome = gone(server, {0}, range(1), "0 for a whole head", "0")
    if (lines := len(server.access())) != len(REQUEST) - HEAD_LENGTH:
        outcome.lines = f"{lines} lines"
    return outcome


def resets_of_responses(server, _):
    get = b"GET /x HTTP/1.1\r\n" + HEAD + b"\r\n"
    client = connect(server)
    client.sendall(get)
    length = len(read_answer(client))
    reset(client)
    for count in range(1, length + 1):
        client = connect(server)
        client.sendall(get)
        for _ in range(count):
            client.recv(1)
        reset(client)
    return gone(server, {200}, range(length + 1, length + 2), "200", "each")


def resets_of_large_responses(server, dice):
    for _ in range(100):
        client = connect(server)
        client.sendall(b"GET /large HTTP/1.1\r\n" + HEAD + b"\r\n")
        rest = dice.randrange(1, 8 << 20)
        while rest > 0:
            rest -= len(client.recv(min(rest, 1 << 16)))
        reset(client)
    return gone(server, {200}, range(1), "200", "0")


def ends(zone):
    counts = {"head": range(HEAD_LENGTH), "body": range(HEAD_LENGTH, len(REQUEST)), "whole": [len(REQUEST)]}[zone]

    def run(server, _):
        seen = set()
        for count in counts:
            with connect(server) as client:
                client.sendall(REQUEST[:count])
                client.shutdown(socket.SHUT_WR)
                data, end = read_all(client)
                seen.add((status(data), end))
        outcome = Outcome(*(seen.pop() if len(seen) == 1 else (f"{sorted(seen)}", "several")))
        return outcome

    return run


# Limits


def exchange(data: bytes):
    """One request, and what follows the response: the connection is kept if a second request is answered."""

    def run(server, _):
        with connect(server) as client:
            try:
                client.sendall(data)
            except (ConnectionResetError, BrokenPipeError):
                pass
            first = read_answer(client)
            outcome = Outcome(answer=status(first))
            if b"\r\nConnection: close\r\n" in first:
                client.shutdown(socket.SHUT_WR)
                outcome.end = read_all(client)[1]
            else:
                client.sendall(b"GET /x HTTP/1.1\r\n" + HEAD + b"Connection: close\r\n\r\n")
                outcome.end = "kept" if read_all(client)[0].endswith(b"/x") else "lost"
            return outcome

    return run


def head_of(size: int) -> bytes:
    begin = b"GET /x HTTP/1.1\r\n" + HEAD + b"X-A: "
    return begin + b"a" * (size - len(begin) - 4) + b"\r\n\r\n"


def target_of(size: int) -> bytes:
    """A request line of so many bytes with its line end, and the shortest head behind it."""
    begin, end = b"GET /", b" HTTP/1.1\r\n"
    return begin + b"a" * (size - len(begin) - len(end)) + end


def fields(count: int) -> bytes:
    return b"GET /x HTTP/1.1\r\n" + HEAD + b"X-A: a\r\n" * (count - 1) + b"\r\n"


def body_of(size: int, chunked: bool) -> bytes:
    if not chunked:
        return b"POST /collect HTTP/1.1\r\n" + HEAD + b"Content-Length: %d\r\n\r\n" % size + b"a" * size
    return in_chunks(b"%x\r\n" % size + b"a" * size + b"\r\n0\r\n\r\n")


def in_chunks(chunks: bytes) -> bytes:
    return b"POST /collect HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunks


def trailers(size: int) -> bytes:
    """All trailers with their empty line have so many bytes."""
    return in_chunks(b"1\r\na\r\n0\r\nX: " + b"a" * (size - 7) + b"\r\n\r\n")


KIB = 1024
SLOW = [
    Case("sends a head byte by byte, and never ends it", slow_head, "`headTimeout`"),
    Case("sends half a head and no more", half_head, "`headTimeout`"),
    Case("connects and sends nothing", silent, "`headTimeout`"),
    Case("has its answer and stays idle", idle, "`keepAliveTimeout`"),
    Case("sends 100,000 bytes of a body and no more", stopped_body(100_000, "`bodyTimeout`"), "`bodyTimeout`"),
    Case("sends three bytes of a body and no more", stopped_body(3, "`minimumRate`"), "`minimumRate`"),
    Case("sends a body of 50 bytes a second", slow_body, "`minimumRate`"),
    Case("never reads a response of 64 MiB", no_reader, "`writeTimeout`"),
    Case("sends a whole request byte by byte, with chunks and trailers", byte_by_byte),
    Case(f"is one of {HALF_OPEN:,} that send nothing, a byte or half a head, beside one that is served", half_open,
         "`headTimeout`", workers=2, descriptors=HALF_OPEN + 1_000),
]
GONE = [
    Case("resets the connection after each byte of a request", resets),
    Case("resets it after each byte of a request, which have arrived", resets_in_turns),
    Case("resets it after each byte of a response", resets_of_responses),
    Case("resets it within a response of 64 MiB, 100 times", resets_of_large_responses),
    Case("ends its side after each byte of a head", ends("head")),
    Case("ends its side after each byte of a body", ends("body")),
    Case("ends its side after a whole request", ends("whole")),
]
AT = [
    Case("head of 16,384 bytes", exchange(head_of(16 * KIB))),
    Case("head of 16,385 bytes", exchange(head_of(16 * KIB + 1)), "`headLimit`"),
    Case("request line of 16,373 bytes, head of 16,384", exchange(target_of(16 * KIB - 11) + HEAD + b"\r\n")),
    Case("request line of 16,385 bytes", exchange(target_of(16 * KIB + 1) + HEAD + b"\r\n"), "`headLimit`"),
    Case("100 fields", exchange(fields(100))),
    Case("101 fields", exchange(fields(101)), "`fieldLimit`"),
    Case("body of 1,048,576 bytes", exchange(body_of(1 << 20, False))),
    Case("body of 1,048,577 bytes", exchange(body_of((1 << 20) + 1, False)), "`bodyLimit`"),
    Case("the same in chunks, 1,048,576 bytes", exchange(body_of(1 << 20, True))),
    Case("the same in chunks, 1,048,577 bytes", exchange(body_of((1 << 20) + 1, True)), "`bodyLimit`"),
    Case("extensions of chunks, 4,096 bytes with their CR", exchange(in_chunks(b"1;" + b"a" * 4095 + b"\r\na\r\n0\r\n\r\n"))),
    Case("extensions of chunks, 4,097 bytes with their CR", exchange(in_chunks(b"1;" + b"a" * 4096 + b"\r\na\r\n0\r\n\r\n")),
         "4 KiB of extensions"),
    Case("trailers of 16,384 bytes", exchange(trailers(16 * KIB))),
    Case("trailers of 16,385 bytes", exchange(trailers(16 * KIB + 1)), "`headLimit`"),
    Case("100 trailers", exchange(in_chunks(b"1\r\na\r\n0\r\n" + b"X: a\r\n" * 100 + b"\r\n"))),
    Case("101 trailers", exchange(in_chunks(b"1\r\na\r\n0\r\n" + b"X: a\r\n" * 101 + b"\r\n")), "`fieldLimit`"),
]


def run(case: Case, program: pathlib.Path, seed: int) -> Outcome:
    with Server(program, case.workers, case.descriptors) as server:
        try:
            outcome = case.run(server, random.Random(f"{seed} {case.words}"))
        except Exception as error:
            return Outcome(answer=f"{type(error).__name__}: {error}")
        if outcome.acted == "-":
            outcome.acted = case.acts
        server.wait(lambda: server.metric("prefork_connections") == 0)
        if outcome.lines is None:
            # The second request of a connection that was kept, and those of the checks, are for `/x`, as the first may be.
            statuses = server.access()
            if outcome.end == "kept":
                statuses = statuses[:-1]
            outcome.lines = ", ".join(f"{code}" for code in sorted(set(statuses))) or "none"
        if outcome.counted is None:
            outcome.counted = f"{int(server.metric('prefork_requests_total')) - (outcome.end == 'kept')}"
        # What the page says of every row.
        if troubles := server.troubles():
            outcome.lines += f", and {troubles}"
        if not is_served(server):
            outcome.end += ", and the server does not answer any more"
    return outcome


def table(cases: list[Case], outcomes: dict[str, Outcome], first: str) -> list[str]:
    rows = [f"| {first} | response | end | what acted | access log | counted |", "|---|---|---|---|---|---|"]
    for case in cases:
        seen = outcomes[case.words]
        rows.append(f"| {case.words} | {seen.answer} | {seen.end} | {seen.acted} | {seen.lines} | {seen.counted} |")
    return rows


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="")
    parser.add_argument("server", nargs="?", type=pathlib.Path)
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    program = options.server
    if program is None:
        subprocess.run(["swift", "build", "--product", "http-fixture"], cwd=ROOT, check=True)
        folder = subprocess.run(["swift", "build", "--show-bin-path"], cwd=ROOT, check=True, capture_output=True, text=True)
        program = pathlib.Path(folder.stdout.strip()) / "http-fixture"
    groups = [("a client that", SLOW + GONE), ("a request", AT)]
    groups = [(first, [case for case in cases if options.only in case.words]) for first, cases in groups]
    cases = [case for _, cases in groups for case in cases]
    with concurrent.futures.ThreadPoolExecutor(len(cases)) as pool:
        found = pool.map(lambda case: run(case, program, options.seed), cases)
        outcomes = {case.words: outcome for case, outcome in zip(cases, found)}
    rows = []
    for first, cases in groups:
        rows += table(cases, outcomes, first) + [""]
    text = "\n".join(rows)
    print(text)
    for words, outcome in outcomes.items():
        for note in outcome.notes:
            print(f"{words}: {note}", file=sys.stderr)
    if not options.write and not options.check:
        return 0
    page = PAGE.read_text()
    before, rest = page.split(BEGIN + "\n")
    now, after = rest.split(END)
    if options.write:
        PAGE.write_text(before + BEGIN + "\n" + text + END + after)
    elif now != text:
        print(f"{PAGE.relative_to(ROOT)} says otherwise", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

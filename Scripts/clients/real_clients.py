"""What real clients see of PreforkHTTP: real_clients.py BINARIES FOLDER SCALE [CASE ...]. See Scripts/real-clients."""
import contextlib
import hashlib
import json
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import zlib

import adapters

DATA_SIZE = 24 << 20
UPLOAD = 3 << 20


class Fault(Exception):
    """What a client saw and must not see."""


def need(condition, what):
    if not condition:
        raise Fault(what)


class Server:
    """http-fixture with two workers and a control socket."""

    def __init__(self, binaries: pathlib.Path, folder: pathlib.Path):
        self.tool, self.control, self.log = binaries / "preforkctl", folder / "control", folder / "server.log"
        root = folder / "root"
        root.mkdir()
        self.data = root / "data.bin"
        self.data.write_bytes(os.urandom(DATA_SIZE))
        environment = os.environ | {"PREFORK_CONTROL": str(self.control), "PREFORK_PROBATION": "0"}
        self.process = subprocess.Popen(
            [binaries / "http-fixture", "2", "clients", root], stdout=subprocess.PIPE, stderr=self.log.open("wb"),
            env=environment, start_new_session=True, text=True)
        line = self.process.stdout.readline()
        if not line.startswith("port "):
            raise SystemExit(self.log.read_text())
        self.port = int(line.split()[1])

    def tell(self, *words):
        subprocess.run([self.tool, "--socket", self.control, *words], check=True, capture_output=True, timeout=60)

    def end(self):
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(30)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        return self.process.wait()


# Each case gets a client and returns what it saw, None where the client cannot do it. A fault or an error is one of the server.
def kept(client, server):
    count = 50
    if isinstance(client, adapters.Curl):
        peers, _ = client.kept(count)
    else:
        peers = [client.ask("GET", "/peer").text for _ in range(count)]
    need(len(set(peers)) == 1, f"{len(set(peers))} connections")
    return f"{count} on 1"


def closed(client, server):
    peers = []
    for _ in range(5):
        one = client.ask("GET", "/peer", [("Connection", "close")])
        need(one.fields.get("connection") == "close", f"Connection: {one.fields.get('connection')}")
        peers.append(one.text)
    need(len(set(peers)) == 5, f"{len(set(peers))} connections")
    return "5 on 5"


def upload(client, server, chunked=False):
    data = client.body(UPLOAD)
    one = client.ask("POST", "/sum", size=UPLOAD, chunked=chunked)
    expected = f"{UPLOAD} {zlib.adler32(data)} {'chunked' if chunked else 'length'}"
    need((one.status, one.text) == (200, expected), f"{one.status} {one.text}, not {expected}")
    return f"{UPLOAD >> 20} MiB"


def empty_upload(client, server):
    for chunked in (False, True):
        one = client.ask("POST", "/sum", size=0, chunked=chunked)
        need(one.status == 200 and one.text.startswith("0 1 "), f"{one.status} {one.text}")
    return "0 bytes"


def echo(client, server):
    size = 20_000
    one = client.ask("POST", "/echo", size=size, chunked=True)
    need(one.status == 200 and one.digest == hashlib.sha256(client.body(size)).hexdigest(), f"{one.status}, {one.size} bytes")
    return "the same"


def download(client, server):
    one = client.ask("GET", "/data.bin")
    need(one.status == 200 and one.digest == hashlib.sha256(server.data.read_bytes()).hexdigest(), f"{one.status}, {one.size} bytes")
    return f"{DATA_SIZE >> 20} MiB"


def chunks(client, server):
    one = client.ask("GET", "/numbers")
    expected = "".join(f"{number}\n" for number in range(50_000)).encode()
    need(one.digest == hashlib.sha256(expected).hexdigest(), f"{one.status}, {one.size} bytes")
    need("content-length" not in one.fields, "a length")
    need(not one.trailers, f"trailers that were not asked for: {one.trailers}")
    return "whole"


def trailers(client, server):
    # undici refuses the field Connection of a program.
    fields = [("TE", "trailers")] + ([] if isinstance(client, adapters.Fetch) else [("Connection", "TE")])
    one = client.ask("GET", "/numbers", fields)
    need(one.size == 288_890, f"{one.size} bytes")
    if not client.shows_trailers:
        return "skipped over"
    need(one.trailers == {"x-count": "50000"}, f"{one.trailers}")
    return "seen"


def expectation(client, server):
    if not client.expects:
        return None
    one = client.ask("POST", "/sum", [("Expect", "100-continue")], size=UPLOAD)
    need(one.text.startswith(f"{UPLOAD} {zlib.adler32(client.body(UPLOAD))} "), f"{one.status} {one.text}")
    return "100, then 200"


def expectation_refused(client, server):
    if not client.expects:
        return None
    for path in ("/refuse", "/collect"):
        begin = time.monotonic()
        one = client.ask("POST", path, [("Expect", "100-continue")], size=DATA_SIZE)
        need(one.status == 413, f"{path}: {one.status}")
        need(time.monotonic() - begin < 5, "the client waited")
    return "413"


def refusal(client, server, size=DATA_SIZE):
    for path in ("/refuse", "/collect"):
        for chunked in (False, True):
            one = client.ask("POST", path, size=size, chunked=chunked)
            need(one.status == 413, f"{path}: {one.status}")
    return "413"


def small_refusal(client, server):
    return refusal(client, server, (1 << 20) + 1)


def head(client, server):
    one = client.ask("HEAD", "/data.bin")
    need((one.status, one.size, one.fields.get("content-length")) == (200, 0, str(DATA_SIZE)), f"{one.status} {one.fields}")
    one = client.ask("HEAD", "/numbers")
    need((one.status, one.size) == (200, 0), f"{one.status} {one.size}")
    need(client.ask("GET", "/peer").status == 200, "the next request")
    return "no body"


def ranges(client, server):
    data = server.data.read_bytes()
    for text, part in [("bytes=1000000-1000099", data[1_000_000:1_000_100]), ("bytes=-5", data[-5:]),
                       (f"bytes={DATA_SIZE - 3}-", data[-3:])]:
        one = client.ask("GET", "/data.bin", [("Range", text)])
        need((one.status, one.digest) == (206, hashlib.sha256(part).hexdigest()), f"{text}: {one.status}, {one.size} bytes")
    one = client.ask("GET", "/data.bin", [("Range", f"bytes={DATA_SIZE}-")])
    need((one.status, one.fields.get("content-range")) == (416, f"bytes */{DATA_SIZE}"), f"{one.status} {one.fields}")
    return "206, 416"


def conditions(client, server):
    tag = client.ask("HEAD", "/data.bin").fields["etag"]
    one = client.ask("GET", "/data.bin", [("If-None-Match", tag)])
    need((one.status, one.size) == (304, 0), f"{one.status}, {one.size} bytes")
    need(client.ask("GET", "/peer").status == 200, "the next request")
    return "304"


def codings(client, server):
    one = client.ask("GET", "/numbers", [("Accept-Encoding", "gzip, deflate, br, zstd")])
    need("content-encoding" not in one.fields and one.size == 288_890, f"{one.fields}")
    return "identity"


def hints(client, server):
    if isinstance(client, adapters.Standard):
        # It takes every status but 100 for the final one (CPython's http/client.py, `begin`).
        return None
    one = client.ask("GET", "/hints")
    need((one.status, one.text) == (200, "after hints"), f"{one.status} {one.text}")
    return "103, then 200"


def redirect(client, server):
    one = client.ask("GET", "/elsewhere")
    need(one.status == 303 and one.fields["location"] == "/peer", f"{one.status} {one.fields}")
    return "303"


def parallel(client, server):
    count = 50
    statuses = client.parallel("/slow", count)
    if statuses is None:
        return None
    need(statuses == [200] * count, f"{statuses}")
    return f"{count} at once"


def broken_off(client, server):
    for _ in range(3):
        client.break_off("/endless")
        one = client.ask("GET", "/peer")
        need(one.status == 200, f"{one.status}")
    return "the next is answered"


CASES = {
    "kept connection": kept, "Connection: close": closed, "upload with length": upload,
    "upload in chunks": lambda client, server: upload(client, server, True), "empty uploads": empty_upload,
    "echo in chunks": echo, "download by sendfile": download, "download in chunks": chunks, "trailers": trailers,
    "Expect: 100-continue": expectation, "refused before its body": expectation_refused,
    "refused, 1 MiB + 1 body": small_refusal, "refused, 24 MiB body": refusal, "HEAD": head, "ranges": ranges,
    "If-None-Match": conditions, "no coding": codings, "103": hints, "redirect": redirect, "parallel": parallel,
    "broken off": broken_off,
}


class Asking:
    """A client that asks again and again until it is stopped; what it met with."""

    def __init__(self, client, pauses, seed):
        self.client, self.pauses, self.dice = client, pauses, random.Random(seed)
        self.count, self.faults, self.stops = 0, [], False
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.stops:
            try:
                if isinstance(self.client, adapters.Curl):
                    self.count += len(self.client.kept(100)[0])
                elif self.dice.random() < 0.1:
                    data = self.client.ask("POST", "/sum", size=50_000, chunked=self.dice.random() < 0.5)
                    need(data.text.startswith("50000 "), data.text)
                    self.count += 1
                else:
                    one = self.client.ask("GET", "/peer")
                    need(one.status == 200, f"{one.status}")
                    self.count += 1
            except Exception as error:
                self.faults.append(f"{type(error).__name__}: {error}")
            if self.pauses:
                time.sleep(self.dice.random() * 0.2)

    def stop(self):
        self.stops = True
        self.thread.join()


def reloads(server, clients, count, pauses, order="reload"):
    """Requests of all clients while the server is reloaded again and again. What each saw."""
    asking = {client: Asking(client, pauses, index) for index, client in enumerate(clients)}
    load = threading.Thread(target=lambda: results.append(adapters.wrk(server.port, 2 + count, 16)))
    results = []
    if not pauses:
        load.start()
    for _ in range(count):
        time.sleep(0.5)
        server.tell(order, "--wait")
    for one in asking.values():
        one.stop()
    cells = {}
    for client, one in asking.items():
        faults = dict.fromkeys(one.faults)
        cells[client.name] = (f"{one.count} answered" + (f", {len(one.faults)} failed: {list(faults)[:2]}" if faults else ""), not faults)
    if not pauses:
        load.join()
        answered, trouble = results[0]
        cells["wrk"] = (f"{answered} answered" + (f", {trouble}" if trouble else ""), not trouble)
    return cells


def load(server, folder, seconds):
    """wrk's own rows."""
    rows = {}
    for name, options in [("kept connection", {}), ("pipelining, 16 requests", {"pipelined": 16, "folder": folder}),
                          ("download by sendfile", {"path": "/data.bin"})]:
        answered, trouble = adapters.wrk(server.port, seconds, 16, **options)
        rows[name] = {"wrk": (f"{answered} answered" + (f", {trouble}" if trouble else ""), not trouble and answered > 0)}
    return rows


def main():
    binaries, folder, scale = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]), float(sys.argv[3])
    chosen = sys.argv[4:]
    server = Server(binaries, folder)
    clients, table = [], {}
    try:
        clients = [make(server.port, server.data, folder) for make in adapters.ALL]
        for name, case in CASES.items():
            if chosen and name not in chosen:
                continue
            for client in clients:
                try:
                    seen = case(client, server)
                    cell = ("-", True) if seen is None else (seen, True)
                except Exception as error:
                    cell = (f"{type(error).__name__}: {error}"[:200], False)
                table.setdefault(name, {})[client.name] = cell
                if not cell[1]:
                    print(f"BAD: {name}, {client.name}: {cell[0]}", flush=True)
        if not chosen:
            for name, row in load(server, folder, max(1, int(2 * scale))).items():
                table.setdefault(name, {}).update(row)
            count = max(2, int(10 * scale))
            table[f"{count} reloads, without a pause"] = reloads(server, clients, count, False)
            table[f"{count} reloads, with pauses"] = reloads(server, clients, count, True)
            table[f"{count} upgrades, without a pause"] = reloads(server, clients, count, False, "upgrade")
    finally:
        for client in clients:
            with contextlib.suppress(Exception):
                client.close()
        code = server.end()
    print_table(table, [client.name for client in clients] + ["wrk"])
    lines = [line for line in server.log.read_text(errors="replace").splitlines()
             if re.search(r"\b(error|warning)\b", line) and "left out" not in line]
    for line in lines[:20]:
        print(line)
    bad = [name for row in table.values() for name, cell in row.items() if not cell[1]]
    print(f"exit code of the server {code}; {len(lines)} lines of errors and warnings; {len(bad)} bad cells")
    sys.exit(1 if bad or code != 0 or lines else 0)


def print_table(table, names):
    names = [name for name in names if any(name in row for row in table.values())]
    print("\n| | " + " | ".join(names) + " |\n|---|" + "---|" * len(names))
    for title, row in table.items():
        cells = [row.get(name, ("-", True)) for name in names]
        print(f"| {title} | " + " | ".join(text if is_good else f"**{text}**" for text, is_good in cells) + " |")


main()

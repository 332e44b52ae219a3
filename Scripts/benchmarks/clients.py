"""Clients in processes of their own that ask without a pause, and count every request that was not answered."""

import multiprocessing
import re
import socket
import time

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
LENGTH = re.compile(rb"(?i)content-length: *(\d+)")
CLOSES = re.compile(rb"(?i)connection: *close")


def read_answer(connection: socket.socket) -> bytes:
    """One response; its head. An end before it is complete is an error: the request is lost."""
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = connection.recv(65536)
        if not chunk:
            raise ConnectionError(f"end after {len(data)} bytes of an answer")
        data += chunk
    head, body = data.split(b"\r\n\r\n", 1)
    missing = int(LENGTH.search(head).group(1)) - len(body)
    while missing > 0:
        chunk = connection.recv(missing)
        if not chunk:
            raise ConnectionError("end within a body")
        missing -= len(chunk)
    if not head.startswith(b"HTTP/1.1 200"):
        raise ConnectionError(head.split(b"\r\n")[0].decode())
    return head


def ask(address, keeps: bool, stops, answers, failures, pause: float) -> None:
    connection = None
    while not stops.value:
        try:
            if connection is None:
                connection = socket.create_connection(address, 10)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(REQUEST)
            head = read_answer(connection)
            with answers.get_lock():
                answers.value += 1
            if not keeps or CLOSES.search(head):
                connection.close()
                connection = None
        except OSError as error:
            failures.put(f"{'kept' if keeps else 'single'}: {error!r}")
            if connection:
                connection.close()
            connection = None
        if pause:
            time.sleep(pause)


class ClientProcesses:
    """Clients in processes of their own, which run until `stop`."""

    def __init__(self):
        self.stops = multiprocessing.Value("b", 0)
        self.answers = multiprocessing.Value("q", 0)
        self.failures = multiprocessing.Queue()
        self.lost: list[str] = []
        self.processes: list[multiprocessing.Process] = []

    def start(self, count: int, target, arguments, patience: float = 20) -> None:
        """`count` processes, each with what `arguments` makes of its number, and as many answers."""
        self.processes = [
            multiprocessing.Process(target=target, daemon=True, args=arguments(number)) for number in range(count)]
        for process in self.processes:
            process.start()
        limit = time.monotonic() + patience
        while self.answers.value < count:
            if time.monotonic() > limit:
                raise SystemExit("clients get no answers")
            time.sleep(0.005)

    def stop(self) -> tuple[int, list[str]]:
        """How many requests were answered, and what the others met with."""
        self.stops.value = 1
        for process in self.processes:
            # The queue is emptied meanwhile: a process does not end before its items are taken.
            while process.is_alive():
                self.collect()
                process.join(0.05)
        self.collect()
        return self.answers.value, self.lost

    def collect(self) -> None:
        while not self.failures.empty():
            self.lost.append(self.failures.get())


class Clients(ClientProcesses):
    """`keep` clients that keep their connections, `once` that open one for each request."""

    def __init__(self, port: int, keep: int = 6, once: int = 3, pause: float = 0):
        super().__init__()
        self.start(keep + once, ask, lambda number: (
            ("127.0.0.1", port), number < keep, self.stops, self.answers, self.failures, pause))

"""The channel's rows by multiprocessing: pipe | queue, then round-trip COUNT PAUSE_US | one-way BYTES SECONDS.
Prints the same line as limits/channel_limits.c."""

import json
import multiprocessing
import statistics
import sys
import time

CONTEXT = multiprocessing.get_context("fork")


class Pipe:
    """A multiprocessing.Pipe, which takes and gives bytes without pickling them."""

    def __init__(self) -> None:
        self.here, self.there = CONTEXT.Pipe()

    def enter_child(self) -> None:
        self.here, self.there = self.there, self.here

    def send(self, message: bytes) -> None:
        self.here.send_bytes(message)

    def receive(self) -> bytes:
        return self.here.recv_bytes()


class Queue:
    """Two of multiprocessing's queues, one for each way. A bounded one: a sender must not run ahead for ever."""

    def __init__(self) -> None:
        self.incoming, self.outgoing = CONTEXT.Queue(64), CONTEXT.Queue(64)

    def enter_child(self) -> None:
        self.incoming, self.outgoing = self.outgoing, self.incoming

    def send(self, message: bytes) -> None:
        self.outgoing.put(message)

    def receive(self) -> bytes:
        return self.incoming.get()


Channel = Pipe | Queue


def echo(channel: Channel) -> None:
    """One byte is the end."""
    channel.enter_child()
    while len(message := channel.receive()) > 1:
        channel.send(message)


def round_trip(channel: Channel, count: int, pause: float) -> dict[str, float]:
    child = CONTEXT.Process(target=echo, args=(channel,))
    child.start()
    message, seconds = b"x" * 64, []
    for _ in range(count):
        if pause > 0:
            time.sleep(pause)
        start = time.perf_counter()
        channel.send(message)
        assert len(channel.receive()) == 64
        seconds.append(time.perf_counter() - start)
    channel.send(b"x")
    child.join()
    return {"median_us": statistics.median(seconds) * 1e6, "p99_us": statistics.quantiles(seconds, n=100)[98] * 1e6,
            "max_us": max(seconds) * 1e6}


def send_for(channel: Channel, size: int, seconds: float) -> None:
    channel.enter_child()
    message, start, number = b"x" * size, time.monotonic(), 0
    while number % 16 or time.monotonic() - start < seconds:
        channel.send(message)
        number += 1
    channel.send(b"x")


def one_way(channel: Channel, size: int, seconds: float) -> dict[str, float]:
    """From the first message to the end."""
    child = CONTEXT.Process(target=send_for, args=(channel, size, seconds))
    child.start()
    assert len(channel.receive()) == size
    start, count = time.monotonic(), 0
    while len(channel.receive()) == size:
        count += 1
    elapsed = time.monotonic() - start
    child.join()
    return {"messages_per_s": count / elapsed, "gb_per_s": count * size / elapsed / 1e9}


def main(kind: str, row: str, first: str, second: str) -> None:
    channel = {"pipe": Pipe, "queue": Queue}[kind]()
    if row == "round-trip":
        result = round_trip(channel, int(first), float(second) / 1e6)
    else:
        result = one_way(channel, int(first), float(second))
    print(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])

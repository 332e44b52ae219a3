"""The row of the channel: round trips, and messages one way, between two processes."""

import os
import sys

from programs import BENCHMARKS, BINARIES, OURS, Programs, build_ours, compile_c, in_turn, pick
from rows import Row, median

LIMITS, PEERS = BINARIES / "channel_limits", BENCHMARKS / "channel_peers.py"
PACKETS: Programs = {"prefork": [OURS], "C": [LIMITS, "seqpacket"]}
OTHERS: Programs = {"C pipe": [LIMITS, "pipe"], "Pipe": [sys.executable, PEERS, "pipe"],
                    "Queue": [sys.executable, PEERS, "queue"]}
SMALL: Programs = {**PACKETS, **OTHERS}
# A packet of 1 MiB is more than a socket takes.
LARGE: Programs = {"prefork": [OURS], "C": [LIMITS, "stream"], **OTHERS}
COLUMNS = ["prefork", "C", "C pipe", "Pipe", "Queue"]


def asleep(quick: bool) -> list[Row]:
    """A millisecond before each: nobody is still looking for a message when it comes."""
    words = "round-trip", 200 if quick else 500, 1000
    figures = pick(in_turn(SMALL, 3 if quick else 7, words)[words], "median_us")
    ratio = median(figures["prefork"]) / median(figures["C"])
    # The others know one kind of round trip, which is a thread's.
    blocking = "round-trip-blocking", *words[1:]
    threads = figures | pick(in_turn({"prefork": [OURS]}, len(figures["prefork"]), blocking)[blocking], "median_us")
    of_threads = median(threads["prefork"]) / median(threads["C"])
    return [Row("round trip of 64 B, both asleep", "µs", figures, "≤ 1.35 × C", ratio <= 1.35),
            Row("round trip of 64 B, both asleep, blocking", "µs", threads, "≤ 1.1 × C", of_threads <= 1.1)]


def back_to_back(quick: bool) -> list[Row]:
    """On one processor and on all, as the row `echo` of subprocesses."""
    rows, words, before = [], ("round-trip", 5_000 if quick else 20_000, 0), os.sched_getaffinity(0)
    for processors in [{max(before)}, before]:
        os.sched_setaffinity(0, processors)
        try:
            figures = pick(in_turn(SMALL, 3 if quick else 7, words)[words], "median_us")
        finally:
            os.sched_setaffinity(0, before)
        count = f"{len(processors)} CPU{'s' * (len(processors) > 1)}"
        rows.append(Row(f"round trip of 64 B, one after the other, {count}", "µs", figures))
    return rows


def one_way(quick: bool) -> list[Row]:
    """The receiver takes every message; 64 B as messages, the others as bytes."""
    count, seconds = (3, 0.2) if quick else (7, 0.5)
    small, middle, large = (("one-way", size, seconds) for size in [64, 4096, 1 << 20])
    few = pick(in_turn(SMALL, count, small)[small], "messages_per_s")
    few = {name: [value / 1e6 for value in values] for name, values in few.items()}
    some = pick(in_turn(SMALL, count, middle)[middle], "gb_per_s")
    much = pick(in_turn(LARGE, count, large)[large], "gb_per_s")
    return [Row("one way, 64 B", "M/s", few, "≥ 5 M/s", median(few["prefork"]) >= 5),
            Row("one way, 4 KiB", "GB/s", some),
            Row("one way, 1 MiB (C: stream)", "GB/s", much, "≥ 2 GB/s", median(much["prefork"]) >= 2)]


def channel(quick: bool) -> list[Row]:
    """Round trips and one way at 64 B, 4 KiB and 1 MiB, against C's SEQPACKET, multiprocessing's Pipe and Queue."""
    return asleep(quick) + back_to_back(quick) + one_way(quick)


def prepare() -> None:
    build_ours()
    compile_c("limits/channel_limits.c")


CHANNEL_ROWS = {"channel": channel}

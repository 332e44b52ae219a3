"""The row of publishing: 64 bytes with no subscriber to wake, and to subscribers in other processes that are asleep."""

import contextlib

from programs import BINARIES, OURS, Programs, build_ours, compile_c, in_turn, install, pick
from redis_server import redis_server
from rows import Row, median

BOTH: Programs = {"prefork": [OURS], "C": [BINARIES / "publish_limits"]}
COLUMNS = ["prefork", "C", "Redis"]
# Whether this machine has Redis; `prepare` says so.
PEERS: Programs = {}


def no_sleeper(programs: Programs, quick: bool) -> list[Row]:
    words = "publish", 1, 0.1 if quick else 0.3
    figures = pick(in_turn(programs, 3 if quick else 9, words)[words], "ns")
    return [Row("publish, no subscriber asleep", "ns", figures, "≤ 200 ns", median(figures["prefork"]) <= 200)]


def sleepers(programs: Programs, quick: bool) -> list[Row]:
    rows = []
    for count in [1, 8, 64]:
        words = "wake", count, 50 if quick else 200
        results = in_turn(programs, 3 if quick else 7, words)[words]
        who = f"{count} sleeping subscriber{'s' * (count > 1)}"
        rows += [against_redis(f"publish, {who}", pick(results, "publish_us"), 0.25 if count == 64 else None),
                 against_redis(f"until all have it, {who}", pick(results, "delivered_us"), 0.6 if count == 64 else None)]
    return rows


def against_redis(name: str, figures: dict[str, list[float]], most: float | None) -> Row:
    """With a target where there is one, and a Redis."""
    if most is None or "Redis" not in figures:
        return Row(name, "µs", figures)
    ratio = median(figures["prefork"]) / median(figures["Redis"])
    return Row(name, "µs", figures, f"≤ {most} × Redis", ratio <= most)


def publish(quick: bool) -> list[Row]:
    """Publishing without a subscriber, and to 1, 8 and 64 sleeping subscribers, against a log in C with eventfds, and Redis."""
    with redis_server() if PEERS else contextlib.nullcontext() as socket:
        programs = {**BOTH, **{name: [*program, socket] for name, program in PEERS.items()}}
        return no_sleeper(programs, quick) + sleepers(programs, quick)


def prepare() -> None:
    build_ours()
    compile_c("limits/publish_limits.c")
    if install("redis-server", "redis-server") and install("libhiredis-dev", "/usr/include/hiredis/hiredis.h"):
        PEERS["Redis"] = [compile_c("peers/redis_store.c", "hiredis")]


PUBLISH_ROWS = {"publish": publish}

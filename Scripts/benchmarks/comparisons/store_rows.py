"""The rows of the store: store, readers, store-peers, recovery. Values of 64 bytes under 1,000 keys of 12 bytes."""

import contextlib
import sys

from programs import BENCHMARKS, BINARIES, OURS, Programs, build_ours, compile_c, in_turn, install, pick, quotients
from redis_server import redis_server
from rows import Row, median

BOTH: Programs = {"prefork": [OURS], "C": [BINARIES / "store_limits"]}
# Which of the optional peers are there; `prepare` fills it.
PEERS: Programs = {}
COLUMNS = ["prefork", "C", "LMDB", "Redis", "APCu", "lua_shared_dict", "Manager"]


def length(quick: bool) -> tuple[int, float]:
    """How many runs, and how many seconds each."""
    return (3, 0.1) if quick else (9, 0.3)


def ratio(figures: dict[str, list[float]]) -> float:
    return median(figures["prefork"]) / median(figures["C"])


def processes(count: int) -> str:
    return f"{count} process{'es' * (count > 1)}"


def one_process(quick: bool) -> list[Row]:
    """get into a buffer and as a String, set, increment: the time of one in one process."""
    count, seconds = length(quick)
    variants = [(row, 1, seconds) for row in ["get", "get-string", "set", "increment"]]
    results = in_turn(BOTH, count, *variants)
    get, text, set_, increment = (pick(results[words], "ns") for words in variants)
    return [Row("get into a buffer", "ns", get, "≤ 1.3 × C", ratio(get) <= 1.3),
            Row("get as a String (C: into a buffer)", "ns", text, "≤ 2.5 × C", ratio(text) <= 2.5),
            Row("set", "ns", set_, "≤ 1.3 × C", ratio(set_) <= 1.3),
            Row("increment", "ns", increment, "≤ 1.35 × C", ratio(increment) <= 1.35)]


def several_processes(quick: bool) -> list[Row]:
    """The same in 1, 2 and 4 processes that use the same keys, each one others at a time: operations of all together."""
    count, seconds = length(quick)
    rows = []
    for row in ["get", "set", "increment"]:
        results = in_turn(BOTH, count, *((row, number, seconds) for number in [1, 2, 4]))
        totals = {number: pick(results[row, number, seconds], "mops") for number in [1, 2, 4]}
        rows += [Row(f"{row}, {processes(number)}", "M/s", totals[number]) for number in [2, 4]]
        if row == "increment":
            share = ratio(totals[4])
            rows[-1] = Row(f"{row}, {processes(4)}", "M/s", totals[4], "≥ 0.9 × C", share >= 0.9)
        if row == "get":
            growth = quotients(totals[2], totals[1])
            rows.append(Row("get, 2 processes ÷ 1", "×", growth, "≥ 1.9", median(growth["prefork"]) >= 1.9))
    return rows


def store(quick: bool) -> list[Row]:
    """Shared memory against a table in C: get, set, increment with 1, 2 and 4 processes."""
    return one_process(quick) + several_processes(quick)


def readers(quick: bool) -> list[Row]:
    """2 readers alone and beside a writer of the same keys, which sets 100,000 a second, or as many as it can."""
    count, seconds = length(quick)
    alone, paced, flat_out = ("get", 2, seconds), ("get-beside", 2, seconds, 100_000), ("get-beside", 2, seconds, 0)
    results = in_turn(BOTH, count, alone, paced, flat_out)
    # The processor's time: three processes on two processors wait for each other, which is not the store's doing.
    times = {words: pick(results[words], "cpu_ns") for words in results}
    slower = {words: quotients(times[words], times[alone]) for words in [paced, flat_out]}
    return [Row("get, 2 readers, processor time", "ns", times[alone]),
            Row("get, 2 readers beside 100,000 sets/s", "ns", times[paced]),
            Row("get, 2 readers beside 100,000 sets/s ÷ alone", "×", slower[paced], "flat: ≤ 1.15",
                median(slower[paced]["prefork"]) <= 1.15),
            Row("get, 2 readers beside a writer at full speed", "ns", times[flat_out]),
            Row("get, 2 readers beside a writer at full speed ÷ alone", "×", slower[flat_out])]


def store_peers(quick: bool) -> list[Row]:
    """The same beside LMDB, Redis on a Unix socket, APCu, lua_shared_dict and Python's Manager."""
    rows, (count, seconds) = [], (3, 0.1) if quick else (5, 0.3)
    with redis_server() if "Redis" in PEERS else contextlib.nullcontext() as socket:
        programs = {**BOTH, **PEERS}
        if "Redis" in PEERS:
            programs["Redis"] = [*PEERS["Redis"], socket]
        for row in ["get", "set", "increment"]:
            for number in [1, 2, 4]:
                words = row, number, seconds
                results = in_turn(programs, count, words)[words]
                key, unit = ("ns", "ns") if number == 1 else ("mops", "M/s")
                rows.append(Row(f"{row}, {processes(number)}", unit, pick(results, key)))
    return rows


def recovery(quick: bool) -> list[Row]:
    """A writer is stopped inside a lock and killed: the time from the SIGKILL to the end of another's set."""
    words = "recovery", 20 if quick else 100
    results = in_turn(BOTH, 3 if quick else 5, words)[words]
    middle, worst = pick(results, "median_us"), pick(results, "max_us")
    return [Row("SIGKILL inside a lock to the next set, median", "µs", middle, "≤ 1,000 µs",
                median(middle["prefork"]) <= 1000),
            Row(f"SIGKILL inside a lock to the next set, longest of {words[1]}", "µs", worst)]


def prepare() -> None:
    build_ours()
    compile_c("limits/store_limits.c")


def prepare_peers() -> None:
    """Installs the peers by apt, compiles those in C. A peer that this machine cannot have is left out."""
    prepare()
    lua = install("libnginx-mod-http-lua", "/usr/lib/nginx/modules/ngx_http_lua_module.so")
    if install("liblmdb-dev", "/usr/include/lmdb.h"):
        PEERS["LMDB"] = [compile_c("peers/lmdb_store.c", "lmdb")]
    if install("redis-server", "redis-server") and install("libhiredis-dev", "/usr/include/hiredis/hiredis.h"):
        PEERS["Redis"] = [compile_c("peers/redis_store.c", "hiredis")]
    if install("php-cli", "php") and install("php-apcu", "/usr/share/doc/php-apcu"):
        PEERS["APCu"] = ["php", "-d", "apc.enable_cli=1", BENCHMARKS / "peers/apcu_store.php"]
    if lua:
        PEERS["lua_shared_dict"] = [sys.executable, BENCHMARKS / "store_peers.py", "lua"]
    PEERS["Manager"] = [sys.executable, BENCHMARKS / "store_peers.py", "manager"]


STORE_ROWS = {"store": store, "readers": readers, "recovery": recovery}
PEER_ROWS = {"store-peers": store_peers}

"""The store's rows by multiprocessing.Manager and by nginx's lua_shared_dict: manager | lua, then get | set | increment
PROCESSES SECONDS. Prints the same line as limits/store_limits.c."""

import json
import multiprocessing
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

STEP, VALUE = 250, b"12345678" * 8
KEYS = [f"key:{i:08d}" for i in range(1000)]
COUNTERS = [f"sum:{i:08d}" for i in range(1000)]
LUA = pathlib.Path(__file__).resolve().parent / "peers/lua_store.conf"

Figures = dict[str, float]
Step = Callable[[int], None]


def repeat(step: Step, process: int, start: float, seconds: float) -> Figures:
    """Steps of 250 operations for a while, as limits/processes.h has them."""
    step(0)
    time.sleep(max(0, start - time.monotonic()))
    begun, processor, operations, elapsed = time.monotonic(), time.process_time(), 0, 0.0
    round_ = process + 1
    while elapsed < seconds:
        step(round_ % (len(KEYS) // STEP) * STEP)
        round_ += 1
        operations += STEP
        elapsed = time.monotonic() - begun
    return {"operations": operations, "seconds": elapsed, "processor": time.process_time() - processor}


def report(figures: list[Figures]) -> None:
    """Of an operation in one process the time and the processor's time; of all processes the operations."""
    count = len(figures)
    print(json.dumps({
        "ns": sum(one["seconds"] / one["operations"] for one in figures) / count * 1e9,
        "cpu_ns": sum(one["processor"] / one["operations"] for one in figures) / count * 1e9,
        "mops": sum(one["operations"] / one["seconds"] for one in figures) / 1e6,
    }))


def manager_step(row: str, store, lock) -> Step:
    """A proxy's += is a read and a write, which takes a lock to be one step."""
    def get(first: int) -> None:
        for i in range(first, first + STEP):
            assert len(store[KEYS[i]]) == 64

    def set_(first: int) -> None:
        for i in range(first, first + STEP):
            store[KEYS[i]] = VALUE

    def increment(first: int) -> None:
        for i in range(first, first + STEP):
            with lock:
                store[COUNTERS[i]] += 1

    return {"get": get, "set": set_, "increment": increment}[row]


def manager(row: str, count: int, seconds: float) -> None:
    """Each process has its own connection to the manager's process."""
    context = multiprocessing.get_context("fork")
    with context.Manager() as server:
        store, lock = server.dict(), server.Lock()
        store.update({key: VALUE for key in KEYS} | {key: 0 for key in COUNTERS})
        start, results = time.monotonic() + 0.1, context.SimpleQueue()

        def work(process: int) -> None:
            results.put(repeat(manager_step(row, store, lock), process, start, seconds))

        processes = [context.Process(target=work, args=(i,)) for i in range(count)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
            assert process.exitcode == 0
        report([results.get() for _ in processes])


def lua(row: str, count: int, seconds: float) -> None:
    """Each of nginx's workers measures when it starts, and writes a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder)
        text = LUA.read_text()
        for name, value in {"FOLDER": folder, "ROW": row, "COUNT": count, "SECONDS": seconds}.items():
            text = text.replace(f"@{name}@", str(value))
        (path / "nginx.conf").write_text(text)
        server = subprocess.Popen(["nginx", "-e", path / "error.log", "-c", path / "nginx.conf"],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            report([wait_for_file(path / f"worker-{i}.json", server, path) for i in range(count)])
        finally:
            server.terminate()
            server.wait()


def wait_for_file(file: pathlib.Path, server: subprocess.Popen, folder: pathlib.Path) -> Figures:
    deadline = time.monotonic() + 60
    while not file.exists():
        if server.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError((folder / "error.log").read_text()[-2000:])
        time.sleep(0.01)
    return json.loads(file.read_text())


if __name__ == "__main__":
    {"manager": manager, "lua": lua}[sys.argv[1]](sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))

"""The subprocess rows by Python's libraries: popen | asyncio | tornado, then the arguments of subprocess-peers."""

import asyncio
import concurrent.futures
import json
import os
import statistics
import subprocess
import sys
import time

CHUNK, MESSAGE = 65536, b"x" * 64


class Popen:
    """The subprocess module; several at once are threads."""

    def spawn(self, count, at_once):
        def one(_):
            start = time.perf_counter()
            subprocess.Popen(["/bin/true"]).wait()
            return time.perf_counter() - start
        with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
            return list(pool.map(one, range(count)))

    def drain(self, children, size):
        def one(_):
            with subprocess.Popen(["head", "-c", str(size), "/dev/zero"], stdout=subprocess.PIPE, bufsize=0) as process:
                total = 0
                while chunk := os.read(process.stdout.fileno(), CHUNK):
                    total += len(chunk)
                return total
        with concurrent.futures.ThreadPoolExecutor(children) as pool:
            return sum(pool.map(one, range(children)))

    def lines(self, path):
        with subprocess.Popen(["cat", path], stdout=subprocess.PIPE) as process:
            return sum(1 for _ in process.stdout)

    def echo(self, count):
        with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as process:
            seconds = []
            for _ in range(count):
                start = time.perf_counter()
                process.stdin.write(MESSAGE)
                received = 0
                while received < 64:
                    received += len(process.stdout.read(64 - received))
                seconds.append(time.perf_counter() - start)
            process.stdin.close()
            return seconds


class Asyncio:
    """asyncio.create_subprocess_exec."""

    async def start(self, *command, **options):
        return await asyncio.create_subprocess_exec(*command, **options)

    def spawn(self, count, at_once):
        async def some():
            seconds = []
            for _ in range(count // at_once):
                start = time.perf_counter()
                await (await self.start("/bin/true")).wait()
                seconds.append(time.perf_counter() - start)
            return seconds

        async def main():
            return sum(await asyncio.gather(*(some() for _ in range(at_once))), [])
        return asyncio.run(main())

    def drain(self, children, size):
        async def one():
            process = await self.start("head", "-c", str(size), "/dev/zero", stdout=subprocess.PIPE)
            total = 0
            while chunk := await process.stdout.read(CHUNK):
                total += len(chunk)
            await process.wait()
            return total

        async def main():
            return sum(await asyncio.gather(*(one() for _ in range(children))))
        return asyncio.run(main())

    def lines(self, path):
        async def main():
            process = await self.start("cat", path, stdout=subprocess.PIPE)
            count = 0
            async for _ in process.stdout:
                count += 1
            await process.wait()
            return count
        return asyncio.run(main())

    def echo(self, count):
        async def main():
            process = await self.start("cat", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            seconds = []
            for _ in range(count):
                start = time.perf_counter()
                process.stdin.write(MESSAGE)
                await process.stdout.readexactly(64)
                seconds.append(time.perf_counter() - start)
            process.stdin.close()
            await process.wait()
            return seconds
        return asyncio.run(main())


class Tornado:
    """tornado.process.Subprocess."""

    def start(self, *command, **options):
        from tornado.process import Subprocess
        return Subprocess(list(command), **options)

    def run(self, main):
        """Its SIGCHLD handler belongs to the loop of its first use, until it is taken away."""
        from tornado.process import Subprocess

        async def whole():
            try:
                return await main
            finally:
                Subprocess.uninitialize()
        return asyncio.run(whole())

    @property
    def stream(self):
        from tornado.process import Subprocess
        return Subprocess.STREAM

    def spawn(self, count, at_once):
        async def some():
            seconds = []
            for _ in range(count // at_once):
                start = time.perf_counter()
                await self.start("/bin/true").wait_for_exit()
                seconds.append(time.perf_counter() - start)
            return seconds

        async def main():
            return sum(await asyncio.gather(*(some() for _ in range(at_once))), [])
        return self.run(main())

    def drain(self, children, size):
        from tornado.iostream import StreamClosedError

        async def one():
            process, total = self.start("head", "-c", str(size), "/dev/zero", stdout=self.stream), 0
            buffer = bytearray(CHUNK)
            try:
                while True:
                    total += await process.stdout.read_into(buffer, partial=True)
            except StreamClosedError:
                await process.wait_for_exit()
                return total

        async def main():
            return sum(await asyncio.gather(*(one() for _ in range(children))))
        return self.run(main())

    def lines(self, path):
        from tornado.iostream import StreamClosedError

        async def main():
            process, count = self.start("cat", path, stdout=self.stream), 0
            try:
                while True:
                    await process.stdout.read_until(b"\n")
                    count += 1
            except StreamClosedError:
                await process.wait_for_exit()
                return count
        return self.run(main())

    def echo(self, count):
        async def main():
            process, seconds = self.start("cat", stdin=self.stream, stdout=self.stream), []
            for _ in range(count):
                start = time.perf_counter()
                await process.stdin.write(MESSAGE)
                await process.stdout.read_bytes(64)
                seconds.append(time.perf_counter() - start)
            process.stdin.close()
            await process.wait_for_exit()
            return seconds
        return self.run(main())


def latencies(seconds, total):
    return {"median_us": statistics.median(seconds) * 1e6, "p99_us": statistics.quantiles(seconds, n=100)[98] * 1e6,
            "mean_us": total / len(seconds) * 1e6}


def main(library, row, *arguments):
    rows = {"popen": Popen, "asyncio": Asyncio, "tornado": Tornado}[library]()
    start = time.perf_counter()
    if row == "spawn":
        count, at_once, resident = map(int, arguments)
        ballast = bytearray(b"x") * (resident << 20)
        rows.spawn(10, 1)
        start = time.perf_counter()
        seconds = rows.spawn(count, at_once)
        result = latencies(seconds, time.perf_counter() - start)
        del ballast
    elif row == "drain":
        result = {"gb_per_s": rows.drain(*map(int, arguments)) / (time.perf_counter() - start) / 1e9}
    elif row == "lines":
        count = rows.lines(arguments[0])
        result = {"gb_per_s": int(arguments[1]) / (time.perf_counter() - start) / 1e9, "lines": count}
    else:
        result = latencies(seconds := rows.echo(int(arguments[0])), sum(seconds))
    print(json.dumps(result))


main(*sys.argv[1:])

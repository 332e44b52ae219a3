"""Python's websockets against the server on a port: messages, closing, limits, pings, a server that only sends."""
import asyncio
import sys

import websockets
from websockets.asyncio.client import connect

BASE = f"ws://127.0.0.1:{sys.argv[1]}"


async def messages():
    async with connect(BASE + "/echo", subprotocols=["x", "chat"], max_size=None) as socket:
        assert socket.subprotocol == "chat", socket.subprotocol
        # Offered by the client by default, and declined.
        assert socket.protocol.extensions == [], socket.protocol.extensions
        for count in (0, 1, 125, 126, 65535, 65536, 1 << 20, 5 << 20):
            await socket.send(b"\xfe" * count)
            assert await socket.recv() == b"\xfe" * count
            await socket.send("ü" * count)
            assert await socket.recv() == "ü" * count
        await socket.send(["frag", "ments ", "🐟"])
        assert await socket.recv() == "fragments 🐟"
        latency = await (await socket.ping())
        assert latency >= 0
        for number in range(500):
            await socket.send(str(number))
        for number in range(500):
            assert await socket.recv() == str(number)
    assert socket.close_code == 1000, socket.close_code


async def closing():
    async with connect(BASE + "/close") as socket:
        try:
            await socket.recv()
            raise AssertionError("a message")
        except websockets.ConnectionClosedError as error:
            assert (error.rcvd.code, error.rcvd.reason) == (4321, "grüße"), error
    async with connect(BASE + "/fail") as socket:
        try:
            await socket.recv()
            raise AssertionError("a message")
        except websockets.ConnectionClosedError as error:
            assert error.rcvd.code == 1011, error
    async with connect(BASE + "/small", max_size=None) as socket:
        await socket.send(b"x" * (1 << 20))
        assert len(await socket.recv()) == 1 << 20
        try:
            await socket.send(b"x" * ((1 << 20) + 1))
            await socket.recv()
            raise AssertionError("a message above the limit")
        except websockets.ConnectionClosedError as error:
            assert error.rcvd.code == 1009, error


async def pushing():
    async with connect(BASE + "/push") as socket:
        for number in range(100):
            assert await socket.recv() == str(number)
        await asyncio.wait_for(await socket.ping(), 10)
        await socket.close(1001, "enough")
    assert socket.close_code == 1001


async def refusals():
    for path, headers, status in [
        ("/echo", {"Origin": "https://evil.example"}, 403), ("/missing", {}, 404),
    ]:
        try:
            async with connect(BASE + path, additional_headers=headers):
                raise AssertionError("connected")
        except websockets.InvalidStatus as error:
            assert error.response.status_code == status, error


async def many():
    async def one(number):
        async with connect(BASE + "/echo") as socket:
            for turn in range(20):
                await socket.send(f"{number} {turn}")
                assert await socket.recv() == f"{number} {turn}"

    await asyncio.gather(*(one(number) for number in range(100)))


async def main():
    for test in (messages, closing, pushing, refusals, many):
        await asyncio.wait_for(test(), 120)
    print(f"websockets {websockets.__version__}: messages, closing, pushing, refusals, 100 connections")


asyncio.run(main())

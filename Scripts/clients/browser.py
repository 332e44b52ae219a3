"""The page of page-server in headless Chromium: browser.py SERVER FOLDER [SCREENSHOT]."""
import asyncio
import os
import pathlib
import re
import signal
import sys

from devtools import chromium, running, wait_until
from websockets import ConnectionClosed
from websockets.asyncio.client import connect

SIZE = 12 << 20


def hash_of(data):
    """FNV-1a of 32 bits."""
    value = 2166136261
    for byte in data:
        value = (value ^ byte) * 16777619 & 0xFFFFFFFF
    return value


class Table:
    def __init__(self):
        self.rows, self.is_good = [], True

    def add(self, what, seen, is_good=True):
        self.rows.append((what, seen, "yes" if is_good else "NO"))
        self.is_good &= bool(is_good)
        print(f"{'ok' if is_good else 'BAD'}: {what}: {seen}", flush=True)

    def print(self):
        print("\n| what | seen | held |\n|---|---|---|")
        for row in self.rows:
            print("| " + " | ".join(row) + " |")


async def fetches(page, table):
    await page.click("#ask")
    seen = await wait_until(lambda: page.text("worker"), "an answer to fetch")
    table.add("fetch of JSON", seen, re.fullmatch(r"worker [01], generation \d+", seen))
    await page.click("#count")
    seen = await wait_until(lambda: page.run("part('counted').value.endsWith('pieces') && part('counted').value"), "the count")
    found = re.fullmatch(r"1 2 3 4 5 6 7 8 9 10 in (\d+) pieces", seen)
    # Pieces that come 100 ms after one another are not one at the end.
    table.add("fetch of a stream, piece by piece", seen, found and int(found[1]) >= 5)


async def upload(page, folder, table):
    for size in (0, SIZE):
        file, data = folder / f"upload-{size}", os.urandom(size)
        file.write_bytes(data)
        await page.run("part('uploaded').value = ''")
        await page.choose("#file", file)
        seen = await wait_until(lambda: page.text("uploaded"), "an answer to the upload", 120)
        found = re.fullmatch(r"(\d+) bytes, hash (\d+), (\d+) steps: the same", seen)
        is_good = found and (int(found[1]), int(found[2])) == (size, hash_of(data))
        table.add(f"upload of {size:,} bytes", seen, is_good and (size == 0 or int(found[3]) >= 2))


async def say(page, text):
    await page.run(f"part('text').value = {text!r}")
    await page.click("#form button")


async def messages(page):
    return await page.run("[...part('messages').children].map((item) => item.textContent)")


async def tell(pages, index, text):
    """One page sends, all get it. The number of the worker that took it."""
    await say(pages[index], text)
    workers = set()
    for page in pages:
        async def come():
            return re.fullmatch(re.escape(text) + r" \(by worker (\d+)\)", ([""] + await messages(page))[-1])
        workers.add((await wait_until(come, f"the message {text!r}"))[1])
    assert len(workers) == 1, workers
    return workers.pop()


async def chat(pages, texts, table, what):
    """Each page sends in turn. All pages must then have all messages in one order."""
    workers = [await tell(pages, number % len(pages), text) for number, text in enumerate(texts)]
    lists = [(await messages(page))[-len(texts):] for page in pages]
    is_good = all(found == lists[0] for found in lists)
    table.add(what, f"{len(texts)} messages in one order on {len(pages)} pages, by workers {sorted(set(workers))}", is_good)


async def spread(pages, table):
    """The chat is between workers only if the pages are on different ones: the second page connects until it is."""
    for attempt in range(30):
        if await tell(pages, 0, f"hello {attempt}") != await tell(pages, 1, f"hello again {attempt}"):
            break
        await pages[1].run("part('state').value = '', socket.close()")
        await connected(pages)
    else:
        table.add("pages on different workers", "none in 30 tries", False)


async def connected(pages):
    for page in pages:
        async def is_connected():
            return await page.text("state") == "connected"
        await wait_until(is_connected, "the chat is connected")


async def generation(page):
    """Of the worker that answers."""
    return await page.run("fetch('/worker').then((answer) => answer.json()).then((answer) => answer.generation)")


async def deploy(way, pages, listener, order, table):
    """A reload or an upgrade replaces both workers while a page talks. No page notices, nor does the other client."""
    for page in pages:
        await page.run("""window.mark = 'the same page'; window.closes = []
            socket.addEventListener('close', (event) => closes.push(event.code))""")
    before, begun = await generation(pages[0]), [len(await messages(page)) for page in pages] + [len(listener.texts)]
    process, texts = await order(way), []
    while process.returncode is None or len(texts) < 20:
        texts.append(f"{way} {len(texts)}")
        await say(pages[len(texts) % len(pages)], texts[-1])
        await asyncio.sleep(0.02)
    async def is_new():
        return await generation(pages[0]) > before
    await wait_until(is_new, "a worker of the next generation")
    texts.append(f"after the {way}")
    await say(pages[0], texts[-1])
    for place, page in enumerate([*pages, listener]):
        async def lines():
            all_ = listener.texts if page is listener else await messages(page)
            found = [re.sub(r" \(by worker \d+\)$", "", line) for line in all_[begun[place]:]]
            return found if texts[-1] in found else None
        found = await wait_until(lines, f"the message {texts[-1]!r}")
        # Two pages talk at once: their messages come in one order on all pages, which need not be the one of sending.
        is_good = sorted(found) == sorted(texts)
        table.add(f"{way}: {'websockets' if page is listener else f'page {place}'}",
                  f"{len(found)} messages for {len(texts)}, {len(set(found))} different", is_good)
    closes = [await page.run("closes") for page in pages] + [listener.closes]
    marks = [await page.run("window.mark") for page in pages]
    table.add(f"{way}: closed WebSockets", str(sum(len(codes) for codes in closes)), closes == [[]] * len(closes))
    table.add(f"{way}: pages were not loaded again", ", ".join(marks), marks == ["the same page"] * len(pages))
    output = (await process.communicate())[0].decode().strip().splitlines()
    table.add(f"preforkctl {way}", (output or ["nothing"])[-1], process.returncode == 0)


class Listener:
    """A client by Python's websockets in the same chat."""

    def __init__(self, port):
        self.port, self.texts, self.closes = port, [], []
        self.task = asyncio.create_task(self.listen())

    async def listen(self):
        try:
            async with connect(f"ws://127.0.0.1:{self.port}/chat") as socket:
                async for text in socket:
                    self.texts.append(text)
                self.closes.append(socket.close_code)
        except ConnectionClosed as error:
            self.closes.append(str(error))


async def stop(pages, server, table):
    """Here a page is told 1001."""
    server.send_signal(signal.SIGTERM)
    await wait_until(lambda: server.poll() is not None, "the server's end")
    async def is_closed():
        return "1001" in await pages[0].text("state") or "1006" in await pages[0].text("state")
    await wait_until(is_closed, "the page knows")
    table.add("stop of the server", f"exit code {server.returncode}", server.returncode == 0)


async def main(program, folder, screenshot):
    table = Table()
    control = str(folder / "control")
    environment = os.environ | {"PREFORK_WORKERS": "2", "PREFORK_PROBATION": "0", "PREFORK_CONTROL": control}
    tool = pathlib.Path(program).with_name("preforkctl")

    async def order(way):
        return await asyncio.create_subprocess_exec(
            tool, "--socket", control, way, "--wait", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT)

    log = folder / "server.log"
    with running([program, "127.0.0.1:0"], log, env=environment) as server:
        place = re.compile(r"listening on (?:http://)?127\.0\.0\.1:(\d+)")
        port = (await wait_until(lambda: place.search(log.read_text()), f"the server's port"))[1]
        async with chromium(folder) as browser:
            pages = [await browser.open(f"http://127.0.0.1:{port}/") for _ in range(2)]
            table.add("page", await pages[0].run("document.title"), await pages[0].run("document.title") == "page-server")
            await fetches(pages[0], table)
            await upload(pages[0], folder, table)
            await connected(pages)
            await spread(pages, table)
            await chat(pages, [f"message {number}" for number in range(20)], table, "chat of two pages")
            listener = Listener(port)
            async def hears():
                await say(pages[0], "are you there?")
                return listener.texts
            await wait_until(hears, "the other client hears the page")
            await asyncio.sleep(0.2)
            for way in ["reload", "upgrade", "reload"]:
                await deploy(way, pages, listener, order, table)
            await chat(pages, ["after all", "<b>ü 🐟</b>"], table, "chat after the deploys")
            if screenshot:
                pathlib.Path(screenshot).write_bytes(await pages[0].picture())
            complaints = [text for page in pages for text in page.complaints]
            table.add("complaints of the browser", "; ".join(complaints) or "none", not complaints)
            await stop(pages, server, table)
            await asyncio.wait_for(listener.task, 10)
            table.add("stop: the close code of websockets", str(listener.closes), listener.closes == [1001])
        errors = [line for line in log.read_text().splitlines() if "error" in line.split()]
        table.add("error lines of the server", "; ".join(errors) or "none", not errors)
    table.print()
    return 0 if table.is_good else 1


sys.exit(asyncio.run(asyncio.wait_for(main(sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else None), 300)))

